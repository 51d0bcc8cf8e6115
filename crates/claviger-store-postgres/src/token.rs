//! Tables `token` and `token_owner`: tokens beside their owners, and the directory by which a shown one is found.

use claviger_core::access::TokenRole;
use claviger_core::audit::Act;
use claviger_core::{Owner, Role, Timestamp, TokenId, WorkspaceId};
use claviger_store::{Deed, InsertTokenError, Page, StoreError, TokenRecord};
use sqlx::PgConnection;

use crate::error::{malformed, meaning, one_row, one_row_or_none};
use crate::{audit, change, owner, read};

#[derive(sqlx::FromRow)]
pub(crate) struct TokenRow {
    pub(crate) owner_kind: String,
    pub(crate) owner_id: String,
    token_id: String,
    hash: Vec<u8>,
    name: String,
    role: String,
    reveal: bool,
    expires_at: Option<i64>,
    created_at: i64,
}

impl TryFrom<TokenRow> for TokenRecord {
    type Error = StoreError;

    fn try_from(row: TokenRow) -> Result<Self, StoreError> {
        let workspace = match read::owner(&row.owner_kind, &row.owner_id)? {
            Owner::Workspace(workspace) => Some(workspace),
            Owner::Platform => None,
            Owner::Organization(_) => return Err(malformed("a token's owner")),
        };
        Ok(Self {
            id: read::id(&row.token_id, "a token's id")?,
            hash: read::bytes(&row.hash, "a token's hash")?,
            name: row.name,
            role: TokenRole::parse(&row.role).ok_or_else(|| malformed("a token's role"))?,
            workspace,
            reveal: row.reveal,
            expires_at: row.expires_at.map(read::date),
            created_at: read::date(row.created_at),
        })
    }
}

pub(crate) async fn insert(db: &mut PgConnection, token: &TokenRecord, act: &Act) -> Result<(), InsertTokenError> {
    let owner = token.workspace.clone().map_or(Owner::Platform, Owner::Workspace);
    if !owner::lock(db, &owner).await? {
        return Err(InsertTokenError::NoWorkspace);
    }
    let result = sqlx::query(
        "INSERT INTO token (owner_kind, owner_id, token_id, hash, name, role, reveal, expires_at, created_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
    )
    .bind(owner.kind().as_str())
    .bind(owner.id())
    .bind(token.id.as_str())
    .bind(token.hash.as_slice())
    .bind(token.name.as_str())
    .bind(Role::from(token.role).as_str())
    .bind(token.reveal)
    .bind(token.expires_at.map(Timestamp::as_millis))
    .bind(token.created_at.as_millis())
    .execute(&mut *db)
    .await
    .map_err(meaning)?;
    one_row(&result, "storing a token")?;
    enter_directory(db, &owner, &token.id).await?;
    change::token(db, &token.id).await?;
    audit::enter(db, &owner, act, Deed::token_created(token)).await?;
    Ok(())
}

async fn enter_directory(db: &mut PgConnection, owner: &Owner, id: &TokenId) -> Result<(), StoreError> {
    let result = sqlx::query("INSERT INTO token_owner (token_id, owner_kind, owner_id) VALUES ($1, $2, $3)")
        .bind(id.as_str())
        .bind(owner.kind().as_str())
        .bind(owner.id())
        .execute(db)
        .await
        .map_err(meaning)?;
    one_row(&result, "entering a token in the directory")
}

/// Takes all tokens of an owner that is about to be deleted out of the directory.
pub(crate) async fn leave_directory(db: &mut PgConnection, owner: &Owner) -> Result<(), StoreError> {
    sqlx::query(
        "DELETE FROM token_owner
         WHERE token_id IN (SELECT token_id FROM token WHERE owner_kind = $1 AND owner_id = $2)",
    )
    .bind(owner.kind().as_str())
    .bind(owner.id())
    .execute(db)
    .await
    .map(drop)
    .map_err(meaning)
}

/// One round trip. The directory is asked once, before the table: where the table is partitioned by owner, only the one
/// partition is read.
pub(crate) const READ: &str = "SELECT owner_kind, owner_id, token_id, hash, name, role, reveal, expires_at, created_at
     FROM token
     WHERE (owner_kind, owner_id) = (SELECT owner_kind, owner_id FROM token_owner WHERE token_id = $1)
           AND token_id = $1";

pub(crate) async fn one(db: &mut PgConnection, id: &TokenId) -> Result<Option<TokenRecord>, StoreError> {
    let row: Option<TokenRow> = sqlx::query_as(READ).bind(id.as_str()).fetch_optional(db).await.map_err(meaning)?;
    row.map(TokenRecord::try_from).transpose()
}

pub(crate) async fn page(
    db: &mut PgConnection,
    workspace: Option<&WorkspaceId>,
    page: &Page<TokenId>,
) -> Result<Vec<TokenRecord>, StoreError> {
    // Two statements, because each has an index of its own to read along.
    let query = match workspace {
        Some(workspace) => sqlx::query_as(
            "SELECT owner_kind, owner_id, token_id, hash, name, role, reveal, expires_at, created_at FROM token
             WHERE owner_kind = 'workspace' AND owner_id = $3 AND token_id > $1 ORDER BY token_id LIMIT $2",
        )
        .bind(page.after.as_ref().map_or("", TokenId::as_str))
        .bind(i64::from(page.limit))
        .bind(workspace.as_str()),
        None => sqlx::query_as(
            "SELECT owner_kind, owner_id, token_id, hash, name, role, reveal, expires_at, created_at
             FROM token_owner JOIN token USING (owner_kind, owner_id, token_id)
             WHERE token_owner.token_id > $1 ORDER BY token_owner.token_id LIMIT $2",
        )
        .bind(page.after.as_ref().map_or("", TokenId::as_str))
        .bind(i64::from(page.limit)),
    };
    let rows: Vec<TokenRow> = query.fetch_all(db).await.map_err(meaning)?;
    rows.into_iter().map(TokenRecord::try_from).collect()
}

pub(crate) async fn delete(db: &mut PgConnection, id: &TokenId, act: &Act) -> Result<bool, StoreError> {
    let found: Option<(String, String)> =
        sqlx::query_as("SELECT owner_kind, owner_id FROM token_owner WHERE token_id = $1")
            .bind(id.as_str())
            .fetch_optional(&mut *db)
            .await
            .map_err(meaning)?;
    let Some((kind, owner_id)) = found else {
        return Ok(false);
    };
    let owner = read::owner(&kind, &owner_id)?;
    if !owner::lock(db, &owner).await? {
        return Ok(false);
    }
    let Some(before) = one(db, id).await? else {
        return Ok(false);
    };
    let result = sqlx::query("DELETE FROM token WHERE owner_kind = $1 AND owner_id = $2 AND token_id = $3")
        .bind(owner.kind().as_str())
        .bind(owner.id())
        .bind(id.as_str())
        .execute(&mut *db)
        .await
        .map_err(meaning)?;
    let deleted = one_row_or_none(&result, "deleting a token")?;
    if deleted {
        let result = sqlx::query("DELETE FROM token_owner WHERE token_id = $1")
            .bind(id.as_str())
            .execute(&mut *db)
            .await
            .map_err(meaning)?;
        one_row(&result, "taking a token out of the directory")?;
        change::token(db, id).await?;
        audit::enter(db, &owner, act, Deed::token_deleted(&before)).await?;
    }
    Ok(deleted)
}
