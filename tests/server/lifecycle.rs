//! From the first start to the orderly end.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use claviger_testkit::{Client, Deployment, random_secret};
use hyper::Method;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::upstream::{HalfAnswer, read_until};
use crate::{acme, behind, mock, soon};

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[tokio::test]
async fn the_first_start_shows_a_root_token_once_and_it_stays_good() {
    let deployment = Deployment::new().without("CLAVIGER_AUTH__ROOT_TOKEN");
    let mut first = deployment.serve();
    let [shown, _listening] = first.process.said.as_slice() else { panic!("{:?}", first.process.said) };
    let token = shown.strip_prefix("root token, shown this once: ").unwrap().to_owned();
    let lists = async |url: &str, token: &str| {
        Client::new(url, token).send(Method::GET, "/api/workspaces", &Value::Null).await.status.as_u16()
    };
    assert_eq!(lists(first.process.url(), &token).await, 200);
    assert_eq!(lists(first.process.url(), &random_secret()).await, 401);
    assert!(first.process.terminate().success());
    assert!(!first.process.stderr().contains(&token[21..]));

    let mut second = deployment.serve();
    assert_eq!(second.process.said.len(), 1, "{:?}", second.process.said);
    assert_eq!(lists(second.process.url(), &token).await, 200);
    assert!(second.process.terminate().success());
    assert!(!second.process.stderr().contains(&token[21..]));
}

#[tokio::test]
async fn what_the_first_start_makes_is_its_owners_alone() {
    let deployment = Deployment::new();
    let mut server = deployment.serve();
    let data = deployment.data_dir();
    assert_eq!(mode(&data), 0o700);
    for name in names(&data) {
        assert_eq!(mode(&data.join(&name)), 0o600, "{name}");
    }
    server.process.kill();
    let log = server.process.stderr();
    assert!(log.contains("made a master key") && log.contains("master.key"), "{log}");
    let text = fs::read_to_string(data.join("master.key")).unwrap();
    assert!(!log.contains(text.trim()));
    assert_eq!(text.trim().len(), 44, "base64 of 32 bytes");
}

#[tokio::test]
async fn a_given_master_key_is_written_nowhere() {
    // 43 letters and "=" are base64 of 32 bytes, where the last letter ends in two zeros.
    let master = format!("{}A=", &random_secret()[..42]);
    let deployment = Deployment::new().with("CLAVIGER_VAULT__MASTER_KEY", &master);
    let mut server = deployment.serve();
    server.workspace("acme").await;
    server.key("acme", "openai", &random_secret()).await;
    assert!(!deployment.data_dir().join("master.key").exists());
    for name in names(&deployment.data_dir()) {
        let bytes = fs::read(deployment.data_dir().join(&name)).unwrap();
        assert!(!bytes.windows(master.len()).any(|window| window == master.as_bytes()), "{name}");
    }
    server.process.kill();
    assert!(!server.process.stderr().contains(&master));
}

#[tokio::test]
async fn health_is_0_where_the_server_is_ready_and_1_where_none_is() {
    let mut server = Deployment::new().serve();
    let address = server.process.url().strip_prefix("http://").unwrap().to_owned();
    let asking = Deployment::new().with("CLAVIGER_SERVER__LISTEN", &address);
    let healthy = asking.run(&["health"]);
    assert_eq!((healthy.code, healthy.stderr.as_str()), (Some(0), ""));
    let port = address.rsplit(':').next().unwrap();
    let everywhere = asking.with("CLAVIGER_SERVER__LISTEN", &format!("0.0.0.0:{port}"));
    assert_eq!(everywhere.run(&["health"]).code, Some(0));

    server.process.kill();
    let gone = everywhere.run(&["health"]);
    assert_eq!(gone.code, Some(1));
    assert!(gone.stderr.contains("no server answers at 127.0.0.1:"), "{}", gone.stderr);
    assert_eq!(gone.stderr.lines().count(), 1, "{}", gone.stderr);
    assert!(!everywhere.data_dir().exists(), "asking after health makes nothing");
}

#[tokio::test]
async fn health_is_1_where_the_server_cannot_serve() {
    let deployment = Deployment::new();
    let server = deployment.serve();
    fs::remove_file(deployment.data_dir().join("claviger.db")).unwrap();
    let address = server.process.url().strip_prefix("http://").unwrap();
    let ill = Deployment::new().with("CLAVIGER_SERVER__LISTEN", address).run(&["health"]);
    assert_eq!(ill.code, Some(1));
    assert!(ill.stderr.contains("not ready (status 503)"), "{}", ill.stderr);
}

