//! No key and no token is written anywhere, however loud the log and wherever a caller puts them.

use std::fs;
use std::path::Path;

use bytes::Bytes;
use claviger_testkit::{Client, Running, random_secret};
use http_body_util::Full;
use hyper::{Method, Request};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::{behind, mock};

const PROVIDERS: [&str; 6] = ["openai", "anthropic", "google", "falai", "hunter", "exa"];
const KEYS: &str = "/api/workspaces/acme/byok-keys";

/// What is looked for of a secret: its middle, which no mask shows.
fn middle(secret: &str) -> &str {
    &secret[secret.len() - 40..secret.len() - 8]
}

/// Every request that may put a secret where it does not belong; a status is all that is asked of the answers.
async fn misplace(server: &Running, secret: &str, token: &str) {
    let url = server.process.url();
    let clients = [Client::new(url, token), Client::http2(url, token), server.root.clone(), server.client(secret)];
    let targets = [
        format!("/gateway/openai/v1/models?key={secret}&api_key={secret}&token={secret}"),
        format!("/gateway/openai/v1/{secret}"),
        format!("/gateway/{secret}/v1/models"),
        format!("{KEYS}?apiKey={secret}"),
        format!("{KEYS}/{secret}"),
        format!("/api/workspaces/{secret}"),
        format!("/api/tokens/{secret}"),
        format!("/{secret}"),
    ];
    let bodies = [
        json!({"providerId": "openai", "apiKey": [secret]}),
        json!({"providerId": secret, "apiKey": secret}),
        json!({"providerId": "openai", "apiKey": secret, "keyId": secret}),
        json!({"providerId": "openai", "apiKey": secret, secret: secret}),
        json!({"name": "t", "role": secret, "workspaceId": secret}),
    ];
    for client in &clients {
        for target in &targets {
            client.send(Method::GET, target, &Value::Null).await;
            client.send(Method::DELETE, target, &json!({"providerId": "openai", "keyId": secret})).await;
        }
        for body in &bodies {
            client.send(Method::POST, KEYS, body).await;
            client.send(Method::POST, "/api/tokens", body).await;
        }
    }
    for header in ["x-claviger-workspace", "x-claviger-actor", "cookie", "referer", "user-agent", "x-own"] {
        for path in ["/gateway/openai/v1/models", KEYS] {
            let request = Request::get(format!("{url}{path}")).header("authorization", format!("Bearer {token}"));
            let request = request.header(header, secret).body(Full::default()).unwrap();
            clients[0].try_request(request).await.unwrap();
        }
    }
    let malformed = [
        format!("{{\"apiKey\": \"{secret}"),
        format!("{{\"apiKey\": {secret}}}"),
        format!("\"{secret}\""),
        secret.to_owned(),
    ];
    for text in malformed {
        let request = Request::post(format!("{url}{KEYS}"))
            .header("authorization", format!("Bearer {token}"))
            .header("content-type", "application/json")
            .body(Full::from(Bytes::from(text)))
            .unwrap();
        clients[0].try_request(request).await.unwrap();
    }
    for broken in [
        format!("GET /gateway/openai/{secret}\x01 HTTP/1.1\r\nhost: x\r\n\r\n"),
        format!("{secret}\r\n\r\n"),
        format!("GET / HTTP/1.1\r\n{secret}: \x01\r\n\r\n"),
        format!("POST {KEYS} HTTP/1.1\r\nhost: x\r\ncontent-length: {secret}\r\n\r\n"),
    ] {
        let mut stream = TcpStream::connect(url.strip_prefix("http://").unwrap()).await.unwrap();
        stream.write_all(broken.as_bytes()).await.unwrap();
        stream.shutdown().await.unwrap();
        // However the server ends it.
        let _ = stream.read_to_end(&mut Vec::new()).await;
    }
}

/// Every use that a key and a token are for.
async fn use_them(server: &Running, token: &str) {
    let url = server.process.url();
    let bare = Client::new(url, "");
    for client in [Client::new(url, token), Client::http2(url, token)] {
        for provider in PROVIDERS {
            let answer = client.send(Method::GET, &format!("/gateway/{provider}/v1/models?a=b"), &Value::Null).await;
            assert_eq!(answer.status, 200, "{provider}");
        }
    }
    let get = |path: &str| Request::get(format!("{url}{path}"));
    for request in [
        get(&format!("/gateway/google/v1beta/models?key={token}")),
        get(&format!("/gateway/hunter/v2/account?api_key={token}")),
        get("/gateway/anthropic/v1/models").header("x-api-key", token),
        get("/gateway/google/v1beta/models").header("x-goog-api-key", token),
    ] {
        assert_eq!(bare.try_request(request.body(Full::default()).unwrap()).await.unwrap().status, 200);
    }
}

