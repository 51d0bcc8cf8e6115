//! Providers with https, and callers.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use claviger_testkit::{Answer, Deployment, Running, random_secret};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, Version};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_rustls::rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use tokio_rustls::rustls::crypto::{CryptoProvider, aws_lc_rs};
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use tokio_rustls::rustls::{self, ClientConfig, DigitallySignedStruct, ServerConfig, SignatureScheme};
use tokio_rustls::{TlsAcceptor, TlsConnector};

use crate::{acme, soon};

/// Signs certificates. Only those who are given its own certificate trust it.
pub(crate) struct Authority(pub(crate) CertifiedIssuer<'static, KeyPair>);

impl Authority {
    pub(crate) fn new() -> Self {
        let mut parameters = CertificateParams::default();
        parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        parameters.distinguished_name.push(DnType::CommonName, "an authority of a test");
        Self(CertifiedIssuer::self_signed(parameters, KeyPair::generate().unwrap()).unwrap())
    }

    /// What a server shows that has this name, and speaks these protocols.
    pub(crate) fn server(&self, name: &str, protocols: &[&str]) -> ServerConfig {
        let pair = KeyPair::generate().unwrap();
        let certificate = CertificateParams::new([name.to_owned()]).unwrap().signed_by(&pair, &self.0).unwrap();
        let key = PrivateKeyDer::Pkcs8(pair.serialize_der().into());
        let versions = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap();
        let mut server = versions.with_no_client_auth().with_single_cert(vec![certificate.der().clone()], key).unwrap();
        server.alpn_protocols = protocols.iter().map(|protocol| protocol.as_bytes().to_vec()).collect();
        server
    }
}

/// What a request showed: its version, and its key.
type Seen = Arc<Mutex<Vec<(Version, String)>>>;

/// A provider behind TLS.
struct Provider {
    address: SocketAddr,
    seen: Seen,
    _serving: JoinSet<()>,
}

impl Provider {
    async fn start(tls: ServerConfig) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let seen = Seen::default();
        let mut serving = JoinSet::new();
        let acceptor = TlsAcceptor::from(Arc::new(tls));
        let books = Arc::clone(&seen);
        serving.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let (acceptor, books) = (acceptor.clone(), Arc::clone(&books));
                connections.spawn(async move {
                    // A client that does not trust the certificate leaves here.
                    let Ok(stream) = acceptor.accept(stream).await else { return };
                    let answer = service_fn(|request: Request<Incoming>| {
                        let answer = note(&books, &request);
                        // To whole requests alone.
                        async move { request.into_body().collect().await.map(|_| answer) }
                    });
                    // A client may leave as it likes.
                    let _ =
                        auto::Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), answer).await;
                });
            }
        });
        Self { address, seen, _serving: serving }
    }

    fn seen(&self) -> Vec<(Version, String)> {
        self.seen.lock().unwrap().clone()
    }
}

fn note(seen: &Seen, request: &Request<Incoming>) -> Response<Full<Bytes>> {
    let key = request.headers()["authorization"].to_str().unwrap().to_owned();
    seen.lock().unwrap().push((request.version(), key));
    Response::new(Full::from("over TLS"))
}

