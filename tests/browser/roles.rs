//! Members, who look; and the mode of one key a provider.

use serde_json::json;

use crate::stage::{Stage, status};

#[tokio::test]
async fn a_member_looks_and_is_offered_nothing_to_change() {
    let play = Stage::new().play(async |scene| {
        scene.has_key("openai", "Production").await;
        scene.enters(json!({"role": "member"})).await;
        scene.person.sees("You can look at these keys.").await;
        scene.person.assert_accessible().await;
        scene.person.clicks("View · OpenAI").await;
        scene.person.sees_heading("Production").await;
        for change in ["Add key", "Replace", "Rename", "Switch off", "Delete"] {
            for name in [change.to_owned(), format!("{change} · Production")] {
                assert!(!scene.person.is_offered(&name).await, "{name}");
            }
        }
        scene.person.assert_accessible().await;
        let id = scene.server.keys("acme").await[0]["id"].as_str().unwrap().to_owned();
        scene.person.expects_complaint(&status(403));
        scene.opens(&format!("/portal/providers/openai/keys/{id}/delete")).await;
        scene.person.sees_heading("You cannot change keys here").await;
        scene.person.assert_accessible().await;
    });
    play.await;
}

#[tokio::test]
async fn in_single_mode_there_is_one_key_a_provider_to_update_or_delete() {
    let play = Stage::new().play(async |scene| {
        scene.enters(json!({"role": "admin", "mode": "single"})).await;
        scene.person.sees("Requests to a provider use the key that you add here.").await;
        scene.person.clicks("Add key · OpenAI").await;
        let secret = crate::stage::secret();
        scene.person.fills("API key", &secret).await;
        scene.person.sends("Add key").await;
        scene.person.sees("The key was added.").await;
        assert!(!scene.person.is_offered("Add key").await);
        scene.person.assert_accessible().await;
        scene.person.clicks("Close").await;
        scene.person.clicks("Update · OpenAI").await;
        let secret = crate::stage::secret();
        scene.person.fills("API key", &secret).await;
        scene.person.sends("Save").await;
        scene.person.sees("The key was replaced.").await;
        scene.person.clicks("Delete · OpenAI").await;
        scene.person.sees("This is the last key").await;
        scene.person.sends("Delete").await;
        scene.person.sees("The key was deleted.").await;
        assert_eq!(scene.stored().await, []);
    });
    play.await;
}
