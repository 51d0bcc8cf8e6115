//! Organizations, and the workspaces in them.

use claviger_core::Owner;
use http::StatusCode;
use serde_json::{Value, json};

use crate::world::{ACME_KEYS, GROUP_KEYS, World};

#[tokio::test]
async fn an_organization_is_made_changed_seen_and_deleted() {
    let world = World::new().await;
    let path = "/api/organizations/team:1.eu_a-b";
    let made = world.done("PUT", path, json!({"name": " Team "})).await;
    let expected = json!({"organization": {
        "id": "team:1.eu_a-b", "name": "Team", "keysEnabled": true, "createdAt": "2026-01-01T00:00:00.000Z",
    }});
    assert_eq!(made, expected);
    assert_eq!(world.done("GET", path, Value::Null).await, expected);
    for nothing in [json!({}), json!({"keysEnabled": null}), json!({"name": "Team"}), json!({"keysEnabled": true})] {
        assert_eq!(world.done("PUT", path, nothing).await, expected);
    }
    let off = world.done("PUT", path, json!({"keysEnabled": false})).await;
    assert_eq!((&off["organization"]["keysEnabled"], &off["organization"]["name"]), (&json!(false), &json!("Team")));
    for clear in [json!({"name": null}), json!({"name": "  "})] {
        world.done("PUT", path, json!({"name": "Team"})).await;
        let cleared = world.done("PUT", path, clear).await;
        assert_eq!(cleared["organization"]["name"], Value::Null);
        assert_eq!(cleared["organization"]["keysEnabled"], false);
    }
    assert_eq!(world.done("DELETE", path, Value::Null).await, json!({"success": true}));
    for method in ["GET", "DELETE"] {
        world.ask(&world.root, method, path, Value::Null).await.assert_refused(404, "unknown_organization", None);
    }
}

#[tokio::test]
async fn a_new_organization_can_be_made_without_lending_keys() {
    let world = World::new().await;
    let made = world.done("PUT", "/api/organizations/new", json!({"keysEnabled": false})).await;
    assert_eq!(made["organization"]["keysEnabled"], false);
    assert_eq!(made["organization"]["name"], Value::Null);
}

#[tokio::test]
async fn what_is_no_organization_is_refused() {
    let world = World::new().await;
    for (body, code, field) in [
        (json!({"name": "x".repeat(121)}), "invalid_input", "name"),
        (json!({"name": "a\nb"}), "invalid_input", "name"),
        (json!({"name": 1}), "invalid_input", "name"),
        (json!({"keysEnabled": "yes"}), "invalid_input", "keysEnabled"),
        (json!({"keys_enabled": true}), "unknown_field", "keys_enabled"),
        (json!({"id": "new"}), "unknown_field", "id"),
    ] {
        world.ask(&world.root, "PUT", "/api/organizations/new", body).await.assert_refused(400, code, Some(field));
    }
    let path = "/api/organizations/new";
    world.ask(&world.root, "GET", path, Value::Null).await.assert_refused(404, "unknown_organization", None);
}

#[tokio::test]
async fn an_organizations_id_that_cannot_be_one_is_refused_after_the_token() {
    let world = World::new().await;
    let (admin, _) = world.token("admin", Some("acme"), json!({})).await;
    let (service, _) = world.token("service", None, json!({})).await;
    let too_long = "x".repeat(129);
    for id in ["a%2Fb", "a%20b", "%C3%BC", "%ff", "..%2Fgroup", too_long.as_str()] {
        for (method, rest) in [("GET", ""), ("PUT", ""), ("DELETE", ""), ("GET", "/byok-keys"), ("POST", "/byok-keys")]
        {
            let path = format!("/api/organizations/{id}{rest}");
            let asked = async |token: &str| world.ask(token, method, &path, Value::Null).await;
            asked(&world.root).await.assert_refused(400, "invalid_input", Some("id"));
            asked(&service).await.assert_refused(400, "invalid_input", Some("id"));
            asked("nonsense").await.assert_refused(401, "token_invalid", None);
            asked(&admin).await.assert_refused(403, "forbidden", None);
        }
    }
}

