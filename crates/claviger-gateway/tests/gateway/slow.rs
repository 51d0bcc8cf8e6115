//! Callers that are slow on purpose, and those that want more than they may have at once.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use claviger_gateway::{FrontSettings, GatewaySettings, Patience};
use claviger_mock_provider::Behaviour;
use http_body_util::{BodyExt, Full};
use hyper::body::{Body, Frame};
use hyper::client::conn::http2;
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use tokio_util::task::TaskTracker;

use crate::fixture::{Fixture, Raw, Setup, open_door, patient};

pub(crate) const CHAT: &str = "/gateway/openai/v1/chat/completions";
const MODELS: &str = "/gateway/openai/v1/models";
pub(crate) const MOMENT: Duration = Duration::from_millis(100);

pub(crate) fn impatient() -> GatewaySettings {
    GatewaySettings { stall_timeout: MOMENT, ..patient() }
}

/// A fixture with a key, whose provider streams so many pieces with so many milliseconds between them.
pub(crate) async fn streaming(gateway: GatewaySettings, chunks: u32, gap_ms: u64) -> Fixture {
    let fixture = Fixture::with(gateway, |_| {}).await;
    fixture.key("openai").await;
    let behaviour = Behaviour { chunks: Some(chunks), gap_ms: Some(gap_ms), ..Behaviour::default() };
    fixture.mock.set_behaviour("openai", "*", behaviour).unwrap();
    fixture
}

pub(crate) fn prompt() -> Value {
    json!({"model": "m", "stream": true, "messages": [{"role": "user", "content": "tell me a story"}]})
}

fn head(fixture: &Fixture, length: usize) -> String {
    format!(
        "POST {CHAT} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\ncontent-type: application/json\r\n\
         content-length: {length}\r\n\r\n",
        fixture.token
    )
}

/// Asks for a stream, and does not read it.
async fn ask(fixture: &Fixture) -> Raw {
    let mut raw = fixture.connect().await;
    let body = prompt().to_string();
    raw.write(&format!("{}{body}", head(fixture, body.len()))).await;
    raw
}

#[tokio::test]
async fn a_body_that_does_not_come_is_not_waited_for() {
    let fixture = streaming(impatient(), 1, 0).await;
    // With one key the body streams through, and with two it is recorded.
    for _ in 0..2 {
        let mut raw = fixture.connect().await;
        raw.write(&format!("{}{{", head(&fixture, 100))).await;
        let answer = raw.read_until("body_too_slow").await;
        assert!(answer.starts_with("HTTP/1.1 408"), "{answer}");
        fixture.key("openai").await;
    }
    assert_eq!(fixture.ends("openai"), [("abandoned", 2)], "it is not the provider's failure");
    fixture.close().await;
}

/// A body that begins, and does not go on.
pub(crate) struct Begun(Option<Bytes>);

impl Body for Begun {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.0.take().map_or(Poll::Pending, |bytes| Poll::Ready(Some(Ok(Frame::data(bytes)))))
    }
}

/// Begins a request's body over HTTP/2, and is told that it does not come.
pub(crate) async fn is_not_waited_for(fixture: &Fixture, scheme: &str, sender: &mut http2::SendRequest<Begun>) {
    let request = Request::post(format!("{scheme}://x{CHAT}"))
        .header("authorization", format!("Bearer {}", fixture.token))
        .body(Begun(Some(Bytes::from_static(b"{"))))
        .unwrap();
    let answer = sender.send_request(request).await.unwrap();
    assert_eq!(answer.status(), StatusCode::REQUEST_TIMEOUT);
    let body = answer.into_body().collect().await.unwrap().to_bytes();
    assert!(String::from_utf8_lossy(&body).contains("body_too_slow"), "{body:?}");
}

#[tokio::test]
async fn a_body_that_does_not_come_over_http2_is_not_waited_for() {
    let fixture = streaming(impatient(), 1, 0).await;
    let io = TokioIo::new(fixture.connect().await.0);
    let (mut sender, connection) = http2::handshake(TokioExecutor::new(), io).await.unwrap();
    let tasks = TaskTracker::new();
    tasks.spawn(connection);
    // With one key the body streams through, and with two it is recorded.
    for _ in 0..2 {
        is_not_waited_for(&fixture, "http", &mut sender).await;
        fixture.key("openai").await;
    }
    fixture.close().await;
}

