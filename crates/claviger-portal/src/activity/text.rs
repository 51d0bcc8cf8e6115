//! What the Activity page says.

use claviger_core::{Timestamp, actor};

use super::usage::{Counts, Range};
use crate::text::grouped;

/// The words that stand on the page as they are.
pub(super) struct Words {
    pub(super) title: &'static str,
    pub(super) lead: &'static str,
    pub(super) provider: &'static str,
    pub(super) every_provider: &'static str,
    pub(super) person: &'static str,
    pub(super) everybody: &'static str,
    pub(super) filter: &'static str,
    pub(super) clear: &'static str,
    pub(super) usage: &'static str,
    pub(super) range: &'static str,
    pub(super) requests: &'static str,
    pub(super) went_well: &'static str,
    pub(super) limits: &'static str,
    pub(super) errors: &'static str,
    pub(super) time: &'static str,
    pub(super) total: &'static str,
    pub(super) now: &'static str,
    pub(super) table: &'static str,
    pub(super) no_usage: &'static str,
    pub(super) changes: &'static str,
    pub(super) times: &'static str,
    pub(super) no_changes: &'static str,
    pub(super) no_match: &'static str,
    pub(super) no_match_yet: &'static str,
    pub(super) older: &'static str,
    pub(super) newest: &'static str,
}

pub(super) const ENGLISH: Words = Words {
    title: "Activity",
    lead: "How this workspace’s own keys were used, and who changed what.",
    provider: "Provider",
    every_provider: "All providers",
    person: "Changes by",
    everybody: "Everybody",
    filter: "Filter",
    clear: "Clear the filter",
    usage: "Usage",
    range: "Time that is shown",
    requests: "Requests",
    went_well: "Other requests",
    limits: "Rate limits",
    errors: "Errors",
    time: "Time (UTC)",
    total: "Total",
    now: "now",
    table: "Show as a table",
    no_usage: "Requests will be counted here, key by key, as soon as some go out with this workspace’s keys.",
    changes: "Changes",
    times: "All times are UTC.",
    no_changes: "Whoever adds, changes or deletes something in this workspace will be named here.",
    no_match: "Nothing matches this filter.",
    no_match_yet: "Nothing matches this filter among the changes that were looked through; there are older ones.",
    older: "Older changes",
    newest: "Newest changes",
};

pub(super) fn range(range: Range) -> &'static str {
    match range {
        Range::Day => "24 hours",
        Range::Week => "7 days",
        Range::Month => "30 days",
    }
}

/// What is said of everything that was counted.
pub(super) fn total(counts: Counts, keys: usize, idle: usize, span: Range) -> String {
    let span = range(span);
    let idle = match idle {
        0 => String::new(),
        1 => " 1 other key had none.".to_owned(),
        idle => format!(" {idle} other keys had none."),
    };
    match keys {
        0 => format!("No requests in the last {span}."),
        1 => format!("{} in the last {span}, with 1 key.{idle}", counted(counts)),
        keys => format!("{} in the last {span}, with {keys} keys.{idle}", counted(counts)),
    }
}

/// How many requests there were, and how they fared.
pub(super) fn counted(counts: Counts) -> String {
    let mut said = number(counts.requests, "request", "requests");
    for (count, one, many) in [(counts.limits, "rate limit", "rate limits"), (counts.errors, "error", "errors")] {
        if count > 0 {
            said.extend([", ", &number(count, one, many)]);
        }
    }
    said
}

fn number(count: u64, one: &str, many: &str) -> String {
    if count == 1 { format!("1 {one}") } else { format!("{} {many}", grouped(count)) }
}

/// What a chart is of.
pub(super) fn chart(label: &str, span: Range) -> String {
    format!("“{label}” in the last {}", range(span))
}

/// When there was most to do.
pub(super) fn busiest(requests: u64, slot: &str) -> String {
    format!("Most: {} ({slot}).", grouped(requests))
}

/// What stands above a table.
pub(super) fn caption(label: &str, span: Range) -> String {
    match span {
        Range::Day => format!("“{label}” by the hour. Hours without requests are left out."),
        Range::Week => format!("“{label}” by six hours. Those without requests are left out."),
        Range::Month => format!("“{label}” by the day. Days without requests are left out."),
    }
}

/// A time that requests were counted in.
pub(super) fn slot(span: Range, from: Timestamp, to: Timestamp) -> String {
    match span {
        Range::Day | Range::Week => format!("{}, {}–{}", short_day(from), clock(from), clock(to)),
        Range::Month => short_day(from),
    }
}

/// When the first of them began.
pub(super) fn begin(span: Range, at: Timestamp) -> String {
    match span {
        Range::Day | Range::Week => format!("{}, {}", short_day(at), clock(at)),
        Range::Month => short_day(at),
    }
}

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];

