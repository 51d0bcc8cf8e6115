//! The way to the database fails: what was deleted meanwhile is out of use in time all the same.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use claviger_testkit::{Client, FlakyLink, random_secret};
use tokio::task::JoinSet;

use crate::database::{Database, at_port, port};
use crate::fixture::{Nodes, PROVIDER, Plan, Relayed, Tenant, relay};
use crate::load::Load;
use crate::revocation::out_of_use;
use crate::{PROMISED, say, soon};

const HEARING: &str = "claviger_hearing";
const NODES: usize = 3;
const CALLERS: usize = 6;
/// Askers of a node whose database does not answer: more than one, as requests wait there.
const ASKERS: usize = 4;
/// Between two requests of an asker.
const PACE: Duration = Duration::from_millis(5);

/// Nodes of which all but the first reach the database through a link of their own.
struct Linked {
    nodes: Nodes,
    links: Vec<FlakyLink>,
}

async fn linked(database: &Database, count: usize, settings: &[(&str, &str)]) -> Linked {
    let url = database.url();
    let mut links = Vec::new();
    for _ in 1..count {
        links.push(FlakyLink::start(([127, 0, 0, 1], port(&url)).into()).await);
    }
    let plan = settings.iter().fold(Plan::new(&url).await, |plan, (name, value)| plan.with(name, value));
    let nodes = plan.start_with(count, |number, deployment| match number.checked_sub(1) {
        Some(link) => deployment.with("CLAVIGER_DATABASE__URL", &at_port(&url, links[link].address().port())),
        None => deployment,
    });
    let linked = Linked { nodes, links };
    linked.hearing().await;
    linked
}

impl Linked {
    /// Waits until all nodes hear of changes.
    async fn hearing(&self) {
        for node in &self.nodes.all {
            soon("hearing", async || (node.metric(HEARING).await == 1).then_some(())).await;
        }
    }

