//! What scripts add: dialogs in the place of pages, lists that follow what is typed, words that come and go.

use claviger_test_browser::Key;

use crate::stage::{Stage, status};

#[tokio::test]
async fn a_provider_opens_in_a_dialog_and_the_list_behind_knows_what_was_done_there() {
    let play = Stage::new().play(async |scene| {
        scene.enters_as_admin().await;
        scene.person.clicks("Add key · OpenAI").await;
        scene.person.has_focus_on("API key").await;
        let secret = crate::stage::secret();
        scene.person.fills("API key", &secret).await;
        scene.person.fills("Label", "Production").await;
        scene.person.assert_accessible().await;
        scene.person.sends("Add key").await;
        scene.person.sees("The key was added.").await;
        scene.person.sees_heading("Production").await;
        scene.person.assert_accessible().await;
        scene.person.clicks("Close").await;
        scene.person.sees("1 key, working").await;
        assert_eq!(scene.person.address().await, scene.address("/portal"));
        scene.person.has_focus_on("Manage · OpenAI").await;
    });
    play.await;
}

#[tokio::test]
async fn a_dialog_has_the_address_of_its_page() {
    let play = Stage::new().play(async |scene| {
        scene.has_key("openai", "Production").await;
        scene.enters_as_admin().await;
        scene.person.clicks("Manage · OpenAI").await;
        scene.person.sees_heading("Production").await;
        assert_eq!(scene.person.address().await, scene.address("/portal/providers/openai"));
        scene.person.goes_back().await;
        scene.person.has_focus_on("Manage · OpenAI").await;
        assert_eq!(scene.person.address().await, scene.address("/portal"));
        scene.person.clicks("Manage · OpenAI").await;
        scene.person.sees_heading("Production").await;
        scene.person.reloads().await;
        scene.person.sees_heading("Production").await;
        // As a page by itself it leads to the others.
        scene.person.clicks("All providers").await;
        scene.person.sees_heading("API keys").await;
    });
    play.await;
}

#[tokio::test]
async fn escape_goes_one_step_back_and_the_focus_with_it() {
    let play = Stage::new().play(async |scene| {
        scene.has_key("openai", "Production").await;
        scene.enters_as_admin().await;
        scene.person.clicks("Manage · OpenAI").await;
        scene.person.clicks("Rename · Production").await;
        scene.person.has_focus_on("Label").await;
        scene.person.assert_accessible().await;
        scene.person.presses(Key::Escape).await;
        scene.person.has_focus_on("Rename · Production").await;
        scene.person.clicks("Delete · Production").await;
        // What a careless Enter does is nothing.
        scene.person.has_focus_on("Cancel").await;
        scene.person.assert_accessible().await;
        scene.person.presses(Key::Enter).await;
        scene.person.has_focus_on("Delete · Production").await;
        scene.person.presses(Key::Escape).await;
        scene.person.has_focus_on("Manage · OpenAI").await;
        assert_eq!(scene.stored().await, [("Production".to_owned(), true)]);
    });
    play.await;
}

#[tokio::test]
async fn what_is_wrong_is_said_in_the_dialog_where_it_was_typed() {
    let play = Stage::new().play(async |scene| {
        scene.provider_answers("openai", 401);
        scene.person.expects_complaint(&status(422));
        scene.enters_as_admin().await;
        scene.person.clicks("Add key · OpenAI").await;
        let secret = crate::stage::secret();
        scene.person.fills("API key", &secret).await;
        scene.person.fills("Label", "Typo").await;
        scene.person.ticks("Test the key with the provider before it is saved").await;
        scene.person.sends("Add key").await;
        scene.person.sees("OpenAI does not accept this key, so it was not saved.").await;
        assert_eq!(scene.person.value_of("Label").await, "Typo", "what was typed is lost");
        assert_eq!(scene.person.value_of("API key").await, "", "the refused key is still there");
        scene.person.has_focus_on("API key").await;
        scene.person.assert_accessible().await;
        assert_eq!(scene.stored().await, []);
    });
    play.await;
}

#[tokio::test]
async fn the_list_follows_what_is_typed_and_its_address_can_be_kept() {
    let play = Stage::new().play(async |scene| {
        scene.enters_as_admin().await;
        scene.person.fills("Search providers", "openai").await;
        scene.person.sees_no_more("Anthropic").await;
        scene.person.sees_heading("OpenAI").await;
        scene.person.has_focus_on("Search providers").await;
        assert_eq!(scene.person.address().await, scene.address("/portal?search=openai"));
        scene.person.reloads().await;
        scene.person.sees_heading("OpenAI").await;
        assert!(!scene.person.is_shown("Anthropic").await);
    });
    play.await;
}

#[tokio::test]
async fn a_key_is_tested_and_the_answer_said_of_that_key() {
    let play = Stage::new().play(async |scene| {
        scene.has_key("openai", "Production").await;
        scene.enters_as_admin().await;
        scene.opens("/portal/providers/openai").await;
        scene.person.clicks("Test · Production").await;
        scene.person.sees("The provider accepts this key.").await;
        scene.person.assert_accessible().await;
        scene.provider_answers("openai", 401);
        scene.person.clicks("Test · Production").await;
        scene.person.sees("The provider refuses this key. Replace it.").await;
        scene.person.sees("Refused by the provider").await;
    });
    play.await;
}

#[tokio::test]
async fn a_typed_key_can_be_looked_at_and_is_in_the_page_even_then_nowhere() {
    let play = Stage::new().play(async |scene| {
        scene.enters_as_admin().await;
        scene.opens("/portal/providers/openai").await;
        let secret = crate::stage::secret();
        scene.person.fills("API key", &secret).await;
        scene.person.clicks("Show").await;
        assert_eq!(scene.person.value_of("API key").await, secret);
        scene.person.assert_accessible().await;
        scene.person.clicks("Hide").await;
        scene.person.sends("Add key").await;
        scene.person.sees("The key was added.").await;
    });
    play.await;
}

#[tokio::test]
async fn whoever_is_signed_in_is_listed_and_can_be_signed_out() {
    let play = Stage::new().play(async |scene| {
        scene.enters(serde_json::json!({"role": "admin", "actor": "ann@example.com"})).await;
        scene.person.forgets_the_cookie("claviger_portal").await;
        scene.enters(serde_json::json!({"role": "admin", "actor": "ben@example.com"})).await;
        scene.person.clicks("Sessions").await;
        scene.person.sees_heading("Sessions").await;
        scene.person.sees("This session").await;
        scene.person.assert_accessible().await;
        scene.person.clicks("End · ann@example.com").await;
        scene.person.sees_no_more("ann@example.com").await;
        scene.person.sees("ben@example.com").await;
    });
    play.await;
}
