//! Files that are made by a program and committed.

use anyhow::{Context, bail};

use crate::{root, run};

const OPENAPI: &str = "docs/api/openapi.json";

/// Writes the generated files anew.
pub(crate) fn write() -> anyhow::Result<()> {
    let path = root().join(OPENAPI);
    std::fs::write(&path, openapi()?).with_context(|| format!("cannot write {}", path.display()))?;
    println!("wrote {OPENAPI}");
    Ok(())
}

/// Fails where a committed file is not what [`write`] would write.
pub(crate) fn check() -> anyhow::Result<()> {
    let fresh = openapi()?;
    match std::fs::read_to_string(root().join(OPENAPI)) {
        Ok(committed) if committed == fresh => {}
        Ok(committed) => {
            let same = committed.lines().zip(fresh.lines()).take_while(|(old, new)| old == new).count();
            bail!("{OPENAPI} is stale, from line {} on; run `cargo xtask gen` and commit the file", same + 1);
        }
        Err(error) => bail!("{OPENAPI} cannot be read ({error}); run `cargo xtask gen` and commit the file"),
    }
    println!("{OPENAPI} is fresh");
    Ok(())
}

/// Built as part of the workspace, and not by `cargo run -p`, which would compile half the tree again with other
/// features.
fn openapi() -> anyhow::Result<String> {
    run::succeed(run::cargo().args(["build", "--quiet", "--workspace", "--examples"]))?;
    let document = run::output(&mut run::command(root().join("target/debug/examples/openapi")))?;
    if document.trim().is_empty() {
        bail!("the example `openapi` of claviger-api printed nothing");
    }
    Ok(document)
}
