//! TLS as callers meet it.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use claviger_gateway::{Certificate, CertificateError, FrontSettings, Patience};
use http_body_util::{BodyExt, Empty};
use hyper::client::conn::{http1, http2};
use hyper::{Request, StatusCode, Version};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rcgen::{CertifiedKey, KeyPair, generate_simple_self_signed};
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, RootCertStore, SupportedProtocolVersion};
use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_util::task::TaskTracker;

use crate::fixture::{Fixture, Setup, open_door};
use crate::slow::{impatient, is_not_waited_for};

/// Files as an operator has them.
struct Files {
    folder: TempDir,
}

impl Files {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    fn chain(&self) -> PathBuf {
        self.folder.path().join("cert.pem")
    }

    fn key(&self) -> PathBuf {
        self.folder.path().join("key.pem")
    }

    /// Puts a new certificate into them, which signs itself.
    fn renew(&self) -> CertificateDer<'static> {
        let CertifiedKey { cert, signing_key } = generate_simple_self_signed(["claviger.example".to_owned()]).unwrap();
        fs::write(self.chain(), cert.pem()).unwrap();
        fs::write(self.key(), signing_key.serialize_pem()).unwrap();
        cert.der().clone()
    }

    fn read(&self) -> Result<Certificate, CertificateError> {
        Certificate::read(self.chain(), self.key())
    }
}

async fn fixture(certificate: &Arc<Certificate>) -> Fixture {
    let door = FrontSettings { certificate: Some(Arc::clone(certificate)), ..open_door() };
    let fixture = Fixture::open(Setup { door, ..Setup::default() }, |_| {}).await;
    fixture.key("openai").await;
    fixture
}

/// Connects as one who trusts this certificate alone.
async fn connect(
    fixture: &Fixture,
    trusted: &CertificateDer<'static>,
    versions: &[&'static SupportedProtocolVersion],
    protocol: &str,
) -> std::io::Result<TlsStream<TcpStream>> {
    let mut roots = RootCertStore::empty();
    roots.add(trusted.clone()).unwrap();
    let provider = Arc::new(aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_protocol_versions(versions).unwrap();
    let mut config = config.with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = vec![protocol.as_bytes().to_vec()];
    let name = ServerName::try_from("claviger.example").unwrap();
    let stream = TcpStream::connect(fixture.address()).await.unwrap();
    TlsConnector::from(Arc::new(config)).connect(name, stream).await
}

fn request(fixture: &Fixture, url: &str) -> Request<Empty<Bytes>> {
    let authorization = format!("Bearer {}", fixture.token);
    Request::get(url).header("host", "x").header("authorization", authorization).body(Empty::new()).unwrap()
}

#[tokio::test]
async fn callers_speak_either_http_over_either_tls() {
    let files = Files::new();
    let trusted = files.renew();
    let fixture = fixture(&Arc::new(files.read().unwrap())).await;
    let tasks = TaskTracker::new();
    for versions in [&TLS12, &TLS13].map(|version| [version]) {
        let stream = connect(&fixture, &trusted, &versions, "http/1.1").await.unwrap();
        assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"http/1.1"[..]));
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.unwrap();
        tasks.spawn(connection);
        let answer = sender.send_request(request(&fixture, "/gateway/openai/v1/models")).await.unwrap();
        assert_eq!((answer.status(), answer.version()), (StatusCode::OK, Version::HTTP_11));
        assert!(!answer.into_body().collect().await.unwrap().to_bytes().is_empty());

        let stream = connect(&fixture, &trusted, &versions, "h2").await.unwrap();
        assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
        let (mut sender, connection) = http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
        tasks.spawn(connection);
        let answer = sender.send_request(request(&fixture, "https://x/gateway/openai/v1/models")).await.unwrap();
        assert_eq!((answer.status(), answer.version()), (StatusCode::OK, Version::HTTP_2));
        assert!(!answer.into_body().collect().await.unwrap().to_bytes().is_empty());
    }
    fixture.close().await;
}

