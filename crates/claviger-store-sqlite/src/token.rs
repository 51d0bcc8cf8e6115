//! Table `token`.

use claviger_core::access::TokenRole;
use claviger_core::audit::Act;
use claviger_core::{Owner, Role, TokenId, WorkspaceId};
use claviger_store::{Deed, InsertTokenError, Page, StoreError, TokenRecord};
use sqlx::sqlite::SqliteQueryResult;
use sqlx::{SqliteConnection, SqliteExecutor};

use crate::error::{malformed, on_read, on_write, one_row, one_row_or_none};
use crate::{audit, change, read};

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

pub(crate) async fn insert(db: &mut SqliteConnection, token: &TokenRecord, act: &Act) -> Result<(), InsertTokenError> {
    let owner = token.workspace.clone().map_or(Owner::Platform, Owner::Workspace);
    match store(db, &owner, token).await {
        Ok(result) => one_row(&result, "storing a token")?,
        // A token refers to its owner and to nothing else, and the platform always exists.
        Err(sqlx::Error::Database(error)) if error.is_foreign_key_violation() => {
            return Err(InsertTokenError::NoWorkspace);
        }
        Err(error) => return Err(on_write(error).into()),
    }
    change::token(db, &token.id).await?;
    audit::enter(db, &owner, act, Deed::token_created(token)).await?;
    Ok(())
}

/// Stores a token, and tells nobody.
pub(crate) async fn store(
    db: &mut SqliteConnection,
    owner: &Owner,
    token: &TokenRecord,
) -> Result<SqliteQueryResult, sqlx::Error> {
    sqlx::query(
        "INSERT INTO token (owner_kind, owner_id, token_id, hash, name, role, reveal, expires_at, created_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
    )
    .bind(owner.kind().as_str())
    .bind(owner.id())
    .bind(token.id.as_str())
    .bind(token.hash.as_slice())
    .bind(token.name.as_str())
    .bind(Role::from(token.role).as_str())
    .bind(token.reveal)
    .bind(token.expires_at.map(claviger_core::Timestamp::as_millis))
    .bind(token.created_at.as_millis())
    .execute(db)
    .await
}

pub(crate) async fn one(db: impl SqliteExecutor<'_>, id: &str) -> Result<Option<TokenRecord>, StoreError> {
    let row: Option<TokenRow> = sqlx::query_as(
        "SELECT owner_kind, owner_id, token_id, hash, name, role, reveal, expires_at, created_at
         FROM token WHERE token_id = ?1",
    )
    .bind(id)
    .fetch_optional(db)
    .await
    .map_err(on_read)?;
    row.map(TokenRecord::try_from).transpose()
}

pub(crate) async fn page(
    db: impl SqliteExecutor<'_>,
    workspace: Option<&WorkspaceId>,
    page: &Page<TokenId>,
) -> Result<Vec<TokenRecord>, StoreError> {
    // Two statements, because each has an index of its own to read along.
    let query = match workspace {
        Some(workspace) => sqlx::query_as(
            "SELECT owner_kind, owner_id, token_id, hash, name, role, reveal, expires_at, created_at FROM token
             WHERE owner_kind = 'workspace' AND owner_id = ?3 AND token_id > ?1 ORDER BY token_id LIMIT ?2",
        )
        .bind(page.after.as_ref().map_or("", TokenId::as_str))
        .bind(page.limit)
        .bind(workspace.as_str()),
        None => sqlx::query_as(
            "SELECT owner_kind, owner_id, token_id, hash, name, role, reveal, expires_at, created_at FROM token
             WHERE token_id > ?1 ORDER BY token_id LIMIT ?2",
        )
        .bind(page.after.as_ref().map_or("", TokenId::as_str))
        .bind(page.limit),
    };
    let rows: Vec<TokenRow> = query.fetch_all(db).await.map_err(on_read)?;
    rows.into_iter().map(TokenRecord::try_from).collect()
}

pub(crate) async fn delete(db: &mut SqliteConnection, id: &TokenId, act: &Act) -> Result<bool, StoreError> {
    let Some(before) = one(&mut *db, id.as_str()).await? else {
        return Ok(false);
    };
    let result = sqlx::query("DELETE FROM token WHERE token_id = ?1")
        .bind(id.as_str())
        .execute(&mut *db)
        .await
        .map_err(on_write)?;
    let deleted = one_row_or_none(&result, "deleting a token")?;
    if deleted {
        change::token(db, id).await?;
        let owner = before.workspace.clone().map_or(Owner::Platform, Owner::Workspace);
        audit::enter(db, &owner, act, Deed::token_deleted(&before)).await?;
    }
    Ok(deleted)
}