#[tokio::test]
async fn organizations_come_in_pages_to_the_last() {
    let world = World::new().await;
    for id in ["b", "c", "d"] {
        world.done("PUT", &format!("/api/organizations/{id}"), json!({})).await;
    }
    let page = world.done("GET", "/api/organizations?limit=3", Value::Null).await;
    let ids = |page: &Value| {
        let list = page["organizations"].as_array().unwrap();
        list.iter().map(|one| one["id"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!((ids(&page), &page["nextCursor"]), (["b", "c", "d"].map(str::to_owned).to_vec(), &json!("d")));
    let last = world.done("GET", "/api/organizations?limit=3&cursor=d", Value::Null).await;
    assert_eq!((ids(&last), &last["nextCursor"]), (vec!["group".to_owned()], &Value::Null));
    for (query, field) in [("limit=0", "limit"), ("cursor=a%2Fb", "cursor")] {
        let answer = world.ask(&world.root, "GET", &format!("/api/organizations?{query}"), Value::Null).await;
        answer.assert_refused(400, "invalid_input", Some(field));
    }
}

#[tokio::test]
async fn a_workspace_is_put_into_an_organization_and_taken_out() {
    let world = World::new().await;
    let acme = "/api/workspaces/acme";
    let of = |answer: &Value| answer["workspace"]["organizationId"].clone();
    assert_eq!(of(&world.done("PUT", acme, json!({"organizationId": "group"})).await), "group");
    // What is absent stays.
    assert_eq!(of(&world.done("PUT", acme, json!({"name": "Acme"})).await), "group");
    assert_eq!(of(&world.done("GET", acme, Value::Null).await), "group");
    let unknown = world.ask(&world.root, "PUT", acme, json!({"organizationId": "nowhere", "name": "New"})).await;
    unknown.assert_refused(400, "unknown_organization", Some("organizationId"));
    // Nothing of a request that is refused is done.
    let same = world.done("GET", acme, Value::Null).await;
    assert_eq!((of(&same), &same["workspace"]["name"]), (json!("group"), &json!("Acme")));
    assert_eq!(of(&world.done("PUT", acme, json!({"organizationId": null})).await), Value::Null);
    let new = world.done("PUT", "/api/workspaces/new", json!({"organizationId": "group"})).await;
    assert_eq!(of(&new), "group");
}

#[tokio::test]
async fn a_deleted_organization_takes_its_keys_along_and_leaves_its_workspaces() {
    let world = World::new().await;
    world.join_group().await;
    world.key_at(GROUP_KEYS, "openai").await;
    world.key("anthropic").await;
    world.done("DELETE", "/api/organizations/group", Value::Null).await;
    let acme = world.done("GET", "/api/workspaces/acme", Value::Null).await;
    assert_eq!(acme["workspace"]["organizationId"], Value::Null);
    assert_eq!(world.keys().await.len(), 1);
    let (token, _) = world.token("runtime", Some("acme"), json!({"reveal": true})).await;
    let resolve = format!("{ACME_KEYS}/resolve");
    let none = world.ask(&token, "POST", &resolve, json!({"providerId": "openai"})).await;
    none.assert_refused(404, "no_key", None);
    world.done("PUT", "/api/organizations/group", json!({})).await;
    assert_eq!(world.keys_at(GROUP_KEYS).await, [Value::Null; 0]);
}

#[tokio::test]
async fn an_organization_that_lends_nothing_keeps_its_keys_to_be_changed_and_deleted() {
    let world = World::new().await;
    let id = world.key_at(GROUP_KEYS, "openai").await["id"].clone();
    world.done("PUT", "/api/organizations/group", json!({"keysEnabled": false})).await;
    world.key_at(GROUP_KEYS, "openai").await;
    let path = format!("{GROUP_KEYS}/{}", id.as_str().unwrap());
    world.done("PATCH", &path, json!({"name": "old"})).await;
    world.done("DELETE", GROUP_KEYS, json!({"providerId": "openai", "keyId": id})).await;
    assert_eq!(world.keys_at(GROUP_KEYS).await.len(), 1);
    let pool = claviger_core::owner::PoolId {
        owner: Owner::Organization("group".parse().unwrap()),
        provider: "openai".parse().unwrap(),
    };
    assert_eq!(world.test.store.pool(&pool).await.unwrap().keys.len(), 1);
    let shown = world.ask(&world.root, "GET", "/api/organizations/group", Value::Null).await;
    assert_eq!(shown.status, StatusCode::OK);
}
