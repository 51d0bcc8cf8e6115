//! Clusters.

use std::time::Duration;

use claviger_app::coordination::Coordination;
use claviger_core::pool::Position;
use claviger_test_services as services;
use claviger_valkey::Valkey;

use crate::log::Log;
use crate::{HASTY, PATIENT, given_up, missed, positions, random_pool, shared_again, turn};

fn url(cluster: &services::Valkey) -> String {
    // The first of the nodes may be away.
    format!("redis://127.0.0.1:1?cluster=true&node=127.0.0.1:{}", cluster.port())
}

#[tokio::test]
async fn nodes_share_turns_over_a_cluster() {
    let cluster = services::Valkey::start_cluster().unwrap();
    let nodes = [
        Valkey::connect(&url(&cluster), PATIENT).await.unwrap(),
        Valkey::connect(&format!("{}?cluster=true", cluster.url()), PATIENT).await.unwrap(),
    ];
    for _ in 0..20 {
        let pool = random_pool();
        for (turns, expected) in [1, 2, 3, 1, 2].into_iter().enumerate() {
            assert_eq!(turn(&nodes[turns % 2], &pool, &[1, 2, 3]).await, Some(expected));
        }
    }
    cluster.command(&["SCRIPT", "FLUSH"]).unwrap();
    assert_eq!(turn(&nodes[0], &random_pool(), &[1, 2]).await, Some(1));
    for _ in 0..20 {
        let pool = random_pool();
        nodes[0].rest(&pool, Position(1), None, Duration::from_hours(1));
        nodes[0].rest(&pool, Position(2), Some("m"), Duration::ZERO);
        nodes[0].told().await;
        for (model, position, trial) in [(Some("m"), 2, true), (Some("m"), 3, false), (None, 2, false)] {
            let turn = nodes[1].turn(&pool, &positions(&[1, 2, 3]), model).await.unwrap();
            assert_eq!((turn.position, turn.trial), (Some(Position(position)), trial));
        }
        nodes[1].healed(&pool, Position(1), None);
        nodes[1].told().await;
        assert_eq!(turn(&nodes[0], &pool, &[1]).await, Some(1));
    }
    let (one, other) = (nodes[0].counts(), nodes[1].counts());
    assert_eq!((one.missed + other.missed, one.lost + other.lost), (0, 0));
}

#[tokio::test]
async fn a_cluster_that_goes_away_is_found_again() {
    let (log, _guard) = Log::listen();
    let mut cluster = services::Valkey::start_cluster().unwrap();
    let node = Valkey::connect(&url(&cluster), HASTY).await.unwrap();
    shared_again(&node).await;
    cluster.stop().unwrap();
    missed(&node).await;
    given_up(&node).await;
    cluster.start_again().unwrap();
    shared_again(&node).await;
    cluster.freeze().unwrap();
    missed(&node).await;
    given_up(&node).await;
    cluster.thaw().unwrap();
    shared_again(&node).await;
    assert_eq!((log.lines("WARN"), log.lines("INFO")), (2, 2), "{}", log.text());
}
