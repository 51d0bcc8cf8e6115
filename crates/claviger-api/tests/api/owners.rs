//! The rules of keys, under the paths of all three owners.

use std::time::Duration;

use claviger_testkit::random_secret;
use futures_util::future::join_all;
use http::StatusCode;
use serde_json::{Value, json};

use crate::world::{ACME_KEYS, GROUP_KEYS, PLATFORM_KEYS, World};

const OWNERS: [&str; 3] = [ACME_KEYS, GROUP_KEYS, PLATFORM_KEYS];

#[tokio::test]
async fn an_owner_has_ten_keys_of_a_provider_and_no_eleventh() {
    let world = World::new().await;
    for keys in OWNERS {
        for number in 1..=10 {
            let body = json!({"providerId": "openai", "apiKey": random_secret(), "name": number.to_string()});
            world.done("POST", keys, body).await;
        }
        let body = json!({"providerId": "openai", "apiKey": random_secret()});
        world.ask(&world.root, "POST", keys, body).await.assert_refused(400, "key_limit_reached", None);
        // Other providers have places of their own.
        world.key_at(keys, "anthropic").await;
        let names: Vec<_> = world.keys_at(keys).await.into_iter().map(|key| key["name"].clone()).collect();
        assert_eq!(names[0], Value::Null, "{keys}");
        assert_eq!(names[1..], (1..=10).map(|number| json!(number.to_string())).collect::<Vec<_>>(), "{keys}");
    }
}

#[tokio::test]
async fn of_many_adds_at_once_ten_are_stored_for_any_owner() {
    let world = World::new().await;
    for keys in OWNERS {
        let adds = (0..24).map(|_| {
            let body = json!({"providerId": "openai", "apiKey": random_secret()});
            world.ask(&world.root, "POST", keys, body)
        });
        let answers = join_all(adds).await;
        let stored = answers.iter().filter(|answer| answer.status == StatusCode::OK).count();
        assert_eq!((stored, world.keys_at(keys).await.len()), (10, 10), "{keys}");
    }
}

#[tokio::test]
async fn a_secret_is_stored_once_in_a_pool_and_may_be_another_owners() {
    let world = World::new().await;
    let secret = random_secret();
    for keys in OWNERS {
        let id = world.done("POST", keys, json!({"providerId": "openai", "apiKey": secret})).await["key"]["id"].clone();
        let twin = world.ask(&world.root, "POST", keys, json!({"providerId": "openai", "apiKey": secret})).await;
        twin.assert_refused(409, "duplicate_key", None);
        assert_eq!(twin.json()["keyId"], id, "{keys}");
        let other = world.key_at(keys, "openai").await["id"].clone();
        let replace = json!({"providerId": "openai", "apiKey": secret, "keyId": other});
        let twin = world.ask(&world.root, "POST", keys, replace).await;
        twin.assert_refused(409, "duplicate_key", None);
        // A key may be replaced by itself.
        world.done("POST", keys, json!({"providerId": "openai", "apiKey": secret, "keyId": id})).await;
    }
}

#[tokio::test]
async fn a_key_is_replaced_renamed_and_switched_for_any_owner() {
    let world = World::new().await;
    for keys in OWNERS {
        let id = world.key_at(keys, "openai").await["id"].clone();
        let second = world.key_at(keys, "openai").await["id"].clone();
        world.test.clock.advance(Duration::from_secs(1));
        let secret = random_secret();
        let body = json!({"providerId": "openai", "apiKey": secret, "keyId": id, "name": "new"});
        let replaced = world.done("POST", keys, body).await;
        assert_eq!(replaced["key"]["id"], id, "{keys}");
        assert!(replaced["key"]["updatedAt"].as_str() > replaced["key"]["createdAt"].as_str(), "{keys}");
        let path = format!("{keys}/{}", id.as_str().unwrap());
        let changed = world.done("PATCH", &path, json!({"name": "renamed", "enabled": false})).await;
        let listed = world.keys_at(keys).await;
        assert_eq!((&listed[0], &listed[1]["id"]), (&changed["key"], &second), "{keys}");
        assert_eq!((&listed[0]["name"], &listed[0]["enabled"]), (&json!("renamed"), &json!(false)), "{keys}");
        assert!(listed[0]["maskedKey"].as_str().unwrap().ends_with(&secret[secret.len() - 4..]), "{keys}");
    }
}

