//! Keys that rest for all nodes.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use claviger_app::coordination::{Coordination, Rest, SharedTurn};
use claviger_core::owner::PoolId;
use claviger_core::pool::{Position, Turn, turn_after};
use claviger_test_services as services;
use claviger_valkey::{Settings, Valkey};
use proptest::prelude::*;
use tokio::runtime::Builder;
use tokio::task::JoinSet;

use crate::{HASTY, NEVER, PATIENT, given_up, key, missed, node, positions, random_pool, shared_again};

const HOUR: Duration = Duration::from_hours(1);
/// What a test may take, so that it is not taken for a rest's end.
const SLACK: Duration = Duration::from_mins(1);

async fn ask(node: &Valkey, pool: &PoolId, usable: &[u64], model: Option<&str>) -> SharedTurn {
    node.turn(pool, &positions(usable), model).await.expect("the turn was missed")
}

/// The position whose turn it is, whether it is a trial, and the positions that rest.
async fn next(node: &Valkey, pool: &PoolId, usable: &[u64], model: Option<&str>) -> (u64, bool, Vec<u64>) {
    let SharedTurn { position, trial, rests } = ask(node, pool, usable, model).await;
    (position.map_or(0, |position| position.0), trial, rests.iter().map(|rest| rest.position.0).collect())
}

/// What was told has arrived.
async fn told(node: &Valkey) {
    node.told().await;
    assert_eq!(node.counts().lost, 0);
}

/// What is left of a rest that was told just now.
fn is_left(remaining: Duration, of: Duration) -> bool {
    remaining <= of && remaining + SLACK > of
}

#[tokio::test]
async fn keys_that_rest_are_passed_over_by_all_nodes_and_the_order_stays_exact() {
    let nodes = [node().await, node().await];
    let (pool, usable) = (random_pool(), [1, 2, 3, 4]);
    nodes[0].rest(&pool, Position(2), None, HOUR);
    nodes[0].rest(&pool, Position(3), None, 2 * HOUR);
    told(&nodes[0]).await;
    for (turns, expected) in [1, 4, 1, 4, 1].into_iter().enumerate() {
        assert_eq!(next(&nodes[turns % 2], &pool, &usable, None).await, (expected, false, vec![2, 3]));
    }
    nodes[1].healed(&pool, Position(3), None);
    told(&nodes[1]).await;
    for (turns, expected) in [3, 4, 1, 3, 4].into_iter().enumerate() {
        assert_eq!(next(&nodes[turns % 2], &pool, &usable, None).await, (expected, false, vec![2]));
    }
    // A key that a node leaves out by itself takes no part in its turn, and is not told of.
    assert_eq!(next(&nodes[0], &pool, &[1, 4], None).await, (1, false, vec![]));
    assert_eq!(next(&nodes[0], &random_pool(), &usable, None).await, (1, false, vec![]), "pools rest each by itself");
}

#[tokio::test]
async fn a_rest_that_one_node_told_is_kept_by_the_very_next_turn_of_another() {
    let nodes = [node().await, node().await];
    let pool = random_pool();
    for round in 0..50 {
        let (one, other) = (&nodes[round % 2], &nodes[(round + 1) % 2]);
        let SharedTurn { position: Some(sick), .. } = ask(other, &pool, &[1, 2], None).await else {
            panic!("all rest")
        };
        one.rest(&pool, sick, None, HOUR);
        told(one).await;
        let well = 3 - sick.0;
        for _ in 0..3 {
            assert_eq!(next(other, &pool, &[1, 2], None).await, (well, false, vec![sick.0]), "round {round}");
        }
        one.healed(&pool, sick, None);
        told(one).await;
    }
}

