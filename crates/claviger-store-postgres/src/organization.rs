//! Table `organization`.

use claviger_core::audit::Act;
use claviger_core::{OrganizationId, Owner};
use claviger_store::{Deed, Organization, OrganizationChange, Page, StoreError};
use sqlx::PgConnection;

use crate::error::meaning;
use crate::{audit, change, owner, read, workspace};

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
    let mut page = Page { after: None, limit: MEMBERS };
    let mut left = 0;
    loop {
        let members = workspace::hold_members(db, id, &page).await?;
        let Some(last) = members.last() else {
            break;
        };
        page.after = Some(last.id.clone());
        left += members.len() as u64;
        workspace::leave_organization(db, &members).await?;
        let deeds = members.iter().map(|member| (Owner::Workspace(member.id.clone()), Deed::organization_lost(member)));
        audit::enter_all(db, act, deeds.collect()).await?;
    }
    change::organization(db, id).await?;
    audit::enter(db, &Owner::Organization(id.clone()), act, Deed::organization_deleted(id.as_str(), left)).await?;
    Ok(true)
}
