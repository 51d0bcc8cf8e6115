//! Administration from the shell, beside a running server.

use std::io::{BufRead, BufReader, Write};
use std::process::Stdio;

use claviger_test_services::Database;
use claviger_testkit::{Deployment, Ran, random_secret};
use hyper::Method;
use serde_json::Value;

use crate::{behind, mock, soon};

/// Runs a command that says what it did on stdout, and nothing on stderr.
pub(crate) fn done(deployment: &Deployment, arguments: &[&str]) -> String {
    fed(deployment, arguments, "")
}

/// As [`done`], with something to read on standard input.
pub(crate) fn fed(deployment: &Deployment, arguments: &[&str], input: &str) -> String {
    let Ran { code, stdout, stderr } = run_fed(deployment, arguments, input.as_bytes());
    assert_eq!((code, stderr.as_str()), (Some(0), ""), "{arguments:?}");
    stdout
}

/// Runs a command with something to read on standard input.
pub(crate) fn run_fed(deployment: &Deployment, arguments: &[&str], input: &[u8]) -> Ran {
    let mut command = deployment.command(arguments);
    let mut child = command.stdin(Stdio::piped()).spawn().expect("the binary starts");
    // A command that does not read its input may have ended already.
    let _ = child.stdin.take().expect("stdin is piped").write_all(input);
    let ran: Ran = child.wait_with_output().expect("the binary ends").into();
    deployment.look_through(&ran);
    ran
}

/// A deployment that somebody used before: nothing is left to be made, or to be said of that.
pub(crate) fn deployment() -> Deployment {
    used(Deployment::new())
}

pub(crate) fn used(deployment: Deployment) -> Deployment {
    for change in ["create", "delete"] {
        assert_eq!(deployment.run(&["workspace", change, "first"]).code, Some(0));
    }
    deployment
}

pub(crate) fn json(deployment: &Deployment, arguments: &[&str]) -> Value {
    fed_json(deployment, arguments, "")
}

pub(crate) fn fed_json(deployment: &Deployment, arguments: &[&str], input: &str) -> Value {
    let stdout = fed(deployment, &[arguments, &["--json"]].concat(), input);
    assert_eq!(stdout.lines().count(), 1, "{stdout}");
    serde_json::from_str(&stdout).unwrap()
}

#[tokio::test]
async fn workspaces_are_made_listed_shown_and_deleted_beside_a_running_server() {
    let deployment = Deployment::new();
    let server = deployment.serve();
    assert_eq!(done(&deployment, &["workspace", "list"]), "");
    assert_eq!(done(&deployment, &["workspace", "create", "acme", "--name", "Acme Ltd"]), "acme\n");
    let made = json(&deployment, &["workspace", "create", "globex"]);
    assert_eq!((&made["workspace"]["id"], &made["workspace"]["name"]), (&"globex".into(), &Value::Null));

    let shown = json(&deployment, &["workspace", "show", "acme"]);
    assert_eq!(shown["workspace"]["name"], "Acme Ltd");
    let seen = server.root.send(Method::GET, "/api/workspaces/acme", &Value::Null).await;
    assert_eq!(seen.json, shown, "the server shows what the command shows");
    let line = done(&deployment, &["workspace", "show", "acme"]);
    assert!(line.starts_with("acme\tAcme Ltd\t20"), "{line}");
    let listed = done(&deployment, &["workspace", "list"]);
    let listed: Vec<_> = listed.lines().map(|line| line.split('\t').next().unwrap()).collect();
    assert_eq!(listed, ["acme", "globex"]);
    let listed = json(&deployment, &["workspace", "list"]);
    assert_eq!(listed["workspaces"].as_array().unwrap().len(), 2);

    assert_eq!(done(&deployment, &["workspace", "delete", "acme"]), "deleted acme\n");
    assert_eq!(json(&deployment, &["workspace", "delete", "globex"])["success"], true);
    assert_eq!(server.root.send(Method::GET, "/api/workspaces/acme", &Value::Null).await.status, 404);
    assert_eq!(json(&deployment, &["workspace", "list"])["workspaces"], Value::Array(Vec::new()));
}

