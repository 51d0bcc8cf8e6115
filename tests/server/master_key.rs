//! The master key's life, as an operator meets it at the shell.

use std::collections::BTreeSet;
use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use claviger_testkit::{Deployment, Ran, random_secret};
use serde_json::Value;

use crate::{acme, behind, mock};

const OPENAI: &str = "openai";
const MODELS: &str = "/gateway/openai/v1/models";

fn json(ran: &Ran) -> Value {
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    serde_json::from_str(&ran.stdout).unwrap()
}

fn status(deployment: &Deployment) -> Value {
    json(&deployment.run(&["master-key", "status", "--json"]))
}

/// Asserts that a command fails, with a last line on stderr that has all these parts.
fn assert_refused(ran: &Ran, parts: &[&str]) {
    let line = ran.stderr.lines().last().unwrap_or_default();
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(1), ""), "{}", ran.stderr);
    assert!(line.starts_with("claviger: "), "{line}");
    for part in parts {
        assert!(line.contains(part), "no {part:?}: {line}");
    }
}

fn mode(file: &Path) -> u32 {
    fs::metadata(file).unwrap().permissions().mode() & 0o777
}

#[test]
fn a_generated_master_key_is_one_and_overwrites_nothing() {
    let deployment = Deployment::new();
    let ran = deployment.run(&["master-key", "generate"]);
    assert_eq!((ran.code, ran.stderr.as_str(), ran.stdout.len()), (Some(0), "", 45));
    let made = json(&deployment.run(&["master-key", "generate", "--json"]));
    assert_ne!(ran.stdout.trim(), made["masterKey"].as_str().unwrap());

    let file = deployment.folder().join("new.key");
    let written = json(&deployment.run(&["master-key", "generate", "--out", "new.key", "--json"]));
    assert_eq!(mode(&file), 0o600);
    let before = fs::read_to_string(&file).unwrap();
    assert_eq!(before.len(), 45);
    let again = deployment.run(&["master-key", "generate", "--out", "new.key"]);
    assert_refused(&again, &["--out new.key", "must not be there"]);
    assert!(!again.stderr.contains(before.trim()));
    assert_eq!(fs::read_to_string(&file).unwrap(), before);
    let names: BTreeSet<_> =
        fs::read_dir(deployment.folder()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names, BTreeSet::from(["new.key".into()]), "no draft stays behind, and nothing else is made");

    let used = Deployment::new().with("CLAVIGER_VAULT__MASTER_KEY", made["masterKey"].as_str().unwrap());
    assert_eq!(used.run(&["workspace", "create", "acme"]).code, Some(0));
    assert_eq!(status(&used)["masterKeys"][0]["id"], made["id"]);
    assert_ne!(written["id"], made["id"]);
}

