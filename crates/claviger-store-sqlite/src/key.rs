//! Table `provider_key`.

use claviger_core::audit::Act;
use claviger_core::owner::PoolId;
use claviger_core::pool::POOL_CAPACITY;
use claviger_core::{KeyId, KeyName, KeyStatus, Owner};
use claviger_store::{
    AddKeyError, ChangeKeyError, DataKeyUse, Deed, KeyChange, KeyRecord, KeyReplacement, NewKey, ReplaceKeyError,
    StoreError,
};
use sqlx::{SqliteConnection, SqliteExecutor};

use crate::error::{malformed, on_read, on_write, one_row, one_row_or_none};
use crate::health::{AilmentRow, CountsRow};
use crate::{audit, data_key, owner, pool, read};

/// The columns of a [`KeyRow`].
macro_rules! key_columns {
    () => {
        "key_id, provider_id, name, masked, enabled, unreadable, ailment, ailment_status, ailment_since, ailment_until,
         ailment_strikes, domain, requests, ok, rate_limited, rejected, caller_errors, provider_errors, created_by,
         created_at, updated_at, last_used_at"
    };
}
pub(crate) use key_columns;

#[derive(sqlx::FromRow)]
pub(crate) struct KeyRow {
    key_id: String,
    pub(crate) provider_id: String,
    name: Option<String>,
    masked: String,
    enabled: bool,
    unreadable: bool,
    #[sqlx(flatten)]
    ailment: AilmentRow,
    domain: Option<String>,
    #[sqlx(flatten)]
    counts: CountsRow,
    created_by: Option<String>,
    created_at: i64,
    updated_at: i64,
    last_used_at: Option<i64>,
}

impl TryFrom<KeyRow> for KeyRecord {
    type Error = StoreError;

    fn try_from(row: KeyRow) -> Result<Self, StoreError> {
        let name = match row.name {
            Some(text) => KeyName::parse(&text).map_err(|_| malformed("a key's name"))?,
            None => None,
        };
        Ok(Self {
            id: read::id(&row.key_id, "a key's id")?,
            provider: read::id(&row.provider_id, "a key's provider")?,
            name,
            masked: row.masked,
            enabled: row.enabled,
            status: if row.unreadable { KeyStatus::Unreadable } else { KeyStatus::Active },
            ailment: row.ailment.ailment()?,
            domain: row.domain,
            counts: row.counts.try_into()?,
            created_by: row.created_by,
            created_at: read::date(row.created_at),
            updated_at: read::date(row.updated_at),
            last_used_at: row.last_used_at.map(read::date),
        })
    }
}

/// What a pool's keys leave free for another one.
#[derive(sqlx::FromRow)]
struct Seat {
    key_id: String,
    slot: i64,
    fingerprint: Vec<u8>,
}

async fn seats(db: &mut SqliteConnection, pool: &PoolId) -> Result<Vec<Seat>, StoreError> {
    sqlx::query_as(
        "SELECT key_id, slot, fingerprint FROM provider_key
         WHERE owner_kind = ?1 AND owner_id = ?2 AND provider_id = ?3",
    )
    .bind(pool.owner.kind().as_str())
    .bind(pool.owner.id())
    .bind(pool.provider.as_str())
    .fetch_all(db)
    .await
    .map_err(on_read)
}

/// The key that has this secret.
fn twin(seats: &[Seat], fingerprint: [u8; 32]) -> Result<Option<KeyId>, StoreError> {
    let twin = seats.iter().find(|seat| seat.fingerprint == fingerprint);
    twin.map(|seat| read::id(&seat.key_id, "a key's id")).transpose()
}

/// The lowest slot that no key has.
fn free_slot(seats: &[Seat]) -> Option<i64> {
    (0_i64..).take(POOL_CAPACITY).find(|slot| seats.iter().all(|seat| seat.slot != *slot))
}

pub(crate) async fn all(db: impl SqliteExecutor<'_>, owner: &Owner) -> Result<Vec<KeyRecord>, StoreError> {
    let rows: Vec<KeyRow> = sqlx::query_as(concat!(
        "SELECT ",
        key_columns!(),
        " FROM provider_key WHERE owner_kind = ?1 AND owner_id = ?2 ORDER BY provider_id, position",
    ))
    .bind(owner.kind().as_str())
    .bind(owner.id())
    .fetch_all(db)
    .await
    .map_err(on_read)?;
    rows.into_iter().map(KeyRecord::try_from).collect()
}

