//! Where pictures of the operator's console are taken.

use crate::camera::Camera;
use crate::demo::{Demo, WORKSPACE};

/// Goes to every page of the console.
pub(crate) async fn take(demo: &Demo, camera: &mut Camera) {
    camera.person.opens(&demo.address("/console")).await;
    camera.page("console-sign-in").await;
    camera.person.fills("Root token", demo.root_token()).await;
    camera.person.sends("Sign in").await;
    camera.person.sees_heading("What there is").await;
    camera.page("console-overview").await;
    let workspace = format!("/console/workspaces/{WORKSPACE}");
    let key = format!("{workspace}/keys/{}", demo.key("openai", "Production").await);
    for (path, name) in [
        ("/console/health", "console-health"),
        ("/console/master-keys", "console-master-keys"),
        ("/console/workspaces", "console-workspaces"),
        ("/console/workspaces?search=no-such", "console-workspaces-nothing-found"),
        (&workspace, "console-workspace"),
        (&format!("{workspace}/delete"), "console-workspace-delete"),
        (&format!("{workspace}/keys/new"), "console-key-add"),
        (&format!("{key}/replace"), "console-key-replace"),
        (&format!("{key}/rename"), "console-key-rename"),
        (&format!("{key}/delete"), "console-key-delete"),
        ("/console/organizations", "console-organizations"),
        ("/console/organizations/northwind-group", "console-organization"),
        ("/console/platform", "console-platform"),
        ("/console/tokens", "console-tokens"),
        ("/console/sessions", "console-sessions"),
    ] {
        camera.person.opens(&demo.address(path)).await;
        camera.page(name).await;
    }
}
