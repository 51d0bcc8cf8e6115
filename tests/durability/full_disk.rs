//! A server that can no longer write: it says so, keeps what it has, and goes on serving.

use std::fs;

use claviger_testkit::{Answer, Running, random_secret};
use hyper::Method;
use serde_json::{Value, json};

use crate::tenant::masked;
use crate::{PROVIDER, assert_leases, deployment, relay};

/// Room for the database as it is after the first start, and a few changes more: 168 KiB in blocks of 512 bytes.
const BLOCKS: u32 = 336;
const KEYS: &str = "/api/workspaces/acme/byok-keys";

async fn add(server: &Running, provider: &str, secret: &str) -> Answer {
    server.root.send(Method::POST, KEYS, &json!({"providerId": provider, "apiKey": secret})).await
}

fn masks(keys: &[Value]) -> Vec<String> {
    let mut masks: Vec<_> = keys.iter().map(|key| key["maskedKey"].as_str().unwrap().to_owned()).collect();
    masks.sort();
    masks
}

async fn assert_listed(server: &Running, secrets: &[String]) {
    let mut expected: Vec<_> = secrets.iter().map(|secret| masked(secret)).collect();
    expected.sort();
    assert_eq!(masks(&server.keys("acme").await), expected);
}

fn assert_unavailable(answer: &Answer) {
    assert_eq!((answer.status.as_u16(), answer.code()), (503, "store_unavailable"), "{}", answer.json);
    assert!(!answer.header("retry-after").is_empty());
}

#[tokio::test]
async fn a_full_disk_refuses_changes_and_nothing_else() {
    let (mock, deployment) = deployment().await;
    let server = deployment.serve();
    server.workspace("acme").await;
    let leased = random_secret();
    server.key("acme", PROVIDER, &leased).await;
    let token = server.token("acme", "runtime").await;
    drop(server);

    let mut server = deployment.start(deployment.limited_server(BLOCKS));
    let mut stored = vec![leased.clone()];
    let mut refused = Vec::new();
    for provider in ["anthropic", "exa", "mistral", "cohere", "google"] {
        for _ in 0..8 {
            let secret = random_secret();
            let answer = add(&server, provider, &secret).await;
            if answer.status == 200 {
                stored.push(secret);
            } else {
                assert_unavailable(&answer);
                refused.push(secret);
            }
        }
    }
    assert!(stored.len() > 1, "there was no room for a single key");
    assert!(!refused.is_empty(), "the disk was never full");
    assert_unavailable(&server.root.send(Method::DELETE, KEYS, &json!({"providerId": PROVIDER})).await);
    assert_unavailable(&server.root.send(Method::PUT, "/api/workspaces/other", &json!({})).await);
    assert_listed(&server, &stored).await;
    assert_leases(&server, &mock, &token, &[&leased]).await;
    assert_eq!(server.root.send(Method::GET, "/readyz", &Value::Null).await.status, 200);
    server.process.kill();

    let server = deployment.serve();
    assert_listed(&server, &stored).await;
    assert_leases(&server, &mock, &token, &[&leased]).await;
    for secret in &refused {
        assert_eq!(add(&server, "serper", secret).await.status, 200, "there is room again");
        server.root.send(Method::DELETE, KEYS, &json!({"providerId": "serper"})).await;
    }
    assert_listed(&server, &stored).await;
}

#[tokio::test]
async fn a_database_that_was_moved_away_takes_no_changes_until_it_is_back() {
    let (mock, deployment) = deployment().await;
    let server = deployment.serve();
    server.workspace("acme").await;
    let first = random_secret();
    server.key("acme", PROVIDER, &first).await;
    let token = server.token("acme", "runtime").await;
    assert_eq!(relay(&server, &token).await.0, 200);

    let file = deployment.data_dir().join("claviger.db");
    let away = deployment.folder().join("away.db");
    fs::rename(&file, &away).unwrap();
    let second = random_secret();
    assert_unavailable(&add(&server, PROVIDER, &second).await);
    assert_unavailable(&server.root.send(Method::GET, "/readyz", &Value::Null).await);
    assert_leases(&server, &mock, &token, &[&first]).await;

    fs::rename(&away, &file).unwrap();
    assert_listed(&server, std::slice::from_ref(&first)).await;
    assert_eq!(add(&server, PROVIDER, &second).await.status, 200);
    assert_eq!(server.root.send(Method::GET, "/readyz", &Value::Null).await.status, 200);
    assert_leases(&server, &mock, &token, &[&first, &second]).await;
}
