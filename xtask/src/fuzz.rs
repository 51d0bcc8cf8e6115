//! `cargo xtask fuzz`: looks for inputs that break the parsers.

use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, bail};
use clap::Args;

use crate::{install, root, run};

/// Everything of a run: the programs, what was found to lead to new places, and what broke something.
const FOLDER: &str = "target/fuzz";
const SEEDS: &str = "fuzz/seeds";
/// What is longer finds nothing that is shorter does not, and takes its time.
const MAX_LENGTH: usize = 4_096;
/// How long one input may take, in seconds.
const INPUT_LIMIT: u32 = 10;

#[derive(Args)]
pub(crate) struct Options {
    /// How long all targets together may run, such as 60s or 10m. Building comes on top.
    #[arg(long, default_value = "60s", value_parser = duration)]
    time: Duration,
    /// One target alone.
    target: Option<String>,
}

/// Runs the targets one after the other, each from its seeds and from what earlier runs found. Fails with the first
/// input that breaks something.
pub(crate) fn run(options: &Options) -> anyhow::Result<()> {
    let all = targets()?;
    let chosen: Vec<&String> =
        all.iter().filter(|name| options.target.as_ref().is_none_or(|one| one == *name)).collect();
    if chosen.is_empty() {
        bail!("there is no such target; there are {}", all.join(", "));
    }
    run::succeed(cargo_fuzz("build")?.args(chosen.first().filter(|_| chosen.len() == 1)))?;
    let each = options.time.as_secs() / u64::try_from(chosen.len())?;
    for name in chosen {
        run_one(name, each.max(1))?;
    }
    Ok(())
}

fn run_one(name: &str, seconds: u64) -> anyhow::Result<()> {
    println!("\n── {name}, {seconds} s ──");
    let folder = root().join(FOLDER);
    let (corpus, broken) = (folder.join("corpus").join(name), folder.join("broken").join(name));
    for folder in [&corpus, &broken] {
        fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    }
    let mut program = cargo_fuzz("run")?;
    program.arg(name).arg(&corpus).arg(root().join(SEEDS).join(name)).arg("--");
    program.arg(format!("-max_total_time={seconds}"));
    program.arg(format!("-artifact_prefix={}/", broken.display()));
    program.arg(format!("-max_len={MAX_LENGTH}"));
    program.arg(format!("-timeout={INPUT_LIMIT}"));
    run::succeed(&mut program).with_context(|| {
        let found = newest(&broken).map_or_else(|| "see above".to_owned(), |file| format!("the input is {file}"));
        format!("{name} does not hold: {found}")
    })
}

/// The compiler is the stable one, which knows no sanitizers; in code without `unsafe` there is little for them.
fn cargo_fuzz(command: &str) -> anyhow::Result<std::process::Command> {
    let mut tool = install::cargo_tool("fuzz", "0.13.2")?;
    tool.args([command, "--sanitizer", "none", "--codegen-units", "16", "--target-dir"]);
    tool.arg(root().join(FOLDER).join("build"));
    Ok(tool)
}

/// The names of the folders with seeds; a test holds them and the targets together.
fn targets() -> anyhow::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(root().join(SEEDS)).context("there are no seeds")? {
        names.extend(entry?.file_name().into_string().ok());
    }
    names.sort();
    Ok(names)
}

fn newest(folder: &Path) -> Option<String> {
    let files = fs::read_dir(folder).ok()?.filter_map(Result::ok);
    let newest = files.max_by_key(|entry| entry.metadata().and_then(|metadata| metadata.modified()).ok())?;
    Some(newest.path().display().to_string())
}

fn duration(text: &str) -> Result<Duration, String> {
    let (number, unit) = text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()));
    let seconds = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3_600,
        _ => return Err("must be a number with s, m or h".to_owned()),
    };
    let number = number.parse::<u64>().ok().filter(|number| (1..=1_000_000).contains(number));
    number.map(|number| Duration::from_secs(number * seconds)).ok_or_else(|| "must be a number from 1 on".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_a_number_with_its_unit() {
        assert_eq!(duration("90s"), Ok(Duration::from_secs(90)));
        assert_eq!(duration("2m"), Ok(Duration::from_mins(2)));
        for bad in ["", "s", "60", "0s", "1d", "-1s", "1.5s"] {
            assert!(duration(bad).is_err(), "{bad}");
        }
    }
}