#[tokio::test]
async fn one_key_or_all_of_a_provider_are_deleted_for_any_owner() {
    let world = World::new().await;
    for keys in OWNERS {
        let id = world.key_at(keys, "openai").await["id"].clone();
        for provider in ["openai", "openai", "anthropic"] {
            world.key_at(keys, provider).await;
        }
        let one = json!({"providerId": "openai", "keyId": id});
        assert_eq!(world.done("DELETE", keys, one.clone()).await, json!({"success": true}));
        world.ask(&world.root, "DELETE", keys, one).await.assert_refused(404, "unknown_key", None);
        world.done("DELETE", keys, json!({"providerId": "openai"})).await;
        world.done("DELETE", keys, json!({"providerId": "openai"})).await;
        let left = world.keys_at(keys).await;
        assert_eq!((left.len(), &left[0]["providerId"]), (1, &json!("anthropic")), "{keys}");
    }
}

#[tokio::test]
async fn an_owners_key_cannot_be_reached_through_another_owner() {
    let world = World::new().await;
    world.join_group().await;
    for keys in OWNERS {
        let id = world.key_at(keys, "openai").await["id"].clone();
        for other in OWNERS.into_iter().filter(|other| *other != keys) {
            let path = format!("{other}/{}", id.as_str().unwrap());
            let switch = world.ask(&world.root, "PATCH", &path, json!({"enabled": false})).await;
            switch.assert_refused(404, "unknown_key", None);
            let delete = json!({"providerId": "openai", "keyId": id});
            world.ask(&world.root, "DELETE", other, delete).await.assert_refused(404, "unknown_key", None);
            let replace = json!({"providerId": "openai", "keyId": id, "apiKey": random_secret()});
            world.ask(&world.root, "POST", other, replace).await.assert_refused(404, "unknown_key", None);
        }
        assert_eq!(world.keys_at(keys).await[0]["enabled"], true, "{keys}");
    }
}

#[tokio::test]
async fn a_workspace_and_an_organization_of_one_id_have_keys_of_their_own() {
    let world = World::new().await;
    world.done("PUT", "/api/organizations/acme", json!({})).await;
    world.key("openai").await;
    assert_eq!(world.keys_at("/api/organizations/acme/byok-keys").await, [Value::Null; 0]);
}

#[tokio::test]
async fn what_is_no_key_is_refused_for_any_owner() {
    let world = World::new().await;
    for keys in OWNERS {
        for (body, code, field) in [
            (json!({"providerId": "openai", "apiKey": ""}), "invalid_input", "apiKey"),
            (json!({"providerId": "nobody", "apiKey": random_secret()}), "unknown_provider", "providerId"),
            (
                json!({"providerId": "openai", "apiKey": random_secret(), "name": "x".repeat(121)}),
                "invalid_input",
                "name",
            ),
        ] {
            world.ask(&world.root, "POST", keys, body).await.assert_refused(400, code, Some(field));
        }
        for id in ["key_1", "nonsense", "key_01ARZ3NDEKTSV4RRFFQ69G5FAV"] {
            let path = format!("{keys}/{id}");
            let answer = world.ask(&world.root, "PATCH", &path, json!({"enabled": true})).await;
            answer.assert_refused(404, "unknown_key", None);
        }
        assert_eq!(world.keys_at(keys).await, [Value::Null; 0], "{keys}");
    }
}

#[tokio::test]
async fn an_owner_that_does_not_exist_has_no_keys() {
    let world = World::new().await;
    let (admin, _) = world.token("admin", Some("acme"), json!({})).await;
    for (keys, code) in [
        ("/api/workspaces/nowhere/byok-keys", "unknown_workspace"),
        ("/api/organizations/nowhere/byok-keys", "unknown_organization"),
    ] {
        let key = format!("{keys}/key_01ARZ3NDEKTSV4RRFFQ69G5FAV");
        for (method, path, body) in [
            ("GET", keys, Value::Null),
            ("POST", keys, json!({"providerId": "openai", "apiKey": random_secret()})),
            ("DELETE", keys, json!({"providerId": "openai"})),
            ("PATCH", &key, json!({"enabled": true})),
        ] {
            let answer = world.ask(&world.root, method, path, body.clone()).await;
            answer.assert_refused(404, code, None);
            world.ask(&admin, method, path, body).await.assert_refused(403, "forbidden", None);
        }
    }
}
