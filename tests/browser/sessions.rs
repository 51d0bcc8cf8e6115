//! Sessions that end, and two tabs on one pool.

use hyper::Method;
use serde_json::Value;

use crate::stage::{Scene, Stage, WORKSPACE, status};

const OPENAI: &str = "/portal/providers/openai";

/// Ends every session of the workspace, as an operator does.
async fn end_all_sessions(scene: &Scene) {
    let path = format!("/api/workspaces/{WORKSPACE}/portal-sessions");
    let listed = scene.server.done(Method::GET, &path, &Value::Null).await;
    let sessions = listed["sessions"].as_array().unwrap();
    assert!(!sessions.is_empty());
    for session in sessions {
        let one = format!("{path}/{}", session["id"].as_str().unwrap());
        scene.server.done(Method::DELETE, &one, &Value::Null).await;
    }
}

#[tokio::test]
async fn a_session_that_was_ended_is_told_and_nothing_is_changed() {
    let play = Stage::new().play(async |scene| {
        scene.enters_as_admin().await;
        scene.opens(OPENAI).await;
        let secret = scene.secret();
        scene.person.fills("API key", &secret).await;
        scene.person.fills("Label", "Too late").await;
        end_all_sessions(scene).await;
        scene.person.expects_complaint(&status(401));
        scene.person.sends("Add key").await;
        scene.person.sees("You are not signed in").await;
        scene.person.sees("Too late").await;
        scene.person.assert_accessible().await;
        assert_eq!(scene.stored().await, []);
    });
    play.await;
}

#[tokio::test]
async fn a_browser_keeps_a_session_for_an_hour_and_then_forgets_it() {
    let play = Stage::new().play(async |scene| {
        scene.enters_as_admin().await;
        let cookies = scene.person.cookies().await;
        let cookie = cookies.iter().find(|cookie| cookie.name.ends_with("claviger_portal")).unwrap();
        assert_eq!(cookie.http_only, Some(true));
        let left = cookie.expiry.unwrap() - scene.person.seconds_by_the_clock().await;
        assert!((3_500..=3_600).contains(&left), "{left} s");
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

#[tokio::test]
async fn two_tabs_that_change_one_pool_do_not_undo_each_other() {
    let play = Stage::new().play(async |scene| {
        scene.has_key("openai", "First").await;
        scene.has_key("openai", "Second").await;
        scene.enters_as_admin().await;
        scene.opens(OPENAI).await;
        let address = scene.address(OPENAI);
        scene.person.opens_a_tab(&address).await;
        scene.person.sees_heading("First").await;
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
        scene.person.assert_accessible().await;
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
        scene.has_key("openai", "Key 10").await;
        let secret = scene.secret();
        scene.person.fills("API key", &secret).await;
        scene.person.expects_complaint(&status(422));
        scene.person.sends("Add key").await;
        scene.person.sees("Key limit reached (10 keys per provider)").await;
        assert_eq!(scene.stored().await.len(), 10);
    });
    play.await;
}
