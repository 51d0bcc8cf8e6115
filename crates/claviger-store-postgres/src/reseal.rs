//! What is sealed under what: tables `installation` and `data_key`, and all that a data key seals.

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use claviger_core::Owner;
use claviger_core::audit::Act;
use claviger_core::owner::PoolId;
use claviger_store::{
    Deed, NodesWithoutIt, Rekey, RekeyedKey, RekeyedWebhook, Replaced, Resealing, SealedDataKey, StoreError,
};
use sqlx::PgConnection;

use crate::connections::{COUNT, READ, TOUCH, WRITE, asked};
use crate::error::{meaning, one_row, one_row_or_none};
use crate::{PostgresStore, audit, data_key, installation, node, owner, pool, read};

#[async_trait]
impl Resealing for PostgresStore {
    async fn replace_canary(
        &self,
        was: &[u8],
        sealed: &[u8],
        without_it: NodesWithoutIt,
        act: &Act,
    ) -> Result<Replaced, StoreError> {
        self.connections.ask(WRITE, |db| asked(replace_canary(db, (was, sealed), without_it, act))).await
    }

    async fn former_canaries(&self) -> Result<Vec<Vec<u8>>, StoreError> {
        self.connections.ask(READ, |db| asked(former_canaries(db))).await
    }

    async fn put_former_canary(&self, sealed: &[u8]) -> Result<(), StoreError> {
        self.connections.ask(TOUCH, |db| asked(put_former_canary(db, sealed))).await
    }

    async fn master_keys(&self) -> Result<Vec<Vec<u8>>, StoreError> {
        // Right after a rotation it walks over what the index still has of all that was sealed anew.
        self.connections.ask(COUNT, |db| asked(master_keys(db))).await
    }

    async fn count_data_keys(&self, master: &[u8]) -> Result<u64, StoreError> {
        self.connections.ask(COUNT, |db| asked(count(db, master, u32::MAX))).await
    }

    async fn count_data_keys_up_to(&self, master: &[u8], most: u32) -> Result<u64, StoreError> {
        self.connections.ask(READ, |db| asked(count(db, master, most))).await
    }

    async fn data_keys_under(
        &self,
        master: &[u8],
        after: Option<&Owner>,
        limit: u32,
    ) -> Result<Vec<SealedDataKey>, StoreError> {
        self.connections.ask(COUNT, |db| asked(under(db, master, after, limit))).await
    }

    async fn reseal_data_key(&self, owner: &Owner, was: &[u8], sealed: &[u8]) -> Result<bool, StoreError> {
        self.connections.ask(WRITE, |db| asked(reseal(db, owner, was, sealed))).await
    }

    async fn rekey(&self, owner: &Owner, rekey: &Rekey, act: &Act) -> Result<bool, StoreError> {
        self.connections.ask(WRITE, |db| asked(self::rekey(db, owner, rekey, act))).await
    }

    // What was replaced stays in dead rows and in the server's own log until PostgreSQL writes over them.
    async fn forget_replaced(&self) {}
}

async fn replace_canary(
    db: &mut PgConnection,
    (was, sealed): (&[u8], &[u8]),
    without_it: NodesWithoutIt,
    act: &Act,
) -> Result<Replaced, StoreError> {
    // Before the canary, as whoever adds a key does.
    owner::lock(db, &Owner::Platform).await?;
    if !installation::lock_canary(db, was).await? {
        return Ok(Replaced::CanaryChanged);
    }
    // Under the lock that a node waits for when it is noted: one that comes later sees this master key in use.
    let mut lacking = node::running(db).await?;
    lacking.retain(|node| !node.has_master_key_of(sealed));
    if without_it == NodesWithoutIt::Wait && !lacking.is_empty() {
        return Ok(Replaced::NodesLackIt(lacking));
    }
    installation::replace_canary(db, sealed).await?;
    put_former_canary(db, was).await?;
    audit::enter(db, &Owner::Platform, act, Deed::master_key_put_into_use(was, sealed)).await?;
    Ok(Replaced::Done)
}

async fn former_canaries(db: &mut PgConnection) -> Result<Vec<Vec<u8>>, StoreError> {
    sqlx::query_scalar("SELECT canary FROM former_master_key ORDER BY master_key_id")
        .fetch_all(db)
        .await
        .map_err(meaning)
}

