//! What the gateway notes on keys while they serve: only their own rows are locked, and nobody is told.

use std::collections::BTreeMap;

use claviger_core::KeyId;
use claviger_core::owner::PoolId;
use claviger_store::{KeyUse, StoreError, UseCounts};
use sqlx::PgConnection;
use sqlx::postgres::PgQueryResult;

use crate::error::{meaning, one_row_or_none};
use crate::health::CountColumns;

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
         SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::bigint[], $6::text[], $7::bigint[],
                              $8::bigint[], $9::bigint[], $10::bigint[], $11::bigint[], $12::bigint[])
                       AS used (owner_kind, owner_id, provider_id, key_id, at, domain, requests, ok, rate_limited,
                                rejected, caller_errors, provider_errors)
     ), there AS (
         SELECT key.position, used.*
         FROM used JOIN provider_key AS key
              ON key.owner_kind = used.owner_kind AND key.owner_id = used.owner_id
                 AND key.provider_id = used.provider_id AND key.key_id = used.key_id
         ORDER BY key.owner_kind, key.owner_id, key.provider_id, key.position
         FOR NO KEY UPDATE OF key
     )
     UPDATE provider_key AS key
     SET last_used_at = greatest(key.last_used_at, there.at), domain = coalesce(there.domain, key.domain),
         requests = key.requests + there.requests, ok = key.ok + there.ok,
         rate_limited = key.rate_limited + there.rate_limited, rejected = key.rejected + there.rejected,
         caller_errors = key.caller_errors + there.caller_errors,
         provider_errors = key.provider_errors + there.provider_errors
     FROM there
     WHERE key.owner_kind = there.owner_kind AND key.owner_id = there.owner_id
           AND key.provider_id = there.provider_id AND key.position = there.position";

/// Comes after [`RECORD`], whose locks keep the keys: none goes between finding it here and adding to its hours.
pub(crate) const RECORD_HOURS: &str = "INSERT INTO key_usage AS stored (
         owner_kind, owner_id, key_id, hour, requests, ok, rate_limited, rejected, caller_errors, provider_errors)
     SELECT used.owner_kind, used.owner_id, used.key_id, used.hour, used.requests, used.ok, used.rate_limited,
            used.rejected, used.caller_errors, used.provider_errors
     FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::bigint[], $6::bigint[], $7::bigint[], $8::bigint[],
                 $9::bigint[], $10::bigint[], $11::bigint[])
          AS used (owner_kind, owner_id, provider_id, key_id, hour, requests, ok, rate_limited, rejected, caller_errors,
                   provider_errors)
     JOIN provider_key AS key
          ON key.owner_kind = used.owner_kind AND key.owner_id = used.owner_id
             AND key.provider_id = used.provider_id AND key.key_id = used.key_id
     ON CONFLICT (owner_kind, owner_id, key_id, hour) DO UPDATE
     SET requests = stored.requests + excluded.requests, ok = stored.ok + excluded.ok,
         rate_limited = stored.rate_limited + excluded.rate_limited, rejected = stored.rejected + excluded.rejected,
         caller_errors = stored.caller_errors + excluded.caller_errors,
         provider_errors = stored.provider_errors + excluded.provider_errors";

/// Where a use is noted: its owner's kind and id, provider and key.
type Place<'a> = (&'a str, &'a str, &'a str, &'a str);

/// Places as PostgreSQL takes them for many rows at once.
#[derive(Default)]
struct Places<'a> {
    kinds: Vec<&'a str>,
    owners: Vec<&'a str>,
    providers: Vec<&'a str>,
    keys: Vec<&'a str>,
}

impl<'a> Places<'a> {
    fn push(&mut self, (kind, owner, provider, key): Place<'a>) {
        self.kinds.push(kind);
        self.owners.push(owner);
        self.providers.push(provider);
        self.keys.push(key);
    }
}

/// What the uses of one key add up to.
#[derive(Default)]
struct Total<'a> {
    at: i64,
    domain: Option<&'a str>,
    counts: UseCounts,
}

/// Touches no row where a key is gone. Two statements, whatever the number of uses: each touches a row once, so what
/// belongs to one row is added up here.
pub(crate) async fn record(db: &mut PgConnection, uses: &[KeyUse]) -> Result<(), StoreError> {
    let mut totals: BTreeMap<Place<'_>, Total<'_>> = BTreeMap::new();
    let mut hours: BTreeMap<(Place<'_>, i64), UseCounts> = BTreeMap::new();
    for used in uses {
        let KeyUse { pool, key, at, counts, .. } = used;
        let place = (pool.owner.kind().as_str(), pool.owner.id(), pool.provider.as_str(), key.as_str());
        let total = totals.entry(place).or_default();
        total.at = at.as_millis().max(total.at);
        total.domain = used.sound_domain().or(total.domain);
        total.counts += *counts;
        if *counts != UseCounts::default() {
            *hours.entry((place, used.hour().as_millis())).or_default() += *counts;
        }
    }
    record_totals(db, totals).await?;
    record_hours(db, hours).await
}

async fn record_totals(db: &mut PgConnection, totals: BTreeMap<Place<'_>, Total<'_>>) -> Result<(), StoreError> {
    let (mut places, mut dates, mut domains) = (Places::default(), vec![], vec![]);
    let mut counts = CountColumns::default();
    for (place, total) in totals {
        places.push(place);
        dates.push(total.at);
        domains.push(total.domain);
        counts.push(&total.counts)?;
    }
    let result = sqlx::query(RECORD)
        .bind(places.kinds)
        .bind(places.owners)
        .bind(places.providers)
        .bind(places.keys)
        .bind(&dates)
        .bind(domains)
        .bind(counts.requests)
        .bind(counts.ok)
        .bind(counts.rate_limited)
        .bind(counts.rejected)
        .bind(counts.caller_errors)
        .bind(counts.provider_errors)
        .execute(db)
        .await
        .map_err(meaning)?;
    at_most(&result, dates.len())
}

async fn record_hours(db: &mut PgConnection, uses: BTreeMap<(Place<'_>, i64), UseCounts>) -> Result<(), StoreError> {
    if uses.is_empty() {
        return Ok(());
    }
    let (mut places, mut hours, mut counts) = (Places::default(), vec![], CountColumns::default());
    for ((place, hour), of_hour) in uses {
        places.push(place);
        hours.push(hour);
        counts.push(&of_hour)?;
    }
    let result = sqlx::query(RECORD_HOURS)
        .bind(places.kinds)
        .bind(places.owners)
        .bind(places.providers)
        .bind(places.keys)
        .bind(&hours)
        .bind(counts.requests)
        .bind(counts.ok)
        .bind(counts.rate_limited)
        .bind(counts.rejected)
        .bind(counts.caller_errors)
        .bind(counts.provider_errors)
        .execute(db)
        .await
        .map_err(meaning)?;
    at_most(&result, hours.len())
}

fn at_most(result: &PgQueryResult, rows: usize) -> Result<(), StoreError> {
    match usize::try_from(result.rows_affected()) {
        Ok(touched) if touched <= rows => Ok(()),
        _ => Err(StoreError::Unexpected("recording uses touched more keys than were used".to_owned())),
    }
}
