//! The project's own tasks: `cargo xtask test`, `with-services`, `gen`, `check-generated`, `screenshots`, `bench`,
//! `fuzz`, `sbom`, `advisories`.
//!
//! Knows the product from outside only: it builds, starts and asks it, and depends on none of its crates (the one that
//! starts PostgreSQL and Valkey knows nothing of it either), so that it compiles in seconds and its tests cannot pass
//! by sharing a mistake.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a task's output is for the person who runs it")]

mod bench;
mod fuzz;
mod generate;
mod install;
mod run;
mod screenshots;
mod services;
mod supply;
mod tally;
mod test;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// The project's tasks.
#[derive(Parser)]
#[command(bin_name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Builds everything and runs every test, bringing what the tests need.
    Test,
    /// Runs a command, such as `cargo test -p …`, with the PostgreSQL and the Valkey that all tests share.
    WithServices {
        /// The command and its arguments.
        #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true)]
        command: Vec<String>,
    },
    /// Writes the generated files anew.
    Gen,
    /// Fails where a committed generated file is not what `gen` would write.
    CheckGenerated,
    /// Takes pictures of every page of the portal, light and dark, wide and narrow, into target/screenshots.
    Screenshots,
    /// Measures Claviger against nginx as a plain reverse proxy, and prints a table.
    Bench(bench::Options),
    /// Looks for inputs that break the parsers, for a while.
    Fuzz(fuzz::Options),
    /// Writes what the binary is made of into target/claviger.cdx.json, as CycloneDX.
    Sbom,
    /// Asks the RustSec database for what is known against the crates in use. Needs the network.
    Advisories,
}

fn main() -> ExitCode {
    let done = match Arguments::parse().task {
        // The last line of a test run is its count, so it reports its failures itself.
        Task::Test => return if test::run_all() { ExitCode::SUCCESS } else { ExitCode::FAILURE },
        Task::WithServices { command } => services::run_with(&command),
        Task::Gen => generate::write().map(|()| ExitCode::SUCCESS),
        Task::CheckGenerated => generate::check().map(|()| ExitCode::SUCCESS),
        Task::Screenshots => screenshots::take().map(|()| ExitCode::SUCCESS),
        Task::Bench(options) => bench::run(&options).map(|()| ExitCode::SUCCESS),
        Task::Fuzz(options) => fuzz::run(&options).map(|()| ExitCode::SUCCESS),
        Task::Sbom => supply::sbom().map(|()| ExitCode::SUCCESS),
        Task::Advisories => supply::advisories().map(|()| ExitCode::SUCCESS),
    };
    match done {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// The repository's root.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().map_or_else(PathBuf::new, Path::to_path_buf)
}
