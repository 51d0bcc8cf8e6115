//! When the database does not do its work.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use claviger_app::{App, Parts, Store};
use claviger_core::Catalogue;
use claviger_seal::{MasterKey, TokenHash};
use claviger_store_sqlite::SqliteStore;
use claviger_testkit::{ManualClock, random_secret};
use http::Request;
use http::StatusCode;
use serde_json::{Value, json};

use crate::log::Log;
use crate::world::{ACME_KEYS, send, with_token};

/// A control plane whose database is closed, and its root token.
async fn without_a_database() -> (Router, String) {
    let folder = tempfile::tempdir().unwrap();
    let store = Arc::new(SqliteStore::open(&folder.path().join("claviger.db")).await.unwrap());
    let parts = Parts {
        store: Arc::clone(&store) as _,
        master: MasterKey::parse(&MasterKey::generate().unwrap()).unwrap(),
        catalogue: Catalogue::builtin().unwrap(),
        clock: Arc::new(ManualClock::new()),
        cache_entries: 10,
    };
    let app = App::start(parts).await.unwrap();
    let root = random_secret();
    app.admit_root(Some(TokenHash::of(root.as_bytes()))).await.unwrap();
    store.close().await;
    (claviger_api::router(Arc::new(app), Arc::new(String::new)), root)
}

#[tokio::test]
async fn a_database_that_is_gone_is_told_without_a_word_on_why() {
    let (router, root) = without_a_database().await;
    let key = format!("{ACME_KEYS}/key_01ARZ3NDEKTSV4RRFFQ69G5FAV");
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
