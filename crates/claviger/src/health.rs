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
    let server = Settings::load(flags, None)?.server;
    let mut address = server.listen;
    // A server that listens everywhere listens here.
    if address.ip().is_unspecified() {
        address.set_ip(if address.is_ipv4() {
            IpAddr::V4(Ipv4Addr::LOCALHOST)
        } else {
            IpAddr::V6(Ipv6Addr::LOCALHOST)
        });
    }
    let status =
        status(address, server.scheme() == "https").with_context(|| format!("no server answers at {address}"))?;
    if status != "200" {
        bail!("the server at {address} is not ready (status {status})");
    }
    Ok(())
}

fn status(address: SocketAddr, tls: bool) -> anyhow::Result<String> {
    let stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    if tls { asked(claviger_gateway::wrap_unverified(stream)?, address) } else { asked(stream, address) }
}

fn asked(mut stream: impl Read + Write, address: SocketAddr) -> anyhow::Result<String> {
    write!(stream, "GET /readyz HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n")?;
    let mut answer = Vec::new();
    // How the connection ends does not matter once the status is there.
    let read = stream.take(4_096).read_to_end(&mut answer);
    if answer.is_empty() {
        read?;
    }
    let head = String::from_utf8_lossy(&answer);
    let status = head.split_ascii_whitespace().nth(1).context("the answer is not HTTP")?;
    Ok(status.to_owned())
}
