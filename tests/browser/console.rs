//! The operator's console.

use hyper::Method;
use serde_json::{Value, json};

use crate::stage::{Scene, Stage, WORKSPACE, status};

/// Goes into the console.
async fn sign_in(scene: &mut Scene) {
    let token = scene.root_token();
    scene.opens("/console").await;
    scene.person.fills("Root token", &token).await;
    scene.person.sends("Sign in").await;
    scene.person.sees_heading("What there is").await;
}

#[tokio::test]
async fn the_root_token_opens_the_console_and_nothing_else_does() {
    let play = Stage::new().play(async |scene| {
        // The page for whoever is not signed in, and the answer to a wrong token.
        scene.person.expects_complaint(&status(401));
        scene.person.expects_complaint(&status(403));
        let wrong = crate::stage::secret();
        scene.opens("/console").await;
        scene.person.fills("Root token", &wrong).await;
        scene.person.sends("Sign in").await;
        scene.person.sees("This is not the root token.").await;
        assert_eq!(scene.person.value_of("Root token").await, "");
        scene.person.assert_accessible().await;
        sign_in(scene).await;
        scene.person.sends("Sign out").await;
        scene.person.sees("You are signed out.").await;
        scene.opens("/console/workspaces").await;
        scene.person.sees("Root token").await;
    });
    play.await;
}

#[tokio::test]
async fn an_operator_makes_a_workspace_with_all_that_it_needs_and_deletes_it() {
    let play = Stage::new().play(async |scene| {
        scene.person.expects_complaint(&status(401));
        sign_in(scene).await;
        scene.person.clicks("Workspaces").await;
        scene.person.fills("Id", "globex").await;
        scene.person.fills("Name", "Globex").await;
        scene.person.sends("Make workspace").await;
        scene.person.sees_heading("Globex").await;
        scene.person.clicks("Add a key").await;
        let secret = crate::stage::secret();
        scene.person.chooses("Provider", "OpenAI").await;
        scene.person.fills("API key", &secret).await;
        scene.person.fills("Name", "Production").await;
        scene.person.sends("Add key").await;
        scene.person.sees("Production").await;
        scene.person.sends("Switch off · Production").await;
        scene.person.sees("Switched off").await;
        let keys = scene.server.keys("globex").await;
        assert_eq!((keys.len(), keys[0]["enabled"].clone()), (1, json!(false)));
        scene.person.sends("Make link").await;
        scene.person.sees_heading("A link to the portal").await;
        assert!(scene.person.value_of("Link").await.contains("/portal/open/globex/"));
        scene.person.assert_accessible().await;
        scene.person.clicks("Done").await;
        scene.person.clicks("Delete this workspace").await;
        scene.person.expects_complaint(&status(422));
        scene.person.fills("Type globex to confirm", "globe").await;
        scene.person.sends("Delete").await;
        scene.person.sees("This is not the id. Nothing was deleted.").await;
        scene.person.fills("Type globex to confirm", "globex").await;
        scene.person.sends("Delete").await;
        scene.person.sees_heading("All workspaces, by id").await;
        scene.person.sees_no_more("Globex").await;
    });
    play.await;
}

#[tokio::test]
async fn an_operator_signs_in_by_keyboard_alone() {
    let play = Stage::new().play(async |scene| {
        scene.person.expects_complaint(&status(401));
        let token = scene.root_token();
        scene.opens("/console").await;
        scene.person.tabs_to("Root token").await;
        scene.person.types(&token).await;
        scene.person.presses(claviger_test_browser::Key::Enter).await;
        scene.person.sees_heading("What there is").await;
        scene.person.tabs_to("Tokens").await;
        scene.person.presses(claviger_test_browser::Key::Enter).await;
        scene.person.sees_heading("All tokens").await;
    });
    play.await;
}

/// Visits every page of the console.
async fn tour(scene: &mut Scene) {
    for error in [401, 404, 422] {
        scene.person.expects_complaint(&status(error));
    }
    let long = "A label that is as long as labels may be, made of many words, so that whoever shows it has to break it";
    scene.has_key("openai", long).await;
    scene.has_key("openai", &"x".repeat(120)).await;
    scene.server.done(Method::PUT, "/api/organizations/group", &json!({"name": "Group"})).await;
    let of_group = format!("/api/workspaces/{}", "w".repeat(128));
    scene.server.done(Method::PUT, &of_group, &json!({"organizationId": "group"})).await;
    scene.server.token(WORKSPACE, "runtime").await;
    scene.opens("/console").await;
    look_at(scene).await;
    sign_in(scene).await;
    look_at(scene).await;
    let key = scene.server.keys(WORKSPACE).await[0]["id"].as_str().unwrap().to_owned();
    let tokens = scene.server.done(Method::GET, "/api/tokens", &Value::Null).await;
    let token = tokens["tokens"][0]["id"].as_str().unwrap().to_owned();
    let acme = format!("/console/workspaces/{WORKSPACE}");
    for path in [
        "/console/health",
        "/console/master-keys",
        "/console/workspaces",
        "/console/workspaces?search=ac",
        "/console/workspaces?search=no-such",
        &acme,
        &format!("{acme}/delete"),
        &format!("{acme}/keys/new"),
        &format!("{acme}/keys/{key}/replace"),
        &format!("{acme}/keys/{key}/rename"),
        &format!("{acme}/keys/{key}/delete"),
        "/console/organizations",
        "/console/organizations/group",
        "/console/organizations/group/delete",
        "/console/platform",
        "/console/tokens",
        "/console/tokens?workspace=acme",
        &format!("/console/tokens/{token}/delete"),
        "/console/sessions",
        "/console/no-such-page",
        "/console/workspaces/no-such",
    ] {
        scene.opens(path).await;
        look_at(scene).await;
    }
    scene.opens("/console/workspaces").await;
    scene.person.fills("Id", "not an id").await;
    scene.person.sends("Make workspace").await;
    scene.person.sees("An id has 1 to 128 characters").await;
    look_at(scene).await;
    scene.person.sends("Sign out").await;
    scene.person.sees("You are signed out.").await;
    look_at(scene).await;
}

async fn look_at(scene: &mut Scene) {
    scene.person.assert_fits().await;
    scene.person.assert_accessible().await;
}

#[tokio::test]
async fn every_page_of_the_console_is_accessible() {
    Stage::new().play(tour).await;
}

#[tokio::test]
async fn every_page_of_the_console_is_accessible_in_the_dark_on_a_small_phone() {
    Stage::new().dark().narrow().play(tour).await;
}
