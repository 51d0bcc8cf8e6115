//! What a workspace inherits from its organization.

use serde_json::{Value, json};

use crate::world::{ACME_KEYS, GROUP_KEYS, PLATFORM_KEYS, World};

async fn inherited(world: &World) -> Value {
    world.done("GET", &format!("{ACME_KEYS}/inherited-status"), Value::Null).await
}

fn of(providers: &[&str]) -> Value {
    json!({"inheritedProviderIds": providers})
}

#[tokio::test]
async fn a_workspace_inherits_what_its_organization_lends_and_it_has_not_itself() {
    let world = World::new().await;
    for provider in ["openai", "openai", "anthropic", "cohere"] {
        world.key_at(GROUP_KEYS, provider).await;
    }
    world.key_at(PLATFORM_KEYS, "exa").await;
    assert_eq!(inherited(&world).await, of(&[]));
    world.join_group().await;
    assert_eq!(inherited(&world).await, of(&["anthropic", "cohere", "openai"]));
    // A key of its own ends it, in whatever state.
    let own = world.key("openai").await;
    world.done("PATCH", &format!("{ACME_KEYS}/{}", own["id"].as_str().unwrap()), json!({"enabled": false})).await;
    assert_eq!(inherited(&world).await, of(&["anthropic", "cohere"]));
    // A key that is off is not lent.
    let cohere = world.keys_at(GROUP_KEYS).await[1]["id"].clone();
    world.done("PATCH", &format!("{GROUP_KEYS}/{}", cohere.as_str().unwrap()), json!({"enabled": false})).await;
    assert_eq!(inherited(&world).await, of(&["anthropic"]));
    world.done("PUT", "/api/organizations/group", json!({"keysEnabled": false})).await;
    assert_eq!(inherited(&world).await, of(&[]));
    world.done("PUT", "/api/organizations/group", json!({"keysEnabled": true})).await;
    world.done("PUT", "/api/workspaces/acme", json!({"organizationId": null})).await;
    assert_eq!(inherited(&world).await, of(&[]));
}

#[tokio::test]
async fn who_may_see_a_workspaces_keys_may_see_what_it_inherits() {
    let world = World::new().await;
    let (member, _) = world.token("member", Some("acme"), json!({})).await;
    let ask = async |path: &str| world.ask(&member, "GET", path, Value::Null).await;
    assert_eq!(ask(&format!("{ACME_KEYS}/inherited-status")).await.json(), of(&[]));
    ask("/api/workspaces/nowhere/byok-keys/inherited-status").await.assert_refused(403, "forbidden", None);
    let nowhere = "/api/workspaces/nowhere/byok-keys/inherited-status";
    world.ask(&world.root, "GET", nowhere, Value::Null).await.assert_refused(404, "unknown_workspace", None);
    let malformed = "/api/workspaces/a%2Fb/byok-keys/inherited-status";
    world.ask(&world.root, "GET", malformed, Value::Null).await.assert_refused(400, "invalid_input", Some("id"));
}