async fn put_former_canary(db: &mut PgConnection, sealed: &[u8]) -> Result<(), StoreError> {
    let result = sqlx::query(
        "INSERT INTO former_master_key (master_key_id, canary) VALUES (substring($1::bytea, 3, 8), $1)
         ON CONFLICT (master_key_id) DO NOTHING",
    )
    .bind(sealed)
    .execute(db)
    .await
    .map_err(meaning)?;
    one_row_or_none(&result, "keeping a former canary").map(drop)
}

/// Goes from each master key to the next one by the index: a step for each, however many rows there are.
pub(crate) const MASTER_KEYS: &str = "
    WITH RECURSIVE master (id) AS (
        SELECT (SELECT substring(sealed, 3, 8) FROM data_key ORDER BY substring(sealed, 3, 8) LIMIT 1)
        UNION ALL
        SELECT (SELECT substring(sealed, 3, 8) FROM data_key WHERE substring(sealed, 3, 8) > master.id
                ORDER BY substring(sealed, 3, 8) LIMIT 1)
        FROM master WHERE master.id IS NOT NULL
    )
    SELECT id FROM master WHERE id IS NOT NULL";

async fn master_keys(db: &mut PgConnection) -> Result<Vec<Vec<u8>>, StoreError> {
    sqlx::query_scalar(MASTER_KEYS).fetch_all(db).await.map_err(meaning)
}

async fn count(db: &mut PgConnection, master: &[u8], most: u32) -> Result<u64, StoreError> {
    let count: i64 = sqlx::query_scalar(
        "SELECT count(*) FROM (SELECT 1 FROM data_key WHERE substring(sealed, 3, 8) = $1 LIMIT $2) AS counted",
    )
    .bind(master)
    .bind(i64::from(most))
    .fetch_one(db)
    .await
    .map_err(meaning)?;
    Ok(count.cast_unsigned())
}

#[derive(sqlx::FromRow)]
struct DataKeyRow {
    owner_kind: String,
    owner_id: String,
    sealed: Vec<u8>,
}

/// Asked in a way that the index of master keys alone answers in order: by the primary key, which has the same order of
/// owners, a rotation that goes on would first walk over all that is done.
pub(crate) const UNDER: &str = "
    SELECT owner_kind, owner_id, sealed FROM data_key
    WHERE (substring(sealed, 3, 8), owner_kind, owner_id) > ($1, $2, $3) AND substring(sealed, 3, 8) <= $1
    ORDER BY substring(sealed, 3, 8), owner_kind, owner_id LIMIT $4";

async fn under(
    db: &mut PgConnection,
    master: &[u8],
    after: Option<&Owner>,
    limit: u32,
) -> Result<Vec<SealedDataKey>, StoreError> {
    // No kind is empty, so the empty one stands before the first.
    let rows: Vec<DataKeyRow> = sqlx::query_as(UNDER)
        .bind(master)
        .bind(after.map_or("", |owner| owner.kind().as_str()))
        .bind(after.map_or("", Owner::id))
        .bind(i64::from(limit))
        .fetch_all(db)
        .await
        .map_err(meaning)?;
    let data_keys = rows.into_iter().map(|row| {
        let owner = read::owner(&row.owner_kind, &row.owner_id)?;
        Ok(SealedDataKey { owner, sealed: row.sealed })
    });
    data_keys.collect()
}

/// Whether this data key names the master key in use, which stays in use until the transaction ends. Before the first
/// start with a master key, any will do.
pub(crate) async fn is_under_master_key_in_use(db: &mut PgConnection, sealed: &[u8]) -> Result<bool, StoreError> {
    sqlx::query_scalar(
        "SELECT canary IS NULL OR substring(canary, 3, 8) = substring($1::bytea, 3, 8) FROM installation WHERE id = 1
         FOR SHARE",
    )
    .bind(sealed)
    .fetch_one(db)
    .await
    .map_err(meaning)
}

async fn reseal(db: &mut PgConnection, owner: &Owner, was: &[u8], sealed: &[u8]) -> Result<bool, StoreError> {
    if !owner::lock(db, owner).await? {
        return Ok(false);
    }
    if !is_under_master_key_in_use(db, sealed).await? {
        return Ok(false);
    }
    let result = sqlx::query("UPDATE data_key SET sealed = $4 WHERE owner_kind = $1 AND owner_id = $2 AND sealed = $3")
        .bind(owner.kind().as_str())
        .bind(owner.id())
        .bind(was)
        .bind(sealed)
        .execute(db)
        .await
        .map_err(meaning)?;
    one_row_or_none(&result, "sealing a data key anew")
}

