//! Providers and callers that break off, fall silent, or never answer.

use std::time::Duration;

use claviger_core::Catalogue;
use claviger_core::catalogue::BaseUrl;
use claviger_gateway::GatewaySettings;
use claviger_mock_provider::Behaviour;
use hyper::Method;
use serde_json::{Value, json};

use crate::fixture::{Fixture, patient};

fn prompt(stream: bool) -> Value {
    json!({"model": "m", "stream": stream, "messages": [{"role": "user", "content": "tell me a story"}]})
}

#[tokio::test]
async fn a_stream_that_the_provider_breaks_off_breaks_off_for_the_caller() {
    let fixture = Fixture::new().await;
    fixture.key("openai").await;
    for stream in [true, false] {
        let behaviour = Behaviour { cut_after_bytes: Some(40), ..Behaviour::default() };
        fixture.mock.set_behaviour("openai", "*", behaviour).unwrap();
        let path = "/gateway/openai/v1/chat/completions";
        let outcome = fixture.client().try_send(Method::POST, path, &prompt(stream)).await;
        assert!(outcome.is_err(), "stream {stream}: {outcome:?}");
    }
    fixture.close().await;
}

#[tokio::test]
async fn a_stream_that_falls_silent_is_broken_off() {
    let settings = GatewaySettings { idle_timeout: Duration::from_millis(50), ..patient() };
    let fixture = Fixture::with(settings, |_| {}).await;
    fixture.key("openai").await;
    let behaviour = Behaviour { chunks: Some(3), gap_ms: Some(600_000), ..Behaviour::default() };
    fixture.mock.set_behaviour("openai", "*", behaviour).unwrap();
    let path = "/gateway/openai/v1/chat/completions";
    let outcome = fixture.client().try_send(Method::POST, path, &prompt(true)).await;
    assert!(outcome.is_err(), "{outcome:?}");
    fixture.mock.wait_until(|counts| counts.cancelled == 1).await;
    fixture.close().await;
}

#[tokio::test]
async fn a_provider_that_never_answers_is_given_up() {
    let settings = GatewaySettings { response_timeout: Duration::from_millis(50), ..patient() };
    let fixture = Fixture::with(settings, |_| {}).await;
    fixture.key("openai").await;
    let behaviour = Behaviour { never_answer: true, ..Behaviour::default() };
    fixture.mock.set_behaviour("openai", "*", behaviour).unwrap();
    let answer = fixture.client().send(Method::GET, "/gateway/openai/v1/models", &json!(null)).await;
    assert_eq!((answer.status.as_u16(), answer.code()), (504, "provider_timeout"));
    fixture.mock.wait_until(|counts| counts.cancelled == 1).await;
    fixture.close().await;
}

#[tokio::test]
async fn a_connection_that_does_not_come_to_stand_is_given_up() {
    // Takes connections, and never answers the beginning of TLS.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let base: BaseUrl = format!("https://{}", silent.local_addr().unwrap()).parse().unwrap();
    let settings = GatewaySettings { connect_timeout: Duration::from_millis(50), ..patient() };
    let fixture = Fixture::with(settings, |catalogue: &mut Catalogue| {
        let exa = catalogue.get("exa").unwrap().as_ref().clone();
        catalogue.insert(exa.with_base_url(base));
    });
    let fixture = fixture.await;
    fixture.key("exa").await;
    let answer = fixture.client().send(Method::GET, "/gateway/exa/x", &json!(null)).await;
    assert_eq!((answer.status.as_u16(), answer.code()), (502, "provider_unreachable"));
    fixture.close().await;
}

#[tokio::test]
async fn a_caller_that_leaves_before_the_answer_takes_the_request_along() {
    let fixture = Fixture::new().await;
    fixture.key("openai").await;
    let behaviour = Behaviour { never_answer: true, ..Behaviour::default() };
    fixture.mock.set_behaviour("openai", "*", behaviour).unwrap();
    let mut raw = fixture.connect().await;
    let head =
        format!("GET /gateway/openai/v1/models HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\n\r\n", fixture.token);
    raw.write(&head).await;
    fixture.mock.wait_until(|counts| counts.active == 1).await;
    drop(raw);
    fixture.mock.wait_until(|counts| counts.cancelled == 1 && counts.active == 0).await;
    fixture.close().await;
}

#[tokio::test]
async fn the_gateway_serves_on_after_every_fault() {
    let fixture = Fixture::new().await;
    fixture.key("openai").await;
    let client = fixture.client();
    for _ in 0..3 {
        let behaviour = Behaviour { cut_after_bytes: Some(10), times: Some(1), ..Behaviour::default() };
        fixture.mock.set_behaviour("openai", "*", behaviour).unwrap();
        assert!(client.try_send(Method::GET, "/gateway/openai/v1/models", &json!(null)).await.is_err());
        fixture.mock.clear_behaviours();
        assert_eq!(client.send(Method::GET, "/gateway/openai/v1/models", &json!(null)).await.status, 200);
    }
    fixture.close().await;
}
