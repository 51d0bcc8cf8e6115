//! Who asks: the console's cookie, and whether a form is the session's own.

use std::collections::BTreeMap;

use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::response::Response;
use claviger_app::access::{
    ListKeys, ManageKeys, ManageOrganizations, ManagePortal, ManageTokens, ManageWorkspaces, Permit, Right,
};
use claviger_app::console::{Operator, OperatorError, SESSION_LIFE};
use claviger_core::{Owner, WorkspaceId};
use http::StatusCode;
use http::request::Parts;
use zeroize::Zeroizing;

use crate::console::page::{self, Place};
use crate::console::{Console, Shared, entry, text};
use crate::fields::Fields;
use crate::page::Refused;
use crate::visitor::{Sender, cookie, query};

impl Console {
    /// With this prefix browsers take the cookie over https only, and from this host alone.
    fn cookie_name(&self) -> &'static str {
        if self.portal.https { "__Host-claviger_console" } else { "claviger_console" }
    }

    /// Strict: nobody comes to the console from another site.
    fn attributes(&self) -> &'static str {
        if self.portal.https {
            "Path=/; HttpOnly; SameSite=Strict; Secure"
        } else {
            "Path=/; HttpOnly; SameSite=Strict"
        }
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

    async fn operator(&self, parts: &Parts) -> Result<Operator, OperatorError> {
        let shown = cookie(&parts.headers, self.cookie_name()).ok_or(OperatorError::Unknown)?;
        self.app().console.prove(shown, Sender::of(parts)).await
    }
}

/// The operator in a session, at an address.
pub(crate) struct Entered {
    pub(crate) console: Shared,
    pub(crate) operator: Operator,
    query: BTreeMap<String, String>,
}

impl Entered {
    async fn of(console: &Shared, parts: &Parts, why: entry::Why) -> Result<Self, Response> {
        match console.operator(parts).await {
            Ok(operator) => Ok(Self { console: console.clone(), operator, query: query(&parts.uri) }),
            Err(OperatorError::Unknown) => Err(entry::ask(console, why.unknown())),
            Err(OperatorError::Expired) => Err(entry::ask(console, text::EXPIRED)),
            Err(OperatorError::TooMany(too_many)) => Err(page::too_many(console, too_many)),
            Err(OperatorError::Store(error)) => Err(page::unavailable(console, &error)),
        }
    }

    /// A parameter of the address; empty where it is missing.
    pub(crate) fn asked(&self, name: &str) -> &str {
        self.query.get(name).map_or("", |value| value.trim())
    }

    /// Somebody without the right cannot be here: the root token has all that are asked for.
    fn permitted<R: Right, E: std::error::Error>(&self, permit: Result<Permit<R>, E>) -> Result<Permit<R>, Refused> {
        permit.map_err(|_| self.tell(StatusCode::FORBIDDEN, &text::FORBIDDEN))
    }

    pub(crate) fn may_list(&self, owner: &Owner) -> Result<Permit<ListKeys>, Refused> {
        self.permitted(self.operator.principal.permit_on(owner.clone(), Some(&self.operator.actor())))
    }

    pub(crate) fn may_manage(&self, owner: &Owner) -> Result<Permit<ManageKeys>, Refused> {
        self.permitted(self.operator.principal.permit_on(owner.clone(), Some(&self.operator.actor())))
    }

    pub(crate) fn may_manage_workspaces(&self) -> Result<Permit<ManageWorkspaces>, Refused> {
        self.permitted(self.operator.principal.permit(Some(&self.operator.actor())))
    }

    pub(crate) fn may_manage_organizations(&self) -> Result<Permit<ManageOrganizations>, Refused> {
        self.permitted(self.operator.principal.permit(Some(&self.operator.actor())))
    }

    pub(crate) fn may_manage_tokens(&self) -> Result<Permit<ManageTokens>, Refused> {
        self.permitted(self.operator.principal.permit_tokens(Some(&self.operator.actor())))
    }

    /// Without an actor: whoever opens a link is not the one who made it.
    pub(crate) fn may_manage_portal(&self, workspace: &WorkspaceId) -> Result<Permit<ManagePortal>, Refused> {
        self.permitted(self.operator.principal.permit_on(Owner::Workspace(workspace.clone()), None))
    }

    /// What was just done, by the word in the address.
    pub(crate) fn notice(&self) -> Option<&'static str> {
        text::done(self.asked("done"))
    }

    pub(crate) fn frame(&self, place: Place, title: &str) -> page::Frame {
        page::Frame::of(self, Some(place), title)
    }
}

impl FromRequestParts<Shared> for Entered {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, console: &Shared) -> Result<Self, Response> {
        Self::of(console, parts, entry::Why::Looked).await
    }
}

/// A form of the session's own. Comes last.
pub(crate) struct Posted {
    pub(crate) entered: Entered,
    pub(crate) fields: Fields,
}

impl FromRequest<Shared> for Posted {
    type Rejection = Response;

    async fn from_request(request: Request, console: &Shared) -> Result<Self, Response> {
        let (parts, body) = request.into_parts();
        let fields = console.portal.read_form(&parts, body).await;
        let fields = fields.map_err(|(status, saying)| page::say(console, status, saying))?;
        let entered = Entered::of(console, &parts, entry::Why::Wrote).await?;
        if !entered.operator.sent(fields.get("form")) {
            return Err(page::say(console, StatusCode::FORBIDDEN, &crate::text::FOREIGN_FORM));
        }
        Ok(Self { entered, fields })
    }
}
