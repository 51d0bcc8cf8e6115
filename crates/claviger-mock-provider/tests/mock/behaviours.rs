use std::time::{Duration, Instant};

use claviger_mock_provider::{ANY_KEY, Behaviour};
use serde_json::json;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use crate::client::{KEY, get, post, request, send, start, try_send};

#[tokio::test]
async fn a_request_without_a_key_is_refused_in_the_providers_shape() {
    let mock = start().await;
    let refused = async |path: &str| {
        let mut request = request(&mock, "POST", path, "{}");
        request.headers_mut().remove("authorization");
        let reply = send(request).await;
        assert_eq!(reply.status, 401);
        reply.json()["error"].clone()
    };
    assert_eq!(refused("/openai/v1/chat/completions").await["code"], "invalid_api_key");
    assert_eq!(refused("/anthropic/v1/messages").await["type"], "authentication_error");
    assert_eq!(refused("/google/v1beta/models/m:generateContent").await["status"], "UNAUTHENTICATED");
    assert!(refused("/serper/search").await.is_string());
    assert_eq!(mock.counts().of("openai", ""), 1);
}

#[tokio::test]
async fn a_limited_key_is_refused_as_often_as_told() {
    let mock = start().await;
    let limited = Behaviour::status(429).with_header("retry-after", "2").times(1);
    mock.set_behaviour("openai", KEY, limited).unwrap();
    let reply = get(&mock, "/openai/v1/models").await;
    assert_eq!((reply.status.as_u16(), &reply.headers["retry-after"]), (429, &"2".parse().unwrap()));
    assert_eq!(reply.json()["error"]["code"], "rate_limit_exceeded");
    assert_eq!(get(&mock, "/openai/v1/models").await.status, 200);
    assert_eq!(get(&mock, "/anthropic/v1/models").await.status, 200);
}

#[tokio::test]
async fn a_body_of_ones_own_is_sent_as_it_is() {
    let mock = start().await;
    mock.set_behaviour("xai", ANY_KEY, Behaviour::status(403).with_body("no <b>access</b>")).unwrap();
    let reply = get(&mock, "/xai/v1/models").await;
    assert_eq!((reply.status.as_u16(), reply.text()), (403, "no <b>access</b>"));
    assert!(reply.headers["content-type"].to_str().unwrap().starts_with("text/plain"));

    mock.set_behaviour("xai", KEY, Behaviour::default().with_body(json!({"a": [1]}))).unwrap();
    let reply = get(&mock, "/xai/v1/models").await;
    assert_eq!((reply.status.as_u16(), reply.json()), (200, json!({"a": [1]})));

    mock.set_behaviour("xai", KEY, Behaviour::status(204)).unwrap();
    assert_eq!(get(&mock, "/xai/v1/models").await.status, 204);
    assert_eq!(mock.wait_until(|counts| counts.active == 0).await.cancelled, 0);
}

#[tokio::test]
async fn headers_alone_are_added_to_the_normal_answer() {
    let mock = start().await;
    mock.set_behaviour("openai", KEY, Behaviour::default().with_header("x-ratelimit-remaining-requests", "0")).unwrap();
    let reply = get(&mock, "/openai/v1/models").await;
    assert_eq!((reply.status.as_u16(), &reply.headers["x-ratelimit-remaining-requests"]), (200, &"0".parse().unwrap()));
    assert_eq!(reply.json()["object"], "list");
}

#[tokio::test]
async fn a_cut_stream_ends_in_an_error() {
    let mock = start().await;
    let body = json!({"stream": true, "messages": [{"role": "user", "content": "hi"}]}).to_string();
    for cut_after_bytes in [0, 1, 600] {
        let cut = Behaviour { cut_after_bytes: Some(cut_after_bytes), ..Behaviour::default() };
        mock.set_behaviour("openai", KEY, cut).unwrap();
        for http2 in [false, true] {
            let stream = request(&mock, "POST", "/openai/v1/chat/completions", body.clone());
            assert!(try_send(stream, http2).await.is_err(), "after {cut_after_bytes}");
            let plain = request(&mock, "GET", "/openai/v1/models", "");
            let is_shorter = cut_after_bytes == 600;
            assert_eq!(try_send(plain, http2).await.is_ok(), is_shorter, "after {cut_after_bytes}");
        }
    }
    assert_eq!(mock.wait_until(|counts| counts.active == 0).await.cancelled, 0);
}

