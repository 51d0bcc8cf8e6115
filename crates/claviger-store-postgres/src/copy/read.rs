//! Owners on their way out: a statement for the owners, and one each for pools, keys, tokens and webhooks.

use std::collections::HashMap;

use claviger_core::Owner;
use claviger_store::{
    DataKeyCopy, KeyCopy, OwnerCopy, OwnerKindCopy, Page, PoolCopy, StoreError, TokenRecord, Webhook,
};
use sqlx::PgConnection;
use sqlx::postgres::PgRow;

use crate::error::{malformed, meaning};
use crate::key::{KeyRow, key_columns};
use crate::owner::Owners;
use crate::read;
use crate::token::TokenRow;
use crate::webhook::WebhookRow;

/// Asks a table for the rows of some owners. The text has two parameters: the kinds and the ids of the owners, which it
/// joins. (A range of owners, as two comparisons of both columns, would be read from the wrong end: PostgreSQL begins at
/// one of the two bounds only, and walks half the table to the other.)
async fn rows_of<Row>(db: &mut PgConnection, owners: &Owners<'_>, text: &'static str) -> Result<Vec<Row>, StoreError>
where
    Row: for<'r> sqlx::FromRow<'r, PgRow> + Send + Unpin,
{
    sqlx::query_as(text).bind(&owners.kinds).bind(&owners.ids).fetch_all(db).await.map_err(meaning)
}

pub(crate) async fn owners(db: &mut PgConnection, page: &Page<Owner>) -> Result<Vec<OwnerCopy>, StoreError> {
    // No kind is empty, so the empty one stands before the first.
    let after = page
        .after
        .as_ref()
        .map_or((String::new(), String::new()), |owner| (owner.kind().as_str().to_owned(), owner.id().to_owned()));
    let rows = owner_rows(db, &after, page.limit).await?;
    let mut owners = rows.into_iter().map(OwnerCopy::try_from).collect::<Result<Vec<_>, _>>()?;
    let mut named = Owners::default();
    for copy in &owners {
        named.push(&copy.owner);
    }
    let (pools, keys, tokens) = (pools(db, &named).await?, keys(db, &named).await?, tokens(db, &named).await?);
    let webhooks = webhooks(db, &named).await?;
    let places: HashMap<Owner, usize> =
        owners.iter().enumerate().map(|(place, copy)| (copy.owner.clone(), place)).collect();
    let place_of = |kind: &str, id: &str| {
        let place = places.get(&read::owner(kind, id)?);
        place.copied().ok_or_else(|| malformed("an owner's kind"))
    };
    for row in pools {
        let place = place_of(&row.owner_kind, &row.owner_id)?;
        owners[place].pools.push(row.try_into()?);
    }
    for row in keys {
        let place = place_of(&row.owner_kind, &row.owner_id)?;
        let key = KeyCopy::try_from(row)?;
        let pool = owners[place].pools.iter_mut().find(|pool| pool.provider == key.record.provider);
        pool.ok_or_else(|| malformed("a key's pool"))?.keys.push(key);
    }
    for row in tokens {
        let place = place_of(&row.owner_kind, &row.owner_id)?;
        owners[place].tokens.push(TokenRecord::try_from(row)?);
    }
    for row in webhooks {
        let place = place_of(&row.owner_kind, &row.owner_id)?;
        owners[place].webhooks.push(Webhook::try_from(row)?);
    }
    Ok(owners)
}

#[derive(sqlx::FromRow)]
struct OwnerRow {
    owner_kind: String,
    owner_id: String,
    name: Option<String>,
    organization_id: Option<String>,
    keys_enabled: Option<bool>,
    created_at: Option<i64>,
    data_key: Option<Vec<u8>>,
    data_key_created_at: Option<i64>,
}

impl TryFrom<OwnerRow> for OwnerCopy {
    type Error = StoreError;

    fn try_from(row: OwnerRow) -> Result<Self, StoreError> {
        let owner = read::owner(&row.owner_kind, &row.owner_id)?;
        let kind = match (&owner, row.created_at.map(read::date), row.keys_enabled) {
            (Owner::Workspace(_), Some(created_at), None) => {
                let organization = row.organization_id.as_deref();
                let organization = organization.map(|id| read::id(id, "a workspace's organization")).transpose()?;
                OwnerKindCopy::Workspace { name: row.name, organization, created_at }
            }
            (Owner::Organization(_), Some(created_at), Some(keys_enabled)) => {
                OwnerKindCopy::Organization { name: row.name, keys_enabled, created_at }
            }
            (Owner::Platform, None, None) => OwnerKindCopy::Platform,
            _ => return Err(malformed("an owner")),
        };
        let data_key = match (row.data_key, row.data_key_created_at) {
            (Some(sealed), Some(created_at)) => Some(DataKeyCopy { sealed, created_at: read::date(created_at) }),
            _ => None,
        };
        Ok(Self { owner, kind, data_key, pools: Vec::new(), tokens: Vec::new(), webhooks: Vec::new() })
    }
}

