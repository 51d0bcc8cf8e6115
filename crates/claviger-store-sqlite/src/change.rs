//! Table `change_log`: what other processes on the same file must hear of.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use claviger_core::owner::PoolId;
use claviger_core::{OrganizationId, Owner, TokenId, WorkspaceId};
use claviger_store::{Change, ChangeSink, StoreError};
use sqlx::{SqliteConnection, SqlitePool};
use tokio::time::MissedTickBehavior;

use crate::error::{malformed, on_read, on_write, one_row};
use crate::read;

/// How often a watcher looks whether another connection committed something. SQLite tells nobody, so one has to ask;
/// the question reads a counter in shared memory and takes microseconds. Short enough that a key deleted by one process
/// is out of use in the others within the tenth of a second.
const LOOK_EVERY: Duration = Duration::from_millis(50);

pub(crate) async fn pool(db: &mut SqliteConnection, pool: &PoolId) -> Result<(), StoreError> {
    let result =
        sqlx::query("INSERT INTO change_log (kind, owner_kind, owner_id, provider_id) VALUES ('pool', ?1, ?2, ?3)")
            .bind(pool.owner.kind().as_str())
            .bind(pool.owner.id())
            .bind(pool.provider.as_str())
            .execute(db)
            .await
            .map_err(on_write)?;
    one_row(&result, "noting a change")
}

pub(crate) async fn token(db: &mut SqliteConnection, token: &TokenId) -> Result<(), StoreError> {
    let result = sqlx::query("INSERT INTO change_log (kind, token_id) VALUES ('token', ?1)")
        .bind(token.as_str())
        .execute(db)
        .await
        .map_err(on_write)?;
    one_row(&result, "noting a change")
}

pub(crate) async fn workspace(db: &mut SqliteConnection, workspace: &WorkspaceId) -> Result<(), StoreError> {
    let result =
        sqlx::query("INSERT INTO change_log (kind, owner_kind, owner_id) VALUES ('workspace', 'workspace', ?1)")
            .bind(workspace.as_str())
            .execute(db)
            .await
            .map_err(on_write)?;
    one_row(&result, "noting a change")
}

pub(crate) async fn organization(db: &mut SqliteConnection, organization: &OrganizationId) -> Result<(), StoreError> {
    let result =
        sqlx::query("INSERT INTO change_log (kind, owner_kind, owner_id) VALUES ('organization', 'organization', ?1)")
            .bind(organization.as_str())
            .execute(db)
            .await
            .map_err(on_write)?;
    one_row(&result, "noting a change")
}

pub(crate) async fn everything(db: &mut SqliteConnection) -> Result<(), StoreError> {
    let result =
        sqlx::query("INSERT INTO change_log (kind) VALUES ('everything')").execute(db).await.map_err(on_write)?;
    one_row(&result, "noting a change")
}

#[derive(sqlx::FromRow)]
struct ChangeRow {
    seq: i64,
    kind: String,
    owner_kind: Option<String>,
    owner_id: Option<String>,
    provider_id: Option<String>,
    token_id: Option<String>,
}

impl ChangeRow {
    fn into_change(self) -> Result<Change, StoreError> {
        let owner = match (self.owner_kind, self.owner_id) {
            (Some(kind), Some(id)) => Some(read::owner(&kind, &id)?),
            _ => None,
        };
        match (self.kind.as_str(), owner, self.provider_id, self.token_id) {
            ("pool", Some(owner), Some(provider), None) => {
                Ok(Change::Pool(PoolId { owner, provider: read::id(&provider, "a changed pool's provider")? }))
            }
            ("token", None, None, Some(token)) => Ok(Change::Token(read::id(&token, "a changed token's id")?)),
            ("workspace", Some(Owner::Workspace(workspace)), None, None) => Ok(Change::Workspace(workspace)),
            ("organization", Some(Owner::Organization(organization)), None, None) => {
                Ok(Change::Organization(organization))
            }
            ("everything", None, None, None) => Ok(Change::Everything),
            _ => Err(malformed("a noted change")),
        }
    }
}

/// Watches on a connection of its own: the counter it asks for is of commits by other connections. It is one of the
/// pool's, so that closing the pool waits for it.
pub(crate) async fn watch(readers: &SqlitePool, sink: Arc<dyn ChangeSink>) -> StoreError {
    match tell(readers, &*sink).await {
        Ok(never) => match never {},
        Err(error) => error,
    }
}

async fn tell(readers: &SqlitePool, sink: &dyn ChangeSink) -> Result<Infallible, StoreError> {
    let mut db = readers.acquire().await.map_err(on_read)?;
    let moment = sink.now();
    let mut version = data_version(&mut db).await?;
    let mut seen = last(&mut db).await?;
    // Changes made before this line are not told one by one.
    sink.changed(&Change::Everything);
    sink.heard(moment);
    let mut look = tokio::time::interval(LOOK_EVERY);
    look.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        look.tick().await;
        // Taken before asking: what is committed meanwhile may be missed by this look, and is no part of what it proves.
        let moment = sink.now();
        // Asked before reading: a commit between the two shows at the next look.
        let now = data_version(&mut db).await?;
        if now != version {
            version = now;
            seen = tell_after(&mut db, seen, sink).await?;
        }
        sink.heard(moment);
    }
}

/// Tells what was noted after this row; answers the last one that was told.
async fn tell_after(db: &mut SqliteConnection, seen: i64, sink: &dyn ChangeSink) -> Result<i64, StoreError> {
    let rows = after(db, seen).await?;
    if rows.first().is_some_and(|row| row.seq != seen + 1) {
        sink.changed(&Change::Everything);
    }
    let mut told = seen;
    for row in rows {
        told = row.seq;
        sink.changed(&row.into_change()?);
    }
    Ok(told)
}

async fn data_version(db: &mut SqliteConnection) -> Result<i64, StoreError> {
    sqlx::query_scalar("PRAGMA data_version").fetch_one(db).await.map_err(on_read)
}

async fn last(db: &mut SqliteConnection) -> Result<i64, StoreError> {
    sqlx::query_scalar("SELECT coalesce(max(seq), 0) FROM change_log").fetch_one(db).await.map_err(on_read)
}

async fn after(db: &mut SqliteConnection, seen: i64) -> Result<Vec<ChangeRow>, StoreError> {
    sqlx::query_as(
        "SELECT seq, kind, owner_kind, owner_id, provider_id, token_id FROM change_log WHERE seq > ?1 ORDER BY seq",
    )
    .bind(seen)
    .fetch_all(db)
    .await
    .map_err(on_read)
}
