//! How long a start takes, from the execution of the program.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};

use super::world::{Database, World};
use crate::bench::http;
use crate::bench::report::median;

const TIMES: usize = 9;
const LIMIT: Duration = Duration::from_secs(30);

#[derive(Clone, Copy, Debug)]
struct Start {
    /// Until it says that it listens.
    listening: Duration,
    /// Until `/readyz` says so.
    ready: Duration,
}

/// The middle one of several starts, and the slowest.
pub(super) struct Starts {
    pub(super) listening: Duration,
    pub(super) ready: Duration,
    pub(super) slowest: Duration,
}

/// With the small database and with the large one.
pub(super) fn measure(world: &World) -> anyhow::Result<[Starts; 2]> {
    let databases = [&world.few, &world.many];
    let mut starts = [Vec::new(), Vec::new()];
    for _ in 0..TIMES {
        for (database, starts) in databases.into_iter().zip(&mut starts) {
            starts.push(start(world, database)?);
        }
    }
    let [few, many] = starts;
    Ok([Starts::of(&few)?, Starts::of(&many)?])
}

impl Starts {
    fn of(starts: &[Start]) -> anyhow::Result<Self> {
        let listening = median(starts.iter().map(|start| start.listening));
        let ready = median(starts.iter().map(|start| start.ready));
        let slowest = starts.iter().map(|start| start.ready).max();
        let all = listening.zip(ready).zip(slowest).context("nothing was started")?;
        Ok(Self { listening: all.0.0, ready: all.0.1, slowest: all.1 })
    }
}

fn start(world: &World, database: &Database) -> anyhow::Result<Start> {
    let (mut serve, _) = world.serve(database)?;
    let begun = Instant::now();
    let mut started = Started::of(&mut serve)?;
    let address = started.address()?;
    let listening = begun.elapsed();
    while http::ask(address, "GET", "/readyz", &[], "")?.status != 200 {
        if begun.elapsed() > LIMIT {
            bail!("it is not ready after {LIMIT:?}");
        }
    }
    let ready = begun.elapsed();
    eprintln!(
        "started on {} workspaces: listening after {listening:.1?}, ready after {ready:.1?}",
        database.workspaces
    );
    Ok(Start { listening, ready })
}

/// A server that has nothing to finish, and is killed when this is dropped.
struct Started(Child);

impl Started {
    fn of(command: &mut Command) -> anyhow::Result<Self> {
        let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn();
        Ok(Self(child.context("cannot start Claviger")?))
    }

    /// Waits for its line `listening on http://ADDRESS`.
    fn address(&mut self) -> anyhow::Result<SocketAddr> {
        let output = BufReader::new(self.0.stdout.as_mut().context("no output")?);
        for line in output.lines() {
            if let Some((_, address)) = line?.split_once("listening on http://") {
                return Ok(address.trim().parse()?);
            }
        }
        bail!("Claviger ended at its start")
    }
}

impl Drop for Started {
    fn drop(&mut self) {
        let _killed = self.0.kill();
        let _ended = self.0.wait();
    }
}
