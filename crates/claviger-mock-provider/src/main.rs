//! `claviger-mock-provider`: the stand-in for every provider as a process of its own.

use std::io::{self, Write};
use std::net::SocketAddr;
use std::num::NonZeroUsize;

use clap::Parser;
use claviger_mock_provider::Threads;

/// Stands in for every provider.
#[derive(Parser)]
struct Arguments {
    /// Where to listen; port 0 takes a free one.
    #[arg(long, default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// Threads that serve, each with a listener of its own.
    #[arg(long, default_value = "1")]
    threads: NonZeroUsize,
}

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let threads = Threads::start(arguments.listen, arguments.threads)?;
    // Whoever started this process waits for this line.
    let mut stdout = io::stdout();
    writeln!(stdout, "listening on http://{}", threads.addr())?;
    stdout.flush()?;
    threads.join();
    Ok(())
}