/// Sends a request to a provider at `https://<host>:<port>`, through a server that trusts one authority.
async fn relay(trusted: &Authority, host: &str, provider: &Provider, secret: &str) -> (Answer, String) {
    let deployment = Deployment::new();
    let roots = deployment.folder().join("roots.pem");
    fs::write(&roots, trusted.0.pem()).unwrap();
    let deployment = deployment
        .with("SSL_CERT_FILE", roots.to_str().unwrap())
        .with_provider("openai", &format!("https://{host}:{}", provider.address.port()));
    let mut server = deployment.serve();
    let token = acme(&server, "openai", &[secret.to_owned()]).await;
    let answer = server.client(&token).send(Method::GET, "/gateway/openai/v1/models", &Value::Null).await;
    server.process.kill();
    (answer, server.process.stderr())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_provider_with_a_certificate_of_a_private_authority_is_reached() {
    let authority = Authority::new();
    let rows: [(&[&str], Version); 4] = [
        (&["http/1.1"], Version::HTTP_11),
        (&["h2"], Version::HTTP_2),
        (&["h2", "http/1.1"], Version::HTTP_2),
        (&[], Version::HTTP_11),
    ];
    for (protocols, version) in rows {
        let provider = Provider::start(authority.server("localhost", protocols)).await;
        let secret = random_secret();
        let (answer, _) = relay(&authority, "localhost", &provider, &secret).await;
        assert_eq!((answer.status.as_u16(), &*answer.bytes), (200, &b"over TLS"[..]), "{protocols:?}");
        assert_eq!(provider.seen(), [(version, format!("Bearer {secret}"))], "{protocols:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_that_does_not_come_is_not_waited_for_whatever_the_provider_speaks() {
    let authority = Authority::new();
    for protocol in ["http/1.1", "h2"] {
        let provider = Provider::start(authority.server("localhost", &[protocol])).await;
        let deployment = Deployment::new();
        let roots = deployment.folder().join("roots.pem");
        fs::write(&roots, authority.0.pem()).unwrap();
        let deployment = deployment
            .with("SSL_CERT_FILE", roots.to_str().unwrap())
            .with("CLAVIGER_SERVER__STALL_TIMEOUT", "1s")
            .with_provider("openai", &format!("https://localhost:{}", provider.address.port()));
        let server = deployment.serve();
        let token = acme(&server, "openai", &[random_secret()]).await;
        // With one key the body streams through, and with two it is recorded.
        for _ in 0..2 {
            let mut raw = TcpStream::connect(server.process.url().strip_prefix("http://").unwrap()).await.unwrap();
            let head = format!(
                "POST /gateway/openai/v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token}\r\n\
                 content-length: 100\r\nconnection: close\r\n\r\n{{"
            );
            raw.write_all(head.as_bytes()).await.unwrap();
            let mut answer = Vec::new();
            // It may be reset at the end, as not all was read that came.
            let _ = raw.read_to_end(&mut answer).await;
            let answer = String::from_utf8_lossy(&answer);
            assert!(answer.starts_with("HTTP/1.1 408") && answer.contains("body_too_slow"), "{protocol}: {answer}");
            server.key("acme", "openai", &random_secret()).await;
        }
        // It says nothing about the key.
        let counts = &server.keys("acme").await[0]["counts"];
        assert_eq!(counts["providerErrors"], 0, "{protocol}: {counts}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_provider_that_cannot_prove_who_it_is_gets_no_key() {
    let (trusted, stranger) = (Authority::new(), Authority::new());
    let rows = [
        ("an authority that nobody trusts", stranger.server("localhost", &["h2", "http/1.1"])),
        ("the name of another", trusted.server("elsewhere.example", &["h2", "http/1.1"])),
    ];
    for (what, tls) in rows {
        let provider = Provider::start(tls).await;
        let secret = random_secret();
        let (answer, log) = relay(&trusted, "localhost", &provider, &secret).await;
        assert_eq!((answer.status.as_u16(), answer.code()), (502, "provider_unreachable"), "{what}");
        assert_eq!(answer.header("x-claviger-attempts"), "1", "{what}");
        assert_eq!(provider.seen(), [], "{what}");
        assert!(!log.contains(&secret), "{what}");
    }
}

/// Who listens at an address shows this certificate.
async fn certificate_at(url: &str) -> Vec<u8> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let seen = Arc::new(Shown { provider: Arc::clone(&provider), certificate: Mutex::default() });
    let versions = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let verifier: Arc<dyn ServerCertVerifier> = Arc::clone(&seen) as _;
    let client = versions.dangerous().with_custom_certificate_verifier(verifier).with_no_client_auth();
    let stream = TcpStream::connect(url.strip_prefix("https://").unwrap()).await.unwrap();
    let name = ServerName::try_from("claviger.example").unwrap();
    TlsConnector::from(Arc::new(client)).connect(name, stream).await.unwrap();
    seen.certificate.lock().unwrap().clone()
}

/// Looks at certificates, and takes them all.
#[derive(Debug)]
struct Shown {
    provider: Arc<CryptoProvider>,
    certificate: Mutex<Vec<u8>>,
}

impl ServerCertVerifier for Shown {
    fn verify_server_cert(
        &self,
        shown: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        *self.certificate.lock().unwrap() = shown.to_vec();
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

/// Puts a certificate and its key into a deployment's folder.
fn renew(folder: &Path, authority: &Authority) -> Vec<u8> {
    let pair = KeyPair::generate().unwrap();
    let parameters = CertificateParams::new(["claviger.example".to_owned()]).unwrap();
    let certificate = parameters.signed_by(&pair, &authority.0).unwrap();
    fs::write(folder.join("cert.pem"), certificate.pem()).unwrap();
    fs::write(folder.join("key.pem"), pair.serialize_pem()).unwrap();
    certificate.der().to_vec()
}

fn hang_up(server: &Running) {
    let killed = Command::new("kill").args(["-HUP", &server.process.id().to_string()]).status().unwrap();
    assert!(killed.success());
}

#[tokio::test]
async fn a_server_with_tls_takes_a_renewed_certificate_at_sighup_and_keeps_the_old_one_where_that_is_broken() {
    let (authority, deployment) = (Authority::new(), Deployment::new());
    let folder = deployment.folder().to_owned();
    let port = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
    let first = renew(&folder, &authority);
    let deployment = deployment
        .with("CLAVIGER_SERVER__LISTEN", &format!("127.0.0.1:{port}"))
        .with("CLAVIGER_SERVER__TLS__CERT_FILE", "cert.pem")
        .with("CLAVIGER_SERVER__TLS__KEY_FILE", "key.pem");
    let mut server = deployment.serve();
    let url = server.process.url().to_owned();
    assert_eq!(url, format!("https://127.0.0.1:{port}"));
    assert_eq!(certificate_at(&url).await, first);
    let health = deployment.run(&["health"]);
    assert_eq!(health.code, Some(0), "{}", health.stderr);

    let second = renew(&folder, &authority);
    assert_eq!(certificate_at(&url).await, first);
    hang_up(&server);
    soon("the new certificate", async || (certificate_at(&url).await == second).then_some(())).await;

    fs::write(folder.join("key.pem"), "broken").unwrap();
    hang_up(&server);
    soon("the error", async || server.process.stderr().contains("could not be read again").then_some(())).await;
    assert_eq!(certificate_at(&url).await, second);
    assert!(server.process.terminate().success());

    let refused = deployment.run(&["serve"]);
    assert_eq!(refused.code, Some(1));
    let lines: Vec<_> = refused.stderr.lines().collect();
    let [line] = lines.as_slice() else { panic!("{lines:?}") };
    assert!(line.contains("setting server.tls.key_file"), "{line}");
}
