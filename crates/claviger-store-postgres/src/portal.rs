//! Table `portal_pass`: links to the portal, and its sessions.

use claviger_core::audit::Act;
use claviger_core::portal::{PortalMode, PortalRole};
use claviger_core::{Owner, Timestamp, TokenId, WorkspaceId};
use claviger_store::{AddPortalLinkError, Deed, PORTAL_PORTION, Page, PortalGrant, PortalPass, StoreError};
use sqlx::PgConnection;

use crate::error::{malformed, meaning, one_row, one_row_or_none};
use crate::{audit, owner, read};

#[derive(sqlx::FromRow)]
struct PassRow {
    owner_id: String,
    pass_id: String,
    hash: Vec<u8>,
    role: String,
    actor: Option<String>,
    providers: String,
    mode: String,
    embedded: bool,
    return_url: Option<String>,
    created_at: i64,
    expires_at: i64,
}

impl TryFrom<PassRow> for PortalPass {
    type Error = StoreError;

    fn try_from(row: PassRow) -> Result<Self, StoreError> {
        let providers = row.providers.split_whitespace().map(|id| read::id(id, "a provider of a portal pass"));
        Ok(Self {
            id: read::id(&row.pass_id, "a portal pass's id")?,
            hash: read::bytes(&row.hash, "a portal pass's hash")?,
            grant: PortalGrant {
                workspace: read::id(&row.owner_id, "a portal pass's workspace")?,
                role: PortalRole::parse(&row.role).ok_or_else(|| malformed("a portal pass's role"))?,
                actor: row.actor,
                providers: providers.collect::<Result<_, _>>()?,
                mode: PortalMode::parse(&row.mode).ok_or_else(|| malformed("a portal pass's mode"))?,
                embedded: row.embedded,
                return_url: row.return_url,
            },
            created_at: read::date(row.created_at),
            expires_at: read::date(row.expires_at),
        })
    }
}

/// The two kinds of passes, as stored.
#[derive(Clone, Copy)]
pub(crate) enum Kind {
    Link,
    Session,
}

impl Kind {
    fn as_str(self) -> &'static str {
        match self {
            Self::Link => "link",
            Self::Session => "session",
        }
    }
}

pub(crate) async fn add(db: &mut PgConnection, link: &PortalPass, act: &Act) -> Result<(), AddPortalLinkError> {
    let owner = Owner::Workspace(link.grant.workspace.clone());
    if !owner::lock(db, &owner).await? {
        return Err(AddPortalLinkError::NoWorkspace);
    }
    insert(db, Kind::Link, link).await?;
    Ok(audit::enter(db, &owner, act, Deed::portal_link_created(link)).await?)
}

async fn insert(db: &mut PgConnection, kind: Kind, pass: &PortalPass) -> Result<(), StoreError> {
    let grant = &pass.grant;
    let providers: Vec<_> = grant.providers.iter().map(claviger_core::ProviderId::as_str).collect();
    let result = sqlx::query(
        "INSERT INTO portal_pass (owner_id, pass_id, kind, hash, role, actor, providers, mode, embedded, return_url,
                                  created_at, expires_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)",
    )
    .bind(grant.workspace.as_str())
    .bind(pass.id.as_str())
    .bind(kind.as_str())
    .bind(pass.hash.as_slice())
    .bind(grant.role.as_str())
    .bind(grant.actor.as_deref())
    .bind(providers.join(" "))
    .bind(grant.mode.as_str())
    .bind(grant.embedded)
    .bind(grant.return_url.as_deref())
    .bind(pass.created_at.as_millis())
    .bind(pass.expires_at.as_millis())
    .execute(db)
    .await
    .map_err(meaning)?;
    one_row(&result, "storing a portal pass")
}

pub(crate) async fn one(
    db: &mut PgConnection,
    kind: Kind,
    workspace: &WorkspaceId,
    id: &TokenId,
) -> Result<Option<PortalPass>, StoreError> {
    let row: Option<PassRow> = sqlx::query_as(
        "SELECT owner_id, pass_id, hash, role, actor, providers, mode, embedded, return_url, created_at,
                expires_at
         FROM portal_pass WHERE owner_kind = 'workspace' AND owner_id = $1 AND pass_id = $2 AND kind = $3",
    )
    .bind(workspace.as_str())
    .bind(id.as_str())
    .bind(kind.as_str())
    .fetch_optional(db)
    .await
    .map_err(meaning)?;
    row.map(PortalPass::try_from).transpose()
}

