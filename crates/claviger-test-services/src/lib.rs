//! For tests: real PostgreSQL and Valkey servers, and a real browser, from Debian's packages; and the mark of a run's
//! secrets with the search for them.
//!
//! A server is a child process on a free loopback port, with its data in a temporary folder. Both go when its value is
//! dropped, and also when the process that started it ends without dropping it.
//!
//! Everything here holds the calling thread until it is done. It depends on nothing else of ours, so that xtask, which
//! installs and starts the servers that all tests share, compiles in seconds.
//!
//! A test that only wants an empty database or a key prefix of its own takes the shared servers
//! ([`shared_postgres`], [`shared_valkey`]). A test that stops, freezes or configures one starts its own.

mod chromedriver;
mod database;
mod files;
mod mark;
mod port;
mod postgres;
mod search;
mod server;
mod valkey;

use anyhow::Context;

pub use chromedriver::Chromedriver;
pub use database::{Database, accuse, contents, psql};
pub use mark::{MARK_VARIABLE, mark, new_mark, note_secret, search_for_secrets};
pub use postgres::Postgres;
pub use search::{Found, Search};
pub use valkey::Valkey;

/// The environment variable with the URL of the PostgreSQL that all tests share.
pub const POSTGRES_VARIABLE: &str = "CLAVIGER_TEST_POSTGRES";
/// The environment variable with the URL of the Valkey that all tests share.
pub const VALKEY_VARIABLE: &str = "CLAVIGER_TEST_VALKEY";

/// The URL of the PostgreSQL that all tests share: its superuser, and the database `postgres`. A test makes a database
/// of its own on it.
pub fn shared_postgres() -> anyhow::Result<String> {
    shared(POSTGRES_VARIABLE)
}

/// The URL of the Valkey that all tests share. A test uses key and channel names of its own on it.
pub fn shared_valkey() -> anyhow::Result<String> {
    shared(VALKEY_VARIABLE)
}

#[expect(clippy::disallowed_methods, reason = "how xtask hands a server to tests; it is no setting of the product")]
fn shared(variable: &str) -> anyhow::Result<String> {
    std::env::var(variable).with_context(|| {
        format!("{variable} is not set: run `cargo xtask test`, or `cargo xtask with-services cargo test …`")
    })
}
