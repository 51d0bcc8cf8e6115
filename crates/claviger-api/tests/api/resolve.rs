//! Keys handed out in plain text: which, to whom, and how.

use claviger_app::KeyReplacement;
use claviger_app::keyring::Rotation;
use claviger_core::owner::PoolId;
use claviger_core::{Owner, Timestamp};
use claviger_testkit::{TestSettings, answered, random_secret, somebody};
use http::StatusCode;
use serde_json::{Value, json};

use crate::log::Log;
use crate::world::{ACME_KEYS, Answer, GROUP_KEYS, PLATFORM_KEYS, World};

/// A world, and a token of `acme` that may see keys in plain text.
async fn world(platform_fallback: bool) -> (World, String) {
    let rotation = Rotation { coordination: None, random_start: false, platform_fallback };
    let world = World::with(TestSettings { rotation, ..TestSettings::default() }).await;
    let (token, _) = world.token("runtime", Some("acme"), json!({"reveal": true})).await;
    (world, token)
}

async fn resolve(world: &World, token: &str) -> Answer {
    world.ask(token, "POST", &format!("{ACME_KEYS}/resolve"), json!({"providerId": "openai"})).await
}

/// Adds a key with a secret that JSON must escape.
async fn known_key(world: &World, keys: &str) -> (Value, String) {
    let secret = format!("{}\"\\", random_secret());
    let added = world.done("POST", keys, json!({"providerId": "openai", "apiKey": secret})).await;
    (added["key"]["id"].clone(), secret)
}

async fn switch(world: &World, keys: &str, id: &Value, enabled: bool) {
    world.done("PATCH", &format!("{keys}/{}", id.as_str().unwrap()), json!({"enabled": enabled})).await;
}

/// Damages `acme`'s only key where it is stored, as a broken disk would.
async fn damage(world: &World) {
    let pool = PoolId { owner: Owner::Workspace("acme".parse().unwrap()), provider: "openai".parse().unwrap() };
    let record = world.test.store.pool(&pool).await.unwrap();
    let key = &record.keys[0];
    let mut sealed = key.sealed.clone();
    *sealed.last_mut().unwrap() ^= 1;
    let replacement = KeyReplacement {
        name: None,
        masked: "damaged".to_owned(),
        sealed,
        fingerprint: [0; 32],
        domain: None,
        at: Timestamp::from_millis(0),
        data_key: record.data_key.clone().unwrap(),
    };
    world.test.store.replace_key(&pool, &key.id, &replacement, &somebody()).await.unwrap();
    // Went past the use cases, as another process's change would; this one tells of it.
    switch(world, ACME_KEYS, &json!(key.id), true).await;
}

#[tokio::test]
async fn a_key_is_handed_out_in_plain_text_and_nobody_may_keep_the_answer() {
    let (world, token) = world(false).await;
    let (id, secret) = known_key(&world, ACME_KEYS).await;
    let (service, _) = world.token("service", None, json!({"reveal": true})).await;
    for token in [&token, &service] {
        let answer = resolve(&world, token).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
        assert_eq!(answer.headers["cache-control"], "no-store");
        assert_eq!(answer.headers["content-type"], "application/json");
        let expected = json!({"apiKey": secret, "keyId": id, "isBYOK": true, "scope": "workspace"});
        assert_eq!(answer.json(), expected);
    }
    assert_eq!(world.keys().await[0]["lastUsedAt"], "2026-01-01T00:00:00.000Z");
}

#[tokio::test]
async fn handing_out_and_the_gateway_share_one_rotation() {
    let (world, token) = world(false).await;
    let mut ids = Vec::new();
    for _ in 0..3 {
        ids.push(world.key("openai").await["id"].clone());
    }
    let (acme, openai) = ("acme".parse().unwrap(), "openai".parse().unwrap());
    for turn in 0..12 {
        let id = if turn % 4 == 1 {
            let (_secret, lease) = world.test.app.keyring.lease(&acme, &openai).await.unwrap();
            let id = json!(lease.key_id());
            lease.end(answered(200));
            id
        } else {
            resolve(&world, &token).await.json()["keyId"].clone()
        };
        assert_eq!(id, ids[turn % 3], "{turn}");
    }
}

#[tokio::test]
async fn a_refused_request_takes_no_turn() {
    let (world, token) = world(false).await;
    let first = world.key("openai").await["id"].clone();
    world.key("openai").await;
    let path = format!("{ACME_KEYS}/resolve");
    world.ask(&world.root, "POST", &path, json!({"providerId": "openai"})).await.assert_refused(403, "forbidden", None);
    let unknown = world.ask(&token, "POST", &path, json!({"providerId": "openai", "extra": 1})).await;
    unknown.assert_refused(400, "unknown_field", Some("extra"));
    assert_eq!(resolve(&world, &token).await.json()["keyId"], first);
}