#[tokio::test]
async fn what_comes_before_the_cut_arrives() {
    use http_body_util::BodyExt;
    use hyper_util::client::legacy::Client;
    use hyper_util::rt::TokioExecutor;

    let mock = start().await;
    mock.set_behaviour("openai", KEY, Behaviour { cut_after_bytes: Some(7), ..Behaviour::default() }).unwrap();
    let client = Client::builder(TokioExecutor::new()).build_http();
    let mut response = client.request(request(&mock, "GET", "/openai/v1/models", "")).await.unwrap();
    let first = response.frame().await.unwrap().unwrap().into_data().unwrap();
    assert_eq!(first, r#"{"objec"#);
    assert!(response.frame().await.unwrap().is_err());
}

#[tokio::test]
async fn a_delayed_answer_comes_late() {
    let mock = start().await;
    mock.set_behaviour("openai", KEY, Behaviour { delay_ms: 30, ..Behaviour::default() }).unwrap();
    let asked = Instant::now();
    assert_eq!(get(&mock, "/openai/v1/models").await.status, 200);
    assert!(asked.elapsed() >= Duration::from_millis(30));
}

#[tokio::test]
async fn the_behaviour_sets_the_pace_of_a_stream() {
    let mock = start().await;
    let paced = Behaviour { chunks: Some(3), gap_ms: Some(5), ..Behaviour::default() };
    mock.set_behaviour("anthropic", KEY, paced).unwrap();
    let asked = Instant::now();
    let body = json!({"stream": true, "messages": [{"role": "user", "content": "hi"}]});
    let events = post(&mock, "/anthropic/v1/messages", &body).await.events();
    assert_eq!(events.iter().filter(|event| event["type"] == "content_block_delta").count(), 3);
    // Eight events have seven gaps.
    assert!(asked.elapsed() >= Duration::from_millis(35));
}

async fn leave_after_sending(mock: &claviger_mock_provider::MockProvider, body: &str) {
    let mut stream = TcpStream::connect(mock.addr()).await.unwrap();
    let request = format!(
        "POST /openai/v1/chat/completions HTTP/1.1\r\nhost: mock\r\nx-api-key: {KEY}\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    mock.wait_until(|counts| counts.of("openai", KEY) == 1 && counts.active == 1).await;
    drop(stream);
    let counts = mock.wait_until(|counts| counts.cancelled == 1).await;
    assert_eq!(mock.wait_until(|counts| counts.active == 0).await.counts, counts.counts);
}

#[tokio::test]
async fn a_client_that_leaves_a_silent_provider_is_counted() {
    let mock = start().await;
    mock.set_behaviour("openai", KEY, Behaviour { never_answer: true, ..Behaviour::default() }).unwrap();
    leave_after_sending(&mock, "{}").await;
}

#[tokio::test]
async fn a_client_that_leaves_in_the_middle_of_a_stream_is_counted() {
    let mock = start().await;
    mock.set_behaviour("openai", KEY, Behaviour { gap_ms: Some(3_600_000), ..Behaviour::default() }).unwrap();
    leave_after_sending(&mock, r#"{"stream":true,"messages":[]}"#).await;
}

#[tokio::test]
async fn answers_that_reach_their_end_are_not_cancelled() {
    let mock = start().await;
    get(&mock, "/openai/v1/models").await;
    post(&mock, "/openai/v1/chat/completions", &json!({"stream": true, "messages": []})).await;
    send(request(&mock, "HEAD", "/serper/search", "")).await;
    let counts = mock.wait_until(|counts| counts.active == 0).await;
    assert_eq!((counts.of_provider("openai"), counts.cancelled), (2, 0));
}
