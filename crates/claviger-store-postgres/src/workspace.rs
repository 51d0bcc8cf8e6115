//! Table `workspace`.

use claviger_core::audit::Act;
use claviger_core::{OrganizationId, Owner, WorkspaceId};
use claviger_store::{Deed, Page, PutWorkspaceError, StoreError, Workspace, WorkspaceChange};
use sqlx::PgConnection;

use crate::error::{meaning, rows};
use crate::{audit, change, owner, read, token};

#[derive(sqlx::FromRow)]
struct WorkspaceRow {
    owner_id: String,
    name: Option<String>,
    organization_id: Option<String>,
    created_at: i64,
}

impl TryFrom<WorkspaceRow> for Workspace {
    type Error = StoreError;

    fn try_from(row: WorkspaceRow) -> Result<Self, StoreError> {
        let organization = row.organization_id.as_deref();
        Ok(Self {
            id: read::id(&row.owner_id, "a workspace's id")?,
            name: row.name,
            organization_id: organization.map(|id| read::id(id, "a workspace's organization")).transpose()?,
            created_at: read::date(row.created_at),
        })
    }
}

/// The organization is held first: whoever deletes it comes to its workspaces last.
pub(crate) async fn put(
    db: &mut PgConnection,
    change: &WorkspaceChange,
    act: &Act,
) -> Result<Workspace, PutWorkspaceError> {
    let organization = change.organization.as_ref().and_then(Option::as_ref);
    if let Some(organization) = organization
        && !owner::hold_organization(db, organization).await?
    {
        return Err(PutWorkspaceError::NoOrganization);
    }
    owner::bring(db, &Owner::Workspace(change.id.clone())).await?;
    let before = one(db, &change.id).await?;
    let row: WorkspaceRow = sqlx::query_as(
        "INSERT INTO workspace (owner_id, name, organization_id, created_at) VALUES ($1, $2, $3, $4)
         ON CONFLICT (owner_kind, owner_id) DO UPDATE
         SET name = CASE WHEN $5 THEN excluded.name ELSE workspace.name END,
             organization_id = CASE WHEN $6 THEN excluded.organization_id ELSE workspace.organization_id END
         RETURNING owner_id, name, organization_id, created_at",
    )
    .bind(change.id.as_str())
    .bind(change.name.as_ref().and_then(Option::as_deref))
    .bind(organization.map(OrganizationId::as_str))
    .bind(change.at.as_millis())
    .bind(change.name.is_some())
    .bind(change.organization.is_some())
    .fetch_one(&mut *db)
    .await
    .map_err(meaning)?;
    change::workspace(db, &change.id).await?;
    let stored = row.try_into().map_err(PutWorkspaceError::Store)?;
    if let Some(deed) = Deed::workspace_put(before.as_ref(), &stored) {
        audit::enter(db, &Owner::Workspace(stored.id.clone()), act, deed).await?;
    }
    Ok(stored)
}

pub(crate) async fn one(db: &mut PgConnection, id: &WorkspaceId) -> Result<Option<Workspace>, StoreError> {
    let row: Option<WorkspaceRow> = sqlx::query_as(
        "SELECT owner_id, name, organization_id, created_at FROM workspace
         WHERE owner_kind = 'workspace' AND owner_id = $1",
    )
    .bind(id.as_str())
    .fetch_optional(db)
    .await
    .map_err(meaning)?;
    row.map(Workspace::try_from).transpose()
}

pub(crate) async fn page(db: &mut PgConnection, page: &Page<WorkspaceId>) -> Result<Vec<Workspace>, StoreError> {
    // No id is empty, so the empty one stands before the first.
    let rows: Vec<WorkspaceRow> = sqlx::query_as(
        "SELECT owner_id, name, organization_id, created_at FROM workspace
         WHERE owner_kind = 'workspace' AND owner_id > $1 ORDER BY owner_id LIMIT $2",
    )
    .bind(page.after.as_ref().map_or("", WorkspaceId::as_str))
    .bind(i64::from(page.limit))
    .fetch_all(db)
    .await
    .map_err(meaning)?;
    rows.into_iter().map(Workspace::try_from).collect()
}

/// One lower bound, because a database may seek by any of several: the prefix or the cursor, whichever is later. The upper
/// one is above every id that begins so: ids are ASCII's letters, digits and a few signs.
pub(crate) const PAGE_BY_ID: &str = "SELECT owner_id, name, organization_id, created_at FROM workspace
     WHERE owner_kind = 'workspace' AND owner_id >= $1 AND owner_id < $2 AND owner_id <> $3
     ORDER BY owner_id LIMIT $4";