#[tokio::test]
async fn operators_and_monitors_are_answered_without_a_token() {
    let server = Deployment::new().serve();
    let rows = [
        ("/healthz", "application/json", r#""status":"ok""#),
        ("/readyz", "application/json", r#""status":"ready""#),
        ("/metrics", "application/openmetrics-text; version=1.0.0", "claviger_connections"),
        ("/openapi.json", "application/json", "\"openapi\""),
        ("/docs", "text/html", "<html"),
    ];
    for (path, content_type, part) in rows {
        let uri = format!("{}{path}", server.process.url());
        let request = hyper::Request::get(uri).body(bytes::Bytes::new().into()).unwrap();
        let answer = server.root.try_request(request).await.unwrap();
        assert_eq!(answer.status, 200, "{path}");
        assert!(answer.header("content-type").starts_with(content_type), "{path}: {}", answer.header("content-type"));
        assert!(String::from_utf8_lossy(&answer.bytes).contains(part), "{path}");
    }
}

#[tokio::test]
async fn an_orderly_end_writes_when_keys_were_used() {
    let mock = mock().await;
    let deployment = behind(&mock, &["openai"]);
    let mut server = deployment.serve();
    let token = acme(&server, "openai", &[random_secret(), random_secret()]).await;
    let answer = server.client(&token).send(Method::GET, "/gateway/openai/v1/models", &Value::Null).await;
    let used = answer.header("x-claviger-key-id").to_owned();
    assert!(server.process.terminate().success());

    let server = deployment.serve();
    for key in server.keys("acme").await {
        assert_eq!(key["lastUsedAt"].is_string(), key["id"] == used.as_str(), "{key}");
    }
}

#[test]
fn a_server_that_says_it_listens_can_be_asked_to_end() {
    let deployment = Deployment::new();
    for round in 0..20 {
        let ended = deployment.serve().process.terminate();
        assert!(ended.success(), "round {round}: {ended}");
    }
}

#[tokio::test]
async fn an_orderly_end_leaves_the_database_in_one_file() {
    let deployment = Deployment::new();
    for _ in 0..3 {
        let mut server = deployment.serve();
        server.workspace("acme").await;
        server.key("acme", "openai", &random_secret()).await;
        assert!(server.process.terminate().success());
        assert_eq!(names(&deployment.data_dir()), ["claviger.db", "master.key"]);
        assert!(deployment.run(&["workspace", "list"]).code == Some(0));
        assert_eq!(names(&deployment.data_dir()), ["claviger.db", "master.key"]);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_runs_when_the_end_is_asked_for_is_finished_and_nothing_new_begins() {
    let provider = HalfAnswer::start().await;
    let deployment = Deployment::new().with_provider("exa", &format!("http://{}", provider.address));
    let mut server = deployment.serve();
    let token = acme(&server, "exa", &[random_secret()]).await;
    let address = server.process.url().strip_prefix("http://").unwrap().to_owned();
    let mut running = TcpStream::connect(&address).await.unwrap();
    let request = format!("GET /gateway/exa/x HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token}\r\n\r\n");
    running.write_all(request.as_bytes()).await.unwrap();
    read_until(&mut running, "first half").await;
    let mut waiting = TcpStream::connect(&address).await.unwrap();

    server.process.ask_to_end();
    soon("the door's closing", async || TcpStream::connect(&address).await.err()).await;
    let mut rest = Vec::new();
    // An idle connection is closed, or was reset when the door was.
    let _ = waiting.read_to_end(&mut rest).await;
    assert!(rest.is_empty());

    provider.go_on().await;
    running.read_to_end(&mut rest).await.unwrap();
    let rest = String::from_utf8(rest).unwrap();
    assert!(rest.contains("second half") && rest.ends_with("0\r\n\r\n"), "{rest:?}");
    assert!(server.process.wait().success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_does_not_finish_in_time_is_broken_off() {
    let provider = HalfAnswer::start().await;
    let deployment = Deployment::new()
        .with_provider("exa", &format!("http://{}", provider.address))
        .with("CLAVIGER_SERVER__SHUTDOWN_GRACE", "50ms");
    let mut server = deployment.serve();
    let token = acme(&server, "exa", &[random_secret()]).await;
    let mut running = TcpStream::connect(server.process.url().strip_prefix("http://").unwrap()).await.unwrap();
    let request = format!("GET /gateway/exa/x HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token}\r\n\r\n");
    running.write_all(request.as_bytes()).await.unwrap();
    read_until(&mut running, "first half").await;
    assert!(server.process.terminate().success());
    assert!(server.process.stderr().contains("broken off"));
    let mut rest = Vec::new();
    // However the connection ended, the answer must not look whole.
    let _ = running.read_to_end(&mut rest).await;
    assert!(!rest.ends_with(b"0\r\n\r\n"));
}

#[tokio::test]
async fn a_servers_memory_gets_into_no_core_dump_and_into_no_swap_where_it_can_be_locked() {
    let mut server = Deployment::new().serve();
    let of_process = |file: &str| fs::read_to_string(format!("/proc/{}/{file}", server.process.id())).unwrap();
    let limits = of_process("limits");
    let core = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
    assert_eq!(core.split_whitespace().skip(4).take(2).collect::<Vec<_>>(), ["0", "0"], "{limits}");
    let status = of_process("status");
    let field = |name: &str| status.lines().find_map(|line| line.strip_prefix(name)).unwrap().trim().to_owned();
    let capabilities = u64::from_str_radix(&field("CapEff:"), 16).unwrap();
    let unlimited =
        limits.lines().any(|line| line.starts_with("Max locked memory") && line.matches("unlimited").count() == 2);
    // CAP_IPC_LOCK is the fifteenth.
    let may_lock = capabilities >> 14 & 1 == 1 || unlimited;
    let locked: u64 = field("VmLck:").trim_end_matches(" kB").parse().unwrap();
    assert_eq!(locked > 0, may_lock, "{status}");
    assert!(server.process.terminate().success());
    assert_eq!(server.process.stderr().contains("memory may be swapped out"), !may_lock);
}
