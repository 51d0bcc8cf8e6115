//! What table `provider_key` tells of how keys fare.

use claviger_core::health::{Ailment, AilmentKind};
use claviger_core::owner::PoolId;
use claviger_core::{KeyId, Owner, Timestamp};
use claviger_store::{AilmentChange, ProbeClaim, StoreError, UseCounts};
use sqlx::PgConnection;

use crate::error::{malformed, meaning, one_row};
use crate::{change as feed, delivery, owner, read};

#[derive(sqlx::FromRow)]
pub(crate) struct AilmentRow {
    ailment: Option<String>,
    ailment_status: Option<i16>,
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
        let count = |number: i64| read::number(number, "a count");
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

/// Counts as PostgreSQL takes them for many rows at once.
#[derive(Default)]
pub(crate) struct CountColumns {
    pub(crate) requests: Vec<i64>,
    pub(crate) ok: Vec<i64>,
    pub(crate) rate_limited: Vec<i64>,
    pub(crate) rejected: Vec<i64>,
    pub(crate) caller_errors: Vec<i64>,
    pub(crate) provider_errors: Vec<i64>,
}

impl CountColumns {
    pub(crate) fn push(&mut self, counts: &UseCounts) -> Result<(), StoreError> {
        for (column, count) in [
            (&mut self.requests, counts.requests),
            (&mut self.ok, counts.ok),
            (&mut self.rate_limited, counts.rate_limited),
            (&mut self.rejected, counts.rejected),
            (&mut self.caller_errors, counts.caller_errors),
            (&mut self.provider_errors, counts.provider_errors),
        ] {
            column.push(i64::try_from(count).map_err(|_| malformed("a count"))?);
        }
        Ok(())
    }
}

/// The owner's lock keeps its webhooks, and the key's own what is stored of it, until the commit. Finds nothing where the
/// secret was replaced meanwhile, or the key is gone.
pub(crate) async fn put_ailment(
    db: &mut PgConnection,
    pool: &PoolId,
    key: &KeyId,
    sealed: &[u8],
    change: &AilmentChange,
) -> Result<bool, StoreError> {
    if !owner::lock(db, &pool.owner).await? {
        return Ok(false);
    }
    let stored: Option<AilmentRow> = sqlx::query_as(
        "SELECT ailment, ailment_status, ailment_since, ailment_until, ailment_strikes FROM provider_key
         WHERE owner_kind = $1 AND owner_id = $2 AND provider_id = $3 AND key_id = $4 AND sealed = $5
         FOR NO KEY UPDATE",
    )
    .bind(pool.owner.kind().as_str())
    .bind(pool.owner.id())
    .bind(pool.provider.as_str())
    .bind(key.as_str())
    .bind(sealed)
    .fetch_optional(&mut *db)
    .await
    .map_err(meaning)?;
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
    feed::pool(db, pool).await?;
    Ok(true)
}

async fn set(db: &mut PgConnection, pool: &PoolId, key: &KeyId, ailment: Option<&Ailment>) -> Result<(), StoreError> {
    let status = ailment.map(|ailment| i16::try_from(ailment.status)).transpose();
    let result = sqlx::query(
        "UPDATE provider_key
         SET ailment = $5, ailment_status = $6, ailment_since = $7, ailment_until = $8, ailment_strikes = $9,
             probe_claimed_until = NULL
         WHERE owner_kind = $1 AND owner_id = $2 AND provider_id = $3 AND key_id = $4",
    )
    .bind(pool.owner.kind().as_str())
    .bind(pool.owner.id())
    .bind(pool.provider.as_str())
    .bind(key.as_str())
    .bind(ailment.map(|ailment| ailment.kind.as_str()))
    .bind(status.map_err(|_| malformed("an ailment's status"))?)
    .bind(ailment.map(|ailment| ailment.since.as_millis()))
    .bind(ailment.map(|ailment| ailment.until.as_millis()))
    .bind(ailment.map(|ailment| i64::from(ailment.strikes)))
    .execute(db)
    .await
    .map_err(meaning)?;
    one_row(&result, "storing how a key fares")
}

#[derive(sqlx::FromRow)]
struct ProbeRow {
    owner_kind: String,
    owner_id: String,
    provider_id: String,
    key_id: String,
}

/// What another node claims at this moment is passed over, and what it has claimed no longer counts as due. Found by the
/// partial index, which holds the few rejected keys alone.
pub(crate) const CLAIM_PROBES: &str = "WITH due AS MATERIALIZED (
         SELECT owner_kind, owner_id, provider_id, position FROM provider_key
         WHERE ailment = 'rejected' AND ailment_until <= $1 AND enabled AND NOT unreadable
               AND (probe_claimed_until IS NULL OR probe_claimed_until <= $1)
         ORDER BY ailment_until LIMIT $3
         FOR NO KEY UPDATE SKIP LOCKED
     )
     UPDATE provider_key AS key SET probe_claimed_until = $2 FROM due
     WHERE key.owner_kind = due.owner_kind AND key.owner_id = due.owner_id AND key.provider_id = due.provider_id
           AND key.position = due.position
     RETURNING key.owner_kind, key.owner_id, key.provider_id, key.key_id";

pub(crate) async fn claim_probes(
    db: &mut PgConnection,
    now: Timestamp,
    until: Timestamp,
    limit: u32,
) -> Result<Vec<ProbeClaim>, StoreError> {
    let rows: Vec<ProbeRow> = sqlx::query_as(CLAIM_PROBES)
        .bind(now.as_millis())
        .bind(until.as_millis())
        .bind(i64::from(limit))
        .fetch_all(db)
        .await
        .map_err(meaning)?;
    let claims = rows.into_iter().map(|row| {
        let owner = read::owner(&row.owner_kind, &row.owner_id)?;
        let pool = PoolId { owner, provider: read::id(&row.provider_id, "a key's provider")? };
        Ok(ProbeClaim { pool, key: read::id(&row.key_id, "a key's id")? })
    });
    claims.collect()
}
