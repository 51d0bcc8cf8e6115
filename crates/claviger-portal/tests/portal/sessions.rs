//! Who is in the portal.

use std::time::Duration;

use claviger_app::portal::CreatePortalLink;
use claviger_core::portal::PortalRole;
use http::StatusCode;

use crate::world::World;

fn link(actor: &str, role: PortalRole) -> CreatePortalLink {
    CreatePortalLink { actor: Some(actor.to_owned()), ..CreatePortalLink::new(role) }
}

/// The ids of sessions that can be ended, in the order of the page.
fn ends(page: &str) -> Vec<String> {
    page.split("id=\"end-").skip(1).map(|rest| rest.split('"').next().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn admins_see_who_is_there_and_end_others() {
    let world = World::new().await;
    let bob = world.enter(link("bob", PortalRole::Member)).await;
    world.test.clock.advance(Duration::from_mins(20));
    let ada = world.enter(link("ada", PortalRole::Admin)).await;
    ada.get("/portal").await.assert_shows("href=\"/portal/sessions\"");
    let page = ada.get("/portal/sessions").await;
    for words in ["bob", "Looks at keys", "Since 20 min ago", "Ends in 40 min", "ada", "This session", "Ends in 60 min"]
    {
        page.assert_shows(words);
    }
    let others = ends(&page.text);
    assert_eq!(others.len(), 1, "nobody ends their own session here");
    let path = format!("/portal/sessions/{}/end", others[0]);
    let ended = ada.post(&path, &[]).await;
    ada.get(ended.location()).await.assert_shows("The session was ended.");
    assert_eq!(bob.get("/portal").await.status, StatusCode::UNAUTHORIZED);
    for gone in [path.as_str(), "/portal/sessions/x/end"] {
        let again = ada.post(gone, &[]).await;
        assert_eq!(again.status, StatusCode::NOT_FOUND);
        again.assert_shows("This session is not there any more");
    }
}

#[tokio::test]
async fn members_see_no_sessions_and_end_none() {
    let world = World::new().await;
    let ada = world.enter(link("ada", PortalRole::Admin)).await;
    let bob = world.enter(link("bob", PortalRole::Member)).await;
    let id = &ends(&ada.get("/portal/sessions").await.text)[0];
    bob.get("/portal").await.assert_lacks("/portal/sessions");
    assert_eq!(bob.get("/portal/sessions").await.status, StatusCode::FORBIDDEN);
    assert_eq!(bob.post(&format!("/portal/sessions/{id}/end"), &[]).await.status, StatusCode::FORBIDDEN);
    assert_eq!(bob.get("/portal").await.status, StatusCode::OK);
}

#[tokio::test]
async fn many_sessions_come_in_pages() {
    let world = World::new().await;
    for _ in 0..50 {
        world.member().await;
    }
    let ada = world.enter(link("ada", PortalRole::Admin)).await;
    let first = ada.get("/portal/sessions").await;
    let (_, rest) = first.text.split_once("id=\"more\" href=\"").expect("a second page");
    let second = ada.get(rest.split('"').next().unwrap()).await;
    let count = |text: &str| text.matches("data-session=").count();
    assert_eq!((count(&first.text), count(&second.text)), (50, 1));
    second.assert_lacks("id=\"more\"");
}
