//! Valkey comes and goes: no request fails, and the order is exact whenever it is there.

use claviger_test_services::Valkey;

use crate::blocking;
use crate::database::Database;
use crate::fixture::{Nodes, Plan, Tenant, in_cyclic_order};
use crate::load::Load;
use crate::order::{one_after_another, without_a_miss};

const NODES: usize = 3;
const CALLERS: usize = 6;
/// What a node says when it goes on by itself.
const FALLBACK: &str = "turns are not shared with other nodes at the moment";

/// How often each node has said that it goes on by itself.
fn fallbacks(nodes: &mut Nodes) -> Vec<usize> {
    nodes.all.iter_mut().map(|node| node.process.stderr().matches(FALLBACK).count()).collect()
}

async fn assert_exact(nodes: &Nodes, tenant: &Tenant) {
    let sequence = without_a_miss(nodes, async || one_after_another(nodes, tenant, 30).await).await;
    assert!(in_cyclic_order(&sequence, &tenant.keys), "{sequence:?}");
}

/// Takes Valkey away and brings it back, under load and in the eyes of nodes that share their turns.
async fn outage(nodes: &mut Nodes, away: impl FnOnce(), back: impl FnOnce()) {
    // Another workspace than the load's, whose order can be seen.
    let (loaded, seen) = (nodes.tenant(3).await, nodes.tenant(3).await);
    nodes.sharing().await;
    assert_exact(nodes, &seen).await;
    let load = Load::start(&nodes.clients(&loaded.token), CALLERS);
    load.more(50).await;
    nodes.sharing().await;
    let (said, missed) = (fallbacks(nodes), nodes.missed().await);
    blocking(away);
    load.more(150).await;
    assert!(nodes.missed().await >= missed + 100);
    for (node, (before, after)) in said.into_iter().zip(fallbacks(nodes)).enumerate() {
        assert_eq!(after - before, 1, "node {node}: {}", nodes.all[node].process.stderr());
    }
    blocking(back);
    nodes.sharing().await;
    load.more(50).await;
    load.end_well().await;
    assert_exact(nodes, &seen).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_valkey_that_is_stopped_or_frozen_fails_no_request_and_is_used_again_when_it_is_back() {
    let mut valkey = blocking(Valkey::start).unwrap();
    let database = Database::new();
    let mut nodes = Plan::new(&database.url()).await.with_valkey(&valkey.url()).start(NODES);
    let valkey = std::cell::RefCell::new(&mut valkey);
    outage(&mut nodes, || valkey.borrow_mut().stop().unwrap(), || valkey.borrow_mut().start_again().unwrap()).await;
    outage(&mut nodes, || valkey.borrow_mut().freeze().unwrap(), || valkey.borrow_mut().thaw().unwrap()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_valkey_that_is_not_there_at_the_start_is_used_when_it_comes() {
    let mut valkey = blocking(Valkey::start).unwrap();
    blocking(|| valkey.stop()).unwrap();
    let database = Database::new();
    let mut nodes = Plan::new(&database.url()).await.with_valkey(&valkey.url()).start(2);
    let tenant = nodes.tenant(3).await;
    let load = Load::start(&nodes.clients(&tenant.token), CALLERS);
    load.more(50).await;
    assert!(nodes.missed().await >= 50);
    assert_eq!(fallbacks(&mut nodes), [1, 1]);
    blocking(|| valkey.start_again()).unwrap();
    nodes.sharing().await;
    load.more(20).await;
    load.end_well().await;
    assert_exact(&nodes, &tenant).await;
}
