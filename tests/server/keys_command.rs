//! Keys from the shell, beside a running server.

use claviger_testkit::{Deployment, Running, random_secret};
use hyper::Method;
use serde_json::{Value, json};

use crate::commands::{deployment, done, fed, fed_json, json as shown, run_fed, used};
use crate::{behind, mock, soon};

const OPENAI: [&str; 2] = ["--provider", "openai"];
const ACME: [&str; 2] = ["--workspace", "acme"];

/// A `key` command.
fn key<'a>(command: &'a str, owner: &[&'a str], more: &[&'a str]) -> Vec<&'a str> {
    [&["key", command], owner, more].concat()
}

/// Columns of the lines of a list.
fn columns(list: &str) -> Vec<Vec<&str>> {
    list.lines().map(|line| line.split('\t').collect()).collect()
}

/// Adds a key by a command; answers its id.
fn added(deployment: &Deployment, owner: &[&str], secret: &str) -> String {
    fed(deployment, &key("add", owner, &OPENAI), secret).trim().to_owned()
}

async fn relayed(server: &Running, token: &str) -> u16 {
    server.client(token).send(Method::GET, "/gateway/openai/v1/models", &Value::Null).await.status.as_u16()
}

#[tokio::test]
async fn keys_of_every_owner_are_added_listed_changed_and_deleted_beside_a_running_server() {
    let deployment = Deployment::new();
    let server = deployment.serve();
    done(&deployment, &["workspace", "create", "acme"]);
    done(&deployment, &["organization", "create", "holding"]);
    let owners: [(&[&str], &str); 3] = [
        (&ACME, "/api/workspaces/acme/byok-keys"),
        (&["--organization", "holding"], "/api/organizations/holding/byok-keys"),
        (&["--platform"], "/api/platform/byok-keys"),
    ];
    for (owner, path) in owners {
        let secrets = [random_secret(), random_secret(), random_secret()];
        let id = added(&deployment, owner, &format!(" {}\r\n", secrets[0]));
        let named = key("add", owner, &["--provider", "anthropic", "--name", " Reserve "]);
        let other = fed_json(&deployment, &named, &secrets[1]);
        assert_eq!((&other["success"], &other["key"]["name"]), (&json!(true), &json!("Reserve")), "{path}");
        assert_eq!(other["key"].get("updatedAt"), None, "as the API answers to an add");

        let list = shown(&deployment, &key("list", owner, &[]));
        let seen = server.root.send(Method::GET, path, &Value::Null).await;
        assert_eq!(seen.json["keys"], list["keys"], "{path}: the server shows what the command shows");
        assert_eq!(list["keys"][1]["createdBy"], Value::Null, "{path}");
        let only = shown(&deployment, &key("list", owner, &OPENAI));
        assert_eq!((only["keys"].as_array().unwrap().len(), &only["keys"][0]["id"]), (1, &json!(id)), "{path}");
        let text = done(&deployment, &key("list", owner, &OPENAI));
        let mask = format!("{}...{}", &secrets[0][..6], &secrets[0][secrets[0].len() - 4..]);
        assert_eq!(columns(&text), [[id.as_str(), "openai", &mask, "-", "on", "active", "-", "-"]], "{path}");

        let replace = key("replace", owner, &[&id, "--name", "Fresh"]);
        assert_eq!(fed(&deployment, &replace, &secrets[2]), format!("{id}\n"), "{path}");
        let replaced = fed_json(&deployment, &key("replace", owner, &[&id]), &secrets[2]);
        assert_eq!(replaced["key"]["name"], "Fresh", "{path}");
        assert!(replaced["key"]["updatedAt"].is_string(), "{path}");
        assert_eq!(done(&deployment, &key("rename", owner, &[&id, ""])), format!("{id}\n"), "{path}");
        let off = shown(&deployment, &key("disable", owner, &[&id]));
        assert_eq!((&off["key"]["enabled"], &off["key"]["name"]), (&json!(false), &Value::Null), "{path}");
        let text = done(&deployment, &key("list", owner, &OPENAI));
        assert_eq!(columns(&text)[0][3..5], ["-", "off"], "{path}");
        assert_eq!(done(&deployment, &key("enable", owner, &[&id])), format!("{id}\n"), "{path}");

        assert_eq!(done(&deployment, &key("delete", owner, &[&id])), format!("deleted {id}\n"), "{path}");
        let all = key("delete", owner, &["--provider", "anthropic", "--all"]);
        assert_eq!(shown(&deployment, &all)["success"], true, "{path}");
        assert_eq!(done(&deployment, &key("list", owner, &[])), "", "{path}");
    }
}

