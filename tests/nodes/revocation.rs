//! How soon a deleted key and a deleted token are out of use on every node.

use std::time::{Duration, Instant};

use claviger_testkit::{Client, random_secret};
use hyper::Method;
use serde_json::Value;
use tokio::task::JoinSet;

use crate::database::Database;
use crate::fixture::{Nodes, PROVIDER, Plan, Relayed, relay};
use crate::{PATIENCE, PROMISED, say};

const NODES: usize = 3;
const KEYS: usize = 200;
const TOKENS: usize = 20;
/// How many requests are sent at last to see that what is gone stays gone.
const AFTERWARDS: usize = 30;

/// From the answer to the deletion to the moment in which the first request began that did not use what was deleted, on
/// the slowest node. Asserts that no request used it that began after the time that is promised.
pub(crate) async fn out_of_use(clients: Vec<Client>, deleted: Instant, afterwards: &Relayed) -> Duration {
    let mut nodes = JoinSet::new();
    for client in clients {
        let afterwards = afterwards.clone();
        nodes.spawn(async move {
            loop {
                let begun = Instant::now();
                match relay(&client).await {
                    Relayed::With(key) => {
                        assert!(begun - deleted < PROMISED, "{key} is used {:?} after it", begun - deleted);
                    }
                    refused @ Relayed::Not(..) => {
                        assert_eq!(refused, afterwards);
                        return begun - deleted;
                    }
                }
                assert!(deleted.elapsed() < PATIENCE);
            }
        });
    }
    nodes.join_all().await.into_iter().max().unwrap()
}

fn report(what: &str, mut took: Vec<Duration>) {
    took.sort();
    let (median, worst) = (took[took.len() / 2], took[took.len() - 1]);
    say(&format!(
        "{} deleted {what}: out of use everywhere after {median:?} in the median, {worst:?} at worst",
        took.len()
    ));
}

async fn nodes(database: &Database) -> Nodes {
    Plan::new(&database.url()).await.start(NODES)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deleted_key_is_out_of_use_on_every_node_in_time() {
    let database = Database::new();
    let nodes = nodes(&database).await;
    let tenant = nodes.tenant(0).await;
    let mut used = Vec::new();
    let mut took = Vec::new();
    for round in 0..KEYS {
        let secret = random_secret();
        let key = nodes.all[round % NODES].key(&tenant.id, PROVIDER, &secret).await;
        nodes.everywhere(&tenant.token, &Relayed::With(key.clone())).await;
        nodes.delete_key(round / NODES % NODES, &tenant.id, &key).await;
        took.push(out_of_use(nodes.clients(&tenant.token), Instant::now(), &Relayed::no_key()).await);
        used.push((nodes.plan.mock.counts().of(PROVIDER, &secret), secret));
    }
    report("keys", took);
    for _ in 0..AFTERWARDS {
        assert_eq!(nodes.relay(&tenant.token).await, Relayed::no_key());
    }
    let counts = nodes.plan.mock.counts();
    for (used, secret) in used {
        assert!(used >= NODES as u64, "every node used it before");
        assert_eq!(counts.of(PROVIDER, &secret), used, "a key is used again after it was out of use");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deleted_token_is_refused_on_every_node_in_time() {
    let database = Database::new();
    let nodes = nodes(&database).await;
    let tenant = nodes.tenant(1).await;
    let refused = Relayed::not(401, "token_invalid");
    let mut took = Vec::new();
    for round in 0..TOKENS {
        let token = nodes.all[round % NODES].token(&tenant.id, "runtime").await;
        nodes.everywhere(&token, &Relayed::With(tenant.keys[0].clone())).await;
        let id = token.split('_').nth(1).unwrap();
        nodes.all[round / NODES % NODES].done(Method::DELETE, &format!("/api/tokens/{id}"), &Value::Null).await;
        took.push(out_of_use(nodes.clients(&token), Instant::now(), &refused).await);
        for _ in 0..NODES {
            assert_eq!(nodes.relay(&token).await, refused);
        }
    }
    report("tokens", took);
    nodes.everywhere(&tenant.token, &Relayed::With(tenant.keys[0].clone())).await;
}
