//! A deployment that moves to another database.

use std::net::TcpListener;
use std::process::{Child, Command};
use std::time::Duration;

use claviger_test_services::Database;
use claviger_testkit::{Client, Deployment, Ran, random_secret};
use hyper::Method;
use serde_json::{Value, json};

use crate::commands::{deployment, done, fed, json as shown};
use crate::{behind, mock, soon};

const URL: &str = "CLAVIGER_DATABASE__URL";

/// What a deployment holds, and what opens it.
struct Moving {
    deployment: Deployment,
    root: String,
    /// The runtime tokens of two workspaces: one with keys of its own, and one that inherits.
    tokens: [String; 2],
}

/// A deployment with something of everything, whose server has ended.
fn moving(deployment: Deployment) -> Moving {
    let deployment = deployment.without("CLAVIGER_AUTH__ROOT_TOKEN");
    let mut server = deployment.serve();
    let root = server.process.said[0].rsplit(' ').next().unwrap().to_owned();
    assert!(server.process.terminate().success());
    let create = |what: &str, id: &str, more: &[&str]| done(&deployment, &[&[what, "create", id], more].concat());
    create("organization", "holding", &["--name", "The Holding"]);
    create("organization", "club", &["--keys", "off"]);
    create("workspace", "acme", &["--name", "Acme"]);
    create("workspace", "globex", &["--organization", "holding"]);
    let owners: [&[&str]; 4] =
        [&["--workspace", "acme"], &["--workspace", "acme"], &["--organization", "holding"], &["--platform"]];
    for owner in owners {
        let add = [&["key", "add", "--provider", "openai", "--name", "One"], owner].concat();
        fed(&deployment, &add, &random_secret());
    }
    let token = |workspace: &str| {
        let create = ["token", "create", "--name", "t", "--role", "runtime", "--workspace", workspace];
        done(&deployment, &create).trim().to_owned()
    };
    let tokens = [token("acme"), token("globex")];
    Moving { deployment, root, tokens }
}

/// Everything that commands show of a deployment.
fn everything(deployment: &Deployment) -> Vec<Value> {
    let lists: [&[&str]; 7] = [
        &["workspace", "list"],
        &["organization", "list"],
        &["token", "list"],
        &["key", "list", "--platform"],
        &["key", "list", "--workspace", "acme"],
        &["key", "list", "--workspace", "globex"],
        &["key", "list", "--organization", "holding"],
    ];
    lists.iter().map(|list| shown(deployment, list)).collect()
}

fn sqlite(deployment: &Deployment, file: &str) -> String {
    format!("sqlite://{}", deployment.folder().join(file).display())
}

fn copy<'a>(from: &'a str, to: &'a str) -> [&'a str; 6] {
    ["store", "copy", "--from", from, "--to", to]
}

/// Shows that a server on the copy is the one that was: keys serve, tokens and root token work.
async fn serves(moved: &Deployment, root: &str, tokens: &[String]) {
    let server = moved.serve();
    for token in tokens {
        let answer = server.client(token).send(Method::GET, "/gateway/openai/v1/models", &Value::Null).await;
        assert_eq!(answer.status, 200, "{}", answer.json);
    }
    let root = Client::new(server.process.url(), root);
    assert_eq!(root.send(Method::GET, "/api/workspaces/acme", &Value::Null).await.status, 200);
    // The copy is one to go on with.
    let key = json!({"providerId": "openai", "apiKey": random_secret()});
    assert_eq!(root.send(Method::POST, "/api/workspaces/acme/byok-keys", &key).await.status, 200);
}

#[tokio::test]
async fn a_deployment_is_copied_to_another_file_and_served_from_there() {
    let mock = mock().await;
    let Moving { deployment, root, tokens } = moving(behind(&mock, &["openai"]));
    let (from, to) = (sqlite(&deployment, "data/claviger.db"), sqlite(&deployment, "copy.db"));
    let before = everything(&deployment);
    let bytes = || std::fs::read(deployment.data_dir().join("claviger.db")).unwrap();
    let source = bytes();

    let counts = "copied 2 organizations, 2 workspaces, 4 keys and 2 tokens";
    assert_eq!(done(&deployment, &copy(&from, &to)), format!("{counts}\n"));
    assert_eq!(done(&deployment, &copy(&from, &to)), format!("{counts} (all of it was there before)\n"));
    let again = shown(&deployment, &copy(&from, &to));
    let expected = json!({"organizations": 2, "workspaces": 2, "dataKeys": 3, "pools": 3, "keys": 4, "tokens": 2});
    assert_eq!((&again["success"], &again["counts"]), (&json!(true), &expected));
    assert_eq!(bytes(), source, "the source is only read");

    let moved = deployment.with(URL, &to);
    assert_eq!(everything(&moved), before);
    serves(&moved, &root, &tokens).await;
}

