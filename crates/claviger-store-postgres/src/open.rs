//! Opening a database: is it ours, is it not too new, and bringing its schema up to date.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use claviger_store::{Found, OpenStoreError, Store};
use sqlx::migrate::{MigrateError, Migrator};
use sqlx::{Connection, PgConnection};
use tokio::time::timeout;

use crate::PostgresStore;
use crate::address::Address;
use crate::connect::{connect, in_words};
use crate::connections::Connections;
use crate::error::{code, sqlstate};

/// The first migration: by it a database is known as ours.
const FIRST: (i64, &str) = (1, "installation");

/// Whoever migrates holds this lock, so that nodes that start at once do it one after the other. "Clavigsc" in bytes; it
/// is one of the database, and other programs there have other numbers.
const MIGRATION_LOCK: i64 = 0x436c_6176_6967_7363;

/// How long a start waits for what another session holds: that lock, or a table. A URL may say otherwise, by
/// `options[lock_timeout]`.
const LOCK_TIMEOUT: &str = "60s";
/// After how long it says what it waits for.
const SAID_AFTER: Duration = Duration::from_secs(3);

/// Why a database could not be opened, before its name is put to it.
enum Refusal {
    Newer { found: i64, known: i64 },
    Unusable(String),
    Migration(Box<MigrateError>),
}

impl Refusal {
    fn of(self, database: &str) -> OpenStoreError {
        let database = database.to_owned();
        match self {
            Self::Newer { found, known } => OpenStoreError::Newer(database, found, known),
            Self::Unusable(why) => OpenStoreError::Unusable(database, why),
            // In words only: the error itself holds the server's details, and those the values of rows.
            Self::Migration(error) => OpenStoreError::Migration(database, error.to_string().into()),
        }
    }
}

impl From<sqlx::Error> for Refusal {
    fn from(error: sqlx::Error) -> Self {
        Self::Unusable(in_words(&error))
    }
}

/// A database that was recognised, and in which nothing was changed.
pub struct PostgresFound {
    address: Address,
    connections: u32,
    version: i64,
    canary: Option<Vec<u8>>,
}

impl std::fmt::Debug for PostgresFound {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PostgresFound")
            .field("database", &self.address.name)
            .field("version", &self.version)
            .finish_non_exhaustive()
    }
}

impl PostgresFound {
    pub(crate) async fn at(url: &str, connections: u32) -> Result<Self, OpenStoreError> {
        let address =
            Address::parse(url).map_err(|why| OpenStoreError::Unusable("the PostgreSQL database".to_owned(), why))?;
        let (version, canary) = look(&address).await.map_err(|refusal| refusal.of(&address.name))?;
        Ok(Self { address, connections, version, canary })
    }

    pub(crate) async fn into_store(self) -> Result<PostgresStore, OpenStoreError> {
        let migrations = migrations();
        if self.version < known(&migrations) {
            migrate(&self.address, &migrations).await.map_err(|refusal| refusal.of(&self.address.name))?;
        }
        let connections = Connections::new(self.address.options.clone(), self.connections);
        Ok(PostgresStore { name: self.address.name, connections, listening: self.address.options })
    }
}

#[async_trait]
impl Found for PostgresFound {
    fn canary(&self) -> Option<&[u8]> {
        self.canary.as_deref()
    }

    fn is_up_to_date(&self) -> bool {
        self.version == known(&migrations())
    }

    async fn bring_up_to_date(self: Box<Self>) -> Result<Arc<dyn Store>, OpenStoreError> {
        Ok(Arc::new(self.into_store().await?))
    }
}

fn migrations() -> Migrator {
    let mut migrations = sqlx::migrate!();
    // See `MIGRATION_LOCK`: the library's own lock outlives a transaction.
    migrations.set_locking(false);
    migrations
}

/// The last migration that this program knows.
fn known(migrations: &Migrator) -> i64 {
    migrations.iter().map(|migration| migration.version).max().unwrap_or_default()
}

async fn look(address: &Address) -> Result<(i64, Option<Vec<u8>>), Refusal> {
    let (mut db, _) = patient(address).await?;
    let version = recognise(&mut db, &migrations()).await?;
    let canary = if version < FIRST.0 {
        None
    } else {
        sqlx::query_scalar("SELECT canary FROM installation WHERE id = 1").fetch_one(&mut db).await?
    };
    db.close().await?;
    Ok((version, canary))
}

/// A connection that does not wait for ever, and for how long it does.
async fn patient(address: &Address) -> Result<(PgConnection, String), Refusal> {
    let mut db = connect(&address.options).await.map_err(Refusal::Unusable)?;
    let set = "SELECT CASE current_setting('lock_timeout') WHEN '0' THEN set_config('lock_timeout', $1, false)
                      ELSE current_setting('lock_timeout') END";
    let patience = sqlx::query_scalar(set).bind(LOCK_TIMEOUT).fetch_one(&mut db).await?;
    Ok((db, patience))
}

/// Refuses databases of other programs and of newer versions. Answers the last migration that was applied, 0 for none.
async fn recognise(db: &mut PgConnection, migrations: &Migrator) -> Result<i64, Refusal> {
    match recognise_once(db, migrations).await {
        // It takes several looks, and between two of them another node may have made all the tables: a second time
        // shows whose they are.
        Err(Refusal::Unusable(_)) => recognise_once(db, migrations).await,
        recognised => recognised,
    }
}

