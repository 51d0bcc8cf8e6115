//! Where pictures are taken.

use serde_json::{Value, json};

use crate::camera::Camera;
use crate::demo::Demo;

/// Goes everywhere, and takes a picture of everything.
pub(crate) async fn take(demo: &Demo, camera: &mut Camera) {
    let admin = json!({"role": "admin", "actor": "ann@northwind.example"});
    let link = demo.link(&admin).await;
    camera.person.opens(&link).await;
    camera.page("link").await;
    camera.person.sends("Continue").await;
    camera.person.sees_heading("API keys").await;
    camera.page("keys").await;
    camera.window("keys-first-window").await;
    pages(demo, camera).await;
    dialogs(demo, camera).await;
    refusals(demo, camera).await;
    leaving(demo, camera, &link).await;
    enter(demo, camera, &json!({"role": "member"})).await;
    camera.page("member-keys").await;
    visit(demo, camera, "/portal/providers/openai", "member-provider").await;
    enter(demo, camera, &json!({"role": "admin", "mode": "single", "providers": ["anthropic", "google", "mistral"]}))
        .await;
    camera.page("single-keys").await;
    visit(demo, camera, "/portal/providers/google", "single-provider-without-key").await;
}

async fn enter(demo: &Demo, camera: &mut Camera, grant: &Value) {
    camera.person.opens(&demo.link(grant).await).await;
    camera.person.sends("Continue").await;
    camera.person.sees_heading("API keys").await;
}

async fn visit(demo: &Demo, camera: &mut Camera, path: &str, name: &str) {
    camera.person.opens(&demo.address(path)).await;
    camera.page(name).await;
}

async fn pages(demo: &Demo, camera: &mut Camera) {
    let key = format!("/portal/providers/openai/keys/{}", demo.key("openai", "Production").await);
    for (path, name) in [
        ("/portal?search=search", "keys-searched"),
        ("/portal?search=nothing-like-it", "keys-nothing-found"),
        ("/portal/providers/openai", "provider-all-states"),
        ("/portal/providers/openai?done=added-valid", "provider-after-adding"),
        ("/portal/providers/google", "provider-without-keys"),
        ("/portal/providers/mistral", "provider-inherited"),
        ("/portal/providers/exa", "provider-full"),
        (&format!("{key}/replace"), "replace"),
        (&format!("{key}/rename"), "rename"),
        (&format!("{key}/delete"), "delete"),
        ("/portal/activity", "activity"),
        ("/portal/activity?range=30d&provider=openai", "activity-filtered"),
        ("/portal/sessions", "sessions"),
        ("/portal/no-such-page", "nothing-here"),
    ] {
        visit(demo, camera, path, name).await;
    }
}

/// The same in dialogs over the list, and what is said there of something wrong.
async fn dialogs(demo: &Demo, camera: &mut Camera) {
    camera.person.opens(&demo.address("/portal")).await;
    camera.person.clicks("Manage · Anthropic").await;
    camera.person.sees_heading("Evaluation").await;
    camera.window("dialog-provider").await;
    for (name, heading) in
        [("Replace", "Replace “Evaluation”"), ("Rename", "Rename “Evaluation”"), ("Delete", "Delete “Evaluation”?")]
    {
        camera.person.clicks(&format!("{name} · Evaluation")).await;
        camera.person.sees_heading(heading).await;
        camera.window(&format!("dialog-{}", name.to_lowercase())).await;
        camera.person.clicks("Cancel").await;
        camera.person.sees_heading("Anthropic keys").await;
    }
    camera.person.clicks("Test · Evaluation").await;
    camera.person.sees("The provider accepts this key.").await;
    camera.window("dialog-tested").await;
    camera.person.clicks("Close").await;
    camera.person.clicks("Add key · Mistral").await;
    camera.person.has_focus_on("API key").await;
    camera.window("dialog-add").await;
    camera.person.fills("API key", &demo.refused_secret("mistral")).await;
    camera.person.fills("Label", "Production").await;
    camera.person.ticks("Test the key with the provider before it is saved").await;
    camera.person.sends("Add key").await;
    camera.person.sees("does not accept this key").await;
    camera.window("dialog-refused-by-provider").await;
}

/// What is said of something wrong.
async fn refusals(demo: &Demo, camera: &mut Camera) {
    camera.person.opens(&demo.address("/portal/providers/openai")).await;
    camera.person.clicks("Add key").await;
    camera.person.fills("API key", &demo.refused_secret("openai")).await;
    camera.person.fills("Label", "Production 2").await;
    camera.person.ticks("Test the key with the provider before it is saved").await;
    camera.person.sends("Add key").await;
    camera.person.sees("does not accept this key").await;
    camera.page("refused-by-provider").await;
}

/// What is said to whoever is out.
async fn leaving(demo: &Demo, camera: &mut Camera, link: &str) {
    camera.person.opens(&demo.address("/portal")).await;
    camera.person.clicks("Sign out").await;
    camera.person.sees_heading("You are signed out").await;
    camera.page("signed-out").await;
    visit(demo, camera, "/portal", "not-signed-in").await;
    camera.person.opens(link).await;
    camera.page("link-used").await;
}
