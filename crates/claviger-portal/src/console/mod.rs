//! The console: the pages on which the operator looks after a whole deployment.
//!
//! Whoever holds the root token signs in with it and is known by the session's cookie from then on, as in the portal; the
//! root token itself is in no cookie, page, address or log. Every page works without scripts, and every write is a form of
//! the session's own. What is secret and new, a token or a link, is on the one page that answers the form.

mod entry;
mod keys;
mod master_keys;
mod operator;
mod organizations;
mod overview;
mod owner;
mod page;
mod show;
mod text;
mod tokens;
mod workspace;
mod workspaces;

use std::sync::Arc;

use axum::Router;
use axum::middleware;
use axum::routing::{any, get, post};
use claviger_app::App;

use crate::{Portal, assets, headers};

/// What a node knows of itself, and the app does not. No part of it is secret.
#[derive(Clone, Debug)]
pub struct Node {
    /// Claviger's version.
    pub version: &'static str,
    /// The database in words, without a user and a password.
    pub database: String,
    /// Where the master key comes from, in words; never the key.
    pub master_key: String,
}

/// What the handlers share.
struct Console {
    /// The app, and how browsers reach it.
    portal: Portal,
    node: Node,
    /// What every path of the console begins with, as browsers see it.
    base: String,
}

type Shared = Arc<Console>;

impl Console {
    fn app(&self) -> &App {
        &self.portal.app
    }
}

/// The console's routes, all of them at `/console` and below.
pub fn router(app: Arc<App>, node: Node) -> Router {
    let portal = Portal::new(app);
    let base = portal.base.strip_suffix("/portal").unwrap_or_default();
    let base = format!("{base}/console");
    let routes = Router::new()
        .route("/console", get(overview::overview))
        .route("/console/", get(overview::home))
        .route("/console/console.css", get(assets::console_style))
        .route("/console/sign-in", get(overview::home).post(entry::sign_in))
        .route("/console/sign-out", post(entry::sign_out))
        .route("/console/sessions", get(entry::sessions))
        .route("/console/sessions/{session}/end", post(entry::end))
        .route("/console/master-keys", get(master_keys::show))
        .route("/console/health", get(overview::health))
        .route("/console/workspaces", get(workspaces::list).post(workspaces::create))
        .route("/console/workspaces/{workspace}", get(workspace::show).post(workspace::change))
        .route("/console/workspaces/{workspace}/delete", get(workspace::delete_form).post(workspace::delete))
        .route("/console/workspaces/{workspace}/links", post(workspace::link))
        .route("/console/workspaces/{workspace}/sessions/{session}/end", post(workspace::end_session))
        .route("/console/organizations", get(organizations::list).post(organizations::create))
        .route("/console/organizations/{organization}", get(organizations::show).post(organizations::rename))
        .route("/console/organizations/{organization}/lending", post(organizations::lend))
        .route(
            "/console/organizations/{organization}/delete",
            get(organizations::delete_form).post(organizations::delete),
        )
        .route("/console/platform", get(keys::platform))
        .route("/console/tokens", get(tokens::list).post(tokens::create))
        .route("/console/tokens/{token}/delete", get(tokens::delete_form).post(tokens::delete))
        .route("/console/{*rest}", any(page::nothing_here));
    let owners = ["/console/workspaces/{workspace}", "/console/organizations/{organization}", "/console/platform"];
    let routes = owners.into_iter().fold(routes, keys_of);
    routes.layer(middleware::from_fn(headers::put_unframed)).with_state(Arc::new(Console { portal, node, base }))
}

/// The routes of an owner's keys.
fn keys_of(routes: Router<Shared>, owner: &str) -> Router<Shared> {
    let key = format!("{owner}/keys/{{key}}");
    routes
        .route(&format!("{owner}/keys"), post(keys::add))
        .route(&format!("{owner}/keys/new"), get(keys::new))
        .route(&format!("{key}/replace"), get(keys::replace_form).post(keys::replace))
        .route(&format!("{key}/rename"), get(keys::rename_form).post(keys::rename))
        .route(&format!("{key}/switch"), post(keys::switch))
        .route(&format!("{key}/test"), post(keys::test))
        .route(&format!("{key}/delete"), get(keys::delete_form).post(keys::delete))
}
