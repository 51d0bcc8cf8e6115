//! The server and the commands, as an operator and a caller meet them.

mod bad_starts;
mod commands;
mod console;
mod health;
mod import_env;
mod import_jsonl;
mod import_sim;
mod keys_command;
mod lifecycle;
mod master_key;
mod protocols;
mod secrets;
mod sim_database;
mod store_copy;
mod tls;
mod upstream;
mod webhooks;

use std::time::{Duration, Instant};

use claviger_mock_provider::MockProvider;
use claviger_testkit::{Deployment, Running};

/// How soon something must have come about.
const SOON: Duration = Duration::from_secs(3);
/// Between two looks at whether it has.
const BETWEEN_LOOKS: Duration = Duration::from_millis(10);

/// Looks until there is something, or it should have been there long ago.
async fn soon<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(begun.elapsed() < SOON, "{what} did not come about");
        tokio::time::sleep(BETWEEN_LOOKS).await;
    }
}

async fn mock() -> MockProvider {
    MockProvider::start(([127, 0, 0, 1], 0).into()).await.unwrap()
}

/// A deployment with these providers behind the mock.
fn behind(mock: &MockProvider, providers: &[&str]) -> Deployment {
    let new = Deployment::new();
    providers.iter().fold(new, |deployment, provider| deployment.with_provider(provider, &mock.base_url(provider)))
}

/// Makes the workspace `acme` with keys of these secrets; answers a token to use them with.
async fn acme(server: &Running, provider: &str, secrets: &[String]) -> String {
    server.workspace("acme").await;
    for secret in secrets {
        server.key("acme", provider, secret).await;
    }
    server.token("acme", "runtime").await
}
