//! Tables `audit_entry` and `audit_head`: a chain of entries for each owner, which outlives its owner.

use std::collections::HashMap;

use claviger_core::audit::{Act, AuditEntry, AuditHash, AuditHead};
use claviger_core::{Owner, ProviderId};
use claviger_store::{AuditFilter, CopyError, Deed, Page, StoreError, TrailCopy};
use serde_json::{Value, json};
use sqlx::{SqliteConnection, SqliteExecutor};

use crate::error::{malformed, on_read, on_write, one_row, rows};
use crate::read;

#[derive(sqlx::FromRow)]
struct EntryRow {
    sequence: i64,
    at: i64,
    actor: String,
    action: String,
    target: String,
    provider_id: Option<String>,
    details: String,
    hash: Vec<u8>,
}

impl TryFrom<EntryRow> for AuditEntry {
    type Error = StoreError;

    fn try_from(row: EntryRow) -> Result<Self, StoreError> {
        let provider = row.provider_id.as_deref().map(|id| read::id(id, "the provider of an audit entry"));
        Ok(Self {
            sequence: number(row.sequence)?,
            at: read::date(row.at),
            actor: row.actor,
            action: row.action,
            target: row.target,
            provider: provider.transpose()?,
            details: row.details,
            hash: hash(&row.hash)?,
        })
    }
}

#[derive(sqlx::FromRow)]
struct HeadRow {
    owner_kind: String,
    owner_id: String,
    sequence: i64,
    hash: Vec<u8>,
}

impl HeadRow {
    fn read(self) -> Result<(Owner, AuditHead), StoreError> {
        let head = AuditHead { sequence: number(self.sequence)?, hash: hash(&self.hash)? };
        Ok((read::owner(&self.owner_kind, &self.owner_id)?, head))
    }
}

fn number(sequence: i64) -> Result<u64, StoreError> {
    u64::try_from(sequence).map_err(|_| malformed("the number of an audit entry"))
}

fn hash(bytes: &[u8]) -> Result<AuditHash, StoreError> {
    read::bytes(bytes, "the hash of an audit entry").map(AuditHash)
}

/// A number as it is stored. No chain comes near to what does not fit.
fn stored(sequence: u64) -> i64 {
    i64::try_from(sequence).unwrap_or(i64::MAX)
}

/// Enters what was done at the end of its owner's chain, in the transaction that does it. The writer is alone in its
/// transaction, so the head stays what was read.
pub(crate) async fn enter(db: &mut SqliteConnection, owner: &Owner, act: &Act, deed: Deed) -> Result<(), StoreError> {
    let last = head(&mut *db, owner).await?.unwrap_or(AuditHead::EMPTY);
    put(db, owner, &[deed.entry(act, owner, last)]).await
}

/// The same for many owners at once, each of which is named once: as JSON in few statements, since statements take longer
/// than what they do here.
pub(crate) async fn enter_all(
    db: &mut SqliteConnection,
    act: &Act,
    deeds: Vec<(Owner, Deed)>,
) -> Result<(), StoreError> {
    let owners: Value = deeds.iter().map(|(owner, _)| json!([owner.kind().as_str(), owner.id()])).collect();
    let heads = heads_of(&mut *db, &owners.to_string()).await?;
    let count = deeds.len();
    let entered = deeds.into_iter().map(|(owner, deed)| {
        let entry = deed.entry(act, &owner, heads.get(&owner).copied().unwrap_or(AuditHead::EMPTY));
        let AuditEntry { sequence, action, target, provider, details, hash, .. } = entry;
        json!([owner.kind().as_str(), owner.id(), sequence, action, target, provider, details, hash.to_string()])
    });
    let entered = entered.collect::<Value>().to_string();
    let result = sqlx::query(
        "INSERT INTO audit_entry (owner_kind, owner_id, sequence, at, actor, action, target, provider_id, details, hash)
         SELECT value ->> 0, value ->> 1, value ->> 2, ?2, ?3, value ->> 3, value ->> 4, value ->> 5, value ->> 6,
                unhex(value ->> 7)
         FROM json_each(?1)",
    )
    .bind(entered.as_str())
    .bind(act.at.as_millis())
    .bind(act.actor.as_str())
    .execute(&mut *db)
    .await
    .map_err(on_write)?;
    rows(&result, count, "storing audit entries")?;
    // An upsert after a SELECT needs its WHERE.
    let result = sqlx::query(
        "INSERT INTO audit_head (owner_kind, owner_id, sequence, hash)
         SELECT value ->> 0, value ->> 1, value ->> 2, unhex(value ->> 7) FROM json_each(?1) WHERE true
         ON CONFLICT (owner_kind, owner_id) DO UPDATE SET sequence = excluded.sequence, hash = excluded.hash",
    )
    .bind(entered.as_str())
    .execute(db)
    .await
    .map_err(on_write)?;
    rows(&result, count, "moving the heads of audit chains")
}

