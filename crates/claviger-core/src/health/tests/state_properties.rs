//! What holds for one key's health under any sequence of events.

use proptest::prelude::*;

use super::*;

/// Longer than any rest, any trial and any note from the future.
const LONG: Duration = Duration::from_hours(26);

fn a_class() -> impl Strategy<Value = Class> {
    proptest::sample::select(Class::ALL.to_vec())
}

fn a_verdict() -> impl Strategy<Value = Verdict> {
    let wait = proptest::option::of((0_u64..200_000_000).prop_map(Duration::from_millis));
    (a_class(), wait).prop_map(|(class, wait)| Verdict { wait, ..verdict(class) })
}

fn a_result() -> impl Strategy<Value = ProbeResult> {
    prop_oneof![
        Just(ProbeResult::Valid),
        Just(ProbeResult::Invalid),
        Just(ProbeResult::NoCredit),
        a_verdict().prop_map(|verdict| ProbeResult::Unproven { verdict }),
    ]
}

fn a_time() -> impl Strategy<Value = Timestamp> {
    prop_oneof![
        4 => (0_i64..600_000).prop_map(at),
        1 => (0_i64..200_000_000).prop_map(at),
        1 => (0_i64..4_000_000_000_000).prop_map(Timestamp::from_millis),
    ]
}

fn an_ailment() -> impl Strategy<Value = Ailment> {
    (any::<bool>(), a_time(), a_time(), any::<u32>()).prop_map(|(rejected, since, until, strikes)| Ailment {
        kind: if rejected { AilmentKind::Rejected } else { AilmentKind::Exhausted },
        status: 401,
        since,
        until,
        strikes,
    })
}

fn an_event() -> impl Strategy<Value = Event> {
    prop_oneof![
        6 => (a_verdict(), a_time()).prop_map(|(verdict, began)| Event::Answer { verdict, began }),
        1 => a_time().prop_map(|began| Event::NoAnswer { began }),
        2 => (a_result(), a_time()).prop_map(|(result, began)| Event::Probed { result, status: 200, began }),
        2 => Just(Event::TrialBegins),
        1 => (proptest::option::of(an_ailment()), a_time()).prop_map(|(ailment, read_at)| Event::Stored { ailment, read_at }),
        1 => a_time().prop_map(|until| Event::RestsElsewhere { until }),
        1 => Just(Event::Replaced),
    ]
}

/// Events and the clock at each, which may jump anywhere.
fn a_life() -> impl Strategy<Value = Vec<(Event, Timestamp)>> {
    proptest::collection::vec((an_event(), a_time()), 0..40)
}

/// A key after a life, and the clock when it ends.
fn lived(life: &[(Event, Timestamp)]) -> (KeyHealth, Timestamp) {
    let health = life.iter().fold(KeyHealth::new(), |health, (event, now)| health.next(event, *now));
    (health, life.last().map_or(at(0), |(_, now)| *now))
}

/// Long after every time of a life. Nothing is said of what a clock that jumped back leads to until it is there again,
/// but that it has an end.
fn long_after(life: &[(Event, Timestamp)]) -> Timestamp {
    let told = life.iter().filter_map(|(event, _)| match event {
        Event::Stored { ailment, .. } => ailment.map(|ailment| ailment.since),
        _ => None,
    });
    let latest = life.iter().map(|(_, now)| *now).chain(told).max().unwrap_or(at(0));
    latest.after(LONG)
}

fn is_resting(health: &KeyHealth, now: Timestamp) -> bool {
    matches!(health.availability(now), Availability::Resting { .. })
}