#[tokio::test]
async fn the_workspaces_keys_serve_first_then_the_organizations_then_the_platforms() {
    let (world, token) = world(true).await;
    resolve(&world, &token).await.assert_refused(404, "no_key", None);
    let served = async || {
        let mut answer = resolve(&world, &token).await.json();
        answer.as_object_mut().unwrap().remove("apiKey");
        answer
    };
    let (platform, _) = known_key(&world, PLATFORM_KEYS).await;
    assert_eq!(served().await, json!({"keyId": platform, "isBYOK": false, "scope": "platform"}));
    let (group, _) = known_key(&world, GROUP_KEYS).await;
    assert_eq!(served().await["keyId"], platform);
    world.join_group().await;
    assert_eq!(served().await, json!({"keyId": group, "isBYOK": true, "scope": "organization"}));
    let (own, _) = known_key(&world, ACME_KEYS).await;
    assert_eq!(served().await, json!({"keyId": own, "isBYOK": true, "scope": "workspace"}));
    world.done("DELETE", ACME_KEYS, json!({"providerId": "openai"})).await;
    assert_eq!(served().await["keyId"], group);
    // An organization that lends nothing stands aside.
    world.done("PUT", "/api/organizations/group", json!({"keysEnabled": false})).await;
    assert_eq!(served().await["keyId"], platform);
    world.done("PUT", "/api/organizations/group", json!({"keysEnabled": true})).await;
    assert_eq!(served().await["keyId"], group);
    world.done("PUT", "/api/workspaces/acme", json!({"organizationId": null})).await;
    assert_eq!(served().await["keyId"], platform);
}

#[tokio::test]
async fn the_platforms_keys_are_not_lent_unless_the_operator_says_so() {
    let (world, token) = world(false).await;
    world.join_group().await;
    world.key_at(PLATFORM_KEYS, "openai").await;
    resolve(&world, &token).await.assert_refused(404, "no_key", None);
    world.key_at(GROUP_KEYS, "openai").await;
    assert_eq!(resolve(&world, &token).await.json()["scope"], "organization");
}

#[tokio::test]
async fn workspaces_that_inherit_share_their_organizations_rotation() {
    let (world, acme) = world(false).await;
    let (other, _) = world.token("runtime", Some("other"), json!({"reveal": true})).await;
    for workspace in ["acme", "other"] {
        world.done("PUT", &format!("/api/workspaces/{workspace}"), json!({"organizationId": "group"})).await;
    }
    let mut ids = Vec::new();
    for _ in 0..3 {
        ids.push(world.key_at(GROUP_KEYS, "openai").await["id"].clone());
    }
    for turn in 0..9 {
        let (token, workspace) = if turn % 2 == 0 { (&acme, "acme") } else { (&other, "other") };
        let path = format!("/api/workspaces/{workspace}/byok-keys/resolve");
        let answer = world.ask(token, "POST", &path, json!({"providerId": "openai"})).await.json();
        assert_eq!(answer["keyId"], ids[turn % 3], "{turn}");
        // Lending nothing for a while does not move it.
        if turn == 4 {
            world.done("PUT", "/api/organizations/group", json!({"keysEnabled": false})).await;
            world.ask(token, "POST", &path, json!({"providerId": "openai"})).await.assert_refused(404, "no_key", None);
            world.done("PUT", "/api/organizations/group", json!({"keysEnabled": true})).await;
        }
    }
}

#[tokio::test]
async fn a_moved_workspace_uses_its_new_organizations_keys_at_once() {
    let (world, token) = world(false).await;
    world.done("PUT", "/api/organizations/second", json!({})).await;
    let first = world.key_at(GROUP_KEYS, "openai").await["id"].clone();
    let second = world.key_at("/api/organizations/second/byok-keys", "openai").await["id"].clone();
    for (organization, id) in [("group", &first), ("second", &second), ("group", &first)] {
        world.done("PUT", "/api/workspaces/acme", json!({"organizationId": organization})).await;
        assert_eq!(resolve(&world, &token).await.json()["keyId"], *id);
    }
}

#[tokio::test]
async fn a_pool_that_has_keys_never_gives_way_to_somebody_elses() {
    let (world, token) = world(true).await;
    world.join_group().await;
    world.key_at(GROUP_KEYS, "openai").await;
    world.key_at(PLATFORM_KEYS, "openai").await;
    let (own, secret) = known_key(&world, ACME_KEYS).await;
    switch(&world, ACME_KEYS, &own, false).await;
    resolve(&world, &token).await.assert_refused(404, "no_key", None);
    switch(&world, ACME_KEYS, &own, true).await;
    assert_eq!(resolve(&world, &token).await.json()["apiKey"], secret);
    damage(&world).await;
    resolve(&world, &token).await.assert_refused(503, "pool_unreadable", None);
    world.done("DELETE", ACME_KEYS, json!({"providerId": "openai"})).await;
    assert_eq!(resolve(&world, &token).await.json()["scope"], "organization");
    // The organization's pool is exclusive, too.
    let group = world.keys_at(GROUP_KEYS).await[0]["id"].clone();
    switch(&world, GROUP_KEYS, &group, false).await;
    resolve(&world, &token).await.assert_refused(404, "no_key", None);
    world.done("DELETE", GROUP_KEYS, json!({"providerId": "openai"})).await;
    assert_eq!(resolve(&world, &token).await.json()["scope"], "platform");
}

