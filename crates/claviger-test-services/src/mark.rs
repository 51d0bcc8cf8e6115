//! The mark that every secret of a run of tests has in it.
//!
//! One mark stands for all secrets: none of them has to be remembered to be looked for, in whatever process it was made.
//! What is no test's to make, such as a token, is noted where it is shown.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::Read;
use std::sync::{Mutex, OnceLock, PoisonError};

use crate::Search;

/// The environment variable by which all processes of a run have the same mark.
pub const MARK_VARIABLE: &str = "CLAVIGER_TEST_MARK";

/// Such as secrets are made of, and nothing that an encoding of addresses or JSON would change.
const LETTERS: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";
const LENGTH: usize = 20;

/// Secrets without the mark that this process has met.
static NOTED: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());

/// A new mark.
#[must_use]
pub fn new_mark() -> String {
    let mut random = [0; LENGTH];
    let read = File::open("/dev/urandom").and_then(|mut source| source.read_exact(&mut random));
    assert!(read.is_ok(), "no randomness: {read:?}");
    random.iter().map(|&byte| char::from(LETTERS[usize::from(byte) % LETTERS.len()])).collect()
}

/// The mark of this run: the one that this process was given, or else one of its own.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "how xtask hands a mark to tests; it is no setting of the product")]
pub fn mark() -> &'static str {
    static MARK: OnceLock<String> = OnceLock::new();
    MARK.get_or_init(|| std::env::var(MARK_VARIABLE).unwrap_or_else(|_| new_mark()))
}

/// Notes a secret that has no mark, to be looked for like one.
pub fn note_secret(secret: &str) {
    NOTED.lock().unwrap_or_else(PoisonError::into_inner).insert(secret.to_owned());
}

/// Looks for the mark, and for all that was noted until now.
#[must_use]
pub fn search_for_secrets() -> Search {
    let noted = NOTED.lock().unwrap_or_else(PoisonError::into_inner);
    Search::of([mark()].into_iter().chain(noted.iter().map(String::as_str)))
}
