//! Starts on PostgreSQL that are refused: one line that names the setting and the mend, no secret, and nothing changed.

use std::net::TcpListener;

use claviger_test_services::{Valkey, shared_valkey};
use claviger_testkit::{Deployment, random_secret};

use crate::database::{Database, at_port, port, with_user};
use crate::fixture::{Plan, master_key, relay};
use crate::{blocking, say};

/// Asserts that a start is refused with one line that has all these parts and none of these secrets, and that nothing
/// changes of what `look` sees.
pub(crate) fn assert_refused(deployment: &Deployment, secrets: &[&str], parts: &[&str], look: impl Fn() -> String) {
    let before = look();
    let ran = blocking(|| deployment.run(&["serve"]));
    let line = ran.stderr.trim_end_matches('\n');
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(1), ""), "{line}");
    assert!(line.starts_with("claviger: ") && !line.contains('\n'), "not one line: {line}");
    for part in parts {
        assert!(line.contains(part), "no {part:?}: {line}");
    }
    for secret in secrets {
        assert!(!line.contains(secret), "a secret is shown: {line}");
    }
    assert_eq!(look(), before, "something was changed: {line}");
    assert!(!deployment.data_dir().exists(), "a folder was made: {line}");
    say(line);
}

/// A port where nobody listens.
fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_cannot_be_used_is_refused_with_what_is_wrong_with_its_url() {
    let database = Database::new();
    let (url, password) = (database.url(), random_secret());
    let rows: [(&str, String, &[&str]); 10] = [
        ("nobody there", with_user(&at_port(&url, free_port()), "claviger", &password), &["refused"]),
        ("another password", with_user(&url, "postgres", &password), &["password"]),
        ("another user", with_user(&url, "nobody", &password), &["password"]),
        ("no such database", database.url_of("no_such_database"), &["no such database", "CREATE DATABASE"]),
        ("no port", format!("postgres://claviger:{password}@127.0.0.1:port/claviger"), &["port"]),
        ("a slash in the password", format!("postgres://claviger:/{password}@127.0.0.1/claviger"), &["postgres://"]),
        ("digits and a slash", format!("postgres://claviger:12/{password}@127.0.0.1/claviger"), &["postgres://"]),
        ("digits and a question mark", format!("postgres://claviger:12?{password}@127.0.0.1/claviger"), &["URL"]),
        ("a mode that is none", format!("{}?sslmode=sometimes", with_user(&url, "a", &password)), &["\"sometimes\""]),
        ("a word misspelled", format!("{}?sslmod=require", with_user(&url, "a", &password)), &["sslmod", "sslmode"]),
    ];
    let given = url.split(['@', ':']).nth(2).unwrap();
    for (what, url, parts) in rows {
        say(what);
        let deployment = Plan::new(&url).await.deployment;
        let parts = [&["database.url"], parts].concat();
        assert_refused(&deployment, &[&password, given, &url], &parts, || database.everything());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_of_something_else_is_left_alone() {
    let database = Database::new();
    database.execute("CREATE TABLE workspace (id int); INSERT INTO workspace VALUES (1);");
    let deployment = Plan::new(&database.url()).await.deployment;
    assert_refused(&deployment, &[&database.url()], &["database.url", "another program"], || database.everything());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_user_who_may_not_make_tables_is_refused_and_nothing_is_made() {
    let database = Database::new();
    let (user, password) = (format!("user_{}", random_secret()[..12].to_lowercase()), random_secret());
    database.execute(&format!(
        "CREATE ROLE {user} LOGIN PASSWORD '{password}'; REVOKE CREATE ON SCHEMA public FROM PUBLIC;"
    ));
    let deployment = Plan::new(&database.url_as(&user, &password)).await.deployment;
    assert_refused(&deployment, &[&password], &["database.url", "GRANT"], || database.everything());
    database.execute(&format!("DROP ROLE {user};"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_master_key_that_is_not_given_or_is_another_one_is_refused() {
    let database = Database::new();
    let plan = Plan::new(&database.url()).await;
    let without = plan.deployment.beside().without("CLAVIGER_VAULT__MASTER_KEY");
    let missing = ["vault.master_key", "vault.master_key_file", "PostgreSQL", "given"];
    assert_refused(&without, &[&database.url()], &missing, || database.everything());

    let nodes = plan.start(1);
    let tenant = nodes.tenant(1).await;
    let other_key = master_key();
    let other = nodes.plan.deployment.beside().with("CLAVIGER_VAULT__MASTER_KEY", &other_key);
    let parts = ["vault.master_key", "not the one", "back to the first one"];
    let look = || database.everything();
    assert_refused(&other, &[&other_key], &parts, look);
    assert_refused(&without, &[&database.url()], &missing, look);
    assert_eq!(relay(&nodes.all[0].client(&tenant.token)).await.key(), tenant.keys[0]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_schema_of_a_later_version_is_refused() {
    let database = Database::new();
    let plan = Plan::new(&database.url()).await;
    drop(plan.node(|deployment| deployment));
    database.execute(
        "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
         VALUES (9000, 'of the future', true, '\\x00', 1);",
    );
    let parts = ["database.url", "newer version of Claviger", "9000"];
    assert_refused(&plan.deployment, &[&database.url()], &parts, || database.everything());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_schema_that_another_session_keeps_locked_is_not_waited_for_without_an_end() {
    let database = Database::new();
    let plan = Plan::new(&(database.url() + "?options[lock_timeout]=300ms")).await;
    let lock = "SELECT pg_advisory_lock(x'436c617669677363'::bigint);";
    let session = blocking(|| database.session(lock));
    let parts = ["database.url", "another session has been bringing its schema up to date", "pg_terminate_backend("];
    assert_refused(&plan.deployment, &[&database.url()], &parts, || database.everything());
    drop(session);
    plan.start(1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_valkey_url_that_leads_to_something_else_is_refused_before_the_database_is_touched() {
    let database = Database::new();
    let plan = Plan::new(&database.url()).await;
    let locked = blocking(Valkey::start_with_password).unwrap();
    let (password, place) = (random_secret(), format!("127.0.0.1:{}", locked.port()));
    let rows: [(&str, String, &[&str]); 6] = [
        ("an HTTP server", format!("redis://{}", plan.mock.addr()), &["HTTP"]),
        ("PostgreSQL", format!("redis://:{password}@127.0.0.1:{}", port(&database.url())), &["PostgreSQL"]),
        ("another password", format!("redis://:{password}@{place}"), &["password"]),
        ("no password", format!("redis://{place}"), &["password", "redis://:PASSWORD@HOST"]),
        ("no URL", place.clone(), &["redis://"]),
        ("a database that is not there", format!("{}/9999", shared_valkey().unwrap()), &["database", "number"]),
    ];
    for (what, url, parts) in rows {
        say(what);
        let deployment = plan.deployment.beside().with("CLAVIGER_VALKEY__URL", &url);
        let parts = [&["valkey.url"], parts].concat();
        assert_refused(&deployment, &[&password], &parts, || database.everything());
    }
}
