//! Serving from several threads that share nothing but the books.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use socket2::{Domain, Protocol, Socket, Type};
use tokio::runtime;

use crate::server;
use crate::state::State;

/// How many connections may wait to be accepted. Benchmarks open hundreds at once.
const BACKLOG: i32 = 4096;

/// A mock provider on threads of its own. Each has a single-threaded runtime and a listener; the kernel spreads
/// connections over the listeners.
#[derive(Debug)]
pub struct Threads {
    addr: SocketAddr,
    threads: Vec<JoinHandle<()>>,
}

impl Threads {
    /// Listens on `listen` and starts to serve. With port 0, all threads share the one port that the first was given.
    pub fn start(listen: SocketAddr, threads: NonZeroUsize) -> io::Result<Self> {
        let first = bind(listen)?;
        let addr = first.local_addr()?;
        let mut listeners = vec![first];
        for _ in 1..threads.get() {
            listeners.push(bind(addr)?);
        }
        let state = Arc::new(State::default());
        let threads = listeners
            .into_iter()
            .map(|listener| {
                let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
                let listener = {
                    let _inside = runtime.enter();
                    tokio::net::TcpListener::from_std(listener)?
                };
                let state = Arc::clone(&state);
                thread::Builder::new().name("mock-provider".to_owned()).spawn(move || {
                    runtime.block_on(server::accept(listener, state));
                })
            })
            .collect::<io::Result<Vec<_>>>()?;
        Ok(Self { addr, threads })
    }

    /// Where it listens.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Waits for as long as the threads serve, which is until the process ends.
    pub fn join(self) {
        for thread in self.threads {
            // A panic in one thread was already reported there; the others go on.
            let _ended = thread.join();
        }
    }
}

fn bind(addr: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(addr), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&addr.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}
