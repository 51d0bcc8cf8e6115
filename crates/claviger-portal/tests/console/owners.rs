//! Workspaces and organizations: made, changed, deleted, and links to portals.

use std::time::Duration;

use axum::body::Body;
use claviger_core::Owner;
use http::header::ORIGIN;
use http::{Request, StatusCode};

use crate::world::{HERE, World};

#[tokio::test]
async fn a_workspace_is_made_renamed_moved_and_deleted() {
    let world = World::new().await;
    world.test.organization("group", true).await;
    let browser = world.operator().await;
    let made = browser.post("/console/workspaces", &[("id", "acme"), ("name", " Acme "), ("organization", "")]).await;
    assert_eq!(made.location(), "/console/workspaces/acme?done=workspace-made");
    let page = browser.page(made.location()).await;
    page.assert_shows("The workspace was made.");
    page.assert_shows("<h1>Acme</h1>");

    let moved = browser.post("/console/workspaces/acme", &[("name", "Acme Inc"), ("organization", "group")]).await;
    assert_eq!(moved.location(), "/console/workspaces/acme?done=workspace-changed");
    let page = browser.page("/console/workspaces/acme").await;
    page.assert_shows("<h1>Acme Inc</h1>");
    page.assert_shows("href=\"/console/organizations/group\"");
    browser.post("/console/workspaces/acme", &[("name", ""), ("organization", "")]).await.location();
    let page = browser.page("/console/workspaces/acme").await;
    page.assert_shows("<h1>acme</h1>");
    page.assert_lacks("/console/organizations/group");

    let asked = browser.page("/console/workspaces/acme/delete").await;
    asked.assert_shows("Type <code>acme</code> to confirm");
    for wrong in ["", "Acme", "acm"] {
        let refused = browser.post("/console/workspaces/acme/delete", &[("confirm", wrong)]).await;
        assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY, "{wrong}");
        refused.assert_shows("Nothing was deleted.");
    }
    let deleted = browser.post("/console/workspaces/acme/delete", &[("confirm", " acme ")]).await;
    assert_eq!(deleted.location(), "/console/workspaces?done=workspace-deleted");
    for path in ["/console/workspaces/acme", "/console/workspaces/acme/delete", "/console/workspaces/a%20b"] {
        assert_eq!(browser.get(path).await.status, StatusCode::NOT_FOUND, "{path}");
    }
}

#[tokio::test]
async fn what_is_wrong_with_a_workspace_stands_beside_its_field() {
    let world = World::new().await;
    world.test.workspace("taken").await;
    let browser = world.operator().await;
    let long = "n".repeat(121);
    for (id, name, organization, words) in [
        ("a b", "Kept", "", "An id has 1 to 128 characters"),
        ("", "Kept", "", "An id has 1 to 128 characters"),
        ("taken", "Kept", "", "There is one with this id already."),
        ("acme", long.as_str(), "", "A label has at most 120 characters."),
        ("acme", "Kept", "nobody", "There is no organization with this id."),
        ("acme", "Kept", "a/b", "An id has 1 to 128 characters"),
    ] {
        let fields = [("id", id), ("name", name), ("organization", organization)];
        let refused = browser.post("/console/workspaces", &fields).await;
        assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY, "{words}");
        refused.assert_shows(words);
        refused.assert_shows(&format!("value=\"{name}\""));
        refused.assert_shows("aria-invalid=\"true\"");
    }
    assert_eq!(browser.get("/console/workspaces/acme").await.status, StatusCode::NOT_FOUND);
    let refused = browser.post("/console/workspaces/taken", &[("organization", "nobody")]).await;
    assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY);
    refused.assert_shows("There is no organization with this id.");
}

#[tokio::test]
async fn an_id_that_browsers_take_for_a_step_has_a_page_too() {
    let world = World::new().await;
    let browser = world.operator().await;
    let made = browser.post("/console/workspaces", &[("id", "..")]).await;
    assert_eq!(made.location(), "/console/workspaces/~..?done=workspace-made");
    browser.page(made.location()).await.assert_shows("<code>..</code>");
}

