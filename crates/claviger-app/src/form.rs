//! What a session's forms carry, so that nobody else can send them.

use claviger_seal::TokenHash;
use zeroize::Zeroizing;

/// What the forms of one session carry: it is made of the session's secret, and says nothing of it.
#[derive(Clone)]
pub(crate) struct FormToken(Zeroizing<String>);

impl FormToken {
    pub(crate) fn of(session: &str) -> Self {
        let bound = Zeroizing::new(format!("form of {session}"));
        let mut token = Zeroizing::new(String::with_capacity(64));
        for byte in TokenHash::of(bound.as_bytes()).as_bytes() {
            token.extend([byte >> 4, byte & 15].map(|digit| char::from(b"0123456789abcdef"[usize::from(digit)])));
        }
        Self(token)
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether a form carries this one, in a time that does not depend on where it differs.
    pub(crate) fn is(&self, sent: &str) -> bool {
        TokenHash::of(self.0.as_bytes()).is_of_text(sent.as_bytes())
    }
}
