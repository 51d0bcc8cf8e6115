//! The port, and what it takes to share it.

use std::io;
use std::net::{SocketAddr, TcpListener as StdListener};

use socket2::{Domain, Protocol, Socket, Type};

use crate::front::FrontError;

/// Connections that wait to be accepted.
const BACKLOG: i32 = 4_096;
/// How much the system takes of an answer beyond what it can send, in bytes. With its usual megabytes a caller that
/// reads slowly would look for minutes like one that does not read at all.
const UNSENT: u32 = 128 * 1024;

/// A port that is taken: one listener a worker, all on the same one. Callers that connect wait until the door opens.
#[derive(Debug)]
pub struct Listeners {
    pub(crate) address: SocketAddr,
    pub(crate) sockets: Vec<StdListener>,
}

impl Listeners {
    /// Where they listen.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Takes the port, for so many workers.
    pub fn bind(listen: SocketAddr, workers: usize) -> Result<Self, FrontError> {
        let failed = |error: io::Error| match error.kind() {
            io::ErrorKind::AddrInUse => FrontError::InUse(listen),
            _ => FrontError::Listen(listen, error),
        };
        if listen.port() != 0 {
            // Sockets that share a port do not complain of each other, so a second server would go unnoticed. One that
            // does not share is refused as long as anybody listens there.
            listener(listen, false).map_err(failed)?;
        }
        let first = listener(listen, true).map_err(failed)?;
        let address = first.local_addr().map_err(failed)?;
        let mut sockets = vec![first];
        for _ in 1..workers {
            sockets.push(listener(address, true).map_err(failed)?);
        }
        Ok(Self { address, sockets })
    }
}

fn listener(address: SocketAddr, shared: bool) -> io::Result<StdListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(shared)?;
    socket.set_nonblocking(true)?;
    // Connections inherit it. A system that does not know it does without.
    let _ = socket.set_tcp_notsent_lowat(UNSENT);
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}