#[tokio::test]
async fn a_key_that_was_replaced_in_the_copy_comes_back_only_where_that_is_asked_for() {
    let mock = mock().await;
    let Moving { deployment, .. } = moving(behind(&mock, &["openai"]));
    let (from, to) = (sqlite(&deployment, "data/claviger.db"), sqlite(&deployment, "copy.db"));
    let before = everything(&deployment);
    let copied = done(&deployment, &copy(&from, &to));
    let moved = deployment.with(URL, &to);
    let keys = || shown(&moved, &["key", "list", "--workspace", "acme"])["keys"].clone();
    let leaked = keys()[0].clone();
    let replace = ["key", "replace", leaked["id"].as_str().unwrap(), "--workspace", "acme"];
    fed(&moved, &replace, &random_secret());
    let replaced = everything(&moved);
    assert_ne!(keys()[0]["maskedKey"], leaked["maskedKey"]);

    let refused = moved.run(&copy(&from, &to));
    assert_eq!((refused.code, refused.stdout.as_str()), (Some(1), ""), "{}", refused.stderr);
    assert_eq!(refused.stderr.lines().count(), 1, "{}", refused.stderr);
    for part in ["workspace acme", "was used since", "nothing was changed", "--overwrite"] {
        assert!(refused.stderr.contains(part), "{part}: {}", refused.stderr);
    }
    assert_eq!(everything(&moved), replaced);

    assert_eq!(done(&moved, &[&copy(&from, &to)[..], &["--overwrite"]].concat()), copied);
    assert_eq!(everything(&moved), before);
}

#[tokio::test]
async fn a_deployment_moves_from_a_file_to_postgresql() {
    let mock = mock().await;
    let Moving { deployment, root, tokens } = moving(behind(&mock, &["openai"]));
    let before = everything(&deployment);
    let (database, other) = (Database::new("copy").unwrap(), Database::new("copy").unwrap());
    let (url, empty) = (database.url(), other.url());
    let (_, password) = url.rsplit_once('@').unwrap().0.rsplit_once(':').unwrap();
    let from = sqlite(&deployment, "data/claviger.db");

    let ran = deployment.run(&copy(&from, &url));
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    assert!(ran.stderr.contains("PGPASSWORD") && !ran.stderr.contains(password), "{}", ran.stderr);
    let bare = url.replace(&format!(":{password}@"), "@");
    let deployment = deployment.with("PGPASSWORD", password);
    let again = done(&deployment, &copy(&from, &bare));
    assert!(again.contains("all of it was there before"), "{again}");

    let master = deployment.data_dir().join("master.key");
    let moved = deployment.with("CLAVIGER_VAULT__MASTER_KEY_FILE", master.to_str().unwrap()).with(URL, &bare);
    assert_eq!(everything(&moved), before);
    // On to another database of the same server, and back.
    let bare_empty = empty.replace(&format!(":{password}@"), "@");
    let nothing = moved.run(&copy(&bare_empty, &bare));
    assert!(nothing.stderr.contains(empty.rsplit_once('@').unwrap().1), "{}", nothing.stderr);
    assert!(done(&moved, &copy(&bare, &bare_empty)).starts_with("copied 2 organizations"));
    let same = moved.run(&copy(&bare, &bare));
    assert!(same.stderr.contains("the same database"), "{}", same.stderr);
    let back = sqlite(&moved, "back.db");
    assert!(done(&moved, &copy(&bare, &back)).starts_with("copied 2 organizations"));
    let moved_back = moved.with(URL, &back);
    assert_eq!(everything(&moved_back), before);
    serves(&moved_back.with(URL, &bare), &root, &tokens).await;
}

#[tokio::test]
async fn a_copy_that_is_killed_again_and_again_goes_on_where_it_ended() {
    const WORKSPACES: usize = 1_200;
    let deployment = Deployment::new();
    let server = deployment.serve();
    // More than go into one transaction.
    for number in 0..WORKSPACES {
        server.workspace(&format!("workspace-{number}")).await;
    }
    drop(server);
    let (from, to) = (sqlite(&deployment, "data/claviger.db"), sqlite(&deployment, "copy.db"));
    let before = shown(&deployment, &["workspace", "list"]);
    let mut kills = 0;
    let finished = loop {
        let mut child = deployment.command(&copy(&from, &to)).spawn().unwrap();
        if let Some(status) = ended_within(&mut child, Duration::from_millis(kills * 2)).await {
            break (status, child.wait_with_output().unwrap());
        }
        child.kill().unwrap();
        child.wait().unwrap();
        kills += 1;
    };
    assert!(finished.0, "{}", String::from_utf8_lossy(&finished.1.stderr));
    assert!(kills > 0, "the first one is killed at once");
    let moved = deployment.with(URL, &to);
    assert_eq!(before["workspaces"].as_array().unwrap().len(), WORKSPACES);
    assert_eq!(shown(&moved, &["workspace", "list"]), before);
}

