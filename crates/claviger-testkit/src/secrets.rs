//! Secrets that tests make, and the search for them in all that is written.

use std::collections::BTreeSet;
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};

use claviger_test_services::{Search, mark, note_secret};

/// Where the mark stands in a secret: behind all that a mask or a name made of its beginning shows.
const BEFORE: usize = 20;
/// The form of Claviger's tokens: this, then 16 letters and digits, "_", and 59 more.
const TOKEN: &str = "clv_";
const TOKEN_LENGTH: usize = 80;
/// So much of a token's end is looked for: nothing else is shown of it.
const TOKEN_END: usize = 40;

/// Looks for the mark of this run.
static MARKED: LazyLock<Search> = LazyLock::new(|| Search::of([mark()]));

/// Random text that can stand for a provider key: made anew each time, so that none is in the source. The mark of this
/// run is in it, by which it is found wherever it is written.
#[must_use]
pub fn random_secret() -> String {
    let text = random_text();
    let (begin, end) = text.split_at(BEFORE);
    format!("{begin}{}{}", mark(), &end[mark().len()..])
}

/// Random text that is no secret and may be written anywhere: it has no mark.
#[must_use]
pub fn random_name() -> String {
    random_text()[..BEFORE].to_owned()
}

#[expect(clippy::expect_used, reason = "in a test, a panic with its message is the failure report")]
fn random_text() -> String {
    let token = claviger_seal::NewToken::generate().expect("randomness");
    token.reveal_once()[21..].to_owned()
}

/// Panics where a secret that a test made stands in what was written.
pub fn assert_no_secret(what: &str, bytes: &[u8]) {
    let found = MARKED.in_bytes(bytes);
    assert!(found.is_none(), "a test's secret stands in {what}: {found:?}");
}

/// Tokens and other secrets that a deployment has made and shown, which have no mark.
#[derive(Debug, Default)]
pub(crate) struct Shown(Mutex<BTreeSet<String>>);

impl Shown {
    /// Notes the tokens in an answer or an output.
    pub(crate) fn note(&self, text: &str) {
        let whole = |token: &&str| token.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        let tokens = text.match_indices(TOKEN).filter_map(|(at, _)| text.get(at..at + TOKEN_LENGTH)).filter(whole);
        tokens.for_each(|token| self.note_secret(&token[TOKEN_LENGTH - TOKEN_END..]));
    }

    /// Notes another secret that was made and is not to be written.
    pub(crate) fn note_secret(&self, secret: &str) {
        // For the databases, which several deployments share.
        note_secret(secret);
        self.lock().insert(secret.to_owned());
    }

    /// Looks for the mark, and for every one of them.
    pub(crate) fn search(&self) -> Search {
        Search::of(self.lock().iter().map(String::as_str).chain([mark()]))
    }

    fn lock(&self) -> MutexGuard<'_, BTreeSet<String>> {
        // It is asked for after a panic, too.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
