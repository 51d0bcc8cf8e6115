//! Walks the OpenAPI document: every operation is really asked for in every role, so that none can be added without a
//! word on who may use it.

use std::collections::{BTreeMap, BTreeSet};

use claviger_app::ClientAddress;
use claviger_testkit::random_secret;
use serde_json::{Value, json};

use crate::world::{ACME_KEYS, Answer, GROUP_KEYS, PLATFORM_KEYS, World};

/// Who asks. What is asked for belongs to the workspace `acme`, where it belongs to one.
const WHO: [&str; 10] = [
    "nobody",
    "root",
    "service",
    "service with reveal",
    "admin",
    "admin of another",
    "member",
    "runtime",
    "runtime with reveal",
    "expired",
];

/// What becomes of it: allowed, or the status.
type Class = u16;
const A: Class = 200;
const U: Class = 401;
const F: Class = 403;
const N: Class = 404;

/// Each operation, with its class for each of `WHO`.
const CASES: &[(&str, [Class; 10])] = &[
    ("GET /api/providers", [U, A, A, A, A, A, A, A, A, U]),
    ("GET /api/workspaces", [U, A, A, A, F, F, F, F, F, U]),
    ("PUT /api/workspaces/{id}", [U, A, A, A, F, F, F, F, F, U]),
    ("GET /api/workspaces/{id}", [U, A, A, A, F, F, F, F, F, U]),
    ("DELETE /api/workspaces/{id}", [U, A, A, A, F, F, F, F, F, U]),
    ("GET /api/organizations", [U, A, A, A, F, F, F, F, F, U]),
    ("PUT /api/organizations/{id}", [U, A, A, A, F, F, F, F, F, U]),
    ("GET /api/organizations/{id}", [U, A, A, A, F, F, F, F, F, U]),
    ("DELETE /api/organizations/{id}", [U, A, A, A, F, F, F, F, F, U]),
    ("GET /api/workspaces/{id}/byok-keys", [U, A, A, A, A, F, A, F, F, U]),
    ("POST /api/workspaces/{id}/byok-keys", [U, A, A, A, A, F, F, F, F, U]),
    ("DELETE /api/workspaces/{id}/byok-keys", [U, A, A, A, A, F, F, F, F, U]),
    ("PATCH /api/workspaces/{id}/byok-keys/{keyId}", [U, A, A, A, A, F, F, F, F, U]),
    ("POST /api/workspaces/{id}/byok-keys/{keyId}/test", [U, A, A, A, A, F, F, F, F, U]),
    ("GET /api/organizations/{id}/byok-keys", [U, A, A, A, F, F, F, F, F, U]),
    ("POST /api/organizations/{id}/byok-keys", [U, A, A, A, F, F, F, F, F, U]),
    ("DELETE /api/organizations/{id}/byok-keys", [U, A, A, A, F, F, F, F, F, U]),
    ("PATCH /api/organizations/{id}/byok-keys/{keyId}", [U, A, A, A, F, F, F, F, F, U]),
    ("POST /api/organizations/{id}/byok-keys/{keyId}/test", [U, A, A, A, F, F, F, F, F, U]),
    ("GET /api/platform/byok-keys", [U, A, F, F, F, F, F, F, F, U]),
    ("POST /api/platform/byok-keys", [U, A, F, F, F, F, F, F, F, U]),
    ("DELETE /api/platform/byok-keys", [U, A, F, F, F, F, F, F, F, U]),
    ("PATCH /api/platform/byok-keys/{keyId}", [U, A, F, F, F, F, F, F, F, U]),
    ("POST /api/platform/byok-keys/{keyId}/test", [U, A, F, F, F, F, F, F, F, U]),
    ("GET /api/workspaces/{id}/byok-keys/explain", [U, A, A, A, A, F, A, F, F, U]),
    ("GET /api/workspaces/{id}/usage", [U, A, A, A, A, F, A, F, F, U]),
    ("GET /api/workspaces/{id}/audit-log", [U, A, A, A, A, F, A, F, F, U]),
    ("GET /api/organizations/{id}/audit-log", [U, A, A, A, F, F, F, F, F, U]),
    ("GET /api/platform/audit-log", [U, A, F, F, F, F, F, F, F, U]),
    ("GET /api/workspaces/{id}/byok-keys/inherited-status", [U, A, A, A, A, F, A, F, F, U]),
    ("POST /api/workspaces/{id}/byok-keys/resolve", [U, F, F, A, F, F, F, F, A, U]),
    ("POST /api/workspaces/{id}/byok-keys/{keyId}/outcome", [U, F, F, A, F, F, F, F, A, U]),
    ("GET /api/workspaces/{id}/webhooks", [U, A, A, A, A, F, F, F, F, U]),
    ("POST /api/workspaces/{id}/webhooks", [U, A, A, A, A, F, F, F, F, U]),
    ("DELETE /api/workspaces/{id}/webhooks/{webhookId}", [U, A, A, A, A, F, F, F, F, U]),
    ("POST /api/workspaces/{id}/portal-links", [U, A, A, A, A, F, F, F, F, U]),
    ("GET /api/workspaces/{id}/portal-sessions", [U, A, A, A, A, F, F, F, F, U]),
    ("DELETE /api/workspaces/{id}/portal-sessions/{sessionId}", [U, A, A, A, A, F, F, F, F, U]),
    ("POST /api/tokens", [U, A, A, A, A, F, F, F, F, U]),
    ("GET /api/tokens", [U, A, A, A, A, A, F, F, F, U]),
    // Other workspaces' tokens do not exist for an admin.
    ("DELETE /api/tokens/{id}", [U, A, A, A, A, N, F, F, F, U]),
    ("GET /healthz", [A; 10]),
    ("GET /readyz", [A; 10]),
    ("GET /metrics", [A; 10]),
    ("GET /openapi.json", [A; 10]),
    ("GET /docs", [A; 10]),
];

