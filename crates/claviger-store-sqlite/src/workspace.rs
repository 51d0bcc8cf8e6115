//! Table `workspace`.

use claviger_core::audit::Act;
use claviger_core::{OrganizationId, Owner, WorkspaceId};
use claviger_store::{Deed, Page, PutWorkspaceError, StoreError, Workspace, WorkspaceChange};
use sqlx::{SqliteConnection, SqliteExecutor};

use crate::error::{on_read, on_write, one_row, one_row_or_none};
use crate::{audit, change, read};

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
        Ok(Self {
            id: read::id(&row.owner_id, "a workspace's id")?,
            name: row.name,
            organization_id: read::organization(row.organization_id.as_deref())?,
            created_at: read::date(row.created_at),
        })
    }
}

pub(crate) async fn put(
    db: &mut SqliteConnection,
    change: &WorkspaceChange,
    act: &Act,
) -> Result<Workspace, PutWorkspaceError> {
    let before = one(&mut *db, &change.id).await?;
    let put = sqlx::query(
        "INSERT INTO workspace (owner_id, name, organization_id, created_at) VALUES (?1, ?2, ?3, ?4)
         ON CONFLICT (owner_kind, owner_id) DO UPDATE
         SET name = CASE WHEN ?5 THEN excluded.name ELSE name END,
             organization_id = CASE WHEN ?6 THEN excluded.organization_id ELSE organization_id END",
    )
    .bind(change.id.as_str())
    .bind(change.name.as_ref().and_then(Option::as_deref))
    .bind(change.organization.as_ref().and_then(Option::as_ref).map(OrganizationId::as_str))
    .bind(change.at.as_millis())
    .bind(change.name.is_some())
    .bind(change.organization.is_some())
    .execute(&mut *db)
    .await;
    match put {
        Ok(result) => one_row(&result, "storing a workspace")?,
        // A workspace refers to its owner, which it brings, and to its organization.
        Err(sqlx::Error::Database(error)) if error.is_foreign_key_violation() => {
            return Err(PutWorkspaceError::NoOrganization);
        }
        Err(error) => return Err(on_write(error).into()),
    }
    change::workspace(db, &change.id).await?;
    let stored = one(&mut *db, &change.id).await?;
    let stored = stored.ok_or_else(|| StoreError::Unexpected("no workspace after it was stored".to_owned()))?;
    if let Some(deed) = Deed::workspace_put(before.as_ref(), &stored) {
        audit::enter(db, &Owner::Workspace(stored.id.clone()), act, deed).await?;
    }
    Ok(stored)
}

pub(crate) async fn one(db: impl SqliteExecutor<'_>, id: &WorkspaceId) -> Result<Option<Workspace>, StoreError> {
    let row: Option<WorkspaceRow> = sqlx::query_as(
        "SELECT owner_id, name, organization_id, created_at FROM workspace
         WHERE owner_kind = 'workspace' AND owner_id = ?1",
    )
    .bind(id.as_str())
    .fetch_optional(db)
    .await
    .map_err(on_read)?;
    row.map(Workspace::try_from).transpose()
}

pub(crate) async fn page(db: impl SqliteExecutor<'_>, page: &Page<WorkspaceId>) -> Result<Vec<Workspace>, StoreError> {
    // No id is empty, so the empty one stands before the first.
    let rows: Vec<WorkspaceRow> = sqlx::query_as(
        "SELECT owner_id, name, organization_id, created_at FROM workspace
         WHERE owner_kind = 'workspace' AND owner_id > ?1 ORDER BY owner_id LIMIT ?2",
    )
    .bind(page.after.as_ref().map_or("", WorkspaceId::as_str))
    .bind(page.limit)
    .fetch_all(db)
    .await
    .map_err(on_read)?;
    rows.into_iter().map(Workspace::try_from).collect()
}