async fn recognise_once(db: &mut PgConnection, migrations: &Migrator) -> Result<i64, Refusal> {
    let migrated: bool =
        sqlx::query_scalar("SELECT to_regclass('_sqlx_migrations') IS NOT NULL").fetch_one(&mut *db).await?;
    let applied: Vec<(i64, String, Vec<u8>)> = if migrated {
        sqlx::query_as("SELECT version, description, checksum FROM _sqlx_migrations ORDER BY version")
            .fetch_all(&mut *db)
            .await?
    } else {
        Vec::new()
    };
    let Some((version, description, _)) = applied.first() else {
        return is_free(db).await.map(|()| 0);
    };
    if (*version, description.as_str()) != FIRST {
        let why = "it is another program's, as its table _sqlx_migrations shows; give Claviger one of its own";
        return Err(Refusal::Unusable(why.to_owned()));
    }
    let (found, known) = (applied.last().map_or(0, |(version, ..)| *version), known(migrations));
    if found > known {
        return Err(Refusal::Newer { found, known });
    }
    for (version, _, checksum) in &applied {
        let same = migrations.iter().any(|known| known.version == *version && *known.checksum == **checksum);
        if !same {
            return Err(Refusal::Migration(MigrateError::VersionMismatch(*version).into()));
        }
    }
    Ok(found)
}

/// Refuses a database where a table stands in the place of one of ours.
async fn is_free(db: &mut PgConnection) -> Result<(), Refusal> {
    let taken: Option<String> = sqlx::query_scalar(
        "SELECT string_agg(name, ', ')
         FROM unnest(ARRAY['installation', 'owner', 'workspace', 'organization', 'data_key', 'pool', 'provider_key',
                           'token', 'token_owner', 'key_usage', 'webhook', 'webhook_delivery']) AS name
         WHERE to_regclass(name) IS NOT NULL",
    )
    .fetch_one(db)
    .await?;
    match taken {
        None => Ok(()),
        Some(taken) => Err(Refusal::Unusable(format!(
            "it has tables of another program that are named as Claviger's ({taken}); give Claviger a database of its own"
        ))),
    }
}

/// Brings the schema up to date as one transaction, so that a process that dies half way leaves nothing.
async fn migrate(address: &Address, migrations: &Migrator) -> Result<(), Refusal> {
    let (mut db, patience) = patient(address).await?;
    let mut write = db.begin_with("BEGIN ISOLATION LEVEL READ COMMITTED").await?;
    if let Err(error) = lock(&mut write, (&address.name, &patience)).await {
        write.rollback().await?;
        return Err(not_locked(&mut db, &error, &patience).await);
    }
    // Another node may have been faster.
    let found = recognise(&mut write, migrations).await?;
    if found == known(migrations) {
        return Ok(());
    }
    // `run` is the same, but its future cannot be told to be `Send`.
    if let Err(error) = migrations.run_direct(None, &mut *write, false).await {
        write.rollback().await?;
        return Err(not_migrated(&mut db, found, error).await);
    }
    write.commit().await?;
    db.close().await?;
    Ok(())
}

/// Waits until no other node is at it, and says so where that takes long.
async fn lock(write: &mut PgConnection, (database, patience): (&str, &str)) -> Result<(), sqlx::Error> {
    let mut locking = pin!(sqlx::query("SELECT pg_advisory_xact_lock($1)").bind(MIGRATION_LOCK).execute(write));
    if let Ok(locked) = timeout(SAID_AFTER, &mut locking).await {
        return locked.map(drop);
    }
    tracing::warn!(database, at_most = patience, "waiting for another session, which brings the schema up to date");
    locking.await.map(drop)
}

async fn not_locked(db: &mut PgConnection, error: &sqlx::Error, patience: &str) -> Refusal {
    if sqlstate(error).as_deref() != Some(code::LOCK_TIMEOUT) {
        return Refusal::Unusable(in_words(error));
    }
    // An advisory lock's number stands there in two halves.
    let holder = sqlx::query_scalar::<_, i32>(
        "SELECT pid FROM pg_locks
         WHERE locktype = 'advisory' AND granted AND objsubid = 1 AND classid::bigint << 32 | objid::bigint = $1
               AND database = (SELECT oid FROM pg_database WHERE datname = current_database())",
    );
    let holder = holder.bind(MIGRATION_LOCK).fetch_optional(db).await.ok().flatten();
    let cure = holder.map_or_else(String::new, |pid| {
        format!("; if no other node is starting, end that session: SELECT pg_terminate_backend({pid})")
    });
    Refusal::Unusable(format!("another session has been bringing its schema up to date for more than {patience}{cure}"))
}

/// A missing right is the common case: since PostgreSQL 15 only the owner of a database may make tables in `public`.
async fn not_migrated(db: &mut PgConnection, found: i64, error: MigrateError) -> Refusal {
    let (MigrateError::Execute(of_server) | MigrateError::ExecuteMigration(of_server, _)) = &error else {
        return Refusal::Migration(error.into());
    };
    match sqlstate(of_server).as_deref() {
        Some(code::FORBIDDEN) if found == 0 => {
            let schema = sqlx::query_scalar::<_, Option<String>>("SELECT current_schema()").fetch_one(db).await;
            let schema = schema.ok().flatten().unwrap_or_else(|| "public".to_owned());
            Refusal::Unusable(format!(
                "its user lacks the right to create tables; the database's owner gives it with \
                 GRANT USAGE, CREATE ON SCHEMA {schema} TO the user"
            ))
        }
        Some(code::FORBIDDEN) => Refusal::Unusable(
            "its user lacks the right to change Claviger's tables, which this version needs once: start it once as the \
             user that owns them"
                .to_owned(),
        ),
        Some(code::NO_SCHEMA | code::READ_ONLY | code::DISK_FULL | code::LOCK_TIMEOUT) => Refusal::Unusable(in_words(of_server)),
        _ => Refusal::Migration(error.into()),
    }
}
