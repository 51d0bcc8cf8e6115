//! Providers found by searching, and by an address.

use serde_json::json;

use crate::stage::{Stage, status};

#[tokio::test]
async fn a_search_finds_providers_by_name_and_says_when_there_are_none() {
    let play = Stage::new().play(async |scene| {
        scene.enters_as_admin().await;
        assert!(scene.person.is_shown("Anthropic").await);
        scene.person.fills("Search providers", "openai").await;
        scene.person.enters("Search providers").await;
        scene.person.sees_no_more("Anthropic").await;
        scene.person.sees_heading("OpenAI").await;
        scene.person.fills("Search providers", "no such thing").await;
        scene.person.enters("Search providers").await;
        scene.person.sees("No provider matches “no such thing”.").await;
        scene.person.assert_accessible().await;
        scene.person.clicks("Clear the search").await;
        scene.person.sees_heading("Anthropic").await;
    });
    play.await;
}

#[tokio::test]
async fn a_search_is_an_address_that_can_be_kept() {
    let play = Stage::new().play(async |scene| {
        scene.enters_as_admin().await;
        scene.opens("/portal?search=openai").await;
        scene.person.sees_heading("OpenAI").await;
        assert_eq!(scene.person.value_of("Search providers").await, "openai");
        assert!(!scene.person.is_shown("Anthropic").await);
    });
    play.await;
}

#[tokio::test]
async fn an_address_leads_straight_to_a_provider() {
    let play = Stage::new().play(async |scene| {
        scene.has_key("openai", "Production").await;
        scene.enters_as_admin().await;
        scene.opens("/portal/providers/openai").await;
        scene.person.sees_heading("OpenAI keys").await;
        scene.person.sees_heading("Production").await;
        scene.person.goes_back().await;
        scene.person.sees_heading("API keys").await;
    });
    play.await;
}

#[tokio::test]
async fn a_link_shows_the_providers_that_it_names_and_no_others() {
    let play = Stage::new().play(async |scene| {
        scene.enters(json!({"role": "admin", "providers": ["anthropic"]})).await;
        scene.person.sees_heading("Anthropic").await;
        assert!(!scene.person.is_shown("OpenAI").await);
        scene.person.expects_complaint(&status(404));
        scene.opens("/portal/providers/openai").await;
        scene.person.sees_heading("There is nothing here").await;
        scene.person.assert_accessible().await;
    });
    play.await;
}
