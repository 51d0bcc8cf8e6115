//! Keys that come from Sim.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::process::{Child, Command};
use std::time::Duration;

use claviger_testkit::{Deployment, Ran, Running, random_secret};
use hyper::Method;
use serde_json::{Value, json};

use crate::commands::{deployment, done, fed, json as shown};
use crate::sim_database::{Row, Shape, SimDatabase};
use crate::{behind, mock, soon};

/// A deployment beside Sim: with its encryption key in a file, and its URL in the environment.
fn beside(sim: &SimDatabase, deployment: Deployment) -> Deployment {
    std::fs::write(deployment.folder().join("sim.key"), format!("{}\n", sim.encryption_key())).unwrap();
    deployment.with("SIM_URL", &sim.url())
}

const IMPORT: [&str; 6] = ["import", "sim", "--from-env", "SIM_URL", "--encryption-key-file", "sim.key"];

fn import(deployment: &Deployment, more: &[&str]) -> Ran {
    deployment.run(&[&IMPORT[..], more].concat())
}

/// Imports, and answers the report.
fn report(deployment: &Deployment, more: &[&str]) -> Value {
    let ran = import(deployment, &[more, &["--json"]].concat());
    serde_json::from_str(&ran.stdout).unwrap_or_else(|_| panic!("{}", ran.stderr))
}

fn counts(report: &Value) -> [u64; 6] {
    ["taken", "alreadyThere", "overCap", "undecryptable", "unknownProvider", "refused"]
        .map(|name| report["counts"][name].as_u64().unwrap())
}

/// Name and creator of an owner's keys of a provider, in the order of rotation.
fn listed(deployment: &Deployment, owner: &[&str], provider: &str) -> Vec<(Value, Value)> {
    let list = shown(deployment, &[&["key", "list", "--provider", provider], owner].concat());
    let keys = list["keys"].as_array().unwrap();
    keys.iter().map(|key| (key["name"].clone(), key["createdBy"].clone())).collect()
}

/// The next so many secrets of a workspace and the scope that they come from, as callers that hold keys themselves are
/// handed them.
async fn resolved(server: &Running, workspace: &str, provider: &str, count: usize) -> Vec<(String, String)> {
    let token = json!({"name": "t", "role": "runtime", "workspaceId": workspace, "reveal": true});
    let token = server.done(Method::POST, "/api/tokens", &token).await["token"].as_str().unwrap().to_owned();
    let client = server.client(&token);
    let mut secrets = Vec::new();
    for _ in 0..count {
        let path = format!("/api/workspaces/{workspace}/byok-keys/resolve");
        let answer = client.send(Method::POST, &path, &json!({"providerId": provider})).await;
        assert_eq!(answer.status, 200, "{}", answer.json);
        let text = |field: &str| answer.json[field].as_str().unwrap().to_owned();
        secrets.push((text("apiKey"), text("scope")));
    }
    secrets
}

fn of(scope: &str, secrets: &[&String]) -> Vec<(String, String)> {
    secrets.iter().map(|secret| ((*secret).clone(), scope.to_owned())).collect()
}

#[tokio::test]
async fn a_table_with_one_key_a_provider_is_taken_in() {
    let sim = SimDatabase::new(Shape::One);
    let deployment = beside(&sim, deployment());
    let by = |row: Row<'static>| Row { created_by: Some("user_1"), ..row };
    let openai = sim.key(by(Row::of_workspace("a", "acme", "openai", 1)));
    let exa = sim.key(Row::of_workspace("b", "acme", "exa", 2));
    let globex = sim.key(by(Row::of_workspace("c", "globex", "openai", 3)));

    let ran = import(&deployment, &[]);
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(0), "took 3 keys; 0 are there already, 0 left behind\n"));
    assert!(ran.stderr.contains("workspace_byok_keys has 3 keys (one key a provider)"), "{}", ran.stderr);
    assert_eq!(listed(&deployment, &["--workspace", "acme"], "openai"), [(Value::Null, json!("user_1"))]);
    assert_eq!(listed(&deployment, &["--workspace", "acme"], "exa"), [(Value::Null, Value::Null)]);
    let server = deployment.serve();
    for (workspace, provider, secret) in
        [("acme", "openai", &openai), ("acme", "exa", &exa), ("globex", "openai", &globex)]
    {
        assert_eq!(resolved(&server, workspace, provider, 1).await, of("workspace", &[secret]));
    }
}

