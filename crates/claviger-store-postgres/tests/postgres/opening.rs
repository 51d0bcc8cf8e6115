//! Opening a database, and what is said where that fails: one line each, without user and password.

use std::pin::pin;
use std::sync::Arc;

use claviger_core::{Owner, Timestamp};
use claviger_store::contract::somebody;
use claviger_store::{Found as _, OpenStoreError, Page, Store, StoreError, WorkspaceChange};
use claviger_store_postgres::PostgresStore;
use futures_util::future::{Either, join_all, select};
use sqlx::PgConnection;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::server::{Database, run};

/// What is said of a database that cannot be opened.
async fn refusal(url: &str) -> String {
    let error = PostgresStore::open(url, 2).await.expect_err("this database should not open");
    let said = error.to_string();
    assert!(!said.contains('\n'), "{said}");
    if let Some((user, password)) = url.split_once("://").and_then(|(_, rest)| rest.split_once('@')?.0.split_once(':'))
    {
        for text in [said.as_str(), &format!("{error:?}")] {
            assert!(!text.contains(password), "the password is in {text}");
            assert!(user == "postgres" || !text.contains(user), "the user is in {text}");
        }
    }
    said
}

#[tokio::test]
async fn what_is_wrong_with_the_address_is_said_plainly() {
    let database = Database::new().await;
    let (name, place) = (&database.name, database.place());
    let (user, password) = database.user().await;
    let wrong = format!("{:032x}", rand::random::<u128>());
    let free = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    for (url, expected) in [
        (database.url_of(&user, &wrong), format!("{place}/{name} cannot be opened: its password or user is wrong")),
        (
            database.url_of("nobody", &password),
            format!("{place}/{name} cannot be opened: its password or user is wrong"),
        ),
        (
            database.url().replace(name.as_str(), "claviger_test_of_nobody"),
            format!("{place}/claviger_test_of_nobody cannot be opened: there is no such database on the server"),
        ),
        (
            format!("postgres://{user}:{password}@{free}/claviger"),
            format!("{free}/claviger cannot be opened: nothing listens there"),
        ),
        (
            format!("postgres://{user}:{password}@host.invalid/claviger"),
            "host.invalid:5432/claviger cannot be opened: its host is not known".to_owned(),
        ),
        (
            format!("postgres://{user}:{password}@host:port/claviger"),
            "the PostgreSQL database cannot be opened: its URL cannot be read".to_owned(),
        ),
        (database.url_of(&user, &password) + "?sslmod=require", "its URL has the parameter \"sslmod\"".to_owned()),
        (
            format!("postgres://{user}:{password}@localhost/claviger?host=/nowhere"),
            "/nowhere:5432/claviger cannot be opened: there is no socket".to_owned(),
        ),
    ] {
        let said = refusal(&url).await;
        assert!(said.contains(&expected), "{said}");
    }
}

/// What is said of a server that answers in its own way.
async fn refusal_by(mode: &str, answer: impl AsyncFn(&mut TcpStream)) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let password = format!("{:032x}", rand::random::<u128>());
    let place = listener.local_addr().unwrap();
    let url = format!("postgres://somebody:{password}@{place}/claviger?sslmode={mode}");
    let serving = async {
        let mut open = Vec::new();
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            answer(&mut stream).await;
            open.push(stream);
        }
    };
    match select(pin!(refusal(&url)), pin!(serving)).await {
        Either::Left((said, _)) => said.replace(&place.to_string(), "host"),
        Either::Right((never, _)) => never,
    }
}

#[tokio::test]
async fn tls_that_is_demanded_and_not_offered_is_told() {
    for mode in ["require", "verify-ca", "verify-full"] {
        let said = refusal_by(mode, async |stream| {
            stream.read_exact(&mut [0; 8]).await.unwrap();
            stream.write_all(b"N").await.unwrap();
        })
        .await;
        assert_eq!(
            said,
            "host/claviger cannot be opened: TLS is demanded by sslmode, and the server does not offer it"
        );
    }
}

#[tokio::test]
async fn a_server_that_never_answers_is_given_up() {
    let said = refusal_by("disable", async |_| {}).await;
    assert_eq!(said, "host/claviger cannot be opened: it does not answer within 5 seconds");
}

