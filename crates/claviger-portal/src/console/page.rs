//! What all pages of the console have around them, and the pages that say one thing.

use askama::Template;
use axum::extract::State;
use axum::response::Response;
use claviger_app::organizations::OrganizationError;
use claviger_app::portal::ManagePortalError;
use claviger_app::tokens::DeleteTokenError;
use claviger_app::workspaces::WorkspaceError;
use claviger_app::{StoreError, TooManyAttempts};
use http::header::RETRY_AFTER;
use http::{HeaderValue, StatusCode};

use crate::assets;
use crate::console::operator::Entered;
use crate::console::{Console, Shared, text};
use crate::key_form::KeyTrouble;
use crate::page::{Refused, render, see};
use crate::text::Saying;

/// Which part of the console a page belongs to.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    Overview,
    Workspaces,
    Organizations,
    Platform,
    Tokens,
    MasterKeys,
    Health,
    Sessions,
}

impl Place {
    const ALL: [(Self, &'static str, &'static str); 8] = [
        (Self::Overview, text::OVERVIEW, ""),
        (Self::Workspaces, text::WORKSPACES, "/workspaces"),
        (Self::Organizations, text::ORGANIZATIONS, "/organizations"),
        (Self::Platform, text::PLATFORM_KEYS, "/platform"),
        (Self::Tokens, text::TOKENS, "/tokens"),
        (Self::MasterKeys, text::MASTER_KEYS, "/master-keys"),
        (Self::Health, text::HEALTH, "/health"),
        (Self::Sessions, text::SESSIONS, "/sessions"),
    ];
}

/// An entry of the navigation.
pub(crate) struct Entry {
    pub(crate) label: &'static str,
    pub(crate) address: String,
    pub(crate) is_here: bool,
}

/// What stands around a page.
pub(crate) struct Frame {
    pub(crate) title: String,
    pub(crate) base: String,
    /// Where the style sheet is on which the console's own builds.
    pub(crate) portal: String,
    /// Empty where nobody is signed in.
    pub(crate) entries: Vec<Entry>,
    /// The session's form token; empty where there is no session.
    pub(crate) form: String,
    pub(crate) notice: Option<&'static str>,
}

impl Frame {
    /// Around a page for nobody in particular.
    pub(crate) fn bare(console: &Console, title: &str) -> Self {
        Self {
            title: title.to_owned(),
            base: console.base.clone(),
            portal: console.portal.base.clone(),
            entries: Vec::new(),
            form: String::new(),
            notice: None,
        }
    }

    /// Where an asset of the portal's is.
    pub(crate) fn portal_asset(&self, name: &str) -> String {
        assets::address(&self.portal, name)
    }

    /// Where one of the console's own is.
    pub(crate) fn asset(&self, name: &str) -> String {
        assets::address(&self.base, name)
    }

    /// Around a page of a session, which may belong to no part of the console.
    pub(crate) fn of(entered: &Entered, place: Option<Place>, title: &str) -> Self {
        let base = &entered.console.base;
        let entries = Place::ALL.into_iter().map(|(at, label, path)| Entry {
            label,
            address: format!("{base}{path}"),
            is_here: Some(at) == place,
        });
        Self {
            entries: entries.collect(),
            form: entered.operator.form_token().to_owned(),
            notice: entered.notice(),
            ..Self::bare(&entered.console, title)
        }
    }
}

#[derive(Template)]
#[template(path = "console/saying.html")]
struct SayingPage {
    frame: Frame,
    words: &'static str,
}

/// A page that says one thing to nobody in particular.
pub(crate) fn say(console: &Console, status: StatusCode, saying: &Saying) -> Response {
    render(status, &SayingPage { frame: Frame::bare(console, saying.title), words: saying.words })
}

