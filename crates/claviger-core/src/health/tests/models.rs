//! Rests by model.

use super::*;

const SECOND: i64 = 1_000;

fn limited(wait_secs: u64, began: i64) -> Event {
    answer_waiting(Class::RateLimited, Duration::from_secs(wait_secs), began)
}

#[test]
fn a_limited_model_rests_and_its_neighbour_serves() {
    let mut rests = ModelRests::default();
    rests.next("pro", &limited(30, 0), at(0));
    assert_eq!(rests.availability("pro", at(1)), Availability::Resting { until: at(30 * SECOND) });
    assert_eq!(rests.availability("flash", at(1)), Availability::Now);
    assert_eq!(rests.availability("pro", at(30 * SECOND)), Availability::Trial);
    rests.next("pro", &Event::TrialBegins, at(30 * SECOND));
    rests.next("pro", &answer(Class::Ok, 30 * SECOND), at(31 * SECOND));
    assert_eq!(rests.availability("pro", at(31 * SECOND)), Availability::Now);
    assert_eq!(rests.iter().count(), 0);
}

#[test]
fn an_answer_from_before_a_model_was_well_again_rests_it_no_more() {
    let mut rests = ModelRests::default();
    rests.next("pro", &limited(30, 0), at(0));
    rests.next("pro", &answer(Class::Ok, 40 * SECOND), at(41 * SECOND));
    rests.next("pro", &limited(30, -5), at(42 * SECOND));
    assert_eq!(rests.availability("pro", at(42 * SECOND)), Availability::Now);
}

#[test]
fn what_is_about_the_whole_key_rests_no_model() {
    let mut rests = ModelRests::default();
    for class in Class::ALL.into_iter().filter(|class| *class != Class::RateLimited) {
        rests.next("pro", &answer(class, 0), at(0));
        rests.next("pro", &answer(class, 1), at(1));
    }
    assert_eq!(rests, ModelRests::default());
}

#[test]
fn a_refused_trial_of_a_model_is_given_back() {
    let mut rests = ModelRests::default();
    rests.next("pro", &limited(1, 0), at(0));
    rests.next("pro", &Event::TrialBegins, at(SECOND));
    assert_ne!(rests.availability("pro", at(SECOND)), Availability::Trial);
    rests.next("pro", &answer(Class::KeyInvalid, SECOND), at(SECOND));
    assert_eq!(rests.availability("pro", at(SECOND)), Availability::Trial);
}

#[test]
fn with_too_many_models_the_soonest_to_be_over_is_forgotten() {
    let mut rests = ModelRests::default();
    for index in 0..=MAX_MODELS {
        let wait = if index == 7 { 1 } else { 100 + index as u64 };
        rests.next(&format!("model-{index}"), &limited(wait, 0), at(0));
    }
    assert_eq!(rests.iter().count(), MAX_MODELS);
    assert!(rests.health("model-7").is_none());
    assert!(rests.health("model-0").is_some());
}

#[test]
fn a_name_too_long_to_keep_does_not_rest() {
    let mut rests = ModelRests::default();
    rests.next(&"m".repeat(1_000), &limited(30, 0), at(0));
    assert_eq!(rests, ModelRests::default());
}

#[test]
fn a_replaced_key_has_no_model_at_rest() {
    let mut rests = ModelRests::default();
    rests.next("pro", &limited(30, 0), at(0));
    rests.next("", &Event::Replaced, at(1));
    assert_eq!(rests, ModelRests::default());
}

#[test]
fn a_rest_that_is_long_over_is_forgotten_unless_its_trial_is_under_way() {
    let minutes = |minutes: i64| at(SECOND + minutes * 60 * SECOND);
    let mut rests = ModelRests::default();
    rests.next("pro", &limited(1, 0), at(0));
    rests.next("flash", &limited(1_000_000, 0), at(0));
    rests.expire(minutes(9));
    assert_eq!(rests.availability("pro", minutes(9)), Availability::Trial, "its end may be told for a while");
    let mut trying = rests.clone();
    trying.next("pro", &Event::TrialBegins, minutes(10));
    trying.expire(minutes(10));
    assert_ne!(trying.availability("pro", minutes(10)), Availability::Now);
    rests.expire(minutes(10));
    assert_eq!(rests.iter().map(|(model, _)| model).collect::<Vec<_>>(), ["flash"]);
    assert_eq!(rests.availability("pro", minutes(10)), Availability::Now);
}

#[test]
fn a_rest_from_before_the_clock_jumped_back_is_forgotten() {
    let mut rests = ModelRests::default();
    rests.next("pro", &limited(30, 0), at(10_000 * SECOND));
    rests.expire(at(0));
    assert_eq!(rests, ModelRests::default());
}