async fn one(db: &mut SqliteConnection, owner: &Owner, key: &KeyId) -> Result<Option<KeyRecord>, StoreError> {
    let row: Option<KeyRow> = sqlx::query_as(concat!(
        "SELECT ",
        key_columns!(),
        " FROM provider_key WHERE owner_kind = ?1 AND owner_id = ?2 AND key_id = ?3",
    ))
    .bind(owner.kind().as_str())
    .bind(owner.id())
    .bind(key.as_str())
    .fetch_optional(db)
    .await
    .map_err(on_read)?;
    row.map(KeyRecord::try_from).transpose()
}

/// The writer is alone in its transaction, so what was checked stays true until the commit; the schema's constraints
/// stand behind every check.
pub(crate) async fn add(
    db: &mut SqliteConnection,
    pool: &PoolId,
    key: &NewKey,
    act: &Act,
) -> Result<KeyRecord, AddKeyError> {
    if !owner::exists(db, &pool.owner).await? {
        return Err(AddKeyError::NoOwner);
    }
    if !data_key::settle(db, &pool.owner, &key.data_key, key.at).await? {
        return Err(AddKeyError::DataKeyChanged);
    }
    let seats = seats(db, pool).await?;
    if let Some(twin) = twin(&seats, key.fingerprint)? {
        return Err(AddKeyError::Duplicate(twin));
    }
    let slot = free_slot(&seats).ok_or(AddKeyError::PoolFull)?;
    let position = pool::take_position(db, pool).await?;
    insert(db, pool, key, slot, position).await?;
    pool::changed(db, pool).await?;
    let added = one(db, &pool.owner, &key.id).await?;
    let added = added.ok_or_else(|| StoreError::Unexpected("no key after it was stored".to_owned()))?;
    audit::enter(db, &pool.owner, act, Deed::key_added(&added)).await?;
    Ok(added)
}

async fn insert(
    db: &mut SqliteConnection,
    pool: &PoolId,
    key: &NewKey,
    slot: i64,
    position: i64,
) -> Result<(), StoreError> {
    let result = sqlx::query(
        "INSERT INTO provider_key (owner_kind, owner_id, provider_id, key_id, slot, position, name, masked, sealed,
                                   fingerprint, enabled, unreadable, domain, created_by, created_at, updated_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, 1, 0, ?11, ?12, ?13, ?13)",
    )
    .bind(pool.owner.kind().as_str())
    .bind(pool.owner.id())
    .bind(pool.provider.as_str())
    .bind(key.id.as_str())
    .bind(slot)
    .bind(position)
    .bind(key.name.as_ref().map(KeyName::as_str))
    .bind(key.masked.as_str())
    .bind(key.sealed.as_slice())
    .bind(key.fingerprint.as_slice())
    .bind(key.domain.as_deref())
    .bind(key.created_by.as_deref())
    .bind(key.at.as_millis())
    .execute(db)
    .await
    .map_err(on_write)?;
    one_row(&result, "storing a key")
}

pub(crate) async fn replace(
    db: &mut SqliteConnection,
    pool: &PoolId,
    key: &KeyId,
    replacement: &KeyReplacement,
    act: &Act,
) -> Result<KeyRecord, ReplaceKeyError> {
    let mut others = seats(db, pool).await?;
    let before = others.len();
    others.retain(|seat| seat.key_id != key.as_str());
    if others.len() == before {
        return Err(ReplaceKeyError::NoKey);
    }
    let used = DataKeyUse::Stored(replacement.data_key.clone());
    if !data_key::settle(db, &pool.owner, &used, replacement.at).await? {
        return Err(ReplaceKeyError::DataKeyChanged);
    }
    if let Some(twin) = twin(&others, replacement.fingerprint)? {
        return Err(ReplaceKeyError::Duplicate(twin));
    }
    let before = one(db, &pool.owner, key).await?.ok_or(ReplaceKeyError::NoKey)?;
    let result = sqlx::query(
        "UPDATE provider_key
         SET name = CASE WHEN ?5 THEN ?6 ELSE name END,
             masked = ?7, sealed = ?8, fingerprint = ?9, unreadable = 0, ailment = NULL, ailment_status = NULL,
             ailment_since = NULL, ailment_until = NULL, ailment_strikes = NULL, probe_claimed_until = NULL,
             domain = ?10, updated_at = ?11
         WHERE owner_kind = ?1 AND owner_id = ?2 AND provider_id = ?3 AND key_id = ?4",
    )
    .bind(pool.owner.kind().as_str())
    .bind(pool.owner.id())
    .bind(pool.provider.as_str())
    .bind(key.as_str())
    .bind(replacement.name.is_some())
    .bind(named(replacement.name.as_ref()))
    .bind(replacement.masked.as_str())
    .bind(replacement.sealed.as_slice())
    .bind(replacement.fingerprint.as_slice())
    .bind(replacement.domain.as_deref())
    .bind(replacement.at.as_millis())
    .execute(&mut *db)
    .await
    .map_err(on_write)?;
    one_row(&result, "replacing a key")?;
    pool::changed(db, pool).await?;
    let replaced = one(db, &pool.owner, key).await?.ok_or(ReplaceKeyError::NoKey)?;
    audit::enter(db, &pool.owner, act, Deed::key_replaced(&before, &replaced)).await?;
    Ok(replaced)
}

