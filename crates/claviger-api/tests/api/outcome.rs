//! How a key fared that was handed out.

use claviger_app::keyring::Rotation;
use claviger_testkit::TestSettings;
use serde_json::{Value, json};

use crate::world::{ACME_KEYS, GROUP_KEYS, PLATFORM_KEYS, World};

async fn world(platform_fallback: bool) -> (World, String) {
    let rotation = Rotation { coordination: None, random_start: false, platform_fallback };
    let world = World::with(TestSettings { rotation, ..TestSettings::default() }).await;
    let (token, _) = world.token("service", None, json!({"reveal": true})).await;
    (world, token)
}

fn path(id: &Value) -> String {
    format!("{ACME_KEYS}/{}/outcome", id.as_str().unwrap())
}

/// How often leases of a provider's keys ended so.
fn count(world: &World, provider: &str, class: &str) -> u64 {
    let counts = world.test.app.keyring.counts().find(|(id, _)| id.as_str() == provider).unwrap().1;
    counts.by_class().find(|(name, _)| *name == class).unwrap().1
}

#[tokio::test]
async fn an_outcome_is_counted_by_its_status() {
    let (world, token) = world(false).await;
    let id = world.key("openai").await["id"].clone();
    for (body, class) in [
        (json!({"status": 200}), "ok"),
        (json!({"status": 100}), "ok"),
        (json!({"status": 429, "retryAfter": "2", "body": {"error": {"type": "rate_limit"}}}), "rate_limited"),
        (json!({"status": 500, "retryAfter": 2, "body": "no JSON object"}), "overloaded"),
        (json!({"status": 599, "retryAfter": 1.5, "body": [1, null]}), "overloaded"),
        (json!({"status": 302, "retryAfter": null, "body": null}), "ok"),
        (json!({"status": 200, "retryAfter": "é".repeat(64), "body": true}), "ok"),
    ] {
        let before = count(&world, "openai", class);
        let answer = world.ask(&token, "POST", &path(&id), body).await;
        assert_eq!(answer.json(), json!({"success": true}), "{}", answer.text);
        assert_eq!(count(&world, "openai", class), before + 1, "{class}");
    }
}

#[tokio::test]
async fn what_is_no_outcome_is_refused() {
    let (world, token) = world(false).await;
    let id = world.key("openai").await["id"].clone();
    for (body, field) in [
        (json!({"status": 0}), "status"),
        (json!({"status": 99}), "status"),
        (json!({"status": 600}), "status"),
        (json!({"status": 65_736}), "status"),
        (json!({"status": -200}), "status"),
        (json!({"status": 200.0}), "status"),
        (json!({"status": "200"}), "status"),
        (json!({"status": null}), "status"),
        (json!({}), "status"),
        (json!({"status": 429, "retryAfter": "x".repeat(65)}), "retryAfter"),
        (json!({"status": 429, "retryAfter": ["2"]}), "retryAfter"),
        (json!({"status": 429, "retryAfter": true}), "retryAfter"),
    ] {
        let answer = world.ask(&token, "POST", &path(&id), body).await;
        answer.assert_refused(400, "invalid_input", Some(field));
    }
    let answer = world.ask(&token, "POST", &path(&id), json!({"status": 0})).await;
    assert!(answer.text.contains("status must be an integer from 100 to 599"), "{}", answer.text);
    let sum: u64 =
        ["ok", "request_error", "rate_limited", "key_invalid"].map(|c| count(&world, "openai", c)).iter().sum();
    assert_eq!(sum, 0);
}

#[tokio::test]
async fn an_outcome_is_of_a_key_that_may_serve_the_workspace() {
    let (world, token) = world(true).await;
    let own = world.key("openai").await["id"].clone();
    let group = world.key_at(GROUP_KEYS, "anthropic").await["id"].clone();
    let platform = world.key_at(PLATFORM_KEYS, "exa").await["id"].clone();
    let others = world.key_at("/api/workspaces/other/byok-keys", "openai").await["id"].clone();
    let ok = json!({"status": 200});
    let tell = async |id: &Value| world.ask(&token, "POST", &path(id), ok.clone()).await;
    for id in [&group, &others, &json!("key_01ARZ3NDEKTSV4RRFFQ69G5FAV"), &json!("resolve"), &json!("nonsense")] {
        tell(id).await.assert_refused(404, "unknown_key", None);
    }
    world.join_group().await;
    for (id, provider) in [(&own, "openai"), (&group, "anthropic"), (&platform, "exa")] {
        assert_eq!(tell(id).await.json(), json!({"success": true}));
        assert_eq!(count(&world, provider, "ok"), 1);
    }
    let nowhere = path(&own).replace("acme", "nowhere");
    world.ask(&token, "POST", &nowhere, ok.clone()).await.assert_refused(404, "unknown_workspace", None);
    world.ask(&world.root, "POST", &path(&own), ok).await.assert_refused(403, "forbidden", None);
}

#[tokio::test]
async fn the_platforms_keys_do_not_serve_where_the_operator_does_not_lend() {
    let (world, token) = world(false).await;
    let platform = world.key_at(PLATFORM_KEYS, "openai").await["id"].clone();
    let answer = world.ask(&token, "POST", &path(&platform), json!({"status": 200})).await;
    answer.assert_refused(404, "unknown_key", None);
}
