//! HTTP/1.1 and HTTP/2 on one port.

use std::collections::BTreeSet;

use bytes::Bytes;
use claviger_testkit::{Client, random_secret};
use http_body_util::{BodyExt, Full};
use hyper::{Method, Request};
use hyper_util::client::legacy::Client as Http;
use hyper_util::rt::TokioExecutor;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::{acme, behind, mock};

const KEYS: usize = 4;
const AT_ONCE: usize = 64;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_at_once_spread_exactly_over_the_keys() {
    let mock = mock().await;
    let server = behind(&mock, &["openai"]).with("CLAVIGER_SERVER__WORKERS", "4").serve();
    let secrets: Vec<_> = (0..KEYS).map(|_| random_secret()).collect();
    let token = acme(&server, "openai", &secrets).await;
    let url = server.process.url();
    for (version, client) in [("HTTP/1.1", Client::new(url, &token)), ("HTTP/2", Client::http2(url, &token))] {
        mock.reset();
        let mut requests = JoinSet::new();
        for _ in 0..AT_ONCE {
            let client = client.clone();
            requests.spawn(async move { client.send(Method::GET, "/gateway/openai/v1/models", &Value::Null).await });
        }
        let answers = requests.join_all().await;
        assert!(answers.iter().all(|answer| answer.status == 200), "{version}");
        let ids: BTreeSet<_> = answers.iter().map(|answer| answer.header("x-claviger-key-id")).collect();
        assert_eq!(ids.len(), KEYS, "{version}");
        let requests: BTreeSet<_> = answers.iter().map(|answer| answer.header("x-request-id")).collect();
        assert_eq!(requests.len(), AT_ONCE, "{version}: each request has an id of its own");
        for secret in &secrets {
            assert_eq!(mock.counts().of("openai", secret), (AT_ONCE / KEYS) as u64, "{version}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_caller_with_http2_gets_a_stream_as_it_comes() {
    let mock = mock().await;
    let server = behind(&mock, &["openai"]).serve();
    let token = acme(&server, "openai", &[random_secret()]).await;
    let http: Http<_, Full<Bytes>> = Http::builder(TokioExecutor::new()).http2_only(true).build_http();
    let prompt = json!({"model": "m", "stream": true, "messages": [{"role": "user", "content": "hi"}]}).to_string();
    let ask = |gap_ms: &str| {
        Request::post(format!("{}/gateway/openai/v1/chat/completions", server.process.url()))
            .header("authorization", format!("Bearer {token}"))
            .header("content-type", "application/json")
            .header("x-mock-chunks", "3")
            .header("x-mock-gap-ms", gap_ms)
            .body(Full::from(prompt.clone()))
            .unwrap()
    };

    let whole = http.request(ask("0")).await.unwrap();
    assert_eq!((whole.version(), whole.status().as_u16()), (hyper::Version::HTTP_2, 200));
    let whole = whole.into_body().collect().await.unwrap().to_bytes();
    assert!(String::from_utf8_lossy(&whole).ends_with("data: [DONE]\n\n"), "{whole:?}");

    // The gap is longer than any test waits: what is read was sent before the stream went on.
    let mut held = http.request(ask("600000")).await.unwrap();
    let first = held.body_mut().frame().await.unwrap().unwrap().into_data().unwrap();
    assert!(first.starts_with(b"data: {"), "{first:?}");
    assert_eq!(mock.counts().active, 1);

    // Another request on the same connection does not wait for it.
    assert_eq!(http.request(ask("0")).await.unwrap().status(), 200);

    // A caller that leaves takes the provider's stream along.
    drop(held);
    mock.wait_until(|counts| counts.cancelled == 1 && counts.active == 0).await;
}

#[tokio::test]
async fn the_control_plane_answers_on_the_same_port_in_both_versions() {
    let server = claviger_testkit::Deployment::new().serve();
    let url = server.process.url();
    let token = acme(&server, "openai", &[random_secret()]).await;
    for client in [Client::new(url, &token), Client::http2(url, &token)] {
        assert_eq!(client.send(Method::GET, "/healthz", &Value::Null).await.status, 200);
        let refused = client.send(Method::GET, "/api/workspaces", &Value::Null).await;
        assert_eq!((refused.status.as_u16(), refused.code()), (403, "forbidden"));
    }
}