#[tokio::test]
async fn several_keys_of_a_provider_keep_their_names_and_their_rotation() {
    let sim = SimDatabase::new(Shape::Several);
    let deployment = beside(&sim, deployment());
    let row = |id, created, name, user| Row {
        name: Some(name),
        created_by: Some(user),
        ..Row::of_workspace(id, "acme", "openai", created)
    };
    // By creation, and then by id; not as they were inserted.
    let third = sim.key(row("a", 9, "Third", "user_2"));
    let second = sim.key(row("c", 5, " Second ", "user_1"));
    let first = sim.key(row("b", 5, "First", "user_1"));
    let other = sim.key(Row::of_workspace("d", "acme", "anthropic", 1));
    sim.execute("INSERT INTO workspace VALUES ('acme', 'Acme Ltd', NULL)");

    assert_eq!(counts(&report(&deployment, &[])), [4, 0, 0, 0, 0, 0]);
    let names = [("First", "user_1"), ("Second", "user_1"), ("Third", "user_2")];
    let names = names.map(|(name, user)| (json!(name), json!(user)));
    assert_eq!(listed(&deployment, &["--workspace", "acme"], "openai"), names);
    assert_eq!(shown(&deployment, &["workspace", "show", "acme"])["workspace"]["name"], "Acme Ltd");
    let server = deployment.serve();
    let turns = resolved(&server, "acme", "openai", 4).await;
    assert_eq!(turns, of("workspace", &[&first, &second, &third, &first]));
    assert_eq!(resolved(&server, "acme", "anthropic", 1).await, of("workspace", &[&other]));
}

#[tokio::test]
async fn organizations_lend_their_keys_to_the_workspaces_that_they_have_in_sim() {
    let sim = SimDatabase::new(Shape::Several);
    let deployment = beside(&sim, deployment());
    sim.execute(
        "INSERT INTO organization VALUES ('holding', 'The Holding'), ('club', 'Club'), ('idle', 'Idle');
         INSERT INTO workspace VALUES ('own', 'Own', 'holding'), ('bare', 'Bare', 'holding'), ('moved', 'Moved', 'holding'),
             ('early', 'Early', 'holding'), ('clubs', 'Clubs', 'club'), ('idles', 'Idles', 'idle'), ('alone', 'Alone', NULL)",
    );
    let lent = |id, created| Row { owner: ("organization", "holding"), ..Row::of_workspace(id, "", "openai", created) };
    let lent = [sim.key(lent("a", 1)), sim.key(lent("b", 2))];
    let own = sim.key(Row::of_workspace("c", "own", "openai", 1));
    sim.key(Row::of_workspace("d", "clubs", "openai", 1));
    sim.key(Row::of_workspace("e", "moved", "openai", 1));
    // Two are there before: one of them in another organization.
    done(&deployment, &["organization", "create", "elsewhere"]);
    done(&deployment, &["workspace", "create", "moved", "--organization", "elsewhere"]);
    done(&deployment, &["workspace", "create", "early", "--name", "Before"]);

    let dry = report(&deployment, &["--dry-run"]);
    let imported = report(&deployment, &[]);
    let made = json!({"workspaces": 3, "organizations": 2, "joined": 1, "elsewhere": 1});
    assert_eq!((&imported["made"], &dry["made"]), (&made, &made));
    assert_eq!(counts(&imported), [5, 0, 0, 0, 0, 0]);
    let workspace = |id: &str| shown(&deployment, &["workspace", "show", id])["workspace"].clone();
    for (id, name, organization) in [
        ("own", "Own", "holding"),
        ("bare", "Bare", "holding"),
        ("early", "Before", "holding"),
        ("clubs", "Clubs", "club"),
    ] {
        assert_eq!((&workspace(id)["name"], &workspace(id)["organizationId"]), (&json!(name), &json!(organization)));
    }
    assert_eq!(workspace("moved")["organizationId"], "elsewhere");
    assert_eq!(shown(&deployment, &["organization", "show", "club"])["organization"]["name"], "Club");
    for absent in ["idles", "alone"] {
        assert_eq!(
            deployment.run(&["workspace", "show", absent]).code,
            Some(1),
            "{absent} has no keys, nor inherits any"
        );
    }
    let server = deployment.serve();
    assert_eq!(resolved(&server, "bare", "openai", 2).await, of("organization", &[&lent[0], &lent[1]]));
    assert_eq!(resolved(&server, "own", "openai", 1).await, of("workspace", &[&own]));
}

