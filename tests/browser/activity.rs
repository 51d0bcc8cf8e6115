//! The Activity page: charts, their tables, and the trail.

use crate::stage::{Scene, Stage};

/// Looks through the page, with everything unfolded.
async fn look_through(scene: &mut Scene) {
    scene.has_key("openai", "Main").await;
    scene.has_key("openai", &"x".repeat(120)).await;
    scene.a_month_of_requests_passes();
    scene.enters_as_admin().await;
    scene.person.clicks("Activity").await;
    scene.person.sees_heading("Usage").await;
    for range in ["7 days", "30 days", "24 hours"] {
        scene.person.clicks(range).await;
        scene.person.sees(&format!("in the last {range}, with 2 keys")).await;
        scene.person.clicks("Show as a table · Main").await;
        scene.person.sees("Time (UTC)").await;
        scene.person.assert_fits().await;
        scene.person.assert_accessible().await;
    }
    filters(scene).await;
    scene.person.assert_fits().await;
}

/// Looks for the changes of one person, and then for all again.
async fn filters(scene: &mut Scene) {
    scene.opens("/portal/activity?range=7d&provider=openai&person=root").await;
    scene.person.sends("Filter").await;
    scene.person.sees("added the OpenAI key “Main”").await;
    assert!(!scene.person.is_shown("made this workspace").await, "the filter is lost");
    scene.person.clicks("Clear the filter").await;
    scene.person.sees("made this workspace").await;
}

#[tokio::test]
async fn the_activity_page_is_accessible_with_charts_and_tables() {
    Stage::new().play(look_through).await;
}

#[tokio::test]
async fn the_activity_page_is_accessible_in_the_dark_on_a_small_phone() {
    Stage::new().dark().narrow().play(look_through).await;
}

#[tokio::test]
async fn the_activity_page_works_without_scripts() {
    let play = Stage::new().narrow().without_scripts().play(async |scene| {
        scene.has_key("openai", "Main").await;
        scene.a_month_of_requests_passes();
        scene.enters_as_admin().await;
        scene.person.clicks("Activity").await;
        scene.person.sees("28,800 requests").await;
        scene.person.clicks("Show as a table · Main").await;
        scene.person.sees("Time (UTC)").await;
        filters(scene).await;
    });
    play.await;
}
