//! `cargo xtask screenshots`: pictures of every page, for whoever changes one.

use std::fs;

use anyhow::Context;

use crate::{install, root, run};

/// Where they go. Git ignores it.
const FOLDER: &str = "target/screenshots";

pub(crate) fn take() -> anyhow::Result<()> {
    install::browser()?;
    // As part of the workspace, so that nothing is compiled with other features than for the tests.
    run::succeed(run::cargo().args(["build", "--quiet", "--workspace", "--bins", "--examples"]))?;
    let folder = root().join(FOLDER);
    if folder.exists() {
        fs::remove_dir_all(&folder).with_context(|| format!("cannot empty {}", folder.display()))?;
    }
    run::succeed(run::command(root().join("target/debug/examples/screenshots")).arg(folder))
}
