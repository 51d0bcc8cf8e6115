//! Every rule of the store's contract, on PostgreSQL.

use std::sync::Arc;

use claviger_store::contract::Fresh;

use crate::server::Database;

async fn fresh() -> (Fresh, Database) {
    let database = Database::new().await;
    let (store, other) = (Arc::new(database.store().await), Arc::new(database.store().await));
    (Fresh { store, other }, database)
}

claviger_store::contract_tests!(fresh);