/// Where the chains of these owners end, who are named in JSON; without those that have none.
async fn heads_of(db: &mut SqliteConnection, owners: &str) -> Result<HashMap<Owner, AuditHead>, StoreError> {
    let rows: Vec<HeadRow> = sqlx::query_as(
        "SELECT owner_kind, owner_id, sequence, hash FROM json_each(?1)
         CROSS JOIN audit_head ON owner_kind = value ->> 0 AND owner_id = value ->> 1",
    )
    .bind(owners)
    .fetch_all(db)
    .await
    .map_err(on_read)?;
    rows.into_iter().map(HeadRow::read).collect()
}

/// Stores entries as they are, and moves the head to the last of them.
async fn put(db: &mut SqliteConnection, owner: &Owner, entries: &[AuditEntry]) -> Result<(), StoreError> {
    let Some(last) = entries.last() else {
        return Ok(());
    };
    for entry in entries {
        let result = sqlx::query(
            "INSERT INTO audit_entry (owner_kind, owner_id, sequence, at, actor, action, target, provider_id, details,
                                      hash)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
        )
        .bind(owner.kind().as_str())
        .bind(owner.id())
        .bind(stored(entry.sequence))
        .bind(entry.at.as_millis())
        .bind(entry.actor.as_str())
        .bind(entry.action.as_str())
        .bind(entry.target.as_str())
        .bind(entry.provider.as_ref().map(ProviderId::as_str))
        .bind(entry.details.as_str())
        .bind(entry.hash.0.as_slice())
        .execute(&mut *db)
        .await
        .map_err(on_write)?;
        one_row(&result, "storing an audit entry")?;
    }
    let result = sqlx::query(
        "INSERT INTO audit_head (owner_kind, owner_id, sequence, hash) VALUES (?1, ?2, ?3, ?4)
         ON CONFLICT (owner_kind, owner_id) DO UPDATE SET sequence = excluded.sequence, hash = excluded.hash",
    )
    .bind(owner.kind().as_str())
    .bind(owner.id())
    .bind(stored(last.sequence))
    .bind(last.hash.0.as_slice())
    .execute(db)
    .await
    .map_err(on_write)?;
    one_row(&result, "moving the head of an audit chain")
}

/// Stores entries in the place of whatever was there from the first of them on.
pub(crate) async fn replace(db: &mut SqliteConnection, trail: &TrailCopy) -> Result<(), CopyError> {
    if !trail.fits(head(&mut *db, &trail.owner).await?) {
        return Err(CopyError::TrailChanged(trail.owner.clone()));
    }
    if let Some(first) = trail.entries.first() {
        cut(db, &trail.owner, first.sequence).await?;
    }
    Ok(put(db, &trail.owner, &trail.entries).await?)
}

/// Forgets entries from a number on, so that others can take their place.
async fn cut(db: &mut SqliteConnection, owner: &Owner, from: u64) -> Result<(), StoreError> {
    sqlx::query("DELETE FROM audit_entry WHERE owner_kind = ?1 AND owner_id = ?2 AND sequence >= ?3")
        .bind(owner.kind().as_str())
        .bind(owner.id())
        .bind(stored(from))
        .execute(db)
        .await
        .map(drop)
        .map_err(on_write)
}

pub(crate) async fn head(db: impl SqliteExecutor<'_>, owner: &Owner) -> Result<Option<AuditHead>, StoreError> {
    let row: Option<(i64, Vec<u8>)> =
        sqlx::query_as("SELECT sequence, hash FROM audit_head WHERE owner_kind = ?1 AND owner_id = ?2")
            .bind(owner.kind().as_str())
            .bind(owner.id())
            .fetch_optional(db)
            .await
            .map_err(on_read)?;
    row.map(|(sequence, bytes)| Ok(AuditHead { sequence: number(sequence)?, hash: hash(&bytes)? })).transpose()
}

pub(crate) async fn heads(
    db: impl SqliteExecutor<'_>,
    page: &Page<Owner>,
) -> Result<Vec<(Owner, AuditHead)>, StoreError> {
    // No kind is empty, so the empty one stands before the first.
    let after = page.after.as_ref().map_or(("", ""), |owner| (owner.kind().as_str(), owner.id()));
    let rows: Vec<HeadRow> = sqlx::query_as(
        "SELECT owner_kind, owner_id, sequence, hash FROM audit_head
         WHERE (owner_kind, owner_id) > (?1, ?2) ORDER BY owner_kind, owner_id LIMIT ?3",
    )
    .bind(after.0)
    .bind(after.1)
    .bind(page.limit)
    .fetch_all(db)
    .await
    .map_err(on_read)?;
    rows.into_iter().map(HeadRow::read).collect()
}

