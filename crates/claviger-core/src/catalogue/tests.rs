use super::*;

/// Every provider in order: id, and where its key goes.
const EXPECTED: [(&str, &str); 36] = [
    ("openai", "bearer"),
    ("anthropic", "header x-api-key"),
    ("google", "header x-goog-api-key"),
    ("mistral", "bearer"),
    ("zai", "bearer"),
    ("cohere", "bearer"),
    ("xai", "bearer"),
    ("kimi", "bearer"),
    ("fireworks", "bearer"),
    ("together", "bearer"),
    ("baseten", "bearer"),
    ("ollama-cloud", "bearer"),
    ("falai", "header Authorization: Key "),
    ("firecrawl", "bearer"),
    ("exa", "header x-api-key"),
    ("context_dev", "bearer"),
    ("serper", "header X-API-KEY"),
    ("linkup", "bearer"),
    ("parallel_ai", "header x-api-key"),
    ("perplexity", "bearer"),
    ("jina", "bearer"),
    ("google_cloud", "query key"),
    ("brandfetch", "bearer"),
    ("hunter", "query api_key"),
    ("peopledatalabs", "header X-Api-Key"),
    ("findymail", "bearer"),
    ("prospeo", "header X-KEY"),
    ("wiza", "bearer"),
    ("datagma", "query apiId"),
    ("dropcontact", "header X-Access-Token"),
    ("leadmagic", "header X-API-Key"),
    ("icypeas", "header Authorization"),
    ("enrow", "header x-api-key"),
    ("zerobounce", "query api_key"),
    ("neverbounce", "query key"),
    ("millionverifier", "query api"),
];

fn place(auth: &Auth) -> String {
    match auth {
        Auth::Bearer => "bearer".to_owned(),
        Auth::Header { name, prefix } if prefix.is_empty() => format!("header {name}"),
        Auth::Header { name, prefix } => format!("header {name}: {prefix}"),
        Auth::Query { name } => format!("query {name}"),
        Auth::Body { field } => format!("body {field}"),
        Auth::Basic { .. } => "basic".to_owned(),
    }
}

fn entry(id: &str) -> String {
    format!(
        r#"
[[provider]]
id = "{id}"
name = "Name of {id}"
section = "models"
description = "Does something"
placeholder = "Enter a key"
origins = [{{ alias = "main", url = "https://{id}.example.com", paths = ["/v1/"] }}]
auth = {{ kind = "bearer" }}
rate = {{ statuses = [429], retry_after = "unknown", reset = "unknown" }}
"#
    )
}

fn refusal(toml: &str) -> String {
    Catalogue::parse(toml).unwrap_err().to_string()
}

#[test]
fn the_builtin_catalogue_has_every_provider_in_order_with_its_place_for_the_key() {
    let catalogue = Catalogue::builtin().unwrap();
    let read: Vec<_> = catalogue.iter().map(|provider| (provider.id.to_string(), place(&provider.auth))).collect();
    let expected: Vec<_> = EXPECTED.iter().map(|(id, place)| ((*id).to_owned(), (*place).to_owned())).collect();
    assert_eq!(read, expected);
}

#[test]
fn every_builtin_provider_has_what_the_product_needs_of_it() {
    for provider in Catalogue::builtin().unwrap().iter() {
        let id = &provider.id;
        assert!(!provider.name.is_empty() && !provider.description.is_empty(), "{id}");
        assert!(provider.description.starts_with(|first: char| first.is_uppercase()), "{id}");
        let generic = format!("Enter your {} API key", provider.name);
        assert!(provider.placeholder == generic || provider.placeholder.ends_with("..."), "{id}");
        assert_ne!(provider.section, Section::Custom, "{id}");
        assert!(provider.origins.iter().all(|origin| origin.url.is_https()), "{id}");
        assert!(!provider.origins[0].optional, "{id}: the default origin is for everybody");
        assert!(!provider.docs.is_empty() || !provider.docs_unopened.is_empty(), "{id}");
        assert!(provider.probe.is_some(), "{id}");
        assert!(!provider.errors.is_empty(), "{id}");
        for class in [ErrorClass::KeyInvalid, ErrorClass::RateLimited] {
            assert!(provider.errors.iter().any(|rule| rule.class == class), "{id}: {class:?}");
        }
    }
}

#[test]
fn no_builtin_probe_calls_one_answer_valid_and_invalid() {
    for provider in Catalogue::builtin().unwrap().iter() {
        for probe in [&provider.probe, &provider.alternative_probe].into_iter().flatten() {
            for valid in &probe.valid {
                let clash = probe.invalid.iter().find(|invalid| {
                    invalid.when == valid.when && invalid.statuses.iter().any(|status| valid.statuses.contains(status))
                });
                assert_eq!(clash, None, "{}", provider.id);
            }
        }
    }
}

#[test]
fn sections_stand_together() {
    let catalogue = Catalogue::builtin().unwrap();
    let sections: Vec<_> = catalogue.iter().map(|provider| provider.section).collect();
    assert!(sections.is_sorted());
    let count = |section| sections.iter().filter(|one| **one == section).count();
    assert_eq!([Section::Models, Section::Search, Section::Enrichment].map(count), [13, 9, 14]);
}

