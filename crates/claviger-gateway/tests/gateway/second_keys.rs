//! Requests that another key answers, and those that may not be tried again.

use claviger_core::catalogue::{Auth, BaseUrl};
use claviger_core::{Catalogue, Provider};
use claviger_gateway::GatewaySettings;
use claviger_mock_provider::Behaviour;
use claviger_testkit::Answer;
use hyper::{Method, StatusCode};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinSet;

use crate::fixture::{Fixture, patient};

const CHAT: &str = "/gateway/openai/v1/chat/completions";
const MODELS: &str = "/gateway/openai/v1/models";

fn prompt(stream: bool, words: &str) -> Value {
    json!({"model": "m", "stream": stream, "messages": [{"role": "user", "content": words}]})
}

/// How often each of these keys was used.
fn uses(fixture: &Fixture, keys: &[String]) -> Vec<u64> {
    let counts = fixture.mock.counts();
    keys.iter().map(|key| counts.of("openai", key)).collect()
}

/// Stores so many keys.
async fn keys(fixture: &Fixture, count: usize) -> Vec<String> {
    let mut keys = Vec::new();
    for _ in 0..count {
        keys.push(fixture.key("openai").await);
    }
    keys
}

fn served(answer: &Answer) -> (u16, &str) {
    (answer.status.as_u16(), answer.header("x-claviger-attempts"))
}

fn limited() -> Behaviour {
    Behaviour::status(429).with_header("retry-after", "30")
}

#[tokio::test]
async fn every_key_is_tried_once_before_the_caller_is_refused() {
    let fixture = Fixture::new().await;
    let keys = keys(&fixture, 4).await;
    for key in &keys[..3] {
        fixture.mock.set_behaviour("openai", key, limited()).unwrap();
    }
    let answer = fixture.client().send(Method::POST, CHAT, &prompt(false, "hello")).await;
    assert_eq!(served(&answer), (200, "4"));
    assert_eq!(uses(&fixture, &keys), [1, 1, 1, 1]);
    let again = fixture.client().send(Method::POST, CHAT, &prompt(false, "hello")).await;
    assert_eq!(served(&again), (200, "1"));
    assert_eq!(uses(&fixture, &keys), [1, 1, 1, 2]);
    fixture.close().await;
}

#[tokio::test]
async fn the_providers_last_answer_passes_unchanged_where_all_keys_fail_and_then_nobody_asks_the_provider() {
    let fixture = Fixture::new().await;
    let keys = keys(&fixture, 3).await;
    let body =
        json!({"error": {"message": "slow down", "type": "requests", "param": null, "code": "rate_limit_exceeded"}});
    let behaviour = limited().with_body(body.clone()).with_header("x-provider-says", "so");
    fixture.mock.set_behaviour("openai", "*", behaviour).unwrap();
    let answer = fixture.client().send(Method::POST, CHAT, &prompt(true, "hello")).await;
    assert_eq!(served(&answer), (429, "3"));
    assert_eq!(answer.json, body);
    assert_eq!((answer.header("x-provider-says"), answer.header("retry-after")), ("so", "30"));
    assert_eq!(uses(&fixture, &keys), [1, 1, 1]);

    let cooling = fixture.client().send(Method::POST, CHAT, &prompt(true, "hello")).await;
    assert_eq!((cooling.status, cooling.code()), (StatusCode::TOO_MANY_REQUESTS, "pool_cooling"));
    assert_eq!((cooling.header("retry-after"), cooling.header("x-claviger-attempts")), ("30", "0"));
    assert_eq!(cooling.json["error"]["type"], "rate_limit_error");
    assert_eq!(uses(&fixture, &keys), [1, 1, 1]);
    fixture.close().await;
}