#[tokio::test]
async fn a_master_key_is_changed_beside_a_running_server_and_the_old_one_withdrawn() {
    let mock = mock().await;
    let first = behind(&mock, &[OPENAI]);
    let mut server = first.serve();
    let secrets = [random_secret(), random_secret()];
    let token = acme(&server, OPENAI, &secrets).await;
    assert_eq!(status(&first)["nodes"].as_array().unwrap().len(), 1);
    assert!(server.process.terminate().success());
    assert_eq!(status(&first)["nodes"], Value::Array(Vec::new()));
    let [key, old] = ["master.key", "old.key"].map(|name| first.data_dir().join(name));
    fs::rename(&key, &old).unwrap();
    assert_eq!(first.run(&["master-key", "generate", "--out", key.to_str().unwrap()]).code, Some(0));
    // The new one alone is too early.
    assert_refused(&first.run(&["serve"]), &["is not the one", "vault.old_master_keys"]);

    let both = first.with("CLAVIGER_VAULT__OLD_MASTER_KEYS_FILE", old.to_str().unwrap());
    let server = both.serve();
    let relay = async || server.client(&token).send(hyper::Method::GET, MODELS, &Value::Null).await.status.as_u16();
    assert_eq!(relay().await, 200);
    let before = status(&both);
    assert_eq!((&before["masterKeys"][0]["dataKeys"], &before["left"]), (&1.into(), &0.into()), "{before}");
    assert_eq!(before["masterKeys"][1]["canBeWithdrawn"], false, "{before}");

    let rotated = both.run(&["master-key", "rotate"]);
    assert_eq!(rotated.code, Some(0), "{}", rotated.stderr);
    assert!(rotated.stderr.contains("1 data keys are to be sealed anew"), "{}", rotated.stderr);
    let after = status(&both);
    let [now, was] = [&after["masterKeys"][0], &after["masterKeys"][1]];
    assert_eq!(
        (&now["inUse"], &now["dataKeys"], &now["id"]),
        (&true.into(), &1.into(), &before["masterKeys"][1]["id"])
    );
    assert_eq!((&was["canBeWithdrawn"], &was["dataKeys"]), (&true.into(), &0.into()), "{after}");
    assert!(was["given"].as_str().unwrap().contains("vault.old_master_keys_file"), "{after}");
    assert_eq!(relay().await, 200);
    server.workspace("late").await;
    server.key("late", OPENAI, &random_secret()).await;
    assert_eq!(json(&both.run(&["master-key", "rotate", "--json"]))["resealed"], 0);
    let ready = server.root.send(hyper::Method::GET, "/readyz", &Value::Null).await;
    assert_eq!(ready.status, 200);
    drop(server);

    fs::remove_file(&old).unwrap();
    let alone = both.without("CLAVIGER_VAULT__OLD_MASTER_KEYS_FILE");
    let server = alone.serve();
    mock.reset();
    for _ in &secrets {
        let answer = server.client(&token).send(hyper::Method::GET, MODELS, &Value::Null).await;
        assert_eq!(answer.status, 200);
    }
    assert!(secrets.iter().all(|secret| mock.counts().of(OPENAI, secret) == 1));
    for workspace in ["acme", "late"] {
        assert_eq!(json(&alone.run(&["workspace", "rekey", workspace, "--json"]))["success"], true);
    }
    for _ in &secrets {
        let answer = server.client(&token).send(hyper::Method::GET, MODELS, &Value::Null).await;
        assert_eq!(answer.status, 200);
    }
    assert!(secrets.iter().all(|secret| mock.counts().of(OPENAI, secret) == 2), "each in its turn");
}

#[test]
fn every_kind_of_owner_gets_a_new_data_key_at_the_shell() {
    let deployment = Deployment::new();
    for create in [["workspace", "create", "acme"], ["organization", "create", "group"]] {
        assert_eq!(deployment.run(&create).code, Some(0));
    }
    fs::write(deployment.folder().join("secret"), random_secret()).unwrap();
    let owners = [["--workspace", "acme"].as_slice(), &["--organization", "group"], &["--platform"]];
    for owner in owners {
        let rekey = [["key", "rekey"].as_slice(), owner].concat();
        assert_refused(&deployment.run(&rekey), &["has no data key yet"]);
        let add = [["key", "add", "--provider", OPENAI, "--secret-file", "secret"].as_slice(), owner].concat();
        assert_eq!(deployment.run(&add).code, Some(0));
        let ran = deployment.run(&rekey);
        assert_eq!((ran.code, ran.stdout.starts_with("sealed 1 keys")), (Some(0), true), "{}", ran.stderr);
    }
    for (owner, id) in [("workspace", "acme"), ("organization", "group")] {
        let done = json(&deployment.run(&[owner, "rekey", id, "--json"]));
        assert_eq!((&done["keys"], &done["generation"]), (&1.into(), &3.into()));
        assert_refused(&deployment.run(&[owner, "rekey", "nobody"]), &["nobody does not exist"]);
    }
    let shown = deployment.run(&["master-key", "status"]).stdout;
    let columns: Vec<_> = shown.trim().split('\t').collect();
    assert_eq!((columns[0].len(), &columns[1..3]), (16, ["3 data keys", "in use"].as_slice()), "{shown}");
    assert!(columns[3].ends_with("data/master.key"), "{shown}");
}

