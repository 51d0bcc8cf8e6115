//! The way in and out, and who else is in.

use askama::Template;
use axum::extract::{Path, State};
use axum::http::request::Parts;
use axum::response::Response;
use claviger_app::console::SignInError;
use claviger_core::TokenId;
use http::header::SET_COOKIE;
use http::{HeaderValue, Request, StatusCode};

use crate::console::operator::{Entered, Posted};
use crate::console::page::{self, Frame, Place};
use crate::console::show::{cut, minute, page as rows};
use crate::console::{Console, Shared, text};
use crate::page::{Refused, render, see_with_cookies};
use crate::visitor::Sender;

/// What somebody without a session wanted.
#[derive(Clone, Copy)]
pub(crate) enum Why {
    /// To look at a page.
    Looked,
    /// To change something.
    Wrote,
}

impl Why {
    /// What is said to somebody who is not known.
    pub(crate) fn unknown(self) -> &'static str {
        match self {
            Self::Looked => "",
            Self::Wrote => text::ENDED,
        }
    }
}

#[derive(Template)]
#[template(path = "console/sign_in.html")]
struct SignInPage {
    frame: Frame,
    /// Why somebody is asked; empty where that is plain.
    why: &'static str,
    wrong: &'static str,
}

fn sign_in_page(console: &Console, status: StatusCode, why: &'static str, wrong: &'static str) -> Response {
    render(status, &SignInPage { frame: Frame::bare(console, text::SIGN_IN), why, wrong })
}

/// Asks for the root token, in the place of any page.
pub(crate) fn ask(console: &Console, why: &'static str) -> Response {
    sign_in_page(console, StatusCode::UNAUTHORIZED, why, "")
}

pub(crate) async fn sign_in(State(console): State<Shared>, request: Request<axum::body::Body>) -> Response {
    let (parts, body): (Parts, _) = request.into_parts();
    let fields = match console.portal.read_form(&parts, body).await {
        Ok(fields) => fields,
        Err((status, saying)) => return page::say(&console, status, saying),
    };
    match console.app().console.sign_in(fields.get("token").trim(), Sender::of(&parts)).await {
        Ok(session) => {
            tracing::info!(session = %session.id(), until = %session.expires_at, "somebody signed in to the console");
            see_with_cookies(&console.base, &[console.session_cookie(session.reveal_cookie()).as_str()])
        }
        Err(SignInError::NotRoot) => {
            tracing::warn!("somebody tried to sign in to the console with something that is not the root token");
            sign_in_page(&console, StatusCode::FORBIDDEN, "", text::WRONG_TOKEN)
        }
        Err(SignInError::TooMany(too_many)) => page::too_many(&console, too_many),
        Err(SignInError::Seal(error)) => page::unavailable(&console, &error),
        Err(SignInError::Store(error)) => page::unavailable(&console, &error),
    }
}

/// The session ends here, and not in the browser alone.
pub(crate) async fn sign_out(Posted { entered, .. }: Posted) -> Result<Response, Refused> {
    let (console, operator) = (&entered.console, &entered.operator);
    let ended = console.app().console.end(operator, &operator.session.id).await;
    ended.map_err(|error| entered.refuse(error))?;
    let mut response = sign_in_page(console, StatusCode::OK, text::SIGNED_OUT, "");
    if let Ok(cookie) = HeaderValue::from_str(&console.no_cookie()) {
        response.headers_mut().append(SET_COOKIE, cookie);
    }
    Ok(response)
}

#[derive(Template)]
#[template(path = "console/sessions.html")]
struct SessionsPage {
    frame: Frame,
    sessions: Vec<SessionShown>,
    /// Where the list goes on; empty where it does not.
    next: String,
}

struct SessionShown {
    id: String,
    began: String,
    ends: String,
    is_own: bool,
}

pub(crate) async fn sessions(entered: Entered) -> Result<Response, Refused> {
    let operator = &entered.operator;
    let page = rows(entered.asked("cursor").parse().ok());
    let sessions = entered.console.app().console.sessions(operator, &page).await;
    let mut sessions = sessions.map_err(|error| entered.refuse(error))?;
    let more = cut(&mut sessions);
    let last = sessions.last().filter(|_| more);
    let next = last.map(|last| format!("{}/sessions?cursor={}", entered.console.base, last.id));
    let shown = sessions.iter().map(|session| SessionShown {
        id: session.id.to_string(),
        began: minute(session.created_at),
        ends: minute(session.expires_at),
        is_own: session.id == operator.session.id,
    });
    let frame = entered.frame(Place::Sessions, text::CONSOLE_SESSIONS);
    Ok(render(StatusCode::OK, &SessionsPage { frame, sessions: shown.collect(), next: next.unwrap_or_default() }))
}

pub(crate) async fn end(Path(id): Path<String>, Posted { entered, .. }: Posted) -> Result<Response, Refused> {
    let gone = || entered.tell(StatusCode::NOT_FOUND, &text::NO_SESSION);
    let id: TokenId = id.parse().map_err(|_| gone())?;
    let ended = entered.console.app().console.end(&entered.operator, &id).await;
    if ended.map_err(|error| entered.refuse(error))? {
        Ok(entered.after("/sessions", "session-ended"))
    } else {
        Err(gone())
    }
}
