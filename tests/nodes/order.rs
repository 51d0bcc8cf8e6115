//! Rotation over several nodes: exact with Valkey, fair without.

use std::collections::BTreeMap;
use std::time::Duration;

use claviger_test_services::shared_valkey;
use claviger_testkit::Client;
use tokio::task::JoinSet;

use crate::database::Database;
use crate::fixture::{Nodes, Plan, Tenant, in_cyclic_order, relay};
use crate::say;

const NODES: usize = 3;
const CALLERS: usize = 64;
/// Between two requests of each of them, which all send at the same moment: a processor that has no moment's rest is late
/// with everything.
const BEAT: Duration = Duration::from_millis(50);
/// On a machine that is busy with other tests, an answer of Valkey's can come too late now and then.
const ATTEMPTS: usize = 12;
/// Of so many turns one may be missed in a pass that is to show something, where there is none without a miss.
const TURNS_A_MISS: u64 = 20;

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
        say(&format!("{missed} turns were missed"));
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
        let mut passes = Vec::new();
        while passes.last() != Some(&0) && passes.len() < ATTEMPTS {
            passes.push(exactly_as_often(&nodes, &tenant).await);
        }
        let fewest = *passes.iter().min().unwrap();
        say(&format!("{keys} keys, {} turns a pass, of which were missed: {passes:?}", turns(&tenant)));
        assert!(fewest * TURNS_A_MISS <= turns(&tenant), "so many turns are missed that nothing is shown: {passes:?}");
    }
}

/// How many requests each caller sends in a pass: so many that each key can have the same number of turns.
fn each(tenant: &Tenant) -> usize {
    tenant.keys.len() * 10_usize.div_ceil(tenant.keys.len())
}

fn turns(tenant: &Tenant) -> u64 {
    (CALLERS * each(tenant)) as u64
}

/// Lets many callers send at once, and asserts that each key was used equally often, but for the turns that were
/// missed: each of them can have taken one use away from one key and given one to another. Answers how many were missed.
async fn exactly_as_often(nodes: &Nodes, tenant: &Tenant) -> u64 {
    nodes.sharing().await;
    let before = nodes.missed().await;
    let counts = at_once(nodes, tenant, each(tenant)).await;
    let missed = nodes.missed().await - before;
    let exact = turns(tenant) / tenant.keys.len() as u64;
    let even = counts.values().all(|count| (*count as u64).abs_diff(exact) <= missed);
    assert!(even, "not {exact} each, though only {missed} turns were missed: {counts:?}");
    missed
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
