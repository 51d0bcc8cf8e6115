//! Table `organization`.

use claviger_core::audit::Act;
use claviger_core::{OrganizationId, Owner};
use claviger_store::{Deed, Organization, OrganizationChange, Page, StoreError};
use sqlx::{SqliteConnection, SqliteExecutor};

use crate::error::{on_read, on_write, one_row};
use crate::{audit, change, read, workspace};

/// How many workspaces are taken out of an organization at once when it goes.
const MEMBERS: u32 = 1_000;

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
    db: &mut SqliteConnection,
    change: &OrganizationChange,
    act: &Act,
) -> Result<Organization, StoreError> {
    let before = one(&mut *db, &change.id).await?;
    let result = sqlx::query(
        "INSERT INTO organization (owner_id, name, keys_enabled, created_at) VALUES (?1, ?2, coalesce(?3, 1), ?4)
         ON CONFLICT (owner_kind, owner_id) DO UPDATE
         SET name = CASE WHEN ?5 THEN excluded.name ELSE name END, keys_enabled = coalesce(?3, keys_enabled)",
    )
    .bind(change.id.as_str())
    .bind(change.name.as_ref().and_then(Option::as_deref))
    .bind(change.keys_enabled)
    .bind(change.at.as_millis())
    .bind(change.name.is_some())
    .execute(&mut *db)
    .await
    .map_err(on_write)?;
    one_row(&result, "storing an organization")?;
    change::organization(db, &change.id).await?;
    let stored = one(&mut *db, &change.id).await?;
    let stored = stored.ok_or_else(|| StoreError::Unexpected("no organization after it was stored".to_owned()))?;
    if let Some(deed) = Deed::organization_put(before.as_ref(), &stored) {
        audit::enter(db, &Owner::Organization(stored.id.clone()), act, deed).await?;
    }
    Ok(stored)
}

pub(crate) async fn one(db: impl SqliteExecutor<'_>, id: &OrganizationId) -> Result<Option<Organization>, StoreError> {
    let row: Option<OrganizationRow> =
        sqlx::query_as("SELECT owner_id, name, keys_enabled, created_at FROM organization WHERE owner_id = ?1")
            .bind(id.as_str())
            .fetch_optional(db)
            .await
            .map_err(on_read)?;
    row.map(Organization::try_from).transpose()
}

pub(crate) async fn page(
    db: impl SqliteExecutor<'_>,
    page: &Page<OrganizationId>,
) -> Result<Vec<Organization>, StoreError> {
    // No id is empty, so the empty one stands before the first.
    let rows: Vec<OrganizationRow> = sqlx::query_as(
        "SELECT owner_id, name, keys_enabled, created_at FROM organization
         WHERE owner_kind = 'organization' AND owner_id > ?1 ORDER BY owner_id LIMIT ?2",
    )
    .bind(page.after.as_ref().map_or("", OrganizationId::as_str))
    .bind(page.limit)
    .fetch_all(db)
    .await
    .map_err(on_read)?;
    rows.into_iter().map(Organization::try_from).collect()
}

/// Deletes an organization, and by the schema's own rules all that belongs to it but its workspaces. Those are read while
/// they still belong to it.
pub(crate) async fn delete(db: &mut SqliteConnection, id: &OrganizationId, act: &Act) -> Result<bool, StoreError> {
    if one(&mut *db, id).await?.is_none() {
        return Ok(false);
    }
    let workspaces = leave(db, id, act).await?;
    let result = sqlx::query("DELETE FROM organization WHERE owner_kind = 'organization' AND owner_id = ?1")
        .bind(id.as_str())
        .execute(&mut *db)
        .await
        .map_err(on_write)?;
    one_row(&result, "deleting an organization")?;
    change::organization(db, id).await?;
    let deed = Deed::organization_deleted(id.as_str(), workspaces);
    audit::enter(db, &Owner::Organization(id.clone()), act, deed).await?;
    Ok(true)
}

/// Enters in each of its workspaces' trails that they lose it; answers how many they are.
async fn leave(db: &mut SqliteConnection, id: &OrganizationId, act: &Act) -> Result<u64, StoreError> {
    let mut page = Page { after: None, limit: MEMBERS };
    let mut left = 0;
    loop {
        let members = workspace::page_of(&mut *db, id, &page).await?;
        let Some(last) = members.last() else {
            return Ok(left);
        };
        page.after = Some(last.id.clone());
        left += members.len() as u64;
        let deeds = members.iter().map(|member| (Owner::Workspace(member.id.clone()), Deed::organization_lost(member)));
        audit::enter_all(db, act, deeds.collect()).await?;
    }
}
