//! Keys that fall sick under load, with a real clock and real probes.

use std::time::{Duration, Instant};

use claviger_mock_provider::Behaviour;
use claviger_testkit::{Client, random_secret};
use hyper::Method;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::{acme, behind, mock};

const KEYS: usize = 4;
const CALLERS: usize = 8;
const REQUESTS: usize = 500;
/// How long the sick key is sick.
const SICK: Duration = Duration::from_secs(1);
const PATIENCE: Duration = Duration::from_secs(30);

async fn ask(client: &Client) -> u16 {
    client.send(Method::GET, "/gateway/openai/v1/models", &Value::Null).await.status.as_u16()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn callers_see_nothing_of_a_key_that_is_limited_for_a_second() {
    let mock = mock().await;
    let server = behind(&mock, &["openai"]).serve();
    let secrets: Vec<_> = (0..KEYS).map(|_| random_secret()).collect();
    let token = acme(&server, "openai", &secrets).await;
    let limited = Behaviour::status(429).with_header("retry-after-ms", "250");
    mock.set_behaviour("openai", &secrets[1], limited).unwrap();
    let client = Client::new(server.process.url(), &token);
    let begun = Instant::now();
    let mut callers = JoinSet::new();
    for _ in 0..CALLERS {
        let client = client.clone();
        callers.spawn(async move {
            let mut statuses = Vec::new();
            for _ in 0..REQUESTS / CALLERS {
                statuses.push(ask(&client).await);
                // So that the second is over before the requests are.
                tokio::time::sleep(2 * SICK / u32::try_from(REQUESTS / CALLERS).unwrap()).await;
            }
            statuses
        });
    }
    tokio::time::sleep(SICK).await;
    mock.clear_behaviours();
    // Taken before: the sick key answers well from here on.
    let rests = u64::try_from(begun.elapsed().as_millis() / 250).unwrap() + 1;
    let sick = mock.counts().of("openai", &secrets[1]);
    let statuses: Vec<_> = callers.join_all().await.into_iter().flatten().collect();
    assert!(statuses.iter().all(|status| *status == 200), "{statuses:?}");
    // Callers that were on their way at once when it fell sick, and then one request a rest.
    assert!(sick <= CALLERS as u64 + rests, "the sick key had {sick} requests in {rests} rests");
    let others = [0, 2, 3].map(|key: usize| mock.counts().of("openai", &secrets[key]));
    // Each of those that met the sick key at once took another turn.
    assert!(others.iter().max().unwrap() - others.iter().min().unwrap() <= 1 + rests, "{others:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_that_are_all_refused_and_then_healed_serve_again_without_a_restart() {
    let mock = mock().await;
    let server = behind(&mock, &["openai"]).serve();
    let secrets: Vec<_> = (0..3).map(|_| random_secret()).collect();
    let token = acme(&server, "openai", &secrets).await;
    let client = Client::new(server.process.url(), &token);
    mock.set_behaviour("openai", "*", Behaviour::status(401)).unwrap();
    // The refusals pass; probes and further refusals confirm them, and then nobody asks the provider.
    let begun = Instant::now();
    while ask(&client).await != 429 {
        assert!(begun.elapsed() < PATIENCE, "the keys are never rejected");
    }
    let keys = server.keys("acme").await;
    assert!(keys.iter().all(|key| key["status"] == "rejected" && key["availableAt"].is_string()), "{keys:?}");
    mock.clear_behaviours();
    for key in &keys {
        let path = format!("/api/workspaces/acme/byok-keys/{}/test", key["id"].as_str().unwrap());
        let tested = server.done(Method::POST, &path, &json!(null)).await;
        assert_eq!(tested["result"], "valid", "{tested}");
    }
    mock.reset();
    for _ in 0..6 {
        assert_eq!(ask(&client).await, 200);
    }
    for secret in &secrets {
        assert_eq!(mock.counts().of("openai", secret), 2);
    }
}
