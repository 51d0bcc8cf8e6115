//! What all pages have around them, and the pages that say one thing.

use askama::Template;
use axum::extract::State;
use axum::response::{Html, IntoResponse, Response};
use claviger_app::TooManyAttempts;
use claviger_core::portal::PortalRole;
use http::header::{LOCATION, RETRY_AFTER, SET_COOKIE};
use http::{HeaderValue, StatusCode};

use crate::look::Look;
use crate::text::{self, ENGLISH, Saying, Text};
use crate::visitor::Visitor;
use crate::{Portal, Shared, assets};

/// The page in the place of the one that was asked for.
pub(crate) struct Refused(Box<Response>);

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        *self.0
    }
}

impl From<Response> for Refused {
    fn from(response: Response) -> Self {
        Self(Box::new(response))
    }
}

/// What stands around a page.
pub(crate) struct Frame {
    pub(crate) t: &'static Text,
    pub(crate) title: String,
    pub(crate) base: String,
    pub(crate) look: Look,
    /// The workspace's name; empty where nobody is signed in.
    pub(crate) workspace: String,
    pub(crate) return_url: Option<String>,
    /// The session's form token; empty where there is no session.
    pub(crate) form: String,
    /// What was just done.
    pub(crate) notice: Option<String>,
    pub(crate) part: Part,
    /// Whether sessions can be seen.
    pub(crate) admin: bool,
    /// Whether another page holds this one.
    pub(crate) embedded: bool,
}

/// Which part of the portal a page belongs to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Part {
    Keys,
    Activity,
    Sessions,
    Neither,
}

impl Part {
    pub(crate) fn is_keys(self) -> bool {
        self == Self::Keys
    }

    pub(crate) fn is_activity(self) -> bool {
        self == Self::Activity
    }

    pub(crate) fn is_sessions(self) -> bool {
        self == Self::Sessions
    }
}

impl Frame {
    /// Around a page for nobody in particular.
    pub(crate) fn bare(portal: &Portal, look: Look, title: &str) -> Self {
        Self {
            t: &ENGLISH,
            title: title.to_owned(),
            base: portal.base.clone(),
            look,
            workspace: String::new(),
            return_url: None,
            form: String::new(),
            notice: None,
            part: Part::Neither,
            admin: false,
            embedded: false,
        }
    }

    /// Where an asset is.
    pub(crate) fn asset(&self, name: &str) -> String {
        assets::address(&self.base, name)
    }

    /// Where the style sheet of the look's accent is, where it has one.
    pub(crate) fn accent(&self) -> Option<String> {
        self.look.accent().map(|accent| self.asset(&format!("accent/{accent}.css")))
    }

    /// Around a page of a session.
    pub(crate) fn of(portal: &Portal, visitor: &Visitor, title: &str) -> Self {
        let grant = &visitor.session.pass.grant;
        Self {
            workspace: visitor.workspace.clone(),
            return_url: grant.return_url.clone(),
            form: visitor.session.form_token().to_owned(),
            notice: visitor.query.get("done").and_then(|word| text::done(word)).map(str::to_owned),
            part: Part::Keys,
            admin: grant.role == PortalRole::Admin,
            embedded: grant.embedded,
            ..Self::bare(portal, visitor.look, title)
        }
    }
}

#[derive(Template)]
#[template(path = "saying.html")]
struct SayingPage {
    frame: Frame,
    words: &'static str,
    /// What was typed as a label, so that it is not lost.
    typed: String,
    /// Where to go on, where there is somewhere.
    onward: String,
}

/// Renders a page.
pub(crate) fn render(status: StatusCode, page: &impl Template) -> Response {
    match page.render() {
        Ok(html) => (status, Html(html)).into_response(),
        Err(error) => {
            tracing::error!(error = &error as &(dyn std::error::Error + 'static), "a page could not be rendered");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

/// A page that says one thing.
pub(crate) fn say(portal: &Portal, look: Look, status: StatusCode, saying: &Saying) -> Response {
    say_with(portal, look, status, saying, (String::new(), String::new()))
}

/// The same, with what was typed as a label and where to go on.
pub(crate) fn say_with(
    portal: &Portal,
    look: Look,
    status: StatusCode,
    saying: &Saying,
    (typed, onward): (String, String),
) -> Response {
    say_in(Frame::bare(portal, look, saying.title), status, saying, (typed, onward))
}

/// The same, with this around it.
pub(crate) fn say_in(frame: Frame, status: StatusCode, saying: &Saying, (typed, onward): (String, String)) -> Response {
    render(status, &SayingPage { frame, words: saying.words, typed, onward })
}

/// The same for somebody in a session, with a way back to the keys.
pub(crate) fn tell(portal: &Portal, visitor: &Visitor, status: StatusCode, saying: &Saying) -> Refused {
    let frame = Frame { notice: None, ..Frame::of(portal, visitor, saying.title) };
    say_in(frame, status, saying, (String::new(), portal.base.clone())).into()
}

/// Too many links and sessions that are none came from the visitor's address.
pub(crate) fn too_many(portal: &Portal, look: Look, too_many: TooManyAttempts) -> Response {
    let mut response = say(portal, look, StatusCode::TOO_MANY_REQUESTS, &text::TOO_MANY_ATTEMPTS);
    response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(too_many.seconds()));
    response
}

/// What failed is for the log, and not for the page.
pub(crate) fn unavailable(portal: &Portal, look: Look, error: &(dyn std::error::Error + 'static)) -> Response {
    tracing::error!(error, "a request to the portal failed");
    say(portal, look, StatusCode::SERVICE_UNAVAILABLE, &text::UNAVAILABLE)
}

pub(crate) async fn nothing_here(State(portal): State<Shared>) -> Response {
    say(&portal, Look::default(), StatusCode::NOT_FOUND, &text::NOTHING_HERE)
}

/// After a write: the address to look at, which can be reloaded without writing again.
pub(crate) fn see(address: &str) -> Response {
    match HeaderValue::from_str(address) {
        Ok(address) => (StatusCode::SEE_OTHER, [(LOCATION, address)]).into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

/// The same, with cookies.
pub(crate) fn see_with_cookies(address: &str, cookies: &[impl AsRef<str>]) -> Response {
    let mut response = see(address);
    for cookie in cookies {
        let Ok(mut cookie) = HeaderValue::from_str(cookie.as_ref()) else {
            return StatusCode::INTERNAL_SERVER_ERROR.into_response();
        };
        cookie.set_sensitive(true);
        response.headers_mut().append(SET_COOKIE, cookie);
    }
    response
}
