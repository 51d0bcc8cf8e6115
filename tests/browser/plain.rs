//! Without scripts: plain pages and plain forms.

use serde_json::json;

use crate::stage::{Stage, status};

#[tokio::test]
async fn without_scripts_a_key_goes_all_its_ways() {
    let play = Stage::new().without_scripts().play(async |scene| {
        scene.enters_as_admin().await;
        scene.person.clicks("Add key · OpenAI").await;
        let secret = crate::stage::secret();
        scene.person.fills("API key", &secret).await;
        scene.person.fills("Label", "Plain").await;
        scene.person.sends("Add key").await;
        scene.person.sees("The key was added.").await;
        scene.person.clicks("Replace · Plain").await;
        let secret = crate::stage::secret();
        scene.person.fills("API key", &secret).await;
        scene.person.sends("Save").await;
        scene.person.sees("The key was replaced.").await;
        scene.person.clicks("Rename · Plain").await;
        scene.person.fills("Label", "Plainer").await;
        scene.person.sends("Save").await;
        scene.person.sees("The key was renamed.").await;
        scene.person.clicks("Switch off · Plainer").await;
        scene.person.sees("Switched off").await;
        scene.person.clicks("Switch on · Plainer").await;
        scene.person.sees("Working").await;
        scene.person.clicks("Delete · Plainer").await;
        scene.person.sends("Delete").await;
        scene.person.sees("The key was deleted.").await;
        scene.person.clicks("Sign out").await;
        scene.person.sees_heading("You are signed out").await;
    });
    play.await;
}

#[tokio::test]
async fn without_scripts_what_is_wrong_is_said_too() {
    let play = Stage::new().without_scripts().play(async |scene| {
        scene.provider_answers("openai", 401);
        scene.person.expects_complaint(&status(422));
        scene.enters_as_admin().await;
        scene.opens("/portal/providers/openai").await;
        let secret = crate::stage::secret();
        scene.person.fills("API key", &secret).await;
        scene.person.ticks("Test the key with the provider before it is saved").await;
        scene.person.sends("Add key").await;
        scene.person.sees("OpenAI does not accept this key, so it was not saved.").await;
        scene.person.clicks("All providers").await;
        scene.person.fills("Search providers", "exa").await;
        scene.person.sends("Search").await;
        scene.person.sees_no_more("Anthropic").await;
    });
    play.await;
}

#[tokio::test]
async fn without_scripts_members_and_single_mode_are_the_same() {
    let play = Stage::new().without_scripts().play(async |scene| {
        scene.has_key("openai", "Production").await;
        scene.enters(json!({"role": "member"})).await;
        scene.person.clicks("View · OpenAI").await;
        scene.person.sees_heading("Production").await;
        assert!(!scene.person.is_offered("Delete · Production").await);
        scene.person.clicks("Sign out").await;
        scene.enters(json!({"role": "admin", "mode": "single"})).await;
        scene.person.clicks("Update · OpenAI").await;
        let secret = crate::stage::secret();
        scene.person.fills("API key", &secret).await;
        scene.person.sends("Save").await;
        scene.person.sees("The key was replaced.").await;
    });
    play.await;
}

#[tokio::test]
async fn without_scripts_a_label_is_not_lost_with_the_session() {
    let play = Stage::new().without_scripts().play(async |scene| {
        scene.enters_as_admin().await;
        scene.opens("/portal/providers/openai").await;
        let secret = crate::stage::secret();
        scene.person.fills("API key", &secret).await;
        scene.person.fills("Label", "Too late").await;
        scene.an_hour_passes_for_sessions();
        scene.person.expects_complaint(&status(401));
        scene.person.sends("Add key").await;
        scene.person.sees_heading("Your session has expired").await;
        scene.person.sees("Too late").await;
        assert_eq!(scene.stored().await, []);
    });
    play.await;
}
