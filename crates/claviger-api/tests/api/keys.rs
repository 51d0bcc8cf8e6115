//! Keys: the contract's shapes, and what is refused.

use std::time::Duration;

use claviger_testkit::random_secret;
use futures_util::future::join_all;
use http::StatusCode;
use serde_json::{Value, json};

use crate::world::{ACME_KEYS, World, with_token};

fn names(value: &Value) -> Vec<&str> {
    let mut names: Vec<_> = value.as_object().unwrap().keys().map(String::as_str).collect();
    names.sort_unstable();
    names
}

/// What a person may see of a secret of more than 12 characters.
fn mask(secret: &str) -> String {
    format!("{}...{}", &secret[..6], &secret[secret.len() - 4..])
}

#[tokio::test]
async fn an_added_key_comes_back_masked_and_is_listed() {
    let world = World::new().await;
    let secret = random_secret();
    let body = json!({"providerId": "openai", "apiKey": format!(" {secret}\n"), "name": " Büro "});
    let added = world.done("POST", ACME_KEYS, body).await;
    assert_eq!(names(&added), ["key", "success"]);
    assert_eq!(added["success"], true);
    let key = &added["key"];
    assert_eq!(names(key), ["createdAt", "id", "maskedKey", "name", "providerId"]);
    assert_eq!(key["providerId"], "openai");
    assert_eq!(key["name"], "Büro");
    assert_eq!(key["maskedKey"], mask(&secret));
    assert_eq!(key["createdAt"], "2026-01-01T00:00:00.000Z");

    let listed = world.keys().await;
    let expected = json!({
        "id": key["id"], "providerId": "openai", "name": "Büro", "maskedKey": mask(&secret), "enabled": true,
        "status": "active", "domain": null, "counts": {
            "requests": 0, "ok": 0, "rateLimited": 0, "rejected": 0, "callerErrors": 0, "providerErrors": 0
        }, "createdBy": null, "createdAt": "2026-01-01T00:00:00.000Z",
        "updatedAt": "2026-01-01T00:00:00.000Z", "lastUsedAt": null,
    });
    assert_eq!(listed, [expected]);
}

#[tokio::test]
async fn masks_follow_the_secrets_length() {
    let world = World::new().await;
    let secret = random_secret();
    for (length, masked) in [
        (8, "••••••••".to_owned()),
        (9, format!("{}...{}", &secret[..4], &secret[5..9])),
        (12, format!("{}...{}", &secret[..4], &secret[8..12])),
        (13, format!("{}...{}", &secret[..6], &secret[9..13])),
    ] {
        let body = json!({"providerId": "openai", "apiKey": secret[..length]});
        assert_eq!(world.done("POST", ACME_KEYS, body).await["key"]["maskedKey"], masked);
    }
}

#[tokio::test]
async fn a_replaced_key_keeps_its_place_and_its_name_unless_one_is_given() {
    let world = World::new().await;
    let first =
        world.done("POST", ACME_KEYS, json!({"providerId": "openai", "apiKey": random_secret(), "name": "a"})).await;
    world.key("openai").await;
    let id = &first["key"]["id"];
    world.test.clock.advance(Duration::from_secs(1));
    let replace = |rest: Value| {
        let mut body = json!({"providerId": "openai", "keyId": id, "apiKey": random_secret()});
        body.as_object_mut().unwrap().extend(rest.as_object().cloned().unwrap());
        world.done("POST", ACME_KEYS, body)
    };

    let replaced = replace(json!({})).await;
    assert_eq!(names(&replaced["key"]), ["createdAt", "id", "maskedKey", "name", "providerId", "updatedAt"]);
    assert_eq!(replaced["key"]["id"], *id);
    assert_eq!(replaced["key"]["name"], "a");
    assert_eq!(replaced["key"]["createdAt"], "2026-01-01T00:00:00.000Z");
    assert_eq!(replaced["key"]["updatedAt"], "2026-01-01T00:00:01.000Z");
    assert_eq!(replace(json!({"name": "b"})).await["key"]["name"], "b");
    assert_eq!(replace(json!({"name": ""})).await["key"]["name"], Value::Null);
    assert_eq!(world.keys().await[0]["id"], *id);
}

