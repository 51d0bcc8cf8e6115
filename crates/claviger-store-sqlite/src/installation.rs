//! Table `installation`: the canary and the root token's hash.

use claviger_store::StoreError;
use sqlx::{SqliteConnection, SqliteExecutor};

use crate::error::{on_read, on_write, one_row};
use crate::read;

pub(crate) async fn canary(db: impl SqliteExecutor<'_>) -> Result<Option<Vec<u8>>, StoreError> {
    sqlx::query_scalar("SELECT canary FROM installation WHERE id = 1").fetch_one(db).await.map_err(on_read)
}

pub(crate) async fn put_canary_if_absent(db: &mut SqliteConnection, sealed: &[u8]) -> Result<Vec<u8>, StoreError> {
    // No row affected: there is one already.
    sqlx::query("UPDATE installation SET canary = ?1 WHERE id = 1 AND canary IS NULL")
        .bind(sealed)
        .execute(&mut *db)
        .await
        .map_err(on_write)?;
    canary(db).await?.ok_or_else(|| StoreError::Unexpected("no canary after it was stored".to_owned()))
}

pub(crate) async fn replace_canary(db: &mut SqliteConnection, sealed: &[u8]) -> Result<(), StoreError> {
    let result = sqlx::query("UPDATE installation SET canary = ?1 WHERE id = 1")
        .bind(sealed)
        .execute(db)
        .await
        .map_err(on_write)?;
    one_row(&result, "replacing the canary")
}

pub(crate) async fn root_token_hash(db: impl SqliteExecutor<'_>) -> Result<Option<[u8; 32]>, StoreError> {
    let hash: Option<Vec<u8>> = sqlx::query_scalar("SELECT root_token_hash FROM installation WHERE id = 1")
        .fetch_one(db)
        .await
        .map_err(on_read)?;
    hash.map(|hash| read::bytes(&hash, "the root token's hash")).transpose()
}

pub(crate) async fn put_root_token_hash_if_absent(
    db: &mut SqliteConnection,
    hash: &[u8; 32],
) -> Result<[u8; 32], StoreError> {
    // No row affected: there is one already.
    sqlx::query("UPDATE installation SET root_token_hash = ?1 WHERE id = 1 AND root_token_hash IS NULL")
        .bind(hash.as_slice())
        .execute(&mut *db)
        .await
        .map_err(on_write)?;
    root_token_hash(db)
        .await?
        .ok_or_else(|| StoreError::Unexpected("no hash of the root token after it was stored".to_owned()))
}