#[tokio::test]
async fn a_key_that_a_command_changes_serves_or_not_soon_after() {
    let mock = mock().await;
    let deployment = behind(&mock, &["openai"]);
    let server = deployment.serve();
    done(&deployment, &["organization", "create", "holding"]);
    done(&deployment, &["workspace", "create", "acme", "--organization", "holding"]);
    let token = server.token("acme", "runtime").await;
    assert_eq!(relayed(&server, &token).await, 404);
    let becomes = async |what: &str, status: u16| {
        soon(what, async || (relayed(&server, &token).await == status).then_some(())).await;
    };

    let lent = ["--organization", "holding"];
    let id = added(&deployment, &lent, &random_secret());
    becomes("an organization's key serving its workspace", 200).await;
    done(&deployment, &key("disable", &lent, &[&id]));
    becomes("the end of a key that is switched off", 404).await;
    done(&deployment, &key("enable", &lent, &[&id]));
    becomes("a key that is switched on", 200).await;
    done(&deployment, &["organization", "create", "holding", "--keys", "off"]);
    becomes("the end of what an organization lends", 404).await;
    done(&deployment, &["organization", "create", "holding", "--keys", "on"]);
    becomes("what an organization lends", 200).await;
    done(&deployment, &["workspace", "create", "acme", "--organization", ""]);
    becomes("the end of what a workspace inherited", 404).await;
    let own = added(&deployment, &ACME, &random_secret());
    becomes("the workspace's own key", 200).await;
    done(&deployment, &key("delete", &ACME, &[&own]));
    becomes("the end of a deleted key", 404).await;
}

#[tokio::test]
async fn a_list_says_how_keys_fare() {
    let deployment = Deployment::new();
    let server = deployment.serve();
    done(&deployment, &["workspace", "create", "acme"]);
    let id = added(&deployment, &ACME, &random_secret());
    let create = json!({"name": "t", "role": "runtime", "workspaceId": "acme", "reveal": true});
    let token = server.root.send(Method::POST, "/api/tokens", &create).await.json["token"].clone();
    let outcome = format!("/api/workspaces/acme/byok-keys/{id}/outcome");
    let told = server.client(token.as_str().unwrap()).send(Method::POST, &outcome, &json!({"status": 402})).await;
    assert_eq!(told.status, 200);
    let list = key("list", &ACME, &[]);
    soon("what was told being stored", async || {
        let text = done(&deployment, &list);
        let expected = ["exhausted", "-", "The account has no credit left (HTTP 402)"];
        (columns(&text)[0][5..] == expected).then_some(())
    })
    .await;
    let seen = server.root.send(Method::GET, "/api/workspaces/acme/byok-keys", &Value::Null).await;
    let shown = &shown(&deployment, &list)["keys"][0];
    for field in ["status", "statusReason", "availableAt", "domain"] {
        assert!(shown.get(field).is_some(), "{field}");
        assert_eq!(shown[field], seen.json["keys"][0][field], "{field}");
    }
}

#[test]
fn a_secret_comes_from_standard_input_or_a_file_and_shows_nowhere() {
    let deployment = deployment();
    done(&deployment, &["workspace", "create", "acme"]);
    let (piped, filed, file) = (random_secret(), random_secret(), deployment.folder().join("secret"));
    std::fs::write(&file, format!("{filed}\n")).unwrap();
    let file = file.to_str().unwrap();
    let mut said = added(&deployment, &ACME, &piped);
    said += &done(&deployment, &key("add", &ACME, &[&OPENAI[..], &["--secret-file", file]].concat()));
    said += &done(&deployment, &key("list", &ACME, &[]));
    assert_eq!(said.matches(&filed[filed.len() - 4..]).count(), 1, "the file's key is there: {said}");

    let refused = |secret: &[u8], more: &[&str], part: &str| {
        let ran = run_fed(&deployment, &key("add", &ACME, &[&OPENAI[..], more].concat()), secret);
        assert_eq!((ran.code, ran.stdout.as_str()), (Some(1), ""), "{part}");
        assert!(ran.stderr.contains(part) && ran.stderr.lines().count() == 1, "{part}: {}", ran.stderr);
        ran.stderr
    };
    let broken = format!("{} {}", random_secret(), random_secret());
    said += &refused(b" \n", &[], "empty");
    said += &refused("x".repeat(4_097).as_bytes(), &[], "4096");
    said += &refused("x".repeat(100_000).as_bytes(), &[], "too much");
    said += &refused(&[0xff], &[], "not text");
    said += &refused(broken.as_bytes(), &[], "visible");
    said += &refused(piped.as_bytes(), &[], "stored already, as key_");
    said += &refused(b"", &["--secret-file", "/nowhere"], "--secret-file /nowhere");
    said += &refused(b"", &["--name", "a\nb"], "--name");
    for secret in [&piped, &filed, &broken] {
        assert!(!said.contains(secret) && !said.contains(&secret[8..24]), "{said}");
    }
}

