//! A server that may open no file and no connection more.

use std::process::{Command, Stdio};

use claviger_testkit::{Deployment, Running, random_secret};
use hyper::{Method, StatusCode};
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use crate::database::Database;
use crate::{PROVIDER, acme, connect, on_postgres, read_until, soon};

/// Enough to start with either store, and to serve a few.
const DESCRIPTORS: usize = 96;

/// A server with so many descriptors.
fn limited(deployment: &Deployment) -> Running {
    let server = deployment.command(&["serve"]);
    let mut shell = Command::new("/bin/sh");
    shell.args(["-c", r#"ulimit -n "$0"; exec "$@""#, &DESCRIPTORS.to_string()]);
    shell.arg(server.get_program()).args(server.get_args()).current_dir(deployment.folder());
    shell.env_clear().envs(server.get_envs().filter_map(|(name, value)| Some((name, value?))));
    shell.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    deployment.start(shell)
}

async fn still_answers(stream: &mut TcpStream) {
    stream.write_all(b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    assert!(read_until(stream, "\"ok\"").await.starts_with("HTTP/1.1 200"));
}

/// A connection that the server has no descriptor for waits; one that it has is served.
async fn runs_out_and_recovers(deployment: Deployment) {
    let server = limited(&deployment.with("CLAVIGER_SERVER__WORKERS", "2"));
    let token = acme(&server).await;
    let mut early = connect(&server).await;
    still_answers(&mut early).await;

    let mut crowd = Vec::new();
    for _ in 0..DESCRIPTORS {
        crowd.push(connect(&server).await);
    }
    let full = format!("/proc/{}/fd", server.process.id());
    soon("a lack of descriptors", async || (std::fs::read_dir(&full).unwrap().count() >= DESCRIPTORS).then_some(()))
        .await;
    still_answers(&mut early).await;
    // A request that needs a connection to the provider gets an answer, though not the provider's.
    let ask = format!("GET /gateway/{PROVIDER}/x HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token}\r\n\r\n");
    early.write_all(ask.as_bytes()).await.unwrap();
    let answer = read_until(&mut early, "\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 502") || answer.starts_with("HTTP/1.1 503"), "{answer}");

    drop(crowd);
    let path = "/api/workspaces/acme/byok-keys";
    let secret = random_secret();
    let added = soon("a new connection's answer", async || {
        let sent = server.root.try_send(Method::POST, path, &json!({"providerId": PROVIDER, "apiKey": secret})).await;
        sent.ok().filter(|answer| answer.status == StatusCode::OK)
    });
    added.await;
    assert_eq!(server.keys("acme").await.len(), 2);
    assert_eq!(server.root.send(Method::GET, "/readyz", &Value::Null).await.status, 200);
}

#[tokio::test]
async fn without_descriptors_a_server_on_a_file_serves_whom_it_has_and_recovers() {
    // Nobody listens there: reached or not, the answer is 502.
    runs_out_and_recovers(Deployment::new().with_provider(PROVIDER, "http://127.0.0.1:9")).await;
}

#[tokio::test]
async fn without_descriptors_a_server_on_postgresql_serves_whom_it_has_and_recovers() {
    let database = Database::new();
    runs_out_and_recovers(on_postgres(&database).with_provider(PROVIDER, "http://127.0.0.1:9")).await;
}
