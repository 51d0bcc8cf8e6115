//! `kill -9` at every single write of a change: it has happened or it has not, and what was acknowledged has.
//!
//! The product has no fail points. A command that changes keys runs under `strace`, which kills it at the N-th of certain
//! system calls, for every N until the command lives through. A command is the same use case as a request, and it ends
//! with what a server does at its end: it takes the log of SQLite into the database.

use std::io::Write;
use std::process::{Command, Stdio};

use claviger_mock_provider::MockProvider;
use claviger_testkit::{Deployment, Ran, Running, random_secret};
use hyper::Method;
use serde_json::Value;

use crate::database::Database;
use crate::{PROVIDER, on_postgres};

/// Which system calls a command is killed at: their names, the file that they are of in the data folder, where it is one,
/// and whether they are of files at all.
struct Calls {
    names: &'static str,
    file: Option<&'static str>,
    are_of_a_file: bool,
}

/// The log of SQLite, up to the commit; then the database, as the log is taken into it; then the log's removal. The calls
/// of each are one thread's, and strace counts by threads.
const OF_SQLITE: [Calls; 3] = [
    Calls { names: "pwrite64,fsync,fdatasync", file: Some("claviger.db-wal"), are_of_a_file: true },
    Calls { names: "pwrite64,ftruncate,fsync,fdatasync", file: Some("claviger.db"), are_of_a_file: true },
    Calls { names: "unlink,unlinkat", file: None, are_of_a_file: true },
];
/// All that is said to the server, and nothing is written anywhere else.
const OF_POSTGRES: [Calls; 1] = [Calls { names: "sendto,sendmsg,writev", file: None, are_of_a_file: false }];

/// A change of keys.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Change {
    Add,
    Replace,
    Delete,
    Rekey,
}

/// No change takes as many calls, with either store.
const MOST_CALLS: usize = 150;

/// A workspace, and the masks of its keys before a change and after it.
struct Scene {
    workspace: String,
    arguments: Vec<String>,
    input: String,
    before: Vec<String>,
    after: Vec<String>,
}

fn mask(secret: &str) -> String {
    format!("{}...{}", &secret[..6], &secret[secret.len() - 4..])
}

fn fed(deployment: &Deployment, mut command: Command, input: &str) -> Ran {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    // A command that was killed does not read.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    let ran = child.wait_with_output().unwrap().into();
    deployment.look_through(&ran);
    ran
}

fn done(deployment: &Deployment, arguments: &[&str], input: &str) -> String {
    let ran = fed(deployment, deployment.command(arguments), input);
    assert_eq!(ran.code, Some(0), "{arguments:?}: {}", ran.stderr);
    ran.stdout
}

/// The masks of a workspace's keys.
fn listed(deployment: &Deployment, workspace: &str) -> Vec<String> {
    let list = done(deployment, &["key", "list", "--json", "--workspace", workspace], "");
    let list: Value = serde_json::from_str(&list).unwrap();
    masks(list["keys"].as_array().unwrap())
}

impl Scene {
    async fn new(server: &Running, change: Change, number: usize) -> Self {
        let workspace = format!("{change:?}-{number}");
        server.workspace(&workspace).await;
        let (old, new) = (random_secret(), random_secret());
        let owned = |arguments: &[&str]| arguments.iter().map(|&argument| argument.to_owned()).collect();
        let mut before = Vec::new();
        let mut key = String::new();
        if change != Change::Add {
            key = server.key(&workspace, PROVIDER, &old).await;
            before.push(mask(&old));
        }
        let (arguments, after) = match change {
            Change::Add => {
                (owned(&["key", "add", "--workspace", &workspace, "--provider", PROVIDER]), vec![mask(&new)])
            }
            Change::Replace => (owned(&["key", "replace", "--workspace", &workspace, &key]), vec![mask(&new)]),
            Change::Delete => (owned(&["key", "delete", "--workspace", &workspace, &key]), Vec::new()),
            Change::Rekey => (owned(&["workspace", "rekey", &workspace]), before.clone()),
        };
        Self { workspace, arguments, input: new, before, after }
    }

    /// Makes the change, and is killed at one of these calls. Returns whether it lived through, and whether it told of that.
    fn play(&self, deployment: &Deployment, calls: &Calls, at: usize) -> (bool, bool) {
        let arguments: Vec<_> = self.arguments.iter().map(String::as_str).collect();
        let command = killed_at(&deployment.command(&arguments), deployment, calls, at);
        let ran = fed(deployment, command, &self.input);
        let lived = ran.code == Some(0);
        assert!(lived || matches!(ran.code, None | Some(137)), "{:?}: {}", ran.code, ran.stderr);
        (lived, lived || !ran.stdout.is_empty())
    }

