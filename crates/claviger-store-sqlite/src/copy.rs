//! Owners with everything that belongs to them, on their way to another database.

mod put;

use std::iter::{Peekable, from_fn};
use std::vec::IntoIter;

use claviger_core::Owner;
use claviger_store::{
    Counts, DataKeyCopy, KeyCopy, KeyRecord, OwnerCopy, OwnerKindCopy, Page, PoolCopy, StoreError, TokenRecord, Webhook,
};
use sqlx::{SqliteConnection, SqliteExecutor};

use crate::error::{malformed, on_read};
use crate::key::{KeyRow, key_columns};
use crate::read;
use crate::token::TokenRow;
use crate::webhook::WebhookRow;

pub(crate) use put::put;

#[derive(sqlx::FromRow)]
struct CountsRow {
    organizations: i64,
    workspaces: i64,
    data_keys: i64,
    pools: i64,
    keys: i64,
    tokens: i64,
    webhooks: i64,
}

pub(crate) async fn counts(db: impl SqliteExecutor<'_>) -> Result<Counts, StoreError> {
    let row: CountsRow = sqlx::query_as(
        "SELECT (SELECT count(*) FROM organization) AS organizations,
                (SELECT count(*) FROM workspace) AS workspaces,
                (SELECT count(*) FROM data_key) AS data_keys,
                (SELECT count(*) FROM pool) AS pools,
                (SELECT count(*) FROM provider_key) AS keys,
                (SELECT count(*) FROM token) AS tokens,
                (SELECT count(*) FROM webhook) AS webhooks",
    )
    .fetch_one(db)
    .await
    .map_err(on_read)?;
    Ok(row.counts())
}

pub(crate) async fn counts_up_to(db: impl SqliteExecutor<'_>, most: u32) -> Result<Counts, StoreError> {
    let row: CountsRow = sqlx::query_as(
        "SELECT (SELECT count(*) FROM (SELECT 1 FROM organization LIMIT ?1)) AS organizations,
                (SELECT count(*) FROM (SELECT 1 FROM workspace LIMIT ?1)) AS workspaces,
                (SELECT count(*) FROM (SELECT 1 FROM data_key LIMIT ?1)) AS data_keys,
                (SELECT count(*) FROM (SELECT 1 FROM pool LIMIT ?1)) AS pools,
                (SELECT count(*) FROM (SELECT 1 FROM provider_key LIMIT ?1)) AS keys,
                (SELECT count(*) FROM (SELECT 1 FROM token LIMIT ?1)) AS tokens,
                (SELECT count(*) FROM (SELECT 1 FROM webhook LIMIT ?1)) AS webhooks",
    )
    .bind(most)
    .fetch_one(db)
    .await
    .map_err(on_read)?;
    Ok(row.counts())
}

impl CountsRow {
    fn counts(&self) -> Counts {
        Counts {
            organizations: self.organizations.cast_unsigned(),
            workspaces: self.workspaces.cast_unsigned(),
            data_keys: self.data_keys.cast_unsigned(),
            pools: self.pools.cast_unsigned(),
            keys: self.keys.cast_unsigned(),
            tokens: self.tokens.cast_unsigned(),
            webhooks: self.webhooks.cast_unsigned(),
        }
    }
}

#[derive(sqlx::FromRow)]
struct OwnerRow {
    owner_kind: String,
    owner_id: String,
    name: Option<String>,
    created_at: Option<i64>,
    organization_id: Option<String>,
    keys_enabled: Option<bool>,
    data_key: Option<Vec<u8>>,
    data_key_created_at: Option<i64>,
}

impl OwnerRow {
    fn kind(&self, owner: &Owner) -> Result<OwnerKindCopy, StoreError> {
        let name = self.name.clone();
        let created_at = self.created_at.map(read::date);
        match (owner, created_at, self.keys_enabled) {
            (Owner::Workspace(_), Some(created_at), None) => {
                let organization = read::organization(self.organization_id.as_deref())?;
                Ok(OwnerKindCopy::Workspace { name, organization, created_at })
            }
            (Owner::Organization(_), Some(created_at), Some(keys_enabled)) => {
                Ok(OwnerKindCopy::Organization { name, keys_enabled, created_at })
            }
            (Owner::Platform, None, None) => Ok(OwnerKindCopy::Platform),
            _ => Err(malformed("an owner")),
        }
    }

