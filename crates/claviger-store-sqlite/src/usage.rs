//! Table `key_usage`, and the counts of table `provider_key`.

use claviger_core::{Owner, ProviderId, Timestamp};
use claviger_store::{KeyUse, StoreError, USAGE_PORTION, UsageBucket, UseCounts};
use sqlx::{SqliteConnection, SqliteExecutor};

use crate::error::{on_read, on_write, one_row, one_row_or_none};
use crate::health::{CountsRow, columns};
use crate::read;

/// Touches no row where the key is gone.
pub(crate) async fn record(db: &mut SqliteConnection, used: &KeyUse) -> Result<(), StoreError> {
    let KeyUse { pool, key, at, counts, .. } = used;
    let [requests, ok, rate_limited, rejected, caller_errors, provider_errors] = columns(counts)?;
    let result = sqlx::query(
        "UPDATE provider_key
         SET last_used_at = max(coalesce(last_used_at, 0), ?5), domain = coalesce(?6, domain),
             requests = requests + ?7, ok = ok + ?8, rate_limited = rate_limited + ?9, rejected = rejected + ?10,
             caller_errors = caller_errors + ?11, provider_errors = provider_errors + ?12
         WHERE owner_kind = ?1 AND owner_id = ?2 AND provider_id = ?3 AND key_id = ?4",
    )
    .bind(pool.owner.kind().as_str())
    .bind(pool.owner.id())
    .bind(pool.provider.as_str())
    .bind(key.as_str())
    .bind(Timestamp::as_millis(*at))
    .bind(used.sound_domain())
    .bind(requests)
    .bind(ok)
    .bind(rate_limited)
    .bind(rejected)
    .bind(caller_errors)
    .bind(provider_errors)
    .execute(&mut *db)
    .await
    .map_err(on_write)?;
    let is_there = one_row_or_none(&result, "recording a use")?;
    if is_there && *counts != UseCounts::default() {
        record_hour(db, used).await?;
    }
    Ok(())
}

async fn record_hour(db: &mut SqliteConnection, used: &KeyUse) -> Result<(), StoreError> {
    let [requests, ok, rate_limited, rejected, caller_errors, provider_errors] = columns(&used.counts)?;
    let result = sqlx::query(
        "INSERT INTO key_usage (owner_kind, owner_id, key_id, hour, requests, ok, rate_limited, rejected, caller_errors,
                                provider_errors)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)
         ON CONFLICT (owner_kind, owner_id, key_id, hour) DO UPDATE
         SET requests = requests + excluded.requests, ok = ok + excluded.ok,
             rate_limited = rate_limited + excluded.rate_limited, rejected = rejected + excluded.rejected,
             caller_errors = caller_errors + excluded.caller_errors,
             provider_errors = provider_errors + excluded.provider_errors",
    )
    .bind(used.pool.owner.kind().as_str())
    .bind(used.pool.owner.id())
    .bind(used.key.as_str())
    .bind(used.hour().as_millis())
    .bind(requests)
    .bind(ok)
    .bind(rate_limited)
    .bind(rejected)
    .bind(caller_errors)
    .bind(provider_errors)
    .execute(db)
    .await
    .map_err(on_write)?;
    one_row(&result, "recording an hour")
}

#[derive(sqlx::FromRow)]
struct UsageRow {
    hour: i64,
    key_id: String,
    #[sqlx(flatten)]
    counts: CountsRow,
}

/// Key by key, each of which has its hours side by side.
pub(crate) async fn read(
    db: impl SqliteExecutor<'_>,
    owner: &Owner,
    provider: Option<&ProviderId>,
    from: Timestamp,
    to: Timestamp,
) -> Result<Vec<UsageBucket>, StoreError> {
    let rows: Vec<UsageRow> = sqlx::query_as(
        "SELECT used.hour, used.key_id, used.requests, used.ok, used.rate_limited, used.rejected, used.caller_errors,
                used.provider_errors
         FROM provider_key AS key
         JOIN key_usage AS used ON used.owner_kind = ?1 AND used.owner_id = ?2 AND used.key_id = key.key_id
         WHERE key.owner_kind = ?1 AND key.owner_id = ?2 AND (?3 IS NULL OR key.provider_id = ?3)
               AND used.hour >= ?4 AND used.hour < ?5
         ORDER BY used.hour, used.key_id",
    )
    .bind(owner.kind().as_str())
    .bind(owner.id())
    .bind(provider.map(ProviderId::as_str))
    .bind(from.as_millis())
    .bind(to.as_millis())
    .fetch_all(db)
    .await
    .map_err(on_read)?;
    let buckets = rows.into_iter().map(|row| {
        Ok(UsageBucket {
            start: read::date(row.hour),
            key: read::id(&row.key_id, "a key's id")?,
            counts: row.counts.try_into()?,
        })
    });
    buckets.collect()
}

pub(crate) async fn forget(db: &mut SqliteConnection, before: Timestamp) -> Result<u64, StoreError> {
    let result = sqlx::query(
        "DELETE FROM key_usage WHERE (owner_kind, owner_id, key_id, hour) IN
             (SELECT owner_kind, owner_id, key_id, hour FROM key_usage WHERE hour < ?1 ORDER BY hour LIMIT ?2)",
    )
    .bind(before.as_millis())
    .bind(USAGE_PORTION)
    .execute(db)
    .await
    .map_err(on_write)?;
    Ok(result.rows_affected())
}
