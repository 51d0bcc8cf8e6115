//! Workspaces, and how lists come in pages.

use http::StatusCode;
use serde_json::{Value, json};

use crate::world::{ACME_KEYS, World};

#[tokio::test]
async fn a_workspace_is_made_changed_seen_and_deleted() {
    let world = World::new().await;
    let path = "/api/workspaces/team:1.eu_a-b";
    let made = world.done("PUT", path, json!({"name": " Team "})).await;
    let expected = json!({"workspace": {
        "id": "team:1.eu_a-b", "name": "Team", "organizationId": null, "createdAt": "2026-01-01T00:00:00.000Z",
    }});
    assert_eq!(made, expected);
    assert_eq!(world.done("GET", path, Value::Null).await, expected);
    assert_eq!(world.done("PUT", path, json!({"organizationId": null})).await, expected);
    for clear in [json!({"name": null}), json!({"name": "  "})] {
        world.done("PUT", path, json!({"name": "Team"})).await;
        assert_eq!(world.done("PUT", path, clear).await["workspace"]["name"], Value::Null);
    }
    assert_eq!(world.done("DELETE", path, Value::Null).await, json!({"success": true}));
    for method in ["GET", "DELETE"] {
        world.ask(&world.root, method, path, Value::Null).await.assert_refused(404, "unknown_workspace", None);
    }
}

#[tokio::test]
async fn a_deleted_workspace_takes_its_keys_and_tokens_along() {
    let world = World::new().await;
    world.key("openai").await;
    let (admin, id) = world.token("admin", Some("acme"), json!({})).await;
    world.done("DELETE", "/api/workspaces/acme", Value::Null).await;
    world.ask(&admin, "GET", ACME_KEYS, Value::Null).await.assert_refused(401, "token_invalid", None);
    let token = format!("/api/tokens/{id}");
    world.ask(&world.root, "DELETE", &token, Value::Null).await.assert_refused(404, "unknown_token", None);
    world.done("PUT", "/api/workspaces/acme", json!({})).await;
    assert_eq!(world.keys().await, [Value::Null; 0]);
}

#[tokio::test]
async fn what_is_no_workspace_is_refused() {
    let world = World::new().await;
    for (body, code, field) in [
        (json!({"name": "x".repeat(121)}), "invalid_input", "name"),
        (json!({"name": 1}), "invalid_input", "name"),
        (json!({"organizationId": "org"}), "unknown_organization", "organizationId"),
        (json!({"organizationId": ["org"]}), "invalid_input", "organizationId"),
        (json!({"organizationId": "a/b"}), "invalid_input", "organizationId"),
        (json!({"organizationId": ""}), "invalid_input", "organizationId"),
        (json!({"id": "new"}), "unknown_field", "id"),
    ] {
        world.ask(&world.root, "PUT", "/api/workspaces/new", body).await.assert_refused(400, code, Some(field));
    }
    world.ask(&world.root, "GET", "/api/workspaces/new", Value::Null).await.assert_refused(
        404,
        "unknown_workspace",
        None,
    );
}

#[tokio::test]
async fn an_id_that_cannot_be_one_is_refused_after_the_token() {
    let world = World::new().await;
    let (admin, _) = world.token("admin", Some("acme"), json!({})).await;
    let too_long = "x".repeat(129);
    for id in ["a%2Fb", "acme%2F", "a%20b", "%C3%BC", "%ff", "a%00", "..%2Facme", too_long.as_str()] {
        for (method, rest) in [("GET", ""), ("PUT", ""), ("DELETE", ""), ("GET", "/byok-keys"), ("POST", "/byok-keys")]
        {
            let path = format!("/api/workspaces/{id}{rest}");
            let asked = async |token: &str| world.ask(token, method, &path, Value::Null).await;
            asked(&world.root).await.assert_refused(400, "invalid_input", Some("id"));
            asked("nonsense").await.assert_refused(401, "token_invalid", None);
            asked(&admin).await.assert_refused(403, "forbidden", None);
        }
    }
    let path = "/api/workspaces/a/b";
    world.ask(&world.root, "GET", path, Value::Null).await.assert_refused(404, "not_found", None);
}

#[tokio::test]
async fn lists_come_in_pages_to_the_last() {
    let world = World::new().await;
    for id in ["b", "c", "d"] {
        world.done("PUT", &format!("/api/workspaces/{id}"), json!({})).await;
    }
    let mut seen = Vec::new();
    let mut path = "/api/workspaces?limit=2".to_owned();
    let mut pages = 0;
    loop {
        let page = world.done("GET", &path, Value::Null).await;
        seen.extend(page["workspaces"].as_array().unwrap().iter().map(|one| one["id"].as_str().unwrap().to_owned()));
        pages += 1;
        let Some(cursor) = page["nextCursor"].as_str() else {
            assert_eq!(page["nextCursor"], Value::Null);
            break;
        };
        path = format!("/api/workspaces?cursor={cursor}&limit=2");
    }
    assert_eq!((pages, seen), (3, ["acme", "b", "c", "d", "other"].map(str::to_owned).to_vec()));
    // A page that is exactly full is still the last.
    assert_eq!(world.done("GET", "/api/workspaces?limit=5", Value::Null).await["nextCursor"], Value::Null);
    let tokens = [world.token("service", None, json!({})).await.1, world.token("service", None, json!({})).await.1];
    let page = world.done("GET", "/api/tokens?limit=1", Value::Null).await;
    let first = page["nextCursor"].as_str().unwrap();
    assert_eq!(Some(first), tokens.iter().min().map(String::as_str));
    let page = world.done("GET", &format!("/api/tokens?limit=1&cursor={first}"), Value::Null).await;
    assert_eq!(page["tokens"][0]["id"].as_str(), tokens.iter().max().map(String::as_str));
    assert_eq!(page["nextCursor"], Value::Null);
}

#[tokio::test]
async fn a_page_that_cannot_be_is_refused() {
    let world = World::new().await;
    for (query, field) in [
        ("limit=0", "limit"),
        ("limit=201", "limit"),
        ("limit=-1", "limit"),
        ("limit=%2B5", "limit"),
        ("limit=ten", "limit"),
        ("limit=", "limit"),
        ("limit=4294967297", "limit"),
        ("limit=1&limit=2", "limit"),
        ("cursor=", "cursor"),
        ("cursor=a%2Fb", "cursor"),
        ("cursor=a&cursor=b", "cursor"),
    ] {
        for path in ["/api/workspaces", "/api/tokens"] {
            let path = format!("{path}?{query}");
            let answer = world.ask(&world.root, "GET", &path, Value::Null).await;
            answer.assert_refused(400, "invalid_input", Some(field));
        }
    }
    for limit in ["1", "200"] {
        let path = format!("/api/workspaces?limit={limit}");
        assert_eq!(world.ask(&world.root, "GET", &path, Value::Null).await.status, StatusCode::OK);
    }
}