#[tokio::test]
async fn a_body_that_does_not_come_over_tls_is_not_waited_for() {
    let files = Files::new();
    let trusted = files.renew();
    let door = FrontSettings { certificate: Some(Arc::new(files.read().unwrap())), ..open_door() };
    let fixture = Fixture::open(Setup { door, gateway: impatient(), ..Setup::default() }, |_| {}).await;
    fixture.key("openai").await;
    let stream = connect(&fixture, &trusted, &[&TLS13], "h2").await.unwrap();
    let (mut sender, connection) = http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
    let tasks = TaskTracker::new();
    tasks.spawn(connection);
    is_not_waited_for(&fixture, "https", &mut sender).await;
    fixture.close().await;
}

#[tokio::test]
async fn whoever_speaks_no_tls_holds_nobody_up() {
    let files = Files::new();
    let trusted = files.renew();
    let fixture = fixture(&Arc::new(files.read().unwrap())).await;
    // More than there are workers: one begins a handshake and stops, one speaks HTTP, one says nothing.
    let mut begun = fixture.connect().await;
    begun.write("\u{16}\u{3}\u{1}").await;
    let silent = fixture.connect().await;
    let mut plain = fixture.connect().await;
    plain.write("GET / HTTP/1.1\r\nhost: x\r\n\r\n").await;
    assert!(!plain.read_to_end().await.contains("HTTP/1.1"));
    for _ in 0..4 {
        connect(&fixture, &trusted, &[&TLS13], "h2").await.unwrap();
    }
    drop((begun, silent));
    fixture.close().await;
}

#[tokio::test]
async fn a_handshake_that_stops_is_given_up() {
    let files = Files::new();
    files.renew();
    let patience = Patience { handshake: Duration::from_millis(100), ..Patience::default() };
    let door = FrontSettings { patience, certificate: Some(Arc::new(files.read().unwrap())), ..open_door() };
    let fixture = Fixture::open(Setup { door, ..Setup::default() }, |_| {}).await;
    let mut begun = fixture.connect().await;
    begun.write("\u{16}\u{3}\u{1}").await;
    assert_eq!(begun.read_to_end().await, "");
    fixture.close().await;
}

#[tokio::test]
async fn a_renewed_certificate_is_shown_from_then_on_and_a_broken_one_never() {
    let files = Files::new();
    let old = files.renew();
    let certificate = Arc::new(files.read().unwrap());
    let fixture = fixture(&certificate).await;
    let new = files.renew();
    connect(&fixture, &old, &[&TLS13], "h2").await.unwrap();
    certificate.reload().unwrap();
    connect(&fixture, &new, &[&TLS13], "h2").await.unwrap();
    assert!(connect(&fixture, &old, &[&TLS13], "h2").await.is_err());
    // A renewal that was written by half.
    fs::write(files.key(), KeyPair::generate().unwrap().serialize_pem()).unwrap();
    assert!(matches!(certificate.reload(), Err(CertificateError::Mismatch(..))));
    fs::write(files.chain(), "").unwrap();
    assert!(matches!(certificate.reload(), Err(CertificateError::Chain(..))));
    connect(&fixture, &new, &[&TLS13], "h2").await.unwrap();
    fixture.close().await;
}

#[test]
fn files_that_cannot_be_used_are_named_and_their_contents_are_not() {
    let files = Files::new();
    let sentence = || files.read().unwrap_err().to_string();
    assert!(sentence().starts_with("setting server.tls.cert_file: "), "{}", sentence());
    files.renew();
    let key = fs::read_to_string(files.key()).unwrap();
    fs::write(files.key(), key.replace("PRIVATE KEY", "NONSENSE")).unwrap();
    let error = files.read().unwrap_err();
    assert!(error.to_string().starts_with("setting server.tls.key_file: "), "{error}");
    assert!(!format!("{error:?}").contains(key.lines().nth(1).unwrap()));
    fs::remove_file(files.key()).unwrap();
    assert!(sentence().starts_with("setting server.tls.key_file: "), "{}", sentence());
}
