//! The store on a real PostgreSQL: `cargo xtask with-services cargo test -p claviger-store-postgres`.

mod contract;
mod faults;
mod opening;
mod schema;
mod server;
mod upgrade;

use claviger_store_postgres::PostgresStore;

impl server::Database {
    async fn store(&self) -> PostgresStore {
        PostgresStore::open(&self.url(), 5).await.unwrap()
    }
}
