//! A server with a workspace whose keys are in every state.

use std::process::Command;
use std::time::{Duration, Instant};

use claviger_mock_provider::{Behaviour, MockProvider};
use claviger_testkit::{Client, Deployment, Running, random_secret};
use hyper::Method;
use serde_json::{Value, json};

pub(crate) const WORKSPACE: &str = "northwind";
const PROVIDERS: [&str; 6] = ["openai", "anthropic", "google", "mistral", "exa", "cohere"];
/// How soon a key must be in the state that it was brought to.
const SOON: Duration = Duration::from_secs(20);
const BETWEEN_LOOKS: Duration = Duration::from_millis(50);

pub(crate) struct Demo {
    server: Running,
    deployment: Deployment,
    mock: MockProvider,
    /// The product that uses the keys.
    product: Client,
}

impl Demo {
    pub(crate) async fn start() -> Self {
        let mock = MockProvider::start(([127, 0, 0, 1], 0).into()).await.expect("a mock provider");
        let new = Deployment::new();
        let new = PROVIDERS.into_iter().fold(new, |new, id| new.with_provider(id, &mock.base_url(id)));
        let server = new.serve();
        let workspace = json!({"name": "Northwind Traders"});
        server.done(Method::PUT, &format!("/api/workspaces/{WORKSPACE}"), &workspace).await;
        let product = json!({"name": "Product", "role": "runtime", "workspaceId": WORKSPACE, "reveal": true});
        let made = server.done(Method::POST, "/api/tokens", &product).await;
        let product = server.client(made["token"].as_str().expect("a token"));
        let demo = Self { server, deployment: new, mock, product };
        demo.fill().await;
        demo
    }

    async fn fill(&self) {
        let organization = json!({"name": "Northwind Group"});
        self.server.done(Method::PUT, "/api/organizations/northwind-group", &organization).await;
        let workspace = json!({"organizationId": "northwind-group"});
        self.server.done(Method::PUT, &format!("/api/workspaces/{WORKSPACE}"), &workspace).await;
        self.lend("mistral").await;
        self.lend("cohere").await;
        let (well, _) = self.add("openai", "Production").await;
        self.add("openai", "Research team").await;
        let (resting, _) = self.add("openai", "Batch jobs").await;
        let (empty, _) = self.add("openai", "Old account").await;
        let (refused, secret) = self.add("openai", "Marketing").await;
        let (off, _) = self.add("openai", "Backup account").await;
        self.add("openai", "").await;
        self.use_all().await;
        self.outcome(&well, json!({"status": 200})).await;
        self.outcome(&resting, json!({"status": 429, "retryAfter": "840"})).await;
        let no_credit = json!({"error": {"code": "insufficient_quota", "message": "You exceeded your current quota."}});
        self.outcome(&empty, json!({"status": 429, "body": no_credit})).await;
        let invalid = json!({"error": {"code": "invalid_api_key", "message": "Incorrect API key provided."}});
        let refusal = Behaviour::status(401).with_body(invalid.clone());
        self.mock.set_behaviour("openai", &secret, refusal).expect("a behaviour");
        self.outcome(&refused, json!({"status": 401, "body": invalid})).await;
        self.come_to(&refused, "rejected").await;
        let path = format!("/api/workspaces/{WORKSPACE}/byok-keys/{off}");
        self.server.done(Method::PATCH, &path, &json!({"enabled": false})).await;
        self.add("anthropic", "Production").await;
        self.add("anthropic", "Evaluation").await;
        for number in 1..=10 {
            self.add("exa", &format!("Crawler {number}")).await;
        }
        self.fill_a_day();
    }

    /// Adds a key; answers its id and its secret.
    async fn add(&self, provider: &str, name: &str) -> (String, String) {
        self.add_to(&format!("/api/workspaces/{WORKSPACE}/byok-keys"), provider, name).await
    }

    async fn lend(&self, provider: &str) {
        self.add_to("/api/organizations/northwind-group/byok-keys", provider, "Group").await;
    }

