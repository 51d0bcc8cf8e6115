//! Whose keys serve, seen by another node than the one that was told.

use std::time::{Duration, Instant};

use claviger_testkit::{Client, Running, random_name, random_secret};
use hyper::Method;
use serde_json::{Value, json};

use crate::database::Database;
use crate::fixture::{Nodes, PROVIDER, Plan, Relayed, relay};
use crate::{PATIENCE, PROMISED, say};

const NODES: usize = 3;

/// Makes an organization with one key, through the first node; answers its id and the key's.
async fn organization(nodes: &Nodes) -> (String, String) {
    let id = format!("group-{}", random_name());
    let node = &nodes.all[0];
    node.done(Method::PUT, &format!("/api/organizations/{id}"), &json!({})).await;
    let key = json!({"providerId": PROVIDER, "apiKey": random_secret()});
    let added = node.done(Method::POST, &format!("/api/organizations/{id}/byok-keys"), &key).await;
    (id, added["key"]["id"].as_str().unwrap().to_owned())
}

/// Makes a change through one node, and sends requests to another until they show it. Until then they show what was
/// before. Answers how long it took; asserts that it took no longer than promised.
async fn seen(
    what: &str,
    (node, path, body): (&Running, &str, &Value),
    asked: &Client,
    [before, after]: [&Relayed; 2],
) -> Duration {
    node.done(Method::PUT, path, body).await;
    let changed = Instant::now();
    loop {
        let begun = Instant::now();
        let relayed = relay(asked).await;
        if relayed == *after {
            say(&format!("{what}: seen by another node after {:?}", begun - changed));
            return begun - changed;
        }
        assert_eq!(relayed, *before, "{what}");
        assert!(begun - changed < PROMISED, "{what}: not seen for {:?}", begun - changed);
        assert!(changed.elapsed() < PATIENCE);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_workspace_that_is_moved_inherits_at_once_from_its_new_organization_on_every_node() {
    let database = Database::new();
    let nodes = Plan::new(&database.url()).await.start(NODES);
    let ((first, first_key), (second, second_key)) = (organization(&nodes).await, organization(&nodes).await);
    let tenant = nodes.tenant(0).await;
    let clients = nodes.clients(&tenant.token);
    nodes.everywhere(&tenant.token, &Relayed::no_key()).await;

    let path = format!("/api/workspaces/{}", tenant.id);
    let (lent_first, lent_second) = (Relayed::With(first_key), Relayed::With(second_key));
    let to = |organization: &str| json!({ "organizationId": organization });
    seen("joining", (&nodes.all[0], &path, &to(&first)), &clients[2], [&Relayed::no_key(), &lent_first]).await;
    nodes.everywhere(&tenant.token, &lent_first).await;
    for round in 0..10 {
        let rows = [(&second, [&lent_first, &lent_second]), (&first, [&lent_second, &lent_first])];
        let (organization, change) = rows[round % 2];
        seen("a move", (&nodes.all[1], &path, &to(organization)), &clients[2], change).await;
        nodes.everywhere(&tenant.token, change[1]).await;
    }
    let out = json!({ "organizationId": null });
    seen("leaving", (&nodes.all[1], &path, &out), &clients[2], [&lent_first, &Relayed::no_key()]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_organization_that_is_switched_off_lends_nothing_on_any_node() {
    let database = Database::new();
    let nodes = Plan::new(&database.url()).await.start(NODES);
    let (organization, key) = organization(&nodes).await;
    let tenant = nodes.tenant(0).await;
    let clients = nodes.clients(&tenant.token);
    let joined = json!({ "organizationId": organization });
    nodes.all[0].done(Method::PUT, &format!("/api/workspaces/{}", tenant.id), &joined).await;
    let lent = Relayed::With(key);
    nodes.everywhere(&tenant.token, &lent).await;

    let path = format!("/api/organizations/{organization}");
    for _ in 0..5 {
        let (off, on) = (json!({"keysEnabled": false}), json!({"keysEnabled": true}));
        seen("off", (&nodes.all[1], &path, &off), &clients[2], [&lent, &Relayed::no_key()]).await;
        nodes.everywhere(&tenant.token, &Relayed::no_key()).await;
        seen("on", (&nodes.all[1], &path, &on), &clients[2], [&Relayed::no_key(), &lent]).await;
        nodes.everywhere(&tenant.token, &lent).await;
    }

    let own = nodes.all[0].key(&tenant.id, PROVIDER, &random_secret()).await;
    nodes.everywhere(&tenant.token, &Relayed::With(own.clone())).await;
    nodes.delete_key(1, &tenant.id, &own).await;
    nodes.everywhere(&tenant.token, &lent).await;
}
