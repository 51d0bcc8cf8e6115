//! Opening a file: is it ours, is it not too new, and bringing its schema up to date. See also `found.rs`.

use std::path::Path;
use std::time::Duration;

use claviger_store::OpenStoreError;
use sqlx::migrate::Migrator;
use sqlx::pool::PoolOptions;
use sqlx::sqlite::{SqliteConnectOptions, SqliteSynchronous};
use sqlx::{ConnectOptions, Connection, Sqlite, SqliteConnection};
use tokio::time::Instant;

use crate::SqliteStore;
use crate::error::{code, extended_code, primary_code};
use crate::file::{self, Opened};

static MIGRATIONS: Migrator = sqlx::migrate!();

/// "Clvg", in the file's header: tells this program's files from those of others.
const APPLICATION_ID: i64 = 0x436c_7667;

/// How long a statement waits for another process's write before it gives up. Writes take milliseconds.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// How long a caller waits for a free connection: two writes that wait to the end, and one that comes through.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(12);

/// Reads come in bursts, when pools are forgotten; SQLite answers each in microseconds. One more watches for changes.
const READERS: u32 = 4 + 1;

/// The schema of a file that is ours.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Schema {
    /// None yet.
    None,
    /// One that can be brought up to date.
    Older,
    /// The one that this version works with.
    Known,
}

/// Why a file could not be opened, before the file's name is put to it.
pub(crate) enum Refusal {
    NotADatabase,
    /// A process died while it wrote, and nothing can be read before that is undone.
    HalfWritten,
    Newer {
        found: i64,
        known: i64,
    },
    Unusable(String),
    Migration(sqlx::migrate::MigrateError),
}

impl Refusal {
    pub(crate) fn of(self, path: &Path) -> OpenStoreError {
        let file = path.display().to_string();
        match self {
            Self::NotADatabase => OpenStoreError::NotADatabase(file),
            Self::HalfWritten => {
                let why = "a write that was broken off must be undone first, and it may only be read";
                OpenStoreError::Unusable(file, why.to_owned())
            }
            Self::Newer { found, known } => OpenStoreError::Newer(file, found, known),
            Self::Unusable(why) => OpenStoreError::Unusable(file, why),
            Self::Migration(error) => OpenStoreError::Migration(file, Box::new(error)),
        }
    }
}

impl From<sqlx::Error> for Refusal {
    fn from(error: sqlx::Error) -> Self {
        if extended_code(&error) == Some(code::READONLY_ROLLBACK) {
            return Self::HalfWritten;
        }
        let why = match primary_code(&error) {
            Some(code::NOTADB) => return Self::NotADatabase,
            Some(code::CORRUPT) => "it is damaged",
            Some(code::BUSY) => "another program keeps it locked",
            Some(code::FULL) => "the disk is full",
            Some(code::READONLY) => "it may only be read, not written",
            Some(code::CANTOPEN) => "the permissions of the file or its folder forbid it",
            _ => return Self::Unusable(error.to_string()),
        };
        Self::Unusable(why.to_owned())
    }
}

impl From<std::io::Error> for Refusal {
    fn from(error: std::io::Error) -> Self {
        Self::Unusable(file::in_words(&error))
    }
}

impl From<sqlx::migrate::MigrateError> for Refusal {
    fn from(error: sqlx::migrate::MigrateError) -> Self {
        Self::Migration(error)
    }
}

pub(crate) fn options(path: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new().filename(path).busy_timeout(BUSY_TIMEOUT).disable_statement_logging()
}

/// Opens the file at this absolute path, or makes it.
pub(crate) async fn open(path: &Path) -> Result<SqliteStore, Refusal> {
    file::make(path).map_err(Refusal::Unusable)?;
    let options = options(path)
        .foreign_keys(true)
        .synchronous(SqliteSynchronous::Full)
        // What is deleted is overwritten with zeros in the file; see also `wal.rs`.
        .pragma("secure_delete", "ON");
    let mut db = options.connect().await?;
    migrate(&mut db).await?;
    use_write_ahead_log(&mut db).await?;
    db.close().await?;

    let file = Opened::at(path.to_owned())?;
    let writer = pool_of(1).connect_with(options.clone()).await?;
    let readers = pool_of(READERS).connect_with(options.clone().read_only(true)).await?;
    Ok(SqliteStore { file, writer, readers, writing: options })
}