#[tokio::test]
async fn a_large_body_goes_to_the_next_key_as_it_is_and_a_larger_one_says_why_it_does_not() {
    let fixture = Fixture::new().await;
    let keys = keys(&fixture, 2).await;
    fixture.mock.set_behaviour("openai", &keys[0], limited()).unwrap();
    fixture.mock.set_recording(true);
    let six = prompt(false, &"x".repeat(6 * 1024 * 1024));
    let answer = fixture.client().send(Method::POST, CHAT, &six).await;
    assert_eq!(served(&answer), (200, "2"));
    let lengths: Vec<_> = fixture.mock.requests().iter().map(|request| request.body_bytes).collect();
    assert_eq!(lengths, [six.to_string().len() as u64; 2]);

    fixture.test.clock.advance(std::time::Duration::from_mins(1));
    fixture.mock.set_behaviour("openai", "*", limited()).unwrap();
    let nine = prompt(false, &"x".repeat(9 * 1024 * 1024));
    let answer = fixture.client().send(Method::POST, CHAT, &nine).await;
    assert_eq!(served(&answer), (429, "1"));
    assert_eq!(answer.header("x-claviger-not-retried"), "body_too_large");
    fixture.close().await;
}

#[tokio::test]
async fn a_body_beyond_the_budget_of_all_requests_is_sent_once() {
    let settings = GatewaySettings { replay_budget: 2_000, ..patient() };
    let fixture = Fixture::with(settings, |_| {}).await;
    let keys = keys(&fixture, 2).await;
    fixture.mock.set_behaviour("openai", "*", limited()).unwrap();
    let answer = fixture.client().send(Method::POST, CHAT, &prompt(false, &"x".repeat(2_000))).await;
    assert_eq!((served(&answer), answer.header("x-claviger-not-retried")), ((429, "1"), "replay_budget_spent"));
    // What was taken is given back: a smaller one finds room.
    let answer = fixture.client().send(Method::POST, CHAT, &prompt(false, &"x".repeat(500))).await;
    assert_eq!((served(&answer), answer.header("x-claviger-not-retried")), ((429, "1"), ""));
    assert_eq!(uses(&fixture, &keys), [1, 1]);
    fixture.close().await;
}

#[tokio::test]
async fn an_error_as_the_first_event_of_a_stream_goes_to_the_next_key_and_a_later_one_does_not() {
    let fixture = Fixture::new().await;
    let keys = keys(&fixture, 2).await;
    let event = "data: {\"error\":{\"message\":\"slow down\",\"code\":\"rate_limit_exceeded\"}}\n\n";
    let stream = |body: &str| {
        Behaviour { status: Some(200), ..Behaviour::default() }
            .with_body(body)
            .with_header("content-type", "text/event-stream")
    };
    fixture.mock.set_behaviour("openai", &keys[0], stream(event)).unwrap();
    let answer = fixture.client().send(Method::POST, CHAT, &prompt(true, "hello")).await;
    assert_eq!(served(&answer), (200, "2"));
    assert!(!String::from_utf8_lossy(&answer.bytes).contains("slow down"));
    assert_eq!(uses(&fixture, &keys), [1, 1]);

    let late = format!(": welcome\n\ndata: {{\"id\":\"1\"}}\n\n{event}");
    fixture.mock.set_behaviour("openai", &keys[1], stream(&late)).unwrap();
    let answer = fixture.client().send(Method::POST, CHAT, &prompt(true, "hello")).await;
    assert_eq!((served(&answer), &*answer.bytes), ((200, "1"), late.as_bytes()));
    fixture.close().await;
}

#[tokio::test]
async fn the_providers_trouble_passes_through_unless_the_operator_has_it_tried_again() {
    for (retry_overloaded, expected) in [(0, (503, "1")), (1, (503, "2")), (2, (200, "3"))] {
        let fixture = Fixture::with(GatewaySettings { retry_overloaded, ..patient() }, |_| {}).await;
        let keys = keys(&fixture, 3).await;
        for key in &keys[..2] {
            fixture.mock.set_behaviour("openai", key, Behaviour::status(503)).unwrap();
        }
        let answer = fixture.client().send(Method::GET, MODELS, &json!(null)).await;
        assert_eq!(served(&answer), expected);
        // No key rests for it.
        fixture.mock.reset();
        for _ in 0..3 {
            assert_eq!(served(&fixture.client().send(Method::GET, MODELS, &json!(null)).await), (200, "1"));
        }
        assert_eq!(uses(&fixture, &keys), [1, 1, 1]);
        fixture.close().await;
    }
}

