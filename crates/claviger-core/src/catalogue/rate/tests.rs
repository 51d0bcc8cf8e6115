use super::*;

fn rate(text: &str) -> Rate {
    toml::from_str(&format!("statuses = [429]\nretry_after = 'unknown'\n{text}")).unwrap()
}

fn pairs(text: &str) -> Vec<(String, String)> {
    rate(text).limits().iter().map(|limit| (limit.remaining.clone(), limit.reset.clone())).collect()
}

#[test]
fn headers_that_count_down_are_paired_with_those_that_say_until_when() {
    let text = |pair: (&str, &str)| (pair.0.to_owned(), pair.1.to_owned());
    let rows = [
        ("['X-Remaining-A', 'x-reset-a', 'x-limit-a']", vec![("x-remaining-a", "x-reset-a")]),
        ("['a-remaining', 'b-remaining', 'b-reset']", vec![("b-remaining", "b-reset")]),
        ("['x-day-request-left', 'x-day-reset-seconds']", vec![("x-day-request-left", "x-day-reset-seconds")]),
        ("['x-reset']", vec![]),
        ("[]", vec![]),
    ];
    for (headers, expected) in rows {
        let expected: Vec<_> = expected.into_iter().map(text).collect();
        assert_eq!(pairs(&format!("headers = {headers}\nreset = 'seconds'")), expected, "{headers}");
    }
}

#[test]
fn without_a_known_form_of_header_there_is_nothing_to_pair() {
    for reset in ["body", "none", "unknown"] {
        assert_eq!(pairs(&format!("headers = ['x-remaining', 'x-reset']\nreset = '{reset}'")), []);
    }
}

#[test]
fn every_builtin_provider_with_resets_in_headers_has_its_pairs() {
    let catalogue = crate::Catalogue::builtin().unwrap();
    let count = |id: &str| catalogue.get(id).unwrap().rate.limits().len();
    let counts = ["openai", "anthropic", "together", "prospeo", "peopledatalabs", "mistral", "kimi"].map(count);
    assert_eq!(counts, [2, 4, 1, 2, 1, 0, 0]);
}

#[test]
fn the_model_is_the_segment_after_the_marker() {
    let google = rate("reset = 'body'\nmodel_after = '/models/'");
    let rows = [
        ("/v1beta/models/gemini-2.5-pro:generateContent", Some("gemini-2.5-pro")),
        ("/v1beta/models/gemini-2.5-pro/operations", Some("gemini-2.5-pro")),
        ("/v1beta/models/gemini-2.5-pro", Some("gemini-2.5-pro")),
        ("/v1beta/models/gemini-2.5-pro?alt=sse", Some("gemini-2.5-pro")),
        ("/v1beta/models/", None),
        ("/v1beta/models", None),
        ("/v1beta/files", None),
    ];
    for (path, model) in rows {
        assert_eq!(google.model_of(path), model, "{path}");
    }
    assert_eq!(rate("reset = 'none'").model_of("/v1/models/a"), None);
}
