//! One key's health, case by case.

use super::*;

const SECOND: i64 = 1_000;
const MINUTE: i64 = 60 * SECOND;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;

fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

fn probed(result: ProbeResult, status: u16, began: i64) -> Event {
    Event::Probed { result, status, began: at(began) }
}

fn ailment(kind: AilmentKind, since: i64, until: i64) -> Ailment {
    Ailment { kind, status: 401, since: at(since), until: at(until), strikes: 1 }
}

/// A key that was refused twice, and is rejected from 1 s until 61 s.
fn rejected() -> KeyHealth {
    after(&[(answer(Class::KeyInvalid, 0), 0), (answer(Class::KeyInvalid, 1), SECOND)])
}

/// What each event makes of a key that is well, limited until 10 s, exhausted until 300 s, or rejected until 61 s, once
/// its rest is over: condition, and the end of the new rest in seconds.
#[test]
fn each_event_makes_of_each_condition_what_it_should() {
    use Condition::{Exhausted, RateLimited, Rejected, Well};
    let now = 400 * SECOND;
    let starts = [
        KeyHealth::new(),
        after(&[(answer_waiting(Class::RateLimited, secs(10), 0), 0)]),
        after(&[(answer(Class::NoCredit, 0), 0)]),
        rejected(),
    ];
    let valid = probed(ProbeResult::Valid, 200, now);
    let invalid = probed(ProbeResult::Invalid, 401, now);
    let no_credit = probed(ProbeResult::NoCredit, 402, now);
    let rows = [
        ("ok", answer(Class::Ok, now), [(Well, 0), (Well, 0), (Well, 0), (Well, 0)]),
        (
            "request_error",
            answer(Class::RequestError, now),
            [(Well, 0), (RateLimited, 10), (Exhausted, 300), (Rejected, 61)],
        ),
        (
            "permission",
            answer(Class::AccountPermission, now),
            [(Well, 0), (RateLimited, 10), (Exhausted, 300), (Rejected, 61)],
        ),
        (
            "overloaded",
            answer(Class::Overloaded, now),
            [(Well, 0), (RateLimited, 10), (Exhausted, 300), (Rejected, 61)],
        ),
        (
            "limited",
            answer(Class::RateLimited, now),
            [(RateLimited, 401), (RateLimited, 402), (RateLimited, 401), (RateLimited, 401)],
        ),
        (
            "no credit",
            answer(Class::NoCredit, now),
            [(Exhausted, 700), (Exhausted, 700), (Exhausted, 1000), (Exhausted, 700)],
        ),
        ("refused", answer(Class::KeyInvalid, now), [(Well, 0), (RateLimited, 10), (Exhausted, 300), (Rejected, 520)]),
        (
            "no answer",
            Event::NoAnswer { began: at(now) },
            [(Well, 0), (RateLimited, 10), (Exhausted, 300), (Rejected, 61)],
        ),
        ("valid", valid, [(Well, 0), (RateLimited, 10), (Exhausted, 400), (Well, 0)]),
        (
            "elsewhere",
            rests_elsewhere(now + 9 * SECOND),
            [(RateLimited, 409), (RateLimited, 409), (Exhausted, 300), (Rejected, 61)],
        ),
        ("invalid", invalid, [(Rejected, 460), (Rejected, 460), (Rejected, 460), (Rejected, 520)]),
        ("empty", no_credit, [(Exhausted, 700), (Exhausted, 700), (Exhausted, 1000), (Exhausted, 700)]),
        ("stored none", stored(None, now), [(Well, 0), (RateLimited, 10), (Exhausted, 300), (Rejected, 61)]),
        ("replaced", Event::Replaced, [(Well, 0), (Well, 0), (Well, 0), (Well, 0)]),
    ];
    for (name, event, expected) in rows {
        for (start, (condition, until)) in starts.iter().zip(expected) {
            let next = start.next(&event, at(now));
            let until = (condition != Well).then_some(at(until * SECOND));
            assert_eq!((next.condition(), next.until()), (condition, until), "{name} on {}", start.condition());
        }
    }
}

