//! Links to the portal, and its sessions.

use claviger_app::ClientAddress;
use claviger_app::portal::PortalPlace;
use claviger_testkit::TestSettings;
use serde_json::{Value, json};

use crate::world::World;

const LINKS: &str = "/api/workspaces/acme/portal-links";
const SESSIONS: &str = "/api/workspaces/acme/portal-sessions";

/// Opens a link as the portal does, and brings the text of the session's cookie.
async fn open(world: &World, url: &str) -> String {
    let (rest, text) = url.rsplit_once('/').unwrap();
    let workspace = rest.rsplit('/').next().unwrap();
    world.test.app.portal.open(workspace, text, ClientAddress::UNKNOWN).await.unwrap().reveal_cookie().to_string()
}

#[tokio::test]
async fn a_link_names_the_public_address_and_its_end() {
    let world = World::new().await;
    let link = world.done("POST", LINKS, json!({"role": "admin"})).await;
    let url = link["url"].as_str().unwrap();
    assert!(url.starts_with("https://keys.example.com/portal/open/acme/clv_"), "{url}");
    assert_eq!(link["expiresAt"], "2026-01-01T00:10:00.000Z");
    let link = world.done("POST", LINKS, json!({"role": "admin", "expiresIn": 60})).await;
    assert_eq!(link["expiresAt"], "2026-01-01T00:01:00.000Z");
}

#[tokio::test]
async fn what_a_link_cannot_be_is_named() {
    let world = World::new().await;
    let many = vec!["openai"; 201];
    for (rest, code, field) in [
        (json!({"role": "runtime"}), "invalid_input", "role"),
        (json!({"mode": "double"}), "invalid_input", "mode"),
        (json!({"mode": "embed"}), "invalid_input", "mode"),
        (json!({"mode": "single", "embed": true}), "invalid_input", "mode"),
        (json!({"actor": "  "}), "invalid_input", "actor"),
        (json!({"actor": "root"}), "actor_reserved", "actor"),
        (json!({"actor": "token:aaaaaaaaaaaaaaaa"}), "actor_reserved", "actor"),
        (json!({"expiresIn": 59}), "invalid_input", "expiresIn"),
        (json!({"expiresIn": 86_401}), "invalid_input", "expiresIn"),
        (json!({"providers": ["Open AI"]}), "invalid_input", "providers"),
        (json!({"providers": ["nobody"]}), "unknown_provider", "providers"),
        (json!({"providers": many}), "invalid_input", "providers"),
        (json!({"returnUrl": "javascript:alert(1)"}), "invalid_url", "returnUrl"),
        (json!({"returnUrl": "https://app.example.com.evil.example/"}), "invalid_url", "returnUrl"),
        (json!({"returnUrl": "https://app.example.com@evil.example/"}), "invalid_url", "returnUrl"),
    ] {
        let mut body = json!({"role": "admin"});
        body.as_object_mut().unwrap().extend(rest.as_object().unwrap().clone());
        world.ask(&world.root, "POST", LINKS, body).await.assert_refused(400, code, Some(field));
    }
    let nowhere = world.ask(&world.root, "POST", "/api/workspaces/nobody/portal-links", json!({"role": "admin"})).await;
    nowhere.assert_refused(404, "unknown_workspace", None);
}

#[tokio::test]
async fn sessions_are_listed_and_ended() {
    let world = World::new().await;
    let body = json!({
        "role": "member", "actor": "user_1", "providers": ["openai"], "mode": "single",
        "returnUrl": "https://app.example.com/settings"
    });
    let link = world.done("POST", LINKS, body).await;
    assert_eq!(world.done("GET", SESSIONS, Value::Null).await["sessions"], json!([]), "nobody has opened it");
    let cookie = open(&world, link["url"].as_str().unwrap()).await;
    let listed = world.done("GET", SESSIONS, Value::Null).await;
    let session = &listed["sessions"][0];
    let id = session["id"].as_str().unwrap();
    let expected = json!({
        "id": id, "role": "member", "actor": "user_1", "providers": ["openai"], "mode": "single", "embed": false,
        "createdAt": "2026-01-01T00:00:00.000Z", "expiresAt": "2026-01-01T01:00:00.000Z"
    });
    assert_eq!((session, &listed["nextCursor"]), (&expected, &Value::Null));
    assert!(world.test.app.portal.prove(&cookie, ClientAddress::UNKNOWN).await.is_ok());

    let path = format!("{SESSIONS}/{id}");
    world.done("DELETE", &path, Value::Null).await;
    assert!(world.test.app.portal.prove(&cookie, ClientAddress::UNKNOWN).await.is_err());
    world.ask(&world.root, "DELETE", &path, Value::Null).await.assert_refused(404, "unknown_session", None);
    let malformed = world.ask(&world.root, "DELETE", &format!("{SESSIONS}/x"), Value::Null).await;
    malformed.assert_refused(404, "unknown_session", None);
}

#[tokio::test]
async fn only_root_and_services_say_who_is_in_the_portal() {
    let world = World::new().await;
    let (admin, id) = world.token("admin", Some("acme"), json!({})).await;
    let link = world.ask(&admin, "POST", LINKS, json!({"role": "admin", "actor": "somebody else"})).await.json();
    open(&world, link["url"].as_str().unwrap()).await;
    let listed = world.done("GET", SESSIONS, Value::Null).await;
    assert_eq!(listed["sessions"][0]["actor"], format!("token:{id}"));
}

#[tokio::test]
async fn a_links_text_and_a_sessions_are_no_tokens() {
    let world = World::new().await;
    let link = world.done("POST", LINKS, json!({"role": "admin"})).await;
    let url = link["url"].as_str().unwrap();
    let text = url.rsplit('/').next().unwrap().to_owned();
    let cookie = open(&world, url).await;
    for text in [text.as_str(), cookie.split('.').next().unwrap()] {
        world.ask(text, "GET", SESSIONS, Value::Null).await.assert_refused(401, "token_invalid", None);
    }
}

#[tokio::test]
async fn a_link_for_a_frame_is_made_where_a_host_is_listed() {
    let settings = TestSettings {
        portal: PortalPlace { embed_hosts: vec!["app.example.com".parse().unwrap()], ..PortalPlace::default() },
        ..TestSettings::default()
    };
    let world = World::with(settings).await;
    for (body, mode) in [
        (json!({"role": "admin", "mode": "embed"}), "multi"),
        (json!({"role": "admin", "mode": "single", "embed": true}), "single"),
    ] {
        let link = world.done("POST", LINKS, body).await;
        open(&world, link["url"].as_str().unwrap()).await;
        let listed = world.done("GET", SESSIONS, Value::Null).await;
        let session = listed["sessions"].as_array().unwrap().iter().find(|session| session["mode"] == mode).unwrap();
        assert_eq!(session["embed"], true);
    }
}
