//! A server as a child process.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};

const START_LIMIT: Duration = Duration::from_secs(30);
/// How long a server may take to end in an orderly way.
const END_LIMIT: Duration = Duration::from_secs(10);
const POLL_PAUSE: Duration = Duration::from_millis(10);
/// How much of a log an error shows.
const SHOWN_LINES: usize = 30;

/// Waits for the end of its input, which comes when the process that holds the other end is gone; then ends the server
/// ($1: signal, $2: process id) and removes its folder ($3). Someone who presses Ctrl-C ends all processes at the
/// terminal, but not this one.
const HEIR: &str = r#"trap "" INT TERM HUP; read -r _; kill -s "$1" "$2"; sleep 1; rm -rf "$3""#;

/// A running server, which ends with this value.
#[derive(Debug)]
pub(crate) struct Server {
    name: &'static str,
    child: Child,
    /// Ends the server where this process cannot any more.
    heir: Child,
    log: PathBuf,
    /// The signal that ends it fastest.
    at_once: &'static str,
}

impl Server {
    /// Starts `command`, with its output in a log file in `folder`.
    pub(crate) fn start(
        name: &'static str,
        command: &mut Command,
        folder: &Path,
        at_once: &'static str,
    ) -> anyhow::Result<Self> {
        let log = folder.join("log");
        let out = File::create(&log).with_context(|| format!("cannot create {}", log.display()))?;
        let err = out.try_clone()?;
        command.current_dir(folder).stdin(Stdio::null()).stdout(out).stderr(err);
        let mut child = command.spawn().with_context(|| format!("cannot start {name}"))?;
        let heir = Command::new("sh")
            .args(["-c", HEIR, "sh", at_once, &child.id().to_string()])
            .arg(folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        match heir {
            Ok(heir) => Ok(Self { name, child, heir, log, at_once }),
            Err(error) => {
                child.kill().and_then(|()| child.wait()).context("cannot end the server")?;
                Err(error).context("cannot start sh")
            }
        }
    }

    /// Waits until `ready` finds that it is.
    pub(crate) fn wait_until(&mut self, mut ready: impl FnMut() -> bool) -> anyhow::Result<()> {
        let started = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait()? {
                bail!("{} ended at its start ({status}):\n{}", self.name, self.last_words());
            }
            if ready() {
                return Ok(());
            }
            if started.elapsed() > START_LIMIT {
                bail!("{} is not ready after {START_LIMIT:?}:\n{}", self.name, self.last_words());
            }
            pause();
        }
    }

    /// Its process id.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Sends it a signal.
    pub(crate) fn signal(&mut self, signal: &str) -> anyhow::Result<()> {
        if let Some(status) = self.child.try_wait()? {
            bail!("{} has ended by itself ({status}):\n{}", self.name, self.last_words());
        }
        // By the shell's own `kill`: the program of that name is not on every machine.
        let mut shell = Command::new("sh");
        shell.args(["-c", r#"kill -s "$0" "$1""#, signal, &self.child.id().to_string()]);
        let status = shell.status().context("cannot start sh")?;
        if !status.success() {
            bail!("{} cannot be sent {signal} ({status})", self.name);
        }
        Ok(())
    }

    /// Asks it to end by this signal, and waits until it has.
    pub(crate) fn end(mut self, signal: &str) -> anyhow::Result<()> {
        self.signal(signal)?;
        if !self.ended_in_time()? {
            bail!("{} does not end within {END_LIMIT:?}:\n{}", self.name, self.last_words());
        }
        Ok(())
    }

    fn ended_in_time(&mut self) -> anyhow::Result<bool> {
        let asked = Instant::now();
        while self.child.try_wait()?.is_none() {
            if asked.elapsed() > END_LIMIT {
                return Ok(false);
            }
            pause();
        }
        Ok(true)
    }

    fn last_words(&self) -> String {
        let log = fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(SHOWN_LINES)..].join("\n")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // First, so that it never meets a process that got the server's id after it. What fails here fails because
        // the process has ended already.
        let _gone = self.heir.kill().and_then(|()| self.heir.wait());
        if self.signal(self.at_once).is_ok() && !self.ended_in_time().unwrap_or_default() {
            let _gone = self.child.kill();
        }
        let _ended = self.child.wait();
    }
}

#[expect(clippy::disallowed_methods, reason = "there is no runtime here, and no event to wait for in another process")]
fn pause() {
    thread::sleep(POLL_PAUSE);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files;

    #[test]
    fn a_server_that_ends_at_its_start_shows_its_last_words() {
        let folder = files::folder("test").unwrap();
        let mut script = Command::new("sh");
        script.args(["-c", "echo no port >&2; exit 3"]);
        let mut server = Server::start("script", &mut script, folder.path(), "KILL").unwrap();
        let error = server.wait_until(|| false).unwrap_err().to_string();
        assert!(error.contains("no port"), "{error}");
    }

    #[test]
    fn a_server_ends_with_its_value() {
        let folder = files::folder("test").unwrap();
        let mut script = Command::new("sleep");
        let server = Server::start("script", script.arg("60"), folder.path(), "TERM").unwrap();
        let process = PathBuf::from(format!("/proc/{}", server.child.id()));
        assert!(process.exists());
        drop(server);
        assert!(!process.exists());
    }

    #[test]
    fn a_server_that_is_left_behind_ends_and_its_folder_goes() {
        let folder = files::folder("test").unwrap();
        let mut script = Command::new("sleep");
        let mut server = Server::start("script", script.arg("60"), folder.path(), "TERM").unwrap();
        // As the system does with what a process held that was killed.
        drop(server.heir.stdin.take());
        assert!(server.ended_in_time().unwrap());
        server.heir.wait().unwrap();
        assert!(!folder.path().exists());
    }
}