    /// A workspace whose only key all nodes use at the moment, and its key's id.
    async fn in_use(&self) -> (Tenant, String) {
        let tenant = self.nodes.tenant(1).await;
        let key = tenant.keys[0].clone();
        self.nodes.everywhere(&tenant.token, &Relayed::With(key.clone())).await;
        (tenant, key)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_that_are_cut_fail_no_request_and_hide_no_deletion() {
    let database = Database::new();
    let linked = linked(&database, NODES, &[]).await;
    let nodes = &linked.nodes;
    let stable = nodes.tenant(3).await;
    let load = Load::start(&nodes.clients(&stable.token), CALLERS);
    load.more(50).await;
    for round in 0..5 {
        let ((during, key_during), (after, key_after)) = (linked.in_use().await, linked.in_use().await);
        for link in &linked.links {
            assert!(link.connections() >= 2, "one that hears, and one that asks");
            link.cut();
        }
        nodes.delete_key(0, &during.id, &key_during).await;
        let took = out_of_use(nodes.clients(&during.token), Instant::now(), &Relayed::no_key()).await;
        linked.hearing().await;
        nodes.delete_key(round % NODES, &after.id, &key_after).await;
        let heard = out_of_use(nodes.clients(&after.token), Instant::now(), &Relayed::no_key()).await;
        say(&format!(
            "a deletion while connections are cut is effective after {took:?}, one afterwards after {heard:?}"
        ));
    }
    load.more(50).await;
    load.end_well().await;
}

/// What the requests to one node were answered, as they ended.
struct Asked {
    stop: Arc<AtomicBool>,
    askers: JoinSet<Vec<(Instant, Relayed)>>,
}

impl Asked {
    fn start(client: &Client) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let mut askers = JoinSet::new();
        for _ in 0..ASKERS {
            let (client, stop) = (client.clone(), Arc::clone(&stop));
            askers.spawn(async move {
                let mut asked = Vec::new();
                while !stop.load(Ordering::SeqCst) {
                    let begun = Instant::now();
                    asked.push((begun, relay(&client).await));
                    tokio::time::sleep(PACE).await;
                }
                asked
            });
        }
        Self { stop, askers }
    }

    /// Asserts that no request used the key that began after the time that is promised, and that each was answered
    /// truly or told that the database cannot be asked.
    async fn end_well(self, deleted: Instant, key: &str) {
        self.stop.store(true, Ordering::SeqCst);
        let asked: Vec<_> = self.askers.join_all().await.into_iter().flatten().collect();
        let away = Relayed::not(503, "store_unavailable");
        let used = asked.iter().filter(|(_, relayed)| *relayed == Relayed::With(key.to_owned()));
        let last = used.map(|(begun, _)| begun.saturating_duration_since(deleted)).max().unwrap();
        let refused = asked.iter().filter(|(_, relayed)| *relayed == away).count();
        say(&format!("{} requests: the key's last use {last:?} after its deletion, {refused} times 503", asked.len()));
        assert!(last < PROMISED, "the key is used {last:?} after its deletion");
        for (begun, relayed) in &asked {
            let late = begun.saturating_duration_since(deleted) >= PROMISED;
            let true_answer = *relayed == Relayed::no_key() || *relayed == away;
            let of_before = *relayed == Relayed::With(key.to_owned()) && !late;
            assert!(true_answer || of_before, "{relayed:?}, {:?} after the deletion", *begun - deleted);
        }
    }
}

/// Lets a node's way to the database hang in some way while a key is deleted through another node; then mends it.
async fn a_key_deleted_while(hangs: impl FnOnce(&FlakyLink), comes: &Relayed, mend: impl FnOnce(&FlakyLink)) {
    let database = Database::new();
    let linked = linked(&database, 2, &[]).await;
    let nodes = &linked.nodes;
    let ((tenant, key), (other, other_key)) = (linked.in_use().await, linked.in_use().await);
    let client = nodes.all[1].client(&tenant.token);
    let asked = Asked::start(&client);
    hangs(&linked.links[0]);
    nodes.delete_key(0, &tenant.id, &key).await;
    let deleted = Instant::now();
    soon("the end of its use", async || (relay(&client).await == *comes).then_some(())).await;
    mend(&linked.links[0]);
    soon("the truth", async || (relay(&client).await == Relayed::no_key()).then_some(())).await;
    asked.end_well(deleted, &key).await;

    linked.hearing().await;
    nodes.everywhere(&other.token, &Relayed::With(other_key.clone())).await;
    let new = nodes.all[1].key(&tenant.id, PROVIDER, &random_secret()).await;
    nodes.everywhere(&tenant.token, &Relayed::With(new)).await;
    nodes.delete_key(0, &other.id, &other_key).await;
    out_of_use(nodes.clients(&other.token), Instant::now(), &Relayed::no_key()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_whose_connections_hang_uses_no_deleted_key_and_finds_new_connections() {
    // Nothing is mended: connections that are made anew are good.
    a_key_deleted_while(FlakyLink::freeze_open, &Relayed::no_key(), |_| {}).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_cannot_reach_the_database_refuses_until_the_network_is_back() {
    a_key_deleted_while(FlakyLink::freeze, &Relayed::not(503, "store_unavailable"), FlakyLink::thaw).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_whose_frozen_connections_are_lost_at_last_works_again() {
    let mend = |link: &FlakyLink| {
        link.cut();
        link.thaw();
    };
    a_key_deleted_while(FlakyLink::freeze, &Relayed::not(503, "store_unavailable"), mend).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_with_a_grace_goes_on_while_it_cannot_reach_the_database() {
    let database = Database::new();
    let linked = linked(&database, 2, &[("CLAVIGER_CACHE__STALE_GRACE", "60s")]).await;
    let (nodes, link) = (&linked.nodes, &linked.links[0]);
    let (tenant, _) = linked.in_use().await;
    let load = Load::start(&[nodes.all[1].client(&tenant.token)], CALLERS);
    link.freeze();
    soon("deafness", async || (nodes.all[1].metric(HEARING).await == 0).then_some(())).await;
    load.more(200).await;
    assert_eq!(nodes.all[1].metric(HEARING).await, 0);
    link.thaw();
    linked.hearing().await;
    load.more(20).await;
    load.end_well().await;
}
