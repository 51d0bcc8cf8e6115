//! Several nodes on one PostgreSQL, with and without Valkey, whatever becomes of the servers and the network between.

mod bad_starts;
mod database;
mod feed;
mod first_starts;
mod fixture;
mod health;
mod inheritance;
mod load;
mod master_key;
mod order;
mod restarts;
mod revocation;
mod tls;
mod valkey;

use std::time::{Duration, Instant};

/// How soon a deleted key or token is out of use everywhere: what is promised, whatever happens to connections.
const PROMISED: Duration = Duration::from_secs(3);
/// How long anything may take that is not promised to be fast: longer than it does on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);
/// Between two looks at whether something has come about.
const BETWEEN_LOOKS: Duration = Duration::from_millis(5);

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

/// For whoever looks at the output: a figure that nothing is asserted of, or a line that a person is shown.
#[expect(clippy::print_stdout, reason = "a test's output is for whoever looks at it")]
fn say(line: &str) {
    println!("{line}");
}

/// Lets a call that holds its thread do so, while other threads go on.
fn blocking<T>(call: impl FnOnce() -> T) -> T {
    tokio::task::block_in_place(call)
}