    fn data_key(&mut self) -> Option<DataKeyCopy> {
        let (sealed, created_at) = self.data_key.take().zip(self.data_key_created_at)?;
        Some(DataKeyCopy { sealed, created_at: read::date(created_at) })
    }
}

#[derive(sqlx::FromRow)]
struct PoolRow {
    owner_kind: String,
    owner_id: String,
    provider_id: String,
    generation: i64,
    next_position: i64,
}

#[derive(sqlx::FromRow)]
struct KeyCopyRow {
    owner_kind: String,
    owner_id: String,
    slot: i64,
    position: i64,
    sealed: Vec<u8>,
    fingerprint: Vec<u8>,
    #[sqlx(flatten)]
    record: KeyRow,
}

impl TryFrom<KeyCopyRow> for KeyCopy {
    type Error = StoreError;

    fn try_from(row: KeyCopyRow) -> Result<Self, StoreError> {
        Ok(Self {
            record: KeyRecord::try_from(row.record)?,
            slot: u8::try_from(row.slot).map_err(|_| malformed("a key's slot"))?,
            position: read::position(row.position)?,
            sealed: row.sealed,
            fingerprint: read::bytes(&row.fingerprint, "a key's fingerprint")?,
        })
    }
}

/// Rows of several owners in the owners' order, of which those at the front are taken owner by owner.
struct InOrder<T>(Peekable<IntoIter<T>>);

impl<T> InOrder<T> {
    fn new(rows: Vec<T>) -> Self {
        Self(rows.into_iter().peekable())
    }

    fn take(&mut self, belongs: impl Fn(&T) -> bool) -> impl Iterator<Item = T> {
        from_fn(move || self.0.next_if(&belongs))
    }

    /// A row that nobody took would be missing in the copy.
    fn end(mut self) -> Result<(), StoreError> {
        if self.0.peek().is_some() { Err(malformed("a row of no owner")) } else { Ok(()) }
    }
}

/// Owners as they are at one instant; the caller has begun a transaction. Five statements, however long the page.
pub(crate) async fn page(db: &mut SqliteConnection, page: &Page<Owner>) -> Result<Vec<OwnerCopy>, StoreError> {
    // No kind is empty, so the empty one stands before the first.
    let after = page.after.as_ref().map_or(("", ""), |owner| (owner.kind().as_str(), owner.id()));
    let owners = owner_rows(db, after, page.limit).await?;
    let Some(last) = owners.last().map(|row| (row.owner_kind.clone(), row.owner_id.clone())) else {
        return Ok(Vec::new());
    };
    let last = (last.0.as_str(), last.1.as_str());
    let mut pools = InOrder::new(pool_rows(db, after, last).await?);
    let mut keys = InOrder::new(key_rows(db, after, last).await?);
    let mut tokens = InOrder::new(token_rows(db, after, last).await?);
    let mut webhooks = InOrder::new(webhook_rows(db, after, last).await?);
    let mut copies = Vec::with_capacity(owners.len());
    for row in owners {
        copies.push(one(row, &mut pools, &mut keys, &mut tokens, &mut webhooks)?);
    }
    pools.end()?;
    keys.end()?;
    tokens.end()?;
    webhooks.end()?;
    Ok(copies)
}

fn one(
    mut row: OwnerRow,
    pools: &mut InOrder<PoolRow>,
    keys: &mut InOrder<KeyCopyRow>,
    tokens: &mut InOrder<TokenRow>,
    webhooks: &mut InOrder<WebhookRow>,
) -> Result<OwnerCopy, StoreError> {
    let owner = read::owner(&row.owner_kind, &row.owner_id)?;
    let is_its = |kind: &str, id: &str| kind == row.owner_kind && id == row.owner_id;
    let mut pool_copies = Vec::new();
    for pool in pools.take(|pool| is_its(&pool.owner_kind, &pool.owner_id)) {
        let of_pool =
            |key: &KeyCopyRow| is_its(&key.owner_kind, &key.owner_id) && key.record.provider_id == pool.provider_id;
        pool_copies.push(PoolCopy {
            provider: read::id(&pool.provider_id, "a pool's provider")?,
            generation: u64::try_from(pool.generation).map_err(|_| malformed("a pool's generation"))?,
            next_position: read::position(pool.next_position)?,
            keys: keys.take(of_pool).map(KeyCopy::try_from).collect::<Result<_, _>>()?,
        });
    }
    let tokens = tokens.take(|token| is_its(&token.owner_kind, &token.owner_id)).map(TokenRecord::try_from);
    let tokens = tokens.collect::<Result<_, _>>()?;
    let webhooks = webhooks.take(|webhook| is_its(&webhook.owner_kind, &webhook.owner_id)).map(Webhook::try_from);
    let webhooks = webhooks.collect::<Result<_, _>>()?;
    Ok(OwnerCopy { kind: row.kind(&owner)?, data_key: row.data_key(), owner, pools: pool_copies, tokens, webhooks })
}