#[tokio::test]
async fn a_server_that_is_too_old_is_refused() {
    let said = refusal_by("disable", async |stream| {
        let mut length = [0; 4];
        stream.read_exact(&mut length).await.unwrap();
        let mut rest = vec![0; usize::try_from(u32::from_be_bytes(length)).unwrap() - 4];
        stream.read_exact(&mut rest).await.unwrap();
        // Let in, version 13.4, ready.
        stream.write_all(b"R\0\0\0\x08\0\0\0\0S\0\0\0\x18server_version\x0013.4\0Z\0\0\0\x05I").await.unwrap();
    })
    .await;
    assert_eq!(said, "host/claviger cannot be opened: it is PostgreSQL 13; Claviger needs 14 or later");
}

#[tokio::test]
async fn a_missing_right_to_make_tables_is_told_with_the_cure() {
    let database = Database::new().await;
    let mut db = database.shell().await;
    // As it is from PostgreSQL 15 on.
    run(&mut db, "REVOKE CREATE ON SCHEMA public FROM PUBLIC").await.unwrap();
    let (user, password) = database.user().await;
    let url = database.url_of(&user, &password);
    let said = refusal(&url).await;
    let cure = "its user lacks the right to create tables; the database's owner gives it with GRANT USAGE, CREATE ON \
                SCHEMA public TO the user";
    assert!(said.ends_with(cure), "{said}");

    run(&mut db, &format!("GRANT USAGE, CREATE ON SCHEMA public TO {user}")).await.unwrap();
    PostgresStore::open(&url, 2).await.unwrap().ping().await.unwrap();
    // Its tables are gone before the user goes.
    run(&mut db, &format!("DROP OWNED BY {user}")).await.unwrap();
}

#[tokio::test]
async fn an_up_to_date_database_needs_no_right_to_make_tables() {
    let database = Database::new().await;
    database.store().await.close().await;
    let mut db = database.shell().await;
    run(&mut db, "REVOKE CREATE ON SCHEMA public FROM PUBLIC").await.unwrap();
    let (user, password) = database.user().await;
    let url = database.url_of(&user, &password);
    let said = refusal(&url).await;
    assert!(said.contains("its user may not use Claviger's tables"), "{said}");

    let rights = format!("GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO {user}");
    run(&mut db, &rights).await.unwrap();
    let store = PostgresStore::open(&url, 2).await.unwrap();
    store.put_workspace(&acme(), &somebody()).await.unwrap();
    assert_eq!(store.keys(&Owner::Platform).await.unwrap(), []);

    run(&mut db, &format!("REVOKE INSERT ON owner FROM {user}")).await.unwrap();
    let refused = store.delete_workspace(&acme().id, &somebody()).await;
    assert!(matches!(refused, Ok(true)), "{refused:?}");
    let refused = store.put_workspace(&acme(), &somebody()).await;
    let Err(claviger_store::PutWorkspaceError::Store(StoreError::ReadOnly(_))) = refused else { panic!("{refused:?}") };
}

fn acme() -> WorkspaceChange {
    WorkspaceChange { id: "acme".parse().unwrap(), name: None, organization: None, at: Timestamp::from_millis(1) }
}

#[tokio::test]
async fn finding_changes_nothing() {
    let database = Database::new().await;
    let found = PostgresStore::find(&database.url(), 2).await.unwrap();
    assert_eq!((found.canary(), found.is_up_to_date()), (None, false));
    let mut db = database.shell().await;
    let tables: i64 = sqlx::query_scalar("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'")
        .fetch_one(&mut db)
        .await
        .unwrap();
    assert_eq!(tables, 0);

    let store = Box::new(found).bring_up_to_date().await.unwrap();
    store.put_canary_if_absent(b"canary").await.unwrap();
    let found = PostgresStore::find(&database.url(), 2).await.unwrap();
    assert_eq!((found.canary(), found.is_up_to_date()), (Some(b"canary".as_slice()), true));
}

#[tokio::test]
async fn several_nodes_may_start_at_once_on_an_empty_database() {
    let database = Database::new().await;
    let stores = join_all((0..6).map(|_| database.store())).await;
    for store in &stores {
        store.ping().await.unwrap();
    }
}

