//! Table `pool`, and the one read that gives a pool with its keys.

use claviger_core::Owner;
use claviger_core::owner::PoolId;
use claviger_store::{PoolKey, PoolOwner, PoolRecord, StoreError};
use sqlx::PgConnection;

use crate::error::{malformed, meaning, one_row};
use crate::health::AilmentRow;
use crate::{change, read};

/// One row for each key, or a single one without key columns; none where there is no such owner.
#[derive(sqlx::FromRow)]
struct PoolRow {
    workspace: Option<String>,
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
        match (owner, &self.workspace, self.keys_enabled) {
            (Owner::Workspace(_), Some(_), None) => {
                let organization = self.organization_id.as_deref();
                let organization = organization.map(|id| read::id(id, "a workspace's organization")).transpose()?;
                Ok(PoolOwner::Workspace(organization))
            }
            (Owner::Organization(_), None, Some(keys_enabled)) => Ok(PoolOwner::Organization { keys_enabled }),
            (Owner::Platform, None, None) => Ok(PoolOwner::Platform),
            _ => Err(malformed("an owner")),
        }
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

/// By the primary keys of five tables.
pub(crate) const READ: &str = "SELECT workspace.owner_id AS workspace, workspace.organization_id,
            organization.keys_enabled, data_key.sealed AS data_key,
            key.key_id, key.position, key.enabled, key.unreadable, key.ailment, key.ailment_status,
            key.ailment_since, key.ailment_until, key.ailment_strikes, key.domain, key.sealed, key.fingerprint
     FROM owner
     LEFT JOIN workspace ON workspace.owner_kind = $1 AND workspace.owner_id = $2
     LEFT JOIN organization ON organization.owner_kind = $1 AND organization.owner_id = $2
     LEFT JOIN data_key ON data_key.owner_kind = $1 AND data_key.owner_id = $2
     LEFT JOIN provider_key AS key ON key.owner_kind = $1 AND key.owner_id = $2 AND key.provider_id = $3
     WHERE owner.owner_kind = $1 AND owner.owner_id = $2
     ORDER BY key.position";

/// A pool as it is at one instant: one statement sees one state of the database.
pub(crate) async fn read(db: &mut PgConnection, pool: &PoolId) -> Result<PoolRecord, StoreError> {
    let rows: Vec<PoolRow> = sqlx::query_as(READ)
        .bind(pool.owner.kind().as_str())
        .bind(pool.owner.id())
        .bind(pool.provider.as_str())
        .fetch_all(db)
        .await
        .map_err(meaning)?;
    let mut record = PoolRecord { owner: None, data_key: None, keys: Vec::with_capacity(rows.len()) };
    for mut row in rows {
        record.owner = Some(row.owner(&pool.owner)?);
        record.data_key = row.data_key.take();
        record.keys.extend(row.into_key()?);
    }
    Ok(record)
}

/// The next place in a pool's creation order, which is never given out again. The pool's row comes with its first key.
/// Raises the generation, as the key that is to come does.
pub(crate) async fn take_position(db: &mut PgConnection, pool: &PoolId) -> Result<i64, StoreError> {
    sqlx::query_scalar(
        "INSERT INTO pool (owner_kind, owner_id, provider_id, generation, next_position) VALUES ($1, $2, $3, 1, 2)
         ON CONFLICT (owner_kind, owner_id, provider_id) DO UPDATE
         SET generation = pool.generation + 1, next_position = pool.next_position + 1
         RETURNING next_position - 1",
    )
    .bind(pool.owner.kind().as_str())
    .bind(pool.owner.id())
    .bind(pool.provider.as_str())
    .fetch_one(db)
    .await
    .map_err(meaning)
}

/// Belongs to every change of a pool's keys but adding: raises the generation, and tells other processes.
pub(crate) async fn changed(db: &mut PgConnection, pool: &PoolId) -> Result<(), StoreError> {
    let result = sqlx::query(
        "UPDATE pool SET generation = generation + 1 WHERE owner_kind = $1 AND owner_id = $2 AND provider_id = $3",
    )
    .bind(pool.owner.kind().as_str())
    .bind(pool.owner.id())
    .bind(pool.provider.as_str())
    .execute(&mut *db)
    .await
    .map_err(meaning)?;
    one_row(&result, "raising a pool's generation")?;
    change::pool(db, pool).await
}
