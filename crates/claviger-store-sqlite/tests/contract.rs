//! Every rule of the store's contract, on SQLite.

use std::sync::Arc;

use claviger_store::contract::Fresh;
use claviger_store_sqlite::SqliteStore;
use tempfile::TempDir;

async fn fresh() -> (Fresh, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("claviger.db");
    let store = Arc::new(SqliteStore::open(&file).await.unwrap());
    let other = Arc::new(SqliteStore::open(&file).await.unwrap());
    (Fresh { store, other }, folder)
}

claviger_store::contract_tests!(fresh);