#[tokio::test]
async fn what_one_runtime_tells_arrives_in_the_order_in_which_it_was_told() {
    let node = node().await;
    let pool = random_pool();
    for _ in 0..50 {
        node.rest(&pool, Position(1), None, HOUR);
        node.healed(&pool, Position(1), None);
        node.rest(&pool, Position(2), None, HOUR);
        node.forget(&pool, Position(2));
        node.rest(&pool, Position(3), None, HOUR);
    }
    told(&node).await;
    assert_eq!(next(&node, &pool, &[1, 2, 3], None).await, (1, false, vec![3]));
    assert_eq!(node.counts().told, 250);
}

#[tokio::test]
async fn a_rest_is_only_ever_lengthened_whoever_tells_it_first() {
    let nodes = [Arc::new(node().await), Arc::new(node().await)];
    let pool = random_pool();
    for (hours, longest) in [(2, 2), (1, 2), (0, 2), (3, 3), (2, 3)] {
        nodes[0].rest(&pool, Position(1), None, hours * HOUR);
        told(&nodes[0]).await;
        let turn = ask(&nodes[1], &pool, &[1], None).await;
        assert!(is_left(turn.rests[0].remaining, longest * HOUR), "{turn:?}");
    }
    let pool = random_pool();
    let mut tasks = JoinSet::new();
    for number in 0..64_u32 {
        let (node, pool) = (Arc::clone(&nodes[number as usize % 2]), pool.clone());
        tasks.spawn(async move { node.rest(&pool, Position(1), None, (1 + number * 37 % 64) * HOUR) });
    }
    tasks.join_all().await;
    for node in &nodes {
        told(node).await;
    }
    let turn = ask(&nodes[0], &pool, &[1], None).await;
    assert!(is_left(turn.rests[0].remaining, 64 * HOUR), "{turn:?}");
}

#[tokio::test]
async fn a_rest_is_kept_by_the_servers_clock() {
    let server = services::Valkey::start().unwrap();
    let node = Valkey::connect(&server.url(), PATIENT).await.unwrap();
    let pool = random_pool();
    node.rest(&pool, Position(1), None, HOUR);
    told(&node).await;
    let until = server.command(&["HGET", &key(&pool), "rest:1"]).unwrap().parse().unwrap();
    let time = server.command(&["TIME"]).unwrap();
    let seconds: u64 = time.lines().next().unwrap().parse().unwrap();
    let left = Duration::from_millis(until).saturating_sub(Duration::from_secs(seconds));
    assert!(is_left(left, HOUR + Duration::from_secs(1)), "{left:?}");
    // Longer than its pool is kept is no rest, and absurd ones are cut to that.
    node.rest(&pool, Position(1), None, Duration::MAX);
    told(&node).await;
    let turn = ask(&node, &pool, &[1], None).await;
    assert!(is_left(turn.rests[0].remaining, 7 * 24 * HOUR), "{turn:?}");
}

#[tokio::test]
async fn where_all_keys_rest_nobody_has_the_turn_and_what_is_left_is_told() {
    let node = node().await;
    let pool = random_pool();
    assert_eq!(next(&node, &pool, &[1, 2, 3], None).await.0, 1);
    node.rest(&pool, Position(1), None, 3 * HOUR);
    node.rest(&pool, Position(2), Some("m"), HOUR);
    node.rest(&pool, Position(3), None, HOUR);
    node.rest(&pool, Position(3), Some("m"), 2 * HOUR);
    told(&node).await;
    let turn = ask(&node, &pool, &[1, 2, 3], Some("m")).await;
    assert_eq!((turn.position, turn.trial), (None, false));
    let expected = [(1, 3, false), (2, 1, true), (3, 2, true)];
    for (Rest { position, remaining, of_model }, (number, hours, model)) in turn.rests.iter().zip(expected) {
        assert_eq!((position.0, *of_model), (number, model));
        assert!(is_left(*remaining, hours * HOUR), "{remaining:?}");
    }
    assert_eq!(turn.rests.len(), 3);
    // It took nobody's turn.
    node.healed(&pool, Position(2), Some("m"));
    told(&node).await;
    assert_eq!(next(&node, &pool, &[1, 2, 3], Some("m")).await, (2, false, vec![1, 3]));
    assert_eq!(node.counts().missed, 0);
}

