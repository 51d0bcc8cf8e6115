//! When the database does not do its work.

use axum::Router;
use axum::body::Body;
use claviger_testkit::{TestApp, random_secret};
use http::Request;
use http::StatusCode;
use serde_json::{Value, json};

use crate::log::Log;
use crate::world::{ACME_KEYS, GROUP_KEYS, PLATFORM_KEYS, World, router, send, with_token};

/// A control plane whose database is closed, and its root token.
async fn without_a_database() -> (Router, String) {
    let test = TestApp::new().await;
    let root = test.root_token().await;
    test.store.close().await;
    (router(&test), root)
}

#[tokio::test]
async fn a_database_that_is_gone_is_told_without_a_word_on_why() {
    let (router, root) = without_a_database().await;
    let key = format!("{ACME_KEYS}/key_01ARZ3NDEKTSV4RRFFQ69G5FAV");
    let inherited = format!("{ACME_KEYS}/inherited-status");
    let log = Log::begin();
    let requests = [
        ("GET", "/readyz", Value::Null),
        ("GET", "/api/workspaces", Value::Null),
        ("GET", "/api/workspaces/acme", Value::Null),
        ("PUT", "/api/workspaces/acme", json!({})),
        ("DELETE", "/api/workspaces/acme", Value::Null),
        ("GET", ACME_KEYS, Value::Null),
        ("POST", ACME_KEYS, json!({"providerId": "openai", "apiKey": random_secret()})),
        ("DELETE", ACME_KEYS, json!({"providerId": "openai"})),
        ("PATCH", &key, json!({"enabled": true})),
        ("GET", &inherited, Value::Null),
        ("POST", &format!("{key}/test"), Value::Null),
        ("GET", "/api/workspaces/acme/byok-keys/explain?providerId=openai", Value::Null),
        ("GET", "/api/workspaces/acme/usage", Value::Null),
        ("GET", "/api/organizations", Value::Null),
        ("GET", "/api/organizations/group", Value::Null),
        ("PUT", "/api/organizations/group", json!({})),
        ("DELETE", "/api/organizations/group", Value::Null),
        ("GET", GROUP_KEYS, Value::Null),
        ("POST", PLATFORM_KEYS, json!({"providerId": "openai", "apiKey": random_secret()})),
        ("GET", "/api/tokens", Value::Null),
        ("POST", "/api/tokens", json!({"name": "a", "role": "member", "workspaceId": "acme"})),
        ("DELETE", "/api/tokens/abcdefghijklmnop", Value::Null),
    ];
    let asked = requests.len();
    for (method, path, body) in requests {
        let request = with_token(method, path, &root).header("content-type", "application/json");
        let answer = send(&router, request.body(Body::from(body.to_string())).unwrap()).await;
        answer.assert_refused(503, "store_unavailable", None);
        assert_eq!(answer.headers["retry-after"], "1", "{path}");
        assert!(!answer.text.contains("pool") && !answer.text.to_lowercase().contains("sql"), "{}", answer.text);
    }
    // Why is for the log, once a request.
    let log = log.end();
    let lines: Vec<_> = log.lines().filter(|line| line.contains("ERROR")).collect();
    assert_eq!(lines.len(), asked, "{log}");
    assert!(lines.iter().all(|line| line.contains("error=the database cannot be reached: ")), "{log}");

    let unknown = claviger_seal::NewToken::generate().unwrap();
    let request = with_token("GET", ACME_KEYS, unknown.reveal_once()).body(Body::empty()).unwrap();
    send(&router, request).await.assert_refused(503, "store_unavailable", None);
    // What needs no database still answers.
    for path in ["/healthz", "/metrics", "/docs"] {
        let request = Request::builder().uri(path).body(Body::empty()).unwrap();
        assert_eq!(send(&router, request).await.status, StatusCode::OK, "{path}");
    }
    let request = with_token("GET", "/api/providers", &root).body(Body::empty()).unwrap();
    assert_eq!(send(&router, request).await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_key_that_is_in_memory_is_handed_out_without_the_database_and_no_other() {
    let world = World::new().await;
    world.key("openai").await;
    world.key("anthropic").await;
    let (token, _) = world.token("runtime", Some("acme"), json!({"reveal": true})).await;
    let resolve = format!("{ACME_KEYS}/resolve");
    let asked = async |provider| world.ask(&token, "POST", &resolve, json!({"providerId": provider})).await;
    let kept = asked("openai").await.json();
    world.test.store.close().await;
    assert_eq!(asked("openai").await.json(), kept);
    let answer = asked("anthropic").await;
    answer.assert_refused(503, "store_unavailable", None);
    assert_eq!(answer.headers["retry-after"], "1");
    let outcome = format!("{ACME_KEYS}/{}/outcome", kept["keyId"].as_str().unwrap());
    let told = world.ask(&token, "POST", &outcome, json!({"status": 200})).await;
    told.assert_refused(503, "store_unavailable", None);
}
