//! Nodes as processes, and what they serve.

use std::sync::atomic::{AtomicUsize, Ordering};

use claviger_mock_provider::MockProvider;
use claviger_testkit::{Client, Deployment, Running, random_name, random_secret};
use hyper::Method;
use serde_json::{Value, json};

use crate::soon;

pub(crate) const PROVIDER: &str = "openai";
const SHARING: &str = "claviger_valkey_sharing";
const MISSED: &str = "claviger_valkey_turns_total{turn=\"missed\"}";

/// What all nodes have in common: the database, the master key, the root token, the provider.
pub(crate) struct Plan {
    pub(crate) mock: MockProvider,
    pub(crate) deployment: Deployment,
}

impl Plan {
    pub(crate) async fn new(database: &str) -> Self {
        let mock = MockProvider::start(([127, 0, 0, 1], 0).into()).await.unwrap();
        let deployment = Deployment::new()
            .with_provider(PROVIDER, &mock.base_url(PROVIDER))
            .with("CLAVIGER_DATABASE__URL", database)
            .with("CLAVIGER_VAULT__MASTER_KEY", &master_key())
            // Deleted tokens are shown over and over here, to see when they are out of use.
            .with("CLAVIGER_AUTH__BAD_TOKEN_LIMIT", "0");
        Self { mock, deployment }
    }

    /// The same with a variable of every node's environment.
    pub(crate) fn with(self, name: &str, value: &str) -> Self {
        Self { deployment: self.deployment.with(name, value), ..self }
    }

    pub(crate) fn with_valkey(self, url: &str) -> Self {
        self.with("CLAVIGER_VALKEY__URL", url)
    }

    /// Starts one node more, with settings of its own.
    pub(crate) fn node(&self, own: impl FnOnce(Deployment) -> Deployment) -> Running {
        own(self.deployment.beside()).serve()
    }

    /// Starts so many nodes.
    pub(crate) fn start(self, count: usize) -> Nodes {
        self.start_with(count, |_, deployment| deployment)
    }

    /// Starts so many nodes, each with settings of its own.
    pub(crate) fn start_with(self, count: usize, own: impl Fn(usize, Deployment) -> Deployment) -> Nodes {
        let all = (0..count).map(|number| self.node(|deployment| own(number, deployment))).collect();
        Nodes { plan: self, all, next: AtomicUsize::new(0) }
    }
}

/// Running nodes.
pub(crate) struct Nodes {
    pub(crate) plan: Plan,
    pub(crate) all: Vec<Running>,
    next: AtomicUsize,
}

/// A workspace with keys, and a token to use them with.
pub(crate) struct Tenant {
    pub(crate) id: String,
    pub(crate) token: String,
    /// The ids of its keys, in creation order.
    pub(crate) keys: Vec<String>,
}

/// How a request through the gateway ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Relayed {
    /// With this key, well.
    With(String),
    /// Status and code of what is no success.
    Not(u16, String),
}

impl Relayed {
    pub(crate) fn not(status: u16, code: &str) -> Self {
        Self::Not(status, code.to_owned())
    }

    pub(crate) fn no_key() -> Self {
        Self::not(404, "no_key")
    }

    /// The key's id.
    pub(crate) fn key(self) -> String {
        match self {
            Self::With(key) => key,
            Self::Not(status, code) => panic!("{status} {code}"),
        }
    }
}

impl Nodes {
    /// Makes a workspace of a name that no other test has, with so many keys, through the first node.
    pub(crate) async fn tenant(&self, keys: usize) -> Tenant {
        let node = &self.all[0];
        let id = format!("acme-{}", random_name());
        node.workspace(&id).await;
        let token = node.token(&id, "runtime").await;
        let mut tenant = Tenant { id, token, keys: Vec::new() };
        for _ in 0..keys {
            let key = node.key(&tenant.id, PROVIDER, &random_secret()).await;
            tenant.keys.push(key);
        }
        tenant
    }

    /// The clients of all nodes, with this token.
    pub(crate) fn clients(&self, token: &str) -> Vec<Client> {
        self.all.iter().map(|node| node.client(token)).collect()
    }

    /// Sends a request to the next node, as a load balancer does.
    pub(crate) async fn relay(&self, token: &str) -> Relayed {
        let next = self.next.fetch_add(1, Ordering::Relaxed) % self.all.len();
        relay(&self.all[next].client(token)).await
    }

    /// Waits until the first thing that comes of a request is this, on every node.
    pub(crate) async fn everywhere(&self, token: &str, expected: &Relayed) {
        for client in self.clients(token) {
            soon(&format!("{expected:?}"), async || (relay(&client).await == *expected).then_some(())).await;
        }
    }

    /// Waits until all nodes share their turns.
    pub(crate) async fn sharing(&self) {
        for node in &self.all {
            soon("sharing", async || (node.metric(SHARING).await == 1).then_some(())).await;
        }
    }

    /// How many turns all nodes together have missed.
    pub(crate) async fn missed(&self) -> u64 {
        let mut missed = 0;
        for node in &self.all {
            missed += node.metric(MISSED).await;
        }
        missed
    }

    pub(crate) async fn delete_key(&self, through: usize, tenant: &str, key: &str) {
        let path = format!("/api/workspaces/{tenant}/byok-keys");
        self.all[through].done(Method::DELETE, &path, &json!({"providerId": PROVIDER, "keyId": key})).await;
    }
}

/// A new master key: 43 letters and "=" are base64 of 32 bytes, where the last letter ends in two zeros.
pub(crate) fn master_key() -> String {
    format!("{}A=", &random_secret()[..42])
}

/// Sends a request through the gateway.
pub(crate) async fn relay(client: &Client) -> Relayed {
    let answer = client.try_send(Method::GET, "/gateway/openai/v1/models", &Value::Null).await;
    match answer {
        Ok(answer) if answer.status == 200 => Relayed::With(answer.header("x-claviger-key-id").to_owned()),
        Ok(answer) => Relayed::Not(answer.status.as_u16(), answer.code().to_owned()),
        Err(error) => Relayed::Not(0, error),
    }
}

/// Whether each is followed by the next one of the cycle, wherever the first one stands in it.
pub(crate) fn in_cyclic_order(sequence: &[String], cycle: &[String]) -> bool {
    let place = |key: &String| cycle.iter().position(|known| known == key).unwrap();
    sequence.windows(2).all(|pair| place(&pair[1]) == (place(&pair[0]) + 1) % cycle.len())
}