#[test]
fn exactly_one_of_many_askers_tries_a_key_whose_rest_is_over() {
    let outer = Builder::new_multi_thread().worker_threads(4).enable_all().build().unwrap();
    outer.block_on(async {
        let nodes = [Arc::new(node().await), Arc::new(node().await), Arc::new(node().await)];
        for _ in 0..10 {
            let pool = random_pool();
            nodes[0].rest(&pool, Position(2), None, Duration::ZERO);
            nodes[0].rest(&pool, Position(3), Some("m"), Duration::ZERO);
            told(&nodes[0]).await;
            let mut tasks = JoinSet::new();
            for number in 0..96 {
                let (node, pool) = (Arc::clone(&nodes[number % 3]), pool.clone());
                tasks.spawn(async move { ask(&node, &pool, &[1, 2, 3], Some("m")).await });
            }
            let turns = tasks.join_all().await;
            let mut trials: Vec<_> = turns.iter().filter(|turn| turn.trial).map(|turn| turn.position).collect();
            trials.sort_unstable();
            assert_eq!(trials, [Some(Position(2)), Some(Position(3))]);
            let others = turns.iter().filter(|turn| turn.position == Some(Position(1))).count();
            assert_eq!(others, 94, "while a key is tried, the others pass it over");
            let rests = ask(&nodes[1], &pool, &[1, 2, 3], Some("m")).await.rests;
            assert!(rests.len() == 2 && rests.iter().all(|rest| rest.remaining.is_zero()), "{rests:?}");
        }
    });
}

#[tokio::test]
async fn a_trial_ends_with_a_success_another_rest_or_by_being_given_back() {
    let nodes = [node().await, node().await];
    for model in [None, Some("m")] {
        let pool = random_pool();
        let next = async |node: &Valkey| next(node, &pool, &[1], model).await;
        nodes[0].rest(&pool, Position(1), model, Duration::ZERO);
        told(&nodes[0]).await;
        assert_eq!(next(&nodes[0]).await, (1, true, vec![]));
        assert_eq!(next(&nodes[1]).await, (0, false, vec![1]));
        nodes[0].trial_over(&pool, Position(1), model);
        told(&nodes[0]).await;
        assert_eq!(next(&nodes[1]).await, (1, true, vec![]));
        assert_eq!(next(&nodes[0]).await, (0, false, vec![1]));
        nodes[1].rest(&pool, Position(1), model, Duration::ZERO);
        told(&nodes[1]).await;
        assert_eq!(next(&nodes[0]).await, (1, true, vec![]));
        nodes[0].healed(&pool, Position(1), model);
        told(&nodes[0]).await;
        for node in [&nodes[0], &nodes[1], &nodes[0]] {
            assert_eq!(next(node).await, (1, false, vec![]));
        }
    }
}

#[tokio::test]
async fn a_trial_of_which_nothing_is_heard_ends_after_a_minute() {
    let server = services::Valkey::start().unwrap();
    let node = Valkey::connect(&server.url(), PATIENT).await.unwrap();
    let pool = random_pool();
    node.rest(&pool, Position(1), None, Duration::ZERO);
    told(&node).await;
    assert!(ask(&node, &pool, &[1], None).await.trial);
    let number = |text: String| text.parse::<u64>().unwrap();
    let until = number(server.command(&["HGET", &key(&pool), "trial:1"]).unwrap());
    let seconds = number(server.command(&["TIME"]).unwrap().lines().next().unwrap().to_owned());
    assert!((1..=61).contains(&(until / 1_000 - seconds)), "{until} {seconds}");
    // The server's clock cannot be set, but what is kept by it can.
    for (until, what) in [(seconds - 1, "over"), (seconds + 60 * 60, "set back by an hour")] {
        server.command(&["HSET", &key(&pool), "trial:1", &(until * 1_000).to_string()]).unwrap();
        assert_eq!(next(&node, &pool, &[1], None).await, (1, true, vec![]), "{what}");
        assert_eq!(next(&node, &pool, &[1], None).await, (0, false, vec![1]), "{what}");
    }
}

