//! Servers that go away, stop, and come back.

use std::sync::Arc;
use std::time::{Duration, Instant};

use claviger_app::coordination::Coordination;
use claviger_test_services as services;
use claviger_valkey::{Settings, Valkey};
use tokio::runtime::Builder;

use crate::log::Log;
use crate::{HASTY, PATIENT, given_up, missed, pretender, random_pool, shared_again, turn};

#[tokio::test]
async fn a_server_that_stops_costs_no_request_its_time_and_is_found_again() {
    let (log, _guard) = Log::listen();
    let mut server = services::Valkey::start().unwrap();
    let node = Valkey::connect(&server.url(), PATIENT).await.unwrap();
    let pool = random_pool();
    assert_eq!(turn(&node, &pool, &[1, 2]).await, Some(1));
    for downs in 1..=2 {
        server.stop().unwrap();
        missed(&node).await;
        let begun = Instant::now();
        for _ in 0..100 {
            assert_eq!(turn(&node, &pool, &[1, 2]).await, None);
        }
        assert!(begun.elapsed() < Duration::from_secs(1), "{:?}", begun.elapsed());
        given_up(&node).await;
        server.start_again().unwrap();
        shared_again(&node).await;
        assert!(node.counts().sharing);
        assert_eq!((log.lines("WARN"), log.lines("INFO")), (downs, downs), "{}", log.text());
    }
    assert!(log.text().contains("Connection refused"), "{}", log.text());
}

#[tokio::test]
async fn a_server_that_is_frozen_is_soon_asked_no_more_and_found_again_when_it_thaws() {
    let (log, _guard) = Log::listen();
    let mut server = services::Valkey::start().unwrap();
    let node = Arc::new(Valkey::connect(&server.url(), HASTY).await.unwrap());
    let pool = random_pool();
    shared_again(&node).await;
    server.freeze().unwrap();
    let begun = Instant::now();
    for _ in 0..100 {
        assert_eq!(turn(&node, &pool, &[1, 2]).await, None);
    }
    // Three of them waited, and the others did not.
    assert!(begun.elapsed() < Duration::from_secs(1), "{:?}", begun.elapsed());
    given_up(&node).await;
    server.thaw().unwrap();
    shared_again(&node).await;
    assert_eq!((log.lines("WARN"), log.lines("INFO")), (1, 1), "{}", log.text());
}

#[tokio::test]
async fn many_requests_that_wait_for_one_frozen_server_are_let_go_together() {
    let mut server = services::Valkey::start().unwrap();
    let node = Arc::new(Valkey::connect(&server.url(), HASTY).await.unwrap());
    shared_again(&node).await;
    server.freeze().unwrap();
    let begun = Instant::now();
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..300 {
        let node = Arc::clone(&node);
        tasks.spawn(async move {
            let pool = random_pool();
            for _ in 0..10 {
                assert_eq!(turn(&node, &pool, &[1]).await, None);
            }
        });
    }
    tasks.join_all().await;
    assert!(begun.elapsed() < Duration::from_secs(1), "{:?}", begun.elapsed());
    server.thaw().unwrap();
    shared_again(&node).await;
}

#[tokio::test]
async fn a_late_answer_is_nobody_elses_and_one_of_them_is_no_reason_to_give_up() {
    let (log, _guard) = Log::listen();
    let server = services::Valkey::start().unwrap();
    let settings = Settings { budget: Duration::from_millis(300), ..PATIENT };
    let node = Valkey::connect(&server.url(), settings).await.unwrap();
    let (one, other) = (random_pool(), random_pool());
    shared_again(&node).await;
    for _ in 0..3 {
        server.command(&["CLIENT", "PAUSE", "400", "ALL"]).unwrap();
        assert_eq!(turn(&node, &one, &[1, 2]).await, None);
        // Answered once the pause is over, after the late answer to the one before.
        let next = turn(&node, &other, &[11, 12]).await;
        assert!(matches!(next, None | Some(11 | 12)), "{next:?}");
        shared_again(&node).await;
    }
    assert!(matches!(turn(&node, &one, &[1, 2]).await, Some(1 | 2)));
    assert!(node.counts().sharing);
    assert_eq!(log.lines("WARN"), 0, "{}", log.text());
}

