//! Valkey, or Redis where there is no Valkey.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, bail};
use tempfile::TempDir;

use crate::server::Server;
use crate::{files, port};

/// Server and command line client, the one to prefer first.
const PROGRAMS: [(&str, &str); 2] = [("valkey-server", "valkey-cli"), ("redis-server", "redis-cli")];
const TERMINATE: &str = "TERM";
/// Also ends one that is frozen. It has nothing to write.
const AT_ONCE: &str = "KILL";

/// A Valkey server without persistence, which goes with this value.
#[derive(Debug)]
pub struct Valkey {
    // Dropped before its folder.
    server: Option<Server>,
    programs: (&'static str, &'static str),
    folder: TempDir,
    kind: Kind,
    port: u16,
}

#[derive(Debug)]
enum Kind {
    Plain,
    Password(String),
    Tls,
    Cluster,
}

impl Valkey {
    /// Whether Valkey's or Redis's programs are on this machine.
    #[must_use]
    pub fn is_installed() -> bool {
        programs().is_ok()
    }

    /// A new one that asks for no password.
    pub fn start() -> anyhow::Result<Self> {
        Self::new(Kind::Plain)
    }

    /// The folder in which all of its files are.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// A new one that asks for a random password, which is in its URL.
    pub fn start_with_password() -> anyhow::Result<Self> {
        Self::new(Kind::Password(files::password()?))
    }

    /// A new one that speaks TLS only, with this certificate and its key. It asks for no certificate of the client.
    pub fn start_with_tls(cert_pem: &str, key_pem: &str) -> anyhow::Result<Self> {
        let mut valkey = Self::prepare(Kind::Tls)?;
        files::write_private(&valkey.folder.path().join("server.crt"), cert_pem)?;
        files::write_private(&valkey.folder.path().join("server.key"), key_pem)?;
        valkey.start_somewhere()?;
        Ok(valkey)
    }

    /// A new cluster of one node, which has all slots.
    pub fn start_cluster() -> anyhow::Result<Self> {
        Self::new(Kind::Cluster)
    }

    fn new(kind: Kind) -> anyhow::Result<Self> {
        let mut valkey = Self::prepare(kind)?;
        valkey.start_somewhere()?;
        Ok(valkey)
    }

    fn prepare(kind: Kind) -> anyhow::Result<Self> {
        Ok(Self { server: None, programs: programs()?, folder: files::folder("valkey")?, kind, port: 0 })
    }

    fn start_somewhere(&mut self) -> anyhow::Result<()> {
        port::on_a_free_one(|port| {
            self.port = port;
            self.start_again()
        })
    }

    /// `redis://127.0.0.1:PORT`, with the password if there is one, and `rediss` if it speaks TLS.
    #[must_use]
    pub fn url(&self) -> String {
        let (scheme, password) = match &self.kind {
            Kind::Plain | Kind::Cluster => ("redis", String::new()),
            Kind::Password(password) => ("redis", format!(":{password}@")),
            Kind::Tls => ("rediss", String::new()),
        };
        format!("{scheme}://{password}127.0.0.1:{}", self.port)
    }

    /// Its port on 127.0.0.1, which it keeps while it is stopped.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Breaks all connections off and ends it, frozen or not. What it held is lost.
    pub fn stop(&mut self) -> anyhow::Result<()> {
        self.thaw()?;
        self.server.take().context("Valkey is stopped already")?.end(TERMINATE)
    }

