//! `cargo xtask test`: every test there is. It skips nothing: what a stage needs, it brings, or it fails.

use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use claviger_test_services::{MARK_VARIABLE, Search, new_mark};

use crate::run::Stream;
use crate::services::Services;
use crate::tally::Tally;
use crate::{install, root, run};

/// What earlier stages leave to later ones.
struct Left {
    services: Option<Services>,
    /// What every secret of this run has in it.
    mark: String,
    /// How many lines of the tests' output had it.
    told: usize,
}

struct Stage {
    name: &'static str,
    /// Whether the later stages make no sense without it.
    needed_by_all: bool,
    run: fn(&mut Left, &mut Tally) -> anyhow::Result<()>,
}

const STAGES: &[Stage] = &[
    Stage { name: "tools", needed_by_all: true, run: tools },
    Stage { name: "build", needed_by_all: true, run: build },
    Stage { name: "services", needed_by_all: true, run: services },
    Stage { name: "cargo tests", needed_by_all: false, run: cargo_tests },
    Stage { name: "Python SDKs", needed_by_all: false, run: python_sdks },
    Stage { name: "leak hunt", needed_by_all: false, run: leak_hunt },
];

enum Outcome {
    Passed,
    Failed(anyhow::Error),
    NotRun,
}

struct Report {
    name: &'static str,
    outcome: Outcome,
    tally: Tally,
    took: Duration,
}

/// Runs all stages and tells whether all passed. The last line printed is the sum: `N passed, N failed`.
pub(crate) fn run_all() -> bool {
    let mut reports = Vec::new();
    let mut go_on = true;
    let mut left = Left { services: None, mark: new_mark(), told: 0 };
    for stage in STAGES {
        let report = if go_on { run_one(stage, &mut left) } else { Report::not_run(stage.name) };
        go_on &= report.passed() || !stage.needed_by_all;
        reports.push(report);
    }
    drop(left);
    summarize(&reports);
    reports.iter().all(Report::passed)
}

fn run_one(stage: &Stage, left: &mut Left) -> Report {
    println!("\n── {} ──", stage.name);
    let started = Instant::now();
    let mut tally = Tally::default();
    let outcome = match (stage.run)(left, &mut tally) {
        Ok(()) => Outcome::Passed,
        Err(error) => {
            eprintln!("{}: {error:#}", stage.name);
            // A failure that no runner counted, so that the sum never reads as if all was well.
            tally.failed = tally.failed.max(1);
            Outcome::Failed(error)
        }
    };
    Report { name: stage.name, outcome, tally, took: started.elapsed() }
}

impl Report {
    fn not_run(name: &'static str) -> Self {
        Self { name, outcome: Outcome::NotRun, tally: Tally::default(), took: Duration::ZERO }
    }

    fn passed(&self) -> bool {
        matches!(self.outcome, Outcome::Passed)
    }
}

fn summarize(reports: &[Report]) {
    println!("\n── summary ──");
    let mut sum = Tally::default();
    for report in reports {
        let (outcome, why) = match &report.outcome {
            Outcome::Passed => ("ok", String::new()),
            Outcome::Failed(error) => ("FAILED", format!("{error:#}")),
            Outcome::NotRun => ("NOT RUN", String::new()),
        };
        let counts = if report.tally == Tally::default() { String::new() } else { report.tally.to_string() };
        let line = format!("{:<12} {outcome:<8} {:>7.1} s  {counts}  {why}", report.name, report.took.as_secs_f64());
        println!("{}", line.trim_end());
        sum += report.tally;
    }
    println!("{sum}");
}

/// Before anything long: what would be missed only after minutes.
fn tools(_: &mut Left, _: &mut Tally) -> anyhow::Result<()> {
    for tool in ["cargo", "rustc", "cc"] {
        let version = run::output(run::command(tool).arg("--version"))?;
        println!("{}", version.lines().next().unwrap_or_default());
    }
    install::python()?;
    print!("{}", run::output(run::command("python3").arg("--version"))?);
    install::browser()?;
    install::services()?;
    install::axe()
}

/// The binaries that end-to-end tests start, in one build with the tests: built alone, they would get dependencies with
/// fewer features, and everything above those would be compiled once more for the tests.
fn build(_: &mut Left, _: &mut Tally) -> anyhow::Result<()> {
    run::succeed(run::cargo().args(["build", "--workspace", "--bins", "--tests", "--examples"]))
}

fn services(left: &mut Left, _: &mut Tally) -> anyhow::Result<()> {
    left.services = Some(Services::start()?);
    Ok(())
}

fn cargo_tests(left: &mut Left, tally: &mut Tally) -> anyhow::Result<()> {
    let services = left.services.as_ref().context("the services are not running")?;
    let mut tests = run::cargo();
    tests.args(["test", "--workspace", "--no-fail-fast"]).envs(services.variables());
    tests.env(MARK_VARIABLE, &left.mark);
    let (search, told) = (Search::of([left.mark.as_str()]), &mut left.told);
    let ended_well = run::watched(&mut tests, |line, stream| {
        if stream == Stream::Output {
            *tally += Tally::of_cargo(line).unwrap_or_default();
        }
        *told += usize::from(search.in_bytes(line.as_bytes()).is_some());
    })?;
    judge(ended_well, tally)
}

fn python_sdks(_: &mut Left, tally: &mut Tally) -> anyhow::Result<()> {
    let mut tests = run::command(install::sdk_python()?);
    tests
        .args(["-m", "pytest", "tests/sdk", "-q"])
        .env("CLAVIGER_BIN", root().join("target/debug/claviger"))
        .env("CLAVIGER_MOCK_BIN", root().join("target/debug/claviger-mock-provider"));
    let ended_well = run::watched(&mut tests, |line, stream| {
        if stream == Stream::Output {
            *tally += Tally::of_pytest(line).unwrap_or_default();
        }
    })?;
    judge(ended_well, tally)
}

/// Looks for the run's secrets in what all its tests together left: the data, the write-ahead log, the messages and every
/// row of PostgreSQL, the files of Valkey, and what the tests themselves said, also of their failures. Each end-to-end test
/// has looked through its own folder, logs and databases already, in `claviger-testkit`.
fn leak_hunt(left: &mut Left, tally: &mut Tally) -> anyhow::Result<()> {
    let services = left.services.as_ref().context("the services are not running")?;
    let found = services.search(&Search::of([left.mark.as_str()]))?;
    if !found.is_empty() {
        bail!("secrets of tests were written: {found:#?}");
    }
    if left.told > 0 {
        bail!("{} lines of the tests' output have secrets", left.told);
    }
    tally.passed += 1;
    Ok(())
}

fn judge(ended_well: bool, tally: &Tally) -> anyhow::Result<()> {
    if tally.failed > 0 {
        bail!("{} failed", tally.failed);
    }
    if !ended_well {
        bail!("the runner failed; see its output");
    }
    if tally.skipped > 0 {
        bail!("{} skipped: a test brings what it needs, or is taken out", tally.skipped);
    }
    if tally.passed == 0 {
        bail!("no test ran");
    }
    Ok(())
}