/// Refuses files of other programs and of newer versions of this one; the caller has begun a transaction. An empty file
/// is as good as none.
pub(crate) async fn recognise(db: &mut SqliteConnection) -> Result<Schema, Refusal> {
    let application: i64 = sqlx::query_scalar("PRAGMA application_id").fetch_one(&mut *db).await?;
    let objects: i64 = sqlx::query_scalar("SELECT count(*) FROM sqlite_schema").fetch_one(&mut *db).await?;
    if !matches!((application, objects), (APPLICATION_ID, _) | (0, 0)) {
        return Err(Refusal::NotADatabase);
    }
    let known = MIGRATIONS.iter().map(|migration| migration.version).max().unwrap_or_default();
    match schema_version(db).await? {
        0 => Ok(Schema::None),
        found if found < known => Ok(Schema::Older),
        found if found == known => Ok(Schema::Known),
        found => Err(Refusal::Newer { found, known }),
    }
}

/// Brings the schema up to date as one transaction, so that processes that start at once do it one after the other,
/// and a process that dies half way leaves nothing.
async fn migrate(db: &mut SqliteConnection) -> Result<(), Refusal> {
    let mut write = db.begin_with("BEGIN IMMEDIATE").await?;
    // Again, because the file may have been another one when it was looked at.
    if recognise(&mut write).await? == Schema::None {
        // 0x436c7667, see `APPLICATION_ID`; a pragma takes no parameters. Written once: a file that is as it should be
        // stays as it is, to the byte.
        sqlx::query("PRAGMA application_id = 1131181671").execute(&mut *write).await?;
    }
    // What `run` does; that one cannot be awaited in a future that is `Send`.
    MIGRATIONS.run_direct(None, &mut *write, false).await?;
    write.commit().await?;
    Ok(())
}

/// The last migration that was applied, 0 for none.
async fn schema_version(db: &mut SqliteConnection) -> Result<i64, sqlx::Error> {
    let migrated: bool =
        sqlx::query_scalar("SELECT EXISTS (SELECT 1 FROM sqlite_schema WHERE name = '_sqlx_migrations')")
            .fetch_one(&mut *db)
            .await?;
    if !migrated {
        return Ok(0);
    }
    sqlx::query_scalar("SELECT coalesce(max(version), 0) FROM _sqlx_migrations").fetch_one(db).await
}

/// With a write-ahead log readers do not wait for the writer. The mode is the file's, and stays. Changing it takes a
/// lock that SQLite does not wait for, so the waiting is done here: another process may be at the same step.
async fn use_write_ahead_log(db: &mut SqliteConnection) -> Result<(), Refusal> {
    let deadline = Instant::now() + BUSY_TIMEOUT;
    loop {
        match sqlx::query_scalar::<_, String>("PRAGMA journal_mode = WAL").fetch_one(&mut *db).await {
            Ok(mode) if mode == "wal" => return Ok(()),
            Ok(_) => {
                let why = "its file system does not offer the shared memory that SQLite's write-ahead log needs";
                return Err(Refusal::Unusable(why.to_owned()));
            }
            Err(error) if primary_code(&error) == Some(code::BUSY) && Instant::now() < deadline => {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            Err(error) => return Err(error.into()),
        }
    }
}

fn pool_of(connections: u32) -> PoolOptions<Sqlite> {
    PoolOptions::new()
        .max_connections(connections)
        .acquire_timeout(ACQUIRE_TIMEOUT)
        // A connection to a file does not age, and has nobody at its other end who might hang up.
        .idle_timeout(None)
        .max_lifetime(None)
        .test_before_acquire(false)
        .after_release(|db, _| Box::pin(is_sound(db)))
}

/// Whether a connection may be used again. After some failures (a full disk, for one) SQLite has rolled back by itself,
/// while the library still counts an open transaction and would refuse the next one for ever. Such a connection goes,
/// and a new one is opened when it is needed.
async fn is_sound(db: &mut SqliteConnection) -> Result<bool, sqlx::Error> {
    // A rollback may still be under way; the answer to the ping comes after it.
    db.ping().await?;
    Ok(!db.is_in_transaction())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_application_id_reads_as_a_word() {
        assert_eq!(APPLICATION_ID.to_be_bytes()[4..], *b"Clvg");
        assert_eq!(APPLICATION_ID, 1_131_181_671);
    }
}
