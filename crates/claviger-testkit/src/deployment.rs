//! A deployment as an operator has it: settings, a folder with data, servers and commands on it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::Arc;

use hyper::Method;
use serde_json::{Value, json};

use crate::place::Place;
use crate::{Client, Process, assert_no_secret, random_secret};

/// The log is loud unless a test says otherwise.
const LOG_LEVEL: &str = "CLAVIGER_LOG__LEVEL";

/// Settings and a data folder, which goes with this value, its clones and the servers that they started. When it goes,
/// everything in it, the logs of its servers and what its commands printed are looked through for the secrets that tests
/// made and for the tokens that were shown; one that is found fails the test.
#[derive(Clone, Debug)]
pub struct Deployment {
    place: Arc<Place>,
    root_token: String,
    environment: BTreeMap<String, String>,
}

/// What a command did.
#[derive(Debug)]
pub struct Ran {
    /// Its exit code.
    pub code: Option<i32>,
    /// What it wrote to stdout.
    pub stdout: String,
    /// What it wrote to stderr.
    pub stderr: String,
}

impl From<Output> for Ran {
    fn from(output: Output) -> Self {
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("text");
        Self { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
    }
}

impl Deployment {
    /// A new one: a free port, a given root token, and a data folder that the first start is to make.
    #[must_use]
    pub fn new() -> Self {
        let place = Arc::new(Place::new());
        let root_token = random_secret();
        let data_dir = place.path().join("data");
        let new = Self { place, root_token: root_token.clone(), environment: BTreeMap::new() };
        new.with("CLAVIGER_DATA_DIR", data_dir.to_str().expect("text"))
            .with("CLAVIGER_SERVER__LISTEN", "127.0.0.1:0")
            .with("CLAVIGER_AUTH__ROOT_TOKEN", &root_token)
    }

    /// Another node's: the same settings, and a folder of its own.
    #[must_use]
    pub fn beside(&self) -> Self {
        let place = Arc::new(Place::new());
        let data_dir = place.path().join("data");
        let new = Self { place, root_token: self.root_token.clone(), environment: self.environment.clone() };
        new.with("CLAVIGER_DATA_DIR", data_dir.to_str().expect("text"))
    }

    /// The same with a variable of the environment.
    #[must_use]
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.environment.insert(name.to_owned(), value.to_owned());
        self
    }

    /// The same without a variable of the environment.
    #[must_use]
    pub fn without(mut self, name: &str) -> Self {
        self.environment.remove(name);
        self
    }

    /// The same with a provider at another address.
    #[must_use]
    pub fn with_provider(self, provider: &str, base_url: &str) -> Self {
        let name = provider.to_ascii_uppercase().replace('-', "_");
        self.with(&format!("CLAVIGER_PROVIDERS__{name}__BASE_URL"), base_url)
    }

    /// The folder that commands run in; the data folder is in it.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.place.path()
    }

    /// The data folder.
    #[must_use]
    pub fn data_dir(&self) -> PathBuf {
        self.place.path().join("data")
    }

    /// The root token that is given from outside.
    #[must_use]
    pub fn root_token(&self) -> &str {
        &self.root_token
    }

    /// A command of `claviger`, with these settings.
    #[must_use]
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Process::command("claviger");
        command.args(arguments).envs(&self.environment).current_dir(self.folder());
        command
    }

    /// A server that cannot make any file larger than so many blocks of 512 bytes: to it, a full disk.
    #[must_use]
    pub fn limited_server(&self, blocks: u32) -> Command {
        let mut shell = Command::new("/bin/sh");
        // The signal would end the process; where it is ignored, writing fails instead.
        shell.args(["-c", r#"trap "" XFSZ; ulimit -f "$0"; exec "$@""#, &blocks.to_string()]);
        let server = self.command(&["serve"]);
        shell.arg(server.get_program()).args(server.get_args());
        shell.env_clear().envs(&self.environment).current_dir(self.folder());
        shell.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        shell
    }

    /// Runs a command to its end.
    #[must_use]
    pub fn run(&self, arguments: &[&str]) -> Ran {
        let ran: Ran = self.command(arguments).output().expect("the binary starts").into();
        self.look_through(&ran);
        ran
    }

    /// Has what a command printed looked through for secrets; what it shows on purpose is one from then on.
    pub fn look_through(&self, ran: &Ran) {
        assert_no_secret("a command's output", ran.stdout.as_bytes());
        self.place.shown.note(&ran.stdout);
        self.place.note("a command's complaints", ran.stderr.clone().into_bytes());
    }

    /// Starts a server.
    #[must_use]
    pub fn serve(&self) -> Running {
        self.start(self.command(&["serve"]))
    }

    /// Starts a server with this command.
    #[must_use]
    pub fn start(&self, mut command: Command) -> Running {
        if !command.get_envs().any(|(name, _)| name == LOG_LEVEL) {
            command.env(LOG_LEVEL, "trace");
        }
        let mut process = Process::start(command).unwrap_or_else(|(status, stderr)| {
            self.place.note("the last words", stderr.clone().into_bytes());
            panic!("{status}: {stderr}")
        });
        process.belongs_to(&self.place, &self.root_token);
        let root = Client::new(process.url(), &self.root_token).noting(&self.place.shown);
        Running { process, root }
    }
}

impl Default for Deployment {
    fn default() -> Self {
        Self::new()
    }
}

/// A running server, with a client that may do everything.
#[derive(Debug)]
pub struct Running {
    /// The process.
    pub process: Process,
    /// Shows the root token.
    pub root: Client,
}

impl Running {
    /// Makes a workspace.
    pub async fn workspace(&self, id: &str) {
        self.done(Method::PUT, &format!("/api/workspaces/{id}"), &json!({})).await;
    }

    /// Adds a key; answers its id.
    pub async fn key(&self, workspace: &str, provider: &str, secret: &str) -> String {
        let path = format!("/api/workspaces/{workspace}/byok-keys");
        let added = self.done(Method::POST, &path, &json!({"providerId": provider, "apiKey": secret})).await;
        added["key"]["id"].as_str().expect("an id").to_owned()
    }

    /// A workspace's keys, as they are listed.
    pub async fn keys(&self, workspace: &str) -> Vec<Value> {
        let listed = self.done(Method::GET, &format!("/api/workspaces/{workspace}/byok-keys"), &Value::Null).await;
        listed["keys"].as_array().expect("a list").clone()
    }

    /// Makes a token of a workspace.
    pub async fn token(&self, workspace: &str, role: &str) -> String {
        let token = json!({"name": "test", "role": role, "workspaceId": workspace});
        let made = self.done(Method::POST, "/api/tokens", &token).await;
        made["token"].as_str().expect("a token").to_owned()
    }

    /// What a metric counts, by its name with its labels, as `/metrics` shows it.
    pub async fn metric(&self, name: &str) -> u64 {
        let metrics = self.root.send(Method::GET, "/metrics", &Value::Null).await;
        let text = String::from_utf8_lossy(&metrics.bytes).into_owned();
        let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        value.unwrap_or_else(|| panic!("no metric {name}")).parse().expect("a number")
    }

    /// A client that shows this token.
    #[must_use]
    pub fn client(&self, token: &str) -> Client {
        self.root.with_token(token)
    }

    /// Sends a request that is expected to succeed; answers the answer's JSON.
    pub async fn done(&self, method: Method, path: &str, body: &Value) -> Value {
        let answer = self.root.send(method, path, body).await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.json);
        answer.json
    }
}
