//! Nodes that start at the same moment, on a database that nobody has used.

use claviger_testkit::{Client, Process, random_secret};
use hyper::Method;
use serde_json::{Value, json};

use crate::blocking;
use crate::database::Database;
use crate::fixture::{Plan, Relayed, relay};

const NODES: usize = 4;
const ROUNDS: usize = 3;

/// Starts so many nodes at the same moment.
fn at_once(plan: &Plan) -> Vec<Process> {
    let deployments: Vec<_> = (0..NODES).map(|_| plan.deployment.beside()).collect();
    std::thread::scope(|scope| {
        let starts: Vec<_> = deployments
            .iter()
            .map(|deployment| scope.spawn(|| Process::start(deployment.command(&["serve"])).unwrap()))
            .collect();
        starts.into_iter().map(|start| start.join().unwrap()).collect()
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nodes_that_start_at_once_on_an_empty_database_come_up_and_agree() {
    for _ in 0..ROUNDS {
        let database = Database::new();
        let mut plan = Plan::new(&database.url()).await;
        plan.deployment = plan.deployment.without("CLAVIGER_AUTH__ROOT_TOKEN");
        let nodes = blocking(|| at_once(&plan));
        let shown: Vec<_> = nodes
            .iter()
            .flat_map(|node| &node.said)
            .filter_map(|line| line.strip_prefix("root token, shown this once: "))
            .collect();
        let [root] = shown.as_slice() else { panic!("{} root tokens are shown", shown.len()) };
        assert_eq!(database.execute("SELECT count(*) FROM installation WHERE canary IS NOT NULL;"), "1\n");

        let ask = async |node: &Process, method: Method, path: &str, body: Value| {
            let answer = Client::new(node.url(), root).send(method, path, &body).await;
            assert_eq!(answer.status, 200, "{path}: {}", answer.json);
            answer.json
        };
        let key = json!({"providerId": "openai", "apiKey": random_secret()});
        let token = json!({"name": "test", "role": "runtime", "workspaceId": "acme"});
        ask(&nodes[0], Method::PUT, "/api/workspaces/acme", json!({})).await;
        let added = ask(&nodes[1], Method::POST, "/api/workspaces/acme/byok-keys", key).await;
        let made = ask(&nodes[2], Method::POST, "/api/tokens", token).await;
        for node in &nodes {
            let client = Client::new(node.url(), made["token"].as_str().unwrap());
            let key = added["key"]["id"].as_str().unwrap().to_owned();
            assert_eq!(relay(&client).await, Relayed::With(key));
        }
    }
}
