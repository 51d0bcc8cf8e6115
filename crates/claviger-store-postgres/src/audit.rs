//! Tables `audit_entry` and `audit_head`: a chain of entries for each owner, which outlives its owner.

use std::collections::HashMap;

use claviger_core::audit::{Act, AuditEntry, AuditHash, AuditHead};
use claviger_core::{Owner, ProviderId};
use claviger_store::{AuditFilter, CopyError, Deed, Page, StoreError, TrailCopy};
use sqlx::PgConnection;

use crate::error::{malformed, meaning, rows};
use crate::owner::{self, Owners};
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

/// Enters what was done at the end of its owner's chain, in the transaction that does it. The owner is locked, so
/// the head stays what was read.
pub(crate) async fn enter(db: &mut PgConnection, owner: &Owner, act: &Act, deed: Deed) -> Result<(), StoreError> {
    let last = head(&mut *db, owner).await?.unwrap_or(AuditHead::EMPTY);
    put(db, [(owner, &[deed.entry(act, owner, last)][..])]).await
}

/// The same for many owners at once, each of which is named once.
pub(crate) async fn enter_all(db: &mut PgConnection, act: &Act, deeds: Vec<(Owner, Deed)>) -> Result<(), StoreError> {
    let heads = heads_of(&mut *db, deeds.iter().map(|(owner, _)| owner)).await?;
    let entered = deeds.into_iter().map(|(owner, deed)| {
        let last = heads.get(&owner).copied().unwrap_or(AuditHead::EMPTY);
        let entry = deed.entry(act, &owner, last);
        (owner, [entry])
    });
    let entered: Vec<_> = entered.collect();
    put(db, entered.iter().map(|(owner, entries)| (owner, &entries[..]))).await
}

/// Entries, and the heads that they make, as PostgreSQL takes them: one array a column.
#[derive(Default)]
struct Columns<'a> {
    owners: Owners<'a>,
    sequences: Vec<i64>,
    at: Vec<i64>,
    actors: Vec<&'a str>,
    actions: Vec<&'a str>,
    targets: Vec<&'a str>,
    providers: Vec<Option<&'a str>>,
    details: Vec<&'a str>,
    hashes: Vec<&'a [u8]>,
}

/// Stores entries as they are, and moves each owner's head to the last of its.
async fn put<'a>(
    db: &mut PgConnection,
    trails: impl IntoIterator<Item = (&'a Owner, &'a [AuditEntry])>,
) -> Result<(), StoreError> {
    let (mut all, mut heads) = (Columns::default(), Columns::default());
    for (owner, entries) in trails {
        for entry in entries {
            all.owners.push(owner);
            all.sequences.push(stored(entry.sequence));
            all.at.push(entry.at.as_millis());
            all.actors.push(&entry.actor);
            all.actions.push(&entry.action);
            all.targets.push(&entry.target);
            all.providers.push(entry.provider.as_ref().map(ProviderId::as_str));
            all.details.push(&entry.details);
            all.hashes.push(&entry.hash.0);
        }
        if let Some(last) = entries.last() {
            heads.owners.push(owner);
            heads.sequences.push(stored(last.sequence));
            heads.hashes.push(&last.hash.0);
        }
    }
    let result = sqlx::query(
        "INSERT INTO audit_entry (owner_kind, owner_id, sequence, at, actor, action, target, provider_id, details, hash)
         SELECT * FROM unnest($1::text[], $2::text[], $3::bigint[], $4::bigint[], $5::text[], $6::text[], $7::text[],
                              $8::text[], $9::text[], $10::bytea[])",
    )
    .bind(&all.owners.kinds)
    .bind(&all.owners.ids)
    .bind(&all.sequences)
    .bind(&all.at)
    .bind(&all.actors)
    .bind(&all.actions)
    .bind(&all.targets)
    .bind(&all.providers)
    .bind(&all.details)
    .bind(&all.hashes)
    .execute(&mut *db)
    .await
    .map_err(meaning)?;
    rows(&result, all.sequences.len(), "storing audit entries")?;
    let result = sqlx::query(
        "INSERT INTO audit_head (owner_kind, owner_id, sequence, hash)
         SELECT * FROM unnest($1::text[], $2::text[], $3::bigint[], $4::bytea[])
         ON CONFLICT (owner_kind, owner_id) DO UPDATE SET sequence = excluded.sequence, hash = excluded.hash",
    )
    .bind(&heads.owners.kinds)
    .bind(&heads.owners.ids)
    .bind(&heads.sequences)
    .bind(&heads.hashes)
    .execute(db)
    .await
    .map_err(meaning)?;
    rows(&result, heads.sequences.len(), "moving the heads of audit chains")
}