#[tokio::test]
async fn a_body_that_comes_byte_by_byte_is_not_waited_for_longer() {
    let fixture = streaming(impatient(), 1, 0).await;
    let mut raw = fixture.connect().await;
    raw.write(&head(&fixture, 1_000)).await;
    let mut beat = tokio::time::interval(MOMENT / 10);
    let answer = loop {
        tokio::select! {
            answer = raw.read_until("body_too_slow") => break answer,
            _ = beat.tick() => raw.write(" ").await,
        }
    };
    assert!(answer.starts_with("HTTP/1.1 408"), "{answer}");
    fixture.close().await;
}

#[tokio::test]
async fn a_provider_that_takes_its_time_is_not_the_callers_fault() {
    let fixture = Fixture::with(impatient(), |_| {}).await;
    fixture.key("openai").await;
    let delay_ms = u64::try_from(3 * MOMENT.as_millis()).unwrap();
    fixture.mock.set_behaviour("openai", "*", Behaviour { delay_ms, ..Behaviour::default() }).unwrap();
    let answer = fixture.client().send(Method::POST, CHAT, &json!({"model": "m", "messages": []})).await;
    assert_ne!(answer.status, StatusCode::REQUEST_TIMEOUT);
    fixture.close().await;
}

#[tokio::test]
async fn a_caller_that_reads_nothing_does_not_keep_the_providers_stream() {
    let fixture = streaming(impatient(), 100_000, 0).await;
    let raw = ask(&fixture).await;
    fixture.mock.wait_until(|counts| counts.cancelled == 1 && counts.active == 0).await;
    drop(raw);
    fixture.close().await;
}

#[tokio::test]
async fn a_workspace_has_only_so_many_requests_at_once() {
    let gateway = GatewaySettings { workspace_requests: 1, ..patient() };
    let fixture = streaming(gateway, 2, 600_000).await;
    let mut first = ask(&fixture).await;
    first.read_until("data:").await;
    let refused = fixture.client().send(Method::POST, CHAT, &prompt()).await;
    assert_eq!((refused.status.as_u16(), refused.code()), (429, "too_many_requests_at_once"));
    assert_eq!((refused.header("retry-after"), refused.header("x-claviger-attempts")), ("1", "0"));
    drop(first);
    fixture.mock.wait_until(|counts| counts.cancelled == 1).await;
    fixture.mock.clear_behaviours();
    for _ in 0..3 {
        assert_eq!(fixture.client().send(Method::POST, CHAT, &prompt()).await.status, StatusCode::OK);
    }
    fixture.close().await;
}

#[tokio::test]
async fn a_workspace_has_only_so_many_streams_among_its_requests() {
    let gateway = GatewaySettings { workspace_streams: 1, ..patient() };
    let fixture = streaming(gateway, 2, 600_000).await;
    let mut first = ask(&fixture).await;
    first.read_until("data:").await;
    let refused = fixture.client().send(Method::POST, CHAT, &prompt()).await;
    assert_eq!((refused.status.as_u16(), refused.code()), (429, "too_many_streams_at_once"));
    assert_eq!(refused.header("retry-after"), "1");
    let models = fixture.client().send(Method::GET, "/gateway/openai/v1/models", &json!(null)).await;
    assert_eq!(models.status, StatusCode::OK);
    let socket = open_socket(&fixture).await.read_to_end().await;
    assert!(socket.starts_with("HTTP/1.1 429") && socket.contains("too_many_streams_at_once"), "{socket}");
    drop(first);
    fixture.close().await;
}

/// Asks for a WebSocket. The connection is closed where that is refused.
async fn open_socket(fixture: &Fixture) -> Raw {
    let mut raw = fixture.connect().await;
    let token = &fixture.token;
    raw.write(&format!(
        "GET /gateway/openai/v1/realtime HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token}\r\n\
         connection: upgrade, close\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\n\
         sec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
    ))
    .await;
    raw
}

#[tokio::test]
async fn a_socket_that_falls_silent_is_closed_and_its_place_given_back() {
    let gateway = GatewaySettings { idle_timeout: MOMENT, workspace_streams: 1, ..patient() };
    let fixture = Fixture::with(gateway, |_| {}).await;
    fixture.key("openai").await;
    for _ in 0..3 {
        let mut socket = open_socket(&fixture).await;
        let answer = socket.read_until("\r\n\r\n").await;
        assert!(answer.starts_with("HTTP/1.1 101"), "{answer}");
        socket.read_to_end().await;
    }
    fixture.close().await;
}

