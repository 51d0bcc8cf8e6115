//! What the gateway notes on keys while they serve: only their own rows are locked, and nobody is told.

use std::collections::BTreeMap;

use claviger_core::KeyId;
use claviger_core::owner::PoolId;
use claviger_store::{KeyUse, StoreError};
use sqlx::PgConnection;

use crate::error::{meaning, one_row_or_none};

/// Touches no row where the secret was replaced meanwhile, or the key is gone.
pub(crate) async fn mark_readable(
    db: &mut PgConnection,
    pool: &PoolId,
    key: &KeyId,
    sealed: &[u8],
    readable: bool,
) -> Result<(), StoreError> {
    let result = sqlx::query(
        "UPDATE provider_key SET unreadable = $6
         WHERE owner_kind = $1 AND owner_id = $2 AND provider_id = $3 AND key_id = $4 AND sealed = $5",
    )
    .bind(pool.owner.kind().as_str())
    .bind(pool.owner.id())
    .bind(pool.provider.as_str())
    .bind(key.as_str())
    .bind(sealed)
    .bind(!readable)
    .execute(db)
    .await
    .map_err(meaning)?;
    one_row_or_none(&result, "marking a key").map(drop)
}

/// The rows are locked in the order of their primary key, so that nodes that write the uses of the same keys wait for
/// each other one after the other, and never in a circle.
pub(crate) const RECORD: &str = "WITH used AS (
         SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::bigint[])
                       AS used (owner_kind, owner_id, provider_id, key_id, at)
     ), later AS (
         SELECT key.owner_kind, key.owner_id, key.provider_id, key.position, used.at
         FROM used JOIN provider_key AS key
              ON key.owner_kind = used.owner_kind AND key.owner_id = used.owner_id
                 AND key.provider_id = used.provider_id AND key.key_id = used.key_id
         WHERE key.last_used_at IS NULL OR key.last_used_at < used.at
         ORDER BY key.owner_kind, key.owner_id, key.provider_id, key.position
         FOR NO KEY UPDATE OF key
     )
     UPDATE provider_key AS key SET last_used_at = later.at FROM later
     WHERE key.owner_kind = later.owner_kind AND key.owner_id = later.owner_id
           AND key.provider_id = later.provider_id AND key.position = later.position
           AND (key.last_used_at IS NULL OR key.last_used_at < later.at)";

/// Touches no row where a key is gone, or was used later than this.
pub(crate) async fn record(db: &mut PgConnection, uses: &[KeyUse]) -> Result<(), StoreError> {
    // A statement updates a row once: of several uses of a key the last one counts.
    let mut last: BTreeMap<(&str, &str, &str, &str), i64> = BTreeMap::new();
    for KeyUse { pool, key, at } in uses {
        let place = (pool.owner.kind().as_str(), pool.owner.id(), pool.provider.as_str(), key.as_str());
        let last = last.entry(place).or_default();
        *last = at.as_millis().max(*last);
    }
    let (mut kinds, mut owners, mut providers, mut keys, mut dates) = (vec![], vec![], vec![], vec![], vec![]);
    for ((kind, owner, provider, key), at) in last {
        kinds.push(kind);
        owners.push(owner);
        providers.push(provider);
        keys.push(key);
        dates.push(at);
    }
    let result = sqlx::query(RECORD)
        .bind(kinds)
        .bind(owners)
        .bind(providers)
        .bind(keys)
        .bind(&dates)
        .execute(db)
        .await
        .map_err(meaning)?;
    match usize::try_from(result.rows_affected()) {
        Ok(touched) if touched <= dates.len() => Ok(()),
        _ => Err(StoreError::Unexpected("recording uses touched more keys than were used".to_owned())),
    }
}
