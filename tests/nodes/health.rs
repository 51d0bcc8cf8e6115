//! Keys' health over several nodes: what one learns, all respect.

use std::time::Instant;

use claviger_mock_provider::Behaviour;
use claviger_test_services::shared_valkey;
use claviger_testkit::{random_name, random_secret};
use hyper::Method;
use serde_json::{Value, json};

use crate::database::Database;
use crate::fixture::{Nodes, PROVIDER, Plan, Relayed, relay};
use crate::order::without_a_miss;
use crate::{say, soon};

const NODES: usize = 3;

/// A workspace with its token, and its keys' ids and secrets.
struct Sick {
    id: String,
    token: String,
    keys: Vec<(String, String)>,
}

async fn tenant(nodes: &Nodes, keys: usize) -> Sick {
    let node = &nodes.all[0];
    let id = format!("sick-{}", random_name());
    node.workspace(&id).await;
    let token = node.token(&id, "runtime").await;
    let mut tenant = Sick { id, token, keys: Vec::new() };
    for _ in 0..keys {
        let secret = random_secret();
        let key = node.key(&tenant.id, PROVIDER, &secret).await;
        tenant.keys.push((key, secret));
    }
    // Every node has the pool in memory before anything happens to it.
    for client in nodes.clients(&tenant.token) {
        soon("an answer", async || matches!(relay(&client).await, Relayed::With(_)).then_some(())).await;
    }
    tenant
}

impl Sick {
    /// How often its first key was used.
    fn uses(&self, nodes: &Nodes) -> u64 {
        nodes.plan.mock.counts().of(PROVIDER, &self.keys[0].1)
    }

    fn falls_sick(&self, nodes: &Nodes, behaviour: Behaviour) {
        nodes.plan.mock.set_behaviour(PROVIDER, &self.keys[0].1, behaviour).unwrap();
    }

    /// What a node says of its first key.
    async fn status(&self, nodes: &Nodes, node: usize) -> Value {
        let path = format!("/api/workspaces/{}/byok-keys", self.id);
        let listed = nodes.all[node].done(Method::GET, &path, &Value::Null).await;
        listed["keys"][0].clone()
    }

    /// Sends requests to a node until one was refused with the first key, and another key answered.
    async fn until_refused(&self, nodes: &Nodes, node: usize) {
        let (client, before) = (nodes.all[node].client(&self.token), self.uses(nodes));
        while self.uses(nodes) == before {
            assert!(matches!(relay(&client).await, Relayed::With(_)));
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rest_that_one_node_learns_is_respected_by_all_at_once_with_valkey() {
    let database = Database::new();
    let nodes = Plan::new(&database.url()).await.with_valkey(&shared_valkey().unwrap()).start(NODES);
    nodes.sharing().await;
    let used = without_a_miss(&nodes, async || {
        let tenant = tenant(&nodes, 3).await;
        tenant.falls_sick(&nodes, Behaviour::status(429).with_header("retry-after", "60"));
        tenant.until_refused(&nodes, 0).await;
        let (learned, before) = (Instant::now(), tenant.uses(&nodes));
        for client in nodes.clients(&tenant.token).iter().cycle().take(60) {
            let relayed = relay(client).await;
            assert!(matches!(relayed, Relayed::With(_)), "{relayed:?}");
        }
        say(&format!("60 requests in the {:?} after a node learned of a limit", learned.elapsed()));
        tenant.uses(&nodes) - before
    })
    .await;
    assert_eq!(used, 0, "requests of the limited key after its limit was known");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_that_one_node_finds_rejected_rests_on_all_and_is_back_on_all_when_a_test_finds_it_healed() {
    let database = Database::new();
    let nodes = Plan::new(&database.url()).await.start(NODES);
    let tenant = tenant(&nodes, 2).await;
    tenant.falls_sick(&nodes, Behaviour::status(401));
    // One refusal is only a suspicion; a probe or a second request confirms it.
    tenant.until_refused(&nodes, 0).await;
    for node in 0..NODES {
        let rejected = async || (tenant.status(&nodes, node).await["status"] == "rejected").then_some(());
        soon("rejected", rejected).await;
    }
    let before = tenant.uses(&nodes);
    for client in nodes.clients(&tenant.token).iter().cycle().take(30) {
        assert!(matches!(relay(client).await, Relayed::With(_)));
    }
    assert_eq!(tenant.uses(&nodes), before, "a rejected key is used");

    nodes.plan.mock.clear_behaviours();
    let path = format!("/api/workspaces/{}/byok-keys/{}/test", tenant.id, tenant.keys[0].0);
    let tested = nodes.all[1].done(Method::POST, &path, &json!(null)).await;
    assert_eq!(tested["result"], "valid", "{tested}");
    nodes.everywhere(&tenant.token, &Relayed::With(tenant.keys[0].0.clone())).await;
    for node in 0..NODES {
        assert_eq!(tenant.status(&nodes, node).await["status"], "active");
    }
}
