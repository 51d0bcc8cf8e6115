//! How ids, names, times and numbers stand on the console's pages and in its addresses.

use claviger_app::Page;
use claviger_app::console::COUNT_LIMIT;
use claviger_core::Timestamp;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use crate::console::text;
pub(crate) use crate::text::grouped;

/// How many rows a page of a list has.
pub(crate) const ROWS: usize = 50;

/// A page of [`ROWS`], and one row more, by which it is known whether there is another page.
pub(crate) fn page<Id>(after: Option<Id>) -> Page<Id> {
    Page { after, limit: u32::try_from(ROWS + 1).unwrap_or(u32::MAX) }
}

/// Takes the one row too many away; true where there was one.
pub(crate) fn cut<T>(rows: &mut Vec<T>) -> bool {
    let more = rows.len() > ROWS;
    rows.truncate(ROWS);
    more
}

/// A value in an address.
pub(crate) fn encoded(value: &str) -> String {
    utf8_percent_encode(value, NON_ALPHANUMERIC).to_string()
}

/// An id in a path. Browsers take a segment of one or two dots for a step; no id has a `~`.
pub(crate) fn segment(id: &str) -> String {
    if matches!(id, "." | "..") { format!("~{id}") } else { id.to_owned() }
}

/// An id out of a path.
pub(crate) fn of_segment<Id: std::str::FromStr>(segment: &str) -> Option<Id> {
    segment.strip_prefix('~').unwrap_or(segment).parse().ok()
}

/// A point in time, to the minute, in UTC.
pub(crate) fn minute(at: Timestamp) -> String {
    let text = at.to_string();
    match (text.get(..10), text.get(11..16)) {
        (Some(day), Some(time)) => format!("{day} {time}"),
        _ => text,
    }
}

/// A count that may have ended at its limit.
pub(crate) fn count(count: u64) -> String {
    if count > u64::from(COUNT_LIMIT) { text::more_than(&grouped(u64::from(COUNT_LIMIT))) } else { grouped(count) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_end_at_their_limit() {
        assert_eq!([100_000, 100_001].map(count), ["100,000", "more than 100,000"]);
    }

    #[test]
    fn an_id_of_dots_is_no_step_in_a_path() {
        for id in [".", "..", "...", "acme.eu"] {
            let read: Option<claviger_core::WorkspaceId> = of_segment(&segment(id));
            assert_eq!(read.unwrap().as_str(), id);
            assert!(!matches!(segment(id).as_str(), "." | ".."));
        }
    }

    #[test]
    fn a_time_is_shown_to_the_minute() {
        assert_eq!(minute(Timestamp::from_millis(61_000)), "1970-01-01 00:01");
    }
}