/// Stores entries in the place of whatever was there from the first of each owner's on.
pub(crate) async fn replace(db: &mut PgConnection, trails: &[TrailCopy]) -> Result<(), CopyError> {
    // Nothing to lock where an owner is gone: then nobody else enters anything.
    owner::lock_all(db, trails.iter().map(|trail| &trail.owner)).await?;
    let heads = heads_of(&mut *db, trails.iter().map(|trail| &trail.owner)).await?;
    if let Some(changed) = trails.iter().find(|trail| !trail.fits(heads.get(&trail.owner).copied())) {
        return Err(CopyError::TrailChanged(changed.owner.clone()));
    }
    cut(db, trails).await?;
    Ok(put(db, trails.iter().map(|trail| (&trail.owner, &trail.entries[..]))).await?)
}

/// Forgets entries from each owner's first one on, so that those can take their place.
async fn cut(db: &mut PgConnection, trails: &[TrailCopy]) -> Result<(), StoreError> {
    let mut from = Columns::default();
    for trail in trails {
        if let Some(first) = trail.entries.first() {
            from.owners.push(&trail.owner);
            from.sequences.push(stored(first.sequence));
        }
    }
    sqlx::query(
        "DELETE FROM audit_entry USING unnest($1::text[], $2::text[], $3::bigint[]) AS cut (owner_kind, owner_id, first)
         WHERE audit_entry.owner_kind = cut.owner_kind AND audit_entry.owner_id = cut.owner_id
               AND audit_entry.sequence >= cut.first",
    )
    .bind(&from.owners.kinds)
    .bind(&from.owners.ids)
    .bind(&from.sequences)
    .execute(db)
    .await
    .map(drop)
    .map_err(meaning)
}

/// Where the chains of these owners end; without those that have none.
async fn heads_of<'a>(
    db: &mut PgConnection,
    owners: impl IntoIterator<Item = &'a Owner>,
) -> Result<HashMap<Owner, AuditHead>, StoreError> {
    let owners = Owners::of(owners);
    let rows: Vec<HeadRow> = sqlx::query_as(
        "SELECT owner_kind, owner_id, sequence, hash FROM audit_head
         JOIN unnest($1::text[], $2::text[]) AS asked (owner_kind, owner_id) USING (owner_kind, owner_id)",
    )
    .bind(&owners.kinds)
    .bind(&owners.ids)
    .fetch_all(db)
    .await
    .map_err(meaning)?;
    rows.into_iter().map(HeadRow::read).collect()
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
    let rows: Vec<HeadRow> = sqlx::query_as(
        "SELECT owner_kind, owner_id, sequence, hash FROM audit_head
         WHERE (owner_kind, owner_id) > ($1, $2) ORDER BY owner_kind, owner_id LIMIT $3",
    )
    .bind(after.0)
    .bind(after.1)
    .bind(i64::from(page.limit))
    .fetch_all(db)
    .await
    .map_err(meaning)?;
    rows.into_iter().map(HeadRow::read).collect()
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

pub(crate) const NEWEST: &str =
    "SELECT sequence, at, actor, action, target, provider_id, details, hash FROM audit_entry
     WHERE owner_kind = $1 AND owner_id = $2 AND sequence < $3 AND sequence >= $4
           AND ($5::text IS NULL OR provider_id = $5) AND ($6::text IS NULL OR actor = $6)
     ORDER BY sequence DESC LIMIT $7";

pub(crate) async fn newest(
    db: &mut PgConnection,
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
        .bind(i64::from(page.limit))
        .fetch_all(db)
        .await
        .map_err(meaning)?;
    rows.into_iter().map(AuditEntry::try_from).collect()
}

pub(crate) const ACTORS: &str = "SELECT actor FROM (
         SELECT actor, sequence FROM audit_entry WHERE owner_kind = $1 AND owner_id = $2
         ORDER BY sequence DESC LIMIT $3
     ) AS newest GROUP BY actor ORDER BY max(sequence) DESC LIMIT $4";

pub(crate) async fn actors(
    db: &mut PgConnection,
    owner: &Owner,
    entries: u32,
    limit: u32,
) -> Result<Vec<String>, StoreError> {
    sqlx::query_scalar(ACTORS)
        .bind(owner.kind().as_str())
        .bind(owner.id())
        .bind(i64::from(entries))
        .bind(i64::from(limit))
        .fetch_all(db)
        .await
        .map_err(meaning)
}
