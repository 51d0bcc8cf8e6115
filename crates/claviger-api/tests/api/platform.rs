//! The operator's keys that settings give, beside those that are stored.

use claviger_app::keyring::{PlatformKey, Rotation};
use claviger_core::KeySecret;
use claviger_testkit::{TestSettings, random_secret};
use serde_json::{Value, json};

use crate::world::{ACME_KEYS, PLATFORM_KEYS, World};

fn given(provider: &str, number: u32, secret: &str) -> PlatformKey {
    PlatformKey {
        provider: provider.parse().unwrap(),
        number,
        setting: format!("CLAVIGER_PLATFORM__KEYS__{}_{number}", provider.to_uppercase()),
        secret: KeySecret::parse(&secret.to_owned().into()).unwrap(),
    }
}

/// A world in which the operator lends, and settings give these keys.
async fn world(platform_keys: Vec<PlatformKey>) -> World {
    let rotation = Rotation { coordination: None, random_start: false, platform_fallback: true };
    World::with(TestSettings { platform_keys, rotation, ..TestSettings::default() }).await
}

#[tokio::test]
async fn given_keys_are_listed_after_the_stored_ones_of_their_provider() {
    let secret = random_secret();
    let keys =
        vec![given("openai", 2, &random_secret()), given("openai", 1, &secret), given("cohere", 1, &random_secret())];
    let world = world(keys).await;
    let stored = world.key_at(PLATFORM_KEYS, "openai").await["id"].clone();
    world.key_at(PLATFORM_KEYS, "anthropic").await;
    let listed = world.keys_at(PLATFORM_KEYS).await;
    let shown: Vec<_> = listed.iter().map(|key| (key["providerId"].clone(), key["name"].clone())).collect();
    let expected = [
        ("anthropic", Value::Null),
        ("cohere", json!("CLAVIGER_PLATFORM__KEYS__COHERE_1")),
        ("openai", Value::Null),
        ("openai", json!("CLAVIGER_PLATFORM__KEYS__OPENAI_1")),
        ("openai", json!("CLAVIGER_PLATFORM__KEYS__OPENAI_2")),
    ];
    assert_eq!(shown, expected.map(|(provider, name)| (json!(provider), name)));
    assert_eq!(listed[2]["id"], stored);
    let masked = format!("{}...{}", &secret[..6], &secret[secret.len() - 4..]);
    assert_eq!((&listed[3]["maskedKey"], &listed[3]["createdBy"]), (&json!(masked), &json!("settings")));
    // No other owner has them.
    assert_eq!(world.keys().await, [Value::Null; 0]);
}

#[tokio::test]
async fn a_given_key_is_changed_deleted_and_replaced_only_in_its_setting() {
    let world = world(vec![given("openai", 1, &random_secret())]).await;
    let before = world.keys_at(PLATFORM_KEYS).await;
    let id = before[0]["id"].as_str().unwrap();
    let path = format!("{PLATFORM_KEYS}/{id}");
    for (method, path, body) in [
        ("PATCH", path.as_str(), json!({"enabled": false})),
        ("PATCH", &path, json!({"name": "mine"})),
        ("DELETE", PLATFORM_KEYS, json!({"providerId": "openai", "keyId": id})),
        ("POST", PLATFORM_KEYS, json!({"providerId": "openai", "apiKey": random_secret(), "keyId": id})),
    ] {
        let answer = world.ask(&world.root, method, path, body.clone()).await;
        answer.assert_refused(409, "key_given_by_setting", None);
        assert!(answer.text.contains("CLAVIGER_PLATFORM__KEYS__OPENAI_1"), "{}", answer.text);
        // For any other owner there is no such key.
        let path = path.replace(PLATFORM_KEYS, ACME_KEYS);
        world.ask(&world.root, method, &path, body).await.assert_refused(404, "unknown_key", None);
    }
    // All keys of a provider are all that are stored.
    world.key_at(PLATFORM_KEYS, "openai").await;
    world.done("DELETE", PLATFORM_KEYS, json!({"providerId": "openai"})).await;
    assert_eq!(world.keys_at(PLATFORM_KEYS).await, before);
}

#[tokio::test]
async fn given_keys_take_places_and_keep_their_secrets_to_themselves() {
    let secret = random_secret();
    let world = world(vec![given("openai", 1, &secret), given("openai", 2, &random_secret())]).await;
    let id = world.keys_at(PLATFORM_KEYS).await[0]["id"].clone();
    let twin = world.ask(&world.root, "POST", PLATFORM_KEYS, json!({"providerId": "openai", "apiKey": secret})).await;
    twin.assert_refused(409, "duplicate_key", None);
    assert_eq!(twin.json()["keyId"], id);
    for _ in 0..8 {
        world.key_at(PLATFORM_KEYS, "openai").await;
    }
    let body = json!({"providerId": "openai", "apiKey": random_secret()});
    world.ask(&world.root, "POST", PLATFORM_KEYS, body).await.assert_refused(400, "key_limit_reached", None);
    assert_eq!(world.keys_at(PLATFORM_KEYS).await.len(), 10);
}

#[tokio::test]
async fn given_keys_are_handed_out_after_the_stored_ones() {
    let secret = random_secret();
    let world = world(vec![given("openai", 1, &secret)]).await;
    world.key_at(PLATFORM_KEYS, "openai").await;
    let ids: Vec<_> = world.keys_at(PLATFORM_KEYS).await.iter().map(|key| key["id"].clone()).collect();
    let (token, _) = world.token("runtime", Some("acme"), json!({"reveal": true})).await;
    let resolve = format!("{ACME_KEYS}/resolve");
    for turn in 0..4 {
        let answer = world.ask(&token, "POST", &resolve, json!({"providerId": "openai"})).await.json();
        assert_eq!(answer["keyId"], ids[turn % 2]);
        assert_eq!(answer["apiKey"] == secret.as_str(), turn % 2 == 1);
    }
    let listed = world.keys_at(PLATFORM_KEYS).await;
    assert!(listed.iter().all(|key| key["lastUsedAt"].is_string()), "{listed:?}");
}
