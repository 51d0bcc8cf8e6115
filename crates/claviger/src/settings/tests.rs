use std::time::Duration;

use claviger_core::catalogue::Auth;

use super::*;

fn load(environment: &[(&str, &str)]) -> anyhow::Result<Settings> {
    let flags = SettingsFlags { config: None, data_dir: None };
    let environment = environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    layers::load(&flags, None, Some(environment))
}

fn refusal(environment: &[(&str, &str)]) -> String {
    format!("{:#}", load(environment).unwrap_err())
}

#[test]
fn the_documented_defaults_are_the_defaults() {
    let settings = load(&[]).unwrap();
    assert_eq!(settings.server.listen.to_string(), "127.0.0.1:8787");
    assert_eq!(settings.data_dir, PathBuf::from("./claviger-data"));
    assert_eq!(settings.gateway.connect_timeout.0, Duration::from_secs(5));
    assert_eq!(settings.gateway.response_timeout.0, Duration::from_mins(10));
    assert_eq!(settings.gateway.idle_timeout.0, Duration::from_mins(5));
    assert_eq!(settings.gateway.replay_limit.0, 8 * 1024 * 1024);
    assert_eq!(settings.auth.bad_token_limit, 20);
    assert_eq!(settings.server.max_connections, 16_384);
    assert_eq!(settings.server.max_connections_per_address, 0);
    assert_eq!(settings.server.stall_timeout.0, Duration::from_mins(1));
    assert_eq!((settings.gateway.workspace_requests, settings.gateway.workspace_streams), (0, 0));
    assert_eq!(settings.server.tls().unwrap(), None);
}

#[test]
fn the_environment_goes_before_the_defaults() {
    let settings = load(&[
        ("CLAVIGER_SERVER__LISTEN", "0.0.0.0:80"),
        ("CLAVIGER_DATA_DIR", "/tmp/x"),
        ("CLAVIGER_GATEWAY__IDLE_TIMEOUT", "20ms"),
        ("CLAVIGER_CACHE__ENTRIES", "7"),
        ("UNRELATED", "1"),
    ]);
    let settings = settings.unwrap();
    assert_eq!(settings.server.listen.to_string(), "0.0.0.0:80");
    assert_eq!(settings.data_dir, PathBuf::from("/tmp/x"));
    assert_eq!(settings.gateway.idle_timeout.0, Duration::from_millis(20));
    assert_eq!(settings.cache().entries, 7);
}

#[test]
fn a_base_url_is_set_for_a_provider_with_a_hyphen() {
    let settings = load(&[("CLAVIGER_PROVIDERS__OLLAMA_CLOUD__BASE_URL", "http://127.0.0.1:1/x")]).unwrap();
    let catalogue = settings.catalogue().unwrap();
    let provider = catalogue.get("ollama-cloud").unwrap();
    assert_eq!(provider.origins[0].url.to_string(), "http://127.0.0.1:1/x");
}

#[test]
fn a_provider_that_the_catalogue_lacks_is_defined() {
    let settings = load(&[("CLAVIGER_PROVIDERS__HOUSE__BASE_URL", "http://127.0.0.1:1")]).unwrap();
    assert_eq!(settings.catalogue().unwrap().get("house").unwrap().auth, Auth::Bearer);
    assert!(refusal(&[("CLAVIGER_PROVIDERS__HOUSE__NAME", "x")]).contains("providers.house"));
}

#[test]
fn a_bad_setting_is_named_in_one_line() {
    let rows: &[(&str, &str, &str)] = &[
        ("CLAVIGER_SERVER__LISTEN", "everywhere", "server.listen"),
        ("CLAVIGER_SERVER__LISTENN", "x", "server"),
        ("CLAVIGER_NONSENSE", "x", "nonsense"),
        ("CLAVIGER_GATEWAY__IDLE_TIMEOUT", "5 bananas", "gateway.idle_timeout"),
        ("CLAVIGER_GATEWAY__REPLAY_LIMIT", "much", "gateway.replay_limit"),
        ("CLAVIGER_AUTH__ROOT_TOKEN", "short", "auth.root_token"),
        ("CLAVIGER_PROVIDERS__OPENAI__BASE_URL", "ftp://x", "providers.openai"),
        ("CLAVIGER_CACHE__ENTRIES", "0", "cache.entries"),
        ("CLAVIGER_PLATFORM__FALLBACK", "perhaps", "platform"),
        ("CLAVIGER_PLATFORM__FALBACK", "true", "platform.falback"),
        ("CLAVIGER_PLATFORM__OPENAI_API_KEY", "x", "platform.openai_api_key"),
        ("CLAVIGER_PLATFORM__OPENAI_API_KEY_ONE", "x", "platform.openai_api_key_one"),
        ("CLAVIGER_PLATFORM__NOBODY_API_KEY_1", "x", "platform.nobody_api_key_1"),
        ("CLAVIGER_PLATFORM__OPENAI_API_KEY_1", "a key", "platform.openai_api_key_1"),
        ("CLAVIGER_CACHE__BYTES", "1KiB", "cache.bytes"),
        ("CLAVIGER_CACHE__STALE_GRACE", "-1s", "cache.stale_grace"),
        ("CLAVIGER_DATABASE__CONNECTIONS", "0", "database.connections"),
        ("CLAVIGER_LOG__LEVEL", "loud", "log.level"),
        ("CLAVIGER_WEBHOOKS__ALLOWED_HOSTS", "http://a", "webhooks.allowed_hosts"),
        ("CLAVIGER_PORTAL__RETURN_HOSTS", "http://a", "portal.return_hosts"),
        ("CLAVIGER_SERVER__MAX_CONNECTIONS", "0", "server.max_connections"),
        ("CLAVIGER_SERVER__TLS__CERT_FILE", "/tmp/x", "server.tls.key_file"),
        ("CLAVIGER_SERVER__TLS__KEY_FILE", "/tmp/x", "server.tls.cert_file"),
        ("CLAVIGER_SERVER__TRUSTED_PROXIES", "10.0.0.0/8, proxy", "server.trusted_proxies"),
        ("CLAVIGER_PORTAL__EMBED_HOSTS", "https://*.example.com", "portal.embed_hosts"),
        ("CLAVIGER_WEBHOOKS__ALLOWED_HOST", "a", "webhooks.allowed_host"),
    ];
    for (name, value, setting) in rows {
        let refusal = refusal(&[(name, value)]);
        assert!(refusal.contains(setting), "{name}={value}: {refusal}");
        assert!(!refusal.contains('\n'), "{refusal}");
    }
}

