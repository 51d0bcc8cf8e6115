//! Tables `audit_entry` and `audit_head`: a chain of entries for each owner, which outlives its owner.

use claviger_core::audit::{Act, AuditEntry, AuditHash, AuditHead};
use claviger_core::{Owner, ProviderId};
use claviger_store::{AuditFilter, Deed, Page, StoreError};
use sqlx::PgConnection;

use crate::error::{malformed, meaning, one_row};
use crate::{owner, read};

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

/// Enters what was done at the end of its owner's chain, in the transaction that does it. The owner is locked, so
/// the head stays what was read.
pub(crate) async fn enter(db: &mut PgConnection, owner: &Owner, act: &Act, deed: Deed) -> Result<(), StoreError> {
    let last = head(&mut *db, owner).await?.unwrap_or(AuditHead::EMPTY);
    put(db, owner, &[deed.entry(act, owner, last)]).await
}

/// Stores entries as they are, and moves the head to the last of them.
async fn put(db: &mut PgConnection, owner: &Owner, entries: &[AuditEntry]) -> Result<(), StoreError> {
    let Some(last) = entries.last() else {
        return Ok(());
    };
    for entry in entries {
        let result = sqlx::query(
            "INSERT INTO audit_entry (owner_kind, owner_id, sequence, at, actor, action, target, provider_id, details,
                                      hash)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
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
        .map_err(meaning)?;
        one_row(&result, "storing an audit entry")?;
    }
    let result = sqlx::query(
        "INSERT INTO audit_head (owner_kind, owner_id, sequence, hash) VALUES ($1, $2, $3, $4)
         ON CONFLICT (owner_kind, owner_id) DO UPDATE SET sequence = excluded.sequence, hash = excluded.hash",
    )
    .bind(owner.kind().as_str())
    .bind(owner.id())
    .bind(stored(last.sequence))
    .bind(last.hash.0.as_slice())
    .execute(db)
    .await
    .map_err(meaning)?;
    one_row(&result, "moving the head of an audit chain")
}

/// Forgets entries from a number on, so that others can take their place.
async fn cut(db: &mut PgConnection, owner: &Owner, from: u64) -> Result<(), StoreError> {
    sqlx::query("DELETE FROM audit_entry WHERE owner_kind = $1 AND owner_id = $2 AND sequence >= $3")
        .bind(owner.kind().as_str())
        .bind(owner.id())
        .bind(stored(from))
        .execute(db)
        .await
        .map(drop)
        .map_err(meaning)
}

pub(crate) async fn replace_all(db: &mut PgConnection, trails: &[(Owner, Vec<AuditEntry>)]) -> Result<(), StoreError> {
    for (owner, entries) in trails {
        replace(db, owner, entries).await?;
    }
    Ok(())
}

/// Stores entries in the place of whatever was there from the first of them on.
async fn replace(db: &mut PgConnection, owner: &Owner, entries: &[AuditEntry]) -> Result<(), StoreError> {
    let Some(first) = entries.first() else {
        return Ok(());
    };
    // Nothing to lock where the owner is gone: then nobody else enters anything.
    owner::lock(db, owner).await?;
    cut(db, owner, first.sequence).await?;
    put(db, owner, entries).await
}

pub(crate) async fn head(db: &mut PgConnection, owner: &Owner) -> Result<Option<AuditHead>, StoreError> {
    let row: Option<(i64, Vec<u8>)> =
        sqlx::query_as("SELECT sequence, hash FROM audit_head WHERE owner_kind = $1 AND owner_id = $2")
            .bind(owner.kind().as_str())
            .bind(owner.id())
            .fetch_optional(db)
            .await
            .map_err(meaning)?;
    row.map(|(sequence, bytes)| Ok(AuditHead { sequence: number(sequence)?, hash: hash(&bytes)? })).transpose()
}

pub(crate) async fn heads(db: &mut PgConnection, page: &Page<Owner>) -> Result<Vec<(Owner, AuditHead)>, StoreError> {
    // No kind is empty, so the empty one stands before the first.
    let after = page.after.as_ref().map_or(("", ""), |owner| (owner.kind().as_str(), owner.id()));
    let rows: Vec<(String, String, i64, Vec<u8>)> = sqlx::query_as(
        "SELECT owner_kind, owner_id, sequence, hash FROM audit_head
         WHERE (owner_kind, owner_id) > ($1, $2) ORDER BY owner_kind, owner_id LIMIT $3",
    )
    .bind(after.0)
    .bind(after.1)
    .bind(i64::from(page.limit))
    .fetch_all(db)
    .await
    .map_err(meaning)?;
    let heads = rows.into_iter().map(|(kind, id, sequence, bytes)| {
        Ok((read::owner(&kind, &id)?, AuditHead { sequence: number(sequence)?, hash: hash(&bytes)? }))
    });
    heads.collect()
}

