//! Opening a deployment: its folder, its database, its master key.

use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context, bail};
use claviger_app::{App, Parts, Store};
use claviger_store_sqlite::SqliteStore;

use crate::clock::SystemClock;
use crate::master_key;
use crate::settings::Settings;

/// Opens what the settings name, for a server or for a command beside one.
pub(crate) async fn app(settings: &Settings) -> anyhow::Result<App> {
    let catalogue = settings.catalogue()?;
    let data_dir = &settings.data_dir;
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(data_dir)
        .with_context(|| format!("data_dir {} cannot be made", data_dir.display()))?;
    let store: Arc<dyn Store> = Arc::new(SqliteStore::open(&database_file(settings)?).await?);
    let sealed_before = store.canary().await?.is_some();
    let master = master_key::find(&settings.vault, data_dir, sealed_before)?;
    let clock = Arc::new(SystemClock);
    Ok(App::start(Parts { store, master, catalogue, clock, cache_entries: settings.cache.entries }).await?)
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
