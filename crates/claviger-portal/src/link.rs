//! The way in and out. A link is opened by a click and not by being looked at: scanners of mails look at every link.

use askama::Template;
use axum::extract::{Path, State};
use axum::response::Response;
use claviger_app::portal::OpenPortalError;
use http::header::SET_COOKIE;
use http::{HeaderMap, HeaderValue, StatusCode, Uri};

use crate::page::{self, Frame, render, say, say_with, see_with_cookie};
use crate::text::{self, ENGLISH};
use crate::visitor::{Posted, Theme, query};
use crate::{Portal, Shared};

#[derive(Template)]
#[template(path = "open.html")]
struct OpenPage {
    frame: Frame,
}

/// The page with the button.
pub(crate) async fn show(
    State(portal): State<Shared>,
    Path((workspace, link)): Path<(String, String)>,
    headers: HeaderMap,
    uri: Uri,
) -> Response {
    let theme = Theme::of(&query(&uri), &headers);
    match portal.app.portal.look(&workspace, &link).await {
        Ok(_) => {
            let mut response =
                render(StatusCode::OK, &OpenPage { frame: Frame::bare(&portal, theme, ENGLISH.open_title) });
            remember(&portal, theme, &mut response);
            response
        }
        Err(error) => refuse(&portal, theme, &headers, error).await,
    }
}

/// The product that made the link says once how its pages look.
fn remember(portal: &Portal, theme: Theme, response: &mut Response) {
    if theme == Theme::System {
        return;
    }
    let secure = if portal.https { "; Secure" } else { "" };
    let cookie = format!("{}={}; Path=/; SameSite=Lax; HttpOnly{secure}", crate::visitor::THEME, theme.as_str());
    if let Ok(cookie) = HeaderValue::from_str(&cookie) {
        response.headers_mut().append(SET_COOKIE, cookie);
    }
}

/// The click.
pub(crate) async fn open(
    State(portal): State<Shared>,
    Path((workspace, link)): Path<(String, String)>,
    headers: HeaderMap,
    uri: Uri,
) -> Response {
    let theme = Theme::of(&query(&uri), &headers);
    if !portal.is_same_origin(&headers, &uri) {
        return say(&portal, theme, StatusCode::FORBIDDEN, &text::FOREIGN_FORM);
    }
    match portal.app.portal.open(&workspace, &link).await {
        Ok(session) => see_with_cookie(&portal.base, &portal.session_cookie(&session.reveal_cookie())),
        Err(error) => refuse(&portal, theme, &headers, error).await,
    }
}

/// Whoever opens a link again by which they came in, by going back, has a session, and is shown the way to it.
async fn refuse(portal: &Portal, theme: Theme, headers: &HeaderMap, error: OpenPortalError) -> Response {
    let saying = match error {
        OpenPortalError::Unknown => &text::LINK_UNKNOWN,
        OpenPortalError::Expired => &text::LINK_EXPIRED,
        OpenPortalError::Seal(error) => return page::unavailable(portal, theme, &error),
        OpenPortalError::Store(error) => return page::unavailable(portal, theme, &error),
    };
    let onward = if portal.session(headers).await.is_ok() { portal.base.clone() } else { String::new() };
    say_with(portal, theme, StatusCode::NOT_FOUND, saying, (String::new(), onward))
}

/// The session ends here, and not in the browser alone.
pub(crate) async fn leave(State(portal): State<Shared>, Posted { visitor, .. }: Posted) -> Response {
    if let Err(error) = portal.app.portal.leave(&visitor.session).await {
        return page::unavailable(&portal, visitor.theme, &error);
    }
    let mut response = say(&portal, visitor.theme, StatusCode::OK, &text::LEFT);
    if let Ok(cookie) = HeaderValue::from_str(&portal.no_cookie()) {
        response.headers_mut().append(SET_COOKIE, cookie);
    }
    response
}
