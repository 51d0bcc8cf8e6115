//! `cargo xtask bench scale`: whether a lease, a start and memory cost with a million workspaces what was promised.
//!
//! Two databases on one PostgreSQL, of 1,000 workspaces and of very many, each with three sealed keys, and Claviger in
//! front of them. What is compared takes turns, so that whatever else the machine does falls on both sides.

mod cost;
mod memory;
mod programs;
mod report;
mod start;
mod world;

use anyhow::bail;
use clap::Args;

use self::programs::Program;
use self::report::Report;
use self::world::World;
use super::document::Place;
use super::has_wrk;
use super::machine::Machine;
use crate::{install, run};

/// Workspaces of the small database, and of those that requests are for again and again.
const FEW: u64 = 1_000;

#[derive(Args)]
pub(crate) struct Options {
    /// Workspaces in the large database.
    #[arg(long, default_value_t = 1_000_000, value_parser = clap::value_parser!(u64).range(500_000..=9_999_999))]
    workspaces: u64,
    /// Seconds of load for each measurement of what a request costs.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u64).range(1..))]
    seconds: u64,
    /// How often that is measured.
    #[arg(long, default_value_t = 11, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// How many leases are timed whose pools are not in memory; fewer where there are not as many workspaces.
    #[arg(long, default_value_t = 4_000, value_parser = clap::value_parser!(u64).range(1..))]
    cold_leases: u64,
    /// Also writes the report into docs/performance.md.
    #[arg(long)]
    write: bool,
}

pub(super) fn run(options: &Options) -> anyhow::Result<()> {
    let place = Place::find("scale", options.write)?;
    install::services()?;
    install::debian(&["wrk"], has_wrk)?;
    let mut build = run::cargo();
    build.args(["build", "--release", "--workspace", "--bins"]);
    run::succeed(build.args(Program::ALL.iter().flat_map(|program| ["--example", program.name()])))?;

    let load_before = Machine::load()?;
    let world = World::make(options.workspaces)?;
    let starts = start::measure(&world)?;
    let cold = programs::cold_leases(&world, options.cold_leases)?;
    let memory = memory::measure(&world)?;
    let costs = cost::measure(&world, options)?;
    let shared = programs::shared_lease(&world)?;

    let load = [load_before, Machine::load()?];
    let report = Report { world: &world, starts, cold, memory, costs, shared, load }.markdown()?;
    println!("{report}");
    if report.contains(report::FAILED) {
        bail!("requests failed, so the numbers do not stand");
    }
    place.fill(&report)
}
