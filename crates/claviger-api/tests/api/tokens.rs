//! Tokens: made, seen, deleted, and shown in the right place.

use claviger_app::ClientAddress;
use claviger_testkit::TestSettings;
use http::{Request, StatusCode};
use serde_json::{Value, json};

use crate::world::{ACME_KEYS, World, with_token};

#[tokio::test]
async fn a_made_token_is_shown_once_and_works() {
    let world = World::new().await;
    let body = json!({
        "name": " CI ", "role": "runtime", "workspaceId": "acme", "reveal": true,
        "expiresAt": "2030-01-31T13:00:00+01:00",
    });
    let answer = world.ask(&world.root, "POST", "/api/tokens", body).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
    assert_eq!(answer.headers["cache-control"], "no-store");
    let mut made = answer.json();
    let token = made.as_object_mut().unwrap().remove("token").unwrap();
    let token = token.as_str().unwrap();
    assert!(token.starts_with(&format!("clv_{}_", made["id"].as_str().unwrap())));
    let shown = json!({
        "id": made["id"], "name": "CI", "role": "runtime", "workspaceId": "acme", "reveal": true,
        "expiresAt": "2030-01-31T12:00:00.000Z", "createdAt": "2026-01-01T00:00:00.000Z",
    });
    assert_eq!(made, shown);
    let listed = world.done("GET", "/api/tokens", Value::Null).await;
    assert_eq!(listed, json!({"tokens": [shown], "nextCursor": null}));
    assert_eq!(world.ask(token, "GET", "/api/providers", Value::Null).await.status, StatusCode::OK);

    let path = format!("/api/tokens/{}", made["id"].as_str().unwrap());
    assert_eq!(world.done("DELETE", &path, Value::Null).await, json!({"success": true}));
    world.ask(token, "GET", "/api/providers", Value::Null).await.assert_refused(401, "token_invalid", None);
    world.ask(&world.root, "DELETE", &path, Value::Null).await.assert_refused(404, "unknown_token", None);
    for id in ["nonsense", "a%2Fb", "%ff"] {
        let path = format!("/api/tokens/{id}");
        world.ask(&world.root, "DELETE", &path, Value::Null).await.assert_refused(404, "unknown_token", None);
    }
}

#[tokio::test]
async fn what_is_no_token_is_refused() {
    let world = World::new().await;
    let member = |rest: Value| {
        let mut body = json!({"name": "a", "role": "member", "workspaceId": "acme"});
        body.as_object_mut().unwrap().extend(rest.as_object().cloned().unwrap());
        body
    };
    for (body, field) in [
        (member(json!({"name": " "})), "name"),
        (member(json!({"name": "x".repeat(121)})), "name"),
        (member(json!({"name": "a\nb"})), "name"),
        (member(json!({"name": null})), "name"),
        (json!({"role": "service"}), "name"),
        (json!({"name": "a"}), "role"),
        (member(json!({"role": "root"})), "role"),
        (member(json!({"role": "Admin"})), "role"),
        (member(json!({"role": {"service": null}})), "role"),
        (member(json!({"role": "service"})), "workspaceId"),
        (member(json!({"workspaceId": null})), "workspaceId"),
        (member(json!({"workspaceId": "a/b"})), "workspaceId"),
        (member(json!({"reveal": true})), "reveal"),
        (member(json!({"role": "admin", "reveal": true})), "reveal"),
        (member(json!({"reveal": "yes"})), "reveal"),
        (member(json!({"expiresAt": "tomorrow"})), "expiresAt"),
        (member(json!({"expiresAt": 1_893_456_000})), "expiresAt"),
        (member(json!({"expiresAt": "2026-01-01T00:00:00Z"})), "expiresAt"),
    ] {
        let answer = world.ask(&world.root, "POST", "/api/tokens", body.clone()).await;
        assert_eq!(answer.refusal(), (400, "invalid_input".to_owned(), Some(field.to_owned())), "{body}");
    }
    let elsewhere = world.ask(&world.root, "POST", "/api/tokens", member(json!({"workspaceId": "nowhere"}))).await;
    elsewhere.assert_refused(404, "unknown_workspace", None);
    let listed = world.done("GET", "/api/tokens", Value::Null).await;
    assert_eq!(listed["tokens"], json!([]));
}

#[tokio::test]
async fn who_makes_a_token_gives_no_more_than_they_have() {
    let world = World::new().await;
    let (service, _) = world.token("service", None, json!({})).await;
    let (revealing, _) = world.token("service", None, json!({"reveal": true})).await;
    let (admin, _) = world.token("admin", Some("acme"), json!({})).await;
    let runtime = |workspace: Value, reveal: bool| {
        let mut body = json!({"name": "a", "role": "runtime", "reveal": reveal});
        body["workspaceId"] = workspace;
        body
    };
    for (token, body) in [
        (&service, json!({"name": "a", "role": "service"})),
        (&admin, json!({"name": "a", "role": "service"})),
        (&admin, runtime(json!("other"), false)),
        (&admin, runtime(json!("nowhere"), false)),
        (&admin, runtime(json!("acme"), true)),
        (&service, runtime(json!("acme"), true)),
    ] {
        world.ask(token, "POST", "/api/tokens", body).await.assert_refused(403, "forbidden", None);
    }
    assert_eq!(world.ask(&revealing, "POST", "/api/tokens", runtime(json!("acme"), true)).await.status, StatusCode::OK);
    let own = world.ask(&admin, "POST", "/api/tokens", runtime(Value::Null, false)).await;
    assert_eq!(own.json()["workspaceId"], "acme", "{}", own.text);
}

