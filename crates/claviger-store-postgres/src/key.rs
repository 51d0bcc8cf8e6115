//! Table `provider_key`.

use claviger_core::audit::Act;
use claviger_core::owner::PoolId;
use claviger_core::pool::POOL_CAPACITY;
use claviger_core::{KeyId, KeyName, KeyStatus, Owner};
use claviger_store::{
    AddKeyError, ChangeKeyError, DataKeyUse, Deed, KeyChange, KeyRecord, KeyReplacement, NewKey, ReplaceKeyError,
    StoreError,
};
use sqlx::PgConnection;

use crate::error::{malformed, meaning, one_row_or_none};
use crate::health::{AilmentRow, CountsRow};
use crate::{audit, change as feed, data_key, owner, pool, read};

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
    pub(crate) key_id: String,
    pub(crate) provider_id: String,
    pub(crate) name: Option<String>,
    pub(crate) masked: String,
    pub(crate) enabled: bool,
    pub(crate) unreadable: bool,
    #[sqlx(flatten)]
    ailment: AilmentRow,
    domain: Option<String>,
    #[sqlx(flatten)]
    counts: CountsRow,
    pub(crate) created_by: Option<String>,
    pub(crate) created_at: i64,
    pub(crate) updated_at: i64,
    pub(crate) last_used_at: Option<i64>,
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
    slot: i16,
    fingerprint: Vec<u8>,
}

async fn seats(db: &mut PgConnection, pool: &PoolId) -> Result<Vec<Seat>, StoreError> {
    sqlx::query_as(
        "SELECT key_id, slot, fingerprint FROM provider_key
         WHERE owner_kind = $1 AND owner_id = $2 AND provider_id = $3",
    )
    .bind(pool.owner.kind().as_str())
    .bind(pool.owner.id())
    .bind(pool.provider.as_str())
    .fetch_all(db)
    .await
    .map_err(meaning)
}

/// The key that has this secret.
fn twin(seats: &[Seat], fingerprint: [u8; 32]) -> Result<Option<KeyId>, StoreError> {
    let twin = seats.iter().find(|seat| seat.fingerprint == fingerprint);
    twin.map(|seat| read::id(&seat.key_id, "a key's id")).transpose()
}

/// The lowest slot that no key has.
fn free_slot(seats: &[Seat]) -> Option<i16> {
    (0_i16..).take(POOL_CAPACITY).find(|slot| seats.iter().all(|seat| seat.slot != *slot))
}

pub(crate) async fn all(db: &mut PgConnection, owner: &Owner) -> Result<Vec<KeyRecord>, StoreError> {
    let rows: Vec<KeyRow> = sqlx::query_as(concat!(
        "SELECT ",
        key_columns!(),
        " FROM provider_key WHERE owner_kind = $1 AND owner_id = $2 ORDER BY provider_id, position",
    ))
    .bind(owner.kind().as_str())
    .bind(owner.id())
    .fetch_all(db)
    .await
    .map_err(meaning)?;
    rows.into_iter().map(KeyRecord::try_from).collect()
}

async fn one(db: &mut PgConnection, owner: &Owner, key: &KeyId) -> Result<Option<KeyRecord>, StoreError> {
    let row: Option<KeyRow> = sqlx::query_as(concat!(
        "SELECT ",
        key_columns!(),
        " FROM provider_key WHERE owner_kind = $1 AND owner_id = $2 AND key_id = $3",
    ))
    .bind(owner.kind().as_str())
    .bind(owner.id())
    .bind(key.as_str())
    .fetch_optional(db)
    .await
    .map_err(meaning)?;
    row.map(KeyRecord::try_from).transpose()
}

/// The owner's lock makes this the only change of the owner's, so what was checked stays true until the commit; the
/// schema's constraints stand behind every check.
pub(crate) async fn add(
    db: &mut PgConnection,
    pool: &PoolId,
    key: &NewKey,
    act: &Act,
) -> Result<KeyRecord, AddKeyError> {
    if !owner::lock(db, &pool.owner).await? {
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
    let added = insert(db, pool, key, slot, position).await?;
    feed::pool(db, pool).await?;
    audit::enter(db, &pool.owner, act, Deed::key_added(&added)).await?;
    Ok(added)
}

async fn insert(
    db: &mut PgConnection,
    pool: &PoolId,
    key: &NewKey,
    slot: i16,
    position: i64,
) -> Result<KeyRecord, StoreError> {
    let row: KeyRow = sqlx::query_as(concat!(
        "INSERT INTO provider_key (owner_kind, owner_id, provider_id, key_id, slot, position, name, masked, sealed,
                                   fingerprint, enabled, unreadable, domain, created_by, created_at, updated_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, true, false, $11, $12, $13, $13)
         RETURNING ",
        key_columns!(),
    ))
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
    .fetch_one(db)
    .await
    .map_err(meaning)?;
    row.try_into()
}