#[tokio::test]
async fn a_socket_ends_with_the_token_that_let_it_in() {
    let fixture = Fixture::with(GatewaySettings { idle_timeout: 2 * MOMENT, ..patient() }, |_| {}).await;
    fixture.key("openai").await;
    let mut socket = open_socket(&fixture).await;
    socket.read_until("\r\n\r\n").await;
    let ping = "\u{1}\u{1}";
    let mut beat = tokio::time::interval(MOMENT / 10);
    // It lives for as long as something is said.
    for _ in 0..50 {
        beat.tick().await;
        socket.write(ping).await;
    }
    fixture.delete_token().await;
    let mut ended = std::pin::pin!(socket_end(&mut socket, &mut beat));
    tokio::time::timeout(Duration::from_secs(5), &mut ended).await.expect("it ends with its token");
    fixture.close().await;
}

/// Goes on talking until the other side has closed.
async fn socket_end(socket: &mut Raw, beat: &mut tokio::time::Interval) {
    use tokio::io::AsyncReadExt;
    let (mut read, mut write) = socket.0.split();
    let mut buffer = [0; 1_024];
    loop {
        tokio::select! {
            came = read.read(&mut buffer) => if matches!(came, Ok(0) | Err(_)) { return },
            _ = beat.tick() => if write.write_all(b"\x01\x01").await.is_err() { return },
        }
    }
}

