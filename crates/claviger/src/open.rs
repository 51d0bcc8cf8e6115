//! Opening a deployment: its folder, its database, its master key.

use std::fmt;
use std::fs::{self, DirBuilder};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, bail};
use claviger_app::coordination::Coordination;
use claviger_app::keyring::Prober;
use claviger_app::keyring::Rotation;
use claviger_app::webhooks::Courier;
use claviger_app::{App, Found, Parts, Store};
use claviger_core::Catalogue;
use claviger_gateway::{GatewayCourier, GatewayProber};
use claviger_portal::console::Node;
use claviger_seal::{MasterKey, MasterKeys};
use claviger_store_postgres::PostgresStore;
use claviger_store_sqlite::SqliteStore;
use tempfile::TempDir;
use zeroize::Zeroizing;

use crate::clock::SystemClock;
use crate::master_key::{self, Loaded};
use crate::settings::{Secret, Settings};

/// Where a database is.
#[derive(Debug)]
pub(crate) enum Database {
    /// A file.
    Sqlite(PathBuf),
    /// A server, by a URL that may hold a password.
    Postgres(Secret),
}

impl Database {
    /// The one that the settings name.
    pub(crate) fn of(settings: &Settings) -> anyhow::Result<Self> {
        match &settings.database.url {
            None => Ok(Self::Sqlite(settings.data_dir.join("claviger.db"))),
            Some(url) => Self::parse(url.expose()).context("setting database.url"),
        }
    }

    /// The one that a URL names.
    pub(crate) fn parse(url: &str) -> anyhow::Result<Self> {
        match url.split_once("://") {
            Some(("sqlite", path)) if !path.is_empty() => Ok(Self::Sqlite(PathBuf::from(path))),
            Some(("postgres" | "postgresql", _)) => Ok(Self::Postgres(Secret::new(Zeroizing::new(url.to_owned())))),
            // Without the URL: it may hold a password.
            _ => bail!("must be sqlite:// and a path, or postgres://USER@HOST/DATABASE"),
        }
    }

    /// Finds and recognises it, and changes nothing.
    pub(crate) async fn find(&self, connections: u32) -> anyhow::Result<Box<dyn Found>> {
        Ok(match self {
            Self::Sqlite(file) => Box::new(SqliteStore::find(file).await?),
            Self::Postgres(url) => Box::new(PostgresStore::find(url.expose(), connections).await?),
        })
    }

    fn is_for_several_nodes(&self) -> bool {
        matches!(self, Self::Postgres(_))
    }
}

impl fmt::Display for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(file) => write!(f, "{}", file.display()),
            // Its URL may hold a password.
            Self::Postgres(url) => match PostgresStore::name_of(url.expose()) {
                Some(name) => write!(f, "the PostgreSQL database {name}"),
                None => f.write_str("PostgreSQL"),
            },
        }
    }
}

/// What becomes of a deployment that is not there.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Absent {
    /// It is made.
    Made,
    /// It is said to be missing, and nothing is made.
    Refused,
}

impl Absent {
    /// For a command: only those that begin something may begin a deployment.
    pub(crate) fn unless_made_by(begins: bool) -> Self {
        if begins { Self::Made } else { Self::Refused }
    }
}

/// Opens what the settings name, for a command beside servers.
pub(crate) async fn app(settings: &Settings, absent: Absent) -> anyhow::Result<App> {
    open(settings, absent, None, (None, None)).await
}

/// Opens what the settings name to look at it only. Where nothing is there yet, nothing is made, and an empty deployment
/// in a temporary folder, which goes with the second value, stands in its place.
pub(crate) async fn to_look_at(settings: &Settings) -> anyhow::Result<(App, Option<TempDir>)> {
    let database = Database::of(settings)?;
    let found = at_setting(settings, database.find(settings.database.connections).await)?;
    if found.canary().is_some() {
        if !found.is_up_to_date() {
            bail!("{database} was written by an older version of Claviger; start this version's server on it once");
        }
        drop(found);
        return Ok((app(settings, Absent::Refused).await?, None));
    }
    let folder = tempfile::tempdir().context("no temporary folder")?;
    let store = SqliteStore::find(&folder.path().join("claviger.db")).await?.open().await?;
    let master = MasterKey::parse(&MasterKey::generate()?)?;
    let rotation = Rotation { coordination: None, random_start: false, platform_fallback: false };
    let parts = (settings.catalogue()?, rotation, (None, None));
    Ok((start(settings, Arc::new(store), MasterKeys::from(master), parts).await?, Some(folder)))
}

/// Opens what the settings name, for a server. What the settings alone can tell to be wrong is told before anything is
/// made, and a master key that is not the database's before anything is changed.
pub(crate) async fn server(settings: &Settings, coordination: Option<Arc<dyn Coordination>>) -> anyhow::Result<App> {
    let prober = GatewayProber::new(&settings.catalogue()?, settings.gateway.connect_timeout.0)?;
    let courier = GatewayCourier::new(settings.webhooks.reach()?)?;
    open(settings, Absent::Made, coordination, (Some(Arc::new(prober)), Some(Arc::new(courier)))).await
}

