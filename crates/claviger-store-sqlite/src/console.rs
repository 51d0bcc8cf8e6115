//! Table `console_session`: sessions of the operator's console.

use claviger_core::audit::Act;
use claviger_core::{Owner, Timestamp, TokenId};
use claviger_store::{ConsoleSession, Deed, Page, StoreError};
use sqlx::{SqliteConnection, SqliteExecutor};

use crate::error::{on_read, on_write, one_row, one_row_or_none};
use crate::{audit, read};

#[derive(sqlx::FromRow)]
struct SessionRow {
    session_id: String,
    hash: Vec<u8>,
    root: Vec<u8>,
    created_at: i64,
    expires_at: i64,
}

impl TryFrom<SessionRow> for ConsoleSession {
    type Error = StoreError;

    fn try_from(row: SessionRow) -> Result<Self, StoreError> {
        Ok(Self {
            id: read::id(&row.session_id, "a console session's id")?,
            hash: read::bytes(&row.hash, "a console session's hash")?,
            root: read::bytes(&row.root, "what binds a console session to the root token")?,
            created_at: read::date(row.created_at),
            expires_at: read::date(row.expires_at),
        })
    }
}

pub(crate) async fn begin(db: &mut SqliteConnection, session: &ConsoleSession, act: &Act) -> Result<(), StoreError> {
    let result = sqlx::query(
        "INSERT INTO console_session (session_id, hash, root, created_at, expires_at) VALUES (?1, ?2, ?3, ?4, ?5)",
    )
    .bind(session.id.as_str())
    .bind(session.hash.as_slice())
    .bind(session.root.as_slice())
    .bind(session.created_at.as_millis())
    .bind(session.expires_at.as_millis())
    .execute(&mut *db)
    .await
    .map_err(on_write)?;
    one_row(&result, "beginning a console session")?;
    audit::enter(db, &Owner::Platform, act, Deed::console_session_began(session)).await
}

pub(crate) async fn one(db: impl SqliteExecutor<'_>, id: &TokenId) -> Result<Option<ConsoleSession>, StoreError> {
    let row: Option<SessionRow> = sqlx::query_as(
        "SELECT session_id, hash, root, created_at, expires_at FROM console_session
         WHERE owner_kind = 'platform' AND owner_id = '' AND session_id = ?1",
    )
    .bind(id.as_str())
    .fetch_optional(db)
    .await
    .map_err(on_read)?;
    row.map(ConsoleSession::try_from).transpose()
}

pub(crate) async fn page(
    db: impl SqliteExecutor<'_>,
    now: Timestamp,
    page: &Page<TokenId>,
) -> Result<Vec<ConsoleSession>, StoreError> {
    let rows: Vec<SessionRow> = sqlx::query_as(
        "SELECT session_id, hash, root, created_at, expires_at FROM console_session
         WHERE owner_kind = 'platform' AND owner_id = '' AND session_id > ?1 AND expires_at > ?2
         ORDER BY session_id LIMIT ?3",
    )
    .bind(page.after.as_ref().map_or("", TokenId::as_str))
    .bind(now.as_millis())
    .bind(page.limit)
    .fetch_all(db)
    .await
    .map_err(on_read)?;
    rows.into_iter().map(ConsoleSession::try_from).collect()
}

pub(crate) async fn end(db: &mut SqliteConnection, id: &TokenId, act: &Act) -> Result<bool, StoreError> {
    let result =
        sqlx::query("DELETE FROM console_session WHERE owner_kind = 'platform' AND owner_id = '' AND session_id = ?1")
            .bind(id.as_str())
            .execute(&mut *db)
            .await
            .map_err(on_write)?;
    let ended = one_row_or_none(&result, "ending a console session")?;
    if ended {
        audit::enter(db, &Owner::Platform, act, Deed::console_session_ended(id)).await?;
    }
    Ok(ended)
}

pub(crate) async fn forget(db: &mut SqliteConnection, before: Timestamp) -> Result<u64, StoreError> {
    let result = sqlx::query("DELETE FROM console_session WHERE expires_at < ?1")
        .bind(before.as_millis())
        .execute(db)
        .await
        .map_err(on_write)?;
    Ok(result.rows_affected())
}
