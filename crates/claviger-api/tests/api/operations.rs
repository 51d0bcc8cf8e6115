//! What needs no token, and what holds for every answer.

use std::collections::BTreeSet;

use axum::body::Body;
use http::{Request, StatusCode};
use serde_json::{Value, json};

use crate::world::{Answer, World};

async fn get(world: &World, path: &str) -> Answer {
    world.send(Request::builder().uri(path).body(Body::empty()).unwrap()).await
}

#[tokio::test]
async fn operations_answer_without_a_token() {
    let world = World::new().await;
    assert_eq!(get(&world, "/healthz").await.json(), json!({"status": "ok"}));
    assert_eq!(get(&world, "/readyz").await.json(), json!({"status": "ready"}));
    let metrics = get(&world, "/metrics").await;
    assert_eq!(metrics.text, "claviger_up 1\n");
    assert!(
        metrics.headers["content-type"].to_str().unwrap().starts_with("application/openmetrics-text; version=1.0.0")
    );
    let document = get(&world, "/openapi.json").await;
    assert_eq!(document.headers["content-type"], "application/json");
    assert_eq!(document.text, claviger_api::openapi_document());
}

#[tokio::test]
async fn the_page_of_the_document_is_complete_and_runs_nothing() {
    let world = World::new().await;
    let page = get(&world, "/docs").await;
    assert_eq!(page.headers["content-type"], "text/html; charset=utf-8");
    assert!(
        page.headers["content-security-policy"].to_str().unwrap().starts_with("default-src 'none'; style-src 'self';")
    );
    for forbidden in ["<script", "style=\"", "<style", "http://", "https://", "src="] {
        assert!(!page.text.contains(forbidden), "{forbidden}");
    }
    let document: Value = serde_json::from_str(&claviger_api::openapi_document()).unwrap();
    for operation in document["paths"].as_object().unwrap().values().flat_map(|item| item.as_object().unwrap().values())
    {
        let id = operation["operationId"].as_str().unwrap();
        assert!(page.text.contains(&format!("<article id=\"{id}\">")), "{id}");
    }
    assert!(page.text.contains("<code>apiKey</code>"));
    assert!(page.text.contains("<code>keys[].maskedKey</code>"));
    let style = get(&world, "/docs/style.css").await;
    assert_eq!(
        (style.status, style.headers["content-type"].to_str().unwrap()),
        (StatusCode::OK, "text/css; charset=utf-8")
    );
}

#[tokio::test]
async fn a_path_that_leads_nowhere_and_a_method_that_is_not_taken_are_told_apart() {
    let world = World::new().await;
    for path in [
        "/",
        "/api",
        "/api/nothing",
        "/api/workspaces/",
        "/api/workspaces/acme/byok-keys/",
        "/api/platform",
        "/docs/",
        "/index.html",
    ] {
        get(&world, path).await.assert_refused(404, "not_found", None);
    }
    for (method, path, allowed) in [
        ("POST", "/api/workspaces", &["GET"][..]),
        ("PATCH", "/api/workspaces/acme", &["PUT", "GET", "DELETE"]),
        ("PUT", "/api/workspaces/acme/byok-keys", &["GET", "POST", "DELETE"]),
        ("PATCH", "/api/workspaces/acme/byok-keys/resolve", &["POST"]),
        ("PATCH", "/api/workspaces/acme/byok-keys/inherited-status", &["GET"]),
        ("GET", "/api/workspaces/acme/byok-keys/key_1/outcome", &["POST"]),
        ("POST", "/api/organizations/group/byok-keys/resolve", &["PATCH"]),
        ("PUT", "/api/platform/byok-keys", &["GET", "POST", "DELETE"]),
        ("GET", "/api/tokens/abc", &["DELETE"]),
        ("POST", "/healthz", &["GET"]),
    ] {
        let answer = world.ask(&world.root, method, path, Value::Null).await;
        answer.assert_refused(405, "method_not_allowed", None);
        let listed = answer.headers["allow"].to_str().unwrap();
        assert!(allowed.iter().all(|method| listed.split(',').any(|one| one == *method)), "{path}: {listed}");
    }
}

#[tokio::test]
async fn nothing_of_the_api_may_be_kept_by_anybody() {
    let world = World::new().await;
    for path in ["/api/providers", "/api/workspaces", "/api/nothing", "/api/workspaces/nowhere"] {
        for token in [world.root.as_str(), "nonsense"] {
            let answer = world.ask(token, "GET", path, Value::Null).await;
            assert_eq!(answer.headers["cache-control"], "no-store", "{path}");
            assert_eq!(answer.headers["content-type"], "application/json", "{path}");
        }
    }
}

#[tokio::test]
async fn the_catalogue_is_shown_without_urls_and_secrets() {
    let world = World::new().await;
    let (runtime, _) = world.token("runtime", Some("acme"), json!({})).await;
    let answer = world.ask(&runtime, "GET", "/api/providers", Value::Null).await.json();
    let providers = answer["providers"].as_array().unwrap();
    assert_eq!(providers.len(), world.test.app.catalogue.iter().count());
    for (shown, provider) in providers.iter().zip(world.test.app.catalogue.iter()) {
        let names: BTreeSet<_> = shown.as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(Vec::from_iter(names), ["description", "id", "name", "origins", "placeholder", "section"]);
        assert_eq!(shown["id"], provider.id.as_str());
        let defaults: Vec<_> = shown["origins"].as_array().unwrap().iter().map(|one| one["default"].clone()).collect();
        assert_eq!(defaults[0], true);
        assert!(defaults[1..].iter().all(|default| default == false));
        for (shown, origin) in shown["origins"].as_array().unwrap().iter().zip(&provider.origins) {
            assert_eq!(shown["alias"], origin.alias.as_str());
            assert_eq!(shown["paths"], json!(origin.paths));
            assert_eq!(shown.get("note"), origin.note.as_ref().map(|note| json!(note)).as_ref());
            assert_eq!(shown.get("url"), None);
        }
    }
}