#[tokio::test]
async fn beyond_the_most_connections_further_ones_are_closed_at_once() {
    for door in [
        FrontSettings { max_connections: 1, ..open_door() },
        FrontSettings { max_connections_per_address: 1, ..open_door() },
    ] {
        let fixture = Fixture::open(Setup { door, ..Setup::default() }, |_| {}).await;
        let mut first = fixture.connect().await;
        first.write("GET / HTTP/1.1\r\nhost: x\r\n\r\n").await;
        first.read_until("127.0.0.1").await;
        assert_eq!(fixture.connect().await.read_to_end().await, "");
        first.write("GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await;
        first.read_to_end().await;
        fixture.close().await;
    }
}

#[tokio::test]
async fn a_socket_counts_as_a_connection_to_its_end() {
    for door in [
        FrontSettings { max_connections: 1, ..open_door() },
        FrontSettings { max_connections_per_address: 1, ..open_door() },
    ] {
        let fixture = Fixture::open(Setup { door, ..Setup::default() }, |_| {}).await;
        fixture.key("openai").await;
        let mut socket = open_socket(&fixture).await;
        socket.read_until("\r\n\r\n").await;
        // Said back by the provider: nothing of the HTTP before it is left.
        socket.write("hello").await;
        socket.read_until("hello").await;
        assert_eq!(ask_address(&fixture).await, "");
        drop(socket);
        // The gateway hears of it in its own time.
        while ask_address(&fixture).await.is_empty() {}
        fixture.close().await;
    }
}

/// What a connection is answered that has one request; nothing where it is closed at once.
async fn ask_address(fixture: &Fixture) -> String {
    let mut raw = fixture.connect().await;
    // It may be closed already.
    let _ = raw.0.write_all(b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await;
    raw.read_to_end().await
}

/// Has the origin fail until it is left alone.
async fn have_it_left_alone(fixture: &Fixture) {
    fixture.mock.set_behaviour("openai", "*", Behaviour::status(500)).unwrap();
    let other = fixture.test.workspace("other").await;
    fixture.test.key(&other, "openai").await;
    let token = fixture.test.runtime_token(&other).await;
    let (one, other) = (fixture.client(), fixture.client().with_token(&token));
    // It takes the failures of several workspaces.
    while one.send(Method::GET, MODELS, &json!(null)).await.status != StatusCode::SERVICE_UNAVAILABLE {
        other.send(Method::GET, MODELS, &json!(null)).await;
    }
    fixture.mock.clear_behaviours();
}

#[tokio::test]
async fn a_caller_that_leaves_in_the_middle_of_a_trial_leaves_it_to_the_next_request() {
    let fixture = streaming(patient(), 1, 0).await;
    have_it_left_alone(&fixture).await;
    fixture.mock.set_behaviour("openai", "*", Behaviour { delay_ms: 600_000, ..Behaviour::default() }).unwrap();
    // Whoever is let through has to wait.
    let trial = loop {
        let mut raw = ask(&fixture).await;
        tokio::select! {
            refused = raw.read_until("\r\n\r\n") => assert!(refused.starts_with("HTTP/1.1 503"), "{refused}"),
            _ = fixture.mock.wait_until(|counts| counts.active == 1) => break raw,
        }
    };
    drop(trial);
    fixture.mock.wait_until(|counts| counts.active == 0).await;
    fixture.mock.clear_behaviours();
    assert_eq!(fixture.client().send(Method::GET, MODELS, &json!(null)).await.status, StatusCode::OK);
    fixture.close().await;
}

#[tokio::test]
async fn a_body_that_does_not_come_does_not_keep_others_from_trying_an_origin_again() {
    let fixture = streaming(impatient(), 1, 0).await;
    have_it_left_alone(&fixture).await;
    // The first one that is let through again has no body to send.
    loop {
        let mut raw = fixture.connect().await;
        raw.write(&format!("{}{{", head(&fixture, 100))).await;
        let answer = raw.read_until("error").await;
        if answer.starts_with("HTTP/1.1 408") {
            break;
        }
        assert!(answer.starts_with("HTTP/1.1 503"), "{answer}");
    }
    assert_eq!(fixture.client().send(Method::GET, MODELS, &json!(null)).await.status, StatusCode::OK);
    fixture.close().await;
}

#[tokio::test]
async fn a_url_or_a_head_that_is_too_long_is_refused() {
    let fixture = Fixture::new().await;
    fixture.key("openai").await;
    let long = format!("/gateway/openai/v1/models?x={}", "x".repeat(17 * 1024));
    let answer = fixture.client().send(Method::GET, &long, &json!(null)).await;
    assert_eq!((answer.status.as_u16(), answer.code()), (414, "url_too_long"));
    let mut raw = fixture.connect().await;
    raw.write(&format!("GET /gateway/openai/v1/models HTTP/1.1\r\nhost: x\r\nx-much: {}", "x".repeat(70 * 1024))).await;
    let answer = raw.read_to_end().await;
    assert!(answer.starts_with("HTTP/1.1 431"), "{answer}");
    let mut raw = fixture.connect().await;
    raw.write(&format!("GET / HTTP/1.1\r\nhost: x\r\n{}\r\n", "x-many: x\r\n".repeat(200))).await;
    let answer = raw.read_to_end().await;
    assert!(answer.starts_with("HTTP/1.1 431"), "{answer}");
    fixture.close().await;
}

#[tokio::test]
async fn a_head_that_does_not_come_and_a_connection_that_is_not_used_are_closed() {
    let patience = Patience { head: MOMENT, ..Patience::default() };
    let fixture = Fixture::open(Setup { door: FrontSettings { patience, ..open_door() }, ..Setup::default() }, |_| {});
    let fixture = fixture.await;
    for begun in ["", "G", "GET / HTTP/1.1\r\nhost: x\r\nx-slow: "] {
        let mut raw = fixture.connect().await;
        raw.write(begun).await;
        let answer = raw.read_to_end().await;
        assert!(!answer.contains("127.0.0.1"), "{begun:?}: {answer}");
    }
    let mut used = fixture.connect().await;
    used.write("GET / HTTP/1.1\r\nhost: x\r\n\r\n").await;
    used.read_until("127.0.0.1").await;
    used.read_to_end().await;
    fixture.close().await;
}

#[tokio::test]
async fn a_connection_of_http2_that_is_not_used_is_closed_and_one_that_is_stays() {
    let patience = Patience { look: 2 * MOMENT, ..Patience::default() };
    let fixture = Fixture::open(Setup { door: FrontSettings { patience, ..open_door() }, ..Setup::default() }, |_| {});
    let fixture = fixture.await;
    // Half a preface.
    let mut half = fixture.connect().await;
    half.write("PRI * HTTP").await;
    half.read_to_end().await;
    let behaviour = Behaviour { delay_ms: 1_000, ..Behaviour::default() };
    fixture.key("openai").await;
    fixture.mock.set_behaviour("openai", "*", behaviour).unwrap();
    let io = TokioIo::new(fixture.connect().await.0);
    let (mut sender, connection) = http2::handshake::<_, _, Full<Bytes>>(TokioExecutor::new(), io).await.unwrap();
    let connection = TaskTracker::new().spawn(connection);
    let request = Request::get("http://x/gateway/openai/v1/models")
        .header("authorization", format!("Bearer {}", fixture.token))
        .body(Full::default())
        .unwrap();
    // Several looks long.
    let answer = sender.send_request(request).await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
    answer.into_body().collect().await.unwrap();
    connection.await.unwrap().unwrap();
    fixture.close().await;
}
