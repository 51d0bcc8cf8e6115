//! Who asks: the permit that a use case takes, as an argument of its handler.
//!
//! A handler that forgets to ask has no permit, and without one there is no use case to call.

use std::str::FromStr;

use axum::extract::{FromRequestParts, MatchedPath, RawPathParams};
use claviger_app::ClientAddress;
use claviger_app::access::{
    Access, AuthenticateError, Forbidden, ListKeys, ManageKeys, ManageOrganizations, ManagePortal, ManageTokens,
    ManageWorkspaces, Permit, Principal, ReadAudit, ReadCatalogue, ResolveKeys, Right,
};
use claviger_core::access::Grant;
use claviger_core::actor::{self, InvalidActor};
use claviger_core::{InvalidId, Owner, OwnerKind, Role};
use http::HeaderMap;
use http::header::AUTHORIZATION;
use http::request::Parts;
use utoipa::IntoParams;

use crate::error::{Code, Problem, Refusal};
use crate::{Shared, owners};

const ACTOR: &str = "x-claviger-actor";

/// The header that names the acting user.
#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
#[expect(dead_code, reason = "documents the header that `actor` reads")]
pub(crate) struct ActorHeader {
    /// The acting user, in the caller's own words: 1 to 256 characters. It becomes the key's `createdBy`. Not
    /// `root`, `shell` or `settings`, nor what begins with `token:`, `portal:` or `console:`, by which Claviger itself names
    /// who acts. From tokens other than root's and services' it is ignored.
    #[param(rename = "x-claviger-actor", max_length = 256, required = false)]
    actor: String,
}

/// What may be said of any request that needs a token.
pub(crate) const TOKEN: &[Code] = &[
    Code::TokenMissing,
    Code::TokenInvalid,
    Code::TokenExpired,
    Code::TooManyAttempts,
    Code::InvalidInput,
    Code::ActorReserved,
    Code::StoreUnavailable,
];
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
    #[error("must be UTF-8, once")]
    ActorHeader,
    #[error(transparent)]
    Actor(#[from] InvalidActor),
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
            Self::Token(AuthenticateError::TooMany(too_many)) => {
                Problem::new(Code::TooManyAttempts, too_many).again_in(too_many.seconds())
            }
            Self::Token(AuthenticateError::Store(error)) => Problem::store(error),
            Self::Forbidden(_) | Self::Elsewhere(_) => Problem::new(Code::Forbidden, self),
            Self::Id(_) => Problem::new(Code::InvalidInput, self).at("id"),
            Self::ActorHeader => Problem::input(ACTOR, self),
            Self::Actor(error) => Problem::actor(ACTOR, *error),
        }
    }
}

/// The permit for a right, on what the path names.
pub(crate) struct Allowed<R: Right>(pub(crate) Permit<R>);

impl<R: Asked> FromRequestParts<Shared> for Allowed<R> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, api: &Shared) -> Result<Self, Problem> {
        let principal = authenticate(&api.app.access, parts).await?;
        let place = Place::of(parts).await;
        let actor = actor(&principal, &parts.headers);
        // A header that is wrong is told only to those who may do what they ask for.
        let permit = R::ask(&principal, &place, actor.as_ref().ok().copied().flatten())?;
        actor?;
        Ok(Self(permit))
    }
}

/// What the path names.
pub(crate) struct Place {
    /// The kind of owner, where it names one.
    owner: Option<OwnerKind>,
    /// The `{id}`; empty where it has none.
    id: String,
}

impl Place {
    async fn of(parts: &mut Parts) -> Self {
        let owner = parts.extensions.get().and_then(|route: &MatchedPath| owners::kind_at(route.as_str()));
        Self { owner, id: path_parameter(parts, "id").await }
    }

    /// The owner that is named.
    fn owner<R: Right>(&self, principal: &Principal) -> Result<Owner, Denied> {
        match self.owner {
            Some(OwnerKind::Workspace) => Ok(Owner::Workspace(self.id::<R, _>(principal)?)),
            Some(OwnerKind::Organization) => Ok(Owner::Organization(self.id::<R, _>(principal)?)),
            Some(OwnerKind::Platform) => Ok(Owner::Platform),
            None => Err(Denied::Elsewhere(principal.role())),
        }
    }

