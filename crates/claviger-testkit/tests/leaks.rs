//! The search for secrets finds them: each is planted where a server or a test could leave one.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::{Command, Stdio};

use claviger_testkit::{Deployment, Running, random_name, random_secret};

/// By which a test that is to fail is told so, in a process of its own.
const FAIL: &str = "CLAVIGER_TEST_FAILS";

/// A shell script in the place of a server.
fn server(deployment: &Deployment, script: &str, argument: &str) -> Running {
    let mut shell = Command::new("/bin/sh");
    // It listens nowhere: port 9 takes no connection.
    let script = format!("{script}\necho listening on http://127.0.0.1:9; exec sleep 60");
    shell.args(["-c", &script, argument]).current_dir(deployment.folder());
    shell.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    deployment.start(shell)
}

/// What the end of a deployment says, on which this was done with a secret; nothing where it says nothing.
fn said_at_the_end(plant: impl FnOnce(&Deployment, &str)) -> Option<String> {
    let secret = random_secret();
    let deployment = Deployment::new();
    plant(&deployment, &secret);
    let failed = catch_unwind(AssertUnwindSafe(move || drop(deployment))).err()?;
    let said = failed.downcast_ref::<String>().expect("words").clone();
    assert!(!said.contains(&secret), "the secret is told");
    Some(said)
}

/// Has Python do this to the database `file` in the deployment's folder, with `secret` at hand.
fn in_sqlite(deployment: &Deployment, script: &str, secret: &str) {
    let script = format!("import sqlite3, sys; file, secret = sys.argv[1:]; db = sqlite3.connect(file)\n{script}");
    let mut python = Command::new("python3");
    let done = python.args(["-c", &script]).arg(deployment.folder().join("file")).arg(secret).output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
}

#[test]
fn a_deployment_without_a_secret_says_nothing() {
    let said = said_at_the_end(|deployment, _| {
        std::fs::write(deployment.folder().join("file"), random_name()).unwrap();
        in_sqlite(&deployment.beside(), "db.execute('CREATE TABLE t (v)'); db.commit()", "");
    });
    assert_eq!(said, None);
}

#[test]
fn a_secret_in_a_file_is_found() {
    let said = said_at_the_end(|deployment, secret| {
        std::fs::write(deployment.folder().join("file"), format!("<{secret}>")).unwrap();
    });
    assert!(said.unwrap().contains("/file: "));
}

#[test]
fn a_secret_in_the_log_is_found() {
    let said = said_at_the_end(|deployment, secret| drop(server(deployment, "echo \"key=$0\" >&2", secret)));
    assert!(said.unwrap().contains("the log: "));
}

#[test]
fn a_secret_in_what_a_server_says_when_it_panics_is_found() {
    let said = said_at_the_end(|deployment, secret| {
        let panic = "echo \"thread 'main' panicked at src/main.rs:1:1:\nbyte index 1 is out of \\`$0\\`\" >&2";
        let mut server = server(deployment, panic, secret);
        server.process.kill();
    });
    assert!(said.unwrap().contains("the log: "));
}

#[test]
fn a_secret_in_the_last_words_of_a_server_that_does_not_start_is_found() {
    let said = said_at_the_end(|deployment, secret| {
        let started = catch_unwind(AssertUnwindSafe(|| server(deployment, "echo \"$0\" >&2; exit 3", secret)));
        assert!(started.is_err());
    });
    assert!(said.unwrap().contains("the last words: "));
}

#[test]
fn a_secret_in_a_table_is_found_where_no_file_has_it_in_one_piece() {
    // Each value goes over several pages; with one of them, two pages part in the middle of the secret.
    let plant = "
db.isolation_level = None
db.executescript('PRAGMA synchronous = OFF; PRAGMA secure_delete = ON; CREATE TABLE t (v)')
for behind in range(4000, 8200, 10):
    db.execute('DELETE FROM t')
    db.execute('INSERT INTO t VALUES (?)', ('x' * 9000 + secret + 'y' * behind,))
    if secret[20:40].encode() not in open(file, 'rb').read(): sys.exit(0)
sys.exit('the secret is always in one piece')";
    let said = said_at_the_end(|deployment, secret| in_sqlite(deployment, plant, secret)).unwrap();
    assert!(said.contains("a table of SQLite: ") && !said.contains("/file: "), "{said}");
}

#[test]
fn a_token_that_was_shown_is_found_without_a_mark() {
    let said = said_at_the_end(|deployment, _| {
        let token = format!("clv_{}_{}", &random_name()[..16], "A".repeat(59));
        let shown = claviger_testkit::Ran { code: Some(0), stdout: token.clone(), stderr: String::new() };
        deployment.look_through(&shown);
        std::fs::write(deployment.folder().join("file"), token).unwrap();
    });
    assert!(said.unwrap().contains("/file: "));
}

#[test]
#[expect(clippy::disallowed_methods, reason = "how this test tells itself what to do in another process")]
fn a_test_that_fails_for_another_reason_hides_no_leak() {
    if std::env::var_os(FAIL).is_some() {
        let deployment = Deployment::new();
        let _server = server(&deployment, "echo \"$0\" >&2", &random_secret());
        panic!("another reason");
    }
    let name = "a_test_that_fails_for_another_reason_hides_no_leak";
    let mut myself = Command::new(std::env::current_exe().unwrap());
    let failed = myself.args(["--exact", name]).env(FAIL, "").output().unwrap();
    let said = String::from_utf8(failed.stdout).unwrap();
    assert!(!failed.status.success());
    assert!(said.contains("another reason") && said.contains("secrets were written"), "{said}");
}
