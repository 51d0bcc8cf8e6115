//! Forgetting for good.

use std::time::Duration;

use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, Connection, Row};

/// How long the log's readers and writers are waited for. They take milliseconds; a backup may take longer, and then
/// the log is cut at the next deletion.
const PATIENCE: Duration = Duration::from_millis(250);

/// Cuts the write-ahead log to nothing. Deleted bytes are overwritten in the file itself (`secure_delete`), but older
/// pages, with the sealed secret or data key that was just deleted, stand in the log until it is written over, and
/// would get into a backup that copies the log along.
///
/// On a connection of its own, so that waiting holds up nobody. The deletion is committed whatever comes of this.
pub(crate) async fn forget(options: &SqliteConnectOptions) {
    match cut(options).await {
        Ok(true) => {}
        Ok(false) => {
            tracing::warn!("what was deleted is still in the write-ahead log: a reader holds it, such as a backup");
        }
        Err(error) => tracing::warn!(%error, "what was deleted is still in the write-ahead log"),
    }
}

/// Whether the log could be cut. A reader in its way is no error to SQLite.
async fn cut(options: &SqliteConnectOptions) -> Result<bool, sqlx::Error> {
    let mut db = options.clone().busy_timeout(PATIENCE).connect().await?;
    let busy: i64 = sqlx::query("PRAGMA wal_checkpoint(TRUNCATE)").fetch_one(&mut db).await?.try_get(0)?;
    db.close().await?;
    Ok(busy == 0)
}
