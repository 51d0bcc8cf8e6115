//! Table `data_key`.

use claviger_core::{Owner, Timestamp};
use claviger_store::{DataKeyUse, StoreError};
use sqlx::PgConnection;

use crate::error::{meaning, one_row};
use crate::reseal;

pub(crate) async fn sealed(db: &mut PgConnection, owner: &Owner) -> Result<Option<Vec<u8>>, StoreError> {
    sqlx::query_scalar("SELECT sealed FROM data_key WHERE owner_kind = $1 AND owner_id = $2")
        .bind(owner.kind().as_str())
        .bind(owner.id())
        .fetch_optional(db)
        .await
        .map_err(meaning)
}

/// Makes sure that the owner's data key is the one that was used; a new one is stored. False where it is another one,
/// or gone, or a new one is not under the master key in use.
pub(crate) async fn settle(
    db: &mut PgConnection,
    owner: &Owner,
    used: &DataKeyUse,
    at: Timestamp,
) -> Result<bool, StoreError> {
    match (used, sealed(db, owner).await?) {
        (DataKeyUse::Stored(used), Some(present)) => Ok(*used == present),
        (DataKeyUse::Stored(_), None) | (DataKeyUse::New(_), Some(_)) => Ok(false),
        (DataKeyUse::New(new), None) if !reseal::is_under_master_key_in_use(db, new).await? => Ok(false),
        (DataKeyUse::New(new), None) => insert(db, owner, new, at).await.map(|()| true),
    }
}

async fn insert(db: &mut PgConnection, owner: &Owner, sealed: &[u8], at: Timestamp) -> Result<(), StoreError> {
    let result = sqlx::query("INSERT INTO data_key (owner_kind, owner_id, sealed, created_at) VALUES ($1, $2, $3, $4)")
        .bind(owner.kind().as_str())
        .bind(owner.id())
        .bind(sealed)
        .bind(at.as_millis())
        .execute(db)
        .await
        .map_err(meaning)?;
    one_row(&result, "storing a data key")
}
