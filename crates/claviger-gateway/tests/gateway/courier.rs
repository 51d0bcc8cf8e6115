//! Events on their way to webhooks, over real sockets.

use std::net::SocketAddr;
use std::time::Duration;

use claviger_app::webhooks::{Courier, CourierError};
use claviger_core::net::{OutOfReach, Reach};
use claviger_core::webhook::WebhookUrl;
use claviger_gateway::GatewayCourier;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// Takes connections, keeps what the first one says until a JSON object ends, and answers this.
struct Receiver {
    address: SocketAddr,
    receiving: JoinSet<String>,
}

impl Receiver {
    async fn answering(answer: impl Into<Vec<u8>>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let answer = answer.into();
        let mut receiving = JoinSet::new();
        receiving.spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let request = read_request(&mut stream).await;
            // Who does not read to the end may close before.
            let _ = stream.write_all(&answer).await;
            request
        });
        Self { address, receiving }
    }

    fn url(&self, scheme: &str, host: &str, path: &str) -> WebhookUrl {
        format!("{scheme}://{host}:{}{path}", self.address.port()).parse().unwrap()
    }

    async fn request(mut self) -> String {
        self.receiving.join_next().await.unwrap().unwrap()
    }

    /// Whether anybody has connected.
    async fn stays_alone(mut self) -> bool {
        tokio::time::timeout(Duration::from_millis(100), self.receiving.join_next()).await.is_err()
    }
}

async fn read_request(stream: &mut TcpStream) -> String {
    let mut read = Vec::new();
    while !read.ends_with(b"}") && stream.read_buf(&mut read).await.is_ok_and(|length| length > 0) {}
    String::from_utf8_lossy(&read).into_owned()
}

fn courier(listed: &[&str]) -> GatewayCourier {
    GatewayCourier::new(Reach::new(listed.iter().copied()).unwrap()).unwrap()
}

async fn send(courier: &GatewayCourier, url: &WebhookUrl) -> Result<u16, CourierError> {
    courier.send(url, &[("webhook-id", "evt_1".to_owned())], r#"{"type":"key.rejected"}"#.to_owned()).await
}

#[tokio::test]
async fn an_event_is_posted_to_a_listed_host_by_its_name_and_by_its_address() {
    let courier = courier(&["localhost", "127.0.0.1"]);
    for host in ["127.0.0.1", "localhost"] {
        let receiver = Receiver::answering("HTTP/1.1 204 No Content\r\n\r\n").await;
        let url = receiver.url("http", host, "/hooks?a=b");
        assert_eq!(send(&courier, &url).await, Ok(204), "{host}");
        let authority = format!("{host}:{}", receiver.address.port());
        let request = receiver.request().await;
        let expected = format!(
            "POST /hooks?a=b HTTP/1.1\r\nhost: {authority}\r\nuser-agent: claviger\r\ncontent-type: application/json\r\n\
             connection: close\r\nwebhook-id: evt_1\r\ncontent-length: 23\r\n\r\n{{\"type\":\"key.rejected\"}}"
        );
        assert_eq!(request, expected);
    }
}

#[tokio::test]
async fn nothing_is_sent_to_this_machine_unless_it_is_listed() {
    for (listed, scheme, host, refused) in [
        (&[][..], "http", "127.0.0.1", OutOfReach::NotHttps),
        (&[], "https", "127.0.0.1", OutOfReach::Internal),
        (&[], "https", "localhost", OutOfReach::Internal),
        (&["localhost"], "https", "127.0.0.1", OutOfReach::Internal),
        (&["127.0.0.1:1"], "https", "127.0.0.1", OutOfReach::Internal),
    ] {
        let receiver = Receiver::answering("HTTP/1.1 200 OK\r\n\r\n").await;
        let sent = send(&courier(listed), &receiver.url(scheme, host, "/")).await;
        assert_eq!(sent, Err(CourierError::OutOfReach(refused)), "{scheme}://{host}");
        assert!(receiver.stays_alone().await, "{scheme}://{host}");
    }
}

#[tokio::test]
async fn no_other_way_to_write_an_internal_address_leads_there() {
    for host in [
        "2130706433",
        "127.1",
        "0x7f000001",
        "0177.0.0.1",
        "0",
        "0.0.0.0",
        "[::]",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "[::127.0.0.1]",
        "[64:ff9b::7f00:1]",
        "localhost.",
        "LOCALHOST",
    ] {
        let receiver = Receiver::answering("HTTP/1.1 200 OK\r\n\r\n").await;
        // Some of these are no address to begin with, and some names lead nowhere.
        if let Ok(url) = format!("https://{host}:{}/", receiver.address.port()).parse::<WebhookUrl>() {
            let sent = send(&courier(&[]), &url).await;
            let refused = [CourierError::OutOfReach(OutOfReach::Internal), CourierError::NoAddress];
            assert!(sent.as_ref().is_err_and(|error| refused.contains(error)), "{host}: {sent:?}");
        }
        assert!(receiver.stays_alone().await, "{host}");
    }
}

#[tokio::test]
async fn a_redirect_is_an_answer_and_not_a_way() {
    let elsewhere = Receiver::answering("HTTP/1.1 200 OK\r\n\r\n").await;
    let location = elsewhere.url("http", "127.0.0.1", "/elsewhere");
    let answer =
        format!("HTTP/1.1 307 Temporary Redirect\r\nlocation: {}\r\ncontent-length: 0\r\n\r\n", location.as_str());
    let receiver = Receiver::answering(answer).await;
    assert_eq!(send(&courier(&["127.0.0.1"]), &receiver.url("http", "127.0.0.1", "/")).await, Ok(307));
    assert!(elsewhere.stays_alone().await);
}

#[tokio::test]
async fn an_answer_whose_body_is_long_or_never_ends_is_its_status() {
    let endless = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\nx\r\n".to_owned();
    let long = format!("HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\n{}", "x".repeat(1_000_000));
    for answer in [endless, long] {
        let receiver = Receiver::answering(answer).await;
        assert_eq!(send(&courier(&["127.0.0.1"]), &receiver.url("http", "127.0.0.1", "/")).await, Ok(200));
    }
}

#[tokio::test]
async fn what_does_not_answer_as_a_webhook_fails_with_its_reason() {
    let courier = courier(&["127.0.0.1", "nowhere.invalid"]);
    for answer in ["", "nonsense\r\n\r\n", "HTTP/1.1 200"] {
        let receiver = Receiver::answering(answer).await;
        let sent = send(&courier, &receiver.url("http", "127.0.0.1", "/")).await;
        assert_eq!(sent, Err(CourierError::BrokenOff), "{answer:?}");
    }
    let receiver = Receiver::answering("HTTP/1.1 200 OK\r\n\r\n").await;
    let closed = receiver.url("http", "127.0.0.1", "/");
    drop(receiver);
    assert_eq!(send(&courier, &closed).await, Err(CourierError::Unreachable));
    let unknown = "http://nowhere.invalid/".parse().unwrap();
    assert_eq!(send(&courier, &unknown).await, Err(CourierError::NoAddress));
}
