//! Webhooks: made, seen, deleted.

use std::sync::Arc;

use async_trait::async_trait;
use claviger_app::webhooks::{Courier, CourierError};
use claviger_core::net::Reach;
use claviger_core::webhook::WebhookUrl;
use claviger_testkit::TestSettings;
use http::StatusCode;
use serde_json::{Value, json};

use crate::world::World;

const WEBHOOKS: &str = "/api/workspaces/acme/webhooks";
const URL: &str = "https://example.com/hooks?from=claviger";

/// Goes to one internal host, and carries nothing.
#[derive(Debug)]
struct Idle(Reach);

#[async_trait]
impl Courier for Idle {
    fn reach(&self) -> &Reach {
        &self.0
    }

    async fn send(&self, _: &WebhookUrl, _: &[(&'static str, String)], _: String) -> Result<u16, CourierError> {
        Err(CourierError::Unreachable)
    }
}

#[tokio::test]
async fn a_made_webhook_is_listed_without_its_secret_until_it_is_deleted() {
    let world = World::new().await;
    let body = json!({"url": URL, "events": ["pool.unavailable", "key.rejected", "key.rejected"]});
    let answer = world.ask(&world.root, "POST", WEBHOOKS, body).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
    assert_eq!(answer.headers["cache-control"], "no-store");
    let made = answer.json();
    let secret = made["secret"].as_str().unwrap();
    assert_eq!((secret.get(..6), secret.len()), (Some("whsec_"), 50));
    let shown = json!({
        "id": made["webhook"]["id"], "url": URL, "events": ["key.rejected", "pool.unavailable"],
        "createdAt": "2026-01-01T00:00:00.000Z", "createdBy": null,
    });
    assert_eq!(made["webhook"], shown);
    assert!(shown["id"].as_str().unwrap().starts_with("wh_"));
    let listed = world.ask(&world.root, "GET", WEBHOOKS, Value::Null).await;
    assert_eq!(listed.json(), json!({"webhooks": [shown]}));
    assert!(!listed.text.contains("whsec_") && !listed.text.contains(&secret[6..]));
    assert_eq!(world.done("GET", "/api/workspaces/other/webhooks", Value::Null).await, json!({"webhooks": []}));

    let id = shown["id"].as_str().unwrap();
    let elsewhere = format!("/api/workspaces/other/webhooks/{id}");
    world.ask(&world.root, "DELETE", &elsewhere, Value::Null).await.assert_refused(404, "unknown_webhook", None);
    let path = format!("{WEBHOOKS}/{id}");
    assert_eq!(world.done("DELETE", &path, Value::Null).await, json!({"success": true}));
    world.ask(&world.root, "DELETE", &path, Value::Null).await.assert_refused(404, "unknown_webhook", None);
    assert_eq!(world.done("GET", WEBHOOKS, Value::Null).await, json!({"webhooks": []}));
}

#[tokio::test]
async fn a_webhook_names_who_made_it_and_no_events_are_all() {
    let world = World::new().await;
    let (admin, id) = world.token("admin", Some("acme"), json!({})).await;
    for events in [json!({}), json!({"events": null}), json!({"events": []})] {
        let mut body = json!({"url": URL});
        body.as_object_mut().unwrap().extend(events.as_object().cloned().unwrap());
        let made = world.ask(&admin, "POST", WEBHOOKS, body).await.json();
        assert_eq!(made["webhook"]["events"], json!([]));
        assert_eq!(made["webhook"]["createdBy"], format!("token:{id}"));
    }
}

#[tokio::test]
async fn an_address_that_is_none_or_internal_is_refused_and_not_repeated() {
    let world = World::new().await;
    let long = format!("https://example.com/{}", "x".repeat(2_048));
    for url in [
        "",
        "example.com/hidden",
        "ftp://example.com/hidden",
        "http://example.com/hidden",
        "https://user:hidden@example.com/",
        "https://example.com/#hidden",
        "https://example.com:0/hidden",
        "https://127.0.0.1/hidden",
        "https://127.1/hidden",
        "https://localhost/hidden",
        "https://10.0.0.5/hidden",
        "https://169.254.169.254/hidden",
        "https://[::1]/hidden",
        "https://[::ffff:10.0.0.5]/hidden",
        "https://[64:ff9b::7f00:1]/hidden",
        &long,
    ] {
        let answer = world.ask(&world.root, "POST", WEBHOOKS, json!({"url": url})).await;
        answer.assert_refused(400, "invalid_url", Some("url"));
        assert!(!answer.text.contains("hidden"), "{}", answer.text);
    }
    for (body, field) in [
        (json!({}), "url"),
        (json!({"url": 1}), "url"),
        (json!({"url": URL, "events": "key.rejected"}), "events"),
        (json!({"url": URL, "events": ["key.rejected", "key.deleted"]}), "events"),
    ] {
        world.ask(&world.root, "POST", WEBHOOKS, body).await.assert_refused(400, "invalid_input", Some(field));
    }
    assert_eq!(world.done("GET", WEBHOOKS, Value::Null).await, json!({"webhooks": []}));
}

#[tokio::test]
async fn a_host_that_the_operator_lists_may_be_internal_and_without_tls() {
    let courier: Arc<dyn Courier> = Arc::new(Idle(Reach::new(["10.0.0.5:8080"]).unwrap()));
    let world = World::with(TestSettings { courier: Some(courier), ..TestSettings::default() }).await;
    world.done("POST", WEBHOOKS, json!({"url": "http://10.0.0.5:8080/hooks"})).await;
    for url in ["http://10.0.0.5/hooks", "https://10.0.0.6:8080/hooks"] {
        let answer = world.ask(&world.root, "POST", WEBHOOKS, json!({"url": url})).await;
        answer.assert_refused(400, "invalid_url", Some("url"));
    }
}

#[tokio::test]
async fn a_workspace_has_ten_webhooks_at_most() {
    let world = World::new().await;
    for _ in 0..10 {
        world.done("POST", WEBHOOKS, json!({"url": URL})).await;
    }
    let eleventh = world.ask(&world.root, "POST", WEBHOOKS, json!({"url": URL})).await;
    eleventh.assert_refused(400, "webhook_limit_reached", None);
    world.done("POST", "/api/workspaces/other/webhooks", json!({"url": URL})).await;
}

#[tokio::test]
async fn what_is_not_there_has_no_webhooks() {
    let world = World::new().await;
    let nowhere = "/api/workspaces/nowhere/webhooks";
    let id = world.done("POST", WEBHOOKS, json!({"url": URL})).await["webhook"]["id"].clone();
    let one = format!("{nowhere}/{}", id.as_str().unwrap());
    for (method, path, body) in
        [("GET", nowhere, Value::Null), ("POST", nowhere, json!({"url": URL})), ("DELETE", &one, Value::Null)]
    {
        world.ask(&world.root, method, path, body).await.assert_refused(404, "unknown_workspace", None);
    }
    for id in ["nonsense", "a%2Fb"] {
        let path = format!("{WEBHOOKS}/{id}");
        world.ask(&world.root, "DELETE", &path, Value::Null).await.assert_refused(404, "unknown_webhook", None);
    }
    for path in ["/api/organizations/group/webhooks", "/api/platform/webhooks"] {
        world.ask(&world.root, "GET", path, Value::Null).await.assert_refused(404, "not_found", None);
    }
}