#[tokio::test]
async fn what_cannot_be_handed_out_is_refused() {
    let (world, runtime) = world(false).await;
    world.key("openai").await;
    let (service, _) = world.token("service", None, json!({"reveal": true})).await;
    let path = format!("{ACME_KEYS}/resolve");
    for (body, code, field) in [
        (json!({"providerId": "nobody"}), "unknown_provider", "providerId"),
        (json!({"providerId": ""}), "unknown_provider", "providerId"),
        (json!({"providerId": null}), "invalid_input", "providerId"),
        (json!({}), "invalid_input", "providerId"),
    ] {
        world.ask(&runtime, "POST", &path, body).await.assert_refused(400, code, Some(field));
    }
    let asked = async |token: &str, id: &str| {
        let path = format!("/api/workspaces/{id}/byok-keys/resolve");
        world.ask(token, "POST", &path, json!({"providerId": "openai"})).await
    };
    asked(&service, "nowhere").await.assert_refused(404, "unknown_workspace", None);
    asked(&service, "a%2Fb").await.assert_refused(400, "invalid_input", Some("id"));
    for id in ["other", "nowhere", "a%2Fb"] {
        asked(&runtime, id).await.assert_refused(403, "forbidden", None);
        asked(&world.root, id).await.assert_refused(403, "forbidden", None);
    }
    let plain = json!({"providerId": "anthropic"});
    world.ask(&service, "POST", &path, plain).await.assert_refused(404, "no_key", None);
}

#[tokio::test]
async fn a_key_that_cannot_be_opened_says_so_wherever_it_is_asked_for() {
    let (world, token) = world(false).await;
    let id = world.key("openai").await["id"].as_str().unwrap().to_owned();
    damage(&world).await;
    resolve(&world, &token).await.assert_refused(503, "pool_unreadable", None);
    let reason = "The key cannot be opened; it must be entered again";
    let listed = &world.keys().await[0];
    assert_eq!((&listed["status"], &listed["statusReason"]), (&json!("unreadable"), &json!(reason)));
    assert_eq!(listed.get("availableAt"), None);
    let explain = format!("{ACME_KEYS}/explain?providerId=openai");
    let expected = json!({"keyId": id, "available": false, "reason": reason, "availableAt": null});
    let explained = world.done("GET", &explain, Value::Null).await;
    assert_eq!((&explained["serving"], &explained["keys"]), (&Value::Null, &json!([expected])));
    let tested = world.ask(&world.root, "POST", &format!("{ACME_KEYS}/{id}/test"), Value::Null).await;
    tested.assert_refused(503, "pool_unreadable", None);
}

#[tokio::test]
async fn a_token_that_is_deleted_is_handed_nothing_more() {
    let (world, _) = world(false).await;
    world.key("openai").await;
    let (token, id) = world.token("runtime", Some("acme"), json!({"reveal": true})).await;
    assert_eq!(resolve(&world, &token).await.status, StatusCode::OK);
    world.done("DELETE", &format!("/api/tokens/{id}"), Value::Null).await;
    resolve(&world, &token).await.assert_refused(401, "token_invalid", None);
}

#[tokio::test]
async fn a_secret_that_was_handed_out_is_in_that_answer_and_nowhere_else() {
    let (world, token) = world(false).await;
    let log = Log::begin();
    let (id, secret) = known_key(&world, ACME_KEYS).await;
    let answer = resolve(&world, &token).await;
    assert_eq!(answer.json()["apiKey"], secret.as_str());
    let outcome = format!("{ACME_KEYS}/{}/outcome", id.as_str().unwrap());
    let told = world.ask(&token, "POST", &outcome, json!({"status": 401, "body": {"key": secret}})).await;
    damage(&world).await;
    let refused = resolve(&world, &token).await;
    refused.assert_refused(503, "pool_unreadable", None);
    let listed = world.ask(&world.root, "GET", ACME_KEYS, Value::Null).await;
    let log = log.end();
    assert!(log.contains("does not open"), "{log}");
    let part = &secret[8..secret.len() - 8];
    for text in [log, format!("{:?}", answer.headers), told.text, refused.text, listed.text] {
        assert!(!text.contains(part) && !text.contains(&token[21..]), "{text}");
    }
}
