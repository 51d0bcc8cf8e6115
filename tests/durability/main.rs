//! What was acknowledged stays, whatever becomes of the process or the disk.

mod dice;
mod first_start;
mod full_disk;
mod kills;
mod rotation;
mod tenant;

use claviger_mock_provider::MockProvider;
use claviger_testkit::{Deployment, Running};
use hyper::Method;
use serde_json::Value;

const PROVIDER: &str = "openai";

/// A provider, and a deployment that uses it.
async fn deployment() -> (MockProvider, Deployment) {
    let mock = MockProvider::start(([127, 0, 0, 1], 0).into()).await.unwrap();
    let deployment = Deployment::new().with_provider(PROVIDER, &mock.base_url(PROVIDER));
    (mock, deployment)
}

/// Sends a request through the gateway; answers its status and code.
async fn relay(server: &Running, token: &str) -> (u16, String) {
    let answer = server.client(token).send(Method::GET, "/gateway/openai/v1/models", &Value::Null).await;
    (answer.status.as_u16(), answer.code().to_owned())
}

/// Asserts that every one of these secrets is leased, each in its turn and nothing else.
async fn assert_leases(server: &Running, mock: &MockProvider, token: &str, secrets: &[&str]) {
    mock.reset();
    if secrets.is_empty() {
        assert_eq!(relay(server, token).await, (404, "no_key".to_owned()));
    }
    for _ in secrets {
        assert_eq!(relay(server, token).await.0, 200);
    }
    let counts = mock.counts();
    for secret in secrets {
        assert_eq!(counts.of(PROVIDER, secret), 1, "a key was not leased in its turn");
    }
    assert_eq!(counts.of_provider(PROVIDER), secrets.len() as u64);
}
