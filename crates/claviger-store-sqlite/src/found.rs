//! Looking at a file before anything is changed: is it ours, is it not too new, and which master key is it sealed with.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use async_trait::async_trait;
use claviger_store::{Found, OpenStoreError, Store};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, Connection, SqliteConnection};

use crate::SqliteStore;
use crate::file;
use crate::installation;
use crate::open::{self, Refusal, Schema};

/// A file of Claviger's, or the place for one.
#[derive(Debug)]
pub struct SqliteFound {
    named: PathBuf,
    path: PathBuf,
    seen: Seen,
}

/// What is in a file.
#[derive(Debug)]
struct Seen {
    schema: Schema,
    canary: Option<Vec<u8>>,
}

const NOTHING: Seen = Seen { schema: Schema::None, canary: None };

impl SqliteFound {
    /// The same as [`Found::bring_up_to_date`].
    pub async fn open(self) -> Result<SqliteStore, OpenStoreError> {
        open::open(&self.path).await.map_err(|refusal| refusal.of(&self.named))
    }
}

#[async_trait]
impl Found for SqliteFound {
    fn canary(&self) -> Option<&[u8]> {
        self.seen.canary.as_deref()
    }

    fn is_up_to_date(&self) -> bool {
        self.seen.schema == Schema::Known
    }

    async fn bring_up_to_date(self: Box<Self>) -> Result<Arc<dyn Store>, OpenStoreError> {
        Ok(Arc::new(self.open().await?))
    }
}

pub(crate) async fn find(named: &Path) -> Result<SqliteFound, OpenStoreError> {
    try_find(named).await.map_err(|refusal| refusal.of(named))
}

async fn try_find(named: &Path) -> Result<SqliteFound, Refusal> {
    // Absolute, because SQLite gives some relative names a meaning of their own (`:memory:`, `file:…`).
    let path = std::path::absolute(named)?;
    let seen = if file::exists(&path).map_err(Refusal::Unusable)? { look(&path).await? } else { NOTHING };
    Ok(SqliteFound { named: named.to_owned(), path, seen })
}

/// Looks into a file.
///
/// SQLite makes two files beside a database with a write-ahead log even for reading it, which may not be allowed, and
/// leaves them there. A file that nobody has open is whole without them, and is read as one that cannot change, without
/// a lock. If somebody came meanwhile, what was read is worth nothing.
async fn look(path: &Path) -> Result<Seen, Refusal> {
    let reading = open::options(path).read_only(true);
    // SQLite's other files are beside the file itself, not beside a link to it.
    let file = fs::canonicalize(path)?;
    if let Some(before) = at_rest(&file)? {
        let seen = look_with(&reading.clone().immutable(true)).await;
        if at_rest(&file)? == Some(before) {
            return seen;
        }
    }
    match look_with(&reading).await {
        // Whoever reads such a file first undoes the write that was broken off. That is all that is ever done to one here.
        Err(Refusal::HalfWritten) => look_with(&reading.read_only(false)).await,
        seen => seen,
    }
}

async fn look_with(options: &SqliteConnectOptions) -> Result<Seen, Refusal> {
    let mut db = options.connect().await?;
    let seen = see(&mut db).await;
    db.close().await?;
    seen
}

async fn see(db: &mut SqliteConnection) -> Result<Seen, Refusal> {
    // One transaction sees one state, also while another process makes the file.
    let mut read = db.begin().await?;
    let schema = open::recognise(&mut read).await?;
    // The first migration made the table that the canary is in.
    if schema == Schema::None {
        return Ok(NOTHING);
    }
    let canary = installation::canary(&mut *read).await.map_err(|error| Refusal::Unusable(error.to_string()))?;
    Ok(Seen { schema, canary })
}

/// How a file looks that nobody has open; `None` where it may be in use, or was left in the middle of a write. (A log of
/// writes is there as long as a database is open, and a rollback journal as long as one is written to.)
fn at_rest(path: &Path) -> io::Result<Option<(u64, SystemTime)>> {
    for suffix in ["-wal", "-journal"] {
        let mut beside = path.as_os_str().to_owned();
        beside.push(suffix);
        if fs::exists(&beside)? {
            return Ok(None);
        }
    }
    let file = fs::metadata(path)?;
    Ok(Some((file.len(), file.modified()?)))
}
