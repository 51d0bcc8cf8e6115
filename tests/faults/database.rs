//! A PostgreSQL database of a test's own.

use std::net::SocketAddr;
use std::process::Command;

use claviger_test_services::shared_postgres;
use claviger_testkit::random_secret;

/// A database on the PostgreSQL that all tests share, which goes with this value.
pub(crate) struct Database {
    server: String,
    name: String,
}

impl Database {
    /// A new one, with nothing in it.
    pub(crate) fn new() -> Self {
        let server = shared_postgres().unwrap();
        let name = format!("faults_{}", &random_secret()[..12]);
        assert!(run(&server, &format!("CREATE DATABASE {name}")));
        Self { server, name }
    }

    /// Its URL.
    pub(crate) fn url(&self) -> String {
        let (server, _) = self.server.rsplit_once('/').unwrap();
        format!("{server}/{}", self.name)
    }

    /// Its URL, by way of another address.
    pub(crate) fn url_by(&self, address: SocketAddr) -> String {
        let (user, _) = self.server.split_once('@').unwrap();
        format!("{user}@{address}/{}", self.name)
    }

    /// Where its server listens.
    pub(crate) fn address(&self) -> SocketAddr {
        let (place, _) = self.server.split_once('@').unwrap().1.split_once('/').unwrap();
        let (_, port) = place.rsplit_once(':').unwrap();
        ([127, 0, 0, 1], port.parse().unwrap()).into()
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        // Where it fails, the server itself is about to go.
        run(&self.server, &format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", self.name));
    }
}

/// Runs a statement with `psql`; tells whether it succeeded.
fn run(url: &str, sql: &str) -> bool {
    let (user, password) = url.strip_prefix("postgres://").unwrap().split_once('@').unwrap().0.split_once(':').unwrap();
    let (place, name) = url.split_once('@').unwrap().1.split_once('/').unwrap();
    let psql = Command::new("psql")
        .args(["--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1", "--command", sql])
        // In the environment, as the list of processes shows arguments to everyone.
        .envs([("PGHOST", "127.0.0.1"), ("PGUSER", user), ("PGPASSWORD", password), ("PGDATABASE", name)])
        .env("PGPORT", place.rsplit_once(':').unwrap().1)
        .output()
        .unwrap();
    psql.status.success()
}
