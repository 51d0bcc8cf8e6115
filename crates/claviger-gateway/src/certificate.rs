//! TLS as callers meet it: the server's certificate, read again while it runs.

use std::fmt;
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::sync::Arc;

use arc_swap::ArcSwap;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{ClientConfig, ClientConnection, DigitallySignedStruct, ServerConfig, SignatureScheme, StreamOwned};
use tokio_rustls::TlsAcceptor;

/// The certificate cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    /// The file with the chain.
    #[error("setting server.tls.cert_file: {} cannot be read as certificates in PEM", .0.display())]
    Chain(PathBuf, #[source] pem::Error),
    /// The file with the key. Why is not shown in full: it is a secret that is in there.
    #[error("setting server.tls.key_file: {} cannot be read as a private key in PEM", .0.display())]
    Key(PathBuf, #[source] KeyProblem),
    /// One does not fit the other.
    #[error("setting server.tls.key_file: {} is not the key of the certificate in {}", .0.display(), .1.display())]
    Mismatch(PathBuf, PathBuf),
    /// TLS cannot be spoken with them.
    #[error("setting server.tls.cert_file: {} cannot be used", .0.display())]
    Unusable(PathBuf, #[source] rustls::Error),
}

/// What is wrong with a file that should hold a key.
#[derive(Debug, thiserror::Error)]
pub enum KeyProblem {
    /// It cannot be read.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// There is none in it.
    #[error("there is none in it")]
    None,
}

/// The server's certificate, and what to speak TLS with.
pub struct Certificate {
    chain: PathBuf,
    key: PathBuf,
    config: ArcSwap<ServerConfig>,
}

impl Certificate {
    /// Reads the chain and the key, both in PEM.
    pub fn read(chain: PathBuf, key: PathBuf) -> Result<Self, CertificateError> {
        let config = ArcSwap::from(config(&chain, &key)?);
        Ok(Self { chain, key, config })
    }

    /// Reads both again, for the connections that come from here on. What cannot be used changes nothing.
    pub fn reload(&self) -> Result<(), CertificateError> {
        self.config.store(config(&self.chain, &self.key)?);
        Ok(())
    }

    pub(crate) fn acceptor(&self) -> TlsAcceptor {
        TlsAcceptor::from(self.config.load_full())
    }
}

impl fmt::Debug for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Certificate").field("chain", &self.chain).finish_non_exhaustive()
    }
}

fn config(chain_file: &PathBuf, key_file: &PathBuf) -> Result<Arc<ServerConfig>, CertificateError> {
    let unreadable = |error| CertificateError::Chain(chain_file.clone(), error);
    let chain: Result<Vec<_>, _> = CertificateDer::pem_file_iter(chain_file).map_err(unreadable)?.collect();
    let chain = chain.map_err(unreadable)?;
    if chain.is_empty() {
        return Err(unreadable(pem::Error::NoItemsFound));
    }
    let key = PrivateKeyDer::from_pem_file(key_file).map_err(|error| {
        let problem = match error {
            pem::Error::Io(error) => KeyProblem::Io(error),
            _ => KeyProblem::None,
        };
        CertificateError::Key(key_file.clone(), problem)
    })?;
    let unusable = |error| match error {
        rustls::Error::InconsistentKeys(_) => CertificateError::Mismatch(key_file.clone(), chain_file.clone()),
        error => CertificateError::Unusable(chain_file.clone(), error),
    };
    let versions = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(unusable)?;
    let mut config = versions.with_no_client_auth().with_single_cert(chain, key).map_err(unusable)?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

/// Speaks TLS with whoever answers, for questions that tell nothing and whose answer decides nothing: whether a server is
/// ready. Its certificate is for the name by which callers know it, and not for the address at which it listens.
pub fn wrap_unverified(stream: TcpStream) -> io::Result<impl Read + Write> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let versions = ClientConfig::builder_with_provider(Arc::clone(&provider)).with_safe_default_protocol_versions();
    let versions = versions.map_err(io::Error::other)?;
    let verifier = Arc::new(Anybody(provider));
    let config = versions.dangerous().with_custom_certificate_verifier(verifier).with_no_client_auth();
    let name = ServerName::from(stream.peer_addr()?.ip());
    let connection = ClientConnection::new(Arc::new(config), name).map_err(io::Error::other)?;
    Ok(StreamOwned::new(connection, stream))
}

/// Takes any certificate, but only from whoever has its key.
#[derive(Debug)]
struct Anybody(Arc<CryptoProvider>);

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, cert, signed, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, cert, signed, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