/// An owner's kind and id, by which owners are ordered.
type Place<'a> = (&'a str, &'a str);

async fn owner_rows(db: &mut SqliteConnection, after: Place<'_>, limit: u32) -> Result<Vec<OwnerRow>, StoreError> {
    sqlx::query_as(
        "SELECT owner.owner_kind, owner.owner_id,
                coalesce(workspace.name, organization.name) AS name,
                coalesce(workspace.created_at, organization.created_at) AS created_at,
                workspace.organization_id, organization.keys_enabled,
                data_key.sealed AS data_key, data_key.created_at AS data_key_created_at
         FROM owner
         LEFT JOIN workspace
                ON workspace.owner_kind = owner.owner_kind AND workspace.owner_id = owner.owner_id
         LEFT JOIN organization
                ON organization.owner_kind = owner.owner_kind AND organization.owner_id = owner.owner_id
         LEFT JOIN data_key ON data_key.owner_kind = owner.owner_kind AND data_key.owner_id = owner.owner_id
         WHERE (owner.owner_kind, owner.owner_id) > (?1, ?2)
         ORDER BY owner.owner_kind, owner.owner_id LIMIT ?3",
    )
    .bind(after.0)
    .bind(after.1)
    .bind(limit)
    .fetch_all(db)
    .await
    .map_err(on_read)
}

async fn pool_rows(db: &mut SqliteConnection, after: Place<'_>, last: Place<'_>) -> Result<Vec<PoolRow>, StoreError> {
    sqlx::query_as(
        "SELECT owner_kind, owner_id, provider_id, generation, next_position FROM pool
         WHERE (owner_kind, owner_id) > (?1, ?2) AND (owner_kind, owner_id) <= (?3, ?4)
         ORDER BY owner_kind, owner_id, provider_id",
    )
    .bind(after.0)
    .bind(after.1)
    .bind(last.0)
    .bind(last.1)
    .fetch_all(db)
    .await
    .map_err(on_read)
}

async fn key_rows(db: &mut SqliteConnection, after: Place<'_>, last: Place<'_>) -> Result<Vec<KeyCopyRow>, StoreError> {
    sqlx::query_as(concat!(
        "SELECT owner_kind, owner_id, slot, position, sealed, fingerprint, ",
        key_columns!(),
        " FROM provider_key
         WHERE (owner_kind, owner_id) > (?1, ?2) AND (owner_kind, owner_id) <= (?3, ?4)
         ORDER BY owner_kind, owner_id, provider_id, position",
    ))
    .bind(after.0)
    .bind(after.1)
    .bind(last.0)
    .bind(last.1)
    .fetch_all(db)
    .await
    .map_err(on_read)
}

async fn token_rows(db: &mut SqliteConnection, after: Place<'_>, last: Place<'_>) -> Result<Vec<TokenRow>, StoreError> {
    sqlx::query_as(
        "SELECT owner_kind, owner_id, token_id, hash, name, role, reveal, expires_at, created_at FROM token
         WHERE (owner_kind, owner_id) > (?1, ?2) AND (owner_kind, owner_id) <= (?3, ?4)
         ORDER BY owner_kind, owner_id, token_id",
    )
    .bind(after.0)
    .bind(after.1)
    .bind(last.0)
    .bind(last.1)
    .fetch_all(db)
    .await
    .map_err(on_read)
}

async fn webhook_rows(
    db: &mut SqliteConnection,
    after: Place<'_>,
    last: Place<'_>,
) -> Result<Vec<WebhookRow>, StoreError> {
    sqlx::query_as(
        "SELECT owner_kind, owner_id, webhook_id, url, sealed, events, created_by, created_at FROM webhook
         WHERE (owner_kind, owner_id) > (?1, ?2) AND (owner_kind, owner_id) <= (?3, ?4)
         ORDER BY owner_kind, owner_id, webhook_id",
    )
    .bind(after.0)
    .bind(after.1)
    .bind(last.0)
    .bind(last.1)
    .fetch_all(db)
    .await
    .map_err(on_read)
}