#[test]
fn a_limit_without_a_hint_rests_a_second_and_doubles_to_five_minutes() {
    let mut health = KeyHealth::new();
    let mut now = 0;
    let mut rests = Vec::new();
    for _ in 0..12 {
        health = health.next(&answer(Class::RateLimited, now), at(now));
        let until = health.until().unwrap().as_millis() - at(0).as_millis();
        rests.push((until - now) / SECOND);
        now = until;
    }
    assert_eq!(rests, [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300, 300]);
    assert_eq!(health.strikes(), 12);
    assert_eq!(health.next(&answer(Class::Ok, now), at(now)).strikes(), 0);
}

#[test]
fn empty_accounts_and_refused_keys_rest_up_to_six_hours() {
    let longest = |class: Class| {
        let mut health = KeyHealth::new();
        let mut now = 0;
        let mut rest = 0;
        for _ in 0..40 {
            health = health.next(&answer(class, now), at(now + 1));
            if let Some(until) = health.until() {
                rest = until.as_millis() - at(now + 1).as_millis();
            }
            now += rest + 2;
        }
        rest
    };
    assert_eq!(longest(Class::NoCredit), 6 * HOUR);
    assert_eq!(longest(Class::KeyInvalid), 6 * HOUR);
}

#[test]
fn a_hint_sets_the_rest_and_for_an_empty_account_only_if_it_is_longer() {
    let until = |class, wait| after(&[(answer_waiting(class, wait, 0), 0)]).until();
    assert_eq!(until(Class::RateLimited, secs(90)), Some(at(90 * SECOND)));
    assert_eq!(until(Class::RateLimited, Duration::from_millis(20)), Some(at(20)));
    assert_eq!(until(Class::NoCredit, secs(90)), Some(at(300 * SECOND)));
    assert_eq!(until(Class::NoCredit, secs(900)), Some(at(900 * SECOND)));
    assert_eq!(until(Class::RateLimited, Duration::MAX), Some(at(DAY)));
}

#[test]
fn a_rest_is_lengthened_by_a_later_answer_and_never_shortened() {
    let limited = |wait, began| answer_waiting(Class::RateLimited, secs(wait), began);
    let health = after(&[(limited(60, 0), 0), (limited(5, 1), SECOND)]);
    assert_eq!(health.until(), Some(at(60 * SECOND)));
    let health = health.next(&limited(120, 2 * SECOND), at(3 * SECOND));
    assert_eq!(health.until(), Some(at(123 * SECOND)));
    let health = health.next(&answer(Class::Ok, 4 * SECOND), at(5 * SECOND));
    assert_eq!((health.condition(), health.until()), (Condition::RateLimited, Some(at(123 * SECOND))));
}

#[test]
fn a_milder_finding_does_not_hide_a_graver_one_that_still_rests() {
    let health = after(&[(answer(Class::NoCredit, 0), 0), (answer(Class::RateLimited, 1), SECOND)]);
    assert_eq!((health.condition(), health.until()), (Condition::Exhausted, Some(at(300 * SECOND))));
    let health = after(&[(answer_waiting(Class::RateLimited, secs(900), 0), 0), (answer(Class::NoCredit, 1), SECOND)]);
    assert_eq!((health.condition(), health.until()), (Condition::Exhausted, Some(at(900 * SECOND))));
}

#[test]
fn answers_that_began_before_a_rest_say_nothing_new() {
    let limited = after(&[(answer(Class::RateLimited, 0), SECOND)]);
    for class in Class::ALL {
        assert_eq!(limited.next(&answer(class, SECOND - 1), at(SECOND + 1)), limited, "{class}");
        assert_eq!(limited.next(&answer(class, SECOND), at(SECOND + 1)), limited, "{class} at the same time");
    }
    let many = after(&[
        (answer(Class::RateLimited, 0), 10),
        (answer(Class::RateLimited, 1), 11),
        (answer(Class::RateLimited, 2), 12),
    ]);
    assert_eq!(many.strikes(), 1, "a burst is one strike");
}

#[test]
fn an_answer_from_before_it_was_healed_rests_it_no_more() {
    let healed = after(&[(answer(Class::RateLimited, 0), 0), (answer(Class::Ok, 2 * SECOND), 3 * SECOND)]);
    assert_eq!(healed.condition(), Condition::Well);
    let late = healed.next(&answer(Class::NoCredit, 2 * SECOND + 1), at(4 * SECOND));
    assert_eq!(late, healed);
}

