//! Who asks: the permit that a use case takes, as an argument of its handler.
//!
//! A handler that forgets to ask has no permit, and without one there is no use case to call.

use axum::extract::{FromRequestParts, RawPathParams};
use claviger_app::access::{
    Access, AuthenticateError, Forbidden, ListKeys, ManageKeys, ManageTokens, ManageWorkspaces, Permit, Principal,
    ReadCatalogue, Right,
};
use claviger_core::{InvalidId, Owner, Role, WorkspaceId};
use http::HeaderMap;
use http::header::AUTHORIZATION;
use http::request::Parts;
use utoipa::IntoParams;

use crate::Shared;
use crate::error::{Code, Problem, Refusal};

const ACTOR: &str = "x-claviger-actor";
const MAX_ACTOR_LENGTH: usize = 256;

/// The header that names the acting user.
#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
#[expect(dead_code, reason = "documents the header that `actor` reads")]
pub(crate) struct ActorHeader {
    /// The acting user, in the caller's own words: 1 to 256 characters. It becomes the key's `createdBy`. From tokens
    /// other than root's and services' it is ignored.
    #[param(rename = "x-claviger-actor", max_length = 256, required = false)]
    actor: String,
}

/// What may be said of any request that needs a token.
pub(crate) const TOKEN: &[Code] =
    &[Code::TokenMissing, Code::TokenInvalid, Code::TokenExpired, Code::InvalidInput, Code::StoreUnavailable];
/// What may be said of a request that needs a right.
pub(crate) const RIGHT: &[Code] = &[Code::Forbidden];

/// Why somebody may not do what they ask for.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Denied {
    #[error("there is no token where one belongs: send it as Authorization: Bearer clv_…, and nowhere else")]
    NoToken,
    #[error("there are several Authorization headers: send one")]
    SeveralTokens,
    #[error(transparent)]
    Token(#[from] AuthenticateError),
    #[error(transparent)]
    Forbidden(#[from] Forbidden),
    #[error("a token with the role {0} may not do this here")]
    Elsewhere(Role),
    #[error(transparent)]
    Id(#[from] InvalidId),
    #[error("must be 1 to {MAX_ACTOR_LENGTH} characters of UTF-8, once, without control characters")]
    Actor,
}

impl Refusal for Denied {
    const CODES: &[&[Code]] = &[TOKEN, RIGHT];

    fn problem(self) -> Problem {
        match &self {
            Self::NoToken => Problem::new(Code::TokenMissing, self),
            Self::SeveralTokens | Self::Token(AuthenticateError::Malformed | AuthenticateError::Unknown) => {
                Problem::new(Code::TokenInvalid, self)
            }
            Self::Token(AuthenticateError::Expired) => Problem::new(Code::TokenExpired, self),
            Self::Token(AuthenticateError::Store(error)) => Problem::store(error),
            Self::Forbidden(_) | Self::Elsewhere(_) => Problem::new(Code::Forbidden, self),
            Self::Id(_) => Problem::new(Code::InvalidInput, self).at("id"),
            Self::Actor => Problem::input(ACTOR, self),
        }
    }
}

/// The permit for a right, on what the path names.
pub(crate) struct Allowed<R: Right>(pub(crate) Permit<R>);

impl<R: Asked> FromRequestParts<Shared> for Allowed<R> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, api: &Shared) -> Result<Self, Problem> {
        let principal = authenticate(&api.app.access, &parts.headers).await?;
        let id = path_parameter(parts, "id").await;
        let actor = actor(&principal, &parts.headers);
        // A header that is wrong is told only to those who may do what they ask for.
        let permit = R::ask(&principal, &id, actor.as_ref().ok().copied().flatten())?;
        actor?;
        Ok(Self(permit))
    }
}

/// A right that a handler can ask for.
pub(crate) trait Asked: Right + Sized {
    /// Asks for it; `id` is the `{id}` of the path, empty where the path has none.
    fn ask(principal: &Principal, id: &str, actor: Option<&str>) -> Result<Permit<Self>, Denied>;
}