    /// Asserts that the change has happened or not, and has where it was told; with these masks of keys.
    fn assert_whole(&self, now: &[String], told: bool) {
        assert!(now == self.after || (now == self.before && !told), "{}: {now:?}, told: {told}", self.workspace);
    }
}

/// A command, and `strace` that kills it at the N-th of these calls.
fn killed_at(inner: &Command, deployment: &Deployment, calls: &Calls, at: usize) -> Command {
    let mut strace = Command::new("strace");
    strace.args(["-f", "-qqq", "-o", "/dev/null", "-e"]).arg(format!("trace={}", calls.names));
    strace.arg("-e").arg(format!("inject={}:signal=KILL:when={at}", calls.names));
    if let Some(file) = calls.file {
        strace.arg("-P").arg(deployment.data_dir().join(file));
    }
    strace.arg(inner.get_program()).args(inner.get_args()).current_dir(deployment.folder());
    strace.env_clear().envs(inner.get_envs().filter_map(|(name, value)| Some((name, value?))));
    strace
}

fn masks(keys: &[Value]) -> Vec<String> {
    keys.iter().map(|key| key["maskedKey"].as_str().unwrap().to_owned()).collect()
}

/// Kills a change at each of these calls, and asserts after each that it has happened or not; at last, that whatever is
/// there opens and serves.
async fn sweep(deployment: Deployment, calls: &[Calls], change: Change) {
    let mock = MockProvider::start(([127, 0, 0, 1], 0).into()).await.unwrap();
    let deployment = deployment.with_provider(PROVIDER, &mock.base_url(PROVIDER));
    let mut server = deployment.serve();
    let mut scenes = Vec::new();
    for number in 0..MOST_CALLS {
        scenes.push(Scene::new(&server, change, number).await);
    }
    assert!(server.process.terminate().success());
    let (mut next, mut played) = (scenes.iter(), Vec::new());
    for calls in calls {
        for kills in 0.. {
            let scene = next.next().expect("the calls end");
            let (lived, told) = scene.play(&deployment, calls, kills + 1);
            if calls.are_of_a_file {
                // The next process takes over what was left in the files. Here that is one which only reads.
                scene.assert_whole(&listed(&deployment, &scene.workspace), told);
            }
            played.push((scene, told));
            if lived {
                assert!(kills > 0, "{change:?}: no {} of {:?}", calls.names, calls.file);
                break;
            }
        }
    }
    done(&deployment, &["audit", "verify"], "");
    let server = deployment.serve();
    for (scene, told) in played {
        let keys = server.keys(&scene.workspace).await;
        scene.assert_whole(&masks(&keys), told);
        let token = server.token(&scene.workspace, "runtime").await;
        let answer = server.client(&token).send(Method::GET, &format!("/gateway/{PROVIDER}/x"), &Value::Null).await;
        assert_eq!(answer.code() == "no_key", keys.is_empty(), "{}: {}", scene.workspace, answer.json);
        assert_eq!(answer.status == 200, keys.len() == 1, "{}: {}", scene.workspace, answer.json);
    }
}

#[tokio::test]
async fn a_kill_at_any_write_to_the_file_leaves_an_added_key_whole_or_absent() {
    sweep(Deployment::new(), &OF_SQLITE, Change::Add).await;
}

#[tokio::test]
async fn a_kill_at_any_write_to_the_file_leaves_the_old_secret_or_the_new_one() {
    sweep(Deployment::new(), &OF_SQLITE, Change::Replace).await;
}

#[tokio::test]
async fn a_kill_at_any_write_to_the_file_leaves_a_key_or_none() {
    sweep(Deployment::new(), &OF_SQLITE, Change::Delete).await;
}

#[tokio::test]
async fn a_kill_at_any_write_to_the_file_leaves_the_old_data_key_or_the_new_one() {
    sweep(Deployment::new(), &OF_SQLITE, Change::Rekey).await;
}

#[tokio::test]
async fn a_kill_at_any_word_to_postgresql_leaves_an_added_key_whole_or_absent() {
    let database = Database::new();
    sweep(on_postgres(&database), &OF_POSTGRES, Change::Add).await;
}

#[tokio::test]
async fn a_kill_at_any_word_to_postgresql_leaves_the_old_secret_or_the_new_one() {
    let database = Database::new();
    sweep(on_postgres(&database), &OF_POSTGRES, Change::Replace).await;
}

#[tokio::test]
async fn a_kill_at_any_word_to_postgresql_leaves_a_key_or_none() {
    let database = Database::new();
    sweep(on_postgres(&database), &OF_POSTGRES, Change::Delete).await;
}

#[tokio::test]
async fn a_kill_at_any_word_to_postgresql_leaves_the_old_data_key_or_the_new_one() {
    let database = Database::new();
    sweep(on_postgres(&database), &OF_POSTGRES, Change::Rekey).await;
}
