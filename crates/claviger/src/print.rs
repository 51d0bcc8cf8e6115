//! What people and programs read: results on stdout, everything else on stderr.

use std::io::Write;

/// Prints a line of a result. Fails where nobody reads it any more.
pub(crate) fn result(line: &str) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}")?;
    out.flush()
}

/// Prints a line for a person.
pub(crate) fn problem(line: &str) {
    // There is nowhere left to say that stderr is closed.
    let _ = writeln!(std::io::stderr().lock(), "{line}");
}