#[test]
fn one_refusal_alone_rests_nothing() {
    let once = after(&[(answer(Class::KeyInvalid, 0), 10)]);
    assert_eq!(once.availability(at(10)), Availability::Now);
    let rows = [
        ("on its way at once", answer(Class::KeyInvalid, 9), 20, Condition::Well),
        ("in the same instant", answer(Class::KeyInvalid, 10), 20, Condition::Well),
        ("after the first was known", answer(Class::KeyInvalid, 11), 20, Condition::Rejected),
        ("a minute later", answer(Class::KeyInvalid, MINUTE), MINUTE + 10, Condition::Well),
        ("just within the minute", answer(Class::KeyInvalid, MINUTE), MINUTE + 9, Condition::Rejected),
    ];
    for (name, event, now, condition) in rows {
        assert_eq!(once.next(&event, at(now)).condition(), condition, "{name}");
    }
}

#[test]
fn refusals_a_minute_apart_never_add_up() {
    let events: Vec<_> = (0..100).map(|index| (answer(Class::KeyInvalid, index * MINUTE), index * MINUTE)).collect();
    assert_eq!(after(&events).condition(), Condition::Well);
}

#[test]
fn a_success_between_two_refusals_clears_the_first_unless_it_began_before() {
    let once = after(&[(answer(Class::KeyInvalid, 0), 10)]);
    let second = (answer(Class::KeyInvalid, 40), at(50));
    let served = once.next(&answer(Class::Ok, 20), at(30)).next(&second.0, second.1);
    assert_eq!(served.condition(), Condition::Well);
    let late = once.next(&answer(Class::Ok, 5), at(30)).next(&second.0, second.1);
    assert_eq!(late.condition(), Condition::Rejected);
}

#[test]
fn a_limit_that_was_announced_rests_without_a_strike_and_needs_no_trial() {
    let health = after(&[(answer_waiting(Class::Ok, secs(10), 0), 0)]);
    assert_eq!((health.condition(), health.strikes()), (Condition::RateLimited, 0));
    assert_eq!(health.availability(at(9 * SECOND)), Availability::Resting { until: at(10 * SECOND) });
    assert_eq!(health.availability(at(10 * SECOND)), Availability::Now);
    let limited = health.next(&answer(Class::RateLimited, 10 * SECOND), at(10 * SECOND));
    assert_eq!((limited.strikes(), limited.until()), (1, Some(at(11 * SECOND))));
    let longer = health.next(&answer_waiting(Class::Ok, secs(30), 1), at(2));
    assert_eq!(longer.until(), Some(at(30 * SECOND + 2)));
}

#[test]
fn at_the_end_of_a_rest_exactly_one_request_tries_the_key() {
    let end = SECOND;
    let health = after(&[(answer(Class::RateLimited, 0), 0)]);
    assert_eq!(health.next(&Event::TrialBegins, at(end - 1)), health, "not while it rests");
    assert_eq!(health.availability(at(end)), Availability::Trial);
    let trying = health.next(&Event::TrialBegins, at(end));
    assert_eq!(trying.availability(at(end)), Availability::Resting { until: at(end + MINUTE) });
    assert_eq!(trying.next(&Event::TrialBegins, at(end + 5)), trying, "one is under way");
    assert_eq!(trying.availability(at(end + MINUTE)), Availability::Trial, "it was lost");
}

#[test]
fn a_trial_that_tells_nothing_is_given_back() {
    let trying = after(&[(answer(Class::RateLimited, 0), 0), (Event::TrialBegins, SECOND)]);
    let endings = [
        answer(Class::RequestError, SECOND),
        answer(Class::AccountPermission, SECOND),
        answer(Class::Overloaded, SECOND),
        answer(Class::KeyInvalid, SECOND),
        Event::NoAnswer { began: at(SECOND) },
        probed(ProbeResult::Unproven { verdict: verdict(Class::Overloaded) }, 503, SECOND),
    ];
    for ending in endings {
        assert_eq!(
            trying.next(&ending, at(SECOND + 1)).availability(at(SECOND + 1)),
            Availability::Trial,
            "{ending:?}"
        );
    }
    let other = Event::NoAnswer { began: at(SECOND - 1) };
    assert_eq!(trying.next(&other, at(SECOND + 1)), trying, "another's end");
}

#[test]
fn a_lost_trial_that_ends_after_all_does_not_end_the_next_one() {
    let second =
        after(&[(answer(Class::RateLimited, 0), 0), (Event::TrialBegins, SECOND), (Event::TrialBegins, 2 * MINUTE)]);
    let late = second.next(&Event::NoAnswer { began: at(SECOND) }, at(2 * MINUTE + 1));
    assert_eq!(late, second);
}