/// Steps from owner to owner along the key, however many entries each has. Also owners of which a hand in the database took
/// the head, or the entries.
pub(crate) async fn owners(db: &mut PgConnection, page: &Page<Owner>) -> Result<Vec<Owner>, StoreError> {
    let after = page.after.as_ref().map_or(("", ""), |owner| (owner.kind().as_str(), owner.id()));
    let rows: Vec<(String, String)> = sqlx::query_as(
        "WITH RECURSIVE owner_of (kind, id) AS (
             SELECT (SELECT owner_kind FROM audit_entry WHERE (owner_kind, owner_id) > ($1, $2)
                     ORDER BY owner_kind, owner_id LIMIT 1),
                    (SELECT owner_id FROM audit_entry WHERE (owner_kind, owner_id) > ($1, $2)
                     ORDER BY owner_kind, owner_id LIMIT 1)
             UNION ALL
             SELECT (SELECT owner_kind FROM audit_entry WHERE (owner_kind, owner_id) > (kind, id)
                     ORDER BY owner_kind, owner_id LIMIT 1),
                    (SELECT owner_id FROM audit_entry WHERE (owner_kind, owner_id) > (kind, id)
                     ORDER BY owner_kind, owner_id LIMIT 1)
             FROM owner_of WHERE kind IS NOT NULL
         ),
         with_entries AS (SELECT kind, id FROM owner_of WHERE kind IS NOT NULL LIMIT $3),
         with_head AS (
             SELECT owner_kind AS kind, owner_id AS id FROM audit_head WHERE (owner_kind, owner_id) > ($1, $2)
             ORDER BY owner_kind, owner_id LIMIT $3
         )
         SELECT kind, id FROM with_entries UNION SELECT kind, id FROM with_head ORDER BY 1, 2 LIMIT $3",
    )
    .bind(after.0)
    .bind(after.1)
    .bind(i64::from(page.limit))
    .fetch_all(db)
    .await
    .map_err(meaning)?;
    rows.iter().map(|(kind, id)| read::owner(kind, id)).collect()
}

pub(crate) async fn after(
    db: &mut PgConnection,
    owner: &Owner,
    page: &Page<u64>,
) -> Result<Vec<AuditEntry>, StoreError> {
    let rows: Vec<EntryRow> = sqlx::query_as(
        "SELECT sequence, at, actor, action, target, provider_id, details, hash FROM audit_entry
         WHERE owner_kind = $1 AND owner_id = $2 AND sequence > $3 ORDER BY sequence LIMIT $4",
    )
    .bind(owner.kind().as_str())
    .bind(owner.id())
    .bind(page.after.map_or(i64::MIN, stored))
    .bind(i64::from(page.limit))
    .fetch_all(db)
    .await
    .map_err(meaning)?;
    rows.into_iter().map(AuditEntry::try_from).collect()
}

pub(crate) async fn newest(
    db: &mut PgConnection,
    owner: &Owner,
    filter: &AuditFilter,
    page: &Page<u64>,
) -> Result<Vec<AuditEntry>, StoreError> {
    let rows: Vec<EntryRow> = sqlx::query_as(
        "SELECT sequence, at, actor, action, target, provider_id, details, hash FROM audit_entry
         WHERE owner_kind = $1 AND owner_id = $2 AND sequence < $3 AND ($4::text IS NULL OR provider_id = $4)
               AND ($5::text IS NULL OR actor = $5)
         ORDER BY sequence DESC LIMIT $6",
    )
    .bind(owner.kind().as_str())
    .bind(owner.id())
    .bind(page.after.map_or(i64::MAX, stored))
    .bind(filter.provider.as_ref().map(ProviderId::as_str))
    .bind(filter.actor.as_deref())
    .bind(i64::from(page.limit))
    .fetch_all(db)
    .await
    .map_err(meaning)?;
    rows.into_iter().map(AuditEntry::try_from).collect()
}

pub(crate) async fn actors(db: &mut PgConnection, owner: &Owner, limit: u32) -> Result<Vec<String>, StoreError> {
    sqlx::query_scalar(
        "SELECT actor FROM audit_entry WHERE owner_kind = $1 AND owner_id = $2
         GROUP BY actor ORDER BY max(sequence) DESC LIMIT $3",
    )
    .bind(owner.kind().as_str())
    .bind(owner.id())
    .bind(i64::from(limit))
    .fetch_all(db)
    .await
    .map_err(meaning)
}
