//! Table `owner`. Its rows come and go by the database's own rules, see the migrations.

use claviger_core::Owner;
use claviger_store::StoreError;
use sqlx::SqliteConnection;

use crate::error::on_read;

pub(crate) async fn exists(db: &mut SqliteConnection, owner: &Owner) -> Result<bool, StoreError> {
    sqlx::query_scalar("SELECT EXISTS (SELECT 1 FROM owner WHERE owner_kind = ?1 AND owner_id = ?2)")
        .bind(owner.kind().as_str())
        .bind(owner.id())
        .fetch_one(db)
        .await
        .map_err(on_read)
}
