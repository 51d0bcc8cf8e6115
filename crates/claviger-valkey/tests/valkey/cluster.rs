//! Clusters.

use claviger_app::coordination::Coordination;
use claviger_test_services as services;
use claviger_valkey::Valkey;

use crate::log::Log;
use crate::{HASTY, PATIENT, given_up, missed, random_pool, shared_again, turn};

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
    assert_eq!(nodes[0].counts().missed + nodes[1].counts().missed, 0);
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
