//! What table `provider_key` tells of how keys fare.

use claviger_core::health::{Ailment, AilmentKind};
use claviger_core::owner::PoolId;
use claviger_core::{KeyId, Owner, Timestamp};
use claviger_store::{AilmentChange, ProbeClaim, StoreError, UseCounts};
use sqlx::SqliteConnection;

use crate::error::{malformed, on_read, on_write, one_row};
use crate::{change, delivery, read};

#[derive(sqlx::FromRow)]
pub(crate) struct AilmentRow {
    ailment: Option<String>,
    ailment_status: Option<i64>,
    ailment_since: Option<i64>,
    ailment_until: Option<i64>,
    ailment_strikes: Option<i64>,
}

impl AilmentRow {
    pub(crate) fn ailment(self) -> Result<Option<Ailment>, StoreError> {
        let Some(kind) = self.ailment else {
            return Ok(None);
        };
        let (Some(status), Some(since), Some(until), Some(strikes)) =
            (self.ailment_status, self.ailment_since, self.ailment_until, self.ailment_strikes)
        else {
            return Err(malformed("a key's ailment"));
        };
        Ok(Some(Ailment {
            kind: AilmentKind::parse(&kind).ok_or_else(|| malformed("a key's ailment"))?,
            status: u16::try_from(status).map_err(|_| malformed("an ailment's status"))?,
            since: read::date(since),
            until: read::date(until),
            strikes: u32::try_from(strikes).map_err(|_| malformed("an ailment's strikes"))?,
        }))
    }
}

#[derive(sqlx::FromRow)]
pub(crate) struct CountsRow {
    requests: i64,
    ok: i64,
    rate_limited: i64,
    rejected: i64,
    caller_errors: i64,
    provider_errors: i64,
}

impl TryFrom<CountsRow> for UseCounts {
    type Error = StoreError;

    fn try_from(row: CountsRow) -> Result<Self, StoreError> {
        let count = |number: i64| u64::try_from(number).map_err(|_| malformed("a count"));
        Ok(Self {
            requests: count(row.requests)?,
            ok: count(row.ok)?,
            rate_limited: count(row.rate_limited)?,
            rejected: count(row.rejected)?,
            caller_errors: count(row.caller_errors)?,
            provider_errors: count(row.provider_errors)?,
        })
    }
}

/// Counts in the order of their columns.
pub(crate) fn columns(counts: &UseCounts) -> Result<[i64; 6], StoreError> {
    let UseCounts { requests, ok, rate_limited, rejected, caller_errors, provider_errors } = *counts;
    let mut columns = [0; 6];
    for (column, count) in
        columns.iter_mut().zip([requests, ok, rate_limited, rejected, caller_errors, provider_errors])
    {
        *column = i64::try_from(count).map_err(|_| malformed("a count"))?;
    }
    Ok(columns)
}

/// The writer is alone in its transaction, so what is stored stays until the commit. Finds nothing where the secret was
/// replaced meanwhile, or the key is gone.
pub(crate) async fn put_ailment(
    db: &mut SqliteConnection,
    pool: &PoolId,
    key: &KeyId,
    sealed: &[u8],
    change: &AilmentChange,
) -> Result<bool, StoreError> {
    let stored: Option<AilmentRow> = sqlx::query_as(
        "SELECT ailment, ailment_status, ailment_since, ailment_until, ailment_strikes FROM provider_key
         WHERE owner_kind = ?1 AND owner_id = ?2 AND provider_id = ?3 AND key_id = ?4 AND sealed = ?5",
    )
    .bind(pool.owner.kind().as_str())
    .bind(pool.owner.id())
    .bind(pool.provider.as_str())
    .bind(key.as_str())
    .bind(sealed)
    .fetch_optional(&mut *db)
    .await
    .map_err(on_read)?;
    let Some(stored) = stored else {
        return Ok(false);
    };
    let step = change.step(stored.ailment()?.as_ref());
    let Some(ailment) = step.stored() else {
        return Ok(false);
    };
    set(db, pool, key, ailment).await?;
    if let (Owner::Workspace(workspace), true) = (&pool.owner, step.is_told()) {
        delivery::put(db, workspace, &change.events).await?;
    }
    // Nothing that people change, so the generation stays; but pools in memory hold it.
    change::pool(db, pool).await?;
    Ok(true)
}

async fn set(
    db: &mut SqliteConnection,
    pool: &PoolId,
    key: &KeyId,
    ailment: Option<&Ailment>,
) -> Result<(), StoreError> {
    let result = sqlx::query(
        "UPDATE provider_key
         SET ailment = ?5, ailment_status = ?6, ailment_since = ?7, ailment_until = ?8, ailment_strikes = ?9,
             probe_claimed_until = NULL
         WHERE owner_kind = ?1 AND owner_id = ?2 AND provider_id = ?3 AND key_id = ?4",
    )
    .bind(pool.owner.kind().as_str())
    .bind(pool.owner.id())
    .bind(pool.provider.as_str())
    .bind(key.as_str())
    .bind(ailment.map(|ailment| ailment.kind.as_str()))
    .bind(ailment.map(|ailment| i64::from(ailment.status)))
    .bind(ailment.map(|ailment| ailment.since.as_millis()))
    .bind(ailment.map(|ailment| ailment.until.as_millis()))
    .bind(ailment.map(|ailment| i64::from(ailment.strikes)))
    .execute(db)
    .await
    .map_err(on_write)?;
    one_row(&result, "storing how a key fares")
}

#[derive(sqlx::FromRow)]
struct ProbeRow {
    owner_kind: String,
    owner_id: String,
    provider_id: String,
    key_id: String,
}

/// The writer is alone in its transaction, so nobody else sees the same keys unclaimed.
pub(crate) async fn claim_probes(
    db: &mut SqliteConnection,
    now: Timestamp,
    until: Timestamp,
    limit: u32,
) -> Result<Vec<ProbeClaim>, StoreError> {
    let due: Vec<ProbeRow> = sqlx::query_as(
        "SELECT owner_kind, owner_id, provider_id, key_id FROM provider_key
         WHERE ailment = 'rejected' AND ailment_until <= ?1 AND enabled AND NOT unreadable
               AND (probe_claimed_until IS NULL OR probe_claimed_until <= ?1)
         ORDER BY ailment_until, key_id LIMIT ?2",
    )
    .bind(now.as_millis())
    .bind(limit)
    .fetch_all(&mut *db)
    .await
    .map_err(on_read)?;
    let mut claims = Vec::with_capacity(due.len());
    for row in due {
        let result = sqlx::query(
            "UPDATE provider_key SET probe_claimed_until = ?5
             WHERE owner_kind = ?1 AND owner_id = ?2 AND provider_id = ?3 AND key_id = ?4",
        )
        .bind(&row.owner_kind)
        .bind(&row.owner_id)
        .bind(&row.provider_id)
        .bind(&row.key_id)
        .bind(until.as_millis())
        .execute(&mut *db)
        .await
        .map_err(on_write)?;
        one_row(&result, "claiming a probe")?;
        claims.push(ProbeClaim {
            pool: PoolId {
                owner: read::owner(&row.owner_kind, &row.owner_id)?,
                provider: read::id(&row.provider_id, "a key's provider")?,
            },
            key: read::id(&row.key_id, "a key's id")?,
        });
    }
    Ok(claims)
}