#[tokio::test]
async fn a_connection_that_is_cut_is_replaced_without_a_word() {
    let (log, _guard) = Log::listen();
    let server = services::Valkey::start().unwrap();
    let node = Valkey::connect(&server.url(), PATIENT).await.unwrap();
    let pool = random_pool();
    assert_eq!(turn(&node, &pool, &[1, 2]).await, Some(1));
    server.command(&["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"]).unwrap();
    missed(&node).await;
    shared_again(&node).await;
    assert_eq!(turn(&node, &pool, &[1, 2]).await, Some(2));
    assert_eq!(log.lines("WARN"), 0, "{}", log.text());
}

#[tokio::test]
async fn a_node_starts_while_the_server_is_away() {
    let (log, _guard) = Log::listen();
    let mut server = services::Valkey::start().unwrap();
    server.stop().unwrap();
    let node = Valkey::connect(&server.url(), PATIENT).await.unwrap();
    assert!(!node.ready().await);
    assert_eq!(turn(&node, &random_pool(), &[1]).await, None);
    assert!(!node.counts().sharing);
    assert_eq!(log.lines("WARN"), 1, "{}", log.text());
    server.start_again().unwrap();
    shared_again(&node).await;
    assert_eq!(log.lines("INFO"), 1, "{}", log.text());
}

#[tokio::test]
async fn a_server_that_says_nothing_or_hangs_up_is_away() {
    for answer in [Some(""), None] {
        let (log, _guard) = Log::listen();
        let settings = Settings { patience: Duration::from_millis(300), ..HASTY };
        let node = Valkey::connect(&format!("redis://127.0.0.1:{}", pretender(answer)), settings).await.unwrap();
        let begun = Instant::now();
        for _ in 0..100 {
            assert_eq!(turn(&node, &random_pool(), &[1]).await, None);
        }
        assert!(begun.elapsed() < Duration::from_secs(1), "{:?}", begun.elapsed());
        assert_eq!((log.lines("WARN"), node.counts().missed), (1, 100), "{}", log.text());
    }
}

#[test]
fn a_connection_ends_with_its_runtime_and_another_one_is_made() {
    let server = services::Valkey::start().unwrap();
    let runtime = || Builder::new_current_thread().enable_all().build().unwrap();
    let first = runtime();
    let node = first.block_on(Valkey::connect(&server.url(), PATIENT)).unwrap();
    let pool = random_pool();
    assert_eq!(first.block_on(turn(&node, &pool, &[1, 2, 3])), Some(1));
    let second = runtime();
    assert!(second.block_on(node.ready()));
    assert_eq!(second.block_on(turn(&node, &pool, &[1, 2, 3])), Some(2));
    drop(first);
    assert_eq!(second.block_on(turn(&node, &pool, &[1, 2, 3])), Some(3));
    let third = runtime();
    assert_eq!(third.block_on(turn(&node, &pool, &[1, 2, 3])), None, "nothing waits for a connection");
    assert!(third.block_on(node.ready()));
    assert_eq!(third.block_on(turn(&node, &pool, &[1, 2, 3])), Some(1));
    assert!(node.counts().sharing);
}

#[tokio::test]
async fn after_closing_nothing_is_shared_and_nothing_is_left_open() {
    let server = services::Valkey::start().unwrap();
    let node = Valkey::connect(&server.url(), PATIENT).await.unwrap();
    shared_again(&node).await;
    let ours = || server.command(&["CLIENT", "LIST"]).unwrap().matches("name=claviger").count();
    assert_eq!(ours(), 1);
    node.close().await;
    assert_eq!(turn(&node, &random_pool(), &[1]).await, None);
    assert!(!node.ready().await);
    let closed = async {
        while ours() > 0 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(crate::NEVER, closed).await.expect("a connection is left open");
}
