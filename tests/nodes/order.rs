//! Rotation over several nodes: exact with Valkey, fair without.

use std::collections::BTreeMap;
use std::time::Duration;

use claviger_test_services::shared_valkey;
use claviger_testkit::Client;
use tokio::task::JoinSet;

use crate::database::Database;
use crate::fixture::{Nodes, Plan, Tenant, in_cyclic_order, relay};

const NODES: usize = 3;
const CALLERS: usize = 64;
/// Between two requests of each of them, which all send at the same moment: a processor that has no moment's rest is late
/// with everything.
const BEAT: Duration = Duration::from_millis(150);
/// On a machine that is busy with other tests, an answer of Valkey's can come too late now and then.
const ATTEMPTS: usize = 20;

/// Requests over all nodes, one after another; the keys that they used.
pub(crate) async fn one_after_another(nodes: &Nodes, tenant: &Tenant, requests: usize) -> Vec<String> {
    let mut sequence = Vec::new();
    for _ in 0..requests {
        sequence.push(nodes.relay(&tenant.token).await.key());
    }
    sequence
}

/// Requests of many callers at once, over all nodes; how often each key was used.
async fn at_once(nodes: &Nodes, tenant: &Tenant, each: usize) -> BTreeMap<String, usize> {
    let clients = nodes.clients(&tenant.token);
    let mut callers = JoinSet::new();
    for caller in 0..CALLERS {
        let clients = clients.clone();
        callers.spawn(async move {
            let mut used = Vec::new();
            let mut beat = tokio::time::interval(BEAT);
            for request in 0..each {
                beat.tick().await;
                let client: &Client = &clients[(caller + request) % clients.len()];
                used.push(relay(client).await.key());
            }
            used
        });
    }
    let mut counts: BTreeMap<_, _> = tenant.keys.iter().map(|key| (key.clone(), 0)).collect();
    for key in callers.join_all().await.into_iter().flatten() {
        *counts.get_mut(&key).unwrap() += 1;
    }
    counts
}

/// Does something until it was done without that any turn was missed. Where all turns were had, order must be exact; a
/// turn that was missed, because the answer came later than a request waits for it, is allowed to disturb it.
pub(crate) async fn without_a_miss<T>(nodes: &Nodes, mut pass: impl AsyncFnMut() -> T) -> T {
    for _ in 0..ATTEMPTS {
        let before = nodes.missed().await;
        let done = pass().await;
        let missed = nodes.missed().await - before;
        if missed == 0 {
            return done;
        }
        println!("{missed} turns were missed");
        nodes.sharing().await;
    }
    panic!("turns were missed in each of {ATTEMPTS} passes");
}

async fn sharing_nodes(database: &Database) -> Nodes {
    let nodes = Plan::new(&database.url()).await.with_valkey(&shared_valkey().unwrap()).start(NODES);
    nodes.sharing().await;
    nodes
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_one_after_another_follow_creation_order_over_all_nodes_with_valkey() {
    let database = Database::new();
    let nodes = sharing_nodes(&database).await;
    for keys in [3, 10] {
        let tenant = nodes.tenant(keys).await;
        let sequence = without_a_miss(&nodes, async || one_after_another(&nodes, &tenant, 20 * keys).await).await;
        assert!(in_cyclic_order(&sequence, &tenant.keys), "{sequence:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_callers_at_once_use_each_key_exactly_as_often_over_all_nodes_with_valkey() {
    let database = Database::new();
    let nodes = sharing_nodes(&database).await;
    for keys in [3, 10] {
        let tenant = nodes.tenant(keys).await;
        let each = 5 * keys;
        let counts = without_a_miss(&nodes, async || at_once(&nodes, &tenant, each).await).await;
        let exact = CALLERS * each / keys;
        assert!(counts.values().all(|count| *count == exact), "not {exact} each: {counts:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_node_rotates_exactly_by_itself_without_valkey() {
    let database = Database::new();
    let nodes = Plan::new(&database.url()).await.start(NODES);
    for keys in [3, 10] {
        let tenant = nodes.tenant(keys).await;
        // Not a multiple of anything, so that all nodes end in the middle of a round.
        let requests = NODES * (7 * keys + 1);
        let sequence = one_after_another(&nodes, &tenant, requests).await;
        for node in 0..NODES {
            let own: Vec<_> = sequence.iter().skip(node).step_by(NODES).cloned().collect();
            assert!(in_cyclic_order(&own, &tenant.keys), "node {node}: {own:?}");
        }
        let counts = tenant.keys.iter().map(|key| sequence.iter().filter(|used| *used == key).count());
        assert_even(&counts.collect::<Vec<_>>());

        let counts = at_once(&nodes, &tenant, keys + 1).await;
        assert_even(&counts.into_values().collect::<Vec<_>>());
    }
}

/// Each node may be one turn further with some keys than with others.
fn assert_even(counts: &[usize]) {
    let (least, most) = (counts.iter().min().unwrap(), counts.iter().max().unwrap());
    assert!(most - least <= NODES, "{counts:?}");
}