async fn owner_rows(db: &mut PgConnection, after: &(String, String), limit: u32) -> Result<Vec<OwnerRow>, StoreError> {
    sqlx::query_as(
        "SELECT owner.owner_kind, owner.owner_id, coalesce(workspace.name, organization.name) AS name,
                workspace.organization_id, organization.keys_enabled,
                coalesce(workspace.created_at, organization.created_at) AS created_at,
                data_key.sealed AS data_key, data_key.created_at AS data_key_created_at
         FROM (SELECT owner_kind, owner_id FROM owner WHERE (owner_kind, owner_id) > ($1, $2)
               ORDER BY owner_kind, owner_id LIMIT $3) AS owner
         LEFT JOIN workspace USING (owner_kind, owner_id)
         LEFT JOIN organization USING (owner_kind, owner_id)
         LEFT JOIN data_key USING (owner_kind, owner_id)
         ORDER BY owner.owner_kind, owner.owner_id",
    )
    .bind(&after.0)
    .bind(&after.1)
    .bind(i64::from(limit))
    .fetch_all(db)
    .await
    .map_err(meaning)
}

#[derive(sqlx::FromRow)]
struct PoolCopyRow {
    owner_kind: String,
    owner_id: String,
    provider_id: String,
    generation: i64,
    next_position: i64,
}

impl TryFrom<PoolCopyRow> for PoolCopy {
    type Error = StoreError;

    fn try_from(row: PoolCopyRow) -> Result<Self, StoreError> {
        Ok(Self {
            provider: read::id(&row.provider_id, "a pool's provider")?,
            generation: read::number(row.generation, "a pool's generation")?,
            next_position: read::position(row.next_position)?,
            keys: Vec::new(),
        })
    }
}

pub(crate) const POOLS: &str = "SELECT owner_kind, owner_id, provider_id, generation, next_position
     FROM unnest($1::text[], $2::text[]) AS page (owner_kind, owner_id) JOIN pool USING (owner_kind, owner_id)
     ORDER BY provider_id";

async fn pools(db: &mut PgConnection, owners: &Owners<'_>) -> Result<Vec<PoolCopyRow>, StoreError> {
    rows_of(db, owners, POOLS).await
}

#[derive(sqlx::FromRow)]
struct KeyCopyRow {
    owner_kind: String,
    owner_id: String,
    slot: i16,
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
            record: row.record.try_into()?,
            slot: u8::try_from(row.slot).map_err(|_| malformed("a key's slot"))?,
            position: read::position(row.position)?,
            sealed: row.sealed,
            fingerprint: read::bytes(&row.fingerprint, "a key's fingerprint")?,
        })
    }
}

pub(crate) const KEYS: &str = concat!(
    "SELECT owner_kind, owner_id, slot, position, sealed, fingerprint, ",
    key_columns!(),
    " FROM unnest($1::text[], $2::text[]) AS page (owner_kind, owner_id) JOIN provider_key USING (owner_kind, owner_id)
     ORDER BY provider_id, position",
);

async fn keys(db: &mut PgConnection, owners: &Owners<'_>) -> Result<Vec<KeyCopyRow>, StoreError> {
    rows_of(db, owners, KEYS).await
}

pub(crate) const TOKENS: &str =
    "SELECT owner_kind, owner_id, token_id, hash, name, role, reveal, expires_at, created_at
     FROM unnest($1::text[], $2::text[]) AS page (owner_kind, owner_id) JOIN token USING (owner_kind, owner_id)
     ORDER BY token_id";

async fn tokens(db: &mut PgConnection, owners: &Owners<'_>) -> Result<Vec<TokenRow>, StoreError> {
    rows_of(db, owners, TOKENS).await
}

pub(crate) const WEBHOOKS: &str = "SELECT owner_kind, owner_id, webhook_id, url, sealed, events, created_by, created_at
     FROM unnest($1::text[], $2::text[]) AS page (owner_kind, owner_id) JOIN webhook USING (owner_kind, owner_id)
     ORDER BY webhook_id";

async fn webhooks(db: &mut PgConnection, owners: &Owners<'_>) -> Result<Vec<WebhookRow>, StoreError> {
    rows_of(db, owners, WEBHOOKS).await
}