#[tokio::test]
async fn organizations_are_made_listed_shown_and_deleted_beside_a_running_server() {
    let deployment = Deployment::new();
    let server = deployment.serve();
    assert_eq!(done(&deployment, &["organization", "list"]), "");
    assert_eq!(done(&deployment, &["organization", "create", "holding", "--name", "The Holding"]), "holding\n");
    let made = json(&deployment, &["organization", "create", "club", "--keys", "off"]);
    let (id, keys) = (&made["organization"]["id"], &made["organization"]["keysEnabled"]);
    assert_eq!((id, keys), (&"club".into(), &false.into()));

    let shown = json(&deployment, &["organization", "show", "holding"]);
    assert_eq!(shown["organization"]["name"], "The Holding");
    let seen = server.root.send(Method::GET, "/api/organizations/holding", &Value::Null).await;
    assert_eq!(seen.json, shown, "the server shows what the command shows");
    let line = done(&deployment, &["organization", "show", "holding"]);
    assert!(line.starts_with("holding\tThe Holding\ton\t20"), "{line}");
    // What is not named stays.
    done(&deployment, &["organization", "create", "holding", "--keys", "off"]);
    done(&deployment, &["organization", "create", "club", "--keys", "on", "--name", ""]);
    let listed = done(&deployment, &["organization", "list"]);
    let listed: Vec<_> = listed.lines().map(|line| line.rsplit_once('\t').unwrap().0).collect();
    assert_eq!(listed, ["club\t-\ton", "holding\tThe Holding\toff"]);
    let listed = json(&deployment, &["organization", "list"]);
    assert_eq!(listed["organizations"].as_array().unwrap().len(), 2);

    assert_eq!(done(&deployment, &["organization", "delete", "holding"]), "deleted holding\n");
    assert_eq!(json(&deployment, &["organization", "delete", "club"])["success"], true);
    assert_eq!(server.root.send(Method::GET, "/api/organizations/club", &Value::Null).await.status, 404);
}

#[test]
fn a_workspace_joins_and_leaves_an_organization() {
    let deployment = deployment();
    done(&deployment, &["organization", "create", "holding"]);
    let organization = |more: &[&str]| {
        let made = json(&deployment, &[&["workspace", "create", "acme"], more].concat());
        made["workspace"]["organizationId"].clone()
    };
    assert_eq!(organization(&[]), Value::Null);
    assert_eq!(organization(&["--organization", "holding"]), "holding");
    assert_eq!(organization(&["--name", "Acme"]), "holding", "what is not named stays");
    assert!(done(&deployment, &["workspace", "list"]).ends_with("\tholding\n"));
    assert_eq!(organization(&["--organization", ""]), Value::Null);
    assert!(done(&deployment, &["workspace", "list"]).ends_with("\t-\n"));
    organization(&["--organization", "holding"]);
    done(&deployment, &["organization", "delete", "holding"]);
    assert_eq!(organization(&[]), Value::Null, "a workspace outlives its organization");
}

#[tokio::test]
async fn a_token_made_by_a_command_works_at_once_and_a_deleted_one_soon_no_more() {
    let mock = mock().await;
    let deployment = behind(&mock, &["openai"]);
    let server = deployment.serve();
    server.workspace("acme").await;
    server.key("acme", "openai", &random_secret()).await;
    let relayed = async |token: &str| {
        let answer = server.client(token).send(Method::GET, "/gateway/openai/v1/models", &Value::Null).await;
        answer.status.as_u16()
    };

    let create = ["token", "create", "--name", "Backend", "--role", "runtime", "--workspace", "acme"];
    let plain = done(&deployment, &create).trim().to_owned();
    assert_eq!(relayed(&plain).await, 200);
    let made = json(&deployment, &create);
    let token = made["token"].as_str().unwrap();
    assert_eq!(relayed(token).await, 200);
    assert_eq!((&made["role"], &made["workspaceId"]), (&"runtime".into(), &"acme".into()));

    let listed = json(&deployment, &["token", "list"]).to_string() + &done(&deployment, &["token", "list"]);
    for token in [&plain, token] {
        assert_eq!(listed.matches(&token[4..20]).count(), 2, "each list has it once: {listed}");
        assert!(!listed.contains(&token[21..]), "without its secret");
    }

    for (token, answer) in [(plain.as_str(), "deleted "), (token, "{\"success\":true}")] {
        let more: &[&str] = if answer.starts_with('{') { &["--json"] } else { &[] };
        let said = done(&deployment, &[&["token", "delete", &token[4..20]], more].concat());
        assert!(said.starts_with(answer), "{said}");
        soon("a deleted token's end", async || (relayed(token).await == 401).then_some(())).await;
    }
}

