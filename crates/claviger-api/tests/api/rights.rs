//! Walks the OpenAPI document: every operation is really asked for in every role, so that none can be added without a
//! word on who may use it.

use std::collections::{BTreeMap, BTreeSet};

use claviger_testkit::random_secret;
use serde_json::{Value, json};

use crate::world::{ACME_KEYS, Answer, World};

/// Who asks. What is asked for belongs to the workspace `acme`.
const WHO: [&str; 8] = ["nobody", "root", "service", "admin", "admin of another", "member", "runtime", "expired"];

/// What becomes of it: allowed, or the status.
type Class = u16;
const A: Class = 200;
const U: Class = 401;
const F: Class = 403;
const N: Class = 404;

/// Each operation, with its class for each of `WHO`.
const CASES: &[(&str, [Class; 8])] = &[
    ("GET /api/providers", [U, A, A, A, A, A, A, U]),
    ("GET /api/workspaces", [U, A, A, F, F, F, F, U]),
    ("PUT /api/workspaces/{id}", [U, A, A, F, F, F, F, U]),
    ("GET /api/workspaces/{id}", [U, A, A, F, F, F, F, U]),
    ("DELETE /api/workspaces/{id}", [U, A, A, F, F, F, F, U]),
    ("GET /api/workspaces/{id}/byok-keys", [U, A, A, A, F, A, F, U]),
    ("POST /api/workspaces/{id}/byok-keys", [U, A, A, A, F, F, F, U]),
    ("DELETE /api/workspaces/{id}/byok-keys", [U, A, A, A, F, F, F, U]),
    ("PATCH /api/workspaces/{id}/byok-keys/{keyId}", [U, A, A, A, F, F, F, U]),
    ("POST /api/tokens", [U, A, A, A, F, F, F, U]),
    ("GET /api/tokens", [U, A, A, A, A, F, F, U]),
    // Other workspaces' tokens do not exist for an admin.
    ("DELETE /api/tokens/{id}", [U, A, A, A, N, F, F, U]),
    ("GET /healthz", [A; 8]),
    ("GET /readyz", [A; 8]),
    ("GET /metrics", [A; 8]),
    ("GET /openapi.json", [A; 8]),
    ("GET /docs", [A; 8]),
];

/// An operation's request, made anew each time on what is there to be changed or deleted.
async fn ask(world: &World, token: &str, operation: &str) -> Answer {
    let (method, path) = operation.split_once(' ').unwrap();
    let (path, body) = match operation {
        "PUT /api/workspaces/{id}" => ("/api/workspaces/acme".to_owned(), json!({"name": "Acme"})),
        "GET /api/workspaces/{id}" => ("/api/workspaces/acme".to_owned(), Value::Null),
        "DELETE /api/workspaces/{id}" => {
            world.done("PUT", "/api/workspaces/doomed", json!({})).await;
            ("/api/workspaces/doomed".to_owned(), Value::Null)
        }
        "GET /api/workspaces/{id}/byok-keys" => (ACME_KEYS.to_owned(), Value::Null),
        "POST /api/workspaces/{id}/byok-keys" => {
            (ACME_KEYS.to_owned(), json!({"providerId": "openai", "apiKey": random_secret()}))
        }
        "DELETE /api/workspaces/{id}/byok-keys" => {
            let id = world.key("anthropic").await["id"].clone();
            (ACME_KEYS.to_owned(), json!({"providerId": "anthropic", "keyId": id}))
        }
        "PATCH /api/workspaces/{id}/byok-keys/{keyId}" => {
            let id = world.keys().await[0]["id"].as_str().unwrap().to_owned();
            (format!("{ACME_KEYS}/{id}"), json!({"enabled": true}))
        }
        "POST /api/tokens" => ("/api/tokens".to_owned(), json!({"name": "a", "role": "member", "workspaceId": "acme"})),
        "DELETE /api/tokens/{id}" => {
            let (_, id) = world.token("member", Some("acme"), json!({})).await;
            (format!("/api/tokens/{id}"), Value::Null)
        }
        _ => {
            assert!(!path.contains('{'), "{operation} needs a request of its own");
            (path.to_owned(), Value::Null)
        }
    };
    world.ask(token, method, &path, body).await
}

#[tokio::test]
async fn every_operation_is_open_to_those_it_names_and_nobody_else() {
    let world = World::new().await;
    let expired = world.expired_token().await;
    let token = async |role, workspace| world.token(role, workspace, json!({})).await.0;
    let tokens = [
        String::new(),
        world.root.clone(),
        token("service", None).await,
        token("admin", Some("acme")).await,
        token("admin", Some("other")).await,
        token("member", Some("acme")).await,
        token("runtime", Some("acme")).await,
        expired,
    ];
    world.key("openai").await;

    let document: Value = serde_json::from_str(&claviger_api::openapi_document()).unwrap();
    let mut cases: BTreeMap<&str, &[Class; 8]> = CASES.iter().map(|(name, classes)| (*name, classes)).collect();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let name = format!("{} {path}", method.to_uppercase());
            let classes = cases.remove(name.as_str()).unwrap_or_else(|| panic!("{name} has no case"));
            for ((who, token), expected) in WHO.iter().zip(&tokens).zip(classes) {
                let answer = ask(&world, token, &name).await;
                let status = answer.status.as_u16();
                assert_eq!(status, *expected, "{name} as {who}: {}", answer.text);
                assert!(operation["responses"].get(status.to_string()).is_some(), "{name} does not document {status}");
            }
            assert_eq!(documented_roles(operation), roles(classes), "{name}");
        }
    }
    assert!(cases.is_empty(), "there is no such operation: {cases:?}");
}

/// The roles that the document names for an operation.
fn documented_roles(operation: &Value) -> BTreeSet<String> {
    let named = operation["security"][0]["token"].as_array();
    named.into_iter().flatten().map(|role| role.as_str().unwrap().to_owned()).collect()
}

/// The roles that really may use an operation; none where it is open to everybody.
fn roles(classes: &[Class; 8]) -> BTreeSet<String> {
    let open = classes[0] == A;
    let allowed = WHO.iter().zip(classes).filter(|(who, class)| **class == A && !who.contains(' '));
    allowed.filter(|_| !open).map(|(who, _)| (*who).to_owned()).collect()
}