/// What sends something by itself, in a server.
type WaysOut = (Option<Arc<dyn Prober>>, Option<Arc<dyn Courier>>);

async fn open(
    settings: &Settings,
    absent: Absent,
    coordination: Option<Arc<dyn Coordination>>,
    ways_out: WaysOut,
) -> anyhow::Result<App> {
    let catalogue = settings.catalogue()?;
    let database = Database::of(settings)?;
    let (found, Loaded { keys, .. }) = find(settings, &database, absent).await?;
    if let Some(canary) = found.canary() {
        claviger_app::prove(&keys, canary)?;
    }
    let store = at_setting(settings, found.bring_up_to_date().await)?;
    let rotation = Rotation {
        coordination,
        random_start: database.is_for_several_nodes(),
        platform_fallback: settings.platform_fallback(),
    };
    let started = start(settings, Arc::clone(&store), keys, (catalogue, rotation, ways_out)).await;
    if started.is_err() {
        store.close().await;
    }
    started
}

/// Finds the database and the master keys. Changes nothing in a database, but makes the data folder and the master key in
/// it, where they are to be there and are not, unless an absent deployment is to be refused.
async fn find(settings: &Settings, database: &Database, absent: Absent) -> anyhow::Result<(Box<dyn Found>, Loaded)> {
    let given = master_key::given(&settings.vault).await?;
    if !given.names_one() && database.is_for_several_nodes() {
        bail!(
            "with PostgreSQL the master key must be given, the same to every node: set vault.master_key, \
             vault.master_key_file or vault.master_key_command"
        );
    }
    if let Database::Sqlite(file) = database {
        match absent {
            Absent::Made => make_folder(&settings.data_dir)?,
            // Whatever else keeps a file from being looked at is told by who looks at it.
            Absent::Refused if matches!(fs::exists(file), Ok(false)) => {
                bail!("no database at {}: {} says where it is", std::path::absolute(file)?.display(), place(settings))
            }
            Absent::Refused => {}
        }
    }
    let found = at_setting(settings, database.find(settings.database.connections).await)?;
    if absent == Absent::Refused && found.canary().is_none() {
        bail!(
            "{database} holds no deployment, no master key was ever used with it: {} says where it is",
            place(settings)
        );
    }
    let loaded = given.or_kept(&settings.data_dir, found.canary().is_some())?;
    Ok((found, loaded))
}

/// Opens the database that the settings name, and the master keys beside it, whether they fit or not; but a schema is
/// brought up to date only by who has the master key in use. Makes nothing.
pub(crate) async fn database_and_master_keys(settings: &Settings) -> anyhow::Result<(Arc<dyn Store>, Loaded)> {
    let (found, loaded) = find(settings, &Database::of(settings)?, Absent::Refused).await?;
    if let Some(canary) = found.canary()
        && !found.is_up_to_date()
    {
        claviger_app::prove(&loaded.keys, canary)?;
    }
    Ok((at_setting(settings, found.bring_up_to_date().await)?, loaded))
}

/// What the console tells of this node beside what the app knows.
pub(crate) fn node(settings: &Settings) -> anyhow::Result<Node> {
    let database = Database::of(settings)?;
    let database = match &database {
        Database::Sqlite(file) => format!("SQLite, {}", file.display()),
        Database::Postgres(_) => database.to_string(),
    };
    let master_key = master_key::place(&settings.vault, &settings.data_dir);
    Ok(Node { version: env!("CARGO_PKG_VERSION"), database, master_key })
}

/// The setting that leads to the database.
fn place(settings: &Settings) -> &'static str {
    if settings.database.url.is_some() { "setting database.url" } else { "setting data_dir, or --data-dir," }
}

/// Names the setting that leads to the database, where it is one and not the default.
fn at_setting<T>(settings: &Settings, result: Result<T, impl Into<anyhow::Error>>) -> anyhow::Result<T> {
    let result = result.map_err(Into::into);
    if settings.database.url.is_some() { result.context("setting database.url") } else { result }
}

async fn start(
    settings: &Settings,
    store: Arc<dyn Store>,
    master_keys: MasterKeys,
    (catalogue, rotation, (prober, courier)): (Catalogue, Rotation, WaysOut),
) -> anyhow::Result<App> {
    let platform_keys = settings.platform_keys(&catalogue)?;
    let clock = Arc::new(SystemClock::new());
    let cache = settings.cache();
    let portal = settings.portal()?;
    let bad_token_limit = settings.auth.bad_token_limit;
    Ok(App::start(Parts {
        store,
        master_keys,
        catalogue,
        clock,
        platform_keys,
        rotation,
        prober,
        courier,
        cache,
        portal,
        bad_token_limit,
    })
    .await?)
}

fn make_folder(data_dir: &Path) -> anyhow::Result<()> {
    if data_dir.exists() && !data_dir.is_dir() {
        bail!("setting data_dir: {} is not a folder; name another one", data_dir.display());
    }
    let made = DirBuilder::new().recursive(true).mode(0o700).create(data_dir);
    made.with_context(|| format!("setting data_dir: {} cannot be made", data_dir.display()))
}
