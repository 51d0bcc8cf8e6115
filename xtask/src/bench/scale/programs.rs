//! Programs of the workspace that fill databases, and that measure inside one process.

use std::collections::BTreeMap;
use std::process::Command;

use anyhow::{Context, bail};

use super::world::World;
use crate::{root, run};

/// Rounds that the program adds for itself, and ways to ask in each.
const COLD_WARM_UP: u64 = 200;
const COLD_WAYS: u64 = 4;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Program {
    /// Fills a database, and times leases of pools that are not in memory.
    Scale,
    /// Times leases with and without Valkey.
    SharedLease,
}

impl Program {
    pub(super) const ALL: [Self; 2] = [Self::Scale, Self::SharedLease];

    /// Of the example, in whichever crate.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Scale => "scale",
            Self::SharedLease => "shared_lease",
        }
    }

    pub(super) fn command(self) -> Command {
        run::command(root().join("target/release/examples").join(self.name()))
    }
}

/// A time in microseconds, for half and for 99 in 100.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) struct Times {
    pub(super) p50: f64,
    pub(super) p99: f64,
}

/// Of a lease whose pool is not in memory, and of what it is made of.
pub(super) struct Cold {
    pub(super) leases: u64,
    pub(super) lease: Times,
    /// The store's call, which a lease waits for.
    pub(super) store: Times,
    /// Its statement, on a pool of connections.
    pub(super) pooled: Times,
    /// Its statement, on one connection.
    pub(super) bare: Times,
}

/// Of a lease whose pool is in memory.
pub(super) struct Shared {
    pub(super) alone: Times,
    /// With its turn from Valkey.
    pub(super) with_valkey: Times,
    /// That turn's command, on a plain connection.
    pub(super) bare: Times,
}

pub(super) fn cold_leases(world: &World, wanted: u64) -> anyhow::Result<Cold> {
    let workspaces = world.many.workspaces;
    let leases = wanted.min(workspaces / COLD_WAYS - COLD_WARM_UP);
    eprintln!("timing {leases} leases of pools that are not in memory");
    let mut program = world.program(Program::Scale, &world.many);
    program.arg("cold-leases").args([workspaces.to_string(), leases.to_string()]);
    let mut times = times(&run::output(&mut program)?)?;
    let mut of = |way| taken(&mut times, way);
    Ok(Cold { leases, lease: of("lease")?, store: of("store")?, pooled: of("pooled")?, bare: of("bare")? })
}

pub(super) fn shared_lease(world: &World) -> anyhow::Result<Shared> {
    eprintln!("timing leases with Valkey");
    let mut times = times(&run::output(Program::SharedLease.command().arg(world.valkey.url()))?)?;
    let mut of = |way| taken(&mut times, way);
    Ok(Shared { alone: of("alone")?, with_valkey: of("shared")?, bare: of("bare")? })
}

/// Lines with a way to ask, its p50 and its p99.
fn times(output: &str) -> anyhow::Result<BTreeMap<String, Times>> {
    let mut times = BTreeMap::new();
    for line in output.lines() {
        let [way, p50, p99] = line.split_whitespace().collect::<Vec<_>>()[..] else {
            bail!("a line with times was expected: {line:?}");
        };
        eprintln!("{way}: p50 {p50} µs, p99 {p99} µs");
        times.insert(way.to_owned(), Times { p50: p50.parse()?, p99: p99.parse()? });
    }
    Ok(times)
}

fn taken(times: &mut BTreeMap<String, Times>, way: &str) -> anyhow::Result<Times> {
    times.remove(way).with_context(|| format!("no times of {way:?}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_by_name() {
        let mut times = times("lease 151.2 400.0\nbare 140.1 380.5\n").unwrap();
        assert_eq!(taken(&mut times, "bare").unwrap(), Times { p50: 140.1, p99: 380.5 });
        taken(&mut times, "bare").unwrap_err();
    }
}
