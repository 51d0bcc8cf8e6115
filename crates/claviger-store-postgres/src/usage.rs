//! Table `key_usage`, as it is read and forgotten. What is written to it stands in `key_use.rs`.

use claviger_core::{Owner, ProviderId, Timestamp};
use claviger_store::{StoreError, USAGE_PORTION, UsageBucket};
use sqlx::PgConnection;

use crate::error::meaning;
use crate::health::CountsRow;
use crate::read;

#[derive(sqlx::FromRow)]
struct UsageRow {
    hour: i64,
    key_id: String,
    #[sqlx(flatten)]
    counts: CountsRow,
}

/// Key by key, each of which has its hours side by side.
pub(crate) const READ: &str = "SELECT used.hour, used.key_id, used.requests, used.ok, used.rate_limited, used.rejected,
            used.caller_errors, used.provider_errors
     FROM provider_key AS key
     JOIN key_usage AS used ON used.owner_kind = $1 AND used.owner_id = $2 AND used.key_id = key.key_id
     WHERE key.owner_kind = $1 AND key.owner_id = $2 AND ($3::text IS NULL OR key.provider_id = $3)
           AND used.hour >= $4 AND used.hour < $5
     ORDER BY used.hour, used.key_id";

pub(crate) async fn read(
    db: &mut PgConnection,
    owner: &Owner,
    provider: Option<&ProviderId>,
    from: Timestamp,
    to: Timestamp,
) -> Result<Vec<UsageBucket>, StoreError> {
    let rows: Vec<UsageRow> = sqlx::query_as(READ)
        .bind(owner.kind().as_str())
        .bind(owner.id())
        .bind(provider.map(ProviderId::as_str))
        .bind(from.as_millis())
        .bind(to.as_millis())
        .fetch_all(db)
        .await
        .map_err(meaning)?;
    let buckets = rows.into_iter().map(|row| {
        Ok(UsageBucket {
            start: read::date(row.hour),
            key: read::id(&row.key_id, "a key's id")?,
            counts: row.counts.try_into()?,
        })
    });
    buckets.collect()
}

/// What somebody else adds to or deletes at this moment is left for the next time.
pub(crate) const FORGET: &str = "WITH old AS MATERIALIZED (
         SELECT owner_kind, owner_id, key_id, hour FROM key_usage WHERE hour < $1 ORDER BY hour LIMIT $2
         FOR UPDATE SKIP LOCKED
     )
     DELETE FROM key_usage AS usage USING old
     WHERE usage.owner_kind = old.owner_kind AND usage.owner_id = old.owner_id AND usage.key_id = old.key_id
           AND usage.hour = old.hour";

pub(crate) async fn forget(db: &mut PgConnection, before: Timestamp) -> Result<u64, StoreError> {
    let result = sqlx::query(FORGET)
        .bind(before.as_millis())
        .bind(i64::from(USAGE_PORTION))
        .execute(db)
        .await
        .map_err(meaning)?;
    Ok(result.rows_affected())
}
