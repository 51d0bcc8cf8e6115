//! Events as a receiver gets them, from a real server.

use std::collections::BTreeMap;
use std::fs;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use claviger_mock_provider::{Behaviour, MockProvider};
use claviger_testkit::{Deployment, Running, random_secret};
use data_encoding::BASE64;
use hmac::{Hmac, KeyInit, Mac};
use hyper::Method;
use serde_json::{Value, json};
use sha2::Sha256;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;

use crate::tls::Authority;
use crate::{acme, behind, mock, soon};

const WEBHOOKS: &str = "/api/workspaces/acme/webhooks";
const MODELS: &str = "/gateway/openai/v1/models";

/// What one request brought.
#[derive(Clone, Debug)]
struct Received {
    /// The first line.
    line: String,
    /// The headers, by their names in lower case.
    headers: BTreeMap<String, String>,
    body: String,
}

impl Received {
    /// Checks the signature as the specification says, and answers the event.
    fn verified(&self, secret: &str) -> Value {
        let key = BASE64.decode(secret.strip_prefix("whsec_").unwrap().as_bytes()).unwrap();
        let (id, timestamp) = (&self.headers["webhook-id"], &self.headers["webhook-timestamp"]);
        let mut mac = Hmac::<Sha256>::new_from_slice(&key).unwrap();
        mac.update(format!("{id}.{timestamp}.{}", self.body).as_bytes());
        let expected = format!("v1,{}", BASE64.encode(&mac.finalize().into_bytes()));
        assert_eq!(self.headers["webhook-signature"], expected);
        serde_json::from_str(&self.body).unwrap()
    }
}

/// Receives events, and answers each with the next of these statuses, and then with 204.
struct Receiver {
    address: SocketAddr,
    received: Arc<Mutex<Vec<Received>>>,
    _receiving: JoinSet<()>,
}

impl Receiver {
    async fn start(statuses: &'static [u16]) -> Self {
        Self::listen(statuses, None).await
    }

    async fn with_tls(tls: ServerConfig) -> Self {
        Self::listen(&[], Some(TlsAcceptor::from(Arc::new(tls)))).await
    }

    async fn listen(statuses: &'static [u16], tls: Option<TlsAcceptor>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let received = Arc::<Mutex<Vec<Received>>>::default();
        let books = Arc::clone(&received);
        let mut receiving = JoinSet::new();
        receiving.spawn(async move {
            let mut statuses = statuses.iter();
            while let Ok((mut stream, _)) = listener.accept().await {
                let Some(tls) = &tls else {
                    take(&mut stream, &books, *statuses.next().unwrap_or(&204)).await;
                    continue;
                };
                // Who does not trust the certificate leaves here.
                if let Ok(mut stream) = tls.accept(stream).await {
                    take(&mut stream, &books, *statuses.next().unwrap_or(&204)).await;
                }
            }
        });
        Self { address, received, _receiving: receiving }
    }

    fn url(&self) -> String {
        format!("http://{}/hooks/claviger", self.address)
    }

    /// What was received once there are so many.
    async fn received(&self, many: usize) -> Vec<Received> {
        for _ in 0..1_500 {
            let received = self.received.lock().unwrap().clone();
            if received.len() >= many {
                return received;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("{many} events did not come: {:?}", self.received.lock().unwrap());
    }
}

async fn take(stream: &mut (impl AsyncRead + AsyncWrite + Unpin), books: &Mutex<Vec<Received>>, status: u16) {
    let request = read(stream).await;
    books.lock().unwrap().push(request);
    let answer = format!("HTTP/1.1 {status} as told\r\ncontent-length: 0\r\n\r\n");
    stream.write_all(answer.as_bytes()).await.unwrap();
    stream.flush().await.unwrap();
}

async fn read(stream: &mut (impl AsyncRead + Unpin)) -> Received {
    let mut read = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&read).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let mut lines = head.lines();
            let line = lines.next().unwrap().to_owned();
            let headers = lines.map(|line| line.split_once(": ").unwrap());
            let headers: BTreeMap<_, _> =
                headers.map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned())).collect();
            if body.len() == headers["content-length"].parse::<usize>().unwrap() {
                return Received { line, headers, body: body.to_owned() };
            }
        }
        assert!(stream.read_buf(&mut read).await.unwrap() > 0, "broke off: {text}");
    }
}

/// A server that may tell this receiver.
fn deployment(mock: &MockProvider, receiver: &Receiver) -> Deployment {
    let host = receiver.address.to_string();
    behind(mock, &["openai"]).with("CLAVIGER_WEBHOOKS__ALLOWED_HOSTS", &host).with("CLAVIGER_LOG__LEVEL", "trace")
}

async fn webhook(server: &Running, body: &Value) -> String {
    let made = server.done(Method::POST, WEBHOOKS, body).await;
    made["secret"].as_str().unwrap().to_owned()
}

