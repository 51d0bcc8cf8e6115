//! `claviger health`: for container health checks.

use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context, bail};

use crate::cli::SettingsFlags;
use crate::settings::Settings;

const PATIENCE: Duration = Duration::from_secs(5);

/// Asks the server at the configured address whether it is ready.
pub(crate) fn run(flags: &SettingsFlags) -> anyhow::Result<()> {
    let mut address = Settings::load(flags, None)?.server.listen;
    // A server that listens everywhere listens here.
    if address.ip().is_unspecified() {
        address.set_ip(if address.is_ipv4() {
            IpAddr::V4(Ipv4Addr::LOCALHOST)
        } else {
            IpAddr::V6(Ipv6Addr::LOCALHOST)
        });
    }
    let status = status(address).with_context(|| format!("no server answers at {address}"))?;
    if status != "200" {
        bail!("the server at {address} is not ready (status {status})");
    }
    Ok(())
}

fn status(address: SocketAddr) -> anyhow::Result<String> {
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    write!(stream, "GET /readyz HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n")?;
    let mut answer = Vec::new();
    stream.take(4_096).read_to_end(&mut answer)?;
    let head = String::from_utf8_lossy(&answer);
    let status = head.split_ascii_whitespace().nth(1).context("the answer is not HTTP")?;
    Ok(status.to_owned())
}
