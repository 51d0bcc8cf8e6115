//! Who asks: the session's cookie, and whether a form is the session's own.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{FromRequest, FromRequestParts, Query, Request};
use axum::response::Response;
use claviger_app::access::{Forbidden, ListKeys, ManageKeys, ManagePortal, Permit, ReadAudit};
use claviger_app::portal::{NewPass, PortalSession, PortalSessionError};
use claviger_app::{ClientAddress, PortalPass};
use claviger_core::Owner;
use http::header::{COOKIE, HOST, ORIGIN};
use http::request::Parts;
use http::{HeaderMap, StatusCode, Uri};
use zeroize::Zeroizing;

use crate::fields::Fields;
use crate::look::Look;
use crate::page::{self, Frame, say};
use crate::text::Saying;
use crate::{Portal, Shared, text};

/// How long browsers keep a session's cookie: longer than the session lasts, so that it can be said that it is over.
const COOKIE_LIFE: Duration = Duration::from_hours(24);

/// How somebody has the portal before them. Each has a cookie of its own, and opening a link takes the other one away: a
/// browser has one session at a time, and its cookie says who may hold the pages in a frame.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Way {
    /// As a page by itself.
    Page,
    /// In a frame of another page, which may be of another site.
    Frame,
}

impl Way {
    pub(crate) fn of(session: &PortalPass) -> Self {
        if session.grant.embedded { Self::Frame } else { Self::Page }
    }

    fn other(self) -> Self {
        match self {
            Self::Page => Self::Frame,
            Self::Frame => Self::Page,
        }
    }
}

/// The parameters of an address; of those that are there twice, the last.
pub(crate) fn query(uri: &Uri) -> BTreeMap<String, String> {
    Query::try_from_uri(uri).map(|Query(query)| query).unwrap_or_default()
}

pub(crate) fn cookie<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let cookies = headers.get_all(COOKIE).iter().filter_map(|value| value.to_str().ok());
    let mut pairs = cookies.flat_map(|value| value.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(found, _)| *found == name).map(|(_, value)| value)
}

impl Portal {
    /// With the prefix browsers take the cookie over https only, and from this host alone.
    fn cookie_name(&self, way: Way) -> &'static str {
        match (way, self.https) {
            (Way::Page, true) => "__Host-claviger_portal",
            (Way::Page, false) => "claviger_portal",
            (Way::Frame, true) => "__Host-claviger_embed",
            (Way::Frame, false) => "claviger_embed",
        }
    }

    /// In a frame of another site browsers take no cookie but such as are secure and kept for that site apart. Without
    /// https they take them from the machine itself.
    pub(crate) fn attributes(&self, way: Way) -> &'static str {
        match (way, self.https) {
            (Way::Page, true) => "Path=/; HttpOnly; SameSite=Lax; Secure",
            (Way::Page, false) => "Path=/; HttpOnly; SameSite=Lax",
            (Way::Frame, _) => "Path=/; HttpOnly; SameSite=None; Secure; Partitioned",
        }
    }

    /// The cookies of a session that begins: its own, and none of the other kind.
    pub(crate) fn session_cookies(&self, session: &NewPass) -> [Zeroizing<String>; 2] {
        let way = Way::of(&session.pass);
        let (name, attributes) = (self.cookie_name(way), self.attributes(way));
        let text = session.reveal_cookie();
        let own = format!("{name}={}; {attributes}; Max-Age={}", &*text, COOKIE_LIFE.as_secs());
        [Zeroizing::new(own), Zeroizing::new(self.no_cookie(way.other()))]
    }

    /// Takes a session's cookie away.
    pub(crate) fn no_cookie(&self, way: Way) -> String {
        format!("{}=; {}; Max-Age=0", self.cookie_name(way), self.attributes(way))
    }

    /// By which cookie a request is of a session. Where there are both, the frame's counts, here and for who may hold the
    /// answer: no page of the other session is ever shown in a frame.
    pub(crate) fn way(&self, headers: &HeaderMap) -> Option<Way> {
        let has = |way: &Way| cookie(headers, self.cookie_name(*way)).is_some();
        [Way::Frame, Way::Page].into_iter().find(has)
    }

    /// The session of a request.
    pub(crate) async fn session(
        &self,
        headers: &HeaderMap,
        from: ClientAddress,
    ) -> Result<PortalSession, PortalSessionError> {
        let way = self.way(headers).ok_or(PortalSessionError::Unknown)?;
        let shown = cookie(headers, self.cookie_name(way)).ok_or(PortalSessionError::Unknown)?;
        let session = self.app.portal.prove(shown, from).await?;
        if Way::of(&session.pass) == way { Ok(session) } else { Err(PortalSessionError::Unknown) }
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

/// Where a request comes from.
pub(crate) struct Sender(pub(crate) ClientAddress);

impl Sender {
    pub(crate) fn of(parts: &Parts) -> ClientAddress {
        parts.extensions.get().copied().unwrap_or(ClientAddress::UNKNOWN)
    }
}

impl FromRequestParts<Shared> for Sender {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _portal: &Shared) -> Result<Self, Infallible> {
        Ok(Self(Self::of(parts)))
    }
}

