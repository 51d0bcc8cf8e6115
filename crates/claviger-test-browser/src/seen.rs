//! What a browser showed, said and kept, looked through for secrets.

use std::collections::{BTreeMap, BTreeSet};

use claviger_test_services::{Search, mark};

/// Everything that somebody's browser got to see.
#[derive(Debug, Default)]
pub struct Seen {
    /// Pages as they stood, by what was in them, with their address.
    pages: BTreeMap<String, String>,
    /// What else there is: cookies, what scripts had stored, addresses that were asked for, the console.
    traces: BTreeSet<String>,
}

impl Seen {
    pub(crate) fn note(&mut self, address: String, source: String) {
        self.pages.insert(source, address);
    }

    pub(crate) fn note_trace(&mut self, trace: String) {
        self.traces.insert(trace);
    }

    /// How many different pages there were, or states of a page.
    #[must_use]
    pub fn pages(&self) -> usize {
        self.pages.len()
    }

    /// Where a test's secret is, if it is anywhere: whoever types one must not be shown it, and no browser may keep it.
    pub(crate) fn leak(&self) -> Option<String> {
        let search = Search::of([mark()]);
        let is_in = |text: &String| search.in_bytes(text.as_bytes()).is_some();
        // What is found is not shown: a page may be long, and an address has the secret.
        if self.pages.values().any(is_in) {
            return Some("a secret is in an address".to_owned());
        }
        if let Some((_, address)) = self.pages.iter().find(|(source, _)| is_in(source)) {
            return Some(format!("a secret is in the page {address}"));
        }
        self.traces.iter().any(is_in).then(|| "a secret is in a cookie, a store or the console".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(address: &str, source: &str, trace: &str) -> Option<String> {
        let mut seen = Seen::default();
        seen.note(address.to_owned(), source.to_owned());
        seen.note_trace(trace.to_owned());
        seen.leak()
    }

    #[test]
    fn a_secret_is_found_wherever_a_browser_has_it() {
        let secret = format!("sk-{}-end", mark());
        let (page, address) = (format!("<input value=\"{secret}\">"), format!("http://here?key={secret}"));
        assert_eq!(seen("http://here", "<p>", "sk-nothing"), None);
        assert_eq!(seen("http://here", &page, "").unwrap(), "a secret is in the page http://here");
        assert_eq!(seen(&address, &page, "").unwrap(), "a secret is in an address");
        let stored = format!("{{\"draft\":\"{secret}\"}}");
        assert_eq!(seen("http://here", "<p>", &stored).unwrap(), "a secret is in a cookie, a store or the console");
    }
}