/// Of two that open one link at once, one finds it.
pub(crate) async fn open(
    db: &mut PgConnection,
    link: &PortalPass,
    session: &PortalPass,
    act: &Act,
) -> Result<bool, StoreError> {
    if !owner::lock(db, &Owner::Workspace(link.grant.workspace.clone())).await? {
        return Ok(false);
    }
    let result = sqlx::query(
        "DELETE FROM portal_pass
         WHERE owner_kind = 'workspace' AND owner_id = $1 AND pass_id = $2 AND kind = 'link' AND expires_at > $3",
    )
    .bind(link.grant.workspace.as_str())
    .bind(link.id.as_str())
    .bind(session.created_at.as_millis())
    .execute(&mut *db)
    .await
    .map_err(meaning)?;
    let opened = one_row_or_none(&result, "using a link to the portal up")?;
    if opened {
        insert(db, Kind::Session, session).await?;
        let owner = Owner::Workspace(link.grant.workspace.clone());
        audit::enter(db, &owner, act, Deed::portal_session_began(link, session)).await?;
    }
    Ok(opened)
}

pub(crate) async fn sessions(
    db: &mut PgConnection,
    workspace: &WorkspaceId,
    now: Timestamp,
    page: &Page<TokenId>,
) -> Result<Vec<PortalPass>, StoreError> {
    let rows: Vec<PassRow> = sqlx::query_as(
        "SELECT owner_id, pass_id, hash, role, actor, providers, mode, embedded, return_url, created_at,
                expires_at
         FROM portal_pass
         WHERE owner_kind = 'workspace' AND owner_id = $1 AND pass_id > $2 AND kind = 'session' AND expires_at > $3
         ORDER BY pass_id LIMIT $4",
    )
    .bind(workspace.as_str())
    .bind(page.after.as_ref().map_or("", TokenId::as_str))
    .bind(now.as_millis())
    .bind(i64::from(page.limit))
    .fetch_all(db)
    .await
    .map_err(meaning)?;
    rows.into_iter().map(PortalPass::try_from).collect()
}

pub(crate) async fn end(
    db: &mut PgConnection,
    workspace: &WorkspaceId,
    id: &TokenId,
    act: &Act,
) -> Result<bool, StoreError> {
    if !owner::lock(db, &Owner::Workspace(workspace.clone())).await? {
        return Ok(false);
    }
    let Some(before) = one(&mut *db, Kind::Session, workspace, id).await? else {
        return Ok(false);
    };
    let result = sqlx::query(
        "DELETE FROM portal_pass
         WHERE owner_kind = 'workspace' AND owner_id = $1 AND pass_id = $2 AND kind = 'session'",
    )
    .bind(workspace.as_str())
    .bind(id.as_str())
    .execute(&mut *db)
    .await
    .map_err(meaning)?;
    let ended = one_row_or_none(&result, "ending a portal session")?;
    if ended {
        let owner = Owner::Workspace(workspace.clone());
        audit::enter(db, &owner, act, Deed::portal_session_ended(&before)).await?;
    }
    Ok(ended)
}

/// What somebody else ends or opens at this moment is left for the next time.
pub(crate) const FORGET: &str = "WITH old AS MATERIALIZED (
         SELECT owner_kind, owner_id, pass_id FROM portal_pass WHERE expires_at < $1 ORDER BY expires_at LIMIT $2
         FOR UPDATE SKIP LOCKED
     )
     DELETE FROM portal_pass AS pass USING old
     WHERE pass.owner_kind = old.owner_kind AND pass.owner_id = old.owner_id AND pass.pass_id = old.pass_id";

pub(crate) async fn forget(db: &mut PgConnection, before: Timestamp) -> Result<u64, StoreError> {
    let result = sqlx::query(FORGET)
        .bind(before.as_millis())
        .bind(i64::from(PORTAL_PORTION))
        .execute(db)
        .await
        .map_err(meaning)?;
    Ok(result.rows_affected())
}