impl Portal {
    /// The fields of a form that a page of this origin sent, or why it is not accepted.
    pub(crate) async fn read_form(&self, parts: &Parts, body: Body) -> Result<Fields, (StatusCode, &'static Saying)> {
        if !self.is_same_origin(&parts.headers, &parts.uri) {
            return Err((StatusCode::FORBIDDEN, &text::FOREIGN_FORM));
        }
        Fields::read(body).await.ok_or((StatusCode::BAD_REQUEST, &text::BAD_FORM))
    }
}

/// Somebody in a session.
pub(crate) struct Visitor {
    pub(crate) session: PortalSession,
    pub(crate) look: Look,
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

    pub(crate) fn may_read_changes(&self) -> Result<Permit<ReadAudit>, Forbidden> {
        self.session.principal.permit_on(self.owner(), None)
    }

    pub(crate) fn may_see_sessions(&self) -> Result<Permit<ManagePortal>, Forbidden> {
        self.session.principal.permit_on(self.owner(), None)
    }

    pub(crate) fn may_manage(&self) -> Result<Permit<ManageKeys>, Forbidden> {
        self.session.principal.permit_on(self.owner(), None)
    }

    async fn of(portal: &Portal, parts: &Parts) -> Result<Self, (Look, PortalSessionError)> {
        let headers = &parts.headers;
        let query = query(&parts.uri);
        let look = Look::of(&query, headers);
        let from = Sender::of(parts);
        let found = async {
            let session = portal.session(headers, from).await?;
            let workspace = portal.app.portal.workspace_name(&session).await?;
            Ok::<_, PortalSessionError>((session, workspace))
        };
        let (session, workspace) = found.await.map_err(|error| (look, error))?;
        Ok(Self { session, look, query, workspace })
    }
}

/// Says why there is no session. What was typed as a label is shown, so that it is not lost.
fn refuse(portal: &Portal, headers: &HeaderMap, (look, error): (Look, PortalSessionError), typed: &str) -> Response {
    let (saying, return_url) = match error {
        PortalSessionError::Unknown if portal.way(headers).is_some() => (&text::SESSION_ENDED, None),
        PortalSessionError::Unknown => (&text::NO_SESSION, None),
        PortalSessionError::Expired { return_url } => (&text::SESSION_EXPIRED, return_url),
        PortalSessionError::TooMany(too_many) => return page::too_many(portal, look, too_many),
        PortalSessionError::Store(error) => return page::unavailable(portal, look, &error),
    };
    let embedded = portal.way(headers) == Some(Way::Frame);
    let frame = Frame { return_url, embedded, ..Frame::bare(portal, look, saying.title) };
    page::say_in(frame, StatusCode::UNAUTHORIZED, saying, (typed.to_owned(), String::new()))
}

impl FromRequestParts<Shared> for Visitor {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, portal: &Shared) -> Result<Self, Response> {
        let visitor = Self::of(portal, parts).await;
        visitor.map_err(|refused| refuse(portal, &parts.headers, refused, ""))
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
        let fields = portal.read_form(&parts, body).await;
        let fields = fields.map_err(|(status, saying)| say(portal, Look::default(), status, saying))?;
        let visitor = Visitor::of(portal, &parts).await;
        let visitor = visitor.map_err(|refused| refuse(portal, &parts.headers, refused, fields.get("name")))?;
        if !visitor.session.sent(fields.get("form")) {
            return Err(say(portal, Look::default(), StatusCode::FORBIDDEN, &text::FOREIGN_FORM));
        }
        Ok(Self { visitor, fields })
    }
}
