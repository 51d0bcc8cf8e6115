//! `cargo xtask bench`: what Claviger costs beside nginx as a plain reverse proxy, on this machine, in one run.
//!
//! Three targets take turns under the same load, so that whatever else the machine does falls on all of them: the mock
//! provider itself, nginx in front of it, Claviger in front of it. All traffic stays on the loopback interface.

mod document;
mod http;
mod load;
mod machine;
mod nginx;
mod report;
mod scale;
mod servers;
mod usage;

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, bail};
use clap::{Args, Subcommand, ValueEnum};

use self::document::Place;
use self::load::Load;
use self::report::Sample;
use self::servers::Servers;
use self::usage::Usage;
use crate::{install, run};

/// Before the measured rounds, so that connections are pooled, caches are filled and lazy work is done.
const WARM_UP: Duration = Duration::from_secs(2);

#[derive(Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct Options {
    #[command(subcommand)]
    other: Option<Other>,
    /// Seconds of load for each measurement.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..))]
    seconds: u64,
    /// How often everything is measured; the report shows medians.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// Open connections, each with one request at a time.
    #[arg(long, value_delimiter = ',', default_values_t = [1, 64, 256])]
    connections: Vec<u32>,
    /// What is asked for.
    #[arg(long, value_enum, value_delimiter = ',', default_values_t = [Mode::Plain, Mode::Stream])]
    modes: Vec<Mode>,
    /// What is measured.
    #[arg(long, value_enum, value_delimiter = ',', default_values_t = [Target::Direct, Target::Nginx, Target::Claviger])]
    targets: Vec<Target>,
    /// Another claviger, such as one of before a change, to be measured beside this one.
    #[arg(long, value_name = "BINARY")]
    before: Option<PathBuf>,
    /// Also writes the report into docs/performance.md.
    #[arg(long)]
    write: bool,
}

impl Options {
    /// What is measured, in its order.
    fn all_targets(&self) -> Vec<Target> {
        let before = self.before.as_ref().map(|_| Target::Before);
        self.targets.iter().copied().chain(before).collect()
    }
}

/// What is measured instead.
#[derive(Subcommand)]
enum Other {
    /// What a lease, a start and memory cost with very many workspaces, and what a shared turn costs.
    Scale(scale::Options),
}

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub(crate) enum Mode {
    /// A JSON answer.
    Plain,
    /// A stream of 20 events.
    Stream,
}

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub(crate) enum Target {
    /// The mock provider without anything before it.
    Direct,
    /// nginx, which only puts a fixed key into the request.
    Nginx,
    /// Claviger, which authenticates, rotates, opens a key, and keeps books.
    Claviger,
    /// The other one, of `--before`.
    #[value(skip)]
    Before,
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Plain => "plain",
            Self::Stream => "stream",
        })
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Direct => "direct",
            Self::Nginx => "nginx",
            Self::Claviger => "claviger",
            Self::Before => "before",
        })
    }
}

/// One row of the report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Case {
    pub(crate) mode: Mode,
    pub(crate) connections: u32,
    pub(crate) target: Target,
}

/// Every case's samples, one a round.
pub(crate) type Samples = BTreeMap<Case, Vec<Sample>>;

pub(crate) fn run(options: &Options) -> anyhow::Result<()> {
    if let Some(Other::Scale(options)) = &options.other {
        return scale::run(options);
    }
    // What can fail at once, before minutes of building and measuring.
    let place = Place::find("bench", options.write)?;
    install::debian(&["nginx", "wrk"], || run::works(run::command("nginx").arg("-v")) && has_wrk())?;
    run::succeed(run::cargo().args(["build", "--release", "--workspace", "--bins"]))?;

    let samples = measure(options)?;
    let lease = if options.targets.contains(&Target::Claviger) { lease_benchmark()? } else { Vec::new() };
    let facts = report::Facts::gather()?;
    let report = report::markdown(&samples, &facts, &lease, options);
    println!("{report}");
    let failures: f64 = samples.values().flatten().map(|sample| sample.errors.total()).sum();
    if failures > 0.0 {
        bail!("{failures} requests failed, so the numbers do not stand; see the last column");
    }
    place.fill(&report)
}

/// It has no flag that would end well.
fn has_wrk() -> bool {
    run::works(run::command("sh").args(["-c", "command -v wrk"]))
}

fn measure(options: &Options) -> anyhow::Result<Samples> {
    let dir = tempfile::tempdir()?;
    let targets = options.all_targets();
    let servers = Servers::start(&targets, options.before.as_deref(), dir.path())?;
    let mut loads = BTreeMap::new();
    for mode in &options.modes {
        for target in &targets {
            let load = Load::new(servers.get(*target)?, *mode, dir.path())?;
            load.check().with_context(|| format!("{target} does not answer a {mode} request as expected"))?;
            let most = options.connections.iter().copied().max().unwrap_or(1);
            load.run(most, WARM_UP)?;
            loads.insert((*mode, *target), load);
        }
    }
    let time = Duration::from_secs(options.seconds);
    let mut samples = Samples::new();
    for round in 1..=options.rounds {
        for mode in &options.modes {
            for connections in options.connections.iter().copied() {
                for target in targets.iter().copied() {
                    let case = Case { mode: *mode, connections, target };
                    let sample = sample(&loads[&(*mode, target)], connections, time, servers.get(target)?.process)?;
                    eprintln!("round {round} {mode} {connections} {target}: {sample}");
                    samples.entry(case).or_default().push(sample);
                }
            }
        }
    }
    Ok(samples)
}

fn sample(load: &Load, connections: u32, time: Duration, proxy: Option<u32>) -> anyhow::Result<Sample> {
    let before = proxy.map(Usage::of).transpose()?;
    let result = load.run(connections, time)?;
    let after = proxy.map(Usage::of).transpose()?;
    let spent = before.zip(after).map(|(before, after)| after.cpu.saturating_sub(before.cpu));
    Ok(Sample {
        requests_a_second: result.requests / result.time.as_secs_f64(),
        p50: result.p50,
        p99: result.p99,
        cpu_a_request: spent.map(|cpu| cpu.div_f64(result.requests.max(1.0))),
        memory_kib: after.map(|after| after.memory_kib),
        errors: result.errors,
    })
}

/// The result lines of the micro-benchmark of one lease.
fn lease_benchmark() -> anyhow::Result<Vec<String>> {
    let output = run::output(run::cargo().args(["bench", "-p", "claviger-app", "--bench", "lease"]))?;
    let mut results = Vec::new();
    let mut last = "";
    for line in output.lines() {
        // Criterion breaks the line after a long name.
        match line.split_once("time:") {
            Some((name, time)) if name.trim().is_empty() => results.push(format!("{last}  time:{time}")),
            Some(_) => results.push(line.trim_end().to_owned()),
            None => {}
        }
        last = line.trim();
    }
    if results.is_empty() {
        bail!("the benchmark `lease` of claviger-app printed no result");
    }
    Ok(results)
}