#[tokio::test]
async fn a_running_server_without_the_master_key_in_use_is_not_ready() {
    let deployment = Deployment::new();
    let server = deployment.serve();
    server.workspace("acme").await;
    server.key("acme", OPENAI, &random_secret()).await;
    let old = fs::read_to_string(deployment.data_dir().join("master.key")).unwrap();
    let new = deployment.run(&["master-key", "generate"]).stdout;
    let both = deployment
        .with("CLAVIGER_VAULT__MASTER_KEY", new.trim())
        .with("CLAVIGER_VAULT__OLD_MASTER_KEYS", &format!(" {},", old.trim()));
    let node = format!("(process {})", server.process.id());
    assert_refused(&both.run(&["master-key", "rotate"]), &[&node, "not have it yet", "vault.old_master_keys"]);
    let shown = both.run(&["master-key", "status"]);
    let line = shown.stdout.lines().last().unwrap();
    assert!(line.starts_with("node ") && line.contains(&node), "{line}");
    assert!(shown.stderr.contains(&format!("{node} does not have master key")), "{}", shown.stderr);
    assert_eq!(server.root.send(hyper::Method::GET, "/readyz", &Value::Null).await.status, 200);
    assert_eq!(both.run(&["master-key", "rotate", "--force"]).code, Some(0));
    let shown = both.run(&["master-key", "status"]);
    assert!(shown.stderr.contains("it is not ready"), "{}", shown.stderr);
    let ready = server.root.send(hyper::Method::GET, "/readyz", &Value::Null).await;
    assert_eq!((ready.status.as_u16(), ready.code()), (503, "master_key_missing"));
    assert_eq!(server.keys("acme").await[0]["status"], "active");
}

fn with_command(command: &str) -> Deployment {
    Deployment::new().with("CLAVIGER_VAULT__MASTER_KEY_COMMAND", command).with("PATH", "/usr/bin:/bin")
}

#[test]
fn a_command_prints_the_master_key_and_sees_none_of_our_settings() {
    let deployment = with_command("env > seen; echo to the operator >&2; cat key");
    let key = deployment.run(&["master-key", "generate"]).stdout;
    fs::write(deployment.folder().join("key"), format!("  {key}\n")).unwrap();
    let ran = deployment.run(&["workspace", "create", "acme"]);
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), "to the operator\n"));
    let seen = fs::read_to_string(deployment.folder().join("seen")).unwrap();
    assert!(seen.contains("PATH=") && !seen.contains("CLAVIGER"), "{seen}");
    assert!(!deployment.data_dir().join("master.key").exists());

    // Another one comes into use, and the old ones come by a command, too.
    let new = deployment.run(&["master-key", "generate"]).stdout;
    let next = deployment
        .without("CLAVIGER_VAULT__MASTER_KEY_COMMAND")
        .with("CLAVIGER_VAULT__MASTER_KEY", new.trim())
        .with("CLAVIGER_VAULT__OLD_MASTER_KEYS_COMMAND", "cat key; echo; cat key");
    assert_eq!(next.run(&["master-key", "rotate"]).code, Some(0));
}

#[test]
fn what_a_failing_command_says_is_shown_and_what_it_prints_never() {
    let secret = random_secret();
    let setting = "setting vault.master_key_command";
    let rows: [(&str, &[&str]); 5] = [
        ("cat secret; echo the vault is sealed >&2; exit 7", &["it failed", "exit status: 7"]),
        ("cat secret; echo the vault is sealed >&2; kill -9 $$", &["it failed", "signal: 9"]),
        ("cat secret; echo the vault is sealed >&2", &["base64 of exactly 32 bytes"]),
        ("echo the vault is sealed >&2; while cat secret; do :; done", &["more than 4096 bytes"]),
        (r"echo the vault is sealed >&2; cat secret; printf '\377'", &["not text"]),
    ];
    for (command, parts) in rows {
        let deployment = with_command(command);
        fs::write(deployment.folder().join("secret"), &secret).unwrap();
        let ran = deployment.run(&["serve"]);
        assert_refused(&ran, &[&[setting], parts].concat());
        assert!(ran.stderr.starts_with("the vault is sealed\n"), "{}", ran.stderr);
        assert_eq!(ran.stderr.lines().filter(|line| line.starts_with("claviger: ")).count(), 1, "{}", ran.stderr);
        assert!(!ran.stderr.contains(&secret), "{command}: what it printed is shown");
        assert!(!deployment.data_dir().exists(), "{command}: something was made");
    }
}

#[test]
fn a_command_that_does_not_end_is_killed_with_all_that_it_started() {
    let deployment = with_command("sleep 600 & echo $! > started; echo waiting >&2; wait");
    let begun = Instant::now();
    let ran = deployment.run(&["serve"]);
    assert!((Duration::from_secs(10)..Duration::from_secs(15)).contains(&begun.elapsed()), "{:?}", begun.elapsed());
    assert_refused(&ran, &["vault.master_key_command", "10 seconds", "killed"]);
    assert!(ran.stderr.starts_with("waiting\n"), "{}", ran.stderr);
    let started = fs::read_to_string(deployment.folder().join("started")).unwrap();
    let stat = Command::new("ps").args(["-o", "stat=", "-p", started.trim()]).output().unwrap();
    let stat = String::from_utf8(stat.stdout).unwrap();
    assert!(stat.trim().is_empty() || stat.starts_with('Z'), "it still runs: {stat}");
}

