//! What people and programs read: results on stdout, everything else on stderr.

use std::io::Write;
use std::panic::PanicHookInfo;

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

/// Where something panicked, and why as far as that stands in the source. What is put together when it happens may quote what
/// was worked on, as with a text that is cut in the middle of a letter, and that may be a secret.
pub(crate) fn of_panic(panic: &PanicHookInfo<'_>) -> String {
    let place = panic.location().map_or_else(|| "somewhere".to_owned(), ToString::to_string);
    let why = panic.payload().downcast_ref::<&'static str>();
    format!("claviger: panicked at {place}: {}", why.unwrap_or(&"for a reason that may quote secrets, and is not told"))
}

#[cfg(test)]
mod tests {
    use std::panic::{self, UnwindSafe};
    use std::sync::mpsc;

    use super::*;

    /// What is said of a panic.
    fn said(work: impl FnOnce() + UnwindSafe) -> String {
        let (say, said) = mpsc::channel();
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |panic| say.send(of_panic(panic)).unwrap()));
        panic::catch_unwind(work).unwrap_err();
        panic::set_hook(before);
        said.recv().unwrap()
    }

    #[test]
    fn a_panic_is_told_with_its_place_and_without_what_was_worked_on() {
        let key = "sk-é-and-so-on".to_owned();
        let cut = said(|| assert_eq!(&key[..4], "", "{key}"));
        assert!(cut.starts_with("claviger: panicked at crates/claviger/src/print.rs:"), "{cut}");
        assert!(!cut.contains("sk-") && !cut.contains("and-so-on"), "{cut}");
        let refused = std::fs::read_to_string("sk-in-an-address").map_err(|_| "sk-in-an-error".to_owned());
        let broken = said(|| drop(refused.expect("a key")));
        assert!(!broken.contains("sk-"), "{broken}");
        assert!(said(|| panic!("a rule that never changes")).ends_with(": a rule that never changes"));
    }
}
