//! A system clock that jumps back an hour under a running server, and forth again.

use std::fs;
use std::path::Path;

use claviger_mock_provider::MockProvider;
use claviger_testkit::{Deployment, Running, random_secret};
use hyper::Method;
use serde_json::{Value, json};

use crate::database::Database;
use crate::{PROVIDER, on_postgres, soon};

/// Where Debian's package has the library that stands between a process and the clock.
fn library() -> String {
    let folders = fs::read_dir("/usr/lib").unwrap().map(|entry| entry.unwrap().path());
    let mut found = folders.map(|folder| folder.join("faketime/libfaketimeMT.so.1")).filter(|file| file.exists());
    found.next().expect("Debian's package faketime is installed").to_str().unwrap().to_owned()
}

/// Sets how far a server's clock is from the true one, in seconds. Time that only ever goes on is left alone.
fn set_clock(file: &Path, offset: i32) {
    let new = file.with_extension("new");
    fs::write(&new, format!("{offset:+}\n")).unwrap();
    fs::rename(new, file).unwrap();
}

fn with_clock(deployment: Deployment, file: &Path) -> Deployment {
    deployment
        .with("LD_PRELOAD", &library())
        .with("FAKETIME_TIMESTAMP_FILE", file.to_str().unwrap())
        .with("FAKETIME_NO_CACHE", "1")
        .with("FAKETIME_DONT_FAKE_MONOTONIC", "1")
        .with("DONT_FAKE_MONOTONIC", "1")
}

async fn served(server: &Running, token: &str) -> (u16, String) {
    let answer = server.client(token).send(Method::GET, &format!("/gateway/{PROVIDER}/x"), &Value::Null).await;
    (answer.status.as_u16(), answer.header("x-claviger-key-id").to_owned())
}

/// The hour that a server's clock shows, as it dates a new workspace.
async fn dated(server: &Running, id: &str) -> String {
    let made = server.done(Method::PUT, &format!("/api/workspaces/{id}"), &json!({})).await;
    made["workspace"]["createdAt"].as_str().unwrap().to_owned()
}

/// Keys take their turns and are listed as they were made, tokens and the audit trail hold, and changes go on.
async fn goes_on_through_jumps(deployment: Deployment) {
    let mock = MockProvider::start(([127, 0, 0, 1], 0).into()).await.unwrap();
    let folder = deployment.folder().to_owned();
    let clock = folder.join("clock");
    set_clock(&clock, 0);
    let deployment = deployment.with_provider(PROVIDER, &mock.base_url(PROVIDER));
    let server = with_clock(deployment.clone(), &clock).serve();
    server.workspace("acme").await;
    let token = server.token("acme", "runtime").await;
    let mut keys = vec![server.key("acme", PROVIDER, &random_secret()).await];
    let first = dated(&server, "first").await;
    assert_eq!(served(&server, &token).await.0, 200);

    for (step, offset) in [-3_600, 0, -3_600].into_iter().enumerate() {
        set_clock(&clock, offset);
        let now = dated(&server, &format!("later-{step}")).await;
        assert_eq!(now < first, offset < 0, "{now} after {first}: the clock did not jump");
        assert_eq!(served(&server, &token).await.0, 200);
        keys.push(server.key("acme", PROVIDER, &random_secret()).await);
        let listed = server.keys("acme").await;
        assert_eq!(listed.iter().map(|key| key["id"].as_str().unwrap()).collect::<Vec<_>>(), keys);
        let mut turns = Vec::new();
        for _ in &keys {
            let (status, key) = served(&server, &token).await;
            assert_eq!(status, 200);
            turns.push(key);
        }
        turns.sort_by_key(|turn| keys.iter().position(|key| key == turn));
        assert_eq!(turns, keys, "each key has one turn");
        let other = server.token("acme", "runtime").await;
        assert_eq!(served(&server, &other).await.0, 200);
        assert_eq!(server.root.send(Method::GET, "/readyz", &Value::Null).await.status, 200);
    }
    // Uses are written although their dates go back.
    soon("the last use of every key", async || {
        server.keys("acme").await.iter().all(|key| key["lastUsedAt"].is_string()).then_some(())
    })
    .await;
    let verified = deployment.run(&["audit", "verify"]);
    assert_eq!(verified.code, Some(0), "{}{}", verified.stdout, verified.stderr);
}

#[tokio::test]
async fn a_server_on_a_file_goes_on_when_the_clock_jumps() {
    goes_on_through_jumps(Deployment::new()).await;
}

#[tokio::test]
async fn a_server_on_postgresql_goes_on_when_the_clock_jumps() {
    let database = Database::new();
    goes_on_through_jumps(on_postgres(&database)).await;
}