#[test]
fn hosts_of_webhooks_are_listed_in_the_environment_with_commas() {
    let settings = load(&[("CLAVIGER_WEBHOOKS__ALLOWED_HOSTS", "hooks.internal, 10.0.0.5:8080")]).unwrap();
    let expected = Reach::new(["hooks.internal", "10.0.0.5:8080"]).unwrap();
    assert_eq!(settings.webhooks.reach().unwrap(), expected);
    for none in [&[][..], &[("CLAVIGER_WEBHOOKS__ALLOWED_HOSTS", "")]] {
        assert_eq!(load(none).unwrap().webhooks.reach().unwrap(), Reach::default());
    }
}

#[test]
fn with_a_certificate_the_server_is_reached_by_https() {
    let files =
        [("CLAVIGER_SERVER__TLS__CERT_FILE", "/etc/x/cert.pem"), ("CLAVIGER_SERVER__TLS__KEY_FILE", "/etc/x/key.pem")];
    let settings = load(&files).unwrap();
    assert_eq!(settings.portal().unwrap().public_url, "https://127.0.0.1:8787");
    assert_eq!(settings.server.tls().unwrap().unwrap().1, Path::new("/etc/x/key.pem"));
    assert_eq!(load(&[]).unwrap().portal().unwrap().public_url, "http://127.0.0.1:8787");
}

#[test]
fn no_proxy_is_trusted_unless_it_is_listed() {
    assert_eq!(load(&[]).unwrap().server.trusted_proxies().unwrap(), TrustedProxies::default());
    let settings = load(&[("CLAVIGER_SERVER__TRUSTED_PROXIES", "10.0.0.0/8, fd00::1")]).unwrap();
    let expected = TrustedProxies::new(["10.0.0.0/8", "fd00::1"]).unwrap();
    assert_eq!(settings.server.trusted_proxies().unwrap(), expected);
}

#[test]
fn a_secret_setting_is_never_printed() {
    let secret = "x".repeat(40);
    let settings = load(&[("CLAVIGER_AUTH__ROOT_TOKEN", &secret)]).unwrap();
    assert!(!format!("{settings:?}").contains(&secret));
}

#[test]
fn what_kubernetes_adds_for_a_service_of_this_name_is_no_setting() {
    let added = [("CLAVIGER_SERVICE_HOST", "10.0.0.1"), ("CLAVIGER_PORT", "tcp://x"), ("CLAVIGER_PORT_80_TCP", "x")];
    assert!(load(&added).is_ok());
}

#[test]
fn platform_keys_come_by_provider_and_number() {
    let [one, two, ten] = ["a", "b", "c"].map(|tail| format!("{}{tail}", MasterKey::generate().unwrap().as_str()));
    let settings = load(&[
        ("CLAVIGER_PLATFORM__OPENAI_API_KEY_10", &ten),
        ("CLAVIGER_PLATFORM__OPENAI_API_KEY_2", &two),
        ("CLAVIGER_PLATFORM__OLLAMA_CLOUD_API_KEY_1", &one),
    ]);
    let settings = settings.unwrap();
    let keys = settings.platform_keys(&settings.catalogue().unwrap()).unwrap();
    let mut named: Vec<_> = keys.iter().map(|key| (key.provider.as_str(), key.number, key.setting.as_str())).collect();
    named.sort_unstable();
    assert_eq!(
        named,
        [
            ("ollama-cloud", 1, "platform.ollama_cloud_api_key_1"),
            ("openai", 2, "platform.openai_api_key_2"),
            ("openai", 10, "platform.openai_api_key_10"),
        ]
    );
    assert!(!format!("{settings:?}{keys:?}").contains(&one));

    let twice = refusal(&[("CLAVIGER_PLATFORM__EXA_API_KEY_1", &one), ("CLAVIGER_PLATFORM__EXA_API_KEY_2", &one)]);
    assert!(twice.contains("platform.exa_api_key_2") && !twice.contains(&one), "{twice}");
    let twice = refusal(&[("CLAVIGER_PLATFORM__EXA_API_KEY_1", &one), ("CLAVIGER_PLATFORM__EXA_API_KEY_01", &two)]);
    assert!(twice.contains("number 1 is given twice"), "{twice}");
}