#[tokio::test]
async fn tables_that_lack_what_sim_has_now_or_have_more_are_read_all_the_same() {
    let sim = SimDatabase::empty();
    let deployment = beside(&sim, deployment());
    let secrets = [(); 3].map(|()| random_secret());
    let [last, first, middle] = secrets.each_ref().map(|secret| sim.seal(secret));
    sim.execute(&format!(
        "CREATE TABLE workspace_byok_keys (id uuid, workspace_id uuid, provider_id varchar(255), encrypted_api_key text,
             colour jsonb, created_at timestamptz);
         INSERT INTO workspace_byok_keys VALUES
             ('00000000-0000-0000-0000-00000000000a', '00000000-0000-0000-0000-000000000001', 'exa', '{last}', '{{}}', NULL),
             ('00000000-0000-0000-0000-00000000000b', '00000000-0000-0000-0000-000000000001', 'exa', '{first}', NULL,
              '2026-01-01 10:00+02'),
             ('00000000-0000-0000-0000-00000000000c', '00000000-0000-0000-0000-000000000001', 'exa', '{middle}', NULL,
              '2026-01-01 09:00+00');"
    ));
    assert_eq!(counts(&report(&deployment, &[])), [3, 0, 0, 0, 0, 0]);
    let turns = resolved(&deployment.serve(), "00000000-0000-0000-0000-000000000001", "exa", 3).await;
    assert_eq!(turns, of("workspace", &[&secrets[1], &secrets[2], &secrets[0]]));
}

/// Keys of every fate: two of them are taken, and one is there already.
fn of_every_fate(sim: &SimDatabase, other: &SimDatabase) -> Vec<String> {
    let row = Row::of_workspace;
    let first = sim.key(row("first", "acme", "openai", 1));
    let sealed_again = sim.seal(&first);
    sim.sealed_key(row("twin", "acme", "openai", 2), &sealed_again);
    let mut altered = sim.seal(&random_secret());
    let last = altered.pop();
    altered.push(if last == Some('0') { '1' } else { '0' });
    sim.sealed_key(row("altered", "acme", "openai", 3), &altered);
    let foreign = random_secret();
    sim.sealed_key(row("foreign", "acme", "exa", 1), &other.seal(&foreign));
    sim.sealed_key(row("formless", "acme", "exa", 2), "not:sealed");
    sim.sealed_key(row("spaced", "acme", "exa", 3), &sim.seal("two words"));
    let unknown = [sim.key(row("unknown", "acme", "you", 1)), sim.key(row("unknown-2", "globex", "you", 1))];
    let nobody = sim.key(row("nobody", "no such id", "exa", 1));
    let many: Vec<_> = (0..11).map(|number| format!("many-{number:02}")).collect();
    let rows: Vec<_> = many.iter().map(|id| row(id, "initech", "jina", 1)).collect();
    let mut secrets = sim.keys(&rows);
    secrets.extend([first, foreign, nobody]);
    secrets.extend(unknown);
    secrets
}

#[test]
fn what_is_left_behind_is_told_by_its_row_with_the_reason() {
    let (sim, other) = (SimDatabase::new(Shape::Several), SimDatabase::empty());
    let deployment = beside(&sim, deployment());
    let secrets = of_every_fate(&sim, &other);

    let ran = import(&deployment, &["--json"]);
    assert_eq!(ran.code, Some(1), "{}", ran.stderr);
    let told: Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(counts(&told), [11, 1, 1, 3, 2, 2]);
    assert_eq!((&told["success"], &told["dryRun"]), (&json!(false), &json!(false)));
    assert_eq!(told["unknownProviders"], json!({"you": 2}));
    let left = told["leftBehind"].as_array().unwrap();
    let fields = ["at", "owner", "providerId", "why"];
    let left: Vec<_> = left.iter().map(|left| fields.map(|field| left[field].as_str().unwrap().to_owned())).collect();
    let expected = [
        ["foreign", "acme", "exa", "undecryptable"],
        ["formless", "acme", "exa", "undecryptable"],
        ["spaced", "acme", "exa", "refused"],
        ["altered", "acme", "openai", "undecryptable"],
        ["unknown", "acme", "you", "unknown_provider"],
        ["unknown-2", "globex", "you", "unknown_provider"],
        ["many-10", "initech", "jina", "over_cap"],
        ["nobody", "no such id", "exa", "refused"],
    ];
    let expected = expected.map(|[row, owner, provider, why]| {
        [format!("workspace_byok_keys {row}"), format!("workspace {owner}"), provider.to_owned(), why.to_owned()]
    });
    assert_eq!(left, expected);
    for part in ["you (2)", "at most 10 keys", "8 of 20 keys were left behind", "another key"] {
        assert!(ran.stderr.contains(part), "{part}: {}", ran.stderr);
    }
    for secret in secrets {
        assert!(!ran.stderr.contains(&secret) && !ran.stdout.contains(&secret), "a secret is told");
    }
    assert_eq!(deployment.run(&["workspace", "show", "globex"]).code, Some(1), "no owner is made for nothing");
}