impl Asked for ReadCatalogue {
    fn ask(principal: &Principal, _id: &str, actor: Option<&str>) -> Result<Permit<Self>, Denied> {
        Ok(principal.permit(actor)?)
    }
}

impl Asked for ManageWorkspaces {
    fn ask(principal: &Principal, _id: &str, actor: Option<&str>) -> Result<Permit<Self>, Denied> {
        Ok(principal.permit(actor)?)
    }
}

impl Asked for ManageTokens {
    fn ask(principal: &Principal, _id: &str, actor: Option<&str>) -> Result<Permit<Self>, Denied> {
        Ok(principal.permit_tokens(actor)?)
    }
}

impl Asked for ListKeys {
    fn ask(principal: &Principal, id: &str, actor: Option<&str>) -> Result<Permit<Self>, Denied> {
        Ok(principal.permit_on(workspace(principal, id)?, actor)?)
    }
}

impl Asked for ManageKeys {
    fn ask(principal: &Principal, id: &str, actor: Option<&str>) -> Result<Permit<Self>, Denied> {
        Ok(principal.permit_on(workspace(principal, id)?, actor)?)
    }
}

/// What cannot be a workspace's id is not the caller's own workspace either, so only those who may ask about every
/// workspace are told that it is malformed.
fn workspace(principal: &Principal, id: &str) -> Result<Owner, Denied> {
    match id.parse() {
        Ok(id) => Ok(Owner::Workspace(id)),
        Err(_) if principal.role().is_of_one_workspace() => Err(Denied::Elsewhere(principal.role())),
        Err(invalid) => Err(invalid.into()),
    }
}

async fn authenticate(access: &Access, headers: &HeaderMap) -> Result<Principal, Denied> {
    let mut shown = headers.get_all(AUTHORIZATION).iter();
    let header = shown.next().ok_or(Denied::NoToken)?;
    if shown.next().is_some() {
        return Err(Denied::SeveralTokens);
    }
    let token = bearer(header.as_bytes()).ok_or(Denied::NoToken)?;
    Ok(access.authenticate(token).await?)
}

fn bearer(header: &[u8]) -> Option<&[u8]> {
    let (scheme, rest) = header.split_at_checked(b"bearer ".len())?;
    let token = rest.trim_ascii();
    (scheme.eq_ignore_ascii_case(b"bearer ") && !token.is_empty()).then_some(token)
}

/// The user whom root or a service names as acting; from any other token the header is ignored.
fn actor<'a>(principal: &Principal, headers: &'a HeaderMap) -> Result<Option<&'a str>, Denied> {
    match principal.role() {
        Role::Root | Role::Service => {}
        Role::Admin | Role::Member | Role::Runtime => return Ok(None),
    }
    let mut named = headers.get_all(ACTOR).iter();
    let Some(header) = named.next() else {
        return Ok(None);
    };
    let name = std::str::from_utf8(header.as_bytes()).map_err(|_| Denied::Actor)?.trim();
    let sound = (1..=MAX_ACTOR_LENGTH).contains(&name.chars().count()) && !name.chars().any(char::is_control);
    if sound && named.next().is_none() { Ok(Some(name)) } else { Err(Denied::Actor) }
}

/// The workspace that the path names. Comes after the permit.
pub(crate) struct WorkspaceAt(pub(crate) WorkspaceId);

impl FromRequestParts<Shared> for WorkspaceAt {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _api: &Shared) -> Result<Self, Problem> {
        let id = path_parameter(parts, "id").await.parse();
        Ok(Self(id.map_err(Denied::Id)?))
    }
}

/// A part of the path, decoded; empty, which is no id, where it is not UTF-8.
pub(crate) async fn path_parameter(parts: &mut Parts, name: &str) -> String {
    let Ok(parameters) = RawPathParams::from_request_parts(parts, &()).await else {
        return String::new();
    };
    let found = parameters.iter().find(|(found, _)| *found == name);
    found.map(|(_, value)| value.to_owned()).unwrap_or_default()
}
