//! How each key was used in a day, a week or a month.

use std::collections::HashMap;
use std::time::Duration;

use claviger_app::access::{ListKeys, Permit};
use claviger_app::keys::ListedKey;
use claviger_app::{UsageBucket, UseCounts};
use claviger_core::{KeyId, ProviderId, Timestamp};

use super::bars::{self, Bars};
use super::{Asked, refuse_usage, text};
use crate::page::Refused;
use crate::text::grouped;
use crate::visitor::Visitor;
use crate::{Portal, keys, words};

const HOUR: i64 = 3_600_000;

/// How far back is looked, and by how much time requests are summed up.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) enum Range {
    #[default]
    Day,
    Week,
    Month,
}

impl Range {
    const ALL: [Self; 3] = [Self::Day, Self::Week, Self::Month];

    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Day => "24h",
            Self::Week => "7d",
            Self::Month => "30d",
        }
    }

    pub(super) fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|range| range.as_str() == text)
    }

    /// How many hours each slot has, and how many slots there are.
    fn slots(self) -> (i64, usize) {
        match self {
            Self::Day => (1, 24),
            Self::Week => (6, 28),
            Self::Month => (24, 30),
        }
    }

    fn slot(self) -> i64 {
        self.slots().0 * HOUR
    }

    /// When the first slot began; the one that lasts is the last.
    fn begin(self, now: Timestamp) -> Timestamp {
        let (_, slots) = self.slots();
        let before = i64::try_from(slots).unwrap_or_default() - 1;
        Timestamp::from_millis((now.as_millis().div_euclid(self.slot()) - before) * self.slot())
    }

    fn end(self, now: Timestamp) -> Timestamp {
        let (hours, slots) = self.slots();
        let slots = u64::try_from(slots).unwrap_or_default();
        self.begin(now).after(Duration::from_hours(hours.unsigned_abs() * slots))
    }
}

/// What is counted.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Counts {
    pub(super) requests: u64,
    pub(super) limits: u64,
    /// What the key or the provider was the reason for; what a caller asked wrongly is none.
    pub(super) errors: u64,
}

impl Counts {
    /// The requests that met neither.
    pub(super) fn other(self) -> u64 {
        self.requests.saturating_sub(self.limits.saturating_add(self.errors))
    }

    fn and(self, other: Self) -> Self {
        Self {
            requests: self.requests + other.requests,
            limits: self.limits + other.limits,
            errors: self.errors + other.errors,
        }
    }
}

impl From<UseCounts> for Counts {
    fn from(counts: UseCounts) -> Self {
        let errors = counts.rejected + counts.provider_errors;
        Self { requests: counts.requests, limits: counts.rate_limited, errors }
    }
}

/// The part of the page that tells of usage.
pub(super) struct Usage {
    pub(super) ranges: Vec<RangeLink>,
    pub(super) total: String,
    pub(super) from: String,
    pub(super) groups: Vec<Group>,
}

pub(super) struct RangeLink {
    pub(super) id: &'static str,
    pub(super) label: &'static str,
    pub(super) address: String,
    pub(super) current: bool,
}

/// The keys of one provider, all drawn to one scale.
pub(super) struct Group {
    pub(super) name: String,
    pub(super) keys: Vec<KeyUse>,
}

/// A key that was used.
pub(super) struct KeyUse {
    pub(super) id: String,
    pub(super) label: String,
    pub(super) mask: String,
    pub(super) counted: String,
    pub(super) busiest: String,
    pub(super) title: String,
    pub(super) bars: Bars,
    pub(super) caption: String,
    pub(super) rows: Vec<Row>,
    pub(super) total: Row,
}

/// A row of the table behind a chart.
pub(super) struct Row {
    pub(super) start: String,
    pub(super) label: String,
    pub(super) requests: String,
    pub(super) limits: String,
    pub(super) errors: String,
}

/// Reads and draws it.
pub(super) async fn read(
    portal: &Portal,
    visitor: &Visitor,
    permit: &Permit<ListKeys>,
    asked: &Asked,
) -> Result<Usage, Refused> {
    let (range, now) = (asked.range, portal.app.usage.now());
    let provider = asked.provider.as_ref().map(|provider| &provider.id);
    let hours = portal.app.usage.hours(permit, provider, range.begin(now), range.end(now)).await;
    let hours = hours.map_err(|error| refuse_usage(portal, visitor, &error))?;
    let listed = keys::listed(portal, visitor).await?;
    let sums = sum(&hours, range, now);
    let shown = providers(portal, visitor, asked, &listed);
    let is_shown = |key: &&ListedKey| shown.iter().any(|(id, _)| *id == key.record.provider);
    let all = listed.iter().filter(is_shown).count();
    let used: Vec<_> = listed.iter().filter(is_shown).filter_map(|key| sums.get(&key.record.id)).collect();
    let total = used.iter().flat_map(|slots| slots.iter()).fold(Counts::default(), |sum, counts| sum.and(*counts));
    let group = |(id, name): &(ProviderId, String)| {
        group(name, listed.iter().filter(|key| key.record.provider == *id), &sums, range, now)
    };
    Ok(Usage {
        ranges: Range::ALL.into_iter().map(|other| link(portal, asked, other)).collect(),
        total: text::total(total, used.len(), all - used.len(), range),
        from: text::begin(range, range.begin(now)),
        groups: shown.iter().map(group).filter(|group| !group.keys.is_empty()).collect(),
    })
}

