//! What pages load beside themselves: style sheets, one script, pictures.
//!
//! Their addresses say the version of them all, so that browsers keep them for good, and ask for others as soon as a
//! release has others.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::LazyLock;

use axum::response::{IntoResponse, Response};
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderValue, Uri};

pub(crate) const CSS: &str = "text/css; charset=utf-8";

const STYLE: &str = include_str!("../assets/style.css");
const ACTIVITY_STYLE: &str = include_str!("../assets/activity.css");
const CONSOLE_STYLE: &str = include_str!("../assets/console.css");
const SCRIPT: &str = include_str!("../assets/portal.js");
const ICONS: &str = include_str!("../assets/icons.svg");
const ICON: &str = include_str!("../assets/icon.svg");
/// Makes the accents' sheets, and so stands for what is in them.
const ACCENT: &str = include_str!("accent.rs");

/// The part of an address that says which version of the assets is meant.
static VERSION: LazyLock<String> = LazyLock::new(|| {
    let mut hasher = DefaultHasher::new();
    [STYLE, ACTIVITY_STYLE, CONSOLE_STYLE, SCRIPT, ICONS, ICON, ACCENT].hash(&mut hasher);
    format!("v={:016x}", hasher.finish())
});

/// Where pages find an asset.
pub(crate) fn address(base: &str, name: &str) -> String {
    format!("{base}/{name}?{}", *VERSION)
}

/// An asset, as it was asked for at this address. Where the address means another version, as those of another release's
/// pages do while nodes are replaced, it is not kept: it is not what the address says.
pub(crate) fn asset(address: &Uri, kind: &'static str, text: impl IntoResponse) -> Response {
    let is_meant = address.query() == Some(VERSION.as_str());
    let cache = if is_meant { "public, max-age=31536000, immutable" } else { "no-store" };
    let headers = [(CONTENT_TYPE, kind), (CACHE_CONTROL, cache)];
    (headers.map(|(name, value)| (name, HeaderValue::from_static(value))), text).into_response()
}

pub(crate) async fn style(address: Uri) -> Response {
    asset(&address, CSS, STYLE)
}

/// What the Activity page has beside it, and no other page has to load.
pub(crate) async fn activity_style(address: Uri) -> Response {
    asset(&address, CSS, ACTIVITY_STYLE)
}

/// What the console has beside it.
pub(crate) async fn console_style(address: Uri) -> Response {
    asset(&address, CSS, CONSOLE_STYLE)
}

pub(crate) async fn script(address: Uri) -> Response {
    asset(&address, "text/javascript; charset=utf-8", SCRIPT)
}

const SVG: &str = "image/svg+xml";

pub(crate) async fn icons(address: Uri) -> Response {
    asset(&address, SVG, ICONS)
}

/// The picture of the pages themselves, for a browser's tabs.
pub(crate) async fn icon(address: Uri) -> Response {
    asset(&address, SVG, ICON)
}

/// Whether there is a picture of a provider.
pub(crate) fn has_icon(provider: &str) -> bool {
    ICONS.contains(&format!("<symbol id=\"{provider}\""))
}