#[tokio::test]
async fn an_origin_that_only_fails_for_several_workspaces_is_left_alone_for_a_moment() {
    let fixture = Fixture::new().await;
    let keys = keys(&fixture, 1).await;
    fixture.mock.set_behaviour("openai", "*", Behaviour::status(500)).unwrap();
    for _ in 0..150 {
        assert_eq!(served(&fixture.client().send(Method::GET, MODELS, &json!(null)).await), (500, "1"));
    }
    let other = fixture.test.workspace("other").await;
    fixture.test.key(&other, "openai").await;
    let token = fixture.test.runtime_token(&other).await;
    let answer = fixture.client().with_token(&token).send(Method::GET, MODELS, &json!(null)).await;
    assert_eq!(served(&answer), (500, "1"));
    let refused = fixture.client().send(Method::GET, MODELS, &json!(null)).await;
    assert_eq!((refused.status.as_u16(), refused.code()), (503, "provider_unavailable"));
    assert_eq!((refused.header("retry-after"), refused.header("x-claviger-attempts")), ("1", "0"));
    assert_eq!(uses(&fixture, &keys), [150]);
    fixture.close().await;
}

/// A body in which no two places look alike.
fn counted(length: usize) -> String {
    let mut body = String::with_capacity(length + 8);
    while body.len() < length {
        let place = body.len().to_string();
        body.push_str(&place);
        body.push('.');
    }
    body.truncate(length);
    body
}

#[tokio::test]
async fn a_provider_that_refuses_before_it_has_read_the_body_takes_nothing_of_it_from_the_next_attempt() {
    const LENGTH: usize = 600_000;
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let base: BaseUrl = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
    let (begun, second) = oneshot::channel();
    let mut provider = JoinSet::new();
    provider.spawn(async move {
        let (mut first, _) = listener.accept().await.unwrap();
        read_head(&mut first).await;
        first.write_all(b"HTTP/1.1 401 Unauthorized\r\ncontent-length: 2\r\n\r\n{}").await.unwrap();
        // It goes on reading, as a server does that wants to keep the connection.
        let mut reading = JoinSet::new();
        reading.spawn(async move { tokio::io::copy(&mut first, &mut tokio::io::sink()).await });
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut body = read_head(&mut stream).await;
        begun.send(()).unwrap();
        while body.len() < LENGTH {
            assert!(stream.read_buf(&mut body).await.unwrap() > 0, "the body ended after {} bytes", body.len());
        }
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}").await.unwrap();
        body
    });
    let adapt = |catalogue: &mut Catalogue| {
        catalogue.insert(Provider::custom("early".parse().unwrap(), base, None, Auth::Bearer));
    };
    let fixture = Fixture::with(patient(), adapt).await;
    for _ in 0..2 {
        fixture.key("early").await;
    }
    let body = counted(LENGTH);
    let mut caller = fixture.connect().await;
    let token = &fixture.token;
    caller.write(&format!("POST /gateway/early/x HTTP/1.1\r\nhost: h\r\nauthorization: Bearer {token}\r\n")).await;
    caller.write(&format!("content-length: {LENGTH}\r\n\r\n{}", &body[..LENGTH / 3])).await;
    second.await.unwrap();
    caller.write(&body[LENGTH / 3..]).await;
    let answer = caller.read_until("\r\n\r\n{}").await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert!(answer.contains("x-claviger-attempts: 2"), "{answer}");
    let arrived = provider.join_next().await.unwrap().unwrap();
    assert!(arrived == body.as_bytes(), "{} bytes arrived, and not those that were sent", arrived.len());
    fixture.close().await;
}

/// Reads a request's head; answers what has come of its body.
async fn read_head(stream: &mut tokio::net::TcpStream) -> Vec<u8> {
    let mut seen = Vec::new();
    loop {
        assert!(stream.read_buf(&mut seen).await.unwrap() > 0, "the connection ended");
        if let Some(end) = seen.windows(4).position(|window| window == b"\r\n\r\n") {
            return seen.split_off(end + 4);
        }
    }
}