/// The owner's lock makes this the only change of the owner's, so what was checked stays true until the commit.
async fn rekey(db: &mut PgConnection, owner: &Owner, rekey: &Rekey, act: &Act) -> Result<bool, StoreError> {
    let is_same = owner::lock(db, owner).await?
        && data_key::sealed(db, owner).await?.as_deref() == Some(&rekey.was)
        && is_under_master_key_in_use(db, &rekey.data_key).await?
        && keys(db, owner).await? == rekey.keys.iter().map(|key| (key.id.to_string(), key.was.clone())).collect()
        && webhooks(db, owner).await?
            == rekey.webhooks.iter().map(|hook| (hook.id.to_string(), hook.was.clone())).collect();
    if !is_same {
        return Ok(false);
    }
    for key in &rekey.keys {
        put_key(db, owner, key).await?;
    }
    for webhook in &rekey.webhooks {
        put_webhook(db, owner, webhook).await?;
    }
    let result =
        sqlx::query("UPDATE data_key SET sealed = $3, created_at = $4 WHERE owner_kind = $1 AND owner_id = $2")
            .bind(owner.kind().as_str())
            .bind(owner.id())
            .bind(rekey.data_key.as_slice())
            .bind(rekey.at.as_millis())
            .execute(&mut *db)
            .await
            .map_err(meaning)?;
    one_row(&result, "storing a new data key")?;
    for provider in rekey.keys.iter().map(|key| &key.provider).collect::<BTreeSet<_>>() {
        pool::changed(db, &PoolId { owner: owner.clone(), provider: provider.clone() }).await?;
    }
    audit::enter(db, owner, act, Deed::rekeyed(owner, rekey)).await?;
    Ok(true)
}

/// Sealed secrets by what they are of.
type Sealed = BTreeMap<String, Vec<u8>>;

async fn keys(db: &mut PgConnection, owner: &Owner) -> Result<Sealed, StoreError> {
    let rows: Vec<(String, Vec<u8>)> =
        sqlx::query_as("SELECT key_id, sealed FROM provider_key WHERE owner_kind = $1 AND owner_id = $2")
            .bind(owner.kind().as_str())
            .bind(owner.id())
            .fetch_all(db)
            .await
            .map_err(meaning)?;
    Ok(rows.into_iter().collect())
}

async fn webhooks(db: &mut PgConnection, owner: &Owner) -> Result<Sealed, StoreError> {
    let rows: Vec<(String, Vec<u8>)> =
        sqlx::query_as("SELECT webhook_id, sealed FROM webhook WHERE owner_kind = $1 AND owner_id = $2")
            .bind(owner.kind().as_str())
            .bind(owner.id())
            .fetch_all(db)
            .await
            .map_err(meaning)?;
    Ok(rows.into_iter().collect())
}

async fn put_key(db: &mut PgConnection, owner: &Owner, key: &RekeyedKey) -> Result<(), StoreError> {
    let result = sqlx::query(
        "UPDATE provider_key SET sealed = $5, fingerprint = $6
         WHERE owner_kind = $1 AND owner_id = $2 AND provider_id = $3 AND key_id = $4",
    )
    .bind(owner.kind().as_str())
    .bind(owner.id())
    .bind(key.provider.as_str())
    .bind(key.id.as_str())
    .bind(key.sealed.as_slice())
    .bind(key.fingerprint.as_slice())
    .execute(db)
    .await
    .map_err(meaning)?;
    one_row(&result, "sealing a key anew")
}

async fn put_webhook(db: &mut PgConnection, owner: &Owner, webhook: &RekeyedWebhook) -> Result<(), StoreError> {
    let result =
        sqlx::query("UPDATE webhook SET sealed = $4 WHERE owner_kind = $1 AND owner_id = $2 AND webhook_id = $3")
            .bind(owner.kind().as_str())
            .bind(owner.id())
            .bind(webhook.id.as_str())
            .bind(webhook.sealed.as_slice())
            .execute(db)
            .await
            .map_err(meaning)?;
    one_row(&result, "sealing a webhook's secret anew")
}