#[tokio::test]
async fn a_key_is_renamed_and_switched_without_its_secret() {
    let world = World::new().await;
    let key = world.key("openai").await;
    let path = format!("{ACME_KEYS}/{}", key["id"].as_str().unwrap());
    world.test.clock.advance(Duration::from_secs(1));
    let changed = world.done("PATCH", &path, json!({"name": "b", "enabled": false})).await;
    assert_eq!(changed["success"], true);
    assert_eq!(changed["key"], world.keys().await[0]);
    assert_eq!(changed["key"]["name"], "b");
    assert_eq!(changed["key"]["enabled"], false);
    assert_eq!(changed["key"]["updatedAt"], "2026-01-01T00:00:01.000Z");
    assert_eq!(world.done("PATCH", &path, json!({"enabled": true})).await["key"]["name"], "b");
    assert_eq!(world.done("PATCH", &path, json!({"name": null})).await["key"]["name"], Value::Null);
    for empty in [json!({}), json!({"enabled": null})] {
        world.ask(&world.root, "PATCH", &path, empty).await.assert_refused(400, "invalid_input", None);
    }
}

#[tokio::test]
async fn one_key_or_all_of_a_provider_are_deleted() {
    let world = World::new().await;
    let id = world.key("openai").await["id"].clone();
    world.key("openai").await;
    world.key("anthropic").await;
    assert_eq!(
        world.done("DELETE", ACME_KEYS, json!({"providerId": "openai", "keyId": id})).await,
        json!({"success": true})
    );
    assert_eq!(world.keys().await.len(), 2);
    let again = world.ask(&world.root, "DELETE", ACME_KEYS, json!({"providerId": "openai", "keyId": id})).await;
    again.assert_refused(404, "unknown_key", None);
    assert_eq!(world.done("DELETE", ACME_KEYS, json!({"providerId": "openai"})).await, json!({"success": true}));
    let left = world.keys().await;
    assert_eq!((left.len(), &left[0]["providerId"]), (1, &json!("anthropic")));
    // None is left, as was asked for.
    assert_eq!(world.done("DELETE", ACME_KEYS, json!({"providerId": "openai"})).await, json!({"success": true}));
    let lost = world.ask(&world.root, "DELETE", ACME_KEYS, json!({"providerId": "anthropic", "keyId": null})).await;
    lost.assert_refused(400, "invalid_input", Some("keyId"));
    assert_eq!(world.keys().await.len(), 1);
}

#[tokio::test]
async fn keys_are_listed_by_provider_and_then_in_the_order_of_adding() {
    let world = World::new().await;
    let mut added = Vec::new();
    for provider in ["openai", "anthropic", "openai", "anthropic"] {
        added.push(world.key(provider).await["id"].clone());
    }
    let listed: Vec<_> = world.keys().await.iter().map(|key| key["id"].clone()).collect();
    assert_eq!(listed, [&added[1], &added[3], &added[0], &added[2]].map(Clone::clone));
}

#[tokio::test]
async fn what_is_no_key_is_refused_and_nothing_is_stored() {
    let world = World::new().await;
    world.key("openai").await;
    let before = world.keys().await;
    let secret = random_secret();
    for (body, code, field) in [
        (json!({"providerId": "openai", "apiKey": "x".repeat(5_000)}), "invalid_input", "apiKey"),
        (json!({"providerId": "openai", "apiKey": "x".repeat(4_097)}), "invalid_input", "apiKey"),
        (json!({"providerId": "openai", "apiKey": format!("{secret}\n{secret}")}), "invalid_input", "apiKey"),
        (json!({"providerId": "openai", "apiKey": format!("{secret}é")}), "invalid_input", "apiKey"),
        (json!({"providerId": "openai", "apiKey": " \t\n"}), "invalid_input", "apiKey"),
        (json!({"providerId": "openai", "apiKey": ""}), "invalid_input", "apiKey"),
        (json!({"providerId": "openai", "apiKey": null}), "invalid_input", "apiKey"),
        (json!({"providerId": "openai", "apiKey": 1}), "invalid_input", "apiKey"),
        (json!({"providerId": "openai"}), "invalid_input", "apiKey"),
        (json!({"apiKey": secret}), "invalid_input", "providerId"),
        (json!({"providerId": "nobody", "apiKey": secret}), "unknown_provider", "providerId"),
        (json!({"providerId": "../openai", "apiKey": secret}), "unknown_provider", "providerId"),
        (json!({"providerId": "openai", "apiKey": secret, "name": "x".repeat(121)}), "invalid_input", "name"),
        (json!({"providerId": "openai", "apiKey": secret, "name": "a\nb"}), "invalid_input", "name"),
        (json!({"providerId": "openai", "apiKey": secret, "name": ["a"]}), "invalid_input", "name"),
        (json!({"providerId": "openai", "apiKey": secret, "colour": "red"}), "unknown_field", "colour"),
        (json!({"providerId": "openai", "apiKey": secret, "api_key": secret}), "unknown_field", "api_key"),
    ] {
        world.ask(&world.root, "POST", ACME_KEYS, body).await.assert_refused(400, code, Some(field));
    }
    assert_eq!(world.keys().await, before);
    let longest = json!({"providerId": "openai", "apiKey": "x".repeat(4_096), "name": "é".repeat(120)});
    world.done("POST", ACME_KEYS, longest).await;
}

