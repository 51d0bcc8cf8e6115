//! Owners with everything that belongs to them, as they come from another database.

use claviger_core::{KeyName, KeyStatus, OrganizationId, Owner, ProviderId, Timestamp};
use claviger_store::{CopyError, KeyCopy, Organization, OwnerCopy, OwnerKindCopy, PoolCopy, StoreError, Workspace};
use sqlx::SqliteConnection;

use crate::error::{malformed, on_write, one_row};
use crate::health::columns;
use crate::{change, data_key, token, webhook};

/// Stores owners in the place of what was there of them. Tells whether sealed bytes were deleted for that.
pub(crate) async fn put(db: &mut SqliteConnection, copies: &[OwnerCopy]) -> Result<bool, CopyError> {
    let mut deleted = false;
    for copy in copies {
        deleted |= clear(db, &copy.owner).await?;
        put_kind(db, copy).await?;
        if let Some(data_key) = &copy.data_key {
            data_key::insert(db, &copy.owner, &data_key.sealed, data_key.created_at).await?;
        }
        for pool in &copy.pools {
            put_pool(db, &copy.owner, pool).await?;
            for key in &pool.keys {
                put_key(db, &copy.owner, &pool.provider, key).await?;
            }
        }
        for token in &copy.tokens {
            let result = token::store(db, &copy.owner, token).await.map_err(on_write)?;
            one_row(&result, "storing a token")?;
        }
        for (slot, webhook) in (0_i64..).zip(&copy.webhooks) {
            webhook::insert(db, &copy.owner, webhook, slot).await?;
        }
    }
    change::everything(db).await?;
    Ok(deleted)
}

/// Deletes what belongs to an owner. The owner itself stays, because an organization that goes leaves its workspaces.
async fn clear(db: &mut SqliteConnection, owner: &Owner) -> Result<bool, StoreError> {
    let mut sealed = 0;
    for (statement, is_sealed) in [
        ("DELETE FROM provider_key WHERE owner_kind = ?1 AND owner_id = ?2", true),
        ("DELETE FROM pool WHERE owner_kind = ?1 AND owner_id = ?2", false),
        ("DELETE FROM webhook WHERE owner_kind = ?1 AND owner_id = ?2", true),
        ("DELETE FROM data_key WHERE owner_kind = ?1 AND owner_id = ?2", true),
        ("DELETE FROM token WHERE owner_kind = ?1 AND owner_id = ?2", false),
        // A copy brings none: they are for minutes.
        ("DELETE FROM portal_pass WHERE owner_kind = ?1 AND owner_id = ?2", false),
    ] {
        let result = sqlx::query(statement)
            .bind(owner.kind().as_str())
            .bind(owner.id())
            .execute(&mut *db)
            .await
            .map_err(on_write)?;
        if is_sealed {
            sealed += result.rows_affected();
        }
    }
    Ok(sealed > 0)
}

async fn put_kind(db: &mut SqliteConnection, copy: &OwnerCopy) -> Result<(), CopyError> {
    match (copy.owner.clone(), copy.kind.clone()) {
        (Owner::Workspace(id), OwnerKindCopy::Workspace { name, organization, created_at }) => {
            put_workspace(db, Workspace { id, name, organization_id: organization, created_at }).await
        }
        (Owner::Organization(id), OwnerKindCopy::Organization { name, keys_enabled, created_at }) => {
            Ok(put_organization(db, Organization { id, name, keys_enabled, created_at }).await?)
        }
        (Owner::Platform, OwnerKindCopy::Platform) => Ok(()),
        _ => Err(malformed("a copied owner").into()),
    }
}

async fn put_workspace(db: &mut SqliteConnection, workspace: Workspace) -> Result<(), CopyError> {
    let put = sqlx::query(
        "INSERT INTO workspace (owner_id, name, organization_id, created_at) VALUES (?1, ?2, ?3, ?4)
         ON CONFLICT (owner_kind, owner_id) DO UPDATE
         SET name = excluded.name, organization_id = excluded.organization_id, created_at = excluded.created_at",
    )
    .bind(workspace.id.as_str())
    .bind(workspace.name.as_deref())
    .bind(workspace.organization_id.as_ref().map(OrganizationId::as_str))
    .bind(workspace.created_at.as_millis())
    .execute(db)
    .await;
    match put {
        Ok(result) => Ok(one_row(&result, "storing a workspace")?),
        // A workspace refers to its owner, which it brings, and to its organization.
        Err(sqlx::Error::Database(error)) if error.is_foreign_key_violation() => {
            Err(CopyError::NoOrganization(Owner::Workspace(workspace.id)))
        }
        Err(error) => Err(on_write(error).into()),
    }
}

