//! Table `pool`, and the one read that gives a pool with its keys.

use claviger_core::Owner;
use claviger_core::owner::PoolId;
use claviger_store::{PoolKey, PoolOwner, PoolRecord, StoreError};
use sqlx::{SqliteConnection, SqliteExecutor};

use crate::change;
use crate::error::{malformed, on_read, on_write, one_row};
use crate::health::AilmentRow;
use crate::read;

/// One row for each key, or a single one without key columns; none where there is no owner.
#[derive(sqlx::FromRow)]
struct PoolRow {
    organization_id: Option<String>,
    keys_enabled: Option<bool>,
    data_key: Option<Vec<u8>>,
    key_id: Option<String>,
    position: Option<i64>,
    enabled: Option<bool>,
    unreadable: Option<bool>,
    #[sqlx(flatten)]
    ailment: AilmentRow,
    domain: Option<String>,
    sealed: Option<Vec<u8>>,
    fingerprint: Option<Vec<u8>>,
}

impl PoolRow {
    fn owner(&self, owner: &Owner) -> Result<PoolOwner, StoreError> {
        Ok(match owner {
            Owner::Workspace(_) => PoolOwner::Workspace(read::organization(self.organization_id.as_deref())?),
            Owner::Organization(_) => {
                PoolOwner::Organization { keys_enabled: self.keys_enabled.ok_or_else(|| malformed("an organization"))? }
            }
            Owner::Platform => PoolOwner::Platform,
        })
    }

    fn into_key(self) -> Result<Option<PoolKey>, StoreError> {
        let Some(key_id) = self.key_id else {
            return Ok(None);
        };
        let (Some(position), Some(enabled), Some(unreadable), Some(sealed), Some(fingerprint)) =
            (self.position, self.enabled, self.unreadable, self.sealed, self.fingerprint)
        else {
            return Err(malformed("a key"));
        };
        Ok(Some(PoolKey {
            id: read::id(&key_id, "a key's id")?,
            position: read::position(position)?,
            enabled,
            unreadable,
            ailment: self.ailment.ailment()?,
            domain: self.domain,
            sealed,
            fingerprint: read::bytes(&fingerprint, "a key's fingerprint")?,
        }))
    }
}

/// A pool as it is at one instant: one statement sees one state of the database.
pub(crate) async fn read(db: impl SqliteExecutor<'_>, pool: &PoolId) -> Result<PoolRecord, StoreError> {
    let rows: Vec<PoolRow> = sqlx::query_as(
        "SELECT workspace.organization_id, organization.keys_enabled, data_key.sealed AS data_key,
                key.key_id, key.position, key.enabled, key.unreadable, key.ailment, key.ailment_status,
                key.ailment_since, key.ailment_until, key.ailment_strikes, key.domain, key.sealed, key.fingerprint
         FROM owner
         LEFT JOIN workspace ON workspace.owner_kind = ?1 AND workspace.owner_id = ?2
         LEFT JOIN organization ON organization.owner_kind = ?1 AND organization.owner_id = ?2
         LEFT JOIN data_key ON data_key.owner_kind = ?1 AND data_key.owner_id = ?2
         LEFT JOIN provider_key AS key ON key.owner_kind = ?1 AND key.owner_id = ?2 AND key.provider_id = ?3
         WHERE owner.owner_kind = ?1 AND owner.owner_id = ?2
         ORDER BY key.position",
    )
    .bind(pool.owner.kind().as_str())
    .bind(pool.owner.id())
    .bind(pool.provider.as_str())
    .fetch_all(db)
    .await
    .map_err(on_read)?;
    let mut record = PoolRecord { owner: None, data_key: None, keys: Vec::with_capacity(rows.len()) };
    for mut row in rows {
        record.owner = Some(row.owner(&pool.owner)?);
        record.data_key = row.data_key.take();
        record.keys.extend(row.into_key()?);
    }
    Ok(record)
}

/// The next place in a pool's creation order, which is never given out again. The pool's row comes with its first key.
pub(crate) async fn take_position(db: &mut SqliteConnection, pool: &PoolId) -> Result<i64, StoreError> {
    let result = sqlx::query(
        "INSERT INTO pool (owner_kind, owner_id, provider_id, generation, next_position) VALUES (?1, ?2, ?3, 0, 2)
         ON CONFLICT (owner_kind, owner_id, provider_id) DO UPDATE SET next_position = next_position + 1",
    )
    .bind(pool.owner.kind().as_str())
    .bind(pool.owner.id())
    .bind(pool.provider.as_str())
    .execute(&mut *db)
    .await
    .map_err(on_write)?;
    one_row(&result, "taking a position")?;
    sqlx::query_scalar(
        "SELECT next_position - 1 FROM pool WHERE owner_kind = ?1 AND owner_id = ?2 AND provider_id = ?3",
    )
    .bind(pool.owner.kind().as_str())
    .bind(pool.owner.id())
    .bind(pool.provider.as_str())
    .fetch_one(db)
    .await
    .map_err(on_read)
}

/// Belongs to every change of a pool's keys: raises the generation, and tells other processes.
pub(crate) async fn changed(db: &mut SqliteConnection, pool: &PoolId) -> Result<(), StoreError> {
    let result = sqlx::query(
        "UPDATE pool SET generation = generation + 1 WHERE owner_kind = ?1 AND owner_id = ?2 AND provider_id = ?3",
    )
    .bind(pool.owner.kind().as_str())
    .bind(pool.owner.id())
    .bind(pool.provider.as_str())
    .execute(&mut *db)
    .await
    .map_err(on_write)?;
    one_row(&result, "raising a pool's generation")?;
    change::pool(db, pool).await
}
