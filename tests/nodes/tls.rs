//! PostgreSQL and Valkey behind TLS, with certificates of a private authority.

use std::fs;
use std::path::{Path, PathBuf};

use claviger_test_services::{Postgres, Valkey};
use claviger_testkit::Deployment;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};

use crate::bad_starts::assert_refused;
use crate::blocking;
use crate::fixture::{Plan, in_cyclic_order};
use crate::order::{one_after_another, without_a_miss};

/// Signs certificates. Only those who are given its own certificate trust it.
struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    fn new() -> Self {
        let mut parameters = CertificateParams::default();
        parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        parameters.distinguished_name.push(DnType::CommonName, "an authority of a test");
        Self(CertifiedIssuer::self_signed(parameters, KeyPair::generate().unwrap()).unwrap())
    }

    /// A certificate for this host, and its key.
    fn server(&self, host: &str) -> (String, String) {
        let pair = KeyPair::generate().unwrap();
        let certificate = CertificateParams::new([host.to_owned()]).unwrap().signed_by(&pair, &self.0).unwrap();
        (certificate.pem(), pair.serialize_pem())
    }

    fn write(&self, folder: &Path, name: &str) -> PathBuf {
        let file = folder.join(name);
        fs::write(&file, self.0.pem()).unwrap();
        file
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn servers_behind_tls_are_used_with_their_authority_and_with_no_other() {
    let (authority, stranger) = (Authority::new(), Authority::new());
    let (certificate, key) = authority.server("127.0.0.1");
    let postgres = blocking(|| Postgres::start_with_tls(&certificate, &key)).unwrap();
    let valkey = blocking(|| Valkey::start_with_tls(&certificate, &key)).unwrap();
    let folder = Deployment::new();
    let trusted = authority.write(folder.folder(), "trusted.pem");
    let other = stranger.write(folder.folder(), "other.pem");
    let of_postgres =
        |roots: &Path| format!("{}?sslmode=verify-full&sslrootcert={}", postgres.url("postgres"), roots.display());
    let of_valkey = |roots: &Path| format!("{}?ca={}", valkey.url(), roots.display());

    let plan = Plan::new(&of_postgres(&trusted)).await.with_valkey(&of_valkey(&trusted));
    let refused = |name: &str, value: &str, parts: &[&str]| {
        let started = plan.deployment.beside().with(name, value);
        assert_refused(&started, &[value], parts, || postgres.execute("postgres", "SELECT oid FROM pg_class").unwrap());
    };
    refused("CLAVIGER_DATABASE__URL", &of_postgres(&other), &["database.url", "certificate", "sslrootcert"]);
    let elsewhere = |url: String| url.replace("127.0.0.1", "localhost");
    refused("CLAVIGER_DATABASE__URL", &elsewhere(of_postgres(&trusted)), &["database.url", "certificate"]);
    let disabled = format!("{}?sslmode=disable", postgres.url("postgres"));
    refused("CLAVIGER_DATABASE__URL", &disabled, &["database.url", "TLS"]);
    refused("CLAVIGER_VALKEY__URL", &of_valkey(&other), &["valkey.url", "certificate", "ca="]);
    refused("CLAVIGER_VALKEY__URL", &elsewhere(of_valkey(&trusted)), &["valkey.url", "certificate"]);
    let unencrypted = valkey.url().replace("rediss://", "redis://");
    refused("CLAVIGER_VALKEY__URL", &unencrypted, &["valkey.url", "TLS", "rediss://"]);

    let nodes = plan.start(2);
    nodes.sharing().await;
    let tenant = nodes.tenant(3).await;
    let sequence = without_a_miss(&nodes, async || one_after_another(&nodes, &tenant, 30).await).await;
    assert!(in_cyclic_order(&sequence, &tenant.keys), "{sequence:?}");
    let tls =
        "SELECT count(*) FROM pg_stat_activity JOIN pg_stat_ssl USING (pid) WHERE client_addr IS NOT NULL AND NOT ssl";
    assert_eq!(postgres.execute("postgres", tls).unwrap(), "0");
}