#[tokio::test]
async fn an_admin_sees_and_deletes_its_own_workspaces_tokens_only() {
    let world = World::new().await;
    let (admin, admin_id) = world.token("admin", Some("acme"), json!({})).await;
    let (_, other) = world.token("member", Some("other"), json!({})).await;
    let (service, service_id) = world.token("service", None, json!({})).await;
    let listed = world.ask(&admin, "GET", "/api/tokens", Value::Null).await.json();
    assert_eq!(listed["tokens"].as_array().unwrap().len(), 1);
    assert_eq!(listed["tokens"][0]["id"], admin_id);
    for id in [&other, &service_id] {
        let path = format!("/api/tokens/{id}");
        world.ask(&admin, "DELETE", &path, Value::Null).await.assert_refused(404, "unknown_token", None);
    }
    let path = format!("/api/tokens/{service_id}");
    world.ask(&service, "DELETE", &path, Value::Null).await.assert_refused(403, "forbidden", None);
}

#[tokio::test]
async fn a_token_that_is_not_right_is_told_apart_from_none() {
    let world = World::new().await;
    let (good, _) = world.token("admin", Some("acme"), json!({})).await;
    let expired = world.expired_token().await;
    let mistyped = good.replace(good.chars().last().unwrap(), "0");
    for (token, code) in [
        (expired.as_str(), "token_expired"),
        (&good[..good.len() - 1], "token_invalid"),
        (&good[..good.len() / 2], "token_invalid"),
        (&mistyped, "token_invalid"),
        (&good.to_uppercase(), "token_invalid"),
        ("clv_", "token_invalid"),
        ("\u{e9}", "token_invalid"),
        ("", "token_missing"),
    ] {
        let answer = world.ask(token, "GET", ACME_KEYS, Value::Null).await;
        answer.assert_refused(401, code, None);
        assert_eq!(answer.headers["www-authenticate"], "Bearer");
    }
}

#[tokio::test]
async fn a_token_counts_only_in_its_place() {
    let world = World::new().await;
    let (good, _) = world.token("admin", Some("acme"), json!({})).await;
    let asked = async |path: &str, header: Option<(&str, &str)>| {
        let mut request = Request::builder().uri(path);
        if let Some((name, value)) = header {
            request = request.header(name, value);
        }
        world.send(request.body(axum::body::Body::empty()).unwrap()).await
    };
    let query = format!("{ACME_KEYS}?key={good}&token={good}&access_token={good}");
    let basic = format!("Basic {good}");
    let cookie = format!("token={good}");
    for answer in [
        asked(ACME_KEYS, None).await,
        asked(&query, None).await,
        asked(ACME_KEYS, Some(("x-api-key", &good))).await,
        asked(ACME_KEYS, Some(("x-goog-api-key", &good))).await,
        asked(ACME_KEYS, Some(("cookie", &cookie))).await,
        asked(ACME_KEYS, Some(("authorization", &good))).await,
        asked(ACME_KEYS, Some(("authorization", &basic))).await,
        asked(ACME_KEYS, Some(("authorization", "Bearer"))).await,
    ] {
        answer.assert_refused(401, "token_missing", None);
        assert!(answer.text.contains("Authorization: Bearer"), "{}", answer.text);
        assert_eq!(answer.headers["www-authenticate"], "Bearer");
    }
    let scheme = format!("bEARER   {good} ");
    assert_eq!(asked(ACME_KEYS, Some(("authorization", &scheme))).await.status, StatusCode::OK);
    let twice = with_token("GET", ACME_KEYS, &good).header("authorization", format!("Bearer {good}"));
    let twice = world.send(twice.body(axum::body::Body::empty()).unwrap()).await;
    twice.assert_refused(401, "token_invalid", None);
}

#[tokio::test]
async fn too_many_bad_tokens_are_told_to_wait_and_good_ones_go_on() {
    let world = World::with(TestSettings { bad_token_limit: 2, ..TestSettings::default() }).await;
    let (good, _) = world.token("admin", Some("acme"), json!({})).await;
    let asked = async |token: &str, address: &str| {
        let mut request = with_token("GET", ACME_KEYS, token).body(axum::body::Body::empty()).unwrap();
        request.extensions_mut().insert(ClientAddress(address.parse().unwrap()));
        world.send(request).await
    };
    let (here, there) = ("203.0.113.9", "203.0.113.10");
    assert_eq!(asked(&good, here).await.status, StatusCode::OK);
    for _ in 0..2 {
        asked("nonsense", here).await.assert_refused(401, "token_invalid", None);
    }
    let refused = asked("nonsense", here).await;
    refused.assert_refused(429, "too_many_attempts", None);
    assert_eq!(refused.headers["retry-after"], "30");
    assert_eq!(asked(&good, here).await.status, StatusCode::OK);
    asked("nonsense", there).await.assert_refused(401, "token_invalid", None);
}