#[tokio::test]
async fn a_key_that_is_not_there_is_not_found_whatever_its_id_looks_like() {
    let world = World::new().await;
    world.key("openai").await;
    let absent = world.key("anthropic").await["id"].as_str().unwrap().to_owned();
    for id in [absent.as_str(), "key_1", "nonsense", "", "%2F"] {
        let put = json!({"providerId": "openai", "apiKey": random_secret(), "keyId": id});
        world.ask(&world.root, "POST", ACME_KEYS, put).await.assert_refused(404, "unknown_key", None);
        let delete = json!({"providerId": "openai", "keyId": id});
        world.ask(&world.root, "DELETE", ACME_KEYS, delete).await.assert_refused(404, "unknown_key", None);
    }
    world.done("DELETE", ACME_KEYS, json!({"providerId": "anthropic"})).await;
    for id in [absent.as_str(), "key_1", "nonsense", "%2F"] {
        let path = format!("{ACME_KEYS}/{id}");
        world.ask(&world.root, "PATCH", &path, json!({"enabled": true})).await.assert_refused(404, "unknown_key", None);
        // A body that is wrong comes before a key that is not there.
        world.ask(&world.root, "PATCH", &path, json!({})).await.assert_refused(400, "invalid_input", None);
    }
    assert_eq!(world.keys().await.len(), 1);
}

#[tokio::test]
async fn a_secret_is_stored_once_in_a_pool() {
    let world = World::new().await;
    let secret = random_secret();
    let body = json!({"providerId": "openai", "apiKey": secret});
    let id = world.done("POST", ACME_KEYS, body.clone()).await["key"]["id"].clone();
    let again = world.ask(&world.root, "POST", ACME_KEYS, body).await;
    again.assert_refused(409, "duplicate_key", None);
    assert_eq!(again.json()["keyId"], id);
    // Under another provider it is another key; and a key may be replaced by itself.
    world.done("POST", ACME_KEYS, json!({"providerId": "anthropic", "apiKey": secret})).await;
    world.done("POST", ACME_KEYS, json!({"providerId": "openai", "apiKey": secret, "keyId": id})).await;
}

#[tokio::test]
async fn a_workspace_that_does_not_exist_has_no_keys() {
    let world = World::new().await;
    let (admin, _) = world.token("admin", Some("other"), json!({})).await;
    let key = format!("/api/workspaces/nowhere/byok-keys/{}", world.key("openai").await["id"].as_str().unwrap());
    let requests = [
        ("GET", "/api/workspaces/nowhere/byok-keys", Value::Null),
        ("POST", "/api/workspaces/nowhere/byok-keys", json!({"providerId": "openai", "apiKey": random_secret()})),
        ("DELETE", "/api/workspaces/nowhere/byok-keys", json!({"providerId": "openai"})),
        ("PATCH", &key, json!({"enabled": true})),
    ];
    for (method, path, body) in requests {
        let answer = world.ask(&world.root, method, path, body.clone()).await;
        answer.assert_refused(404, "unknown_workspace", None);
        world.ask(&admin, method, path, body).await.assert_refused(403, "forbidden", None);
    }
}