/// One lower bound, because a database may seek by any of several: the prefix or the cursor, whichever is later. The upper
/// one is above every id that begins so: ids are ASCII's letters, digits and a few signs.
pub(crate) const PAGE_BY_ID: &str = "SELECT owner_id, name, organization_id, created_at FROM workspace
     WHERE owner_kind = 'workspace' AND owner_id >= ?1 AND owner_id < ?2 AND owner_id <> ?3
     ORDER BY owner_id LIMIT ?4";

pub(crate) async fn page_by_id(
    db: impl SqliteExecutor<'_>,
    prefix: &str,
    page: &Page<WorkspaceId>,
) -> Result<Vec<Workspace>, StoreError> {
    // No id is empty, so the empty one stands before the first.
    let after = page.after.as_ref().map_or("", WorkspaceId::as_str);
    let rows: Vec<WorkspaceRow> = sqlx::query_as(PAGE_BY_ID)
        .bind(after.max(prefix))
        .bind(format!("{prefix}\u{7f}"))
        .bind(after)
        .bind(page.limit)
        .fetch_all(db)
        .await
        .map_err(on_read)?;
    rows.into_iter().map(Workspace::try_from).collect()
}

pub(crate) const PAGE_BY_NAME: &str =
    // Two ranges of the index: SQLite compares a pair of an expression and a column row by row.
    "SELECT owner_id, name, organization_id, created_at FROM (
         SELECT * FROM (
             SELECT owner_id, name, organization_id, created_at, lower(name) AS folded FROM workspace
             WHERE lower(name) = ?1 AND owner_id > ?2 ORDER BY owner_id LIMIT ?4
         )
         UNION ALL
         SELECT * FROM (
             SELECT owner_id, name, organization_id, created_at, lower(name) AS folded FROM workspace
             WHERE lower(name) > ?1 AND lower(name) < ?3 ORDER BY lower(name), owner_id LIMIT ?4
         )
     ) ORDER BY folded, owner_id LIMIT ?4";

/// The first page begins where the prefix does: a name that is the prefix comes first, and no id is empty.
pub(crate) async fn page_by_name(
    db: impl SqliteExecutor<'_>,
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
        .bind(page.limit)
        .fetch_all(db)
        .await
        .map_err(on_read)?;
    rows.into_iter().map(Workspace::try_from).collect()
}

/// The kind is named because the index goes on with it.
pub(crate) const PAGE_OF: &str = "SELECT owner_id, name, organization_id, created_at FROM workspace
     WHERE organization_id = ?1 AND owner_kind = 'workspace' AND owner_id > ?2 ORDER BY owner_id LIMIT ?3";

pub(crate) async fn page_of(
    db: impl SqliteExecutor<'_>,
    organization: &OrganizationId,
    page: &Page<WorkspaceId>,
) -> Result<Vec<Workspace>, StoreError> {
    let rows: Vec<WorkspaceRow> = sqlx::query_as(PAGE_OF)
        .bind(organization.as_str())
        .bind(page.after.as_ref().map_or("", WorkspaceId::as_str))
        .bind(page.limit)
        .fetch_all(db)
        .await
        .map_err(on_read)?;
    rows.into_iter().map(Workspace::try_from).collect()
}

/// Deletes a workspace, and by the schema's own rules all that belongs to it.
pub(crate) async fn delete(db: &mut SqliteConnection, id: &WorkspaceId, act: &Act) -> Result<bool, StoreError> {
    let result = sqlx::query("DELETE FROM workspace WHERE owner_kind = 'workspace' AND owner_id = ?1")
        .bind(id.as_str())
        .execute(&mut *db)
        .await
        .map_err(on_write)?;
    let deleted = one_row_or_none(&result, "deleting a workspace")?;
    if deleted {
        change::workspace(db, id).await?;
        audit::enter(db, &Owner::Workspace(id.clone()), act, Deed::workspace_deleted(id.as_str())).await?;
    }
    Ok(deleted)
}
