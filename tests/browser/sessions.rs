//! Sessions that end, and two tabs on one pool.

use crate::stage::{Scene, Stage, status};

const OPENAI: &str = "/portal/providers/openai";

#[tokio::test]
async fn a_session_that_was_ended_is_told_and_nothing_is_changed() {
    let play = Stage::new().play(async |scene| {
        scene.enters_as_admin().await;
        scene.opens(OPENAI).await;
        let secret = crate::stage::secret();
        scene.person.fills("API key", &secret).await;
        scene.person.fills("Label", "Too late").await;
        scene.end_all_sessions().await;
        scene.person.expects_complaint(&status(401));
        scene.person.sends("Add key").await;
        scene.person.sees("Your session is over").await;
        assert_eq!(scene.person.value_of("Label").await, "Too late", "what was typed is lost");
        assert_eq!(scene.person.value_of("API key").await, "", "the key is still there");
        scene.person.assert_accessible().await;
        assert_eq!(scene.stored().await, []);
    });
    play.await;
}

#[tokio::test]
async fn a_session_that_has_expired_is_told_and_the_label_is_not_lost() {
    let play = Stage::new().play(async |scene| {
        scene.enters_as_admin().await;
        scene.person.clicks("Add key · OpenAI").await;
        let secret = crate::stage::secret();
        scene.person.fills("API key", &secret).await;
        scene.person.fills("Label", "Too late").await;
        scene.an_hour_passes_for_sessions();
        scene.person.expects_complaint(&status(401));
        scene.person.sends("Add key").await;
        scene.person.sees("Your session has expired").await;
        assert_eq!(scene.person.value_of("Label").await, "Too late", "what was typed is lost");
        assert_eq!(scene.person.value_of("API key").await, "", "the key is still there");
        assert_eq!(scene.stored().await, []);
        scene.person.reloads().await;
        scene.person.sees_heading("Your session has expired").await;
        scene.person.assert_accessible().await;
    });
    play.await;
}

#[tokio::test]
async fn a_browser_keeps_a_session_for_a_day_and_is_told_when_it_is_over() {
    let play = Stage::new().play(async |scene| {
        scene.enters_as_admin().await;
        let cookies = scene.person.cookies().await;
        let cookie = cookies.iter().find(|cookie| cookie.name.ends_with("claviger_portal")).unwrap();
        assert_eq!(cookie.http_only, Some(true));
        let left = cookie.expiry.unwrap() - scene.person.seconds_by_the_clock().await;
        // Longer than the session lasts, so that the server can say that it is over.
        assert!((86_000..=86_400).contains(&left), "{left} s");
        scene.opens(OPENAI).await;
        scene.person.forgets_the_cookie(&cookie.name).await;
        scene.person.expects_complaint(&status(401));
        scene.person.reloads().await;
        scene.person.sees_heading("You are not signed in").await;
    });
    play.await;
}

#[tokio::test]
async fn a_link_opens_once() {
    let play = Stage::new().play(async |scene| {
        let link = scene.link(serde_json::json!({"role": "admin"})).await;
        scene.person.opens(&link).await;
        scene.person.assert_accessible().await;
        scene.person.sends("Continue").await;
        scene.person.sees_heading("API keys").await;
        scene.person.clicks("Sign out").await;
        scene.person.sees_heading("You are signed out").await;
        scene.person.assert_accessible().await;
        scene.person.expects_complaint(&status(404));
        scene.person.opens(&link).await;
        scene.person.sees_heading("This link does not work").await;
        scene.person.assert_accessible().await;
    });
    play.await;
}

/// Opens a provider's page in two tabs, with two keys, and has the second in front.
async fn two_tabs(scene: &mut Scene) {
    scene.has_key("openai", "First").await;
    scene.has_key("openai", "Second").await;
    scene.enters_as_admin().await;
    scene.opens(OPENAI).await;
    let address = scene.address(OPENAI);
    scene.person.opens_a_tab(&address).await;
    scene.person.sees_heading("First").await;
}

#[tokio::test]
async fn of_two_tabs_on_one_pool_each_shows_what_the_other_did() {
    let play = Stage::new().play(async |scene| {
        two_tabs(scene).await;
        scene.person.clicks("Switch off · First").await;
        scene.person.sees("Switched off").await;
        scene.person.turns_to_tab(0).await;
        scene.person.sees("Switched off").await;
        scene.person.clicks("Switch on · First").await;
        scene.person.sees_no_more("Switched off").await;
        scene.person.turns_to_tab(1).await;
        scene.person.sees_no_more("Switched off").await;
        scene.person.clicks("Delete · First").await;
        scene.person.sends("Delete").await;
        scene.person.sees("The key was deleted.").await;
        scene.person.turns_to_tab(0).await;
        scene.person.sees_no_more("First").await;
        assert_eq!(scene.stored().await, [("Second".to_owned(), true)]);
    });
    play.await;
}

#[tokio::test]
async fn a_tab_that_knows_nothing_of_the_other_does_not_undo_what_it_did() {
    let play = Stage::new().without_scripts().play(async |scene| {
        two_tabs(scene).await;
        scene.person.clicks("Switch off · First").await;
        scene.person.sees("Switched off").await;
        // The first tab shows the key as it was, and its form says what to switch to.
        scene.person.turns_to_tab(0).await;
        scene.person.clicks("Switch off · First").await;
        scene.person.sees("Switched off").await;
        assert_eq!(scene.stored().await, [("First".to_owned(), false), ("Second".to_owned(), true)]);
        // What one tab has deleted, the other cannot change.
        scene.person.turns_to_tab(1).await;
        scene.person.clicks("Delete · Second").await;
        scene.person.sends("Delete").await;
        scene.person.sees("The key was deleted.").await;
        scene.person.turns_to_tab(0).await;
        scene.person.expects_complaint(&status(404));
        scene.person.clicks("Rename · Second").await;
        scene.person.sees("This key is not here any more").await;
        assert_eq!(scene.stored().await, [("First".to_owned(), false)]);
    });
    play.await;
}

#[tokio::test]
async fn a_full_pool_takes_no_key_from_a_tab_that_does_not_know_it() {
    let play = Stage::new().play(async |scene| {
        for number in 1..10 {
            scene.has_key("openai", &format!("Key {number}")).await;
        }
        scene.enters_as_admin().await;
        scene.opens(OPENAI).await;
        scene.unfolds_the_form().await;
        scene.has_key("openai", "Key 10").await;
        let secret = crate::stage::secret();
        scene.person.fills("API key", &secret).await;
        scene.person.expects_complaint(&status(422));
        scene.person.sends("Add key").await;
        scene.person.sees("Key limit reached (10 keys per provider)").await;
        assert_eq!(scene.stored().await.len(), 10);
    });
    play.await;
}