#[test]
fn a_rejected_key_is_healed_by_a_probe_and_rejected_again_by_a_refused_trial() {
    let rejected = rejected();
    assert_eq!(rejected.until(), Some(at(61 * SECOND)));
    assert_eq!(
        rejected.next(&probed(ProbeResult::Valid, 200, 2 * SECOND), at(3 * SECOND)).condition(),
        Condition::Well
    );
    let trying = rejected.next(&Event::TrialBegins, at(61 * SECOND));
    let again = trying.next(&answer(Class::KeyInvalid, 61 * SECOND), at(62 * SECOND));
    assert_eq!((again.strikes(), again.until()), (2, Some(at(182 * SECOND))));
}

#[test]
fn a_rejected_key_wants_a_probe_at_the_end_of_each_rest_but_no_second_one() {
    let rejected = rejected();
    assert!(rejected.wants_probe());
    let unproven = probed(ProbeResult::Unproven { verdict: verdict(Class::Overloaded) }, 503, 61 * SECOND);
    let probed = rejected.next(&Event::TrialBegins, at(61 * SECOND)).next(&unproven, at(62 * SECOND));
    assert!(!probed.wants_probe());
    assert_eq!(probed.availability(at(62 * SECOND)), Availability::Trial, "for a request");
    let again = probed.next(&answer(Class::KeyInvalid, 62 * SECOND), at(63 * SECOND));
    assert!(again.wants_probe());
    assert!(!after(&[(answer(Class::NoCredit, 0), 0)]).wants_probe());
}

#[test]
fn an_exhausted_key_that_is_tested_and_real_is_tried_by_the_next_request() {
    let exhausted = after(&[(answer(Class::NoCredit, 0), 0)]);
    let tested = exhausted.next(&probed(ProbeResult::Valid, 200, SECOND), at(2 * SECOND));
    assert_eq!((tested.condition(), tested.availability(at(2 * SECOND))), (Condition::Exhausted, Availability::Trial));
    let again = tested.next(&answer(Class::NoCredit, 2 * SECOND), at(3 * SECOND));
    assert_eq!((again.strikes(), again.until()), (2, Some(at(603 * SECOND))));
    let late = tested.next(&answer(Class::NoCredit, 2 * SECOND - 1), at(3 * SECOND));
    assert_eq!(late, tested, "from before it was tested");
}

#[test]
fn that_an_exhausted_key_was_tested_reaches_every_node_and_one_request_of_each_tries_it() {
    let exhausted = after(&[(answer(Class::NoCredit, 0), 0)]);
    let tested = exhausted.next(&probed(ProbeResult::Valid, 200, SECOND), at(2 * SECOND));
    let found = tested.ailment().unwrap();
    assert_eq!((found.since, found.until, found.strikes), (at(2 * SECOND), at(2 * SECOND), 1));
    let other = after(&[(stored(exhausted.ailment(), SECOND), SECOND)]);
    let told = other.next(&stored(Some(found), 3 * SECOND), at(3 * SECOND));
    assert_eq!(told.availability(at(3 * SECOND)), Availability::Trial);
    let trying = told.next(&Event::TrialBegins, at(3 * SECOND));
    assert_eq!(trying.next(&Event::TrialBegins, at(4 * SECOND)), trying, "one is under way");
    assert_eq!(trying.next(&answer(Class::Ok, 3 * SECOND), at(4 * SECOND)).condition(), Condition::Well);
}

#[test]
fn a_failed_probe_rejects_at_once() {
    let health = after(&[(probed(ProbeResult::Invalid, 401, 0), 1)]);
    assert_eq!((health.condition(), health.until()), (Condition::Rejected, Some(at(MINUTE + 1))));
}

#[test]
fn a_probe_that_meets_a_limit_rests_the_key_like_any_request() {
    let limited = Verdict { wait: Some(secs(7)), ..verdict(Class::RateLimited) };
    let health = after(&[(probed(ProbeResult::Unproven { verdict: limited }, 429, 0), 0)]);
    assert_eq!((health.condition(), health.until()), (Condition::RateLimited, Some(at(7 * SECOND))));
}

