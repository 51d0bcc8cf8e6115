use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use claviger_mock_provider::MockProvider;
use http::HeaderValue;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::client::{KEY, get, request, send, start, try_send};

#[tokio::test]
async fn an_unknown_endpoint_is_echoed_without_secrets() {
    let mock = start().await;
    let mut request = request(&mock, "PUT", "/exa/search/x?q=a&api_key=key-2&page=2", "12345");
    request.headers_mut().insert("content-type", HeaderValue::from_static("text/x-any"));
    let reply = send(request).await;
    assert_eq!(
        reply.json(),
        json!({"provider": "exa", "method": "PUT", "path": "/search/x", "query": "q=a&page=2",
            "body_bytes": 5, "content_type": "text/x-any"})
    );
}

#[tokio::test]
async fn head_has_the_headers_of_get_and_no_body() {
    let mock = start().await;
    for http2 in [false, true] {
        let head = try_send(request(&mock, "HEAD", "/exa/search", ""), http2).await.unwrap();
        assert_eq!(head.status, 200);
        assert_ne!(head.headers["content-length"], "0");
        assert!(head.body.is_empty());
    }
}

#[tokio::test]
async fn a_path_without_a_provider_is_not_found() {
    let mock = start().await;
    assert_eq!(get(&mock, "/").await.status, 404);
}

#[tokio::test]
async fn http_2_is_spoken_without_tls() {
    let mock = start().await;
    let body = json!({"stream": true, "messages": [{"role": "user", "content": "hi"}]}).to_string();
    let reply = try_send(request(&mock, "POST", "/openai/v1/chat/completions", body), true).await.unwrap();
    assert!(reply.text().ends_with("data: [DONE]\n\n"));
}

#[tokio::test]
async fn a_body_beyond_what_is_kept_is_read_and_counted() {
    let mock = start().await;
    let length = (64 << 20) + 5;
    let reply = send(request(&mock, "POST", "/firecrawl/v2/any", vec![b'a'; length])).await;
    assert_eq!(reply.json()["body_bytes"], length);
    let chat = send(request(&mock, "POST", "/openai/v1/chat/completions", vec![b' '; length])).await;
    assert_eq!(chat.status, 413);
}

/// Upgrades, and returns the socket and the head of the answer.
async fn upgrade(mock: &MockProvider) -> (TcpStream, String) {
    let mut stream = TcpStream::connect(mock.addr()).await.unwrap();
    let request = format!(
        "GET /openai/v1/realtime?model=m-1 HTTP/1.1\r\nhost: mock\r\nauthorization: Bearer {KEY}\r\n\
         connection: Upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\n\
         sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\nsec-websocket-protocol: insecure-key.{KEY}, realtime\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.unwrap());
    }
    (stream, String::from_utf8(head).unwrap().to_ascii_lowercase())
}

#[tokio::test]
async fn a_websocket_says_back_what_it_hears() {
    let mock = start().await;
    let (mut stream, answer) = upgrade(&mock).await;
    assert!(answer.starts_with("http/1.1 101 "), "{answer}");
    assert!(answer.contains("sec-websocket-accept: s3pplmbitxaq9kygzzhzrbk+xoo=\r\n"), "{answer}");
    assert!(answer.contains("sec-websocket-protocol: realtime\r\n"), "{answer}");
    // A masked text, in two writes, and a close.
    stream.write_all(&[0x81, 0x82, 1, 2, 3, 4, b'h' ^ 1]).await.unwrap();
    stream.write_all(&[b'i' ^ 2, 0x88, 0x80, 0, 0, 0, 0]).await.unwrap();
    let mut heard = Vec::new();
    stream.read_to_end(&mut heard).await.unwrap();
    assert_eq!(heard, [0x81, 2, b'h', b'i', 0x88, 0]);
    assert_eq!(mock.wait_until(|counts| counts.active == 0).await.cancelled, 0);
}

#[tokio::test]
async fn plain_bytes_after_an_upgrade_come_back_as_they_are() {
    let mock = start().await;
    let (mut stream, _) = upgrade(&mock).await;
    for words in ["hello", "!"] {
        stream.write_all(words.as_bytes()).await.unwrap();
        let mut heard = vec![0; words.len()];
        stream.read_exact(&mut heard).await.unwrap();
        assert_eq!(heard, words.as_bytes());
    }
}

#[tokio::test]
async fn stopping_frees_the_port_and_breaks_connections_off() {
    let mock = start().await;
    let (mut open, _) = upgrade(&mock).await;
    let addr = mock.addr();
    mock.shutdown().await;
    assert!(TcpStream::connect(addr).await.is_err());
    assert!(matches!(open.read(&mut [0; 8]).await, Ok(0) | Err(_)));
}

/// The mock as a process, which ends with the test.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _already_gone = self.0.kill();
        let _ended = self.0.wait();
    }
}

#[test]
fn the_binary_says_where_it_listens_and_shares_its_books_between_threads() {
    let binary = env!("CARGO_BIN_EXE_claviger-mock-provider");
    let child = Command::new(binary).args(["--listen", "127.0.0.1:0", "--threads", "2"]).stdout(Stdio::piped()).spawn();
    let mut process = Process(child.unwrap());
    let mut line = String::new();
    BufReader::new(process.0.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let origin = line.trim_end().strip_prefix("listening on ").unwrap();

    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let get = async |path: &str| {
            let request = http::Request::get(format!("{origin}{path}")).header("x-api-key", KEY);
            send(request.body(http_body_util::Full::default()).unwrap()).await.json()
        };
        // Each request has a connection of its own, so the kernel spreads them over both threads.
        for _ in 0..20 {
            get("/openai/v1/models").await;
        }
        assert_eq!(get("/_mock/counts").await["counts"][0]["requests"], 20);
    });
}
