//! One workspace: its name and organization, its keys, its tokens, its portal.

use std::time::Duration;

use askama::Template;
use axum::extract::Path;
use axum::response::Response;
use claviger_app::portal::{CreatePortalLink, CreatePortalLinkError, LINK_LIFE, LINK_LIVES};
use claviger_app::{PortalPass, PutWorkspaceError, Workspace};
use claviger_core::portal::{PortalMode, PortalRole};
use claviger_core::{Owner, TokenId, WorkspaceId, actor};
use http::StatusCode;

use crate::console::keys::{self, PoolShown};
use crate::console::operator::{Entered, Posted};
use crate::console::page::{Frame, Place};
use crate::console::show::{cut, minute, of_segment, page as rows};
use crate::console::tokens::{self, TokenShown};
use crate::console::workspaces::TypedWorkspace;
use crate::console::{owner, text};
use crate::fields::Fields;
use crate::page::{Refused, render};

#[derive(Template)]
#[template(path = "console/workspace.html")]
struct WorkspacePage {
    frame: Frame,
    id: String,
    organization: String,
    organization_address: String,
    made: String,
    /// This page's own.
    address: String,
    pools: Vec<PoolShown>,
    tokens: Vec<TokenShown>,
    more_tokens: bool,
    sessions: Vec<SessionShown>,
    more_sessions: bool,
    typed: TypedWorkspace,
    link: TypedLink,
}

/// Somebody in the workspace's portal.
struct SessionShown {
    id: String,
    role: &'static str,
    actor: String,
    began: String,
    ends: String,
}

/// What the form for a link says of itself.
#[derive(Default)]
struct TypedLink {
    actor: String,
    actor_error: &'static str,
}

/// The workspace that a path names.
async fn found(entered: &Entered, segment: &str) -> Result<Workspace, Refused> {
    let id: Option<WorkspaceId> = of_segment(segment);
    let id = id.ok_or_else(|| entered.tell(StatusCode::NOT_FOUND, &text::NO_WORKSPACE))?;
    let permit = entered.may_manage_workspaces()?;
    let workspace = entered.console.app().workspaces.get(&permit, &id).await;
    workspace.map_err(|error| entered.refuse(error))
}

fn of(workspace: &Workspace) -> Owner {
    Owner::Workspace(workspace.id.clone())
}

pub(crate) async fn show(Path(segment): Path<String>, entered: Entered) -> Result<Response, Refused> {
    let workspace = found(&entered, &segment).await?;
    let typed = TypedWorkspace {
        name: workspace.name.clone().unwrap_or_default(),
        organization: workspace.organization_id.as_ref().map(ToString::to_string).unwrap_or_default(),
        ..TypedWorkspace::default()
    };
    whole_page(&entered, &workspace, StatusCode::OK, typed, TypedLink::default()).await
}

async fn whole_page(
    entered: &Entered,
    workspace: &Workspace,
    status: StatusCode,
    typed: TypedWorkspace,
    link: TypedLink,
) -> Result<Response, Refused> {
    let (app, base) = (entered.console.app(), &entered.console.base);
    let pools = keys::pools(entered, &of(workspace)).await?;
    let permit = entered.may_manage_tokens()?;
    let tokens = app.tokens.list_of(&permit, &workspace.id, &rows(None)).await;
    let mut tokens = tokens.map_err(|error| entered.refuse(error))?;
    let more_tokens = cut(&mut tokens);
    let permit = entered.may_manage_portal(&workspace.id)?;
    let sessions = app.portal.sessions(&permit, &rows(None)).await;
    let mut sessions = sessions.map_err(|error| entered.refuse(error))?;
    let more_sessions = cut(&mut sessions);
    let organization = workspace.organization_id.clone();
    let organization_path = organization.clone().map(|id| owner::path(&Owner::Organization(id)));
    let name = workspace.name.clone().unwrap_or_default();
    let page = WorkspacePage {
        frame: entered.frame(Place::Workspaces, if name.is_empty() { workspace.id.as_str() } else { &name }),
        id: workspace.id.to_string(),
        organization: organization.map(|id| id.to_string()).unwrap_or_default(),
        organization_address: organization_path.map(|path| format!("{base}{path}")).unwrap_or_default(),
        made: minute(workspace.created_at),
        address: format!("{base}{}", owner::path(&of(workspace))),
        pools,
        tokens: tokens.iter().map(|token| tokens::shown(base, token)).collect(),
        more_tokens,
        sessions: sessions.iter().map(shown).collect(),
        more_sessions,
        typed,
        link,
    };
    Ok(render(status, &page))
}

fn shown(session: &PortalPass) -> SessionShown {
    SessionShown {
        id: session.id.to_string(),
        role: session.grant.role.as_str(),
        actor: session.grant.actor.clone().unwrap_or_default(),
        began: minute(session.created_at),
        ends: minute(session.expires_at),
    }
}

/// Renames the workspace, or moves it to another organization.
pub(crate) async fn change(
    Path(segment): Path<String>,
    Posted { entered, fields }: Posted,
) -> Result<Response, Refused> {
    let workspace = found(&entered, &segment).await?;
    let permit = entered.may_manage_workspaces()?;
    let mut typed = TypedWorkspace::of(&fields);
    let put = typed.check();
    if !typed.is_wrong() {
        match entered.console.app().workspaces.put(&permit, workspace.id.clone(), put).await {
            Ok(_) => return Ok(entered.after(&owner::path(&of(&workspace)), "workspace-changed")),
            Err(PutWorkspaceError::NoOrganization) => typed.organization_error = text::UNKNOWN_ORGANIZATION,
            Err(PutWorkspaceError::Store(error)) => return Err(entered.refuse(error)),
        }
    }
    whole_page(&entered, &workspace, StatusCode::UNPROCESSABLE_ENTITY, typed, TypedLink::default()).await
}

