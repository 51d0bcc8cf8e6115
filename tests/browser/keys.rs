//! Keys added, replaced, renamed, switched and deleted; what is refused.

use crate::stage::{Stage, status};

const OPENAI: &str = "/portal/providers/openai";

#[tokio::test]
async fn a_key_is_added_and_shown_masked() {
    let play = Stage::new().play(async |scene| {
        scene.enters_as_admin().await;
        scene.opens(OPENAI).await;
        let secret = crate::stage::secret();
        scene.person.fills("API key", &secret).await;
        scene.person.fills("Label", "Production").await;
        scene.person.sends("Add key").await;
        scene.person.sees("The key was added.").await;
        scene.person.sees_heading("Production").await;
        scene.person.sees(&format!("{}...{}", &secret[..6], &secret[secret.len() - 4..])).await;
        assert_eq!(scene.stored().await, [("Production".to_owned(), true)]);
    });
    play.await;
}

#[tokio::test]
async fn a_key_is_replaced_in_its_place() {
    let play = Stage::new().play(async |scene| {
        scene.has_key("openai", "First").await;
        scene.has_key("openai", "Second").await;
        scene.enters_as_admin().await;
        scene.opens(OPENAI).await;
        scene.person.clicks("Replace · First").await;
        scene.person.sees_heading("Replace “First”").await;
        assert_eq!(scene.person.value_of("Label").await, "First");
        let secret = crate::stage::secret();
        scene.person.fills("API key", &secret).await;
        scene.person.sends("Save").await;
        scene.person.sees("The key was replaced.").await;
        scene.person.sees(&format!("...{}", &secret[secret.len() - 4..])).await;
        assert_eq!(scene.stored().await, [("First".to_owned(), true), ("Second".to_owned(), true)]);
    });
    play.await;
}

#[tokio::test]
async fn a_key_is_renamed_and_keeps_its_secret() {
    let play = Stage::new().play(async |scene| {
        let secret = scene.has_key("openai", "Old").await;
        scene.enters_as_admin().await;
        scene.opens(OPENAI).await;
        scene.person.clicks("Rename · Old").await;
        scene.person.fills("Label", "Küche & <Co>").await;
        scene.person.sends("Save").await;
        scene.person.sees("The key was renamed.").await;
        scene.person.sees_heading("Küche & <Co>").await;
        scene.person.sees(&format!("...{}", &secret[secret.len() - 4..])).await;
    });
    play.await;
}

#[tokio::test]
async fn a_key_is_switched_off_and_on_again() {
    let play = Stage::new().play(async |scene| {
        scene.has_key("openai", "Production").await;
        scene.enters_as_admin().await;
        scene.opens(OPENAI).await;
        scene.person.clicks("Switch off · Production").await;
        scene.person.sees("The key is switched off, and takes no part in the rotation.").await;
        scene.person.sees("Switched off").await;
        assert_eq!(scene.stored().await, [("Production".to_owned(), false)]);
        scene.person.clicks("Switch on · Production").await;
        scene.person.sees("The key takes part in the rotation again.").await;
        scene.person.sees("Working").await;
        assert_eq!(scene.stored().await, [("Production".to_owned(), true)]);
    });
    play.await;
}

#[tokio::test]
async fn a_key_is_deleted_after_its_consequence_was_told() {
    let play = Stage::new().play(async |scene| {
        scene.has_key("openai", "First").await;
        scene.has_key("openai", "Second").await;
        scene.enters_as_admin().await;
        scene.opens(OPENAI).await;
        scene.person.clicks("Delete · First").await;
        scene.person.sees_heading("Delete “First”?").await;
        scene.person.sees("Requests continue on the remaining key.").await;
        scene.person.clicks("Cancel").await;
        scene.person.sees_heading("First").await;
        assert_eq!(scene.stored().await.len(), 2);
        scene.person.clicks("Delete · First").await;
        scene.person.sees("Requests continue on the remaining key.").await;
        scene.person.sends("Delete").await;
        scene.person.sees("The key was deleted.").await;
        scene.person.clicks("Delete · Second").await;
        scene.person.sees("This is the last key: nothing will be used, and requests to OpenAI may fail.").await;
        scene.person.sends("Delete").await;
        scene.person.sees("There are no keys yet.").await;
        assert_eq!(scene.stored().await, []);
    });
    play.await;
}

#[tokio::test]
async fn the_eleventh_key_is_not_offered() {
    let play = Stage::new().play(async |scene| {
        for number in 1..10 {
            scene.has_key("openai", &format!("Key {number}")).await;
        }
        scene.enters_as_admin().await;
        scene.opens(OPENAI).await;
        scene.unfolds_the_form().await;
        let secret = crate::stage::secret();
        scene.person.fills("API key", &secret).await;
        scene.person.fills("Label", "Key 10").await;
        scene.person.sends("Add key").await;
        scene.person.sees("The key was added.").await;
        scene.person.sees("Key limit reached (10 keys per provider)").await;
        assert!(!scene.person.is_offered("Add key").await);
        assert_eq!(scene.stored().await.len(), 10);
    });
    play.await;
}

#[tokio::test]
async fn a_key_that_is_there_already_is_named() {
    let play = Stage::new().play(async |scene| {
        let secret = scene.has_key("openai", "Production").await;
        scene.person.expects_complaint(&status(422));
        scene.enters_as_admin().await;
        scene.opens(OPENAI).await;
        scene.unfolds_the_form().await;
        scene.person.fills("API key", &secret).await;
        scene.person.fills("Label", "Again").await;
        scene.person.sends("Add key").await;
        scene.person.sees("This key is here already, as “Production”.").await;
        assert_eq!(scene.person.value_of("Label").await, "Again", "what was typed is lost");
        assert_eq!(scene.person.value_of("API key").await, "", "the refused key is still there");
        scene.person.assert_accessible().await;
        assert_eq!(scene.stored().await.len(), 1);
    });
    play.await;
}

#[tokio::test]
async fn a_key_that_the_provider_refuses_is_not_saved_when_it_is_tested_before() {
    let play = Stage::new().play(async |scene| {
        scene.provider_answers("openai", 401);
        scene.person.expects_complaint(&status(422));
        scene.enters_as_admin().await;
        scene.opens(OPENAI).await;
        let secret = crate::stage::secret();
        scene.person.fills("API key", &secret).await;
        scene.person.fills("Label", "Typo").await;
        scene.person.ticks("Test the key with the provider before it is saved").await;
        scene.person.sends("Add key").await;
        scene.person.sees("OpenAI does not accept this key, so it was not saved.").await;
        assert!(scene.person.is_ticked("Test the key with the provider before it is saved").await);
        assert_eq!(scene.person.value_of("Label").await, "Typo");
        assert_eq!(scene.stored().await, []);
        scene.mock.clear_behaviours();
        scene.person.fills("API key", &secret).await;
        scene.person.sends("Add key").await;
        scene.person.sees("The key was added. The provider accepts it.").await;
    });
    play.await;
}
