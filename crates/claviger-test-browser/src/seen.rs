//! What a browser showed and said, kept to be looked at afterwards.

use std::collections::BTreeMap;

/// Everything that somebody's browser got to see.
#[derive(Debug, Default)]
pub struct Seen {
    /// Pages as they stood, by what was in them, with their address.
    pages: BTreeMap<String, String>,
    /// What else there is: the console, what scripts had stored, addresses that were asked for.
    pub(crate) traces: Vec<String>,
}

impl Seen {
    pub(crate) fn note(&mut self, address: String, source: String) {
        self.pages.insert(source, address);
    }

    /// How many different pages there were, or states of a page.
    #[must_use]
    pub fn pages(&self) -> usize {
        self.pages.len()
    }

    /// Fails where this text is anywhere: in a page, in an address, in the console, or in what scripts keep.
    #[track_caller]
    pub fn assert_nowhere(&self, secret: &str) {
        for (source, address) in &self.pages {
            // Neither is shown whole: the one may be long, and the other has the secret.
            assert!(!source.contains(secret), "a typed secret is in the page {address}");
            assert!(!address.contains(secret), "a typed secret is in an address");
        }
        assert!(!self.traces.iter().any(|trace| trace.contains(secret)), "a typed secret is in the console or a store");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[should_panic(expected = "a typed secret is in the page http://here")]
    fn a_secret_in_a_page_is_found() {
        let mut seen = Seen::default();
        seen.note("http://here".to_owned(), "<input value=\"secret\">".to_owned());
        seen.assert_nowhere("secret");
    }

    #[test]
    #[should_panic(expected = "a typed secret is in an address")]
    fn a_secret_in_an_address_is_found() {
        let mut seen = Seen::default();
        seen.note("http://here?key=secret".to_owned(), "<p>".to_owned());
        seen.assert_nowhere("secret");
    }

    #[test]
    #[should_panic(expected = "a typed secret is in the console or a store")]
    fn a_secret_in_a_store_is_found() {
        let seen = Seen { traces: vec![r#"{"draft":"secret"}"#.to_owned()], ..Seen::default() };
        seen.assert_nowhere("secret");
    }
}
