//! Databases of tests' own, and what is in a database.

use std::io::Write;
use std::process::{Command, Output, Stdio};

use anyhow::{Context, bail};

use crate::{files, postgres, search_for_secrets, shared_postgres};

/// A database on a PostgreSQL, which goes with this value. Before it goes, everything in it is looked through for the
/// secrets of tests, and the test fails where there is one.
#[derive(Debug)]
pub struct Database {
    server: String,
    name: String,
}

impl Database {
    /// A new one with nothing in it, on the PostgreSQL that all tests share. Its name begins like this.
    pub fn new(prefix: &str) -> anyhow::Result<Self> {
        Self::on(&shared_postgres()?, prefix)
    }

    /// The same on another server, whose superuser's URL this is.
    pub fn on(server: &str, prefix: &str) -> anyhow::Result<Self> {
        let name = format!("{prefix}_{}", &files::password()?[..12]);
        psql(server, &format!("CREATE DATABASE {name}"))?;
        Ok(Self { server: server.to_owned(), name })
    }

    /// Its URL, for the superuser.
    #[must_use]
    pub fn url(&self) -> String {
        url_of(&self.server, &self.name)
    }

    /// Runs statements as the superuser, up to the first that fails; answers the rows, one a line.
    pub fn execute(&self, sql: &str) -> anyhow::Result<String> {
        psql(&self.url(), sql)
    }

    fn leak(&self) -> anyhow::Result<Option<String>> {
        let found = search_for_secrets().in_bytes(&contents(&self.url())?);
        Ok(found.map(|found| format!("{found:?}")))
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        let leak = self.leak();
        // Where it fails, the server itself is about to go.
        let _gone = psql(&self.server, &format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", self.name));
        match leak {
            Ok(None) => {}
            Ok(Some(found)) => accuse(&format!("a test's secret stands in a table: {found}")),
            Err(error) => accuse(&format!("a test's database cannot be looked through: {error:#}")),
        }
    }
}

/// Fails the test; where it fails already, says this beside the reason.
#[expect(clippy::print_stderr, reason = "it belongs to the output of the test that fails")]
pub fn accuse(leak: &str) {
    assert!(std::thread::panicking(), "{leak}");
    eprintln!("{leak}");
}

/// The URL of another database on the same server.
pub(crate) fn url_of(server: &str, name: &str) -> String {
    let (place, _) = server.rsplit_once('/').unwrap_or((server, ""));
    format!("{place}/{name}")
}

/// The names of all databases on a server that can be connected to.
pub(crate) fn names(server: &str) -> anyhow::Result<Vec<String>> {
    let names = psql(server, "SELECT datname FROM pg_database WHERE datallowconn")?;
    Ok(names.lines().map(str::to_owned).collect())
}

/// All that is in a database, as text: rows as they read, not as they are stored. PostgreSQL packs long values and stores
/// them in pieces, in which nobody finds anything.
pub fn contents(url: &str) -> anyhow::Result<Vec<u8>> {
    let dump = client("pg_dump", url)?.arg("--lock-wait-timeout=10s").stdin(Stdio::null()).output();
    Ok(succeeded(dump.context("cannot start pg_dump")?)?.stdout)
}

/// Runs statements with `psql`, up to the first that fails; answers the rows, one a line, columns with `|` between them.
pub fn psql(url: &str, sql: &str) -> anyhow::Result<String> {
    let mut psql = client("psql", url)?
        .args(["--no-psqlrc", "--quiet", "--tuples-only", "--no-align", "--set=ON_ERROR_STOP=1"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .context("cannot start psql")?;
    if let Some(mut input) = psql.stdin.take() {
        input.write_all(sql.as_bytes())?;
    }
    String::from_utf8(succeeded(psql.wait_with_output()?)?.stdout).context("psql printed what is not text")
}

/// A client program of the server's own version, with the parts of a URL in its environment, as the list of processes shows
/// arguments to everyone.
fn client(program: &str, url: &str) -> anyhow::Result<Command> {
    let parts = || {
        let (credentials, place) = url.strip_prefix("postgres://")?.split_once('@')?;
        let (address, name) = place.split_once('/')?;
        Some((credentials.split_once(':')?, address.split_once(':')?, name))
    };
    let ((user, password), (host, port), name) = parts().context("not a URL with user, password, port and name")?;
    let mut command = Command::new(postgres::program(program)?);
    command
        .envs([("PGHOST", host), ("PGPORT", port), ("PGUSER", user), ("PGPASSWORD", password), ("PGDATABASE", name)])
        .env("LC_ALL", "C.UTF-8");
    Ok(command)
}

fn succeeded(output: Output) -> anyhow::Result<Output> {
    if !output.status.success() {
        bail!("{}: {}", output.status, String::from_utf8_lossy(&output.stderr).trim_end());
    }
    Ok(output)
}