#[tokio::test]
async fn tokens_of_a_deleted_workspace_stop_working() {
    let mock = mock().await;
    let deployment = behind(&mock, &["openai"]);
    let server = deployment.serve();
    server.workspace("acme").await;
    server.key("acme", "openai", &random_secret()).await;
    let tokens = [server.token("acme", "runtime").await, server.token("acme", "admin").await];
    let status = async |token: &str, path: &str| {
        server.client(token).send(Method::GET, path, &Value::Null).await.status.as_u16()
    };
    let paths = ["/gateway/openai/v1/models", "/api/workspaces/acme/byok-keys"];
    for (token, path) in tokens.iter().zip(paths) {
        assert_eq!(status(token, path).await, 200, "{path}");
    }
    done(&deployment, &["workspace", "delete", "acme"]);
    for (token, path) in tokens.iter().zip(paths) {
        soon("the end of a deleted workspace's token", async || (status(token, path).await == 401).then_some(())).await;
    }
    // Another workspace of the same id is another one.
    done(&deployment, &["workspace", "create", "acme"]);
    for (token, path) in tokens.iter().zip(paths) {
        assert_eq!(status(token, path).await, 401, "{path}");
    }
}

#[test]
fn a_token_with_an_end_says_so() {
    let deployment = deployment();
    done(&deployment, &["workspace", "create", "acme"]);
    let create = ["token", "create", "--name", "t", "--role", "member", "--workspace", "acme", "--expires-at"];
    let made = json(&deployment, &[&create[..], &["2100-01-31T12:00:00Z"]].concat());
    assert!(made["expiresAt"].as_str().unwrap().starts_with("2100-01-31T12:00:00"), "{made}");
    for (end, part) in [("2001-01-31T12:00:00Z", "future"), ("tomorrow", "RFC 3339")] {
        let refused = deployment.run(&[&create[..], &[end]].concat());
        assert_eq!(refused.code, Some(1), "{end}");
        assert!(refused.stderr.contains("--expires-at") && refused.stderr.contains(part), "{end}: {}", refused.stderr);
    }
}

#[test]
fn bad_usage_is_2_and_what_does_not_work_is_1() {
    let deployment = deployment();
    done(&deployment, &["workspace", "create", "acme"]);
    let long = "x".repeat(121);
    let rows: [(&[&str], i32, &str); 38] = [
        (&[], 2, "Usage"),
        (&["frobnicate"], 2, "frobnicate"),
        (&["serve", "--nonsense"], 2, "--nonsense"),
        (&["serve", "--log-format", "loud"], 2, "--log-format"),
        (&["dev", "--listen", "nowhere"], 2, "--listen"),
        (&["workspace"], 2, "Usage"),
        (&["workspace", "show"], 2, "<ID>"),
        (&["token", "create", "--role", "admin"], 2, "--name"),
        (&["token", "create", "--name", "t", "--role", "king"], 2, "--role"),
        (&["organization"], 2, "Usage"),
        (&["organization", "create"], 2, "<ID>"),
        (&["organization", "create", "a", "--keys", "maybe"], 2, "--keys"),
        (&["organization", "show", "nobody"], 1, "organization does not exist"),
        (&["organization", "delete", "a b"], 2, "organization id"),
        (&["workspace", "create", "acme", "--organization", "nobody"], 1, "organization does not exist"),
        (&["workspace", "create", "acme", "--name", "a\nb"], 1, "--name"),
        (&["workspace", "show", "nobody"], 1, "workspace does not exist"),
        (&["workspace", "delete", "a b"], 2, "workspace id"),
        (&["workspace", "create", "a b"], 2, "workspace id"),
        (&["workspace", "create", "acme", "--organization", "a b"], 2, "organization id"),
        (&["portal-link", "a b"], 2, "workspace id"),
        (&["token", "delete", "nope"], 2, "token id"),
        (&["audit", "verify", "--workspace", "a b"], 2, "workspace id"),
        (&["audit", "export", "--after", "1"], 2, "--after"),
        (&["dev", "--data-dir", "x"], 2, "--data-dir"),
        (&["token", "create", "--name", "t", "--role", "service", "--workspace", "acme"], 2, "--workspace"),
        (&["portal-link"], 2, "<WORKSPACE>"),
        (&["portal-link", "acme", "--role", "king"], 2, "--role"),
        (&["portal-link", "acme", "--actor", " "], 1, "--actor"),
        (&["portal-link", "acme", "--actor", "shell"], 1, "--actor"),
        (&["portal-link", "nobody"], 1, "workspace does not exist"),
        (&["token", "delete", "aaaaaaaaaaaaaaaa"], 1, "token"),
        (&["token", "create", "--name", "", "--role", "service"], 1, "--name must not be empty"),
        (&["token", "create", "--name", "  ", "--role", "service"], 1, "--name must not be empty"),
        (&["token", "create", "--name", &long, "--role", "service"], 1, "--name: must have at most 120"),
        (&["token", "create", "--name", "a\tb", "--role", "service"], 1, "--name: must not hold"),
        (&["token", "create", "--name", "t", "--role", "admin"], 2, "--workspace"),
        (&["token", "create", "--name", "t", "--role", "runtime", "--workspace", "nobody"], 1, "workspace"),
    ];
    for (arguments, code, part) in rows {
        let refused = deployment.run(arguments);
        assert_eq!((refused.code, refused.stdout.as_str()), (Some(code), ""), "{arguments:?}");
        assert!(refused.stderr.contains(part), "{arguments:?}: {}", refused.stderr);
        assert!(code == 2 || refused.stderr.lines().count() == 1, "{arguments:?}: {}", refused.stderr);
    }
}

