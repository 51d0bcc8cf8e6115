//! A database of a test's own.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, Stdio};

use claviger_test_services as services;

/// What there is of schema and rows, in a form that shows every change: also of what was rewritten and is equal. Without
/// what running nodes say again and again.
const EVERYTHING: &str = "
    SELECT c.oid, n.nspname, c.relname, c.relkind, c.relfilenode, c.relnatts, c.relacl, c.relchecks
      FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE n.nspname NOT LIKE 'pg\\_%' AND n.nspname <> 'information_schema' ORDER BY c.oid;
    SELECT oid, nspname, nspacl FROM pg_namespace WHERE nspname NOT LIKE 'pg\\_%' ORDER BY oid;
    SELECT oid, conname, pg_get_constraintdef(oid) FROM pg_constraint WHERE connamespace = 'public'::regnamespace
     ORDER BY oid;
    SELECT oid, proname FROM pg_proc WHERE pronamespace = 'public'::regnamespace ORDER BY oid;
    SELECT c.relname, query_to_xml(format('SELECT ctid, xmin, * FROM public.%I t ORDER BY ctid', c.relname), true, true, '')
      FROM pg_class c WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'r' AND c.relname <> 'node' ORDER BY c.relname;";

/// A database on the PostgreSQL that all tests share, which goes with this value.
pub(crate) struct Database(services::Database);

impl Database {
    /// A new one, with nothing in it.
    pub(crate) fn new() -> Self {
        Self(services::Database::new("nodes").unwrap())
    }

    /// Its URL, for the superuser.
    pub(crate) fn url(&self) -> String {
        self.0.url()
    }

    /// The URL of a database on the same server.
    pub(crate) fn url_of(&self, name: &str) -> String {
        format!("{}/{name}", self.url().rsplit_once('/').unwrap().0)
    }

    /// Its URL, for another user.
    pub(crate) fn url_as(&self, user: &str, password: &str) -> String {
        with_user(&self.url(), user, password)
    }

    /// Runs statements as the superuser; answers the rows, one a line.
    pub(crate) fn execute(&self, sql: &str) -> String {
        self.0.execute(sql).unwrap()
    }

    /// A session of the superuser's that ran this, and does nothing more.
    pub(crate) fn session(&self, sql: &str) -> Session {
        let mut psql = psql(&self.url()).spawn().unwrap();
        let ran = format!("{sql}\n\\echo that was it\n");
        psql.stdin.as_mut().unwrap().write_all(ran.as_bytes()).unwrap();
        let lines = BufReader::new(psql.stdout.take().unwrap()).lines();
        assert!(lines.map_while(Result::ok).any(|line| line == "that was it"), "the session broke off");
        Session(psql)
    }

    /// All that is in it.
    pub(crate) fn everything(&self) -> String {
        self.execute(EVERYTHING)
    }
}

/// Ends with this value.
pub(crate) struct Session(Child);

impl Drop for Session {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The same URL with another user.
pub(crate) fn with_user(url: &str, user: &str, password: &str) -> String {
    let (_, place) = url.split_once('@').unwrap();
    format!("postgres://{user}:{password}@{place}")
}

/// The same URL with another place of the server, on this machine.
pub(crate) fn at_port(url: &str, port: u16) -> String {
    let (user, place) = url.split_once('@').unwrap();
    let (_, name) = place.split_once('/').unwrap();
    format!("{user}@127.0.0.1:{port}/{name}")
}

/// The port in a server's URL.
pub(crate) fn port(url: &str) -> u16 {
    let (_, place) = url.split_once("://").unwrap();
    let place = place.rsplit_once('@').map_or(place, |(_, place)| place);
    let place = place.split_once('/').map_or(place, |(place, _)| place);
    place.rsplit_once(':').unwrap().1.parse().unwrap()
}

fn psql(url: &str) -> Command {
    let (credentials, place) = url.strip_prefix("postgres://").unwrap().split_once('@').unwrap();
    let (user, password) = credentials.split_once(':').unwrap();
    let (_, name) = place.split_once('/').unwrap();
    let mut psql = Command::new("psql");
    psql.args(["--no-psqlrc", "--quiet", "--tuples-only", "--no-align", "--set=ON_ERROR_STOP=1"])
        // In the environment, as the list of processes shows arguments to everyone.
        .envs([("PGHOST", "127.0.0.1"), ("PGUSER", user), ("PGPASSWORD", password), ("PGDATABASE", name)])
        .env("PGPORT", port(url).to_string())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    psql
}
