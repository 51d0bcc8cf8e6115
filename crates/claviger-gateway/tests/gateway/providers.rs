//! One request through each provider: the key stands where that provider wants it, the caller's token nowhere.

use data_encoding::BASE64;
use hyper::Method;
use serde_json::json;

use crate::fixture::Fixture;

/// Where a provider's documentation wants the key, written down apart from the catalogue.
enum Wanted {
    Header(&'static str, &'static str),
    Query(&'static str),
}

use Wanted::{Header, Query};

const BEARER: Wanted = Header("authorization", "Bearer ");

const PROVIDERS: [(&str, &str, Wanted); 36] = [
    ("openai", "/v1/chat/completions", BEARER),
    ("anthropic", "/v1/messages", Header("x-api-key", "")),
    ("google", "/v1beta/models/gemini-2.5-flash:generateContent", Header("x-goog-api-key", "")),
    ("mistral", "/v1/chat/completions", BEARER),
    ("zai", "/api/paas/v4/chat/completions", BEARER),
    ("cohere", "/v2/embed", BEARER),
    ("xai", "/v1/chat/completions", BEARER),
    ("kimi", "/v1/chat/completions", BEARER),
    ("fireworks", "/inference/v1/chat/completions", BEARER),
    ("together", "/v1/chat/completions", BEARER),
    ("baseten", "/v1/chat/completions", BEARER),
    ("ollama-cloud", "/v1/chat/completions", BEARER),
    ("falai", "/fal-ai/flux/dev", Header("authorization", "Key ")),
    ("firecrawl", "/v2/scrape", BEARER),
    ("exa", "/search", Header("x-api-key", "")),
    ("context_dev", "/v1/brand/retrieve", BEARER),
    ("serper", "/search", Header("x-api-key", "")),
    ("linkup", "/v1/search", BEARER),
    ("parallel_ai", "/v1/tasks/runs", Header("x-api-key", "")),
    ("perplexity", "/chat/completions", BEARER),
    ("jina", "/https://example.com//page", BEARER),
    ("google_cloud", "/translate/language/translate/v2", Query("key")),
    ("brandfetch", "/v2/brands/example.com", BEARER),
    ("hunter", "/v2/account", Query("api_key")),
    ("peopledatalabs", "/v5/person/enrich", Header("x-api-key", "")),
    ("findymail", "/api/search/mail", BEARER),
    ("prospeo", "/enrich-person", Header("x-key", "")),
    ("wiza", "/api/individual_reveals", BEARER),
    ("datagma", "/api/ingress/v2/full", Query("apiId")),
    ("dropcontact", "/v1/enrich/all", Header("x-access-token", "")),
    ("leadmagic", "/v1/people/email-finder", Header("x-api-key", "")),
    ("icypeas", "/api/email-search", Header("authorization", "")),
    ("enrow", "/email/find/single", Header("x-api-key", "")),
    ("zerobounce", "/v2/validate", Query("api_key")),
    ("neverbounce", "/v4/single/check", Query("key")),
    ("millionverifier", "/api/v3/", Query("api")),
];

#[tokio::test]
async fn every_provider_gets_the_key_where_it_wants_it_and_never_the_token() {
    let fixture = Fixture::new().await;
    fixture.mock.set_recording(true);
    assert_eq!(fixture.test.app.catalogue.iter().count(), PROVIDERS.len());
    let client = fixture.client();
    for (provider, path, wanted) in &PROVIDERS {
        let secret = fixture.key(provider).await;
        let body = json!({"model": "m", "messages": [{"role": "user", "content": "hello"}]});
        let path_and_query = format!("/gateway/{provider}{path}?q=1");
        let answer = client.send(Method::POST, &path_and_query, &body).await;
        assert!(answer.status.is_success(), "{provider}: {answer:?}");
        assert_eq!(answer.header("x-claviger-scope"), "workspace");
        assert_eq!(answer.header("x-claviger-attempts"), "1");
        assert!(answer.header("x-claviger-key-id").starts_with("key_"));
        assert!(!answer.header("x-request-id").is_empty());

        let recorded = fixture.mock.requests().pop().unwrap();
        let mut expected_target = match *provider {
            "google_cloud" => "/google_cloud/language/translate/v2?q=1".to_owned(),
            _ => format!("/{provider}{path}?q=1"),
        };
        match wanted {
            Header(name, prefix) => {
                assert_eq!(recorded.header(name), Some(format!("{prefix}{secret}").as_str()), "{provider}");
            }
            Query(name) => expected_target = format!("{expected_target}&{name}={secret}"),
        }
        assert_eq!(recorded.target, expected_target);
        let whole = format!("{} {:?} {}", recorded.target, recorded.headers, recorded.body);
        assert_eq!(whole.matches(&secret).count(), 1, "{provider}: {whole}");
        assert!(!whole.contains(&fixture.token), "{provider}: {whole}");
        assert_eq!(recorded.body, body.to_string());
    }
    fixture.close().await;
}

#[tokio::test]
async fn the_token_is_accepted_where_the_providers_sdk_puts_its_key() {
    let fixture = Fixture::new().await;
    fixture.mock.set_recording(true);
    let token = fixture.token.clone();
    let basic = format!("Basic {}", BASE64.encode(format!("{token}:").as_bytes()));
    let rows = [
        ("anthropic", "x-api-key", token.clone(), ""),
        ("google", "x-goog-api-key", token.clone(), ""),
        ("prospeo", "x-key", token.clone(), ""),
        ("falai", "authorization", format!("Key {token}"), ""),
        ("openai", "authorization", basic, ""),
        ("google", "accept", "*/*".to_owned(), "?key=TOKEN&alt=sse"),
        ("hunter", "accept", "*/*".to_owned(), "?api_key=TOKEN"),
    ];
    for (provider, header, value, query) in rows {
        fixture.key(provider).await;
        let query = query.replace("TOKEN", &token);
        let mut raw = fixture.connect().await;
        let head = format!(
            "GET /gateway/{provider}/anything{query} HTTP/1.1\r\nhost: x\r\n{header}: {value}\r\nconnection: close\r\n\r\n"
        );
        raw.write(&head).await;
        let answer = raw.read_to_end().await;
        assert!(answer.starts_with("HTTP/1.1 200"), "{provider} {header}: {answer}");
        let recorded = fixture.mock.requests().pop().unwrap();
        let whole = format!("{} {:?}", recorded.target, recorded.headers);
        assert!(!whole.contains(&token), "{provider}: {whole}");
        assert!(header == "accept" || !whole.contains(&value), "{provider}: {whole}");
    }
    fixture.close().await;
}

#[tokio::test]
async fn keys_take_turns() {
    let fixture = Fixture::new().await;
    let secrets = [fixture.key("openai").await, fixture.key("openai").await, fixture.key("openai").await];
    let client = fixture.client();
    let mut ids = Vec::new();
    for _ in 0..6 {
        let answer = client.send(Method::GET, "/gateway/openai/v1/models", &json!(null)).await;
        ids.push(answer.header("x-claviger-key-id").to_owned());
    }
    assert_eq!(ids[..3], ids[3..]);
    let counts = fixture.mock.counts();
    assert!(secrets.iter().all(|secret| counts.of("openai", secret) == 2), "{counts:?}");
    fixture.close().await;
}
