//! The audit trail, as it is read.

use claviger_app::ClientAddress;
use claviger_testkit::random_secret;
use serde_json::{Value, json};

use crate::world::{ACME_KEYS, World, with_token};

const LOG: &str = "/api/workspaces/acme/audit-log";

async fn log(world: &World, query: &str) -> Value {
    world.done("GET", &format!("{LOG}{query}"), Value::Null).await
}

fn of<'a>(log: &'a Value, field: &str) -> Vec<&'a str> {
    log["entries"].as_array().unwrap().iter().map(|entry| entry[field].as_str().unwrap()).collect()
}

#[tokio::test]
async fn a_change_says_who_made_it_from_where_and_what_stood_there() {
    let world = World::new().await;
    let secret = random_secret();
    let body = json!({"providerId": "openai", "apiKey": secret, "name": "Main"}).to_string();
    let request = with_token("POST", ACME_KEYS, &world.root)
        .header("content-type", "application/json")
        .header("x-claviger-actor", "user_42")
        .extension(ClientAddress("203.0.113.9".parse().unwrap()));
    let key = world.send(request.body(body.into()).unwrap()).await.json()["key"].clone();
    let (admin, token) = world.token("admin", Some("acme"), json!({})).await;
    let path = format!("{ACME_KEYS}/{}", key["id"].as_str().unwrap());
    world.ask(&admin, "PATCH", &path, json!({"name": "", "enabled": false})).await;
    let delete = json!({"providerId": "openai", "keyId": key["id"]});
    world.ask(&admin, "DELETE", ACME_KEYS, delete).await;

    let log = log(&world, "").await;
    let expected = ["byok_key.deleted", "byok_key.updated", "token.created", "byok_key.created", "workspace.created"];
    assert_eq!(of(&log, "action"), expected);
    let by_token = format!("token:{token}");
    assert_eq!(of(&log, "actor")[..4], [&*by_token, &*by_token, "root", "user_42"]);
    assert_eq!((&log["entries"][3]["target"], &log["nextCursor"]), (&key["id"], &Value::Null));
    let shown = json!({"name": "Main", "maskedKey": key["maskedKey"], "enabled": true});
    let created = json!({"via": "api", "address": "203.0.113.9", "providerId": "openai", "after": shown});
    assert_eq!(log["entries"][3]["details"], created);
    let switched = json!({"name": null, "maskedKey": key["maskedKey"], "enabled": false});
    let updated = json!({"via": "api", "tokenId": token, "providerId": "openai", "before": shown, "after": switched});
    assert_eq!(log["entries"][1]["details"], updated);
    assert!(!log.to_string().contains(&secret) && !log.to_string().contains(admin.split('_').nth(2).unwrap()));
}

#[tokio::test]
async fn a_trail_comes_in_pages_by_provider_and_by_actor() {
    let world = World::new().await;
    for provider in ["openai", "exa", "openai"] {
        world.key(provider).await;
    }
    let first = log(&world, "?limit=2").await;
    assert_eq!((of(&first, "id"), &first["nextCursor"]), (vec!["4", "3"], &json!("3")));
    let second = log(&world, "?limit=2&cursor=3").await;
    assert_eq!((of(&second, "id"), &second["nextCursor"]), (vec!["2", "1"], &Value::Null));
    assert_eq!(of(&log(&world, "?providerId=openai").await, "id"), ["4", "2"]);
    assert!(of(&log(&world, "?actor=nobody").await, "id").is_empty());
    let long = format!("?actor={}", "x".repeat(257));
    for (query, field) in [
        (&*long, "actor"),
        ("?actor=a%00", "actor"),
        ("?limit=0", "limit"),
        ("?cursor=x", "cursor"),
        ("?cursor=-1", "cursor"),
    ] {
        let refused = world.ask(&world.root, "GET", &format!("{LOG}{query}"), Value::Null).await;
        refused.assert_refused(400, "invalid_input", Some(field));
    }
    let refused = world.ask(&world.root, "GET", &format!("{LOG}?providerId=nobody"), Value::Null).await;
    refused.assert_refused(400, "unknown_provider", Some("providerId"));
}

#[tokio::test]
async fn what_is_refused_is_not_entered() {
    let world = World::new().await;
    let before = log(&world, "").await;
    for body in [
        json!({"providerId": "openai", "apiKey": ""}),
        json!({"providerId": "nobody", "apiKey": random_secret()}),
        json!({"providerId": "openai", "apiKey": random_secret(), "keyId": "key_01ARZ3NDEKTSV4RRFFQ69G5FAV"}),
    ] {
        assert!(world.ask(&world.root, "POST", ACME_KEYS, body).await.status.is_client_error());
    }
    let (member, _) = world.token("member", Some("other"), json!({})).await;
    world.ask(&member, "DELETE", ACME_KEYS, json!({"providerId": "openai"})).await.assert_refused(
        403,
        "forbidden",
        None,
    );
    assert_eq!(log(&world, "").await, before);
    let nobody = world.ask(&world.root, "GET", "/api/workspaces/nobody/audit-log", Value::Null).await;
    nobody.assert_refused(404, "unknown_workspace", None);
}