async fn put_organization(db: &mut SqliteConnection, organization: Organization) -> Result<(), StoreError> {
    let result = sqlx::query(
        "INSERT INTO organization (owner_id, name, keys_enabled, created_at) VALUES (?1, ?2, ?3, ?4)
         ON CONFLICT (owner_kind, owner_id) DO UPDATE
         SET name = excluded.name, keys_enabled = excluded.keys_enabled, created_at = excluded.created_at",
    )
    .bind(organization.id.as_str())
    .bind(organization.name.as_deref())
    .bind(organization.keys_enabled)
    .bind(organization.created_at.as_millis())
    .execute(db)
    .await
    .map_err(on_write)?;
    one_row(&result, "storing an organization")
}

/// A number that the schema keeps above zero.
fn number(number: u64, what: &'static str) -> Result<i64, StoreError> {
    i64::try_from(number).map_err(|_| malformed(what))
}

async fn put_pool(db: &mut SqliteConnection, owner: &Owner, pool: &PoolCopy) -> Result<(), StoreError> {
    let result = sqlx::query(
        "INSERT INTO pool (owner_kind, owner_id, provider_id, generation, next_position) VALUES (?1, ?2, ?3, ?4, ?5)",
    )
    .bind(owner.kind().as_str())
    .bind(owner.id())
    .bind(pool.provider.as_str())
    .bind(number(pool.generation, "a pool's generation")?)
    .bind(number(pool.next_position.0, "a position")?)
    .execute(db)
    .await
    .map_err(on_write)?;
    one_row(&result, "storing a pool")
}

async fn put_key(
    db: &mut SqliteConnection,
    owner: &Owner,
    provider: &ProviderId,
    key: &KeyCopy,
) -> Result<(), StoreError> {
    let record = &key.record;
    let [requests, ok, rate_limited, rejected, caller_errors, provider_errors] = columns(&record.counts)?;
    let result = sqlx::query(
        "INSERT INTO provider_key (owner_kind, owner_id, provider_id, key_id, slot, position, name, masked, sealed,
                                   fingerprint, enabled, unreadable, created_by, created_at, updated_at, last_used_at,
                                   ailment, ailment_status, ailment_since, ailment_until, ailment_strikes, domain,
                                   requests, ok, rate_limited, rejected, caller_errors, provider_errors)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21, ?22,
                 ?23, ?24, ?25, ?26, ?27, ?28)",
    )
    .bind(owner.kind().as_str())
    .bind(owner.id())
    .bind(provider.as_str())
    .bind(record.id.as_str())
    .bind(i64::from(key.slot))
    .bind(number(key.position.0, "a position")?)
    .bind(record.name.as_ref().map(KeyName::as_str))
    .bind(record.masked.as_str())
    .bind(key.sealed.as_slice())
    .bind(key.fingerprint.as_slice())
    .bind(record.enabled)
    .bind(record.status == KeyStatus::Unreadable)
    .bind(record.created_by.as_deref())
    .bind(record.created_at.as_millis())
    .bind(record.updated_at.as_millis())
    .bind(record.last_used_at.map(Timestamp::as_millis))
    .bind(record.ailment.map(|ailment| ailment.kind.as_str()))
    .bind(record.ailment.map(|ailment| i64::from(ailment.status)))
    .bind(record.ailment.map(|ailment| ailment.since.as_millis()))
    .bind(record.ailment.map(|ailment| ailment.until.as_millis()))
    .bind(record.ailment.map(|ailment| i64::from(ailment.strikes)))
    .bind(record.domain.as_deref())
    .bind(requests)
    .bind(ok)
    .bind(rate_limited)
    .bind(rejected)
    .bind(caller_errors)
    .bind(provider_errors)
    .execute(db)
    .await
    .map_err(on_write)?;
    one_row(&result, "storing a key")
}
