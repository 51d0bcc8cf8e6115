//! Table `owner`: whom everything belongs to, and where the changes of one owner wait for each other.

use claviger_core::{OrganizationId, Owner};
use claviger_store::StoreError;
use sqlx::PgConnection;

use crate::error::{meaning, one_row_or_none};

/// Owners as PostgreSQL takes many of them: one array a column.
#[derive(Default)]
pub(crate) struct Owners<'a> {
    pub(crate) kinds: Vec<&'static str>,
    pub(crate) ids: Vec<&'a str>,
}

impl<'a> Owners<'a> {
    pub(crate) fn of(owners: impl IntoIterator<Item = &'a Owner>) -> Self {
        let mut columns = Self::default();
        owners.into_iter().for_each(|owner| columns.push(owner));
        columns
    }

    pub(crate) fn push(&mut self, owner: &'a Owner) {
        self.kinds.push(owner.kind().as_str());
        self.ids.push(owner.id());
    }

    pub(crate) fn count(&self) -> usize {
        self.ids.len()
    }
}

/// Locks an owner against all other changes of what belongs to it, until the transaction ends. False where there is no
/// such owner.
pub(crate) async fn lock(db: &mut PgConnection, owner: &Owner) -> Result<bool, StoreError> {
    let found: Option<i32> =
        sqlx::query_scalar("SELECT 1 FROM owner WHERE owner_kind = $1 AND owner_id = $2 FOR NO KEY UPDATE")
            .bind(owner.kind().as_str())
            .bind(owner.id())
            .fetch_optional(db)
            .await
            .map_err(meaning)?;
    Ok(found.is_some())
}

/// Locks those owners that there are, in their order.
pub(crate) async fn lock_all<'a>(
    db: &mut PgConnection,
    owners: impl IntoIterator<Item = &'a Owner>,
) -> Result<(), StoreError> {
    let owners = Owners::of(owners);
    sqlx::query(
        "SELECT 1 FROM owner JOIN unnest($1::text[], $2::text[]) AS asked (owner_kind, owner_id)
              USING (owner_kind, owner_id)
         ORDER BY owner_kind, owner_id FOR NO KEY UPDATE OF owner",
    )
    .bind(&owners.kinds)
    .bind(&owners.ids)
    .execute(db)
    .await
    .map(drop)
    .map_err(meaning)
}

/// Makes an owner unless there is one, and locks it.
pub(crate) async fn bring(db: &mut PgConnection, owner: &Owner) -> Result<(), StoreError> {
    // The update that never happens is what locks a row that is there.
    let result = sqlx::query(
        "INSERT INTO owner (owner_kind, owner_id) VALUES ($1, $2)
         ON CONFLICT (owner_kind, owner_id) DO UPDATE SET owner_id = owner.owner_id WHERE false",
    )
    .bind(owner.kind().as_str())
    .bind(owner.id())
    .execute(db)
    .await
    .map_err(meaning)?;
    one_row_or_none(&result, "storing an owner").map(drop)
}

/// Keeps an organization from being deleted until the transaction ends. False where it is not there.
pub(crate) async fn hold_organization(db: &mut PgConnection, id: &OrganizationId) -> Result<bool, StoreError> {
    let found: Option<i32> =
        sqlx::query_scalar("SELECT 1 FROM owner WHERE owner_kind = 'organization' AND owner_id = $1 FOR KEY SHARE")
            .bind(id.as_str())
            .fetch_optional(db)
            .await
            .map_err(meaning)?;
    Ok(found.is_some())
}

/// Deletes an owner, and by the schema's own rules all that belongs to it.
pub(crate) async fn delete(db: &mut PgConnection, owner: &Owner) -> Result<bool, StoreError> {
    let result = sqlx::query("DELETE FROM owner WHERE owner_kind = $1 AND owner_id = $2")
        .bind(owner.kind().as_str())
        .bind(owner.id())
        .execute(db)
        .await
        .map_err(meaning)?;
    one_row_or_none(&result, "deleting an owner")
}
