//! Opening a deployment: its folder, its database, its master key.

use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, bail};
use claviger_app::{App, Parts, Store};
use claviger_core::Catalogue;
use claviger_seal::MasterKey;
use claviger_store_sqlite::SqliteStore;

use crate::clock::SystemClock;
use crate::master_key;
use crate::settings::Settings;

/// Opens what the settings name, for a server or for a command beside one. What the settings alone can tell to be wrong
/// is told before anything is made.
pub(crate) async fn app(settings: &Settings) -> anyhow::Result<App> {
    let catalogue = settings.catalogue()?;
    let file = database_file(settings)?;
    let given = master_key::given(&settings.vault)?;
    make_folder(&settings.data_dir)?;
    let store: Arc<dyn Store> = Arc::new(SqliteStore::open(&file).await?);
    let started = start(settings, Arc::clone(&store), given, catalogue).await;
    if started.is_err() {
        store.close().await;
    }
    started
}

async fn start(
    settings: &Settings,
    store: Arc<dyn Store>,
    given: Option<MasterKey>,
    catalogue: Catalogue,
) -> anyhow::Result<App> {
    let sealed_before = store.canary().await?.is_some();
    let master = match given {
        Some(master) => master,
        None => master_key::kept(&settings.data_dir, sealed_before)?,
    };
    let clock = Arc::new(SystemClock);
    Ok(App::start(Parts { store, master, catalogue, clock, cache_entries: settings.cache.entries }).await?)
}

fn make_folder(data_dir: &Path) -> anyhow::Result<()> {
    if data_dir.exists() && !data_dir.is_dir() {
        bail!("setting data_dir: {} is not a folder; name another one", data_dir.display());
    }
    let made = DirBuilder::new().recursive(true).mode(0o700).create(data_dir);
    made.with_context(|| format!("setting data_dir: {} cannot be made", data_dir.display()))
}

fn database_file(settings: &Settings) -> anyhow::Result<PathBuf> {
    let Some(url) = &settings.database.url else {
        return Ok(settings.data_dir.join("claviger.db"));
    };
    match url.expose().strip_prefix("sqlite://") {
        Some(path) if !path.is_empty() => Ok(PathBuf::from(path)),
        _ => bail!("database.url must be sqlite:// and a path; other databases are not supported by this version"),
    }
}
