//! Free loopback ports.

use std::net::{Ipv4Addr, TcpListener};

use anyhow::bail;

use crate::files;

/// Below the ports that the system gives to outgoing connections, so that none takes a server's port while the server
/// is stopped. A Valkey in cluster mode takes the port 10000 above its own, too.
const FIRST: u16 = 10_000;
const COUNT: u16 = 12_000;
const TRIES: u32 = 10;
/// In a log, what says that another process was faster.
const TAKEN: &str = "Address already in use";

/// Starts a server on a port that is free, and on another one where it was taken in between.
pub(crate) fn on_a_free_one<T>(mut start: impl FnMut(u16) -> anyhow::Result<T>) -> anyhow::Result<T> {
    for _ in 0..TRIES {
        match start(free()?) {
            Err(error) if format!("{error:#}").contains(TAKEN) => {}
            other => return other,
        }
    }
    bail!("{TRIES} ports in a row were taken in between")
}

fn free() -> anyhow::Result<u16> {
    for _ in 0..100 {
        let port = FIRST + u16::from_le_bytes(files::random()?) % COUNT;
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return Ok(port);
        }
    }
    bail!("no free port found")
}

#[cfg(test)]
mod tests {
    use anyhow::anyhow;

    use super::*;

    #[test]
    fn a_port_that_was_taken_in_between_is_given_up_for_another() {
        let mut tried = Vec::new();
        let started = on_a_free_one(|port| {
            tried.push(port);
            if tried.len() < 3 { Err(anyhow!("bind: {TAKEN}")) } else { Ok(port) }
        });
        assert_eq!((started.unwrap(), tried.len()), (tried[2], 3));
    }

    #[test]
    fn another_failure_is_not_tried_again() {
        let mut tries = 0;
        let failed: anyhow::Result<()> = on_a_free_one(|_| {
            tries += 1;
            Err(anyhow!("no such folder"))
        });
        assert_eq!((failed.unwrap_err().to_string().as_str(), tries), ("no such folder", 1));
    }
}
