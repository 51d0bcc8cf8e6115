//! What pages load beside themselves: one style sheet and the Activity page's own, one script, one file of pictures.

use axum::response::{IntoResponse, Response};
use http::HeaderValue;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};

const ICONS: &str = include_str!("../assets/icons.svg");

fn asset(kind: &'static str, text: &'static str) -> Response {
    let headers = [
        (CONTENT_TYPE, HeaderValue::from_static(kind)),
        // It changes with the program, which tells nobody: an hour is the longest that an old one may be seen.
        (CACHE_CONTROL, HeaderValue::from_static("public, max-age=3600")),
    ];
    (headers, text).into_response()
}

pub(crate) async fn style() -> Response {
    asset("text/css; charset=utf-8", include_str!("../assets/style.css"))
}

/// What the Activity page has beside it, and no other page has to load.
pub(crate) async fn activity_style() -> Response {
    asset("text/css; charset=utf-8", include_str!("../assets/activity.css"))
}

pub(crate) async fn script() -> Response {
    asset("text/javascript; charset=utf-8", include_str!("../assets/portal.js"))
}

pub(crate) async fn icons() -> Response {
    asset("image/svg+xml", ICONS)
}

/// The picture of the pages themselves, for a browser's tabs.
pub(crate) async fn icon() -> Response {
    asset("image/svg+xml", include_str!("../assets/icon.svg"))
}

/// Whether there is a picture of a provider.
pub(crate) fn has_icon(provider: &str) -> bool {
    ICONS.contains(&format!("<symbol id=\"{provider}\""))
}
