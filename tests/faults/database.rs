//! A PostgreSQL database of a test's own.

use std::net::SocketAddr;

use claviger_test_services as services;

/// A database on the PostgreSQL that all tests share, which goes with this value.
pub(crate) struct Database(services::Database);

impl Database {
    /// A new one, with nothing in it.
    pub(crate) fn new() -> Self {
        Self(services::Database::new("faults").unwrap())
    }

    /// Its URL.
    pub(crate) fn url(&self) -> String {
        self.0.url()
    }

    /// Its URL, by way of another address.
    pub(crate) fn url_by(&self, address: SocketAddr) -> String {
        let url = self.url();
        let ((user, _), (_, name)) = (url.split_once('@').unwrap(), url.rsplit_once('/').unwrap());
        format!("{user}@{address}/{name}")
    }

    /// Where its server listens.
    pub(crate) fn address(&self) -> SocketAddr {
        let url = self.url();
        url.split_once('@').unwrap().1.split_once('/').unwrap().0.parse().unwrap()
    }
}
