//! What probes prove.

use super::*;

fn probed(id: &str, status: u16, body: &str) -> ProbeResult {
    let provider = provider(id);
    let none = Written::default();
    let answer = Answer { status, headers: &none, body: body.as_bytes() };
    judge_probe(&provider, provider.probe.as_ref().unwrap(), &answer, now())
}

#[test]
fn each_answer_proves_what_its_provider_means_by_it() {
    use ProbeResult::{Invalid, NoCredit, Valid};
    let rows = [
        ("openai", 200, "{}", Valid),
        ("openai", 429, "{}", Valid),
        ("openai", 401, r#"{"error":{"code":"invalid_api_key"}}"#, Invalid),
        ("openai", 429, r#"{"error":{"code":"insufficient_quota"}}"#, NoCredit),
        ("google", 400, r#"{"error":{"details":[{"reason":"API_KEY_INVALID"}]}}"#, Invalid),
        ("xai", 200, r#"{"api_key_blocked":false,"api_key_disabled":false,"team_blocked":false}"#, Valid),
        ("xai", 400, r#"{"error":"anything"}"#, Invalid),
        ("exa", 400, "{}", Valid),
        ("peopledatalabs", 402, "{}", NoCredit),
        ("perplexity", 401, r#"{"error":{"type":"insufficient_quota"}}"#, NoCredit),
        ("brandfetch", 403, "{}", Invalid),
        ("hunter", 403, "{}", Valid),
        ("hunter", 429, "{}", NoCredit),
        ("zerobounce", 200, r#"{"Credits":"12"}"#, Valid),
        ("zerobounce", 200, r#"{"Credits":12}"#, Valid),
        ("zerobounce", 200, r#"{"Credits":"-1"}"#, Invalid),
        ("zerobounce", 200, r#"{"error":"Invalid API key"}"#, Invalid),
        ("neverbounce", 200, r#"{"status":"success"}"#, Valid),
        ("neverbounce", 200, r#"{"status":"auth_failure"}"#, Invalid),
        ("millionverifier", 200, "71", Valid),
        ("millionverifier", 200, r#"{"credits":71,"error":null}"#, Valid),
        ("millionverifier", 200, r#"{"credits":0,"error":"apikey_not_found"}"#, Invalid),
        ("jina", 200, "[Balance left] 12", Valid),
        ("jina", 402, "{}", NoCredit),
        ("google_cloud", 403, "SERVICE_DISABLED", Valid),
    ];
    for (id, status, body, result) in rows {
        assert_eq!(probed(id, status, body), result, "{id}: {status} {body}");
    }
}

#[test]
fn an_answer_that_fits_no_case_proves_nothing_and_says_what_it_is() {
    let rows = [
        ("openai", 500, "", Class::Overloaded),
        ("openai", 404, "", Class::RequestError),
        ("openai", 401, "Missing scopes: api.model.read", Class::AccountPermission),
        ("xai", 200, r#"{"api_key_blocked":true,"api_key_disabled":false,"team_blocked":false}"#, Class::Ok),
        ("jina", 200, "Usage: ...", Class::Ok),
        ("zerobounce", 429, "", Class::RateLimited),
        ("millionverifier", 200, "inf", Class::Ok),
    ];
    for (id, status, body, class) in rows {
        match probed(id, status, body) {
            ProbeResult::Unproven { verdict } => assert_eq!((verdict.class, verdict.status), (class, status), "{id}"),
            other => panic!("{id}: {status} {body}: {other:?}"),
        }
    }
}

#[test]
fn every_provider_tells_a_good_key_from_a_refused_one() {
    for provider in CATALOGUE.iter() {
        let probe = provider.probe.as_ref().unwrap();
        let none = Written::default();
        for case in probe.invalid.iter().filter(|case| case.when.is_empty()) {
            for status in &case.statuses {
                let answer = Answer { status: *status, headers: &none, body: b"" };
                assert_eq!(judge_probe(provider, probe, &answer, now()), ProbeResult::Invalid, "{}", provider.id);
            }
        }
    }
}
