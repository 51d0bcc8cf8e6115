//! What the binary is made of: its list of components, and what is known against them.

use std::fs;
use std::path::PathBuf;

use anyhow::Context;
use serde_json::Value;

use crate::{install, root, run};

const SBOM: &str = "target/claviger.cdx.json";
const BINARY: &str = "claviger";
/// The lists' name before the one that is wanted is moved, which is no other file's.
const WRITTEN: &str = "components.cdx";

/// Writes the components of the binary, with versions, licences and checksums, as CycloneDX.
pub(crate) fn sbom() -> anyhow::Result<()> {
    let mut tool = install::cargo_tool("cyclonedx", "0.5.9")?;
    run::succeed(tool.args(["--format", "json", "--spec-version", "1.5", "--override-filename", WRITTEN]))?;
    // It writes a list for every package, beside its manifest.
    for (package, folder) in packages()? {
        let written = folder.join(WRITTEN).with_extension("cdx.json");
        let done = if package == BINARY { fs::rename(&written, root().join(SBOM)) } else { fs::remove_file(&written) };
        done.with_context(|| format!("cannot move {}", written.display()))?;
    }
    println!("wrote {SBOM}");
    Ok(())
}

/// Asks the RustSec database for what is known against any crate in the lock file. Needs the network, which is why
/// `.ci/run` leaves it out; and an advisory of tomorrow says nothing about a change of today.
pub(crate) fn advisories() -> anyhow::Result<()> {
    run::succeed(install::cargo_tool("deny", "^0.20")?.args(["check", "advisories"]))
}

/// Our packages, with the folders that they are in.
fn packages() -> anyhow::Result<Vec<(String, PathBuf)>> {
    let metadata = run::output(run::cargo().args(["metadata", "--no-deps", "--offline", "--format-version=1"]))?;
    let metadata: Value = serde_json::from_str(&metadata).context("cargo's metadata are not JSON")?;
    let packages = metadata["packages"].as_array().context("cargo's metadata name no packages")?;
    let place = |package: &Value| {
        let manifest = PathBuf::from(package["manifest_path"].as_str()?);
        Some((package["name"].as_str()?.to_owned(), manifest.parent()?.to_owned()))
    };
    packages.iter().map(place).collect::<Option<_>>().context("cargo's metadata lack a manifest")
}
