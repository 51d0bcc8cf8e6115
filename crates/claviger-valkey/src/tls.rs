//! TLS to the server.

use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};

use crate::error::{ConnectError, reason};

/// What is needed to trust a server.
#[derive(Clone, Debug)]
pub(crate) struct Tls {
    pub(crate) client: Arc<ClientConfig>,
    /// The file that was named, for the library's own connections to a cluster's nodes.
    pub(crate) ca: Option<Vec<u8>>,
}

impl Tls {
    /// Trusts the system's roots, or instead the certificates in a file: whoever names a CA means that one.
    pub(crate) async fn load(ca: Option<&str>) -> Result<Self, ConnectError> {
        let mut roots = RootCertStore::empty();
        let Some(path) = ca else {
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
            if roots.is_empty() {
                return Err(ConnectError::NoRoots);
            }
            return Ok(Self { client: client(roots)?, ca: None });
        };
        let unusable = |reason: String| ConnectError::Ca { path: path.to_owned(), reason };
        let pem = tokio::fs::read(path).await.map_err(|error| unusable(reason(&error)))?;
        for certificate in CertificateDer::pem_slice_iter(&pem) {
            let certificate = certificate.map_err(|error| unusable(error.to_string()))?;
            roots.add(certificate).map_err(|error| unusable(error.to_string()))?;
        }
        if roots.is_empty() {
            return Err(unusable("there is no PEM certificate in it".to_owned()));
        }
        Ok(Self { client: client(roots)?, ca: Some(pem) })
    }
}

/// A client that trusts these.
pub(crate) fn client(roots: RootCertStore) -> Result<Arc<ClientConfig>, ConnectError> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let versions = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let client = versions.map_err(ConnectError::Tls)?.with_root_certificates(roots).with_no_client_auth();
    Ok(Arc::new(client))
}