/// Whether it ended well, if it ended in this time.
async fn ended_within(child: &mut Child, time: Duration) -> Option<bool> {
    let ended = async {
        loop {
            if let Some(status) = child.try_wait().unwrap() {
                return status.success();
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::time::timeout(time, ended).await.ok()
}

#[tokio::test]
async fn a_copy_that_is_told_to_stop_says_that_it_can_go_on() {
    let deployment = deployment();
    let from = sqlite(&deployment, "data/claviger.db");
    // A server that takes connections and says nothing.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    silent.set_nonblocking(true).unwrap();
    let to = format!("postgres://me@{}/claviger", silent.local_addr().unwrap());
    for signal in ["TERM", "INT"] {
        let child = deployment.command(&copy(&from, &to)).spawn().unwrap();
        let _connection = soon("a connection", async || silent.accept().ok()).await;
        let killed = Command::new("kill").args(["-s", signal, &child.id().to_string()]).status().unwrap();
        assert!(killed.success());
        let ran = Ran::from(child.wait_with_output().unwrap());
        assert_eq!((ran.code, ran.stdout.as_str()), (Some(1), ""), "{signal}");
        assert!(ran.stderr.contains("goes on where"), "{signal}: {}", ran.stderr);
    }
}

#[test]
fn what_cannot_be_copied_is_refused_and_nothing_is_made() {
    let (deployment, other) = (deployment(), deployment());
    done(&other, &["workspace", "create", "others"]);
    let from = sqlite(&deployment, "data/claviger.db");
    let (missing, copied) = (sqlite(&deployment, "missing.db"), sqlite(&deployment, "copy.db"));
    let (text, empty) = (sqlite(&deployment, "text"), sqlite(&deployment, "empty.db"));
    std::fs::write(deployment.folder().join("text"), "This is no database, but long enough to be one. ".repeat(50))
        .unwrap();
    std::fs::write(deployment.folder().join("empty.db"), "").unwrap();
    std::os::unix::fs::symlink(deployment.data_dir().join("claviger.db"), deployment.folder().join("link.db")).unwrap();
    let link = sqlite(&deployment, "link.db");
    let others = sqlite(&other, "data/claviger.db");
    let password = random_secret();
    let dead = format!("postgres://me:{password}@127.0.0.1:1/claviger");
    let rows: [(&str, &str, &str); 12] = [
        (&missing, &copied, "--from: there is no file"),
        (&text, &copied, "--from: "),
        (&empty, &copied, "no deployment"),
        (&from, &from, "the same database"),
        (&from, &link, "the same database"),
        (&from, "sqlite://data/claviger.db", "the same database"),
        (&from, &others, "another deployment"),
        (&from, &text, "--to: "),
        ("mysql://me@db/claviger", &copied, "--from: must be"),
        (&from, "sqlite://", "--to: must be"),
        (&from, &dead, "--to: "),
        (&dead, &copied, "--from: "),
    ];
    for (from, to, part) in rows {
        let refused = deployment.run(&copy(from, to));
        assert_eq!((refused.code, refused.stdout.as_str()), (Some(1), ""), "{from} {to}");
        assert!(refused.stderr.contains(part), "{from} {to}: {}", refused.stderr);
        assert!(!refused.stderr.contains(&password), "{}", refused.stderr);
    }
    for file in ["missing.db", "copy.db"] {
        assert!(!deployment.folder().join(file).exists(), "{file}");
    }
    assert_eq!(std::fs::read(deployment.folder().join("empty.db")).unwrap(), b"");
    assert!(done(&other, &["workspace", "list"]).starts_with("others\t"), "it is as it was");
    for (arguments, part) in
        [(&copy(&from, &copied)[..4], "--to"), (&["store"], "Usage"), (&["store", "copy"], "--from")]
    {
        let refused = deployment.run(arguments);
        assert_eq!(refused.code, Some(2), "{arguments:?}");
        assert!(refused.stderr.contains(part), "{arguments:?}: {}", refused.stderr);
    }
}
