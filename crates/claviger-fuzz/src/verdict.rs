//! The catalogue's rules, on answers of any kind.

use std::sync::LazyLock;

use claviger_core::health::{
    Answer, Availability, Class, Event, Headers, KeyHealth, MAX_ANNOUNCED, MAX_BODY, MAX_WAIT, ProbeResult, Verdict,
    judge, judge_event, judge_probe, may_begin_error_event,
};
use claviger_core::{Catalogue, Provider, Timestamp};

static CATALOGUE: LazyLock<Catalogue> = LazyLock::new(|| Catalogue::builtin().expect("the catalogue"));

/// Headers as lines. The names are not folded: whoever looks for one folds.
pub(crate) struct Written<'a>(pub(crate) Vec<(&'a str, &'a str)>);

impl Headers for Written<'_> {
    fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| *value)
    }
}

/// The first line of an input names the provider; of an unknown name, the length picks one.
pub(crate) fn provider(name: &str) -> &'static Provider {
    let picked = || CATALOGUE.iter().nth(name.len() % CATALOGUE.iter().count());
    CATALOGUE.get(name).or_else(picked).expect("a catalogue with providers in it")
}

/// The moment of the answers that the tests of claviger-core have.
pub(crate) fn now() -> Timestamp {
    Timestamp::parse("2026-01-31T12:00:00Z").expect("a date")
}

/// An answer as text: provider and status, headers, a blank line, the body.
pub fn verdict(data: &[u8]) {
    let (head, body) = match data.windows(2).position(|two| two == b"\n\n") {
        Some(end) => (&data[..end], &data[end + 2..]),
        None => (data, &[][..]),
    };
    let head = String::from_utf8_lossy(head);
    let mut lines = head.lines();
    let first = lines.next().unwrap_or_default();
    let (name, status) = first.split_once(' ').unwrap_or((first, "429"));
    let status = status.parse::<u16>().unwrap_or(200);
    let headers = Written(lines.filter_map(|line| line.split_once(": ")).collect());
    let provider = provider(name);
    let answer = Answer { status, headers: &headers, body };

    let verdict = judge(provider, &answer, now());
    assert_eq!(verdict.status, status);
    assert_eq!(verdict, judge(provider, &answer, now()), "the same answer, judged otherwise");
    if body.len() > MAX_BODY {
        assert_eq!(verdict, judge(provider, &Answer { body: &body[..MAX_BODY], ..answer }, now()));
    }
    is_bounded(verdict);
    for probe in [&provider.probe, &provider.alternative_probe].into_iter().flatten() {
        match judge_probe(provider, probe, &answer, now()) {
            ProbeResult::Unproven { verdict: unproven } => assert_eq!(unproven, verdict),
            ProbeResult::Valid | ProbeResult::Invalid | ProbeResult::NoCredit => {}
        }
    }
    events(provider, &headers, body);
}

/// A verdict's wait, and the rest that follows, have an end.
pub(crate) fn is_bounded(verdict: Verdict) {
    if let Some(wait) = verdict.wait {
        assert!(!wait.is_zero() && wait <= MAX_WAIT, "{verdict:?}");
        assert!(verdict.class != Class::Ok || wait <= MAX_ANNOUNCED, "{verdict:?}");
    }
    if matches!(verdict.class, Class::RequestError | Class::AccountPermission | Class::KeyInvalid) {
        assert_eq!(verdict.wait, None, "a wait for what waiting does not help");
    }
    let mut health = KeyHealth::new();
    let mut at = now();
    for _ in 0..3 {
        health = health.next(&Event::Answer { verdict, began: at }, at);
        if let Availability::Resting { until } = health.availability(at) {
            assert!(until > at && until <= at.after(MAX_WAIT), "{verdict:?}: rests until {until}");
            assert!(
                !matches!(verdict.class, Class::RequestError | Class::AccountPermission | Class::Overloaded),
                "a key rests for what it did not do: {verdict:?}"
            );
            at = until;
        }
        // At the end of its rest a request tries it again.
        assert!(!matches!(health.availability(at), Availability::Resting { .. }), "{verdict:?}");
        health = health.next(&Event::TrialBegins, at);
    }
}

fn events(provider: &Provider, headers: &dyn Headers, body: &[u8]) {
    if let Some(verdict) = judge_event(provider, headers, body, now()) {
        assert!(verdict.class != Class::Ok, "an error that is none: {verdict:?}");
        is_bounded(verdict);
    }
    // Once it is known that a stream does not begin with an error, nothing that follows makes it one.
    let seen = body.len().min(256);
    let mut may = true;
    for length in 0..=seen {
        let still = may_begin_error_event(&body[..length]);
        assert!(may || !still, "no error after {} bytes, and one after {length}", length - 1);
        may = still;
    }
}
