//! The servers under load, each in a process of its own.

use std::fmt::Write as _;
use std::fs;
use std::io::Read;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, bail};
use serde_json::{Value, json};

use super::{Target, http, nginx};
use crate::{root, run::Server};

/// What is measured, from the repository's root.
const BINARY: &str = "target/release/claviger";
/// Threads of the mock, and workers of nginx.
pub(super) const THREADS: usize = 2;
/// Keys in the pool, so that rotation has something to turn.
const KEYS: usize = 3;

/// Where a target answers.
pub(super) struct Endpoint {
    pub(super) address: SocketAddr,
    /// Before the provider's own path.
    pub(super) prefix: &'static str,
    /// What the caller shows.
    pub(super) token: String,
    /// The process whose cost is counted; none where nothing stands before the mock.
    pub(super) process: Option<u32>,
}

/// They end when this is dropped, what stands in front first.
pub(super) struct Servers {
    direct: Endpoint,
    nginx: Option<(Endpoint, Server)>,
    claviger: Option<(Endpoint, Server)>,
    before: Option<(Endpoint, Server)>,
    _mock: Server,
}

impl Servers {
    pub(super) fn start(targets: &[Target], before: Option<&Path>, dir: &Path) -> anyhow::Result<Self> {
        let (upstream, mock) = mock(dir)?;
        let direct = Endpoint { address: upstream, prefix: "/openai", token: random()?, process: None };
        let wants = |target| targets.contains(&target);
        let nginx = wants(Target::Nginx).then(|| nginx::start(upstream, dir)).transpose()?;
        let binary = root().join(BINARY);
        let claviger =
            wants(Target::Claviger).then(|| self::claviger("claviger", &binary, upstream, dir)).transpose()?;
        let before = before.map(|binary| self::claviger("before", binary, upstream, dir)).transpose()?;
        Ok(Self { direct, nginx, claviger, before, _mock: mock })
    }

    pub(super) fn get(&self, target: Target) -> anyhow::Result<&Endpoint> {
        let endpoint = match target {
            Target::Direct => Some(&self.direct),
            Target::Nginx => self.nginx.as_ref().map(|(endpoint, _)| endpoint),
            Target::Claviger => self.claviger.as_ref().map(|(endpoint, _)| endpoint),
            Target::Before => self.before.as_ref().map(|(endpoint, _)| endpoint),
        };
        endpoint.with_context(|| format!("{target} was not started"))
    }
}

/// The provider that everything is relayed to.
pub(super) fn mock(dir: &Path) -> anyhow::Result<(SocketAddr, Server)> {
    let mut mock = Command::new(root().join("target/release/claviger-mock-provider"));
    mock.args(["--listen", "127.0.0.1:0", "--threads", &THREADS.to_string()]);
    let mut mock = Server::start("mock-provider", &mut mock, dir)?;
    Ok((mock.address()?, mock))
}

/// `claviger serve` as an operator would run it: defaults, and nothing of the developer's own settings, neither the
/// environment nor a claviger.toml.
pub(super) fn serve(upstream: SocketAddr, dir: &Path, root_token: &str) -> Command {
    serve_with(&root().join(BINARY), upstream, dir, root_token)
}

fn serve_with(binary: &Path, upstream: SocketAddr, dir: &Path, root_token: &str) -> Command {
    let mut serve = Command::new(binary);
    serve
        .arg("serve")
        .current_dir(dir)
        .env_clear()
        .env("CLAVIGER_DATA_DIR", dir.join("claviger-data"))
        .env("CLAVIGER_SERVER__LISTEN", "127.0.0.1:0")
        .env("CLAVIGER_AUTH__ROOT_TOKEN", root_token)
        .env("CLAVIGER_PROVIDERS__OPENAI__BASE_URL", format!("http://{upstream}/openai"));
    serve
}

/// Claviger with one workspace, a pool of keys, and a runtime token.
fn claviger(name: &'static str, binary: &Path, upstream: SocketAddr, dir: &Path) -> anyhow::Result<(Endpoint, Server)> {
    let root_token = random()?;
    let data = dir.join(name);
    fs::create_dir(&data)?;
    let mut serve = serve_with(binary, upstream, &data, &root_token);
    let mut server = Server::start(name, &mut serve, dir)?;
    let address = server.address()?;

    let call = |method, path: &str, body: &Value| called(address, method, path, &root_token, body);
    call("PUT", "/api/workspaces/bench", &json!({}))?;
    for _ in 0..KEYS {
        let key = json!({ "providerId": "openai", "apiKey": format!("sk-{}", random()?) });
        call("POST", "/api/workspaces/bench/byok-keys", &key)?;
    }
    let token = json!({ "name": "bench", "role": "runtime", "workspaceId": "bench" });
    let made = call("POST", "/api/tokens", &token)?;
    let token = made["token"].as_str().context("POST /api/tokens answered without a token")?.to_owned();
    let endpoint = Endpoint { address, prefix: "/gateway/openai", token, process: Some(server.id()) };
    Ok((endpoint, server))
}

fn called(address: SocketAddr, method: &str, path: &str, token: &str, body: &Value) -> anyhow::Result<Value> {
    let answer = http::ask(address, method, path, &[("authorization", &format!("Bearer {token}"))], &body.to_string())?;
    if !(200..300).contains(&answer.status) {
        bail!("{method} {path} answered {}: {}", answer.status, answer.body);
    }
    serde_json::from_str(&answer.body).with_context(|| format!("{method} {path} answered {:?}", answer.body))
}

/// 40 characters that nobody can guess.
pub(super) fn random() -> anyhow::Result<String> {
    let mut bytes = [0; 20];
    fs::File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    let mut random = String::new();
    for byte in bytes {
        write!(random, "{byte:02x}")?;
    }
    Ok(random)
}
