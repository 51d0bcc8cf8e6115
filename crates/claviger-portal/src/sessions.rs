//! Who is in the portal, for admins, and how to end that.

use askama::Template;
use axum::extract::{Path, State};
use axum::response::Response;
use claviger_app::access::{ManagePortal, Permit};
use claviger_app::portal::ManagePortalError;
use claviger_app::{Page, PortalPass};
use claviger_core::{Timestamp, TokenId};
use http::StatusCode;

use crate::page::{self, Frame, Part, Refused, render, see, tell};
use crate::text::{self, ENGLISH};
use crate::visitor::{Posted, Visitor};
use crate::{Portal, Shared};

/// How many sessions a page shows.
const LIMIT: u32 = 50;

#[derive(Template)]
#[template(path = "sessions.html")]
struct SessionsPage {
    frame: Frame,
    sessions: Vec<SessionShown>,
    /// The next page; empty on the last.
    more: String,
}

struct SessionShown {
    id: String,
    who: String,
    role: &'static str,
    since: String,
    until: String,
    /// Whether it is the visitor's own.
    own: bool,
}

impl SessionShown {
    fn of(pass: &PortalPass, visitor: &Visitor, now: Timestamp) -> Self {
        Self {
            id: pass.id.to_string(),
            who: pass.grant.actor.clone().unwrap_or_else(|| ENGLISH.nobody.to_owned()),
            role: text::role(pass.grant.role),
            since: text::since(now.as_millis() - pass.created_at.as_millis()),
            until: text::until(pass.expires_at.as_millis() - now.as_millis()),
            own: pass.id == visitor.session.pass.id,
        }
    }
}

fn permit(portal: &Portal, visitor: &Visitor) -> Result<Permit<ManagePortal>, Refused> {
    visitor.may_see_sessions().map_err(|_| tell(portal, visitor, StatusCode::FORBIDDEN, &text::SESSIONS_FORBIDDEN))
}

fn refuse(portal: &Portal, visitor: &Visitor, error: ManagePortalError) -> Refused {
    match error {
        ManagePortalError::NoWorkspace | ManagePortalError::NoSession => {
            tell(portal, visitor, StatusCode::NOT_FOUND, &text::SESSION_GONE)
        }
        ManagePortalError::Store(error) => page::unavailable(portal, visitor.look, &error).into(),
    }
}

pub(crate) async fn all(State(portal): State<Shared>, visitor: Visitor) -> Result<Response, Refused> {
    let permit = permit(&portal, &visitor)?;
    let after = visitor.query.get("after").and_then(|id| id.parse::<TokenId>().ok());
    let sessions = portal.app.portal.sessions(&permit, &Page { after, limit: LIMIT }).await;
    let sessions = sessions.map_err(|error| refuse(&portal, &visitor, error))?;
    let now = portal.app.portal.now();
    let full = sessions.len() >= usize::try_from(LIMIT).unwrap_or_default();
    let last = sessions.last().filter(|_| full);
    let frame = Frame::of(&portal, &visitor, ENGLISH.sessions);
    let page = SessionsPage {
        more: last.map(|last| format!("{}/sessions?after={}", portal.base, last.id)).unwrap_or_default(),
        sessions: sessions.iter().map(|pass| SessionShown::of(pass, &visitor, now)).collect(),
        frame: Frame { part: Part::Sessions, ..frame },
    };
    Ok(render(StatusCode::OK, &page))
}

pub(crate) async fn end(
    State(portal): State<Shared>,
    Path(id): Path<String>,
    Posted { visitor, .. }: Posted,
) -> Result<Response, Refused> {
    let permit = permit(&portal, &visitor)?;
    let id: TokenId = id.parse().map_err(|_| refuse(&portal, &visitor, ManagePortalError::NoSession))?;
    let ended = portal.app.portal.end(&permit, &id).await;
    ended.map_err(|error| refuse(&portal, &visitor, error))?;
    Ok(see(&format!("{}/sessions?done=ended", portal.base)))
}