#[test]
fn a_probe_from_before_the_secret_was_replaced_says_nothing() {
    let fresh = after(&[(Event::Replaced, 10)]);
    assert_eq!(fresh.next(&probed(ProbeResult::Invalid, 401, 5), at(20)), fresh);
}

#[test]
fn a_replaced_secret_starts_healthy_and_the_old_ones_answers_do_not_count() {
    let fresh = rejected().next(&Event::Replaced, at(10 * SECOND));
    assert_eq!((fresh.condition(), fresh.ailment(), fresh.strikes()), (Condition::Well, None, 0));
    assert_eq!(fresh.next(&answer(Class::NoCredit, 9 * SECOND), at(11 * SECOND)), fresh);
}

#[test]
fn what_the_store_has_is_taken_over_and_only_that_is_healed_by_its_having_none() {
    let told = after(&[(stored(Some(ailment(AilmentKind::Rejected, 0, MINUTE)), SECOND), SECOND)]);
    assert_eq!(told.ailment(), Some(ailment(AilmentKind::Rejected, 0, MINUTE)));
    assert_eq!(told.availability(at(SECOND)), Availability::Resting { until: at(MINUTE) });
    assert_eq!(told.next(&stored(None, 2 * SECOND), at(2 * SECOND)).condition(), Condition::Well);

    let own = rejected();
    assert_eq!(own.next(&stored(None, 2 * SECOND), at(2 * SECOND)), own, "it is on its way to the store");
    let known = own.next(&stored(own.ailment(), 2 * SECOND), at(2 * SECOND));
    assert_eq!(known.ailment(), own.ailment());
    assert_eq!(known.next(&stored(None, 3 * SECOND), at(3 * SECOND)).condition(), Condition::Well);
}

#[test]
fn a_reading_from_before_an_ailment_was_stored_heals_nothing() {
    let own = rejected();
    let known = own.next(&stored(own.ailment(), 5 * SECOND), at(5 * SECOND));
    assert_eq!(known.next(&stored(None, 5 * SECOND - 1), at(6 * SECOND)), known);
    // An older reading that knew of it already does not make its place in the store any older.
    let again = known.next(&stored(own.ailment(), 3 * SECOND), at(6 * SECOND));
    assert_eq!(again.next(&stored(None, 4 * SECOND), at(7 * SECOND)), again);
    assert_eq!(again.next(&stored(None, 5 * SECOND), at(7 * SECOND)).condition(), Condition::Well);
}

#[test]
fn after_a_reading_that_was_late_all_the_same_the_store_is_believed_again() {
    let told = after(&[(stored(Some(ailment(AilmentKind::Rejected, 0, HOUR)), SECOND), SECOND)]);
    let healed = told.next(&stored(None, SECOND), at(2 * SECOND));
    assert_eq!(healed.condition(), Condition::Well);
    for back in [told.ailment(), Some(ailment(AilmentKind::Exhausted, 1, HOUR))] {
        assert_eq!(
            healed.next(&stored(back, 2 * SECOND), at(3 * SECOND)).ailment(),
            back,
            "found before it was healed"
        );
    }
    // But what an answer belied does not come back.
    let served = told.next(&answer(Class::Ok, 2 * SECOND), at(3 * SECOND));
    assert_eq!(served.next(&stored(told.ailment(), 2 * SECOND), at(4 * SECOND)), served);
}

#[test]
fn when_the_clock_jumps_back_what_was_stored_before_is_healed_all_the_same() {
    let told = after(&[(stored(Some(ailment(AilmentKind::Rejected, DAY, DAY + HOUR)), DAY), DAY)]);
    let healed = told.next(&stored(None, SECOND), at(2 * SECOND));
    assert_eq!(healed.condition(), Condition::Well);
    let other = stored(Some(ailment(AilmentKind::Exhausted, 3 * SECOND, HOUR)), 4 * SECOND);
    assert_eq!(healed.next(&other, at(5 * SECOND)).condition(), Condition::Exhausted);
}

fn rests_elsewhere(until: i64) -> Event {
    Event::RestsElsewhere { until: at(until) }
}