/// The name that a change names, if any.
fn named(name: Option<&Option<KeyName>>) -> Option<&str> {
    name.and_then(Option::as_ref).map(KeyName::as_str)
}

pub(crate) async fn change(
    db: &mut SqliteConnection,
    owner: &Owner,
    key: &KeyId,
    change: &KeyChange,
    act: &Act,
) -> Result<KeyRecord, ChangeKeyError> {
    let before = one(db, owner, key).await?.ok_or(ChangeKeyError::NoKey)?;
    let result = sqlx::query(
        "UPDATE provider_key
         SET name = CASE WHEN ?4 THEN ?5 ELSE name END, enabled = coalesce(?6, enabled), updated_at = ?7
         WHERE owner_kind = ?1 AND owner_id = ?2 AND key_id = ?3",
    )
    .bind(owner.kind().as_str())
    .bind(owner.id())
    .bind(key.as_str())
    .bind(change.name.is_some())
    .bind(named(change.name.as_ref()))
    .bind(change.enabled)
    .bind(change.at.as_millis())
    .execute(&mut *db)
    .await
    .map_err(on_write)?;
    if !one_row_or_none(&result, "changing a key")? {
        return Err(ChangeKeyError::NoKey);
    }
    let changed = one(db, owner, key).await?.ok_or(ChangeKeyError::NoKey)?;
    pool::changed(db, &PoolId { owner: owner.clone(), provider: changed.provider.clone() }).await?;
    if let Some(deed) = Deed::key_changed(&before, &changed) {
        audit::enter(db, owner, act, deed).await?;
    }
    Ok(changed)
}

pub(crate) async fn delete(
    db: &mut SqliteConnection,
    pool: &PoolId,
    key: &KeyId,
    act: &Act,
) -> Result<bool, StoreError> {
    let Some(before) = one(db, &pool.owner, key).await? else {
        return Ok(false);
    };
    let result = sqlx::query(
        "DELETE FROM provider_key WHERE owner_kind = ?1 AND owner_id = ?2 AND provider_id = ?3 AND key_id = ?4",
    )
    .bind(pool.owner.kind().as_str())
    .bind(pool.owner.id())
    .bind(pool.provider.as_str())
    .bind(key.as_str())
    .execute(&mut *db)
    .await
    .map_err(on_write)?;
    let deleted = one_row_or_none(&result, "deleting a key")?;
    if deleted {
        pool::changed(db, pool).await?;
        audit::enter(db, &pool.owner, act, Deed::key_deleted(&before)).await?;
    }
    Ok(deleted)
}

pub(crate) async fn delete_all(db: &mut SqliteConnection, pool: &PoolId, act: &Act) -> Result<u64, StoreError> {
    let before = all(&mut *db, &pool.owner).await?;
    let result = sqlx::query("DELETE FROM provider_key WHERE owner_kind = ?1 AND owner_id = ?2 AND provider_id = ?3")
        .bind(pool.owner.kind().as_str())
        .bind(pool.owner.id())
        .bind(pool.provider.as_str())
        .execute(&mut *db)
        .await
        .map_err(on_write)?;
    if result.rows_affected() > 0 {
        pool::changed(db, pool).await?;
    }
    for key in before.iter().filter(|key| key.provider == pool.provider) {
        audit::enter(db, &pool.owner, act, Deed::key_deleted(key)).await?;
    }
    Ok(result.rows_affected())
}

/// Touches no row where the secret was replaced meanwhile, or the key is gone.
pub(crate) async fn mark_readable(
    db: &mut SqliteConnection,
    pool: &PoolId,
    key: &KeyId,
    sealed: &[u8],
    readable: bool,
) -> Result<(), StoreError> {
    let result = sqlx::query(
        "UPDATE provider_key SET unreadable = ?6
         WHERE owner_kind = ?1 AND owner_id = ?2 AND provider_id = ?3 AND key_id = ?4 AND sealed = ?5",
    )
    .bind(pool.owner.kind().as_str())
    .bind(pool.owner.id())
    .bind(pool.provider.as_str())
    .bind(key.as_str())
    .bind(sealed)
    .bind(!readable)
    .execute(db)
    .await
    .map_err(on_write)?;
    one_row_or_none(&result, "marking a key").map(drop)
}
