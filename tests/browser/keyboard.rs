//! Everything without a mouse.

use claviger_test_browser::Key;
use serde_json::json;

use crate::stage::Stage;

#[tokio::test]
async fn a_key_is_added_renamed_switched_and_deleted_by_keyboard_alone() {
    let play = Stage::new().play(async |scene| {
        let link = scene.link(json!({"role": "admin", "providers": ["openai", "anthropic"]})).await;
        let secret = crate::stage::secret();
        let person = &mut scene.person;
        person.opens(&link).await;
        person.tabs_to("Continue").await;
        person.presses(Key::Enter).await;
        person.sees_heading("API keys").await;
        person.tabs_to("Add key · OpenAI").await;
        person.presses(Key::Enter).await;
        // A dialog, with the focus where something is to be typed.
        person.sees_heading("OpenAI keys").await;
        person.has_focus_on("API key").await;
        person.types(&secret).await;
        person.tabs_to("Label").await;
        person.types("Typed").await;
        person.presses(Key::Enter).await;
        person.sees("The key was added.").await;
        person.tabs_to("Rename · Typed").await;
        person.presses(Key::Enter).await;
        person.sees_heading("Rename “Typed”").await;
        person.has_focus_on("Label").await;
        person.selects_all().await;
        person.types("Renamed").await;
        person.presses(Key::Enter).await;
        person.sees("The key was renamed.").await;
        person.tabs_to("Switch off · Renamed").await;
        person.presses(Key::Space).await;
        person.sees("The key is switched off").await;
        person.tabs_to("Delete · Renamed").await;
        person.presses(Key::Enter).await;
        person.sees("This is the last key").await;
        person.tabs_to("Delete").await;
        person.presses(Key::Enter).await;
        person.sees("The key was deleted.").await;
        person.presses(Key::Escape).await;
        person.sees_no_more("The key was deleted.").await;
        person.has_focus_on("Add key · OpenAI").await;
        assert_eq!(scene.stored().await, []);
    });
    play.await;
}

#[tokio::test]
async fn the_first_stop_leads_past_what_every_page_begins_with() {
    let play = Stage::new().play(async |scene| {
        scene.enters_as_admin().await;
        scene.opens("/portal").await;
        scene.person.tabs_to("Skip to the content").await;
        scene.person.sees("Skip to the content").await;
        scene.person.presses(Key::Enter).await;
        scene.person.tabs_to("Search providers").await;
    });
    play.await;
}
