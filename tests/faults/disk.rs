//! A PostgreSQL on a disk that is full. SQLite's is in `tests/durability/full_disk.rs`.

use claviger_mock_provider::MockProvider;
use claviger_test_services::Postgres;
use claviger_testkit::{Answer, Running, random_secret};
use hyper::Method;
use serde_json::{Value, json};

use crate::{PROVIDER, on_postgres_at, soon};

/// More workspaces with a key than fit into the pages that the tables have.
const MANY: usize = 100;
/// So often it is found that the disk is full.
const REFUSED: usize = 5;

async fn add(server: &Running, workspace: &str, secret: &str) -> Answer {
    let path = format!("/api/workspaces/{workspace}/byok-keys");
    server.root.send(Method::POST, &path, &json!({"providerId": PROVIDER, "apiKey": secret})).await
}

fn assert_unavailable(answer: &Answer) {
    assert_eq!((answer.status.as_u16(), answer.code()), (503, "store_unavailable"), "{}", answer.json);
    assert!(!answer.header("retry-after").is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_of_postgresql_refuses_changes_and_nothing_else() {
    let mock = MockProvider::start(([127, 0, 0, 1], 0).into()).await.unwrap();
    let mut postgres = tokio::task::block_in_place(Postgres::start).unwrap();
    let deployment = on_postgres_at(&postgres.url("postgres")).with_provider(PROVIDER, &mock.base_url(PROVIDER));
    let server = deployment.serve();
    let workspaces: Vec<_> = (0..MANY).map(|number| format!("acme-{number}")).collect();
    for workspace in &workspaces {
        server.workspace(workspace).await;
    }
    // So that every table has a page, with room in it.
    server.key(&workspaces[0], PROVIDER, &random_secret()).await;
    let token = server.token(&workspaces[0], "runtime").await;
    tokio::task::block_in_place(|| postgres.restart_on_a_full_disk("postgres")).unwrap();

    let (mut stored, mut refused) = (vec![&workspaces[0]], Vec::new());
    for workspace in &workspaces[1..] {
        let answer = add(&server, workspace, &random_secret()).await;
        if answer.status == 200 {
            stored.push(workspace);
        } else {
            assert_unavailable(&answer);
            refused.push(workspace);
            if refused.len() == REFUSED {
                break;
            }
        }
    }
    assert!(stored.len() > 1, "there was no room for a single key");
    assert_eq!(refused.len(), REFUSED, "the disk was never full");
    assert_holds(&server, &stored, &refused).await;
    let leased = server.client(&token).send(Method::GET, &format!("/gateway/{PROVIDER}/x"), &Value::Null).await;
    assert_eq!(leased.status, 200, "{}", leased.json);

    tokio::task::block_in_place(|| postgres.make_room()).unwrap();
    for &workspace in &refused {
        let secret = random_secret();
        soon("room", async || (add(&server, workspace, &secret).await.status == 200).then_some(())).await;
    }
    stored.append(&mut refused);
    assert_holds(&server, &stored, &[]).await;
    assert_eq!(server.root.send(Method::GET, "/readyz", &Value::Null).await.status, 200);
    let verified = deployment.run(&["audit", "verify"]);
    assert_eq!(verified.code, Some(0), "{}{}", verified.stdout, verified.stderr);
}

/// Asserts that these workspaces have their key, and the others have none.
async fn assert_holds(server: &Running, stored: &[&String], refused: &[&String]) {
    for (workspaces, keys) in [(stored, 1), (refused, 0)] {
        for workspace in workspaces {
            assert_eq!(server.keys(workspace).await.len(), keys, "{workspace}");
        }
    }
}