/// Fails with what stands before each place where a secret was found.
fn assert_free_of(what: &str, bytes: &[u8], secrets: &[(&str, &str)]) {
    for (name, secret) in secrets {
        let middle = middle(secret).as_bytes();
        let places = (0..bytes.len().saturating_sub(middle.len())).filter(|at| bytes[*at..].starts_with(middle));
        let before = places.map(|at| String::from_utf8_lossy(&bytes[at.saturating_sub(120)..at]).into_owned());
        assert_eq!(before.collect::<Vec<_>>(), [""; 0], "{what} holds {name}");
    }
}

fn assert_files_free_of(folder: &Path, secrets: &[(&str, &str)]) {
    let mut files = 0;
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        assert_free_of(&path.display().to_string(), &fs::read(&path).unwrap(), secrets);
        files += 1;
    }
    assert!(files >= 2, "the database and the master key are there");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn neither_log_nor_files_nor_metrics_hold_a_secret() {
    let mock = mock().await;
    for format in ["text", "json"] {
        let deployment = behind(&mock, &PROVIDERS)
            .with("CLAVIGER_LOG__LEVEL", "trace")
            .with("CLAVIGER_LOG__FORMAT", format)
            .with_provider("serper", "http://127.0.0.1:1");
        let mut server = deployment.serve();
        server.workspace("acme").await;
        let [first, replaced, renamed, deleted] = std::array::from_fn(|_| random_secret());
        for provider in PROVIDERS.iter().chain(&["serper"]) {
            server.key("acme", provider, &first).await;
        }
        let id = server.key("acme", "openai", &deleted).await;
        let body = json!({"providerId": "openai", "apiKey": replaced, "keyId": id, "name": "n"});
        assert_eq!(server.root.send(Method::POST, KEYS, &body).await.status, 200);
        let body = json!({"providerId": "openai", "apiKey": replaced});
        assert_eq!(server.root.send(Method::POST, KEYS, &body).await.code(), "duplicate_key");
        let id = server.key("acme", "exa", &renamed).await;
        let body = json!({"name": "other", "enabled": false});
        assert_eq!(server.root.send(Method::PATCH, &format!("{KEYS}/{id}"), &body).await.status, 200);
        let token = server.token("acme", "runtime").await;
        let admin = server.token("acme", "admin").await;
        use_them(&server, &token).await;
        let unreachable = server.client(&token).send(Method::GET, "/gateway/serper/x", &Value::Null).await;
        assert_eq!(unreachable.code(), "provider_unreachable");
        let stray = random_secret();
        misplace(&server, &stray, &token).await;
        misplace(&server, &first, &token).await;
        misplace(&server, &token, &token).await;
        misplace(&server, &admin, &admin).await;

        let secrets = [
            ("a key", first.as_str()),
            ("a replaced key", &deleted),
            ("a key that replaced one", &replaced),
            ("a key that is off", &renamed),
            ("a runtime token", &token),
            ("an admin token", &admin),
            ("the root token", deployment.root_token()),
            ("a secret in the wrong place", &stray),
        ];
        let metrics = server.root.send(Method::GET, "/metrics", &Value::Null).await;
        assert_free_of("/metrics", &metrics.bytes, &secrets);
        assert_files_free_of(&deployment.data_dir(), &secrets);
        assert!(server.process.terminate().success());
        let log = server.process.stderr();
        assert!(log.contains("DEBUG"), "the log is as loud as it can be");
        assert_free_of("the log", log.as_bytes(), &secrets);
        assert_files_free_of(&deployment.data_dir(), &secrets);
    }
}

#[tokio::test]
async fn a_secret_that_is_sent_as_a_request_id_is_neither_logged_nor_answered() {
    let mock = mock().await;
    let deployment = behind(&mock, &["openai"]).with("CLAVIGER_LOG__LEVEL", "trace");
    let mut server = deployment.serve();
    server.workspace("acme").await;
    let key = random_secret();
    server.key("acme", "openai", &key).await;
    let token = server.token("acme", "runtime").await;
    for secret in [&key, &token] {
        for path in ["/gateway/openai/v1/models", "/gateway/nobody/v1/models", KEYS] {
            let request = Request::get(format!("{}{path}", server.process.url()))
                .header("authorization", format!("Bearer {token}"))
                .header("x-request-id", secret.as_str())
                .body(Full::default())
                .unwrap();
            let answer = server.root.try_request(request).await.unwrap();
            assert_free_of(path, format!("{:?}", answer.headers).as_bytes(), &[("a secret", secret)]);
        }
    }
    server.process.kill();
    assert_free_of("the log", server.process.stderr().as_bytes(), &[("the key", &key), ("the token", &token)]);
}