/// Has the provider refuse the key, twice.
async fn refuse(server: &Running, mock: &MockProvider, token: &str, secret: &str) {
    mock.set_behaviour("openai", secret, Behaviour::status(401)).unwrap();
    for _ in 0..2 {
        server.client(token).send(Method::GET, MODELS, &Value::Null).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rejected_key_and_its_recovery_are_told_with_a_signature_that_holds() {
    let (mock, hook) = (mock().await, Receiver::start(&[]).await);
    let mut server = deployment(&mock, &hook).serve();
    let key = random_secret();
    let token = acme(&server, "openai", std::slice::from_ref(&key)).await;
    let secret = webhook(&server, &json!({"url": hook.url()})).await;
    let id = server.keys("acme").await[0]["id"].clone();
    refuse(&server, &mock, &token, &key).await;

    let received = hook.received(2).await;
    let mut events: Vec<_> = received.iter().map(|received| received.verified(&secret)).collect();
    events.sort_by_key(|event| event["type"].to_string());
    assert_eq!(events.iter().map(|event| &event["type"]).collect::<Vec<_>>(), ["key.rejected", "pool.unavailable"]);
    let rejected = &events[0]["data"];
    assert_eq!((&rejected["workspaceId"], &rejected["providerId"]), (&json!("acme"), &json!("openai")));
    assert_eq!(rejected["keyId"], id);
    assert!(received.iter().all(|received| received.line == "POST /hooks/claviger HTTP/1.1"), "{received:?}");
    assert!(received.iter().all(|received| received.headers["content-type"] == "application/json"));

    mock.clear_behaviours();
    let test = format!("/api/workspaces/acme/byok-keys/{}/test", id.as_str().unwrap());
    assert_eq!(server.done(Method::POST, &test, &Value::Null).await["result"], "valid");
    let received = hook.received(3).await;
    let recovered = received[2].verified(&secret);
    assert_eq!((&recovered["type"], &recovered["data"]["keyId"]), (&json!("key.recovered"), &id));

    server.process.kill();
    let log = server.process.stderr();
    for hidden in [&secret[6..], &key, "/hooks/claviger"] {
        assert!(!log.contains(hidden), "the log holds {hidden}");
        assert!(received.iter().all(|received| !received.body.contains(hidden)), "an event holds {hidden}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_that_was_not_taken_comes_again_also_from_the_next_server() {
    let (mock, hook) = (mock().await, Receiver::start(&[500]).await);
    let deployment = deployment(&mock, &hook);
    let mut server = deployment.serve();
    let key = random_secret();
    let token = acme(&server, "openai", std::slice::from_ref(&key)).await;
    let secret = webhook(&server, &json!({"url": hook.url(), "events": ["key.rejected"]})).await;
    refuse(&server, &mock, &token, &key).await;
    let first = hook.received(1).await;
    soon("the pause", async || server.process.stderr().contains("it is tried again").then_some(())).await;
    server.process.kill();
    let _server = deployment.serve();
    let received = hook.received(2).await;
    for received in first.iter().chain(&received) {
        assert_eq!(received.verified(&secret)["type"], "key.rejected");
        assert_eq!(received.headers["webhook-id"], first[0].headers["webhook-id"]);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn over_tls_an_event_reaches_the_host_that_it_is_for_and_nobody_else() {
    let authority = Authority::new();
    let mock = mock().await;
    let right = Receiver::with_tls(authority.server("localhost", &["http/1.1"])).await;
    let of_another_name = Receiver::with_tls(authority.server("other.example", &["http/1.1"])).await;
    let of_a_stranger = Receiver::with_tls(Authority::new().server("localhost", &["http/1.1"])).await;
    let deployment = behind(&mock, &["openai"]).with("CLAVIGER_WEBHOOKS__ALLOWED_HOSTS", "localhost");
    let roots = deployment.folder().join("roots.pem");
    fs::write(&roots, authority.0.pem()).unwrap();
    let mut server = deployment.with("SSL_CERT_FILE", roots.to_str().unwrap()).serve();
    let key = random_secret();
    let token = acme(&server, "openai", std::slice::from_ref(&key)).await;
    let mut secrets = Vec::new();
    for hook in [&right, &of_another_name, &of_a_stranger] {
        let url = format!("https://localhost:{}/hooks", hook.address.port());
        secrets.push(webhook(&server, &json!({"url": url, "events": ["key.rejected"]})).await);
    }
    refuse(&server, &mock, &token, &key).await;
    let received = right.received(1).await;
    assert_eq!(received[0].verified(&secrets[0])["type"], "key.rejected");
    let failed = async || {
        let log = server.process.stderr();
        (log.matches("its certificate is not trusted").count() == 2).then_some(())
    };
    soon("refusals of the other two", failed).await;
    assert!(of_another_name.received.lock().unwrap().is_empty() && of_a_stranger.received.lock().unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn this_machine_is_told_nothing_unless_it_is_listed() {
    let (mock, hook) = (mock().await, Receiver::start(&[]).await);
    let server = behind(&mock, &["openai"]).serve();
    acme(&server, "openai", &[]).await;
    let port = hook.address.port();
    for url in [
        hook.url(),
        format!("https://127.0.0.1:{port}/"),
        format!("https://localhost:{port}/"),
        format!("https://[::ffff:127.0.0.1]:{port}/"),
        "https://169.254.169.254/latest/meta-data".to_owned(),
    ] {
        let refused = server.root.send(Method::POST, WEBHOOKS, &json!({"url": url})).await;
        assert_eq!((refused.status.as_u16(), refused.code()), (400, "invalid_url"), "{url}");
    }
}