#[test]
fn facts_of_each_kind_are_read() {
    let catalogue = Catalogue::builtin().unwrap();
    let openai = catalogue.get("openai").unwrap();
    assert_eq!(openai.rate.reset, Reset::GoDuration);
    assert_eq!(openai.rate.retry_hint_header.as_deref(), Some("x-should-retry"));
    assert_eq!(openai.key_hint.reject_prefixes, ["sk-admin-"]);
    let quota = openai.errors.iter().find(|rule| rule.class == ErrorClass::NoCredit).unwrap();
    assert_eq!((quota.at.to_string().as_str(), quota.src), ("body:error.code", Source::Doc));
    assert_eq!(quota.test, Some(Test::Eq("insufficient_quota".to_owned())));

    assert_eq!(openai.domain_headers, ["openai-organization", "openai-project"]);

    let anthropic = catalogue.get("anthropic").unwrap();
    assert_eq!(anthropic.extra_headers.required["anthropic-version"], "2023-06-01");

    let google = catalogue.get("google").unwrap();
    assert_eq!(google.rate.reset_path.as_ref().unwrap().to_string(), "error.details[].retryDelay");
    assert_eq!(google.rate.model_after.as_deref(), Some("/models/"));
    assert_eq!(google.also[1].only_paths, ["/v1beta/openai/"]);

    let zai = catalogue.get("zai").unwrap();
    assert_eq!(place(zai.alternative_probe.as_ref().unwrap().auth.as_ref().unwrap()), "header Authorization");

    let xai = catalogue.get("xai").unwrap();
    assert_eq!(xai.probe.as_ref().unwrap().valid[0].when.len(), 3);

    let exa = catalogue.get("exa").unwrap();
    assert_eq!(exa.probe.as_ref().unwrap().method, Method::Post);
    assert_eq!(exa.alternative_probe.as_ref().unwrap().cost, Cost::OneCall);

    let cloud = catalogue.get("google_cloud").unwrap();
    assert_eq!(cloud.also[0].not_origins, ["maps"]);

    let zerobounce = catalogue.get("zerobounce").unwrap();
    let credits = Check { at: "body:Credits".parse().unwrap(), test: Test::Min(0) };
    assert_eq!(zerobounce.probe.as_ref().unwrap().valid[0].when, [credits]);
}

#[test]
fn providers_are_found_by_id() {
    let catalogue = Catalogue::builtin().unwrap();
    assert_eq!(catalogue.get("ollama-cloud").unwrap().name, "Ollama Cloud");
    assert!(catalogue.get("OpenAI").is_none());
    assert!(catalogue.get("").is_none());
}

#[test]
fn an_inserted_provider_takes_the_place_of_its_namesake_or_the_end() {
    let mut catalogue = Catalogue::parse(&[entry("a"), entry("b"), entry("c")].concat()).unwrap();
    let base: BaseUrl = "http://localhost:9000".parse().unwrap();
    let changed = Provider::clone(catalogue.get("b").unwrap()).with_base_url(base.clone());
    catalogue.insert(changed);
    catalogue.insert(Provider::custom("d".parse().unwrap(), base.clone(), None, Auth::Bearer));
    let ids: Vec<_> = catalogue.iter().map(|provider| provider.id.as_str()).collect();
    assert_eq!(ids, ["a", "b", "c", "d"]);
    assert_eq!(catalogue.get("b").unwrap().origins[0].url, base);
}

#[test]
fn two_entries_with_one_id_are_refused() {
    assert_eq!(refusal(&[entry("a"), entry("b"), entry("a")].concat()), "provider a is there twice");
}

#[test]
fn an_entry_without_a_needed_field_is_refused_by_name() {
    for field in ["name", "section", "description", "placeholder", "origins", "auth", "rate"] {
        let whole = entry("a");
        let lacking: Vec<_> = whole.lines().filter(|line| !line.starts_with(field)).collect();
        assert_eq!(refusal(&lacking.join("\n")), format!("provider a: missing field `{field}`"));
    }
    assert_eq!(refusal(&entry("a").replace("id = \"a\"", "")), "provider number 1: missing field `id`");
}

#[test]
fn an_entry_of_a_wrong_form_is_refused_with_its_provider_and_field() {
    let rows = [
        ("name = \"Name of a\"", "name = \"A\"\ncolour = 1", "unknown field `colour`"),
        ("id = \"a\"", "id = \"A\"", "a provider id must be 1 to 64 of a-z 0-9 _ - in `id`"),
        ("\"models\"", "\"toys\"", "unknown variant `toys`"),
        ("\"models\"", "\"custom\"", "unknown variant `custom`"),
        ("paths = [", "weight = 1, paths = [", "unknown field `weight`, expected one of"),
        ("https://", "http://", "`http://a.example.com` must begin with https:// in `origins.url`"),
        ("a.example.com", "a_b.example.com", "`https://a_b.example.com` must name a host"),
        ("kind = \"bearer\"", "kind = \"header\", name = \"a b\"", "`a b` cannot be a header's name in `auth`"),
        ("[429]", "[42]", "status 42 is not from 100 to 599 in `rate.statuses`"),
        ("[429]", "[]", "`statuses` must not be empty in `rate.statuses`"),
        ("reset = \"unknown\"", "reset = \"later\"", "unknown variant `later`"),
        ("reset = ", "headers = [\"a:b\"], reset = ", "`a:b` cannot be a header's name in `rate.headers`"),
        ("auth = ", "domain_headers = [\"a b\"]\nauth = ", "`a b` cannot be a header's name in `domain_headers`"),
    ];
    for (right, wrong, message) in rows {
        let toml = entry("a").replace(right, wrong);
        let refusal = refusal(&toml);
        assert!(refusal.starts_with("provider ") && refusal.contains(message), "{wrong}: {refusal}");
        assert!(!refusal.contains('\n'), "{refusal}");
    }
}

#[test]
fn a_file_that_is_no_list_of_providers_is_refused() {
    for text in ["x = ", "[[providers]]\nid = \"a\"", "provider = 1", "version = 1\nprovider = []", ""] {
        assert!(refusal(text).starts_with("the catalogue cannot be read: "), "{text}");
    }
}