#[test]
fn an_import_can_be_repeated_and_takes_then_what_came_meanwhile() {
    let sim = SimDatabase::new(Shape::Several);
    let deployment = beside(&sim, deployment());
    sim.key(Row::of_workspace("a", "acme", "openai", 1));
    sim.key(Row::of_workspace("b", "acme", "you", 2));
    let left = report(&deployment, &[]);
    assert_eq!(counts(&left), [1, 0, 0, 0, 1, 0]);
    // What Sim calls otherwise is named, and what the catalogue lacks is defined.
    assert_eq!(counts(&report(&deployment, &["--provider", "you=linkup"])), [1, 1, 0, 0, 0, 0]);
    assert_eq!(listed(&deployment, &["--workspace", "acme"], "linkup").len(), 1);
    let defined = deployment.with("CLAVIGER_PROVIDERS__YOU__BASE_URL", "http://127.0.0.1:1");
    assert_eq!(counts(&report(&defined, &[])), [1, 1, 0, 0, 0, 0]);

    let again = import(&defined, &[]);
    assert_eq!((again.code, again.stdout.as_str()), (Some(0), "took 0 keys; 2 are there already, 0 left behind\n"));
    sim.key(Row::of_workspace("c", "acme", "openai", 3));
    assert_eq!(counts(&report(&defined, &[])), [1, 2, 0, 0, 0, 0]);
    assert_eq!(listed(&defined, &["--workspace", "acme"], "openai").len(), 2);
}

#[test]
fn a_rehearsal_tells_what_an_import_does_and_changes_nothing() {
    let (sim, other) = (SimDatabase::new(Shape::Several), SimDatabase::empty());
    of_every_fate(&sim, &other);
    // A deployment that is not there yet is not made.
    let deployment = beside(&sim, Deployment::new());
    let ran = import(&deployment, &["--dry-run"]);
    assert_eq!(ran.code, Some(1), "{}", ran.stderr);
    assert_eq!(ran.stdout, "would take 11 keys; 1 are there already, 8 left behind\n");
    assert!(ran.stderr.contains("would be taken"), "{}", ran.stderr);
    assert!(!deployment.data_dir().exists());
    let dry = report(&deployment, &["--dry-run"]);

    // One that has some of it already.
    nine_keys_of_initech(&deployment);
    let before = shown(&deployment, &["key", "list", "--workspace", "initech"]);
    let workspaces = shown(&deployment, &["workspace", "list"]);
    let fuller = report(&deployment, &["--dry-run"]);
    assert_eq!(counts(&fuller), [2, 1, 10, 3, 2, 2], "nine places of ten are taken by others");
    assert_eq!(shown(&deployment, &["key", "list", "--workspace", "initech"]), before);
    assert_eq!(shown(&deployment, &["workspace", "list"]), workspaces);

    for (dry, deployment) in [(fuller, deployment), (dry, beside(&sim, self::deployment()))] {
        let real = report(&deployment, &[]);
        assert_eq!((&real["counts"], &real["leftBehind"]), (&dry["counts"], &dry["leftBehind"]));
        assert_eq!((&real["made"], &dry["dryRun"]), (&dry["made"], &json!(true)));
    }
}