pub(crate) async fn page_by_id(
    db: &mut PgConnection,
    prefix: &str,
    page: &Page<WorkspaceId>,
) -> Result<Vec<Workspace>, StoreError> {
    // No id is empty, so the empty one stands before the first.
    let after = page.after.as_ref().map_or("", WorkspaceId::as_str);
    let rows: Vec<WorkspaceRow> = sqlx::query_as(PAGE_BY_ID)
        .bind(after.max(prefix))
        .bind(format!("{prefix}\u{7f}"))
        .bind(after)
        .bind(i64::from(page.limit))
        .fetch_all(db)
        .await
        .map_err(meaning)?;
    rows.into_iter().map(Workspace::try_from).collect()
}

pub(crate) const PAGE_BY_NAME: &str = "SELECT owner_id, name, organization_id, created_at FROM workspace
     WHERE (lower(name COLLATE \"C\"), owner_id) > ($1, $2) AND lower(name COLLATE \"C\") < $3
     ORDER BY lower(name COLLATE \"C\"), owner_id LIMIT $4";

/// The first page begins where the prefix does: a name that is the prefix comes first, and no id is empty.
pub(crate) async fn page_by_name(
    db: &mut PgConnection,
    prefix: &str,
    page: &Page<(String, WorkspaceId)>,
) -> Result<Vec<Workspace>, StoreError> {
    let prefix = prefix.to_ascii_lowercase();
    let after = page.after.as_ref().map(|(name, id)| (name.to_ascii_lowercase(), id.as_str()));
    let (name, id) = after.filter(|(name, _)| *name >= prefix).unwrap_or((prefix.clone(), ""));
    let rows: Vec<WorkspaceRow> = sqlx::query_as(PAGE_BY_NAME)
        .bind(name)
        .bind(id)
        .bind(format!("{prefix}{}", char::MAX))
        .bind(i64::from(page.limit))
        .fetch_all(db)
        .await
        .map_err(meaning)?;
    rows.into_iter().map(Workspace::try_from).collect()
}

pub(crate) const PAGE_OF: &str = "SELECT owner_id, name, organization_id, created_at FROM workspace
     WHERE organization_id = $1 AND owner_id > $2 ORDER BY owner_id LIMIT $3";

pub(crate) async fn page_of(
    db: &mut PgConnection,
    organization: &OrganizationId,
    page: &Page<WorkspaceId>,
) -> Result<Vec<Workspace>, StoreError> {
    members(db, PAGE_OF, organization, page).await
}

/// An organization's workspaces, by id, each locked with its owner: the owner first, as everybody does who changes one.
pub(crate) const HOLD_MEMBERS: &str =
    "SELECT workspace.owner_id, workspace.name, workspace.organization_id, workspace.created_at
     FROM workspace JOIN owner ON owner.owner_kind = workspace.owner_kind AND owner.owner_id = workspace.owner_id
     WHERE workspace.organization_id = $1 AND workspace.owner_id > $2
     ORDER BY workspace.owner_id LIMIT $3 FOR NO KEY UPDATE OF owner, workspace";

pub(crate) async fn hold_members(
    db: &mut PgConnection,
    organization: &OrganizationId,
    page: &Page<WorkspaceId>,
) -> Result<Vec<Workspace>, StoreError> {
    members(db, HOLD_MEMBERS, organization, page).await
}

async fn members(
    db: &mut PgConnection,
    question: &'static str,
    organization: &OrganizationId,
    page: &Page<WorkspaceId>,
) -> Result<Vec<Workspace>, StoreError> {
    let rows: Vec<WorkspaceRow> = sqlx::query_as(question)
        .bind(organization.as_str())
        .bind(page.after.as_ref().map_or("", WorkspaceId::as_str))
        .bind(i64::from(page.limit))
        .fetch_all(db)
        .await
        .map_err(meaning)?;
    rows.into_iter().map(Workspace::try_from).collect()
}

/// Takes workspaces that are locked out of their organization.
pub(crate) async fn leave_organization(db: &mut PgConnection, members: &[Workspace]) -> Result<(), StoreError> {
    let ids: Vec<&str> = members.iter().map(|member| member.id.as_str()).collect();
    let result = sqlx::query(
        "UPDATE workspace SET organization_id = NULL WHERE owner_kind = 'workspace' AND owner_id = ANY($1)",
    )
    .bind(&ids)
    .execute(db)
    .await
    .map_err(meaning)?;
    rows(&result, ids.len(), "taking workspaces out of their organization")
}

/// Deletes a workspace with all that belongs to it.
pub(crate) async fn delete(db: &mut PgConnection, id: &WorkspaceId, act: &Act) -> Result<bool, StoreError> {
    let owner = Owner::Workspace(id.clone());
    if !owner::lock(db, &owner).await? {
        return Ok(false);
    }
    token::leave_directory(db, &owner).await?;
    let deleted = owner::delete(db, &owner).await?;
    if deleted {
        change::workspace(db, id).await?;
        audit::enter(db, &owner, act, Deed::workspace_deleted(id.as_str())).await?;
    }
    Ok(deleted)
}