    async fn add_to(&self, path: &str, provider: &str, name: &str) -> (String, String) {
        let secret = format!("sk-proj-{}", random_secret());
        let put = json!({"providerId": provider, "apiKey": secret, "name": name});
        let added = self.server.done(Method::POST, path, &put).await;
        (added["key"]["id"].as_str().expect("an id").to_owned(), secret)
    }

    /// Sends some requests, so that every key was used by now.
    async fn use_all(&self) {
        let ask = json!({"model": "gpt-5", "messages": [{"role": "user", "content": "Hello"}]});
        for _ in 0..28 {
            self.product.send(Method::POST, "/gateway/openai/v1/chat/completions", &ask).await;
        }
    }

    /// A day's use of every key but one that is new: more by day than by night. Told to the database, since nobody waits
    /// a day for a picture.
    fn fill_a_day(&self) {
        let script = "\
import math, sqlite3, sys, time
db = sqlite3.connect(sys.argv[1], timeout=10)
hour = int(time.time()) // 3600
keys = db.execute('SELECT owner_kind, owner_id, key_id, name FROM provider_key ORDER BY key_id').fetchall()
for number, (kind, owner, key, name) in enumerate(keys):
    for back in range(1, 24):
        day = math.sin(math.pi * ((24 - back) % 24) / 24) ** 2
        all = int((40 + 25 * (number % 3)) * day * (1 + (number * 7 + back * 5) % 9 / 9)) if name else 0
        limited = all // 3 if name == 'Batch jobs' and back < 6 else 0
        refused = all // 2 if name in ('Marketing', 'Old account') and back < 4 else 0
        db.execute('INSERT OR REPLACE INTO key_usage VALUES (?, ?, ?, ?, ?, ?, ?, ?, 0, 0)', (kind, owner, key,
                   (hour - back) * 3600000, all, all - limited - refused, limited, refused))
db.commit()";
        let database = self.deployment.data_dir().join("claviger.db");
        let done = Command::new("python3").args(["-c", script]).arg(database).output().expect("python3 runs");
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    }

    /// Tells how a key fared, as a product does that sends requests by itself.
    async fn outcome(&self, key: &str, outcome: Value) {
        let path = format!("/api/workspaces/{WORKSPACE}/byok-keys/{key}/outcome");
        let told = self.product.send(Method::POST, &path, &outcome).await;
        assert_eq!(told.status, 200, "{}", told.json);
    }

    async fn come_to(&self, key: &str, status: &str) {
        let begun = Instant::now();
        while !self.server.keys(WORKSPACE).await.iter().any(|one| one["id"] == key && one["status"] == status) {
            assert!(begun.elapsed() < SOON, "the key does not become {status}");
            tokio::time::sleep(BETWEEN_LOOKS).await;
        }
    }

    /// The id of a key, by its provider and its label.
    pub(crate) async fn key(&self, provider: &str, name: &str) -> String {
        let keys = self.server.keys(WORKSPACE).await;
        let found = keys.iter().find(|key| key["providerId"] == provider && key["name"] == name);
        let key = found.expect("a key of this name");
        key["id"].as_str().expect("an id").to_owned()
    }

    /// A link to the portal.
    pub(crate) async fn link(&self, grant: &Value) -> String {
        let path = format!("/api/workspaces/{WORKSPACE}/portal-links");
        let made = self.server.done(Method::POST, &path, grant).await;
        made["url"].as_str().expect("an address").to_owned()
    }

    pub(crate) fn root_token(&self) -> &str {
        self.deployment.root_token()
    }

    pub(crate) fn address(&self, path: &str) -> String {
        format!("{}{path}", self.server.process.url())
    }

    /// A key that the provider refuses.
    pub(crate) fn refused_secret(&self, provider: &str) -> String {
        let secret = format!("sk-proj-{}", random_secret());
        self.mock.set_behaviour(provider, &secret, Behaviour::status(401)).expect("a behaviour");
        secret
    }
}
