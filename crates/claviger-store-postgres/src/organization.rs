//! Table `organization`.

use claviger_core::audit::Act;
use claviger_core::{OrganizationId, Owner};
use claviger_store::{Deed, Organization, OrganizationChange, Page, StoreError};
use sqlx::PgConnection;

use crate::error::meaning;
use crate::{audit, change, owner, read};

#[derive(sqlx::FromRow)]
struct OrganizationRow {
    owner_id: String,
    name: Option<String>,
    keys_enabled: bool,
    created_at: i64,
}

impl TryFrom<OrganizationRow> for Organization {
    type Error = StoreError;

    fn try_from(row: OrganizationRow) -> Result<Self, StoreError> {
        Ok(Self {
            id: read::id(&row.owner_id, "an organization's id")?,
            name: row.name,
            keys_enabled: row.keys_enabled,
            created_at: read::date(row.created_at),
        })
    }
}

pub(crate) async fn put(
    db: &mut PgConnection,
    change: &OrganizationChange,
    act: &Act,
) -> Result<Organization, StoreError> {
    owner::bring(db, &Owner::Organization(change.id.clone())).await?;
    let before = one(db, &change.id).await?;
    let row: OrganizationRow = sqlx::query_as(
        "INSERT INTO organization (owner_id, name, keys_enabled, created_at) VALUES ($1, $2, coalesce($3, true), $4)
         ON CONFLICT (owner_kind, owner_id) DO UPDATE
         SET name = CASE WHEN $5 THEN excluded.name ELSE organization.name END,
             keys_enabled = coalesce($3, organization.keys_enabled)
         RETURNING owner_id, name, keys_enabled, created_at",
    )
    .bind(change.id.as_str())
    .bind(change.name.as_ref().and_then(Option::as_deref))
    .bind(change.keys_enabled)
    .bind(change.at.as_millis())
    .bind(change.name.is_some())
    .fetch_one(&mut *db)
    .await
    .map_err(meaning)?;
    change::organization(db, &change.id).await?;
    let stored = row.try_into()?;
    if let Some(deed) = Deed::organization_put(before.as_ref(), &stored) {
        audit::enter(db, &Owner::Organization(stored.id.clone()), act, deed).await?;
    }
    Ok(stored)
}

pub(crate) async fn one(db: &mut PgConnection, id: &OrganizationId) -> Result<Option<Organization>, StoreError> {
    let row: Option<OrganizationRow> = sqlx::query_as(
        "SELECT owner_id, name, keys_enabled, created_at FROM organization
         WHERE owner_kind = 'organization' AND owner_id = $1",
    )
    .bind(id.as_str())
    .fetch_optional(db)
    .await
    .map_err(meaning)?;
    row.map(Organization::try_from).transpose()
}

pub(crate) async fn page(db: &mut PgConnection, page: &Page<OrganizationId>) -> Result<Vec<Organization>, StoreError> {
    // No id is empty, so the empty one stands before the first.
    let rows: Vec<OrganizationRow> = sqlx::query_as(
        "SELECT owner_id, name, keys_enabled, created_at FROM organization
         WHERE owner_kind = 'organization' AND owner_id > $1 ORDER BY owner_id LIMIT $2",
    )
    .bind(page.after.as_ref().map_or("", OrganizationId::as_str))
    .bind(i64::from(page.limit))
    .fetch_all(db)
    .await
    .map_err(meaning)?;
    rows.into_iter().map(Organization::try_from).collect()
}

/// Deletes an organization with all that belongs to it, and then takes its workspaces out of it: by then every change
/// that put one into it has been committed, and none can begin.
pub(crate) async fn delete(db: &mut PgConnection, id: &OrganizationId, act: &Act) -> Result<bool, StoreError> {
    if !owner::delete(db, &Owner::Organization(id.clone())).await? {
        return Ok(false);
    }
    let left = leave(db, id).await?;
    change::organization(db, id).await?;
    audit::enter(db, &Owner::Organization(id.clone()), act, Deed::organization_deleted(id.as_str(), left)).await?;
    Ok(true)
}

async fn leave(db: &mut PgConnection, id: &OrganizationId) -> Result<u64, StoreError> {
    // In one order, so that nobody who changes several workspaces waits for this while it waits for them.
    sqlx::query(
        "WITH member AS (
             SELECT owner_kind, owner_id FROM workspace WHERE organization_id = $1
             ORDER BY owner_kind, owner_id FOR NO KEY UPDATE
         )
         UPDATE workspace SET organization_id = NULL FROM member
         WHERE workspace.owner_kind = member.owner_kind AND workspace.owner_id = member.owner_id
               AND workspace.organization_id = $1",
    )
    .bind(id.as_str())
    .execute(db)
    .await
    .map(|result| result.rows_affected())
    .map_err(meaning)
}