pub(crate) async fn replace(
    db: &mut PgConnection,
    pool: &PoolId,
    key: &KeyId,
    replacement: &KeyReplacement,
    act: &Act,
) -> Result<KeyRecord, ReplaceKeyError> {
    if !owner::lock(db, &pool.owner).await? {
        return Err(ReplaceKeyError::NoKey);
    }
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
    let row: KeyRow = sqlx::query_as(concat!(
        "UPDATE provider_key
         SET name = CASE WHEN $5 THEN $6 ELSE name END,
             masked = $7, sealed = $8, fingerprint = $9, unreadable = false, ailment = NULL, ailment_status = NULL,
             ailment_since = NULL, ailment_until = NULL, ailment_strikes = NULL, probe_claimed_until = NULL,
             domain = $10, updated_at = $11
         WHERE owner_kind = $1 AND owner_id = $2 AND provider_id = $3 AND key_id = $4
         RETURNING ",
        key_columns!(),
    ))
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
    .fetch_one(&mut *db)
    .await
    .map_err(meaning)?;
    pool::changed(db, pool).await?;
    let replaced = row.try_into()?;
    audit::enter(db, &pool.owner, act, Deed::key_replaced(&before, &replaced)).await?;
    Ok(replaced)
}

/// The name that a change names, if any.
fn named(name: Option<&Option<KeyName>>) -> Option<&str> {
    name.and_then(Option::as_ref).map(KeyName::as_str)
}

pub(crate) async fn change(
    db: &mut PgConnection,
    owner: &Owner,
    key: &KeyId,
    change: &KeyChange,
    act: &Act,
) -> Result<KeyRecord, ChangeKeyError> {
    if !owner::lock(db, owner).await? {
        return Err(ChangeKeyError::NoKey);
    }
    let before = one(db, owner, key).await?.ok_or(ChangeKeyError::NoKey)?;
    let row: Option<KeyRow> = sqlx::query_as(concat!(
        "UPDATE provider_key
         SET name = CASE WHEN $4 THEN $5 ELSE name END, enabled = coalesce($6, enabled), updated_at = $7
         WHERE owner_kind = $1 AND owner_id = $2 AND key_id = $3
         RETURNING ",
        key_columns!(),
    ))
    .bind(owner.kind().as_str())
    .bind(owner.id())
    .bind(key.as_str())
    .bind(change.name.is_some())
    .bind(named(change.name.as_ref()))
    .bind(change.enabled)
    .bind(change.at.as_millis())
    .fetch_optional(&mut *db)
    .await
    .map_err(meaning)?;
    let changed: KeyRecord = row.ok_or(ChangeKeyError::NoKey)?.try_into()?;
    pool::changed(db, &PoolId { owner: owner.clone(), provider: changed.provider.clone() }).await?;
    if let Some(deed) = Deed::key_changed(&before, &changed) {
        audit::enter(db, owner, act, deed).await?;
    }
    Ok(changed)
}

pub(crate) async fn delete(db: &mut PgConnection, pool: &PoolId, key: &KeyId, act: &Act) -> Result<bool, StoreError> {
    if !owner::lock(db, &pool.owner).await? {
        return Ok(false);
    }
    let Some(before) = one(db, &pool.owner, key).await? else {
        return Ok(false);
    };
    let result = sqlx::query(
        "DELETE FROM provider_key WHERE owner_kind = $1 AND owner_id = $2 AND provider_id = $3 AND key_id = $4",
    )
    .bind(pool.owner.kind().as_str())
    .bind(pool.owner.id())
    .bind(pool.provider.as_str())
    .bind(key.as_str())
    .execute(&mut *db)
    .await
    .map_err(meaning)?;
    let deleted = one_row_or_none(&result, "deleting a key")?;
    if deleted {
        pool::changed(db, pool).await?;
        audit::enter(db, &pool.owner, act, Deed::key_deleted(&before)).await?;
    }
    Ok(deleted)
}

pub(crate) async fn delete_all(db: &mut PgConnection, pool: &PoolId, act: &Act) -> Result<u64, StoreError> {
    if !owner::lock(db, &pool.owner).await? {
        return Ok(0);
    }
    let before = all(&mut *db, &pool.owner).await?;
    let result = sqlx::query("DELETE FROM provider_key WHERE owner_kind = $1 AND owner_id = $2 AND provider_id = $3")
        .bind(pool.owner.kind().as_str())
        .bind(pool.owner.id())
        .bind(pool.provider.as_str())
        .execute(&mut *db)
        .await
        .map_err(meaning)?;
    if result.rows_affected() > 0 {
        pool::changed(db, pool).await?;
    }
    for key in before.iter().filter(|key| key.provider == pool.provider) {
        audit::enter(db, &pool.owner, act, Deed::key_deleted(key)).await?;
    }
    Ok(result.rows_affected())
}