#[tokio::test]
async fn a_trial_for_which_nobody_waits_any_more_is_given_back() {
    const PAUSE: &str = "300";
    let server = services::Valkey::start().unwrap();
    let hasty = Settings { budget: Duration::from_millis(100), ..PATIENT };
    let patient = Valkey::connect(&server.url(), PATIENT).await.unwrap();
    let hasty = Valkey::connect(&server.url(), hasty).await.unwrap();
    shared_again(&hasty).await;
    let given_back = async |node: &Valkey, words: u64| {
        while node.counts().told < words {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    // The answer comes too late.
    let pool = random_pool();
    patient.rest(&pool, Position(1), None, Duration::ZERO);
    told(&patient).await;
    server.command(&["CLIENT", "PAUSE", PAUSE, "ALL"]).unwrap();
    assert_eq!(hasty.turn(&pool, &positions(&[1]), None).await, None);
    tokio::time::timeout(NEVER, given_back(&hasty, 1)).await.expect("the trial is not given back");
    assert_eq!(next(&patient, &pool, &[1], None).await, (1, true, vec![]));
    // The caller leaves.
    let pool = random_pool();
    patient.rest(&pool, Position(1), Some("m"), Duration::ZERO);
    told(&patient).await;
    server.command(&["CLIENT", "PAUSE", PAUSE, "ALL"]).unwrap();
    let left = tokio::time::timeout(Duration::from_millis(10), patient.turn(&pool, &positions(&[1]), Some("m"))).await;
    left.expect_err("the server answers while it pauses");
    tokio::time::timeout(NEVER, given_back(&patient, 3)).await.expect("the trial is not given back");
    assert_eq!(next(&hasty, &pool, &[1], Some("m")).await, (1, true, vec![]));
}

#[tokio::test]
async fn a_key_that_rests_for_one_model_serves_the_others() {
    let nodes = [node().await, node().await];
    let pool = random_pool();
    nodes[0].rest(&pool, Position(1), Some("large"), HOUR);
    told(&nodes[0]).await;
    for _ in 0..2 {
        assert_eq!(next(&nodes[1], &pool, &[1, 2], Some("large")).await, (2, false, vec![1]));
        assert_eq!(next(&nodes[1], &pool, &[1, 2], Some("small")).await, (1, false, vec![]));
        assert_eq!(next(&nodes[1], &pool, &[1, 2], None).await, (2, false, vec![]));
        assert_eq!(next(&nodes[1], &pool, &[1, 2], None).await, (1, false, vec![]));
    }
    // A success with another model says nothing about this one; one with this model does.
    nodes[1].healed(&pool, Position(1), Some("small"));
    nodes[1].healed(&pool, Position(1), None);
    told(&nodes[1]).await;
    assert_eq!(next(&nodes[0], &pool, &[1], Some("large")).await, (0, false, vec![1]));
    nodes[1].healed(&pool, Position(1), Some("large"));
    told(&nodes[1]).await;
    assert_eq!(next(&nodes[0], &pool, &[1], Some("large")).await, (1, false, vec![]));
}

#[tokio::test]
async fn a_key_that_rests_as_a_whole_serves_no_model_and_a_success_with_any_heals_it() {
    let nodes = [node().await, node().await];
    let pool = random_pool();
    nodes[0].rest(&pool, Position(1), None, HOUR);
    told(&nodes[0]).await;
    for model in [None, Some("large"), Some("small")] {
        assert_eq!(next(&nodes[1], &pool, &[1], model).await, (0, false, vec![1]));
    }
    nodes[1].healed(&pool, Position(1), Some("small"));
    nodes[1].rest(&pool, Position(1), None, Duration::ZERO);
    nodes[1].rest(&pool, Position(1), Some("large"), Duration::ZERO);
    told(&nodes[1]).await;
    // Both rests are over: one trial is for both, and what ends it ends both.
    assert_eq!(next(&nodes[0], &pool, &[1], Some("large")).await, (1, true, vec![]));
    assert_eq!(next(&nodes[0], &pool, &[1], Some("small")).await, (0, false, vec![1]));
    nodes[0].healed(&pool, Position(1), Some("large"));
    told(&nodes[0]).await;
    for model in [None, Some("large"), Some("small")] {
        assert_eq!(next(&nodes[1], &pool, &[1], model).await, (1, false, vec![]));
    }
}

#[tokio::test]
async fn nothing_is_left_of_a_key_that_is_forgotten() {
    let server = services::Valkey::start().unwrap();
    let node = Valkey::connect(&server.url(), PATIENT).await.unwrap();
    let pool = random_pool();
    for model in [None, Some("a"), Some("b/c"), Some("rest:1/a")] {
        for position in [1, 11] {
            node.rest(&pool, Position(position), model, Duration::ZERO);
        }
    }
    told(&node).await;
    assert_eq!(next(&node, &pool, &[1], Some("a")).await, (1, true, vec![]));
    assert_eq!(next(&node, &pool, &[11], None).await, (11, true, vec![]));
    node.forget(&pool, Position(1));
    told(&node).await;
    let fields = server.command(&["HKEYS", &key(&pool)]).unwrap();
    let fields: BTreeSet<&str> = fields.lines().collect();
    assert_eq!(fields, ["last", "rest:11", "rest:11/a", "rest:11/b/c", "rest:11/rest:1/a", "trial:11"].into());
    assert_eq!(next(&node, &pool, &[1], Some("a")).await, (1, false, vec![]));
}

#[tokio::test]
async fn a_models_name_is_nothing_but_a_name_whatever_is_in_it() {
    let server = services::Valkey::start().unwrap();
    let node = Valkey::connect(&server.url(), PATIENT).await.unwrap();
    let long = "m".repeat(128);
    let names = [
        "/",
        "1",
        ":",
        "2/x",
        "/2",
        "rest:2",
        "last",
        " ",
        "%d",
        "\0",
        "\r\n*1\r\n$7\r\nSHUTDOWN\r\n",
        "ü",
        "0",
        &*long,
    ];
    for name in names {
        let pool = random_pool();
        node.rest(&pool, Position(1), Some(name), Duration::ZERO);
        told(&node).await;
        assert_eq!(next(&node, &pool, &[1], Some(name)).await, (1, true, vec![]), "{name:?}");
        assert_eq!(next(&node, &pool, &[1], Some(name)).await, (0, false, vec![1]), "{name:?}");
        for other in [None, Some("x"), Some("1/"), Some("2")] {
            for usable in [1, 2, 11] {
                assert_eq!(next(&node, &pool, &[usable], other).await, (usable, false, vec![]), "{name:?} {other:?}");
            }
        }
        node.trial_over(&pool, Position(1), Some(name));
        node.healed(&pool, Position(1), Some(name));
        told(&node).await;
        assert_eq!(server.command(&["HKEYS", &key(&pool)]).unwrap(), "last", "{name:?}");
    }
    // What is no name counts as none.
    for name in [String::new(), "m".repeat(129)] {
        let pool = random_pool();
        node.rest(&pool, Position(1), Some(&name), HOUR);
        told(&node).await;
        assert_eq!(next(&node, &pool, &[1], None).await, (0, false, vec![1]));
    }
}

#[tokio::test]
async fn a_key_rests_for_few_models_at_once_and_those_that_end_soonest_make_room() {
    let server = services::Valkey::start().unwrap();
    let node = Valkey::connect(&server.url(), PATIENT).await.unwrap();
    let pool = random_pool();
    node.rest(&pool, Position(1), None, HOUR);
    for number in 0..100_u32 {
        // Neither told nor named in the order in which they end.
        let hours = number * 37 % 100;
        node.rest(&pool, Position(1), Some(&format!("m{hours}")), hours * HOUR);
        node.rest(&pool, Position(2), Some("m"), HOUR);
    }
    told(&node).await;
    let fields = server.command(&["HKEYS", &key(&pool)]).unwrap();
    let models: BTreeSet<u32> =
        fields.lines().filter_map(|field| field.strip_prefix("rest:1/m")?.parse().ok()).collect();
    // The last one told is kept, though it is none of the longest.
    assert_eq!(models, (69..100).chain([99 * 37 % 100]).collect());
    assert!(fields.lines().any(|field| field == "rest:1") && fields.lines().any(|field| field == "rest:2/m"));
    // One that is there already needs no room.
    node.rest(&pool, Position(1), Some("m99"), 100 * HOUR);
    told(&node).await;
    assert_eq!(server.command(&["HKEYS", &key(&pool)]).unwrap().lines().count(), 34);
}

#[tokio::test]
async fn what_other_programs_write_there_does_no_harm() {
    let server = services::Valkey::start().unwrap();
    let node = Valkey::connect(&server.url(), PATIENT).await.unwrap();
    let pool = random_pool();
    let seconds: u64 = server.command(&["TIME"]).unwrap().lines().next().unwrap().parse().unwrap();
    let far = ((seconds + 30 * 24 * 60 * 60) * 1_000).to_string();
    let values = ["", "soon", "nan", "inf", "-inf", "1e300", "0x10", "-1", " 1", "1.5", "9999999999999999999999", &far];
    for value in values {
        let mut fields = vec!["HSET".to_owned(), key(&pool)];
        for field in ["rest:1", "rest:2/m", "rest:x", "rest:", "trial:1", "trial:", "other", "last", "rest:1x", "\n"] {
            fields.extend([field.to_owned(), value.to_owned()]);
        }
        let fields: Vec<&str> = fields.iter().map(String::as_str).collect();
        server.command(&fields).unwrap();
        let turn = ask(&node, &pool, &[1, 2], Some("m")).await;
        assert!(
            matches!(turn.position, Some(Position(1 | 2))) && turn.rests.is_empty() && !turn.trial,
            "{value}: {turn:?}"
        );
        // Nor does it keep a rest or a trial from being noted.
        node.rest(&pool, Position(1), None, Duration::ZERO);
        node.rest(&pool, Position(2), Some("m"), HOUR);
        told(&node).await;
        server.command(&["HSET", &key(&pool), "trial:1", value]).unwrap();
        assert_eq!(next(&node, &pool, &[1, 2], Some("m")).await, (1, true, vec![2]), "{value}");
        assert_eq!(next(&node, &pool, &[1, 2], Some("m")).await, (0, false, vec![1, 2]), "{value}");
        node.forget(&pool, Position(1));
        node.forget(&pool, Position(2));
        told(&node).await;
        assert_eq!(next(&node, &pool, &[1], Some("m")).await, (1, false, vec![]), "{value}");
    }
    // What could be a rest of a key that is gone since long goes with the next word on any key.
    server.command(&["HSET", &key(&pool), "rest:77", "1", "rest:77/m", "soon", "trial:77", "1"]).unwrap();
    node.rest(&pool, Position(1), None, HOUR);
    told(&node).await;
    assert!(!server.command(&["HKEYS", &key(&pool)]).unwrap().contains(":77"));
    assert_eq!(node.counts().missed, 0);
}

#[tokio::test]
async fn what_cannot_be_told_is_lost_and_counted_and_keeps_nobody() {
    let mut server = services::Valkey::start().unwrap();
    let node = Valkey::connect(&server.url(), HASTY).await.unwrap();
    let pool = random_pool();
    shared_again(&node).await;
    server.stop().unwrap();
    missed(&node).await;
    given_up(&node).await;
    for _ in 0..10 {
        node.rest(&pool, Position(1), None, HOUR);
    }
    node.told().await;
    assert_eq!((node.counts().told, node.counts().lost), (0, 10));
    server.start_again().unwrap();
    shared_again(&node).await;
    assert_eq!(next(&node, &pool, &[1], None).await, (1, false, vec![]));
    // A server that hangs is given up by what is told alone; and what waits for it is bounded.
    server.freeze().unwrap();
    for _ in 0..10_000 {
        node.rest(&pool, Position(1), None, HOUR);
    }
    node.told().await;
    assert!(!node.counts().sharing);
    assert_eq!((node.counts().told, node.counts().lost), (0, 10_010));
    server.thaw().unwrap();
    shared_again(&node).await;
    node.rest(&pool, Position(1), None, HOUR);
    node.told().await;
    assert_eq!((node.counts().told, node.counts().lost), (1, 10_010));
}

#[tokio::test]
async fn what_is_told_outside_of_any_runtime_takes_another_ones_line() {
    let node = Arc::new(node().await);
    let pool = random_pool();
    let other = Arc::clone(&node);
    let told_elsewhere = pool.clone();
    thread::spawn(move || other.rest(&told_elsewhere, Position(1), None, HOUR)).join().unwrap();
    told(&node).await;
    assert_eq!(next(&node, &pool, &[1], None).await, (0, false, vec![1]));
}

#[tokio::test]
async fn a_server_that_forgot_its_scripts_is_told_again() {
    let server = services::Valkey::start().unwrap();
    let node = Valkey::connect(&server.url(), PATIENT).await.unwrap();
    let pool = random_pool();
    server.command(&["SCRIPT", "FLUSH"]).unwrap();
    node.rest(&pool, Position(1), None, HOUR);
    told(&node).await;
    assert_eq!(next(&node, &pool, &[1, 2], None).await, (2, false, vec![1]));
}

#[tokio::test]
async fn a_pool_is_kept_for_a_week_after_a_rest() {
    let server = services::Valkey::start().unwrap();
    let node = Valkey::connect(&server.url(), PATIENT).await.unwrap();
    let pool = random_pool();
    node.rest(&pool, Position(1), None, HOUR);
    told(&node).await;
    let left: u64 = server.command(&["PTTL", &key(&pool)]).unwrap().parse().unwrap();
    assert!(is_left(Duration::from_millis(left), 7 * 24 * HOUR), "{left}");
}

const MODELS: [Option<&str>; 3] = [None, Some("a"), Some("b")];

#[derive(Clone, Debug)]
enum Step {
    Turn { usable: BTreeSet<u64>, model: usize },
    Rest { position: u64, model: usize, long: u32 },
    Healed { position: u64, model: usize },
    TrialOver { position: u64, model: usize },
    Forget { position: u64 },
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let (position, model) = (1_u64..=4, 0_usize..3);
    let step = prop_oneof![
        6 => (prop::collection::btree_set(1_u64..=4, 1..=4), model.clone())
            .prop_map(|(usable, model)| Step::Turn { usable, model }),
        4 => (position.clone(), model.clone(), 0_u32..4)
            .prop_map(|(position, model, long)| Step::Rest { position, model, long }),
        1 => (position.clone(), model.clone()).prop_map(|(position, model)| Step::Healed { position, model }),
        1 => (position.clone(), model).prop_map(|(position, model)| Step::TrialOver { position, model }),
        1 => position.prop_map(|position| Step::Forget { position }),
    ];
    prop::collection::vec(step, 1..60)
}

/// What the server should know, of a time that stands still: rests are over at once, or take hours.
#[derive(Default)]
struct Plain {
    last: u64,
    rests: BTreeMap<(u64, Option<&'static str>), Noted>,
}

#[derive(Clone, Copy, Default)]
struct Noted {
    hours: u32,
    tried: bool,
}

impl Plain {
    /// What is noted of the whole key, and of the model.
    fn noted(&mut self, position: u64, model: Option<&'static str>) -> impl Iterator<Item = &mut Noted> {
        self.rests
            .iter_mut()
            .filter(move |((of, kind), _)| *of == position && (kind.is_none() || *kind == model))
            .map(|(_, noted)| noted)
    }

    fn rest(&mut self, position: u64, model: Option<&'static str>, hours: u32) {
        let noted = self.rests.entry((position, model)).or_default();
        noted.hours = noted.hours.max(hours);
        for ((of, kind), noted) in &mut self.rests {
            let ended = model.is_none() || kind.is_none() || *kind == model;
            noted.tried &= *of != position || !ended;
        }
    }

    fn turn(
        &mut self,
        usable: &BTreeSet<u64>,
        model: Option<&'static str>,
    ) -> (Option<u64>, bool, Vec<(u64, u32, bool)>) {
        let (mut well, mut over, mut rests) = (Vec::new(), BTreeSet::new(), Vec::new());
        for position in usable {
            let hours = |of| self.rests.get(&(*position, of)).map(|noted| noted.hours);
            let whole = hours(None);
            let of_model = model.and_then(|model| hours(Some(model)));
            let tried = self.noted(*position, model).any(|noted| noted.tried);
            match whole.max(of_model) {
                None => well.push(Position(*position)),
                Some(0) if !tried => {
                    well.push(Position(*position));
                    over.insert(*position);
                }
                Some(longest) => rests.push((*position, longest, of_model > whole)),
            }
        }
        let Turn::Use(index) = turn_after(self.last, &well) else { return (None, false, rests) };
        self.last = well[index].0;
        let trial = over.contains(&self.last);
        if trial {
            self.noted(self.last, model).for_each(|noted| noted.tried = true);
        }
        (Some(self.last), trial, rests)
    }
}

async fn take(step: Step, plain: &mut Plain, nodes: &[Valkey; 2], pool: &PoolId) {
    let [one, other] = nodes;
    match step {
        Step::Turn { usable, model } => {
            let expected = plain.turn(&usable, MODELS[model]);
            let usable: Vec<u64> = usable.into_iter().collect();
            let SharedTurn { position, trial, rests } = ask(other, pool, &usable, MODELS[model]).await;
            let rests = rests.iter().map(|Rest { position, remaining, of_model }| {
                let hours = u32::try_from(remaining.as_secs().div_ceil(HOUR.as_secs())).unwrap();
                assert!(is_left(*remaining, hours * HOUR), "{remaining:?}");
                (position.0, hours, *of_model)
            });
            let rests: Vec<_> = rests.collect();
            assert_eq!((position.map(|position| position.0), trial, rests), expected);
            return;
        }
        Step::Rest { position, model, long } => {
            // No model rests exactly as long as its key, so that it can be told which is the longer.
            let hours = if long == 0 { 0 } else { 2 * long + u32::from(MODELS[model].is_none()) };
            plain.rest(position, MODELS[model], hours);
            one.rest(pool, Position(position), MODELS[model], hours * HOUR);
        }
        Step::Healed { position, model } => {
            plain.rests.retain(|(of, kind), _| *of != position || (kind.is_some() && *kind != MODELS[model]));
            one.healed(pool, Position(position), MODELS[model]);
        }
        Step::TrialOver { position, model } => {
            plain.noted(position, MODELS[model]).for_each(|noted| noted.tried = false);
            one.trial_over(pool, Position(position), MODELS[model]);
        }
        Step::Forget { position } => {
            plain.rests.retain(|(of, _), _| *of != position);
            one.forget(pool, Position(position));
        }
    }
    told(one).await;
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn the_server_does_what_a_plain_model_of_it_does(steps in steps()) {
        Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
            let (nodes, pool, mut plain) = ([node().await, node().await], random_pool(), Plain::default());
            for step in steps {
                take(step, &mut plain, &nodes, &pool).await;
            }
        });
    }
}