/// Nine keys of the workspace that Sim has eleven of.
fn nine_keys_of_initech(deployment: &Deployment) {
    assert_eq!(deployment.run(&["workspace", "create", "initech"]).code, Some(0));
    for _ in 0..9 {
        fed(deployment, &["key", "add", "--workspace", "initech", "--provider", "jina"], &random_secret());
    }
}

#[tokio::test]
async fn an_import_that_is_killed_again_and_again_goes_on_where_it_ended() {
    let sim = SimDatabase::new(Shape::Several);
    let deployment = beside(&sim, deployment());
    let names: Vec<_> =
        (0..240).map(|number| (format!("row-{number:03}"), format!("workspace-{:02}", number / 6))).collect();
    let keys: Vec<_> = names
        .iter()
        .zip(0..)
        .map(|((id, workspace), created)| Row { name: Some(id), ..Row::of_workspace(id, workspace, "openai", created) })
        .collect();
    sim.keys(&keys);
    let mut kills = 0;
    let finished = loop {
        let mut child = deployment.command(&IMPORT).spawn().unwrap();
        if let Some(ended_well) = ended_within(&mut child, Duration::from_millis(kills * 8)).await {
            assert!(ended_well, "{}", String::from_utf8_lossy(&child.wait_with_output().unwrap().stderr));
            break counts(&report(&deployment, &[]));
        }
        child.kill().unwrap();
        child.wait().unwrap();
        kills += 1;
    };
    assert!(kills > 0, "the first one is killed at once");
    assert_eq!(finished, [0, 240, 0, 0, 0, 0]);
    for workspace in 0..40 {
        let owner = format!("workspace-{workspace:02}");
        let expected: Vec<_> =
            (workspace * 6..workspace * 6 + 6).map(|number| json!(format!("row-{number:03}"))).collect();
        let listed = listed(&deployment, &["--workspace", &owner], "openai");
        assert_eq!(listed.into_iter().map(|(name, _)| name).collect::<Vec<_>>(), expected, "{owner}");
    }
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

#[test]
fn the_source_is_only_read_by_a_user_who_may_do_no_more() {
    let sim = SimDatabase::new(Shape::Several);
    let deployment = beside(&sim, deployment());
    sim.execute("INSERT INTO workspace VALUES ('acme', 'Acme', NULL)");
    sim.key(Row::of_workspace("a", "acme", "openai", 1));
    let (user, password) = (format!("reader_{}", random_secret()[..12].to_lowercase()), random_secret());
    sim.execute(&format!("CREATE ROLE {user} LOGIN PASSWORD '{password}'"));
    let deployment = deployment.with("SIM_URL", &sim.url_as(&user, &password));
    let refused = import(&deployment, &[]);
    assert_eq!(refused.code, Some(1));
    assert!(refused.stderr.contains("GRANT SELECT ON organization_byok_keys"), "{}", refused.stderr);

    sim.execute(&format!("GRANT SELECT ON workspace_byok_keys, organization_byok_keys TO {user}"));
    let before = sim.everything();
    assert_eq!(counts(&report(&deployment, &[])), [1, 0, 0, 0, 0, 0]);
    assert_eq!(sim.everything(), before);
    // Not even the superuser's import writes.
    let deployment = deployment.with("SIM_URL", &sim.url());
    assert_eq!(counts(&report(&deployment, &[])), [0, 1, 0, 0, 0, 0]);
    assert_eq!(sim.everything(), before);
    sim.execute(&format!("DROP OWNED BY {user}; DROP ROLE {user}"));
}

#[test]
fn a_password_is_taken_from_everywhere_but_an_argument_and_is_told_nowhere() {
    let sim = SimDatabase::new(Shape::One);
    let deployment = beside(&sim, deployment());
    sim.key(Row::of_workspace("a", "acme", "openai", 1));
    let (bare, password) = sim.bare_url();
    std::fs::write(deployment.folder().join("sim.url"), format!("{}\n", sim.url())).unwrap();
    let with_password = deployment.clone().with("PGPASSWORD", &password);
    let (open, mine) = (deployment.folder().join("open.pgpass"), deployment.folder().join(".pgpass"));
    for (file, mode) in [(&open, 0o644), (&mine, 0o600)] {
        std::fs::write(file, format!("*:*:*:postgres:{password}\n")).unwrap();
        std::fs::set_permissions(file, Permissions::from_mode(mode)).unwrap();
    }
    let with_passfile = deployment.clone().with("PGPASSFILE", mine.to_str().unwrap());
    let at_home = deployment.clone().with("HOME", deployment.folder().to_str().unwrap());
    // A file that others may read counts for nothing.
    let with_open_file = deployment.clone().with("PGPASSFILE", open.to_str().unwrap());
    let wrong = random_secret();
    let elsewhere = sim.url_as("postgres", &wrong);
    let rows: [(&Deployment, &[&str], i32, &str); 10] = [
        (&with_password, &["--from", &bare], 0, "taken"),
        (&with_passfile, &["--from", &bare], 0, "already there"),
        (&at_home, &["--from", &bare], 0, "already there"),
        (&with_open_file, &["--from", &bare], 1, "Permissions are not strict enough"),
        (&deployment, &["--from-file", "sim.url"], 0, "already there"),
        (&deployment, &["--from-env", "SIM_URL"], 0, "already there"),
        (&deployment, &["--from", &sim.url()], 1, "PGPASSWORD"),
        (&deployment, &["--from", &elsewhere], 1, "PGPASSWORD"),
        (&deployment.clone().with("SIM_URL", &elsewhere), &["--from-env", "SIM_URL"], 1, "password or user is wrong"),
        (&deployment, &["--from", &bare], 1, "password"),
    ];
    for (deployment, from, code, part) in rows {
        let ran = deployment.run(&[&["import", "sim", "--encryption-key-file", "sim.key"], from].concat());
        assert_eq!(ran.code, Some(code), "{from:?}: {}", ran.stderr);
        assert!(ran.stderr.contains(part), "{from:?}: {}", ran.stderr);
        for secret in [&password, &wrong, &sim.encryption_key()] {
            assert!(!ran.stderr.contains(secret.as_str()) && !ran.stdout.contains(secret.as_str()), "{from:?}");
        }
    }
}

#[test]
fn what_cannot_be_imported_is_refused_before_anything_is_made() {
    let (sim, empty, odd) = (SimDatabase::new(Shape::One), SimDatabase::empty(), SimDatabase::empty());
    odd.execute("CREATE TABLE workspace_byok_keys (id text, workspace_id text, provider_id text)");
    let deployment = beside(&sim, Deployment::new()).with("EMPTY", &empty.url()).with("ODD", &odd.url());
    let deployment = deployment.with("DEAD", "postgres://me@127.0.0.1:1/sim").with("OTHER", "mysql://me@127.0.0.1/sim");
    std::fs::write(deployment.folder().join("short.key"), "abcdef").unwrap();
    let key = ["--encryption-key-file", "sim.key"];
    let from = |name: &'static str| [&["--from-env", name], &key[..]].concat();
    let rows: [(Vec<&str>, i32, &str); 12] = [
        (vec![], 2, "--encryption-key-file"),
        (key.to_vec(), 2, "--from"),
        (vec!["--from-env", "SIM_URL"], 2, "--encryption-key-file"),
        ([&from("SIM_URL")[..], &["--from-file", "x"]].concat(), 2, "--from-file"),
        (from("NOWHERE"), 1, "no variable NOWHERE"),
        (from("EMPTY"), 1, "neither a table workspace_byok_keys"),
        (from("ODD"), 1, "no column encrypted_api_key"),
        (from("DEAD"), 1, "nothing listens there"),
        (from("OTHER"), 1, "must begin with postgres://"),
        (vec!["--from-env", "SIM_URL", "--encryption-key-file", "short.key"], 1, "64 hexadecimal digits"),
        ([&from("SIM_URL")[..], &["--provider", "you"]].concat(), 1, "THEIRS=OURS"),
        ([&from("SIM_URL")[..], &["--provider", "you=nobody"]].concat(), 1, "no provider nobody"),
    ];
    for (arguments, code, part) in rows {
        let ran = deployment.run(&[&["import", "sim"], &arguments[..]].concat());
        assert_eq!((ran.code, ran.stdout.as_str()), (Some(code), ""), "{arguments:?}: {}", ran.stderr);
        assert!(ran.stderr.contains(part), "{arguments:?}: {}", ran.stderr);
        assert!(code == 2 || ran.stderr.lines().count() == 1, "{arguments:?}: {}", ran.stderr);
    }
    assert!(!deployment.data_dir().exists());
}

#[test]
fn a_wrong_encryption_key_is_noticed_and_nothing_is_made() {
    let (sim, other) = (SimDatabase::new(Shape::One), SimDatabase::empty());
    let deployment = beside(&sim, deployment());
    sim.key(Row::of_workspace("a", "acme", "openai", 1));
    std::fs::write(deployment.folder().join("sim.key"), other.encryption_key()).unwrap();
    let ran = import(&deployment, &[]);
    assert_eq!(ran.code, Some(1));
    assert!(ran.stderr.contains("is it the right encryption key?"), "{}", ran.stderr);
    assert_eq!(done(&deployment, &["workspace", "list"]), "");
}

#[tokio::test]
async fn keys_that_come_in_beside_a_running_server_serve_soon_after() {
    let (sim, mock) = (SimDatabase::new(Shape::Several), mock().await);
    let deployment = beside(&sim, behind(&mock, &["openai"]));
    let server = deployment.serve();
    server.workspace("acme").await;
    let client = server.client(&server.token("acme", "runtime").await);
    let relayed = async || client.send(Method::GET, "/gateway/openai/v1/models", &Value::Null).await.status.as_u16();
    assert_eq!(relayed().await, 404);
    sim.key(Row::of_workspace("a", "acme", "openai", 1));
    assert_eq!(counts(&report(&deployment, &[])), [1, 0, 0, 0, 0, 0]);
    soon("an imported key serving", async || (relayed().await == 200).then_some(())).await;
}

#[tokio::test]
async fn an_import_that_is_told_to_stop_says_that_it_can_go_on() {
    let sim = SimDatabase::new(Shape::Several);
    let deployment = beside(&sim, deployment());
    let server = deployment.serve();
    let names: Vec<_> = (0..600).map(|number| (format!("row-{number:03}"), format!("workspace-{number:03}"))).collect();
    let rows = names.iter().map(|(id, workspace)| Row::of_workspace(id, workspace, "openai", 1));
    sim.keys(&rows.collect::<Vec<_>>());
    let child = deployment.command(&IMPORT).spawn().unwrap();
    // Once the second one is there, the first one's key was taken.
    soon("the second workspace", async || {
        let listed = server.root.send(Method::GET, "/api/workspaces?limit=2", &Value::Null).await;
        (listed.json["workspaces"].as_array().unwrap().len() == 2).then_some(())
    })
    .await;
    let killed = Command::new("kill").args(["-s", "TERM", &child.id().to_string()]).status().unwrap();
    assert!(killed.success());
    let ran = Ran::from(child.wait_with_output().unwrap());
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(1), ""), "{}", ran.stderr);
    for part in ["told to stop", "What was taken stays", "already there"] {
        assert!(ran.stderr.contains(part), "{part}: {}", ran.stderr);
    }
    let [taken, before, ..] = counts(&report(&deployment, &[]));
    assert_eq!(taken + before, 600);
    assert!(before > 0, "the first one took some");
}