#[test]
fn a_token_where_its_id_belongs_is_refused_and_not_shown() {
    let deployment = deployment();
    let token = done(&deployment, &["token", "create", "--name", "t", "--role", "service"]);
    let token = token.trim();
    for arguments in [["token", "delete", token].as_slice(), &["key", "delete", "--platform", token]] {
        let ran = deployment.run(arguments);
        assert_eq!(ran.code, Some(2), "{}", arguments[0]);
        assert!(ran.stderr.contains(" id must be ") && !ran.stderr.contains(token), "{}", arguments[0]);
    }
}

#[test]
fn commands_that_need_a_deployment_make_none() {
    let commands: [&[&str]; 17] = [
        &["workspace", "list"],
        &["workspace", "show", "acme"],
        &["workspace", "delete", "acme"],
        &["workspace", "rekey", "acme"],
        &["organization", "list"],
        &["organization", "show", "holding"],
        &["key", "list", "--platform"],
        &["key", "rename", "--platform", "key_01ARZ3NDEKTSV4RRFFQ69G5FAV", "Old"],
        &["key", "delete", "--platform", "--provider", "openai", "--all"],
        &["key", "rekey", "--platform"],
        &["token", "list"],
        &["token", "delete", "aaaaaaaaaaaaaaaa"],
        &["portal-link", "acme"],
        &["audit", "verify"],
        &["audit", "export"],
        &["master-key", "status"],
        &["master-key", "rotate"],
    ];
    let refused = |deployment: &Deployment, arguments: &[&str], part: &str| {
        let ran = deployment.run(arguments);
        assert_eq!((ran.code, ran.stdout.as_str()), (Some(1), ""), "{arguments:?}");
        assert_eq!(ran.stderr.lines().count(), 1, "{arguments:?}: {}", ran.stderr);
        assert!(ran.stderr.starts_with("claviger: no database at "), "{arguments:?}: {}", ran.stderr);
        assert!(ran.stderr.contains(part), "{arguments:?}: {}", ran.stderr);
    };
    let deployment = Deployment::new();
    for arguments in commands {
        refused(&deployment, arguments, "data/claviger.db: setting data_dir");
    }
    let elsewhere = deployment.clone().with("CLAVIGER_DATABASE__URL", "sqlite://elsewhere.db");
    refused(&elsewhere, &["audit", "verify"], "elsewhere.db: setting database.url");
    assert_eq!(std::fs::read_dir(deployment.folder()).unwrap().count(), 0, "nothing is made");

    // A database that was moved away is not made anew beside its master key.
    done(&used(deployment.clone()), &["workspace", "create", "acme"]);
    let file = deployment.data_dir().join("claviger.db");
    let away = deployment.folder().join("away.db");
    std::fs::rename(&file, &away).unwrap();
    refused(&deployment, &["audit", "verify"], "claviger.db");
    assert!(!file.exists());
    std::fs::rename(&away, &file).unwrap();
    assert!(done(&deployment, &["workspace", "list"]).starts_with("acme\t"));

    // The file of a first start that was cut short.
    std::fs::write(&file, "").unwrap();
    let ran = deployment.run(&["audit", "verify"]);
    assert_eq!((ran.code, ran.stderr.contains("holds no deployment")), (Some(1), true), "{}", ran.stderr);
    assert_eq!(std::fs::read(&file).unwrap(), b"", "no tables are made in it");
}