/// Too much that is no root token and no session came from the visitor's address.
pub(crate) fn too_many(console: &Console, too_many: TooManyAttempts) -> Response {
    let mut response = say(console, StatusCode::TOO_MANY_REQUESTS, &text::TOO_MANY_ATTEMPTS);
    response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(too_many.seconds()));
    response
}

/// What failed is for the log, and not for the page.
pub(crate) fn unavailable(console: &Console, error: &(dyn std::error::Error + 'static)) -> Response {
    tracing::error!(error, "a request to the console failed");
    say(console, StatusCode::SERVICE_UNAVAILABLE, &crate::text::UNAVAILABLE)
}

pub(crate) async fn nothing_here(State(console): State<Shared>) -> Response {
    say(&console, StatusCode::NOT_FOUND, &crate::text::NOTHING_HERE)
}

/// Why a use case was not done, as far as no form has a word for it.
pub(crate) enum Trouble {
    /// What it was about is not there.
    Gone(&'static Saying),
    /// It cannot be done to this.
    Unfit(&'static Saying),
    /// It failed, for the log to say why.
    Failed(Box<dyn std::error::Error + Send + Sync>),
}

impl From<StoreError> for Trouble {
    fn from(error: StoreError) -> Self {
        Self::Failed(Box::new(error))
    }
}

impl From<WorkspaceError> for Trouble {
    fn from(error: WorkspaceError) -> Self {
        match error {
            WorkspaceError::NoWorkspace => Self::Gone(&text::NO_WORKSPACE),
            WorkspaceError::Store(error) => error.into(),
        }
    }
}

impl From<OrganizationError> for Trouble {
    fn from(error: OrganizationError) -> Self {
        match error {
            OrganizationError::NoOrganization => Self::Gone(&text::NO_ORGANIZATION),
            OrganizationError::Store(error) => error.into(),
        }
    }
}

impl From<KeyTrouble> for Trouble {
    fn from(trouble: KeyTrouble) -> Self {
        match trouble {
            KeyTrouble::NoOwner => Self::Gone(&text::NO_OWNER),
            KeyTrouble::NoKey => Self::Gone(&text::NO_KEY),
            KeyTrouble::Given => Self::Unfit(&text::GIVEN_KEY),
            KeyTrouble::Failed(error) => Self::Failed(error),
        }
    }
}

impl From<ManagePortalError> for Trouble {
    fn from(error: ManagePortalError) -> Self {
        match error {
            ManagePortalError::NoWorkspace => Self::Gone(&text::NO_WORKSPACE),
            ManagePortalError::NoSession => Self::Gone(&text::NO_SESSION),
            ManagePortalError::Store(error) => error.into(),
        }
    }
}

impl From<DeleteTokenError> for Trouble {
    fn from(error: DeleteTokenError) -> Self {
        match error {
            // Root may delete every token.
            DeleteTokenError::Forbidden | DeleteTokenError::NoToken => Self::Gone(&text::NO_TOKEN),
            DeleteTokenError::Store(error) => error.into(),
        }
    }
}

impl Entered {
    /// Says one thing in the place of the page, to somebody in a session.
    pub(crate) fn tell(&self, status: StatusCode, saying: &Saying) -> Refused {
        let frame = Frame { notice: None, ..Frame::of(self, None, saying.title) };
        render(status, &SayingPage { frame, words: saying.words }).into()
    }

    /// Says why a use case was not done.
    pub(crate) fn refuse(&self, trouble: impl Into<Trouble>) -> Refused {
        match trouble.into() {
            Trouble::Gone(saying) => self.tell(StatusCode::NOT_FOUND, saying),
            Trouble::Unfit(saying) => self.tell(StatusCode::CONFLICT, saying),
            Trouble::Failed(error) => unavailable(&self.console, &*error).into(),
        }
    }

    /// On to an address below the console's, which says what was done.
    pub(crate) fn after(&self, path: &str, done: &str) -> Response {
        see(&format!("{}{path}?done={done}", self.console.base))
    }
}