#[test]
fn a_rest_that_another_node_tells_of_ends_with_a_trial() {
    let told = after(&[(rests_elsewhere(10 * SECOND), 0)]);
    assert_eq!((told.condition(), told.strikes(), told.ailment()), (Condition::RateLimited, 1, None));
    assert_eq!(told.availability(at(9 * SECOND)), Availability::Resting { until: at(10 * SECOND) });
    assert_eq!(told.availability(at(10 * SECOND)), Availability::Trial);
    assert_eq!(told.reason().as_deref(), Some("The provider asked to wait: rate limited"));
    assert_eq!(told.next(&answer(Class::Ok, 10 * SECOND), at(11 * SECOND)).condition(), Condition::Well);
    assert_eq!(after(&[(rests_elsewhere(0), 0)]), KeyHealth::new(), "over already");
    assert_eq!(after(&[(rests_elsewhere(3 * DAY), 0)]).until(), Some(at(DAY)), "bounded like every rest");
}

#[test]
fn a_rest_that_another_node_tells_of_keeps_the_strikes_and_only_lengthens() {
    let limited = after(&[(answer(Class::RateLimited, 0), 0), (answer(Class::RateLimited, SECOND), SECOND)]);
    assert_eq!((limited.strikes(), limited.until()), (2, Some(at(3 * SECOND))));
    assert_eq!(limited.next(&rests_elsewhere(2 * SECOND), at(2 * SECOND - 1)), limited, "shorter");
    let longer = limited.next(&rests_elsewhere(9 * SECOND), at(2 * SECOND));
    assert_eq!((longer.strikes(), longer.until(), longer.status()), (2, Some(at(9 * SECOND)), 429));
    let anew = limited.next(&rests_elsewhere(9 * SECOND), at(5 * SECOND));
    assert_eq!((anew.strikes(), anew.until()), (2, Some(at(9 * SECOND))));
    let refused = anew.next(&answer(Class::RateLimited, 9 * SECOND), at(9 * SECOND));
    assert_eq!((refused.strikes(), refused.until()), (3, Some(at(13 * SECOND))));
    let announced = after(&[(answer_waiting(Class::Ok, secs(2), 0), 0), (rests_elsewhere(9 * SECOND), SECOND)]);
    assert_eq!((announced.strikes(), announced.availability(at(9 * SECOND))), (1, Availability::Trial));
    assert_eq!(announced.reason().as_deref(), Some("The provider asked to wait: rate limited"));
}

#[test]
fn a_rest_that_another_node_tells_of_leaves_ailments_and_suspicions_as_they_are() {
    for ailing in [rejected(), after(&[(answer(Class::NoCredit, 0), 0)])] {
        for now in [SECOND, HOUR] {
            assert_eq!(ailing.next(&rests_elsewhere(2 * HOUR), at(now)), ailing);
        }
    }
    let suspected = after(&[(answer(Class::KeyInvalid, 0), 10), (rests_elsewhere(SECOND), 20)]);
    assert!(suspected.is_suspected());
    let again = suspected.next(&answer(Class::KeyInvalid, SECOND), at(SECOND + 1));
    assert_eq!(again.condition(), Condition::Rejected);
}

#[test]
fn of_two_nodes_findings_the_later_counts_in_either_order() {
    let early = stored(Some(ailment(AilmentKind::Rejected, 0, HOUR)), 9);
    let late = stored(Some(ailment(AilmentKind::Exhausted, 5, MINUTE)), 9);
    let one = after(&[(early, 10), (late, 11)]);
    let other = after(&[(late, 10), (early, 11)]);
    assert_eq!(one, other);
    assert_eq!(one.condition(), Condition::Exhausted);
}

#[test]
fn an_ailment_from_before_a_success_is_old_news_and_a_rest_of_ones_own_is_kept() {
    let healed = after(&[(answer(Class::RateLimited, 0), 0), (answer(Class::Ok, 2 * SECOND), 3 * SECOND)]);
    let old = stored(Some(ailment(AilmentKind::Rejected, SECOND, HOUR)), 4 * SECOND);
    assert_eq!(healed.next(&old, at(4 * SECOND)), healed);

    let limited = after(&[(answer_waiting(Class::RateLimited, secs(3_600), SECOND), SECOND)]);
    let told = limited.next(&stored(Some(ailment(AilmentKind::Exhausted, 0, MINUTE)), SECOND), at(2 * SECOND));
    assert_eq!((told.condition(), told.until()), (Condition::Exhausted, Some(at(HOUR + SECOND))));
}

#[test]
fn the_store_does_not_end_a_trial_that_is_under_way() {
    let own = rejected();
    let trying = own.next(&Event::TrialBegins, at(61 * SECOND));
    let told = trying.next(&stored(own.ailment(), 62 * SECOND), at(62 * SECOND));
    assert_eq!(told.availability(at(62 * SECOND)), Availability::Resting { until: at(121 * SECOND) });
}