/// Steps from owner to owner along the key, however many entries each has. Also owners of which a hand in the database took
/// the head, or the entries.
pub(crate) async fn owners(db: impl SqliteExecutor<'_>, page: &Page<Owner>) -> Result<Vec<Owner>, StoreError> {
    let after = page.after.as_ref().map_or(("", ""), |owner| (owner.kind().as_str(), owner.id()));
    let rows: Vec<(String, String)> = sqlx::query_as(
        "WITH RECURSIVE owner_of (kind, id) AS (
             SELECT (SELECT owner_kind FROM audit_entry WHERE (owner_kind, owner_id) > (?1, ?2)
                     ORDER BY owner_kind, owner_id LIMIT 1),
                    (SELECT owner_id FROM audit_entry WHERE (owner_kind, owner_id) > (?1, ?2)
                     ORDER BY owner_kind, owner_id LIMIT 1)
             UNION ALL
             SELECT (SELECT owner_kind FROM audit_entry WHERE (owner_kind, owner_id) > (kind, id)
                     ORDER BY owner_kind, owner_id LIMIT 1),
                    (SELECT owner_id FROM audit_entry WHERE (owner_kind, owner_id) > (kind, id)
                     ORDER BY owner_kind, owner_id LIMIT 1)
             FROM owner_of WHERE kind IS NOT NULL
         ),
         with_entries AS (SELECT kind, id FROM owner_of WHERE kind IS NOT NULL LIMIT ?3),
         with_head AS (
             SELECT owner_kind AS kind, owner_id AS id FROM audit_head WHERE (owner_kind, owner_id) > (?1, ?2)
             ORDER BY owner_kind, owner_id LIMIT ?3
         )
         SELECT kind, id FROM with_entries UNION SELECT kind, id FROM with_head ORDER BY 1, 2 LIMIT ?3",
    )
    .bind(after.0)
    .bind(after.1)
    .bind(page.limit)
    .fetch_all(db)
    .await
    .map_err(on_read)?;
    rows.iter().map(|(kind, id)| read::owner(kind, id)).collect()
}

pub(crate) async fn after(
    db: impl SqliteExecutor<'_>,
    owner: &Owner,
    page: &Page<u64>,
) -> Result<Vec<AuditEntry>, StoreError> {
    let rows: Vec<EntryRow> = sqlx::query_as(
        "SELECT sequence, at, actor, action, target, provider_id, details, hash FROM audit_entry
         WHERE owner_kind = ?1 AND owner_id = ?2 AND sequence > ?3 ORDER BY sequence LIMIT ?4",
    )
    .bind(owner.kind().as_str())
    .bind(owner.id())
    .bind(page.after.map_or(i64::MIN, stored))
    .bind(page.limit)
    .fetch_all(db)
    .await
    .map_err(on_read)?;
    rows.into_iter().map(AuditEntry::try_from).collect()
}

pub(crate) const NEWEST: &str =
    "SELECT sequence, at, actor, action, target, provider_id, details, hash FROM audit_entry
     WHERE owner_kind = ?1 AND owner_id = ?2 AND sequence < ?3 AND sequence >= ?4
           AND (?5 IS NULL OR provider_id = ?5) AND (?6 IS NULL OR actor = ?6)
     ORDER BY sequence DESC LIMIT ?7";

pub(crate) async fn newest(
    db: impl SqliteExecutor<'_>,
    owner: &Owner,
    filter: &AuditFilter,
    from: u64,
    page: &Page<u64>,
) -> Result<Vec<AuditEntry>, StoreError> {
    let rows: Vec<EntryRow> = sqlx::query_as(NEWEST)
        .bind(owner.kind().as_str())
        .bind(owner.id())
        .bind(page.after.map_or(i64::MAX, stored))
        .bind(stored(from))
        .bind(filter.provider.as_ref().map(ProviderId::as_str))
        .bind(filter.actor.as_deref())
        .bind(page.limit)
        .fetch_all(db)
        .await
        .map_err(on_read)?;
    rows.into_iter().map(AuditEntry::try_from).collect()
}

pub(crate) const ACTORS: &str = "SELECT actor FROM (
         SELECT actor, sequence FROM audit_entry WHERE owner_kind = ?1 AND owner_id = ?2
         ORDER BY sequence DESC LIMIT ?3
     ) GROUP BY actor ORDER BY max(sequence) DESC LIMIT ?4";

pub(crate) async fn actors(
    db: impl SqliteExecutor<'_>,
    owner: &Owner,
    entries: u32,
    limit: u32,
) -> Result<Vec<String>, StoreError> {
    sqlx::query_scalar(ACTORS)
        .bind(owner.kind().as_str())
        .bind(owner.id())
        .bind(entries)
        .bind(limit)
        .fetch_all(db)
        .await
        .map_err(on_read)
}