#[tokio::test]
async fn of_sixty_four_adds_at_once_ten_are_stored() {
    let world = World::new().await;
    let adds = (0..64).map(|_| {
        let body = json!({"providerId": "openai", "apiKey": random_secret()});
        world.ask(&world.root, "POST", ACME_KEYS, body)
    });
    let answers = join_all(adds).await;
    let (stored, refused): (Vec<_>, Vec<_>) = answers.into_iter().partition(|answer| answer.status == StatusCode::OK);
    assert_eq!((stored.len(), refused.len()), (10, 54));
    for answer in refused {
        answer.assert_refused(400, "key_limit_reached", None);
    }
    assert_eq!(world.keys().await.len(), 10);
}

#[tokio::test]
async fn a_key_says_who_added_it() {
    let world = World::new().await;
    let (service, _) = world.token("service", None, json!({})).await;
    let (admin, admin_id) = world.token("admin", Some("acme"), json!({})).await;
    for (token, actor, created_by) in [
        (&world.root, Some("user_1"), json!("user_1")),
        (&service, Some("Jürgen Müller"), json!("Jürgen Müller")),
        (&admin, Some("user_1"), json!(format!("token:{admin_id}"))),
        (&admin, None, json!(format!("token:{admin_id}"))),
        (&world.root, None, Value::Null),
    ] {
        let body = json!({"providerId": "openai", "apiKey": random_secret()}).to_string();
        let mut request = with_token("POST", ACME_KEYS, token).header("content-type", "application/json");
        if let Some(actor) = actor {
            request = request.header("x-claviger-actor", actor.as_bytes());
        }
        let answer = world.send(request.body(body.into()).unwrap()).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
        assert_eq!(world.keys().await.last().unwrap()["createdBy"], created_by);
    }
}

#[tokio::test]
async fn an_actor_that_cannot_be_one_is_refused_where_it_counts() {
    let world = World::new().await;
    let (member, _) = world.token("member", Some("acme"), json!({})).await;
    let (service, _) = world.token("service", None, json!({})).await;
    let too_long = "x".repeat(257);
    for actor in [b"".as_slice(), b"\xff\xfe", b"a\tb", too_long.as_bytes()] {
        let request = |token: &str, path: &str| {
            with_token("GET", path, token).header("x-claviger-actor", actor).body(axum::body::Body::empty()).unwrap()
        };
        let refused = world.send(request(&world.root, ACME_KEYS)).await;
        refused.assert_refused(400, "invalid_input", Some("x-claviger-actor"));
        assert_eq!(world.send(request(&member, ACME_KEYS)).await.status, StatusCode::OK);
        // Who may not do it at all is told only that.
        world.send(request("nonsense", ACME_KEYS)).await.assert_refused(401, "token_invalid", None);
    }
    for actor in ["root", "Shell", "settings", "token:aaaaaaaaaaaaaaaa", "portal:x", "console:x"] {
        let request = |token: &str| {
            let request = with_token("GET", ACME_KEYS, token).header("x-claviger-actor", actor);
            request.body(axum::body::Body::empty()).unwrap()
        };
        for token in [&world.root, &service] {
            let refused = world.send(request(token)).await;
            refused.assert_refused(400, "actor_reserved", Some("x-claviger-actor"));
        }
        assert_eq!(world.send(request(&member)).await.status, StatusCode::OK);
    }
    let longest = "é".repeat(256);
    let request = with_token("GET", ACME_KEYS, &world.root).header("x-claviger-actor", longest.as_bytes());
    assert_eq!(world.send(request.body(axum::body::Body::empty()).unwrap()).await.status, StatusCode::OK);
}

#[tokio::test]
async fn no_caller_names_a_providers_address() {
    let world = World::new().await;
    for field in ["baseUrl", "base_url", "origin", "url", "endpoint"] {
        let mut body = json!({"providerId": "openai", "apiKey": random_secret()});
        body[field] = json!("http://169.254.169.254/");
        world.ask(&world.root, "POST", ACME_KEYS, body).await.assert_refused(400, "unknown_field", Some(field));
    }
    assert!(world.keys().await.is_empty());
}
