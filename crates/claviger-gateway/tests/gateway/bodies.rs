//! Bodies, both ways.

use hyper::Method;
use serde_json::json;

use crate::fixture::Fixture;

fn head(fixture: &Fixture, method: &str, path: &str, more: &str) -> String {
    format!("{method} {path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\n{more}\r\n", fixture.token)
}

#[tokio::test]
async fn a_chunked_body_passes() {
    let fixture = Fixture::new().await;
    fixture.mock.set_recording(true);
    fixture.key("exa").await;
    let mut raw = fixture.connect().await;
    raw.write(&head(&fixture, "POST", "/gateway/exa/x", "transfer-encoding: chunked\r\nconnection: close\r\n")).await;
    raw.write("3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n").await;
    assert!(raw.read_to_end().await.starts_with("HTTP/1.1 200"));
    assert_eq!(fixture.mock.requests().pop().unwrap().body, "abcde");
    fixture.close().await;
}

#[tokio::test]
async fn a_caller_that_waits_for_100_continue_gets_it() {
    let fixture = Fixture::new().await;
    fixture.mock.set_recording(true);
    fixture.key("exa").await;
    let mut raw = fixture.connect().await;
    let more = "content-length: 5\r\nexpect: 100-continue\r\nconnection: close\r\n";
    raw.write(&head(&fixture, "POST", "/gateway/exa/x", more)).await;
    raw.read_until("HTTP/1.1 100 Continue\r\n\r\n").await;
    raw.write("abcde").await;
    assert!(raw.read_to_end().await.contains("HTTP/1.1 200"));
    let recorded = fixture.mock.requests().pop().unwrap();
    assert_eq!(recorded.body, "abcde");
    assert_eq!(recorded.header("expect"), None);
    fixture.close().await;
}

#[tokio::test]
async fn a_head_request_has_an_answer_without_a_body() {
    let fixture = Fixture::new().await;
    fixture.key("exa").await;
    let mut raw = fixture.connect().await;
    raw.write(&head(&fixture, "HEAD", "/gateway/exa/x", "")).await;
    raw.write(&head(&fixture, "GET", "/gateway/exa/x", "connection: close\r\n")).await;
    let answers = raw.read_to_end().await;
    // The second answer follows the first one's head at once.
    let (first, second) = answers.split_once("\r\n\r\n").unwrap();
    assert!(first.starts_with("HTTP/1.1 200") && second.starts_with("HTTP/1.1 200"), "{answers}");
    fixture.close().await;
}

#[tokio::test]
async fn pieces_of_a_stream_leave_as_they_come() {
    let fixture = Fixture::new().await;
    fixture.key("openai").await;
    let mut raw = fixture.connect().await;
    let body = json!({"model": "m", "stream": true, "messages": [{"role": "user", "content": "hi"}]}).to_string();
    // The gap is longer than any test waits: what is read was sent before the stream went on.
    let more = format!("x-mock-chunks: 3\r\nx-mock-gap-ms: 600000\r\ncontent-length: {}\r\n", body.len());
    raw.write(&head(&fixture, "POST", "/gateway/openai/v1/chat/completions", &more)).await;
    raw.write(&body).await;
    let seen = raw.read_until("data: {").await;
    assert!(seen.contains("text/event-stream"), "{seen}");
    assert_eq!(fixture.mock.counts().active, 1);
    drop(raw);
    fixture.mock.wait_until(|counts| counts.cancelled == 1 && counts.active == 0).await;
    fixture.close().await;
}

#[tokio::test]
async fn a_large_body_streams_through_beyond_what_is_held_in_memory() {
    let fixture = Fixture::new().await;
    fixture.key("exa").await;
    let body = json!({"text": "x".repeat(20 * 1024 * 1024)});
    let answer = fixture.client().send(Method::POST, "/gateway/exa/x", &body).await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.json["body_bytes"], body.to_string().len());
    fixture.close().await;
}

#[tokio::test]
async fn an_upgraded_connection_passes_bytes_both_ways() {
    let fixture = Fixture::new().await;
    fixture.key("openai").await;
    let mut raw = fixture.connect().await;
    let more = "connection: Upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\n\
                sec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA==\r\n";
    raw.write(&head(&fixture, "GET", "/gateway/openai/v1/realtime", more)).await;
    let answer = raw.read_until("\r\n\r\n").await.to_ascii_lowercase();
    assert!(answer.starts_with("http/1.1 101"), "{answer}");
    assert!(answer.contains("upgrade: websocket") && answer.contains("x-claviger-key-id: key_"), "{answer}");
    raw.write("there and back").await;
    raw.read_until("there and back").await;
    drop(raw);
    fixture.close().await;
}

#[tokio::test]
async fn cookies_receipts_and_headers_of_the_connection_do_not_come_back() {
    use claviger_mock_provider::Behaviour;

    let fixture = Fixture::new().await;
    fixture.key("exa").await;
    let behaviour = Behaviour::status(307)
        .with_header("set-cookie", "a=b")
        .with_header("location", "https://elsewhere.example/")
        .with_header("x-request-id", "theirs")
        .with_header("x-claviger-scope", "theirs")
        .with_header("x-claviger-not-retried", "theirs")
        .with_header("keep-alive", "timeout=5");
    fixture.mock.set_behaviour("exa", "*", behaviour).unwrap();
    let answer = fixture.client().send(Method::GET, "/gateway/exa/x", &json!(null)).await;
    assert_eq!(answer.status, 307);
    assert_eq!(answer.header("location"), "https://elsewhere.example/");
    assert_eq!(answer.header("x-request-id"), "theirs");
    assert_eq!((answer.header("set-cookie"), answer.header("keep-alive")), ("", ""));
    let receipt = (answer.header("x-claviger-scope"), answer.header("x-claviger-not-retried"));
    assert_eq!(receipt, ("workspace", ""), "no provider writes one");
    fixture.close().await;
}
