//! Each fault of docs/faults.md that needs a whole process to show: what is said there comes about, on both stores.

mod clock;
mod database;
mod descriptors;
mod disk;
mod end;
mod link;
mod provider;
mod upstream;
mod writes;

use std::fs;
use std::time::{Duration, Instant};

use claviger_testkit::{Deployment, Running, random_secret};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::database::Database;

const PROVIDER: &str = "exa";
/// How long anything may take that is not promised to be fast: longer than it does on a busy machine.
const PATIENCE: Duration = Duration::from_secs(20);
/// Between two looks at whether something has come about.
const BETWEEN_LOOKS: Duration = Duration::from_millis(10);

/// Looks until there is something, or it should have been there long ago.
async fn soon<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(begun.elapsed() < PATIENCE, "{what} did not come about");
        tokio::time::sleep(BETWEEN_LOOKS).await;
    }
}

/// A deployment on a PostgreSQL database of its own.
fn on_postgres(database: &Database) -> Deployment {
    on_postgres_at(&database.url())
}

fn on_postgres_at(url: &str) -> Deployment {
    Deployment::new()
        .with("CLAVIGER_DATABASE__URL", url)
        // 43 letters and "=" are base64 of 32 bytes, where the last letter ends in two zeros.
        .with("CLAVIGER_VAULT__MASTER_KEY", &format!("{}A=", &random_secret()[..42]))
}

/// Makes the workspace `acme` with one key; answers a token to use it with.
async fn acme(server: &Running) -> String {
    server.workspace("acme").await;
    server.key("acme", PROVIDER, &random_secret()).await;
    server.token("acme", "runtime").await
}

/// A bare connection to a server.
async fn connect(server: &Running) -> TcpStream {
    TcpStream::connect(server.process.url().strip_prefix("http://").unwrap()).await.unwrap()
}

/// Asks for a path of the provider's, on a connection of its own.
async fn ask(server: &Running, token: &str) -> TcpStream {
    let mut stream = connect(server).await;
    let request = format!("GET /gateway/{PROVIDER}/x HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token}\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    stream
}

/// Reads until the text has been seen; panics where the connection ends before.
async fn read_until(stream: &mut TcpStream, text: &str) -> String {
    let mut seen = Vec::new();
    while !String::from_utf8_lossy(&seen).contains(text) {
        let length = stream.read_buf(&mut seen).await.unwrap();
        assert!(length > 0, "the connection ended after {:?}", String::from_utf8_lossy(&seen));
    }
    String::from_utf8_lossy(&seen).into_owned()
}

/// The most memory that a process ever had, in KiB.
fn most_memory(server: &Running) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", server.process.id())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}