#[test]
fn platform_keys_that_settings_give_are_listed_and_stay() {
    let secret = random_secret();
    let deployment = used(Deployment::new().with("CLAVIGER_PLATFORM__OPENAI_API_KEY_1", &secret));
    let stored = added(&deployment, &["--platform"], &random_secret());
    let list = shown(&deployment, &key("list", &["--platform"], &[]));
    assert_eq!(list["keys"][0]["id"], stored, "stored keys come first");
    let given = list["keys"][1]["id"].as_str().unwrap().to_owned();
    for arguments in [key("disable", &["--platform"], &[&given]), key("delete", &["--platform"], &[&given])] {
        let refused = deployment.run(&arguments);
        assert_eq!(refused.code, Some(1));
        assert!(refused.stderr.contains("change it there"), "{}", refused.stderr);
    }
    let twice = run_fed(&deployment, &key("add", &["--platform"], &OPENAI), secret.as_bytes());
    assert!(twice.stderr.contains(&given), "{}", twice.stderr);
}

#[test]
fn bad_usage_of_keys_is_2_and_what_does_not_work_is_1() {
    let deployment = deployment();
    done(&deployment, &["workspace", "create", "acme"]);
    added(&deployment, &ACME, &random_secret());
    let nowhere = "key_01ARZ3NDEKTSV4RRFFQ69G5FAV";
    let rows: [(Vec<&str>, i32, &str); 23] = [
        (vec!["key"], 2, "Usage"),
        (key("list", &[], &[]), 2, "--platform"),
        (key("list", &ACME, &["--platform"]), 2, "--platform"),
        (key("list", &ACME, &["--organization", "b"]), 2, "--organization"),
        (key("add", &ACME, &[]), 2, "--provider"),
        (key("add", &ACME, &[&OPENAI[..], &["--secret", "x"]].concat()), 2, "--secret"),
        (key("rename", &ACME, &[nowhere]), 2, "<NAME>"),
        (key("delete", &ACME, &[]), 2, "KEY_ID"),
        (key("delete", &ACME, &OPENAI), 2, "--all"),
        (key("delete", &ACME, &["--all"]), 2, "--provider"),
        (key("delete", &ACME, &[&[nowhere, "--all"], &OPENAI[..]].concat()), 2, "--all"),
        (key("list", &["--workspace", "nobody"], &[]), 1, "workspace nobody does not exist"),
        (key("list", &["--organization", "nobody"], &[]), 1, "organization nobody does not exist"),
        (key("list", &["--workspace", "a b"], &[]), 2, "workspace id"),
        (key("list", &ACME, &["--provider", "opnai"]), 1, "opnai"),
        (key("add", &ACME, &["--provider", "opnai"]), 1, "opnai"),
        (key("add", &["--workspace", "nobody"], &OPENAI), 1, "workspace nobody does not exist"),
        (key("replace", &ACME, &[nowhere]), 1, "no such key"),
        (key("enable", &ACME, &["key_1"]), 2, "key id"),
        (key("delete", &ACME, &["nope"]), 2, "key id"),
        (key("add", &ACME, &["--provider", "Open AI"]), 2, "provider id"),
        (key("list", &["--organization", "a b"], &[]), 2, "organization id"),
        (key("delete", &ACME, &["--provider", "anthropic", "--all"]), 1, "no such key"),
    ];
    for (arguments, code, part) in rows {
        let refused = deployment.run(&arguments);
        assert_eq!((refused.code, refused.stdout.as_str()), (Some(code), ""), "{arguments:?}");
        assert!(refused.stderr.contains(part), "{arguments:?}: {}", refused.stderr);
        assert!(code == 2 || refused.stderr.lines().count() == 1, "{arguments:?}: {}", refused.stderr);
    }
    assert_eq!(done(&deployment, &key("list", &ACME, &[])).lines().count(), 1, "nothing of it did anything");
}

#[test]
fn an_eleventh_key_is_refused_by_commands_too() {
    let deployment = deployment();
    done(&deployment, &["workspace", "create", "acme"]);
    for _ in 0..10 {
        added(&deployment, &ACME, &random_secret());
    }
    let refused = run_fed(&deployment, &key("add", &ACME, &OPENAI), random_secret().as_bytes());
    assert_eq!(refused.code, Some(1));
    assert!(refused.stderr.contains("at most 10"), "{}", refused.stderr);
}