fn link(portal: &Portal, asked: &Asked, range: Range) -> RangeLink {
    let address = asked.address(&portal.base, range, None);
    RangeLink { id: range.as_str(), label: text::range(range), address, current: range == asked.range }
}

fn slot_length(range: Range) -> Duration {
    Duration::from_hours(range.slots().0.unsigned_abs())
}

/// Whose keys are shown, with their names: as the catalogue has them, and then what is in it no more.
fn providers(portal: &Portal, visitor: &Visitor, asked: &Asked, listed: &[ListedKey]) -> Vec<(ProviderId, String)> {
    if let Some(provider) = &asked.provider {
        return vec![(provider.id.clone(), provider.name.clone())];
    }
    let mut shown: Vec<_> =
        keys::providers(portal, visitor).map(|provider| (provider.id.clone(), provider.name.clone())).collect();
    if visitor.session.pass.grant.providers.is_empty() {
        for key in listed {
            let id = &key.record.provider;
            if !shown.iter().any(|(known, _)| known == id) {
                shown.push((id.clone(), id.to_string()));
            }
        }
    }
    shown
}

/// The slots of each key that was used.
fn sum(hours: &[UsageBucket], range: Range, now: Timestamp) -> HashMap<KeyId, Vec<Counts>> {
    let (_, slots) = range.slots();
    let mut sums: HashMap<KeyId, Vec<Counts>> = HashMap::new();
    for hour in hours.iter().filter(|hour| hour.counts.requests > 0) {
        let index = (hour.start.as_millis() - range.begin(now).as_millis()).div_euclid(range.slot());
        let key = sums.entry(hour.key.clone()).or_insert_with(|| vec![Counts::default(); slots]);
        if let Some(slot) = usize::try_from(index).ok().and_then(|index| key.get_mut(index)) {
            *slot = slot.and(hour.counts.into());
        }
    }
    sums
}

fn group<'a>(
    name: &str,
    keys: impl Iterator<Item = &'a ListedKey>,
    sums: &HashMap<KeyId, Vec<Counts>>,
    range: Range,
    now: Timestamp,
) -> Group {
    let used: Vec<_> = keys.filter_map(|key| Some((key, sums.get(&key.record.id)?))).collect();
    let highest = used.iter().flat_map(|(_, slots)| slots.iter()).map(|slot| slot.requests).max().unwrap_or_default();
    let shown = |(key, slots): &(&ListedKey, &Vec<Counts>)| shown(key, slots, highest, range, now);
    Group { name: name.to_owned(), keys: used.iter().map(shown).collect() }
}

fn shown(key: &ListedKey, slots: &[Counts], highest: u64, range: Range, now: Timestamp) -> KeyUse {
    let starts = (0_u32..).map(|index| range.begin(now).after(slot_length(range) * index));
    let named = |start: Timestamp| text::slot(range, start, start.after(slot_length(range)));
    let used: Vec<_> = starts.zip(slots).filter(|(_, counts)| counts.requests > 0).collect();
    let most = used.iter().max_by_key(|(_, counts)| counts.requests);
    let total = slots.iter().fold(Counts::default(), |sum, counts| sum.and(*counts));
    let label = words::label(key);
    KeyUse {
        id: key.record.id.to_string(),
        label: label.to_owned(),
        mask: key.record.masked.clone(),
        counted: text::counted(total),
        busiest: most.map(|(start, counts)| text::busiest(counts.requests, &named(*start))).unwrap_or_default(),
        title: text::chart(label, range),
        bars: bars::draw(slots, highest),
        caption: text::caption(label, range),
        rows: used.iter().map(|(start, counts)| row(start.to_string(), named(*start), **counts)).collect(),
        total: row(String::new(), text::ENGLISH.total.to_owned(), total),
    }
}

fn row(start: String, label: String, counts: Counts) -> Row {
    let [requests, limits, errors] = [counts.requests, counts.limits, counts.errors].map(grouped);
    Row { start, label, requests, limits, errors }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_end_with_the_slot_that_lasts() {
        let now = Timestamp::parse("2026-03-31T13:20:00Z").unwrap();
        for (range, begin, end) in [
            (Range::Day, "2026-03-30T14:00:00.000Z", "2026-03-31T14:00:00.000Z"),
            (Range::Week, "2026-03-24T18:00:00.000Z", "2026-03-31T18:00:00.000Z"),
            (Range::Month, "2026-03-02T00:00:00.000Z", "2026-04-01T00:00:00.000Z"),
        ] {
            assert_eq!((range.begin(now).to_string().as_str(), range.end(now).to_string().as_str()), (begin, end));
            assert_eq!(Range::parse(range.as_str()), Some(range));
        }
        assert_eq!(Range::parse("1d"), None);
    }
}