#[tokio::test]
async fn an_organization_is_made_renamed_switched_and_deleted() {
    let world = World::new().await;
    let browser = world.operator().await;
    let made = browser.post("/console/organizations", &[("id", "group"), ("name", "Group")]).await;
    assert_eq!(made.location(), "/console/organizations/group?done=organization-made");
    let again = browser.post("/console/organizations", &[("id", "group")]).await;
    assert_eq!(again.status, StatusCode::UNPROCESSABLE_ENTITY);
    let renamed = browser.post("/console/organizations/group", &[("name", "The Group")]).await;
    assert_eq!(renamed.location(), "/console/organizations/group?done=organization-changed");
    browser.page("/console/organizations/group").await.assert_shows("<h1>The Group</h1>");

    for (to, button, listed) in [("off", "Lend its keys", "Not lent"), ("on", "Stop lending", "<td>Lent")] {
        browser.post("/console/organizations/group/lending", &[("to", to)]).await.location();
        browser.page("/console/organizations/group").await.assert_shows(button);
        browser.page("/console/organizations").await.assert_shows(listed);
    }
    let sideways = browser.post("/console/organizations/group/lending", &[("to", "sideways")]).await;
    assert_eq!(sideways.status, StatusCode::BAD_REQUEST);

    let acme = world.test.workspace("acme").await;
    world.test.move_workspace(&acme, Some(&"group".parse().unwrap())).await;
    let refused = browser.post("/console/organizations/group/delete", &[("confirm", "acme")]).await;
    assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY);
    let deleted = browser.post("/console/organizations/group/delete", &[("confirm", "group")]).await;
    assert_eq!(deleted.location(), "/console/organizations?done=organization-deleted");
    assert_eq!(browser.get("/console/organizations/group").await.status, StatusCode::NOT_FOUND);
    browser.page("/console/workspaces/acme").await.assert_lacks("/console/organizations/group");
}

#[tokio::test]
async fn a_workspaces_page_shows_its_keys_masked_its_tokens_and_nobody_elses() {
    let world = World::new().await;
    let (acme, other) = (world.test.workspace("acme").await, world.test.workspace("other").await);
    let key = world.test.key(&acme, "openai").await;
    let foreign = world.test.key(&other, "exa").await;
    world.test.runtime_token(&acme).await;
    let page = world.operator().await.page("/console/workspaces/acme").await;
    page.assert_shows(&format!("<code>{}</code>", key.masked));
    page.assert_shows("Working");
    page.assert_shows("<td>runtime</td>");
    page.assert_lacks(foreign.id.as_str());
}

#[tokio::test]
async fn a_link_to_a_portal_is_shown_once_and_its_session_is_ended_here() {
    let world = World::new().await;
    world.test.workspace("acme").await;
    let browser = world.operator().await;
    let fields = [("role", "admin"), ("mode", "single"), ("expires", "day"), ("actor", "user_7")];
    let answer = browser.post("/console/workspaces/acme/links", &fields).await;
    assert_eq!((answer.status, answer.header("cache-control")), (StatusCode::OK, "no-store"));
    answer.assert_shows("It works once");
    let link = answer.between("spellcheck=\"false\" aria-describedby=\"secret-help\">", "<").to_owned();
    let path = link.strip_prefix(HERE).expect("the public address").to_owned();
    for page in ["/console/workspaces/acme", "/console", "/console/sessions"] {
        browser.page(page).await.assert_lacks(&link[link.len() - 40..]);
    }

    let portal = claviger_portal::router(std::sync::Arc::clone(&world.test.app));
    world.test.clock.advance(Duration::from_hours(23));
    let browser = world.operator().await;
    let open = Request::post(&path).header(ORIGIN, HERE).body(Body::empty()).unwrap();
    let opened = crate::world::send(&portal, open).await;
    assert_eq!(opened.location(), "/portal");
    let page = browser.page("/console/workspaces/acme").await;
    page.assert_shows("user_7");
    let end = page.text.split("action=\"").find(|part| part.contains("/sessions/")).unwrap().split('"').next().unwrap();
    assert_eq!(browser.post(end, &[]).await.location(), "/console/workspaces/acme?done=session-ended");
    assert_eq!(browser.post(end, &[]).await.status, StatusCode::NOT_FOUND);
    browser.page("/console/workspaces/acme").await.assert_shows("Nobody is there now.");

    let long = "x".repeat(257);
    let refused = browser.post("/console/workspaces/acme/links", &[("role", "admin"), ("actor", &long)]).await;
    assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY);
    refused.assert_shows("At most 256 characters");
    let refused = browser.post("/console/workspaces/acme/links", &[("role", "admin"), ("actor", "Root")]).await;
    assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY);
    refused.assert_shows("Claviger itself names somebody so.");
}

#[tokio::test]
async fn deleting_a_workspace_takes_its_keys_along() {
    let world = World::new().await;
    let acme = world.test.workspace("acme").await;
    world.test.key_of(Owner::Workspace(acme), "openai").await;
    let browser = world.operator().await;
    browser.post("/console/workspaces/acme/delete", &[("confirm", "acme")]).await.location();
    world.test.workspace("acme").await;
    browser.page("/console/workspaces/acme").await.assert_shows("There are no keys yet.");
}