#[tokio::test]
async fn a_lock_that_is_never_let_go_of_is_not_waited_for_without_an_end() {
    let database = Database::new().await;
    let (mut holder, impatient) = (database.shell().await, database.url() + "?options[lock_timeout]=200ms");
    run(&mut holder, "SELECT pg_advisory_lock(x'436c617669677363'::bigint)").await.unwrap();
    let pid: i32 = sqlx::query_scalar("SELECT pg_backend_pid()").fetch_one(&mut holder).await.unwrap();
    let said = refusal(&impatient).await;
    let expected = format!(
        "cannot be opened: another session has been bringing its schema up to date for more than 200ms; if no other node \
         is starting, end that session: SELECT pg_terminate_backend({pid})"
    );
    assert!(said.ends_with(&expected), "{said}");
    // Without a word in the URL there is an end, too, only later: the lock is let go of before it.
    let waiting = pin!(database.store());
    let Either::Left(((), waiting)) = select(pin!(is_waited_for(&mut holder)), waiting).await else {
        panic!("it does not wait")
    };
    run(&mut holder, "SELECT pg_advisory_unlock_all()").await.unwrap();
    waiting.await.ping().await.unwrap();

    // A table that somebody holds.
    run(&mut holder, "BEGIN; LOCK TABLE installation IN ACCESS EXCLUSIVE MODE").await.unwrap();
    let said = refusal(&impatient).await;
    assert!(said.contains("another session holds a lock on Claviger's tables"), "{said}");
}

/// Comes back when somebody waits for an advisory lock of this session's, and will not do so for ever.
async fn is_waited_for(holder: &mut PgConnection) {
    let waits = "SELECT EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory' AND NOT granted
                                AND pg_backend_pid() = ANY (pg_blocking_pids(pid)))";
    while !sqlx::query_scalar::<_, bool>(waits).fetch_one(&mut *holder).await.unwrap() {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn what_was_stored_is_there_after_closing_and_opening() {
    let database = Database::new().await;
    let store: Arc<dyn Store> = Arc::new(database.store().await);
    let stored = store.put_workspace(&acme(), &somebody()).await.unwrap();
    store.close().await;
    assert!(matches!(store.ping().await, Err(StoreError::Unavailable(_))));
    let again = database.store().await;
    assert_eq!(again.workspaces(&Page { after: None, limit: 10 }).await.unwrap(), [stored]);
}

#[tokio::test]
async fn a_newer_schema_is_refused_and_named() {
    let database = Database::new().await;
    database.store().await.close().await;
    let mut db = database.shell().await;
    let later = "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
                 VALUES (9000, 'of the future', true, '\\x00', 0)";
    run(&mut db, later).await.unwrap();
    let refused = PostgresStore::find(&database.url(), 2).await;
    let Err(OpenStoreError::Newer(named, 9_000, known)) = &refused else { panic!("{refused:?}") };
    assert_eq!(*named, format!("{}/{}", database.place(), database.name));
    assert!((1..9_000).contains(known));
}

#[tokio::test]
async fn an_altered_migration_is_refused() {
    let database = Database::new().await;
    database.store().await.close().await;
    let mut db = database.shell().await;
    run(&mut db, "UPDATE _sqlx_migrations SET checksum = '\\x00' WHERE version = 1").await.unwrap();
    let refused = PostgresStore::find(&database.url(), 2).await;
    assert!(matches!(refused, Err(OpenStoreError::Migration(..))), "{refused:?}");
}

#[tokio::test]
async fn another_programs_tables_are_left_alone() {
    for (sql, expected) in [
        ("CREATE TABLE owner (id TEXT); CREATE TABLE token (id TEXT)", "named as Claviger's (owner, token)"),
        (
            "CREATE TABLE _sqlx_migrations (version BIGINT, description TEXT, checksum BYTEA);
             INSERT INTO _sqlx_migrations VALUES (1, 'of another program', '\\x00')",
            "it is another program's, as its table _sqlx_migrations shows",
        ),
    ] {
        let database = Database::new().await;
        let mut db = database.shell().await;
        run(&mut db, sql).await.unwrap();
        let said = refusal(&database.url()).await;
        assert!(said.contains(expected), "{said}");
    }
}

#[tokio::test]
async fn tables_beside_ours_are_no_hindrance() {
    let database = Database::new().await;
    let mut db = database.shell().await;
    run(&mut db, "CREATE TABLE invoice (id TEXT)").await.unwrap();
    database.store().await.ping().await.unwrap();
}

#[tokio::test]
async fn ours_may_be_in_a_schema_of_their_own() {
    let database = Database::new().await;
    let mut db = database.shell().await;
    run(&mut db, "CREATE SCHEMA claviger; CREATE TABLE public.owner (id TEXT)").await.unwrap();
    let url = database.url() + "?options[search_path]=claviger";
    let store = PostgresStore::open(&url, 2).await.unwrap();
    store.put_workspace(&acme(), &somebody()).await.unwrap();
    let workspaces: i64 =
        sqlx::query_scalar("SELECT count(*) FROM claviger.workspace").fetch_one(&mut db).await.unwrap();
    assert_eq!(workspaces, 1);
}