proptest! {
    #[test]
    fn no_key_is_lost_for_good(life in a_life()) {
        let (health, _) = lived(&life);
        let later = long_after(&life);
        prop_assert!(!is_resting(&health, later), "{health:?}");
        let trying = health.next(&Event::TrialBegins, later);
        let ok = Event::Answer { verdict: verdict(Class::Ok), began: later };
        let healed = trying.next(&ok, later.after(Duration::from_secs(5)));
        prop_assert_eq!(healed.condition(), Condition::Well);
        prop_assert_eq!((healed.strikes(), healed.ailment()), (0, None));
        prop_assert_eq!(healed.availability(later.after(Duration::from_secs(5))), Availability::Now);
    }

    #[test]
    fn every_rest_has_an_end_within_reach(life in a_life()) {
        let (health, end) = lived(&life);
        if let Availability::Resting { until } = health.availability(end) {
            prop_assert!(until > end && until <= end.after(LONG), "{health:?}");
        }
    }

    #[test]
    fn callers_errors_never_rest_a_key(
        errors in proptest::collection::vec(
            (proptest::sample::select(vec![Class::RequestError, Class::AccountPermission, Class::Overloaded]), a_time(), a_time()),
            0..60,
        ),
        wait in proptest::option::of((0_u64..200_000_000).prop_map(Duration::from_millis)),
    ) {
        let mut health = KeyHealth::new();
        for (class, began, now) in errors {
            health = health.next(&Event::Answer { verdict: Verdict { wait, ..verdict(class) }, began }, now);
            prop_assert_eq!(health, KeyHealth::new());
        }
    }

    #[test]
    fn callers_errors_change_nothing_about_a_key_but_its_trial(life in a_life(), began in a_time(), now in a_time()) {
        let (health, _) = lived(&life);
        for class in [Class::RequestError, Class::AccountPermission, Class::Overloaded] {
            let next = health.next(&Event::Answer { verdict: verdict(class), began }, now);
            prop_assert_eq!(next, health.next(&Event::NoAnswer { began }, now));
            prop_assert_eq!((next.condition(), next.until(), next.strikes()), (health.condition(), health.until(), health.strikes()));
        }
    }

    #[test]
    fn no_answer_shortens_a_rest_but_by_healing(life in a_life(), verdict in a_verdict(), began in a_time()) {
        let (health, now) = lived(&life);
        let next = health.next(&Event::Answer { verdict, began }, now);
        let healed = verdict.class == Class::Ok && health.condition() > Condition::RateLimited;
        if is_resting(&health, now) && health.until() > Some(now) && health.since() <= now && !healed {
            prop_assert!(next.until() >= health.until(), "{health:?} {next:?}");
            prop_assert!(next.condition() >= health.condition());
        }
    }

    #[test]
    fn a_success_that_began_before_the_rest_heals_nothing(life in a_life(), began in a_time(), wait in any::<bool>()) {
        let (health, now) = lived(&life);
        // Where there is no rest since then, what began in the same instant is no older.
        let before = began < health.since() || (began == health.since() && health.until() > Some(health.since()));
        if health.condition() != Condition::Well && before && health.since() <= now {
            let wait = wait.then_some(Duration::from_secs(3));
            let ok = Event::Answer { verdict: Verdict { wait, ..verdict(Class::Ok) }, began };
            prop_assert_eq!(health.next(&ok, now), health.next(&Event::NoAnswer { began }, now));
        }
    }

    #[test]
    fn one_request_at_a_time_tries_a_key(life in a_life(), asked in proptest::collection::vec(0_u64..50_000, 1..20)) {
        let (health, _) = lived(&life);
        let later = long_after(&life);
        if health.availability(later) == Availability::Trial {
            let trying = health.next(&Event::TrialBegins, later);
            for millis in asked {
                let then = later.after(Duration::from_millis(millis));
                prop_assert!(is_resting(&trying, then));
                prop_assert_eq!(trying.next(&Event::TrialBegins, then), trying);
            }
        }
    }

    #[test]
    fn the_stores_words_lead_to_the_same_in_any_order(mut words in proptest::collection::vec(an_ailment(), 1..6), now in a_time()) {
        // The same instant twice does not happen: the store keeps one ailment of a key.
        words.sort_by_key(|word| word.since);
        words.dedup_by_key(|word| word.since);
        let tell = |words: &[Ailment]| {
            let told = |ailment: &Ailment| Event::Stored { ailment: Some(*ailment), read_at: now };
            words.iter().fold(KeyHealth::new(), |health, word| health.next(&told(word), now)).ailment()
        };
        let forward = tell(&words);
        words.reverse();
        prop_assert_eq!(tell(&words), forward);
    }

    #[test]
    fn a_rest_told_by_another_node_only_ever_adds_to_what_is_known(life in a_life(), until in a_time(), now in a_time()) {
        let (health, _) = lived(&life);
        let next = health.next(&Event::RestsElsewhere { until }, now);
        prop_assert_eq!((next.ailment(), next.is_suspected()), (health.ailment(), health.is_suspected()));
        prop_assert!(next.strikes() >= health.strikes() && next.condition() >= health.condition());
        if is_resting(&health, now) && health.since() <= now {
            prop_assert!(is_resting(&next, now) && next.until() >= health.until(), "{health:?} {next:?}");
        }
        if next != health {
            prop_assert_eq!(next.condition(), Condition::RateLimited);
            prop_assert!(next.strikes() >= 1, "its end is a trial");
        }
        prop_assert_eq!(next.next(&Event::RestsElsewhere { until }, now), next, "told again and again");
    }

    #[test]
    fn no_reading_heals_what_was_stored_after_it_began(life in a_life(), word in an_ailment(), began in a_time(), stored in a_time()) {
        let (health, _) = lived(&life);
        if began < stored {
            let told = health.next(&Event::Stored { ailment: Some(word), read_at: stored }, stored);
            let late = told.next(&Event::Stored { ailment: None, read_at: began }, stored);
            // Of something later the store told before.
            if told.ailment().is_some_and(|ailment| ailment.since == word.since) {
                prop_assert_eq!(late, told);
            }
        }
    }

    #[test]
    fn every_unhealthy_key_has_a_reason_of_one_line(life in a_life()) {
        let (health, _) = lived(&life);
        prop_assert_eq!(health.reason().is_some(), health.condition() != Condition::Well);
        prop_assert!(health.reason().is_none_or(|reason| !reason.contains('\n') && reason.len() < 100));
    }
}
