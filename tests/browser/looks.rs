//! Every page, narrow and wide, light and dark: no rule of accessibility broken, and nothing to scroll sideways for.

use serde_json::json;

use crate::stage::{Scene, Stage, status};

/// Visits every page there is, with keys in every state that needs no waiting.
async fn tour(scene: &mut Scene) {
    let long = "A label that is as long as labels may be, made of many words, so that whoever shows it has to break it";
    scene.has_key("openai", long).await;
    scene.has_key("openai", "").await;
    scene.has_key("openai", &"x".repeat(120)).await;
    let id = scene.server.keys("acme").await[0]["id"].as_str().unwrap().to_owned();
    scene.person.expects_complaint(&status(404));
    let link = scene.link(json!({"role": "admin"})).await;
    scene.person.opens(&link).await;
    look_at(scene).await;
    scene.person.sends("Continue").await;
    scene.person.sees_heading("API keys").await;
    look_at(scene).await;
    let key = format!("/portal/providers/openai/keys/{id}");
    for path in [
        "/portal?search=no-such-thing",
        "/portal/providers/openai",
        "/portal/providers/exa",
        "/portal/providers/openai?done=added",
        &format!("{key}/replace"),
        &format!("{key}/rename"),
        &format!("{key}/delete"),
        "/portal/activity",
        "/portal/activity?provider=exa&person=nobody",
        "/portal/sessions",
        "/portal/no-such-page",
    ] {
        scene.opens(path).await;
        look_at(scene).await;
    }
    scene.opens("/portal").await;
    scene.person.clicks("Sign out").await;
    scene.person.sees_heading("You are signed out").await;
    look_at(scene).await;
}

async fn look_at(scene: &mut Scene) {
    scene.person.assert_fits().await;
    scene.person.assert_accessible().await;
}

#[tokio::test]
async fn every_page_is_accessible() {
    Stage::new().play(tour).await;
}

#[tokio::test]
async fn every_page_is_accessible_on_a_small_phone() {
    Stage::new().narrow().play(tour).await;
}

#[tokio::test]
async fn every_page_is_accessible_in_the_dark() {
    Stage::new().dark().play(tour).await;
}

#[tokio::test]
async fn every_page_is_accessible_in_the_dark_on_a_small_phone() {
    Stage::new().dark().narrow().play(tour).await;
}

#[tokio::test]
async fn pages_are_dark_where_the_system_is_and_as_the_product_says_otherwise() {
    let play = Stage::new().dark().play(async |scene| {
        scene.enters_as_admin().await;
        let dark = scene.person.background().await;
        scene.opens("/portal?theme=light").await;
        let light = scene.person.background().await;
        assert_ne!(dark, light);
        scene.opens("/portal?theme=dark").await;
        assert_eq!(scene.person.background().await, dark);
    });
    play.await;
}

#[tokio::test]
async fn whatever_accent_the_product_chooses_pages_stay_readable() {
    let play = Stage::new().play(async |scene| {
        scene.has_key("openai", "Production").await;
        scene.enters(json!({"role": "admin", "providers": ["openai"]})).await;
        for accent in ["ffff00", "ffffff", "000000", "808080", "ff0055"] {
            for theme in ["light", "dark"] {
                let look = format!("?theme={theme}&accent={accent}&density=compact");
                scene.opens(&format!("/portal/providers/openai{look}")).await;
                scene.unfolds_the_form().await;
                look_at(scene).await;
            }
        }
    });
    play.await;
}
