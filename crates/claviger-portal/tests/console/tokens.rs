//! Tokens: made, shown once, deleted.

use claviger_app::ClientAddress;
use claviger_app::access::AuthenticateError;
use http::StatusCode;

use crate::world::World;

#[tokio::test]
async fn a_token_is_shown_once_and_nowhere_else() {
    let world = World::new().await;
    world.test.workspace("acme").await;
    let browser = world.operator().await;
    let fields = [("name", "Backend"), ("role", "runtime"), ("workspace", "acme"), ("reveal", "yes")];
    let answer = browser.post("/console/tokens", &fields).await;
    assert_eq!((answer.status, answer.header("cache-control")), (StatusCode::OK, "no-store"));
    let token = answer.between("aria-describedby=\"secret-help\">", "<").to_owned();
    let principal = world.test.app.access.authenticate(token.as_bytes(), ClientAddress::UNKNOWN).await.unwrap();
    assert_eq!(principal.role().as_str(), "runtime");
    assert!(principal.permit_resolve("acme".parse().unwrap()).is_ok());
    let secret = &token[21..];
    for page in ["/console", "/console/tokens", "/console/tokens?workspace=acme", "/console/workspaces/acme"] {
        browser.page(page).await.assert_lacks(secret);
    }
    let listed = browser.page("/console/tokens").await;
    for words in ["Backend", "Reveal", "Never"] {
        listed.assert_shows(words);
    }
}

#[tokio::test]
async fn a_service_token_ends_on_the_day_that_was_named() {
    let world = World::new().await;
    let browser = world.operator().await;
    let made = browser.post("/console/tokens", &[("name", "CI"), ("role", "service"), ("ends", "2030-01-31")]).await;
    assert_eq!(made.status, StatusCode::OK);
    let listed = browser.page("/console/tokens").await;
    listed.assert_shows("2030-01-31 23:59");
    listed.assert_shows("Every workspace");
}

#[tokio::test]
async fn what_is_wrong_with_a_token_stands_beside_its_field() {
    let world = World::new().await;
    world.test.workspace("acme").await;
    let browser = world.operator().await;
    for (name, role, workspace, reveal, ends, words) in [
        ("", "runtime", "acme", "", "", "Enter a name."),
        ("Kept", "root", "acme", "", "", "Choose a role."),
        ("Kept", "runtime", "", "", "", "belongs to one workspace"),
        ("Kept", "runtime", "a b", "", "", "An id has 1 to 128 characters"),
        ("Kept", "runtime", "nobody", "", "", "There is no workspace with this id."),
        ("Kept", "service", "acme", "", "", "A service token is for every workspace"),
        ("Kept", "admin", "acme", "yes", "", "Only service and runtime tokens"),
        ("Kept", "runtime", "acme", "", "soon", "Enter a day as in 2030-01-31."),
        ("Kept", "runtime", "acme", "", "2020-01-31", "This day is over."),
    ] {
        let fields = [("name", name), ("role", role), ("workspace", workspace), ("reveal", reveal), ("ends", ends)];
        let refused = browser.post("/console/tokens", &fields).await;
        assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY, "{words}");
        refused.assert_shows(words);
        refused.assert_shows(&format!("name=\"name\" value=\"{name}\""));
    }
    browser.page("/console/tokens").await.assert_shows("There are none.");
}

#[tokio::test]
async fn a_deleted_token_works_no_more() {
    let world = World::new().await;
    let acme = world.test.workspace("acme").await;
    let token = world.test.runtime_token(&acme).await;
    let browser = world.operator().await;
    let path = format!("/console/tokens/{}/delete", &token[4..20]);
    browser.page(&path).await.assert_shows("Delete token “test”?");
    assert!(world.test.app.access.authenticate(token.as_bytes(), ClientAddress::UNKNOWN).await.is_ok());
    assert_eq!(browser.post(&path, &[]).await.location(), "/console/tokens?done=token-deleted");
    let refused = world.test.app.access.authenticate(token.as_bytes(), ClientAddress::UNKNOWN).await;
    assert!(matches!(refused, Err(AuthenticateError::Unknown)), "{refused:?}");
    for path in [path.as_str(), "/console/tokens/x/delete"] {
        assert_eq!(browser.post(path, &[]).await.status, StatusCode::NOT_FOUND);
        assert_eq!(browser.get(path).await.status, StatusCode::NOT_FOUND);
    }
}