#[test]
fn a_deployment_on_postgresql_takes_keys_in_as_one_on_a_file_does() {
    let (sim, target) = (SimDatabase::new(Shape::Several), SimDatabase::empty());
    // 43 letters and "=" are base64 of 32 bytes, where the last letter ends in two zeros.
    let master_key = format!("{}A=", &random_secret()[..42]);
    let deployment = beside(&sim, Deployment::new())
        .with("CLAVIGER_DATABASE__URL", &target.url())
        .with("CLAVIGER_VAULT__MASTER_KEY", &master_key);
    let names: Vec<_> =
        (0..30).map(|number| (format!("row-{number:02}"), format!("workspace-{}", number % 3))).collect();
    let rows = names.iter().map(|(id, workspace)| Row::of_workspace(id, workspace, "openai", 1));
    sim.keys(&rows.collect::<Vec<_>>());
    let empty = target.everything();
    assert_eq!(counts(&report(&deployment, &["--dry-run"])), [30, 0, 0, 0, 0, 0]);
    assert_eq!(target.everything(), empty);
    assert_eq!(counts(&report(&deployment, &[])), [30, 0, 0, 0, 0, 0]);
    let full = target.everything();
    assert_eq!(counts(&report(&deployment, &["--dry-run"])), [0, 30, 0, 0, 0, 0]);
    assert_eq!(target.everything(), full);
    assert_eq!(counts(&report(&deployment, &[])), [0, 30, 0, 0, 0, 0]);
}