#[test]
fn a_database_of_a_server_gets_no_tables_from_commands_that_need_a_deployment() {
    let database = Database::new("commands").unwrap();
    let key = Deployment::new().run(&["master-key", "generate"]).stdout;
    let deployment = Deployment::new()
        .with("CLAVIGER_DATABASE__URL", &database.url())
        .with("CLAVIGER_VAULT__MASTER_KEY", key.trim());
    // Twice: the first left nothing that the second could go by.
    for arguments in [["audit", "verify"], ["master-key", "status"], ["workspace", "list"], ["audit", "verify"]] {
        let ran = deployment.run(&arguments);
        assert_eq!((ran.code, ran.stdout.as_str()), (Some(1), ""), "{arguments:?}");
        assert!(ran.stderr.contains("holds no deployment"), "{arguments:?}: {}", ran.stderr);
        assert!(ran.stderr.contains("setting database.url"), "{arguments:?}: {}", ran.stderr);
    }
    assert_eq!(deployment.run(&["workspace", "create", "acme"]).code, Some(0));
    assert!(done(&deployment, &["workspace", "list"]).starts_with("acme\t"));
}

#[test]
fn audit_trails_are_counted_in_words() {
    let deployment = Deployment::new();
    assert_eq!(deployment.run(&["workspace", "create", "acme"]).code, Some(0));
    let verified = |more: &[&str]| deployment.run(&[&["audit", "verify"], more].concat()).stderr;
    assert_eq!(verified(&["--workspace", "acme"]), "1 audit trail with 1 entry is whole\n");
    done(&deployment, &["workspace", "create", "globex"]);
    assert_eq!(verified(&[]), "2 audit trails with 2 entries are whole\n");
}

#[test]
fn a_server_says_where_it_is_as_json() {
    let deployment = Deployment::new().without("CLAVIGER_AUTH__ROOT_TOKEN");
    let said = |arguments: &[&str], lines: usize| -> Vec<Value> {
        let mut server = deployment.command(arguments).spawn().unwrap();
        let lines: Vec<_> = BufReader::new(server.stdout.take().unwrap()).lines().take(lines).collect();
        server.kill().unwrap();
        server.wait().unwrap();
        lines.into_iter().map(|line| serde_json::from_str(&line.unwrap()).unwrap()).collect()
    };
    let begins = |said: &Value, field: &str, begin: &str| said[field].as_str().unwrap().starts_with(begin);
    let served = said(&["serve", "--json"], 2);
    assert!(begins(&served[0], "rootToken", "clv_") && begins(&served[1], "url", "http://127.0.0.1:"));
    let shown = &said(&["dev", "--json", "--listen", "127.0.0.1:0"], 1)[0];
    assert!(begins(shown, "url", "http://127.0.0.1:") && begins(shown, "workspaceId", "demo"));
    assert!(begins(shown, "runtimeToken", "clv_") && begins(shown, "rootToken", "clv_"));
    let portal = format!("{}/portal/open/demo/clv_", shown["url"].as_str().unwrap());
    assert!(begins(shown, "portal", &portal));
}

#[test]
fn a_link_to_the_portal_comes_from_the_shell() {
    let deployment = deployment();
    done(&deployment, &["workspace", "create", "acme"]);
    let line = done(&deployment, &["portal-link", "acme"]);
    assert!(line.starts_with("http://") && line.contains("/portal/open/acme/clv_"), "{line}");
    let made = json(&deployment, &["portal-link", "acme", "--role", "member", "--actor", "user_1"]);
    assert!(made["url"].as_str().unwrap().contains("/portal/open/acme/clv_"), "{made}");
    assert!(made["expiresAt"].as_str().unwrap().ends_with('Z'), "{made}");
}

#[test]
fn help_is_there_on_every_level() {
    let deployment = Deployment::new();
    let rows: [&[&str]; 17] = [
        &["--help"],
        &["organization", "--help"],
        &["organization", "create", "--help"],
        &["key", "--help"],
        &["key", "list", "--help"],
        &["key", "add", "--help"],
        &["key", "delete", "--help"],
        &["store", "--help"],
        &["store", "copy", "--help"],
        &["serve", "--help"],
        &["dev", "--help"],
        &["health", "--help"],
        &["portal-link", "--help"],
        &["workspace", "--help"],
        &["workspace", "create", "--help"],
        &["token", "--help"],
        &["token", "create", "--help"],
    ];
    for arguments in rows {
        assert!(done(&deployment, arguments).contains("Usage: claviger"), "{arguments:?}");
    }
    assert!(done(&deployment, &["--version"]).starts_with("claviger "));
    assert!(!deployment.data_dir().exists());
}