#[derive(Template)]
#[template(path = "console/delete_owner.html")]
pub(crate) struct DeletePage {
    pub(crate) frame: Frame,
    pub(crate) id: String,
    pub(crate) address: String,
    pub(crate) consequence: &'static str,
    pub(crate) wrong: &'static str,
}

fn delete_page(entered: &Entered, workspace: &Workspace, status: StatusCode, wrong: &'static str) -> Response {
    let title = text::delete_title(text::A_WORKSPACE, workspace.id.as_str());
    let page = DeletePage {
        frame: entered.frame(Place::Workspaces, &title),
        id: workspace.id.to_string(),
        address: format!("{}{}", entered.console.base, owner::path(&of(workspace))),
        consequence: text::DELETES_WORKSPACE,
        wrong,
    };
    render(status, &page)
}

pub(crate) async fn delete_form(Path(segment): Path<String>, entered: Entered) -> Result<Response, Refused> {
    let workspace = found(&entered, &segment).await?;
    Ok(delete_page(&entered, &workspace, StatusCode::OK, ""))
}

/// Whoever deletes types the id: it cannot be taken back.
pub(crate) async fn delete(
    Path(segment): Path<String>,
    Posted { entered, fields }: Posted,
) -> Result<Response, Refused> {
    let workspace = found(&entered, &segment).await?;
    if fields.get("confirm").trim() != workspace.id.as_str() {
        return Ok(delete_page(&entered, &workspace, StatusCode::UNPROCESSABLE_ENTITY, text::NOT_CONFIRMED));
    }
    let permit = entered.may_manage_workspaces()?;
    let deleted = entered.console.app().workspaces.delete(&permit, &workspace.id).await;
    deleted.map_err(|error| entered.refuse(error))?;
    Ok(entered.after("/workspaces", "workspace-deleted"))
}

#[derive(Template)]
#[template(path = "console/secret.html")]
pub(crate) struct SecretPage {
    pub(crate) frame: Frame,
    pub(crate) label: &'static str,
    /// Shown on this page alone.
    pub(crate) secret: zeroize::Zeroizing<String>,
    pub(crate) hint: String,
    /// Where to go on.
    pub(crate) address: String,
}

/// What the form for a link asks for, or what is wrong with it.
fn read_link(fields: &Fields) -> Result<CreatePortalLink, TypedLink> {
    let typed = fields.get("actor").trim();
    let actor = match Some(typed).filter(|typed| !typed.is_empty()).map(actor::named).transpose() {
        Ok(actor) => actor.map(str::to_owned),
        Err(error) => return Err(TypedLink { actor: typed.to_owned(), actor_error: text::actor(error) }),
    };
    let role = PortalRole::parse(fields.get("role")).unwrap_or(PortalRole::Member);
    let expires_in = match fields.get("expires").as_str() {
        "hour" => Duration::from_hours(1),
        "day" => LINK_LIVES.1,
        _ => LINK_LIFE,
    };
    Ok(CreatePortalLink {
        actor,
        mode: PortalMode::parse(fields.get("mode")).unwrap_or_default(),
        expires_in,
        ..CreatePortalLink::new(role)
    })
}

/// Makes a link to the workspace's portal. It is on this answer's page and nowhere else.
pub(crate) async fn link(Path(segment): Path<String>, Posted { entered, fields }: Posted) -> Result<Response, Refused> {
    let workspace = found(&entered, &segment).await?;
    let create = match read_link(&fields) {
        Ok(create) => create,
        Err(wrong) => {
            let typed = TypedWorkspace {
                name: workspace.name.clone().unwrap_or_default(),
                organization: workspace.organization_id.as_ref().map(ToString::to_string).unwrap_or_default(),
                ..TypedWorkspace::default()
            };
            return whole_page(&entered, &workspace, StatusCode::UNPROCESSABLE_ENTITY, typed, wrong).await;
        }
    };
    let permit = entered.may_manage_portal(&workspace.id)?;
    let portal = &entered.console.app().portal;
    let link = portal.create(&permit, create).await.map_err(|error| match error {
        CreatePortalLinkError::NoWorkspace => entered.tell(StatusCode::NOT_FOUND, &text::NO_WORKSPACE),
        other => entered.refuse(crate::console::page::Trouble::Failed(Box::new(other))),
    })?;
    let page = SecretPage {
        frame: entered.frame(Place::Workspaces, text::NEW_LINK),
        label: text::LINK,
        secret: portal.reveal_url(&link),
        hint: text::link_hint(link.pass.grant.role, &minute(link.pass.expires_at)),
        address: format!("{}{}", entered.console.base, owner::path(&of(&workspace))),
    };
    Ok(render(StatusCode::OK, &page))
}

/// Ends a session of the workspace's portal.
pub(crate) async fn end_session(
    Path((segment, session)): Path<(String, String)>,
    Posted { entered, .. }: Posted,
) -> Result<Response, Refused> {
    let workspace = found(&entered, &segment).await?;
    let session: Result<TokenId, _> = session.parse();
    let session = session.map_err(|_| entered.tell(StatusCode::NOT_FOUND, &text::NO_SESSION))?;
    let permit = entered.may_manage_portal(&workspace.id)?;
    let ended = entered.console.app().portal.end(&permit, &session).await;
    ended.map_err(|error| entered.refuse(error))?;
    Ok(entered.after(&owner::path(&of(&workspace)), "session-ended"))
}