    /// Starts it on the same port, empty, after [`Valkey::stop`].
    pub fn start_again(&mut self) -> anyhow::Result<()> {
        if self.server.is_some() {
            bail!("Valkey is running already");
        }
        // In a file and not in its arguments, where everyone could read the password.
        let settings = self.folder.path().join("valkey.conf");
        files::write_private(&settings, &self.settings())?;
        let mut command = Command::new(self.programs.0);
        command.arg(settings);
        let mut server = Server::start(self.programs.0, &mut command, self.folder.path(), AT_ONCE)?;
        // Asked at its own socket: at the port, another server could answer.
        server.wait_until(|| self.command(&["PING"]).is_ok_and(|answer| answer == "PONG"))?;
        if matches!(self.kind, Kind::Cluster) {
            // It remembers its slots in a file.
            if !self.command(&["CLUSTER", "INFO"])?.contains("cluster_slots_assigned:16384") {
                self.command(&["CLUSTER", "ADDSLOTSRANGE", "0", "16383"])?;
            }
            server.wait_until(|| {
                self.command(&["CLUSTER", "INFO"]).is_ok_and(|info| info.contains("cluster_state:ok"))
            })?;
        }
        self.server = Some(server);
        Ok(())
    }

    /// Stops the process as it is: connections stay open, and new ones come to stand, but nothing is answered.
    pub fn freeze(&mut self) -> anyhow::Result<()> {
        self.running()?.signal("STOP")
    }

    /// Lets it go on. It then answers what it was sent meanwhile.
    pub fn thaw(&mut self) -> anyhow::Result<()> {
        self.running()?.signal("CONT")
    }

    /// Runs a command, such as `["GET", "name"]`, and answers what the command line client prints. Does not return
    /// while the server is frozen.
    pub fn command(&self, arguments: &[&str]) -> anyhow::Result<String> {
        let mut client = Command::new(self.programs.1);
        // `-e`: an error that the server answers is a failure.
        client.arg("-e").arg("-s").arg(self.socket()).args(arguments).stdin(Stdio::null());
        if let Kind::Password(password) = &self.kind {
            client.env("REDISCLI_AUTH", password).env("VALKEYCLI_AUTH", password);
        }
        let output = client.output().with_context(|| format!("cannot start {}", self.programs.1))?;
        let printed = String::from_utf8(output.stdout).context("the client printed what is not text")?;
        if !output.status.success() {
            let errors = String::from_utf8_lossy(&output.stderr);
            bail!("{} failed: {}", self.programs.1, format!("{printed}{errors}").trim());
        }
        Ok(printed.trim_end_matches('\n').to_owned())
    }

    fn settings(&self) -> String {
        let folder = self.folder.path().display();
        let mut lines = vec![
            "bind 127.0.0.1".to_owned(),
            format!("dir {folder}"),
            format!("unixsocket {}", self.socket()),
            "save \"\"".to_owned(),
            "appendonly no".to_owned(),
            "daemonize no".to_owned(),
        ];
        let port = self.port;
        match &self.kind {
            Kind::Plain => lines.push(format!("port {port}")),
            Kind::Password(password) => lines.extend([format!("port {port}"), format!("requirepass {password}")]),
            Kind::Tls => lines.extend([
                "port 0".to_owned(),
                format!("tls-port {port}"),
                format!("tls-cert-file {folder}/server.crt"),
                format!("tls-key-file {folder}/server.key"),
                "tls-auth-clients no".to_owned(),
            ]),
            Kind::Cluster => lines.extend([
                format!("port {port}"),
                "cluster-enabled yes".to_owned(),
                // A node alone does not learn its address from others.
                "cluster-announce-ip 127.0.0.1".to_owned(),
            ]),
        }
        lines.join("\n") + "\n"
    }

    fn socket(&self) -> String {
        self.folder.path().join("socket").display().to_string()
    }

    fn running(&mut self) -> anyhow::Result<&mut Server> {
        self.server.as_mut().context("Valkey is stopped")
    }
}

fn programs() -> anyhow::Result<(&'static str, &'static str)> {
    let runs = |program: &str| {
        let mut version = Command::new(program);
        version.arg("--version").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        version.status().is_ok_and(|status| status.success())
    };
    let found = PROGRAMS.into_iter().find(|(server, client)| runs(server) && runs(client));
    found.context("neither Valkey nor Redis is installed")
}
