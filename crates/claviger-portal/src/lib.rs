//! The portal: the pages on which the people of a workspace look after its keys.
//!
//! Every page is made here and works without scripts; the one script, `assets/portal.js`, spares reloads and shows forms
//! in a dialog. Somebody comes in by a link that opens once, and is known by the session's cookie from then on. Every
//! write is a form of the session's own, sent by a page of this origin, and ends with a redirect, so that nothing is sent
//! twice. What was typed as a key is in no page, no address and no log.

mod accent;
mod activity;
mod assets;
mod change;
mod chart;
pub mod console;
mod fields;
mod headers;
mod key_form;
mod keys;
mod link;
mod look;
mod page;
mod probe;
mod provider;
mod sessions;
mod text;
mod visitor;
mod words;

use std::sync::Arc;

use axum::Router;
use axum::middleware;
use axum::routing::{any, get, post};
use claviger_app::App;

/// What the handlers share.
struct Portal {
    app: Arc<App>,
    /// Scheme, host and port, as browsers write an origin.
    origin: String,
    /// What every path of the portal begins with, as browsers see it.
    base: String,
    /// Whether it is reached over https.
    https: bool,
}

type Shared = Arc<Portal>;

impl Portal {
    fn new(app: Arc<App>) -> Self {
        let url = app.portal.public_url();
        let authority = url.find("://").map_or(0, |scheme| scheme + 3);
        let path = url[authority..].find('/').map_or(url.len(), |slash| authority + slash);
        let (origin, path) = (url[..path].to_ascii_lowercase(), url[path..].trim_end_matches('/'));
        let (base, https) = (format!("{path}/portal"), origin.starts_with("https://"));
        Self { app, origin, base, https }
    }
}

/// The portal's routes, all of them below `/portal`.
pub fn router(app: Arc<App>) -> Router {
    let portal = Arc::new(Portal::new(app));
    let routes = Router::new()
        .route("/portal", get(keys::all))
        .route("/portal/", get(keys::home))
        .route("/portal/style.css", get(assets::style))
        .route("/portal/activity.css", get(assets::activity_style))
        .route("/portal/portal.js", get(assets::script))
        .route("/portal/icon.svg", get(assets::icon))
        .route("/portal/icons.svg", get(assets::icons))
        .route("/portal/accent/{file}", get(accent::sheet))
        .route("/portal/open/{workspace}/{link}", get(link::show).post(link::open))
        .route("/portal/leave", post(link::leave))
        .route("/portal/activity", get(activity::show))
        .route("/portal/sessions", get(sessions::all))
        .route("/portal/sessions/{session}/end", post(sessions::end))
        .route("/portal/providers/{provider}", get(provider::one))
        .route("/portal/providers/{provider}/keys", post(change::add))
        .route("/portal/providers/{provider}/keys/{key}/replace", get(change::replace_form).post(change::replace))
        .route("/portal/providers/{provider}/keys/{key}/rename", get(change::rename_form).post(change::rename))
        .route("/portal/providers/{provider}/keys/{key}/delete", get(change::delete_form).post(change::delete))
        .route("/portal/providers/{provider}/keys/{key}/switch", post(change::switch))
        .route("/portal/providers/{provider}/keys/{key}/test", post(probe::test))
        .route("/portal/{*rest}", any(page::nothing_here));
    routes.layer(middleware::from_fn_with_state(Arc::clone(&portal), headers::put)).with_state(portal)
}