/// Year, month and day of a date as it prints: `2026-01-31T12:00:00.000Z`.
fn date(at: Timestamp) -> (String, &'static str, String) {
    let text = at.to_string();
    let mut parts = text.split(['-', 'T']).map(str::to_owned);
    let mut next = || parts.next().unwrap_or_default();
    let (year, month, day) = (next(), next(), next());
    let month = month.parse::<usize>().ok().and_then(|month| MONTHS.get(month.checked_sub(1)?));
    (year, month.copied().unwrap_or_default(), day.trim_start_matches('0').to_owned())
}

/// `31 January 2026`
pub(super) fn day(at: Timestamp) -> String {
    let (year, month, day) = date(at);
    format!("{day} {month} {year}")
}

/// `31 Jan`
fn short_day(at: Timestamp) -> String {
    let (_, month, day) = date(at);
    format!("{day} {}", month.get(..3).unwrap_or_default())
}

/// `12:00`
pub(super) fn clock(at: Timestamp) -> String {
    crate::chart::clock(at)
}

/// Who did something, as it is entered. What callers name their own people is none of the other kinds.
enum Actor<'a> {
    Operator,
    Token(&'a str),
    Portal(&'a str),
    Named(&'a str),
}

impl<'a> Actor<'a> {
    fn of(text: &'a str) -> Self {
        if [actor::ROOT, actor::SHELL].contains(&text) || text.starts_with(actor::CONSOLE) {
            return Self::Operator;
        }
        if let Some(id) = text.strip_prefix(actor::TOKEN) {
            return Self::Token(id);
        }
        text.strip_prefix(actor::PORTAL).map_or(Self::Named(text), Self::Portal)
    }
}

/// Who did something, at the beginning of a sentence.
pub(super) fn who(actor: &str) -> String {
    match Actor::of(actor) {
        Actor::Operator => "The operator".to_owned(),
        Actor::Token(id) => format!("An access token ({id})"),
        Actor::Portal(_) => "Somebody by a link".to_owned(),
        Actor::Named(name) => name.to_owned(),
    }
}

/// The same within a sentence.
pub(super) fn whom(actor: &str) -> String {
    match Actor::of(actor) {
        Actor::Operator => "the operator".to_owned(),
        Actor::Token(id) => format!("an access token ({id})"),
        Actor::Portal(_) => "somebody by a link".to_owned(),
        Actor::Named(name) => name.to_owned(),
    }
}

/// The same in a list, where each is told from all others.
pub(super) fn listed(actor: &str) -> String {
    match Actor::of(actor) {
        Actor::Operator if actor == actor::SHELL => "The operator, at the shell".to_owned(),
        Actor::Operator => match actor.strip_prefix(actor::CONSOLE) {
            Some(id) => format!("The operator, on the console ({id})"),
            None => who(actor),
        },
        Actor::Portal(id) => format!("Somebody by a link ({id})"),
        Actor::Token(_) | Actor::Named(_) => who(actor),
    }
}

/// The address that a change came from.
pub(super) fn from(address: &str) -> String {
    format!("from {address}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_said_in_words() {
        let at = Timestamp::parse("2026-02-03T04:05:06Z").unwrap();
        assert_eq!((day(at), short_day(at), clock(at)), ("3 February 2026".into(), "3 Feb".into(), "04:05".into()));
    }

    #[test]
    fn whoever_has_no_name_is_said_in_words() {
        for (actor, said, listed_as) in [
            ("ada", "ada", "ada"),
            ("user:7", "user:7", "user:7"),
            ("root", "The operator", "The operator"),
            ("shell", "The operator", "The operator, at the shell"),
            ("console:x", "The operator", "The operator, on the console (x)"),
            ("token:x", "An access token (x)", "An access token (x)"),
            ("portal:x", "Somebody by a link", "Somebody by a link (x)"),
        ] {
            assert_eq!((who(actor).as_str(), listed(actor).as_str()), (said, listed_as));
            assert_eq!(whom(actor).to_lowercase(), said.to_lowercase());
        }
    }

    #[test]
    fn what_did_not_happen_is_not_counted_up() {
        let counts = Counts { requests: 1_204, limits: 1, errors: 0 };
        assert_eq!(counted(counts), "1,204 requests, 1 rate limit");
        assert_eq!(counted(Counts { requests: 1, limits: 0, errors: 2 }), "1 request, 2 errors");
        let total = total(counts, 2, 1, Range::Week);
        assert_eq!(total, "1,204 requests, 1 rate limit in the last 7 days, with 2 keys. 1 other key had none.");
    }
}
