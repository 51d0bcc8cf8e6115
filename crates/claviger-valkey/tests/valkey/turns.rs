//! Turns, as long as all is well.

use std::collections::{BTreeSet, HashMap};
use std::thread;

use claviger_app::coordination::Coordination;
use claviger_core::pool::{Turn, turn_after};
use claviger_test_services as services;
use claviger_valkey::Valkey;
use proptest::prelude::*;
use tokio::runtime::Builder;
use tokio::task::JoinSet;

use crate::log::Log;
use crate::{PATIENT, key, node, positions, random_pool, turn};

#[tokio::test]
async fn two_nodes_take_turns_in_one_order() {
    let nodes = [node().await, node().await];
    let pool = random_pool();
    for round in 0..9 {
        for expected in [2, 3, 5] {
            let node = &nodes[rand::random_range(0..2)];
            assert_eq!(turn(node, &pool, &[2, 3, 5]).await, Some(expected), "round {round}");
        }
    }
    assert_eq!(turn(&nodes[0], &random_pool(), &[2, 3, 5]).await, Some(2), "pools have nothing to do with each other");
}

#[test]
fn tasks_on_many_threads_of_two_nodes_share_each_round_evenly() {
    const TASKS: usize = 8;
    const TURNS: usize = 50;
    let outer = Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let nodes: Vec<_> = (0..2).map(|_| std::sync::Arc::new(outer.block_on(node()))).collect();
    let pool = random_pool();
    let work = |node: std::sync::Arc<Valkey>| {
        let pool = pool.clone();
        async move {
            assert!(node.ready().await);
            let mut tasks = JoinSet::new();
            for _ in 0..TASKS {
                let (node, pool) = (std::sync::Arc::clone(&node), pool.clone());
                tasks.spawn(async move {
                    let mut served = Vec::new();
                    for _ in 0..TURNS {
                        served.push(turn(&node, &pool, &[1, 2, 3, 4]).await.expect("a turn was missed"));
                    }
                    served
                });
            }
            tasks.join_all().await.concat()
        }
    };
    let served: Vec<u64> = thread::scope(|scope| {
        let own = nodes.iter().cycle().take(6).map(|node| {
            let work = work(std::sync::Arc::clone(node));
            scope.spawn(move || Builder::new_current_thread().enable_all().build().unwrap().block_on(work))
        });
        let own: Vec<_> = own.collect();
        let mut served = outer.block_on(work(std::sync::Arc::clone(&nodes[0])));
        served.extend(own.into_iter().flat_map(|thread| thread.join().unwrap()));
        served
    });
    let mut counts: HashMap<u64, usize> = HashMap::new();
    for position in served {
        *counts.entry(position).or_default() += 1;
    }
    let each = 7 * TASKS * TURNS / 4;
    assert_eq!(counts, HashMap::from([(1, each), (2, each), (3, each), (4, each)]));
    let shared: u64 = nodes.iter().map(|node| node.counts().shared).sum();
    assert_eq!((shared, nodes[0].counts().missed), (4 * each as u64, 0));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, ..ProptestConfig::default() })]

    #[test]
    fn the_server_rotates_as_a_node_alone_does(
        steps in prop::collection::vec(prop::collection::btree_set(1_u64..=12, 1..6), 1..60),
        beyond in prop_oneof![Just(0_u64), Just((1 << 53) - 20)],
    ) {
        Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
            let node = node().await;
            let pool = random_pool();
            let mut last = 0;
            for step in steps {
                let usable: Vec<u64> = BTreeSet::iter(&step).map(|position| position + beyond).collect();
                let Turn::Use(index) = turn_after(last, &positions(&usable)) else { panic!("never empty") };
                last = usable[index];
                assert_eq!(turn(&node, &pool, &usable).await, Some(last), "{usable:?}");
            }
        });
    }
}

#[tokio::test]
async fn a_pool_without_usable_keys_asks_nothing() {
    let node = node().await;
    assert_eq!(turn(&node, &random_pool(), &[]).await, None);
    assert_eq!((node.counts().shared, node.counts().missed), (0, 0));
}

#[tokio::test]
async fn a_pool_is_kept_for_a_week_after_its_last_turn() {
    const WEEK: i64 = 7 * 24 * 60 * 60 * 1_000;
    let server = services::Valkey::start().unwrap();
    let node = Valkey::connect(&server.url(), PATIENT).await.unwrap();
    let pool = random_pool();
    for _ in 0..2 {
        turn(&node, &pool, &[1]).await.unwrap();
        let left: i64 = server.command(&["PTTL", &key(&pool)]).unwrap().parse().unwrap();
        assert!((WEEK - 60_000..=WEEK).contains(&left), "{left}");
        server.command(&["PEXPIRE", &key(&pool), "1000000"]).unwrap();
    }
    assert_eq!(server.command(&["HGETALL", &key(&pool)]).unwrap(), "last\n1");
}

#[tokio::test]
async fn a_server_that_forgot_its_scripts_is_told_again() {
    let server = services::Valkey::start().unwrap();
    let node = Valkey::connect(&server.url(), PATIENT).await.unwrap();
    let pool = random_pool();
    for expected in [1, 2, 1, 2] {
        server.command(&["SCRIPT", "FLUSH"]).unwrap();
        assert_eq!(turn(&node, &pool, &[1, 2]).await, Some(expected));
    }
    assert_eq!(node.counts().missed, 0);
}

#[tokio::test]
async fn a_key_of_another_kind_is_said_once_and_spoils_no_other_pool() {
    let (log, _guard) = Log::listen();
    let server = services::Valkey::start().unwrap();
    let node = Valkey::connect(&server.url(), PATIENT).await.unwrap();
    let (spoilt, good) = (random_pool(), random_pool());
    server.command(&["SET", &key(&spoilt), "a string"]).unwrap();
    for expected in [1, 2, 1, 2] {
        assert_eq!(turn(&node, &spoilt, &[1, 2]).await, None);
        assert_eq!(turn(&node, &good, &[1, 2]).await, Some(expected));
    }
    let counts = node.counts();
    assert_eq!((counts.sharing, counts.shared, counts.missed), (true, 4, 4));
    assert_eq!(log.lines("WARN"), 1, "{}", log.text());
    assert!(log.text().contains(&key(&spoilt)), "{}", log.text());
    // What stands in `last` by somebody else's hand is no number: the pool begins anew.
    server.command(&["HSET", &key(&good), "last", "far"]).unwrap();
    assert_eq!(turn(&node, &good, &[1, 2]).await, Some(1));
}