#[test]
fn when_the_clock_jumps_back_a_rest_from_the_future_is_over() {
    let future = after(&[(answer(Class::NoCredit, DAY), DAY)]);
    assert_eq!(future.availability(at(0)), Availability::Trial);
    let trying = future.next(&Event::TrialBegins, at(0));
    assert_eq!(trying.availability(at(1)), Availability::Resting { until: at(MINUTE) });
    assert_eq!(trying.next(&answer(Class::Ok, 0), at(1)).condition(), Condition::Well);
    let again = trying.next(&answer(Class::NoCredit, 0), at(1));
    assert_eq!(again.until(), Some(at(600 * SECOND + 1)), "as long as from here, not from the future");

    let well = after(&[(Event::Replaced, DAY)]);
    assert_eq!(well.next(&answer(Class::NoCredit, 0), at(1)).condition(), Condition::Exhausted);
    let refused = after(&[(answer(Class::KeyInvalid, DAY), DAY)]).next(&answer(Class::KeyInvalid, 1), at(2));
    assert_eq!(refused.condition(), Condition::Well, "a refusal from the future confirms nothing");
    let lost = after(&[(answer(Class::RateLimited, 0), 0), (Event::TrialBegins, DAY)]);
    assert_eq!(lost.availability(at(HOUR)), Availability::Trial);
}

#[test]
fn an_ailment_with_an_absurd_end_is_over_after_a_day() {
    let endless = Ailment { until: Timestamp::MAX, ..ailment(AilmentKind::Rejected, 0, 0) };
    let told = after(&[(stored(Some(endless), 1), 1)]);
    assert_eq!(told.availability(at(1)), Availability::Resting { until: at(DAY) });
    assert_eq!(told.availability(at(DAY)), Availability::Trial);
}

#[test]
fn only_what_is_worth_it_is_stored() {
    assert_eq!(KeyHealth::default().ailment(), None);
    assert_eq!(after(&[(answer(Class::RateLimited, 0), 0)]).ailment(), None);
    let exhausted = after(&[(answer(Class::NoCredit, 0), 0)]);
    let expected =
        Ailment { kind: AilmentKind::Exhausted, status: 402, since: at(0), until: at(300 * SECOND), strikes: 1 };
    assert_eq!(exhausted.ailment(), Some(expected));
    assert_eq!((exhausted.since(), exhausted.status()), (at(0), 402));
}

#[test]
fn people_are_told_the_reason_in_our_words() {
    let reason = |health: KeyHealth| health.reason().unwrap();
    assert_eq!(KeyHealth::new().reason(), None);
    assert_eq!(reason(after(&[(answer(Class::RateLimited, 0), 0)])), "The provider answered 429: rate limited");
    assert_eq!(reason(after(&[(answer(Class::NoCredit, 0), 0)])), "The account has no credit left (HTTP 402)");
    assert_eq!(reason(rejected()), "The provider refused the key (HTTP 401)");
    let announced = after(&[(answer_waiting(Class::Ok, secs(9), 0), 0)]);
    assert_eq!(reason(announced), "The provider announced that nothing is left of a rate limit");
    let unknown = Ailment { status: 0, ..ailment(AilmentKind::Rejected, 0, 1) };
    assert_eq!(reason(after(&[(stored(Some(unknown), 0), 0)])), "The provider refused the key");
    let limited = Event::Answer { verdict: Verdict { status: 0, ..verdict(Class::RateLimited) }, began: at(0) };
    assert_eq!(reason(after(&[(limited, 0)])), "The provider asked to wait: rate limited");
}

#[test]
fn conditions_and_ailments_have_their_names() {
    let conditions = [Condition::Well, Condition::RateLimited, Condition::Exhausted, Condition::Rejected];
    assert_eq!(conditions.map(Condition::as_str), ["well", "rate_limited", "exhausted", "rejected"]);
    for kind in [AilmentKind::Exhausted, AilmentKind::Rejected] {
        assert_eq!(AilmentKind::parse(kind.as_str()), Some(kind));
        assert_eq!(kind.to_string(), Condition::from(kind).to_string());
    }
    assert_eq!(AilmentKind::parse("well"), None);
}
