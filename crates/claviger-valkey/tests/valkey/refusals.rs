//! Servers that cannot be used, each with a word on what to do.

use claviger_app::coordination::Coordination;
use claviger_test_services as services;
use claviger_valkey::{ConnectError, Valkey};

use crate::log::Log;
use crate::{PATIENT, pretender, random_password, random_pool, shared_again, turn};

/// The error of connecting, and that it is one line without the password.
async fn refusal(url: &str, password: &str) -> ConnectError {
    let (log, _guard) = Log::listen();
    let error = Valkey::connect(url, PATIENT).await.expect_err("it is connected to");
    let message = error.to_string();
    assert!(message.starts_with("valkey.url: ") && !message.contains('\n'), "{message}");
    for text in [message, format!("{error:?}"), log.text()] {
        assert!(!text.contains(password), "{text}");
    }
    error
}

fn at(port: u16, password: &str) -> String {
    format!("redis://:{password}@127.0.0.1:{port}")
}

/// What a server answers to the greeting.
fn greeting(version: &str, mode: &str, role: &str) -> &'static str {
    let fields = ["server", "redis", "version", version, "mode", mode, "role", role];
    let mut answer = vec!["*8\r\n".to_owned()];
    answer.extend(fields.iter().map(|field| format!("${}\r\n{field}\r\n", field.len())));
    // Kept as long as the server that answers it.
    Box::leak(answer.concat().into_boxed_str())
}

#[tokio::test]
async fn another_kind_of_server_is_recognized() {
    let password = random_password();
    let http = pretender(Some("HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n"));
    let other = pretender(Some("220 mail.example ESMTP\r\n"));
    for (port, expected) in [(http, "an HTTP server"), (other, "something else")] {
        let error = refusal(&at(port, &password), &password).await;
        assert!(matches!(error, ConnectError::Stranger { what, .. } if what == expected), "{error}");
    }
}

#[tokio::test]
async fn a_real_postgresql_is_recognized() {
    let server = services::Postgres::start().unwrap();
    let password = random_password();
    let port = server.port();
    let error = refusal(&at(port, &password), &password).await;
    assert!(matches!(error, ConnectError::Stranger { what: "a PostgreSQL server", .. }), "{error}");
}

#[tokio::test]
async fn a_password_that_is_missing_or_wrong_is_said() {
    let server = services::Valkey::start_with_password().unwrap();
    let (port, password) = (server.port(), random_password());
    let error = refusal(&format!("redis://127.0.0.1:{port}"), &password).await;
    assert!(matches!(error, ConnectError::PasswordMissing(_)), "{error}");
    let error = refusal(&at(port, &password), &password).await;
    assert!(matches!(error, ConnectError::PasswordWrong(_)), "{error}");
    let node = Valkey::connect(&server.url(), PATIENT).await.unwrap();
    assert_eq!(turn(&node, &random_pool(), &[1]).await, Some(1));
    let printed = format!("{node:?}");
    assert!(!server.url().split([':', '@']).any(|part| part.len() > 16 && printed.contains(part)), "{printed}");
}

#[tokio::test]
async fn a_user_needs_the_rights_that_are_named_and_no_others() {
    let server = services::Valkey::start().unwrap();
    let password = random_password();
    let url = format!("redis://node:{password}@127.0.0.1:{}", server.port());
    let grown = format!(">{password}");
    let user = ["ACL", "SETUSER", "node", "reset", "on", &grown, "~claviger:*", "+@connection", "+evalsha", "+eval"];
    server.command(&user).unwrap();
    for right in ["+script|load", "+hmget", "+hset", "+pexpire", "+time", "+hgetall", "+hdel"] {
        let error = refusal(&url, &password).await;
        assert!(matches!(error, ConnectError::NoRight(_)), "{error}");
        server.command(&["ACL", "SETUSER", "node", right]).unwrap();
    }
    let node = Valkey::connect(&url, PATIENT).await.unwrap();
    assert_eq!(turn(&node, &random_pool(), &[1]).await, Some(1));
    // A right that is taken away later is met by no refusal any more, and neither is one that comes back.
    server.command(&["ACL", "SETUSER", "node", "-hset"]).unwrap();
    assert_eq!(turn(&node, &random_pool(), &[1]).await, None);
    server.command(&["ACL", "SETUSER", "node", "+hset"]).unwrap();
    shared_again(&node).await;
    assert!(node.counts().sharing);
}

#[tokio::test]
async fn a_database_that_is_not_there_is_said() {
    let server = services::Valkey::start().unwrap();
    let error = refusal(&format!("{}/99", server.url()), "none").await;
    assert!(matches!(error, ConnectError::Database(_)), "{error}");
    let node = Valkey::connect(&format!("{}/3", server.url()), PATIENT).await.unwrap();
    turn(&node, &random_pool(), &[1]).await.unwrap();
    assert!(server.command(&["INFO", "keyspace"]).unwrap().contains("db3:keys="));
}

#[tokio::test]
async fn a_server_that_is_too_old_is_said() {
    let password = random_password();
    // Redis 5 repeats what it does not know.
    let answer = format!("-ERR unknown command `HELLO`, with args beginning with: `2`, `AUTH`, `{password}`, \r\n");
    let five = pretender(Some(Box::leak(answer.into_boxed_str())));
    let six = pretender(Some(greeting("6.0.16", "standalone", "master")));
    for port in [five, six] {
        let error = refusal(&at(port, &password), &password).await;
        assert!(matches!(error, ConnectError::TooOld { .. }), "{error}");
    }
}

#[tokio::test]
async fn a_sentinel_and_a_replica_are_recognized() {
    let sentinel = pretender(Some(greeting("7.0.0", "sentinel", "master")));
    let error = refusal(&at(sentinel, "none-"), "none-").await;
    assert!(matches!(error, ConnectError::IsSentinel(_)), "{error}");
    let replica = pretender(Some(greeting("7.0.0", "standalone", "replica")));
    let error = refusal(&at(replica, "none-"), "none-").await;
    assert!(matches!(error, ConnectError::IsReplica(_)), "{error}");
}

#[tokio::test]
async fn a_cluster_and_a_single_server_are_not_mixed_up() {
    let single = services::Valkey::start().unwrap();
    let error = refusal(&format!("{}?cluster=true", single.url()), "none").await;
    assert!(matches!(error, ConnectError::IsNoCluster(_)), "{error}");
    let cluster = services::Valkey::start_cluster().unwrap();
    let error = refusal(&cluster.url(), "none").await;
    assert!(matches!(error, ConnectError::IsCluster(_)), "{error}");
}
