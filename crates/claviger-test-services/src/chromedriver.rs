//! Chromium, driven through `chromedriver`.

use std::fs;
use std::process::{Command, Stdio};

use anyhow::Context;
use tempfile::TempDir;

use crate::files;
use crate::server::Server;

const BROWSER: &str = "chromium";
const DRIVER: &str = "chromedriver";
/// Nothing is lost when it ends at once. Browsers whose driver is gone end by themselves, see [`Chromedriver`].
const AT_ONCE: &str = "KILL";

/// What opens Chromium and steers it, on a loopback port; it goes with this value. A browser ends with it, too, where it
/// was started with `--remote-debugging-pipe`: the pipe ends then.
#[derive(Debug)]
pub struct Chromedriver {
    // Dropped before its folder.
    _server: Server,
    _folder: TempDir,
    port: u16,
}

impl Chromedriver {
    /// Whether Chromium and its driver are on this machine.
    #[must_use]
    pub fn is_installed() -> bool {
        [BROWSER, DRIVER].iter().all(|program| {
            let mut asked = Command::new(program);
            asked.arg("--version").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
            asked.status().is_ok_and(|status| status.success())
        })
    }

    /// A new one, on a port that it chooses.
    pub fn start() -> anyhow::Result<Self> {
        let folder = files::folder("chromedriver")?;
        let mut command = Command::new(DRIVER);
        // Browsers' profiles are kept there, and go with it.
        command.arg("--port=0").env("TMPDIR", folder.path());
        let started = Server::start(DRIVER, &mut command, folder.path(), AT_ONCE);
        let mut server = started.context("run `cargo xtask test`, which installs Chromium and its driver")?;
        let log = folder.path().join("log");
        let mut port = None;
        server.wait_until(|| {
            port = fs::read_to_string(&log).ok().and_then(|said| port_in(&said));
            port.is_some()
        })?;
        Ok(Self { _server: server, _folder: folder, port: port.context("chromedriver names no port")? })
    }

    /// Where it listens.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}/", self.port)
    }
}

/// The port in its line `ChromeDriver was started successfully on port 40645.`
fn port_in(log: &str) -> Option<u16> {
    log.lines().find_map(|line| line.split_once("started successfully on port ")?.1.trim_end_matches('.').parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_port_is_read_from_what_it_says() {
        assert_eq!(port_in("Starting on port 0\nChromeDriver was started successfully on port 40645.\n"), Some(40_645));
        assert_eq!(port_in("Starting on port 0\n"), None);
    }
}
