//! What becomes of a stored ailment when a node says how a key fares. The same for every store.

use claviger_core::Timestamp;
use claviger_core::health::Ailment;

use crate::NewEvent;

/// What became of a key's health.
#[derive(Clone, Debug)]
pub struct AilmentChange {
    /// What ails it; `None` where it was healed.
    pub ailment: Option<Ailment>,
    /// When the request began that showed the key to be well: what is stored with a later `since` is not healed by it.
    /// Means nothing where there is an ailment.
    pub began: Timestamp,
    /// What to tell webhooks of, where an ailment begins or ends with this.
    pub events: Vec<NewEvent>,
}

/// What a change makes of what is stored.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum AilmentStep {
    /// Nothing: it is known already, or something later is.
    Same,
    /// The same kind of ailment goes on, as it is here.
    GoesOn(Ailment),
    /// An ailment began, or one of another kind took its place.
    Begins(Ailment),
    /// The key is well again.
    Ends,
}

impl AilmentChange {
    /// What this makes of what is stored. The later `since` wins, whatever the order in which nodes say so.
    #[must_use]
    pub fn step(&self, stored: Option<&Ailment>) -> AilmentStep {
        match (stored, &self.ailment) {
            (None, Some(said)) => AilmentStep::Begins(*said),
            (Some(stored), None) if stored.since <= self.began => AilmentStep::Ends,
            (_, None) => AilmentStep::Same,
            (Some(stored), Some(said)) => from_to(stored, said),
        }
    }
}

fn from_to(stored: &Ailment, said: &Ailment) -> AilmentStep {
    if said.since < stored.since {
        return AilmentStep::Same;
    }
    if said.kind != stored.kind {
        return AilmentStep::Begins(*said);
    }
    // Of one moment two nodes may know more and less. What was found later may end a rest: the key was tested.
    let strikes = if said.since == stored.since { said.strikes.max(stored.strikes) } else { said.strikes };
    let until = if said.since == stored.since { said.until.max(stored.until) } else { said.until };
    let next = Ailment { until, strikes, ..*said };
    if next == *stored { AilmentStep::Same } else { AilmentStep::GoesOn(next) }
}

impl AilmentStep {
    /// What is to be stored; the outer `None` where that is stored already.
    #[must_use]
    pub fn stored(&self) -> Option<Option<&Ailment>> {
        match self {
            Self::Same => None,
            Self::GoesOn(ailment) | Self::Begins(ailment) => Some(Some(ailment)),
            Self::Ends => Some(None),
        }
    }

    /// Whether webhooks are told. Not of an ailment that goes on: of several nodes that found it, one told.
    #[must_use]
    pub fn is_told(&self) -> bool {
        matches!(self, Self::Begins(_) | Self::Ends)
    }
}

#[cfg(test)]
mod tests {
    use claviger_core::health::AilmentKind::{self, Exhausted, Rejected};

    use super::*;

    fn ailment(kind: AilmentKind, since: i64, until: i64) -> Ailment {
        let at = Timestamp::from_millis;
        Ailment { kind, status: 401, since: at(since), until: at(until), strikes: 2 }
    }

    #[test]
    fn the_later_since_wins_and_of_one_moment_the_later_end() {
        let stored = ailment(Rejected, 100, 200);
        for (said, expected) in [
            (ailment(Rejected, 99, 900), AilmentStep::Same),
            (ailment(Exhausted, 99, 900), AilmentStep::Same),
            (stored, AilmentStep::Same),
            (ailment(Rejected, 100, 150), AilmentStep::Same),
            (Ailment { strikes: 1, ..stored }, AilmentStep::Same),
            (Ailment { strikes: 3, ..stored }, AilmentStep::GoesOn(Ailment { strikes: 3, ..stored })),
            (ailment(Rejected, 100, 300), AilmentStep::GoesOn(ailment(Rejected, 100, 300))),
            (ailment(Rejected, 101, 150), AilmentStep::GoesOn(ailment(Rejected, 101, 150))),
            (ailment(Rejected, 101, 101), AilmentStep::GoesOn(ailment(Rejected, 101, 101))),
            (ailment(Exhausted, 100, 150), AilmentStep::Begins(ailment(Exhausted, 100, 150))),
            (ailment(Exhausted, 101, 150), AilmentStep::Begins(ailment(Exhausted, 101, 150))),
        ] {
            let change = AilmentChange { ailment: Some(said), began: Timestamp::from_millis(0), events: Vec::new() };
            assert_eq!(change.step(Some(&stored)), expected, "{said:?}");
            assert_eq!(change.step(None), AilmentStep::Begins(said));
        }
    }

    #[test]
    fn only_what_was_there_when_the_request_began_is_healed() {
        let stored = ailment(Rejected, 100, 200);
        for (began, expected) in [(99, AilmentStep::Same), (100, AilmentStep::Ends), (101, AilmentStep::Ends)] {
            let change = AilmentChange { ailment: None, began: Timestamp::from_millis(began), events: Vec::new() };
            assert_eq!(change.step(Some(&stored)), expected, "{began}");
            assert_eq!(change.step(None), AilmentStep::Same);
        }
    }

    #[test]
    fn webhooks_are_told_where_an_ailment_begins_or_ends() {
        let ailment = ailment(Rejected, 1, 2);
        let told = [AilmentStep::Same, AilmentStep::GoesOn(ailment), AilmentStep::Begins(ailment), AilmentStep::Ends];
        assert_eq!(told.map(|step| step.is_told()), [false, false, true, true]);
    }
}
