//! Table `workspace`.

use claviger_core::WorkspaceId;
use claviger_store::{Page, StoreError, Workspace, WorkspaceChange};
use sqlx::{SqliteConnection, SqliteExecutor};

use crate::change;
use crate::error::{on_read, on_write, one_row, one_row_or_none};
use crate::read;

#[derive(sqlx::FromRow)]
struct WorkspaceRow {
    owner_id: String,
    name: Option<String>,
    created_at: i64,
}

impl TryFrom<WorkspaceRow> for Workspace {
    type Error = StoreError;

    fn try_from(row: WorkspaceRow) -> Result<Self, StoreError> {
        Ok(Self {
            id: read::id(&row.owner_id, "a workspace's id")?,
            name: row.name,
            organization_id: None,
            created_at: read::date(row.created_at),
        })
    }
}

pub(crate) async fn put(db: &mut SqliteConnection, change: &WorkspaceChange) -> Result<Workspace, StoreError> {
    let result = sqlx::query(
        "INSERT INTO workspace (owner_id, name, created_at) VALUES (?1, ?2, ?3)
         ON CONFLICT (owner_kind, owner_id) DO UPDATE SET name = CASE WHEN ?4 THEN excluded.name ELSE name END",
    )
    .bind(change.id.as_str())
    .bind(change.name.as_ref().and_then(Option::as_deref))
    .bind(change.at.as_millis())
    .bind(change.name.is_some())
    .execute(&mut *db)
    .await
    .map_err(on_write)?;
    one_row(&result, "storing a workspace")?;
    change::workspace(db, &change.id).await?;
    one(db, &change.id).await?.ok_or_else(|| StoreError::Unexpected("no workspace after it was stored".to_owned()))
}

pub(crate) async fn one(db: impl SqliteExecutor<'_>, id: &WorkspaceId) -> Result<Option<Workspace>, StoreError> {
    let row: Option<WorkspaceRow> = sqlx::query_as(
        "SELECT owner_id, name, created_at FROM workspace WHERE owner_kind = 'workspace' AND owner_id = ?1",
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
        "SELECT owner_id, name, created_at FROM workspace
         WHERE owner_kind = 'workspace' AND owner_id > ?1 ORDER BY owner_id LIMIT ?2",
    )
    .bind(page.after.as_ref().map_or("", WorkspaceId::as_str))
    .bind(page.limit)
    .fetch_all(db)
    .await
    .map_err(on_read)?;
    rows.into_iter().map(Workspace::try_from).collect()
}

/// Deletes a workspace, and by the schema's own rules all that belongs to it.
pub(crate) async fn delete(db: &mut SqliteConnection, id: &WorkspaceId) -> Result<bool, StoreError> {
    let result = sqlx::query("DELETE FROM workspace WHERE owner_kind = 'workspace' AND owner_id = ?1")
        .bind(id.as_str())
        .execute(&mut *db)
        .await
        .map_err(on_write)?;
    let deleted = one_row_or_none(&result, "deleting a workspace")?;
    if deleted {
        change::workspace(db, id).await?;
    }
    Ok(deleted)
}
