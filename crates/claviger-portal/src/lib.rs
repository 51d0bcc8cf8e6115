//! The portal: the pages on which the people of a workspace look after its keys.
//!
//! Every page is made here, works without scripts, and has none. Somebody comes in by a link that opens once, and is known
//! by the session's cookie from then on. Every write is a form of the session's own, sent by a page of this origin, and
//! ends with a redirect, so that nothing is sent twice. What was typed as a key is in no page, no address and no log.

mod change;
mod fields;
mod keys;
mod link;
mod page;
mod text;
mod visitor;
mod words;

use std::sync::Arc;

use axum::Router;
use axum::extract::Request;
use axum::middleware::{self, Next};
use axum::response::Response;
use axum::routing::{any, get, post};
use claviger_app::App;
use http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderName, HeaderValue, REFERRER_POLICY,
    X_CONTENT_TYPE_OPTIONS,
};

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
    let routes = Router::new()
        .route("/portal", get(keys::all))
        .route("/portal/", get(keys::home))
        .route("/portal/style.css", get(style))
        .route("/portal/open/{workspace}/{link}", get(link::show).post(link::open))
        .route("/portal/leave", post(link::leave))
        .route("/portal/providers/{provider}", get(keys::of_provider))
        .route("/portal/providers/{provider}/keys", post(change::add))
        .route("/portal/providers/{provider}/keys/{key}/replace", get(change::replace_form).post(change::replace))
        .route("/portal/providers/{provider}/keys/{key}/rename", get(change::rename_form).post(change::rename))
        .route("/portal/providers/{provider}/keys/{key}/delete", get(change::delete_form).post(change::delete))
        .route("/portal/providers/{provider}/keys/{key}/switch", post(change::switch))
        .route("/portal/{*rest}", any(page::nothing_here));
    routes.layer(middleware::from_fn(put_headers)).with_state(Arc::new(Portal::new(app)))
}

async fn style() -> ([(HeaderName, HeaderValue); 2], &'static str) {
    let headers = [
        (CONTENT_TYPE, HeaderValue::from_static("text/css; charset=utf-8")),
        // It changes with the program, which tells nobody: an hour is the longest that an old one may be seen.
        (CACHE_CONTROL, HeaderValue::from_static("public, max-age=3600")),
    ];
    (headers, include_str!("../assets/style.css"))
}

/// Nothing runs on these pages, nothing is loaded from elsewhere, no other page may hold them, and no form leads away.
const POLICY: &str =
    "default-src 'none'; style-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'";

async fn put_headers(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    // With `no-referrer` browsers would send forms with the origin `null`.
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("same-origin"));
    headers.entry(CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}
