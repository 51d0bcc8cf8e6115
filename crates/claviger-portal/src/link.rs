//! The way in and out. A link is opened by a click and not by being looked at: scanners of mails look at every link.

use askama::Template;
use axum::extract::{Path, State};
use axum::response::Response;
use claviger_app::ClientAddress;
use claviger_app::portal::OpenPortalError;
use http::header::SET_COOKIE;
use http::{HeaderMap, HeaderValue, StatusCode, Uri};

use crate::headers::Framed;
use crate::look::Look;
use crate::page::{self, Frame, render, say, say_with, see_with_cookies};
use crate::text::{self, ENGLISH};
use crate::visitor::{Posted, Sender, Way, query};
use crate::{Portal, Shared};

#[derive(Template)]
#[template(path = "open.html")]
struct OpenPage {
    frame: Frame,
}

/// The page with the button. Only a link for a frame shows it in one: elsewhere a page could have it clicked unseen.
pub(crate) async fn show(
    State(portal): State<Shared>,
    Path((workspace, link)): Path<(String, String)>,
    Sender(from): Sender,
    headers: HeaderMap,
    uri: Uri,
) -> Response {
    let look = Look::of(&query(&uri), &headers);
    match portal.app.portal.look(&workspace, &link, from).await {
        Ok(pass) => {
            let page = OpenPage { frame: Frame::bare(&portal, look, ENGLISH.open_title) };
            let mut response = render(StatusCode::OK, &page);
            response.extensions_mut().insert(Framed(pass.grant.embedded));
            response
        }
        Err(error) => refuse(&portal, look, (&headers, from), error).await,
    }
}

/// The click.
pub(crate) async fn open(
    State(portal): State<Shared>,
    Path((workspace, link)): Path<(String, String)>,
    Sender(from): Sender,
    headers: HeaderMap,
    uri: Uri,
) -> Response {
    let look = Look::of(&query(&uri), &headers);
    if !portal.is_same_origin(&headers, &uri) {
        return say(&portal, look, StatusCode::FORBIDDEN, &text::FOREIGN_FORM);
    }
    match portal.app.portal.open(&workspace, &link, from).await {
        Ok(session) => see_with_cookies(&portal.base, &portal.session_cookies(&session)),
        Err(error) => refuse(&portal, look, (&headers, from), error).await,
    }
}

/// Whoever opens a link again by which they came in, by going back, has a session, and is shown the way to it.
async fn refuse(
    portal: &Portal,
    look: Look,
    (headers, from): (&HeaderMap, ClientAddress),
    error: OpenPortalError,
) -> Response {
    let saying = match error {
        OpenPortalError::Unknown => &text::LINK_UNKNOWN,
        OpenPortalError::Expired => &text::LINK_EXPIRED,
        OpenPortalError::TooMany(too_many) => return page::too_many(portal, look, too_many),
        OpenPortalError::Seal(error) => return page::unavailable(portal, look, &error),
        OpenPortalError::Store(error) => return page::unavailable(portal, look, &error),
    };
    let onward = if portal.session(headers, from).await.is_ok() { portal.base.clone() } else { String::new() };
    say_with(portal, look, StatusCode::NOT_FOUND, saying, (String::new(), onward))
}

/// The session ends here, and not in the browser alone.
pub(crate) async fn leave(State(portal): State<Shared>, Posted { visitor, .. }: Posted) -> Response {
    if let Err(error) = portal.app.portal.leave(&visitor.session).await {
        return page::unavailable(&portal, visitor.look, &error);
    }
    let mut response = say(&portal, visitor.look, StatusCode::OK, &text::LEFT);
    if let Ok(cookie) = HeaderValue::from_str(&portal.no_cookie(Way::of(&visitor.session.pass))) {
        response.headers_mut().append(SET_COOKIE, cookie);
    }
    response
}
