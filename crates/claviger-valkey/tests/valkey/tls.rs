//! TLS.

use claviger_test_services as services;
use claviger_valkey::{ConnectError, Valkey};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use tempfile::TempDir;

use crate::{HASTY, PATIENT, random_pool, turn};

/// A CA of its own, in a file, and a server with a certificate that it signed.
struct Private {
    ca: String,
    server: services::Valkey,
    _folder: TempDir,
}

impl Private {
    fn start() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let key = KeyPair::generate().unwrap();
        let names = ["localhost".to_owned(), "127.0.0.1".to_owned()];
        let certificate = CertificateParams::new(names).unwrap().signed_by(&key, &issuer).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let ca = folder.path().join("ca.pem");
        std::fs::write(&ca, issuer.pem()).unwrap();
        let server = services::Valkey::start_with_tls(&certificate.pem(), &key.serialize_pem()).unwrap();
        Self { ca: ca.display().to_string(), server, _folder: folder }
    }
}

#[tokio::test]
async fn a_server_with_a_certificate_of_a_named_ca_is_trusted() {
    let private = Private::start();
    for url in [private.server.url(), format!("valkeys://localhost:{}", private.server.port())] {
        let node = Valkey::connect(&format!("{url}?ca={}", private.ca), PATIENT).await.unwrap();
        let pool = random_pool();
        for expected in [1, 2, 1] {
            assert_eq!(turn(&node, &pool, &[1, 2]).await, Some(expected));
        }
    }
}

#[tokio::test]
async fn a_server_with_a_certificate_of_another_ca_is_not_trusted() {
    let (private, other) = (Private::start(), Private::start());
    for url in [private.server.url(), format!("{}?ca={}", private.server.url(), other.ca)] {
        let error = Valkey::connect(&url, PATIENT).await.unwrap_err();
        // A system without roots of its own cannot even try.
        assert!(matches!(error, ConnectError::Certificate { .. } | ConnectError::NoRoots), "{error}");
    }
    let error = Valkey::connect("rediss://127.0.0.1:1?ca=/nowhere.pem", PATIENT).await.unwrap_err();
    assert!(matches!(error, ConnectError::Ca { .. }), "{error}");
}

#[tokio::test]
async fn a_server_and_a_url_that_disagree_on_tls_are_told_apart() {
    let private = Private::start();
    let error = Valkey::connect(&private.server.url().replace("rediss", "redis"), PATIENT).await.unwrap_err();
    assert!(matches!(error, ConnectError::TlsExpected(_)), "{error}");
    let plain = services::Valkey::start().unwrap();
    let url = format!("{}?ca={}", plain.url().replace("redis", "rediss"), private.ca);
    let error = Valkey::connect(&url, HASTY).await.unwrap_err();
    assert!(matches!(error, ConnectError::TlsNotSpoken(_)), "{error}");
}
