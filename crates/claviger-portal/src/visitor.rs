//! Who asks: the session's cookie, and whether a form is the session's own.

use std::collections::BTreeMap;

use axum::extract::{FromRequest, FromRequestParts, Query, Request};
use axum::response::Response;
use claviger_app::access::{Forbidden, ListKeys, ManageKeys, Permit};
use claviger_app::portal::{PortalSession, PortalSessionError, SESSION_LIFE};
use claviger_core::Owner;
use http::header::{COOKIE, HOST, ORIGIN};
use http::request::Parts;
use http::{HeaderMap, StatusCode, Uri};
use zeroize::Zeroizing;

use crate::fields::Fields;
use crate::page::{self, say, say_with};
use crate::{Portal, Shared, text};

/// Light or dark, where the visitor or the product that sent them says so.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) enum Theme {
    #[default]
    System,
    Light,
    Dark,
}

impl Theme {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::System => "",
            Self::Light => "light",
            Self::Dark => "dark",
        }
    }

    fn parse(text: &str) -> Option<Self> {
        [Self::Light, Self::Dark].into_iter().find(|theme| theme.as_str() == text)
    }

    /// As the address says, or else as it said before.
    pub(crate) fn of(query: &BTreeMap<String, String>, headers: &HeaderMap) -> Self {
        let said = query.get("theme").map(String::as_str);
        said.or_else(|| cookie(headers, THEME)).and_then(Self::parse).unwrap_or_default()
    }
}

/// The cookie that remembers the theme. It is no secret.
pub(crate) const THEME: &str = "claviger_theme";

/// The parameters of an address; of those that are there twice, the last.
pub(crate) fn query(uri: &Uri) -> BTreeMap<String, String> {
    Query::try_from_uri(uri).map(|Query(query)| query).unwrap_or_default()
}

fn cookie<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let cookies = headers.get_all(COOKIE).iter().filter_map(|value| value.to_str().ok());
    let mut pairs = cookies.flat_map(|value| value.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(found, _)| *found == name).map(|(_, value)| value)
}

impl Portal {
    /// With this prefix browsers take the cookie over https only, and from this host alone.
    pub(crate) fn cookie_name(&self) -> &'static str {
        if self.https { "__Host-claviger_portal" } else { "claviger_portal" }
    }

    fn attributes(&self) -> &'static str {
        if self.https { "Path=/; HttpOnly; SameSite=Lax; Secure" } else { "Path=/; HttpOnly; SameSite=Lax" }
    }

    /// The cookie of a session that begins.
    pub(crate) fn session_cookie(&self, text: &str) -> Zeroizing<String> {
        let (name, attributes) = (self.cookie_name(), self.attributes());
        Zeroizing::new(format!("{name}={text}; {attributes}; Max-Age={}", SESSION_LIFE.as_secs()))
    }

    /// Takes the session's cookie away.
    pub(crate) fn no_cookie(&self) -> String {
        format!("{}=; {}; Max-Age=0", self.cookie_name(), self.attributes())
    }

    /// The session of a request.
    pub(crate) async fn session(&self, headers: &HeaderMap) -> Result<PortalSession, PortalSessionError> {
        let shown = cookie(headers, self.cookie_name()).ok_or(PortalSessionError::Unknown)?;
        self.app.portal.prove(shown).await
    }

    /// Whether a page of this origin sent a form. Browsers say so themselves; what says nothing is none.
    pub(crate) fn is_same_origin(&self, headers: &HeaderMap, uri: &Uri) -> bool {
        let text = |name: &str| headers.get(name).map(|value| value.to_str().unwrap_or_default());
        let (site, origin) = (text("sec-fetch-site"), text(ORIGIN.as_str()));
        let host = text(HOST.as_str()).or_else(|| uri.authority().map(http::uri::Authority::as_str));
        let is_own = |origin: &str| {
            origin.eq_ignore_ascii_case(&self.origin)
                || origin.split_once("://").map(|(_, authority)| authority) == host && host.is_some()
        };
        (site.is_some() || origin.is_some())
            && site.is_none_or(|site| site == "same-origin")
            && origin.is_none_or(is_own)
    }
}

/// Somebody in a session.
pub(crate) struct Visitor {
    pub(crate) session: PortalSession,
    pub(crate) theme: Theme,
    pub(crate) query: BTreeMap<String, String>,
    /// The workspace's name, for people.
    pub(crate) workspace: String,
}

impl Visitor {
    fn owner(&self) -> Owner {
        Owner::Workspace(self.session.pass.grant.workspace.clone())
    }

    pub(crate) fn may_look(&self) -> Result<Permit<ListKeys>, Forbidden> {
        self.session.principal.permit_on(self.owner(), None)
    }

    pub(crate) fn may_manage(&self) -> Result<Permit<ManageKeys>, Forbidden> {
        self.session.principal.permit_on(self.owner(), None)
    }

    async fn of(portal: &Portal, headers: &HeaderMap, uri: &Uri) -> Result<Self, (Theme, PortalSessionError)> {
        let query = query(uri);
        let theme = Theme::of(&query, headers);
        let found = async {
            let session = portal.session(headers).await?;
            let workspace = portal.app.portal.workspace_name(&session).await?;
            Ok::<_, PortalSessionError>((session, workspace))
        };
        let (session, workspace) = found.await.map_err(|error| (theme, error))?;
        Ok(Self { session, theme, query, workspace })
    }
}

/// Says why there is no session. What was typed as a label is shown, so that it is not lost.
fn refuse(portal: &Portal, (theme, error): (Theme, PortalSessionError), typed: &str) -> Response {
    let saying = match error {
        PortalSessionError::Unknown => &text::NO_SESSION,
        PortalSessionError::Expired => &text::SESSION_EXPIRED,
        PortalSessionError::Store(error) => return page::unavailable(portal, theme, &error),
    };
    say_with(portal, theme, StatusCode::UNAUTHORIZED, saying, (typed.to_owned(), String::new()))
}

impl FromRequestParts<Shared> for Visitor {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, portal: &Shared) -> Result<Self, Response> {
        let visitor = Self::of(portal, &parts.headers, &parts.uri).await;
        visitor.map_err(|refused| refuse(portal, refused, ""))
    }
}

/// A form of the session's own. Comes last.
pub(crate) struct Posted {
    pub(crate) visitor: Visitor,
    pub(crate) fields: Fields,
}

impl FromRequest<Shared> for Posted {
    type Rejection = Response;

    async fn from_request(request: Request, portal: &Shared) -> Result<Self, Response> {
        let (parts, body) = request.into_parts();
        let foreign = || say(portal, Theme::System, StatusCode::FORBIDDEN, &text::FOREIGN_FORM);
        if !portal.is_same_origin(&parts.headers, &parts.uri) {
            return Err(foreign());
        }
        let fields = Fields::read(body).await;
        let fields = fields.ok_or_else(|| say(portal, Theme::System, StatusCode::BAD_REQUEST, &text::BAD_FORM))?;
        let visitor = Visitor::of(portal, &parts.headers, &parts.uri).await;
        let visitor = visitor.map_err(|refused| refuse(portal, refused, fields.get("name")))?;
        if !visitor.session.sent(fields.get("form")) {
            return Err(foreign());
        }
        Ok(Self { visitor, fields })
    }
}
