//! Brings what the tests and the benchmark need: Debian's packages, and a Python environment of the project's own.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, bail};
use claviger_test_services::{Chromedriver, Postgres, Valkey};

use crate::{root, run};

/// The packages that tests of Python SDKs need, as pip reads them.
const SDK_REQUIREMENTS: &str = "tests/sdk/requirements.txt";
/// The package that has the rules of accessibility in it, and where it is unpacked.
const AXE_REQUIREMENTS: &str = "tests/browser/requirements.txt";
const AXE: &str = "target/axe";
/// Tools that are built from crates.io.
const CARGO_TOOLS: &str = "target/tools";

/// Whether this process may install packages and become another user.
pub(crate) fn is_root() -> bool {
    fs::metadata("/proc/self").is_ok_and(|process| process.uid() == 0)
}

/// Installs Debian's `packages` unless what is needed of them is `present` already. As in Debian's own lists, `a | b`
/// stands for the first of them that this version of Debian has.
pub(crate) fn debian(packages: &[&str], present: impl Fn() -> bool) -> anyhow::Result<()> {
    if present() {
        return Ok(());
    }
    let known = |name: &str| run::works(run::command("apt-cache").args(["show", name]));
    let chosen = || packages.iter().map(|names| first_known(names, known)).collect::<Vec<_>>();
    if !is_root() || !run::works(run::command("apt-get").arg("--version")) {
        let names = chosen().join(" ");
        bail!("{names} missing; run: sudo apt-get update && sudo apt-get install -y {names}");
    }
    run::succeed(run::command("apt-get").args(["update", "--quiet"]))?;
    // Only now: before, a fresh container knows no package at all.
    let names = chosen();
    println!("installing {}", names.join(" "));
    let mut install = run::command("apt-get");
    install.args(["install", "--yes", "--quiet", "--no-install-recommends"]).args(&names);
    // A package of a server starts it. With this, systemd is told nothing: the tests start servers of their own.
    install.env("SYSTEMD_OFFLINE", "1");
    run::succeed(install.env("DEBIAN_FRONTEND", "noninteractive"))?;
    if !present() {
        bail!("{} installed, and still not usable: is another version first in PATH?", names.join(" "));
    }
    Ok(())
}

/// Where none is known, the first: apt then says so.
fn first_known(names: &str, known: impl Fn(&str) -> bool) -> &str {
    let mut alternatives = names.split(" | ");
    alternatives.clone().find(|name| known(name)).or(alternatives.next()).unwrap_or(names)
}

/// The servers of [`Services`](crate::services::Services).
pub(crate) fn services() -> anyhow::Result<()> {
    debian(&["postgresql"], Postgres::is_installed)?;
    debian(&["valkey-server | redis-server"], Valkey::is_installed)?;
    fault_tools()
}

/// What ends a process at a given write, and what makes a clock jump.
fn fault_tools() -> anyhow::Result<()> {
    let works = |tool: &str| run::works(run::command(tool).arg("--version"));
    debian(&["strace", "faketime"], || works("strace") && works("faketime"))
}

/// The browser that tests use as people do, and the one that drives it.
pub(crate) fn browser() -> anyhow::Result<()> {
    debian(&["chromium", "chromium-driver"], Chromedriver::is_installed)
}

/// The rules of accessibility that pages are held to: a script, which comes in a Python package. Nothing of the package
/// runs, so it is unpacked without what it depends on.
pub(crate) fn axe() -> anyhow::Result<()> {
    let folder = root().join(AXE);
    let wanted =
        fs::read_to_string(root().join(AXE_REQUIREMENTS)).with_context(|| format!("cannot read {AXE_REQUIREMENTS}"))?;
    let stamp = folder.join("installed");
    if is_current(&stamp, &wanted) {
        return Ok(());
    }
    let python = sdk_python()?;
    println!("installing {AXE_REQUIREMENTS} into {}", folder.display());
    let mut pip = run::command(&python);
    pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps", "--upgrade"]);
    run::succeed(pip.arg("--target").arg(&folder).args(["-r", AXE_REQUIREMENTS]))?;
    fs::write(&stamp, wanted).context("cannot note the installed package")
}

/// A Python that can make environments.
pub(crate) fn python() -> anyhow::Result<()> {
    debian(&["python3", "python3-venv"], || run::works(run::command("python3").args(["-c", "import venv, ensurepip"])))
}

/// The interpreter of an environment that has [`SDK_REQUIREMENTS`]. It is made anew when they change.
pub(crate) fn sdk_python() -> anyhow::Result<PathBuf> {
    python()?;
    let venv = root().join("target/venv");
    let python = venv.join("bin/python");
    let wanted = wanted()?;
    // Written last, so that an interrupted installation counts as none.
    let stamp = venv.join("installed");
    if !is_current(&stamp, &wanted) || !run::works(run::command(&python).arg("--version")) {
        println!("installing {SDK_REQUIREMENTS} into {}", venv.display());
        run::succeed(run::command("python3").args(["-m", "venv", "--clear"]).arg(&venv))?;
        let mut pip = run::command(&python);
        pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r", SDK_REQUIREMENTS]);
        run::succeed(&mut pip)?;
        fs::write(&stamp, wanted).context("cannot note the installed packages")?;
    }
    Ok(python)
}

/// A tool of cargo's from crates.io, in this version or one that fits it, for the project alone: the command
/// `cargo TASK`, where the tool is `cargo-TASK`.
pub(crate) fn cargo_tool(task: &str, version: &str) -> anyhow::Result<Command> {
    let name = format!("cargo-{task}");
    let mut tool = run::command(root().join(CARGO_TOOLS).join("bin").join(&name));
    tool.arg(task);
    let wanted = format!("{name} {version}");
    let stamp = root().join(CARGO_TOOLS).join(&name).with_extension("installed");
    if is_current(&stamp, &wanted) {
        return Ok(tool);
    }
    println!("installing {wanted} into {CARGO_TOOLS}");
    let mut install = run::cargo();
    install.args(["install", &name, "--locked", "--version", version, "--root", CARGO_TOOLS]);
    run::succeed(&mut install)?;
    fs::write(&stamp, wanted).context("cannot note the installed tool")?;
    Ok(tool)
}

/// What an environment is made of: the packages, and the Python that made it.
fn wanted() -> anyhow::Result<String> {
    let requirements =
        fs::read_to_string(root().join(SDK_REQUIREMENTS)).with_context(|| format!("cannot read {SDK_REQUIREMENTS}"))?;
    let version = run::output(run::command("python3").args(["-c", "import sys; print(sys.version, sys.base_prefix)"]))?;
    Ok(format!("{version}{requirements}"))
}

fn is_current(stamp: &Path, wanted: &str) -> bool {
    fs::read_to_string(stamp).is_ok_and(|installed| installed == wanted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_alternative_packages_the_first_that_is_known_is_taken() {
        let known = |name: &str| name != "valkey-server";
        assert_eq!(first_known("valkey-server | redis-server", known), "redis-server");
        assert_eq!(first_known("redis-server | valkey-server", known), "redis-server");
        assert_eq!(first_known("valkey-server | keydb", |_| false), "valkey-server");
    }
}