    /// The id that is named. What cannot be an id is not the caller's own either, so only those who may ask about all
    /// are told that it is malformed.
    fn id<R: Right, Id: FromStr<Err = InvalidId>>(&self, principal: &Principal) -> Result<Id, Denied> {
        self.id.parse().map_err(|invalid| match principal.role().grant(R::ACTION) {
            Grant::Everywhere => Denied::Id(invalid),
            Grant::OwnWorkspace | Grant::Nowhere => Denied::Elsewhere(principal.role()),
        })
    }
}

/// A right that a handler can ask for.
pub(crate) trait Asked: Right + Sized {
    /// Asks for it, on what the path names.
    fn ask(principal: &Principal, place: &Place, actor: Option<&str>) -> Result<Permit<Self>, Denied>;
}

impl Asked for ReadCatalogue {
    fn ask(principal: &Principal, _place: &Place, actor: Option<&str>) -> Result<Permit<Self>, Denied> {
        Ok(principal.permit(actor)?)
    }
}

impl Asked for ManageWorkspaces {
    fn ask(principal: &Principal, _place: &Place, actor: Option<&str>) -> Result<Permit<Self>, Denied> {
        Ok(principal.permit(actor)?)
    }
}

impl Asked for ManageOrganizations {
    fn ask(principal: &Principal, _place: &Place, actor: Option<&str>) -> Result<Permit<Self>, Denied> {
        Ok(principal.permit(actor)?)
    }
}

impl Asked for ManageTokens {
    fn ask(principal: &Principal, _place: &Place, actor: Option<&str>) -> Result<Permit<Self>, Denied> {
        Ok(principal.permit_tokens(actor)?)
    }
}

impl Asked for ListKeys {
    fn ask(principal: &Principal, place: &Place, actor: Option<&str>) -> Result<Permit<Self>, Denied> {
        Ok(principal.permit_on(place.owner::<Self>(principal)?, actor)?)
    }
}

impl Asked for ReadAudit {
    fn ask(principal: &Principal, place: &Place, actor: Option<&str>) -> Result<Permit<Self>, Denied> {
        Ok(principal.permit_on(place.owner::<Self>(principal)?, actor)?)
    }
}

impl Asked for ManageKeys {
    fn ask(principal: &Principal, place: &Place, actor: Option<&str>) -> Result<Permit<Self>, Denied> {
        Ok(principal.permit_on(place.owner::<Self>(principal)?, actor)?)
    }
}

impl Asked for ManagePortal {
    fn ask(principal: &Principal, place: &Place, actor: Option<&str>) -> Result<Permit<Self>, Denied> {
        Ok(principal.permit_on(Owner::Workspace(place.id::<Self, _>(principal)?), actor)?)
    }
}

impl Asked for ResolveKeys {
    fn ask(principal: &Principal, place: &Place, _actor: Option<&str>) -> Result<Permit<Self>, Denied> {
        Ok(principal.permit_resolve(place.id::<Self, _>(principal)?)?)
    }
}

async fn authenticate(access: &Access, parts: &Parts) -> Result<Principal, Denied> {
    let mut shown = parts.headers.get_all(AUTHORIZATION).iter();
    let header = shown.next().ok_or(Denied::NoToken)?;
    if shown.next().is_some() {
        return Err(Denied::SeveralTokens);
    }
    let token = bearer(header.as_bytes()).ok_or(Denied::NoToken)?;
    let from = parts.extensions.get().copied().unwrap_or(ClientAddress::UNKNOWN);
    Ok(access.authenticate(token, from).await?.calling_from(from))
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
    let text = std::str::from_utf8(header.as_bytes()).map_err(|_| Denied::ActorHeader)?;
    if named.next().is_some() {
        return Err(Denied::ActorHeader);
    }
    Ok(Some(actor::named(text)?))
}

/// The id that the path names. Comes after the permit.
pub(crate) struct IdAt<Id>(pub(crate) Id);

impl<Id: FromStr<Err = InvalidId>> FromRequestParts<Shared> for IdAt<Id> {
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