/// An operation's request, made anew each time on what is there to be changed or deleted.
async fn ask(world: &World, token: &str, operation: &str) -> Answer {
    let (method, path) = operation.split_once(' ').unwrap();
    let path = path.replace("workspaces/{id}", "workspaces/acme").replace("organizations/{id}", "organizations/group");
    let keys = path.split("/{keyId}").next().unwrap().to_owned();
    let (path, body) = match operation {
        "DELETE /api/workspaces/{id}" | "DELETE /api/organizations/{id}" => {
            let doomed = path.replace("acme", "doomed").replace("group", "doomed");
            world.done("PUT", &doomed, json!({})).await;
            (doomed, Value::Null)
        }
        _ if path.ends_with("/byok-keys/resolve") => (path, json!({"providerId": "openai"})),
        _ if path.ends_with("/byok-keys/explain") => (format!("{path}?providerId=openai"), Value::Null),
        _ if path.contains("/{keyId}") => {
            let id = world.keys_at(&keys).await[0]["id"].as_str().unwrap().to_owned();
            let body = match path.rsplit('/').next() {
                Some("test") => Value::Null,
                Some("outcome") => json!({"status": 200}),
                _ => json!({"enabled": true}),
            };
            (path.replace("{keyId}", &id), body)
        }
        _ if path.ends_with("/webhooks") && method == "POST" => (path, json!({"url": "https://example.com/hooks"})),
        _ if path.contains("/{webhookId}") => {
            let webhooks = path.replace("/{webhookId}", "");
            let listed = world.done("GET", &webhooks, Value::Null).await["webhooks"][0]["id"].clone();
            let id = match listed {
                Value::Null => {
                    let made = world.done("POST", &webhooks, json!({"url": "https://example.com/hooks"})).await;
                    made["webhook"]["id"].clone()
                }
                id => id,
            };
            (path.replace("{webhookId}", id.as_str().unwrap()), Value::Null)
        }
        _ if path.ends_with("/portal-links") => (path, json!({"role": "member"})),
        _ if path.contains("/{sessionId}") => {
            let link = world.done("POST", "/api/workspaces/acme/portal-links", json!({"role": "member"})).await;
            let text = link["url"].as_str().unwrap().rsplit('/').next().unwrap().to_owned();
            let session = world.test.app.portal.open("acme", &text, ClientAddress::UNKNOWN).await.unwrap();
            (path.replace("{sessionId}", session.pass.id.as_str()), Value::Null)
        }
        _ if path.ends_with("/byok-keys") && method == "POST" => {
            (path, json!({"providerId": "openai", "apiKey": random_secret()}))
        }
        _ if path.ends_with("/byok-keys") && method == "DELETE" => {
            let id = world.key_at(&keys, "anthropic").await["id"].clone();
            (path, json!({"providerId": "anthropic", "keyId": id}))
        }
        _ if method == "PUT" => (path, json!({"name": "Acme"})),
        "POST /api/tokens" => ("/api/tokens".to_owned(), json!({"name": "a", "role": "member", "workspaceId": "acme"})),
        "DELETE /api/tokens/{id}" => {
            let (_, id) = world.token("member", Some("acme"), json!({})).await;
            (format!("/api/tokens/{id}"), Value::Null)
        }
        _ => {
            assert!(!path.contains('{'), "{operation} needs a request of its own");
            (path, Value::Null)
        }
    };
    world.ask(token, method, &path, body).await
}

#[tokio::test]
async fn every_operation_is_open_to_those_it_names_and_nobody_else() {
    let world = World::new().await;
    let expired = world.expired_token().await;
    let token = async |role, workspace| world.token(role, workspace, json!({})).await.0;
    let revealing = async |role, workspace| world.token(role, workspace, json!({"reveal": true})).await.0;
    let tokens = [
        String::new(),
        world.root.clone(),
        token("service", None).await,
        revealing("service", None).await,
        token("admin", Some("acme")).await,
        token("admin", Some("other")).await,
        token("member", Some("acme")).await,
        token("runtime", Some("acme")).await,
        revealing("runtime", Some("acme")).await,
        expired,
    ];
    for keys in [ACME_KEYS, GROUP_KEYS, PLATFORM_KEYS] {
        world.key_at(keys, "openai").await;
    }

    let document: Value = serde_json::from_str(&claviger_api::openapi_document()).unwrap();
    let mut cases: BTreeMap<&str, &[Class; 10]> = CASES.iter().map(|(name, classes)| (*name, classes)).collect();
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

/// The roles that really may use an operation; none where it is open to everybody. That a token has `reveal` is named
/// only where it matters.
fn roles(classes: &[Class; 10]) -> BTreeSet<String> {
    let class = |who: &str| WHO.iter().zip(classes).find(|(one, _)| **one == who).map(|(_, class)| *class);
    let matters = |who: &str| match who.split_once(' ') {
        None => true,
        Some((role, "with reveal")) => class(role) != Some(A),
        Some(_) => false,
    };
    let open = class("nobody") == Some(A);
    let allowed = WHO.iter().filter(|who| class(who) == Some(A) && matters(who));
    allowed.filter(|_| !open).map(|who| (*who).to_owned()).collect()
}