#[test]
fn a_master_key_comes_through_a_pipe_and_lines_may_end_as_on_windows() {
    let key = Deployment::new().run(&["master-key", "generate"]).stdout;
    let old = Deployment::new().run(&["master-key", "generate"]).stdout;
    let deployment = Deployment::new().with("CLAVIGER_VAULT__MASTER_KEY", key.trim());
    assert_eq!(deployment.run(&["workspace", "create", "acme"]).code, Some(0));
    let deployment = deployment.without("CLAVIGER_VAULT__MASTER_KEY");
    let deployment = deployment.with("CLAVIGER_VAULT__MASTER_KEY_FILE", "/dev/stdin");
    let deployment = deployment.with("CLAVIGER_VAULT__OLD_MASTER_KEYS", &format!("{}\r\n{0}\r\n", old.trim()));
    let mut command = deployment.command(&["master-key", "status", "--json"]);
    let mut running = command.stdin(Stdio::piped()).spawn().unwrap();
    write!(running.stdin.take().unwrap(), "{}\r\n", key.trim()).unwrap();
    let ran = Ran::from(running.wait_with_output().unwrap());
    deployment.look_through(&ran);
    assert_eq!(json(&ran)["masterKeys"].as_array().unwrap().len(), 2);
}

#[test]
fn a_file_that_holds_no_master_key_is_refused_and_not_shown() {
    let secret = random_secret();
    let setting = "setting vault.master_key_file";
    let rows: [(&[u8], &str); 3] = [
        (&[b'A'; 5_000], "more than 4096 bytes"),
        (b"\xff\xfe", "no text"),
        (secret.as_bytes(), "base64 of exactly 32"),
    ];
    for (content, part) in rows {
        let deployment = Deployment::new().with("CLAVIGER_VAULT__MASTER_KEY_FILE", "secret");
        fs::write(deployment.folder().join("secret"), content).unwrap();
        let ran = deployment.run(&["serve"]);
        assert_refused(&ran, &[setting, part]);
        assert!(!ran.stderr.contains(&secret));
    }
    // One without an end.
    let endless = Deployment::new().with("CLAVIGER_VAULT__MASTER_KEY_FILE", "/dev/zero");
    assert_refused(&endless.run(&["serve"]), &[setting, "more than 4096 bytes"]);
}

#[test]
fn several_ways_to_one_master_key_are_too_many() {
    let key = Deployment::new().run(&["master-key", "generate"]).stdout;
    for (one, other) in [
        ("MASTER_KEY", "MASTER_KEY_COMMAND"),
        ("MASTER_KEY_FILE", "MASTER_KEY_COMMAND"),
        ("OLD_MASTER_KEYS", "OLD_MASTER_KEYS_FILE"),
        ("OLD_MASTER_KEYS_FILE", "OLD_MASTER_KEYS_COMMAND"),
    ] {
        let name = |setting: &str| format!("CLAVIGER_VAULT__{setting}");
        let deployment = Deployment::new().with(&name(one), key.trim()).with(&name(other), "true");
        let parts = [one, other].map(|setting| format!("vault.{}", setting.to_lowercase()));
        assert_refused(&deployment.run(&["serve"]), &[&parts[0], &parts[1], "keep one"]);
    }
}

#[test]
fn older_master_keys_that_are_none_are_refused_and_not_shown() {
    let good = Deployment::new().run(&["master-key", "generate"]).stdout;
    let bad = random_secret();
    let deployment = Deployment::new().with("CLAVIGER_VAULT__OLD_MASTER_KEYS", &format!("{}, {bad}", good.trim()));
    let ran = deployment.run(&["serve"]);
    assert_refused(&ran, &["setting vault.old_master_keys", "base64 of exactly 32 bytes"]);
    assert!(!ran.stderr.contains(&bad) && !ran.stderr.contains(good.trim()));
    assert_eq!(
        Deployment::new().with("CLAVIGER_VAULT__OLD_MASTER_KEYS", "").run(&["workspace", "create", "acme"]).code,
        Some(0)
    );
}
