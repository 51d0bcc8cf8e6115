//! The servers that stay for the whole run, and the databases.

use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::Context;
use claviger_test_services::{Postgres, Valkey};
use tempfile::TempDir;

use super::FEW;
use super::programs::Program;
use crate::bench::servers::{self, Endpoint, random};
use crate::run::{self, Server};

pub(super) struct World {
    pub(super) few: Database,
    pub(super) many: Database,
    pub(super) valkey: Valkey,
    pub(super) postgres_version: String,
    master_key: String,
    upstream: SocketAddr,
    // Dropped in this order.
    _mock: Server,
    _postgres: Postgres,
    dir: TempDir,
}

/// A database full of workspaces.
pub(super) struct Database {
    pub(super) workspaces: u64,
    pub(super) filled_in: Duration,
    pub(super) gib: f64,
    url: String,
    /// Of the role service.
    token: String,
}

/// A Claviger on one of the databases.
pub(super) struct Node {
    pub(super) endpoint: Endpoint,
    pub(super) process: u32,
    /// For what belongs to this node alone.
    pub(super) dir: PathBuf,
    _server: Server,
}

impl World {
    pub(super) fn make(workspaces: u64) -> anyhow::Result<Self> {
        let (postgres, valkey) = (Postgres::start()?, Valkey::start()?);
        let postgres_version = postgres.execute("postgres", "SHOW server_version")?;
        let postgres_version = postgres_version.split_whitespace().next().unwrap_or_default().to_owned();
        let master_key = master_key()?;
        let database = |name: &str, workspaces| Database::fill(&postgres, name, workspaces, &master_key);
        let (few, many) = (database("few", FEW)?, database("many", workspaces)?);
        let dir = tempfile::tempdir()?;
        let (upstream, mock) = servers::mock(dir.path())?;
        Ok(Self { few, many, valkey, postgres_version, master_key, upstream, _mock: mock, _postgres: postgres, dir })
    }

    /// A program of the workspace that works on a database.
    pub(super) fn program(&self, program: Program, database: &Database) -> Command {
        on_database(program, &database.url, &self.master_key)
    }

    /// `claviger serve` on a database, not started yet; and a folder that is its alone.
    pub(super) fn serve(&self, database: &Database) -> anyhow::Result<(Command, PathBuf)> {
        let dir = self.dir.path().join(random()?);
        fs::create_dir(&dir)?;
        let mut serve = servers::serve(self.upstream, &dir, &random()?);
        serve.env("CLAVIGER_DATABASE__URL", &database.url).env("CLAVIGER_VAULT__MASTER_KEY", &self.master_key);
        Ok((serve, dir))
    }

    /// Starts Claviger on a database, with another `cache.bytes` than the default if one is given.
    pub(super) fn node(&self, database: &Database, cache_mib: Option<u32>) -> anyhow::Result<Node> {
        let (mut serve, dir) = self.serve(database)?;
        if let Some(mib) = cache_mib {
            serve.env("CLAVIGER_CACHE__BYTES", format!("{mib}MiB"));
        }
        let mut server = Server::start("claviger", &mut serve, &dir)?;
        let (address, process) = (server.address()?, server.id());
        let token = database.token.clone();
        let endpoint = Endpoint { address, prefix: "/gateway/openai", token, process: Some(process) };
        Ok(Node { endpoint, process, dir, _server: server })
    }
}

impl Database {
    fn fill(postgres: &Postgres, name: &str, workspaces: u64, master_key: &str) -> anyhow::Result<Self> {
        postgres.execute("postgres", &format!("CREATE DATABASE {name}"))?;
        let url = postgres.url(name);
        let begun = Instant::now();
        eprintln!("filling a database with {workspaces} workspaces");
        let mut fill = on_database(Program::Scale, &url, master_key);
        let token = run::output(fill.args(["populate", &workspaces.to_string()]))?.trim().to_owned();
        let filled_in = begun.elapsed();
        // As the server does by itself after a while, but then in the middle of a measurement.
        postgres.execute(name, "VACUUM ANALYZE")?;
        let bytes: f64 = postgres.execute(name, &format!("SELECT pg_database_size('{name}')"))?.parse()?;
        Ok(Self { workspaces, filled_in, gib: bytes / f64::from(1 << 30), url, token })
    }
}

fn on_database(program: Program, url: &str, master_key: &str) -> Command {
    let mut command = program.command();
    command.env("CLAVIGER_SCALE_DATABASE", url).env("CLAVIGER_SCALE_MASTER_KEY", master_key);
    command
}

/// Base64 of 32 bytes. The digits of hexadecimal numbers are digits there, too; the last one may not be just any.
fn master_key() -> anyhow::Result<String> {
    let (first, second) = (random()?, random()?);
    let rest = second.get(..2).context("too little randomness")?;
    Ok(format!("{first}{rest}0="))
}
