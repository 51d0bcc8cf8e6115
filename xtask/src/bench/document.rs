//! The document that has the reports, each between two markers of its own.

use std::fs;

use anyhow::Context;

use crate::root;

const DOCUMENT: &str = "docs/performance.md";

/// The place of one report, or nowhere if nothing is to be written.
pub(super) struct Place {
    name: &'static str,
    wanted: bool,
}

impl Place {
    /// Fails where the document has no such place: better before minutes of measuring than after them.
    pub(super) fn find(name: &'static str, wanted: bool) -> anyhow::Result<Self> {
        if wanted {
            placed(&read()?, name, "")?;
        }
        Ok(Self { name, wanted })
    }

    /// Puts the report in the place of the one before, if that is wanted.
    pub(super) fn fill(&self, report: &str) -> anyhow::Result<()> {
        if self.wanted {
            fs::write(root().join(DOCUMENT), placed(&read()?, self.name, report)?)?;
            eprintln!("wrote {DOCUMENT}");
        }
        Ok(())
    }
}

fn read() -> anyhow::Result<String> {
    fs::read_to_string(root().join(DOCUMENT)).with_context(|| format!("cannot read {DOCUMENT}"))
}

/// `document` with `report` between the markers of this name.
fn placed(document: &str, name: &str, report: &str) -> anyhow::Result<String> {
    let (begin, end) = (format!("<!-- {name}:begin -->"), format!("<!-- {name}:end -->"));
    let parts = document.split_once(&begin).and_then(|(before, rest)| Some((before, rest.split_once(&end)?.1)));
    let (before, after) = parts.with_context(|| format!("{DOCUMENT} lacks {begin} … {end}"))?;
    Ok(format!("{before}{begin}\n{report}{end}{after}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_replaces_the_one_between_its_own_markers() {
        let document = |inner: &str| format!("<!-- a:begin -->\n{inner}<!-- a:end -->\n<!-- b:begin --><!-- b:end -->");
        assert_eq!(placed(&document("old\n"), "a", "new\n").unwrap(), document("new\n"));
        placed(&document(""), "c", "new").unwrap_err();
    }
}
