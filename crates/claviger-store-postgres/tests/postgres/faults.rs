//! What goes wrong on the way to the server and at it, and how the store goes on.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use claviger_core::owner::PoolId;
use claviger_core::{KeyId, Owner, Timestamp};
use claviger_store::contract::somebody;
use claviger_store::{
    AddKeyError, Change, ChangeSink, DataKeyUse, KeyRecord, KeyUse, NewKey, PutWorkspaceError, Store, StoreError,
    UseCounts, WorkspaceChange,
};
use claviger_store_postgres::PostgresStore;
use claviger_test_services::Postgres;
use futures_util::future::{Either, join, join_all, poll_immediate, select};
use sqlx::PgConnection;
use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::server::{Database, run};

fn platform() -> PoolId {
    PoolId { owner: Owner::Platform, provider: "openai".parse().unwrap() }
}

fn key_id(number: u8) -> KeyId {
    KeyId::new(Timestamp::from_millis(number.into()), [0; 10])
}

async fn add(store: &PostgresStore, number: u8) -> Result<KeyRecord, AddKeyError> {
    let data_key = store.pool(&platform()).await?.data_key.map_or(DataKeyUse::New(vec![1]), DataKeyUse::Stored);
    let key = NewKey {
        id: key_id(number),
        name: None,
        masked: "sk-abc...wxyz".to_owned(),
        sealed: vec![number],
        fingerprint: [number; 32],
        domain: None,
        created_by: None,
        at: Timestamp::from_millis(number.into()),
        data_key,
    };
    store.add_key(&platform(), &key, &somebody()).await
}

fn acme() -> WorkspaceChange {
    WorkspaceChange { id: "acme".parse().unwrap(), name: None, organization: None, at: Timestamp::from_millis(1) }
}

/// Waits until a connection of the store's waits for a lock.
async fn until_somebody_waits(db: &mut PgConnection, database: &Database) {
    let waiting = "SELECT count(*) FROM pg_stat_activity WHERE datname = $1 AND wait_event_type = 'Lock'";
    while sqlx::query_scalar::<_, i64>(waiting).bind(&database.name).fetch_one(&mut *db).await.unwrap() == 0 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn reads_and_writes_go_on_when_all_connections_were_ended() {
    let database = Database::new().await;
    let store = database.store().await;
    let mut db = database.shell().await;
    for number in 1..=5 {
        // As many as the pool has.
        join_all((0..5).map(|_| store.canary())).await;
        database.end_connections(&mut db).await;
        store.canary().await.unwrap();
        database.end_connections(&mut db).await;
        add(&store, number).await.unwrap();
    }
    assert_eq!(store.keys(&Owner::Platform).await.unwrap().len(), 5);
}

#[tokio::test]
async fn a_write_whose_connection_ends_before_the_commit_happens_once() {
    let database = Database::new().await;
    let store = database.store().await;
    let (mut db, mut other) = (database.shell().await, database.shell().await);
    run(&mut db, "BEGIN; LOCK TABLE provider_key IN EXCLUSIVE MODE").await.unwrap();
    let scene = async {
        until_somebody_waits(&mut other, &database).await;
        let end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE wait_event_type = 'Lock'
                   AND datname = current_database()";
        run(&mut other, end).await.unwrap();
        run(&mut db, "COMMIT").await.unwrap();
    };
    let (added, ()) = join(add(&store, 1), scene).await;
    let pool = store.pool(&platform()).await.unwrap();
    assert_eq!(pool.keys.iter().map(|key| (&key.id, key.position.0)).collect::<Vec<_>>(), [(&added.unwrap().id, 1)]);
}

#[tokio::test]
async fn a_deadlock_is_tried_again_and_nobody_hears_of_it() {
    let database = Database::new().await;
    let store = database.store().await;
    add(&store, 1).await.unwrap();
    let (mut db, mut other) = (database.shell().await, database.shell().await);
    // This one never gives way.
    run(&mut db, "SET deadlock_timeout = '1min'; BEGIN; UPDATE pool SET generation = 7").await.unwrap();
    let scene = async {
        until_somebody_waits(&mut other, &database).await;
        run(&mut db, "SELECT 1 FROM owner FOR UPDATE").await.unwrap();
        run(&mut db, "COMMIT").await.unwrap();
    };
    let (added, ()) = join(add(&store, 2), scene).await;
    added.unwrap();
    assert_eq!(store.pool(&platform()).await.unwrap().keys.len(), 2);
    let generation: i64 = sqlx::query_scalar("SELECT generation FROM pool").fetch_one(&mut other).await.unwrap();
    assert_eq!(generation, 8);
}

#[tokio::test]
async fn uses_that_two_nodes_write_at_once_all_arrive() {
    let database = Database::new().await;
    let (one, two) = (database.store().await, database.store().await);
    for number in 1..=10 {
        add(&one, number).await.unwrap();
    }
    let uses = |at: i64| {
        (1..=10).map(move |number| KeyUse {
            pool: platform(),
            key: key_id(number),
            at: date(at),
            counts: UseCounts::default(),
            domain: None,
        })
    };
    let forth: Vec<_> = (1..=20).map(|at| uses(at).collect::<Vec<_>>()).collect();
    let back: Vec<_> = (1..=20).map(|at| uses(at + 20).rev().collect::<Vec<_>>()).collect();
    let forth = join_all(forth.iter().map(|uses| one.record_uses(uses)));
    let back = join_all(back.iter().map(|uses| two.record_uses(uses)));
    let (forth, back) = join(forth, back).await;
    for written in forth.into_iter().chain(back) {
        written.unwrap();
    }
    let keys = one.keys(&Owner::Platform).await.unwrap();
    assert!(keys.iter().all(|key| key.last_used_at == Some(date(40))), "{keys:?}");
}

fn date(millis: i64) -> Timestamp {
    Timestamp::from_millis(millis)
}

#[tokio::test]
async fn a_database_that_may_only_be_read_is_told_as_that() {
    let database = Database::new().await;
    let store = database.store().await;
    let mut db = database.shell().await;
    let name = &database.name;
    run(&mut db, &format!("ALTER DATABASE {name} SET default_transaction_read_only = on")).await.unwrap();
    database.end_connections(&mut db).await;
    let refused = add(&store, 1).await;
    assert!(matches!(refused, Err(AddKeyError::Store(StoreError::ReadOnly(_)))), "{refused:?}");
    assert!(store.keys(&Owner::Platform).await.unwrap().is_empty());

    run(&mut db, &format!("ALTER DATABASE {name} RESET default_transaction_read_only")).await.unwrap();
    // A connection that could not be written to is not kept; those that read meanwhile may be.
    database.end_connections(&mut db).await;
    add(&store, 1).await.unwrap();
}

#[tokio::test]
async fn a_full_disk_of_the_server_is_told_as_that_and_the_store_works_again() {
    let mut postgres = Postgres::start().unwrap();
    let store = PostgresStore::open(&postgres.url("postgres"), 5).await.unwrap();
    store.put_workspace(&acme(), &somebody()).await.unwrap();
    postgres.restart_on_a_full_disk("postgres").unwrap();
    // Until the pages are full that the tables have.
    let mut stored = 0;
    let refused = loop {
        let another = WorkspaceChange { id: format!("acme-{stored}").parse().unwrap(), ..acme() };
        match store.put_workspace(&another, &somebody()).await {
            Ok(_) => stored += 1,
            Err(error) => break error,
        }
        assert!(stored < 1_000, "the disk was never full");
    };
    assert!(matches!(refused, PutWorkspaceError::Store(StoreError::Full(_))), "{refused:?}");
    assert!(stored > 0 && store.pool(&platform()).await.is_ok());

    postgres.make_room().unwrap();
    let another = WorkspaceChange { id: format!("acme-{stored}").parse().unwrap(), ..acme() };
    store.put_workspace(&another, &somebody()).await.unwrap();
    let workspaces = postgres.execute("postgres", "SELECT count(*) FROM workspace").unwrap();
    assert_eq!(workspaces, (stored + 2).to_string());
}

#[tokio::test]
async fn a_read_that_gets_no_answer_ends_and_its_connection_is_not_used_again() {
    let database = Database::new().await;
    let store = database.store().await;
    let mut db = database.shell().await;
    run(&mut db, "BEGIN; LOCK TABLE installation IN ACCESS EXCLUSIVE MODE").await.unwrap();
    let begun = Instant::now();
    let refused = store.canary().await;
    assert!(matches!(refused, Err(StoreError::Unavailable(_))), "{refused:?}");
    assert!((Duration::from_secs(4)..Duration::from_secs(8)).contains(&begun.elapsed()), "{:?}", begun.elapsed());
    run(&mut db, "COMMIT").await.unwrap();
    store.canary().await.unwrap();
}

#[tokio::test]
async fn a_call_that_is_given_up_half_way_blocks_nobody() {
    let database = Database::new().await;
    let store = database.store().await;
    for number in 0..20 {
        let mut write = Box::pin(add(&store, 100 + number));
        // Polled a few times and dropped wherever it is by then.
        for _ in 0..u32::from(number) * 20 {
            if poll_immediate(&mut write).await.is_some() {
                break;
            }
            tokio::task::yield_now().await;
        }
        drop(write);
        store.delete_keys(&platform(), &somebody()).await.unwrap();
        add(&store, number).await.unwrap();
    }
}

#[tokio::test]
async fn what_the_server_refuses_is_told_without_values() {
    let database = Database::new().await;
    let store = database.store().await;
    let key = NewKey {
        id: key_id(1),
        name: None,
        masked: "x".repeat(65),
        sealed: b"very sealed".to_vec(),
        fingerprint: [1; 32],
        domain: None,
        created_by: Some("somebody".to_owned()),
        at: date(1),
        data_key: DataKeyUse::New(vec![1]),
    };
    let refused = store.add_key(&platform(), &key, &somebody()).await.unwrap_err();
    let said = format!("{refused} {refused:?}");
    assert!(matches!(refused, AddKeyError::Store(StoreError::Unexpected(_))), "{said}");
    assert!(said.contains("provider_key_masked_check"), "{said}");
    assert!(!said.contains("xxxx") && !said.contains("somebody") && !said.contains("\\x"), "{said}");
}

struct Ears {
    tell: mpsc::UnboundedSender<Change>,
    since: Instant,
}

impl ChangeSink for Ears {
    fn changed(&self, change: &Change) {
        self.tell.send(change.clone()).unwrap();
    }

    fn now(&self) -> Duration {
        self.since.elapsed()
    }

    fn heard(&self, _: Duration) {}
}

fn ears() -> (Arc<Ears>, mpsc::UnboundedReceiver<Change>) {
    let (tell, told) = mpsc::unbounded_channel();
    (Arc::new(Ears { tell, since: Instant::now() }), told)
}

#[tokio::test]
async fn a_watch_ends_with_its_connection_and_can_be_begun_again() {
    let database = Database::new().await;
    let store = database.store().await;
    let mut db = database.shell().await;
    for _ in 0..3 {
        let (ears, mut told) = ears();
        let scene = async {
            assert_eq!(told.recv().await, Some(Change::Everything));
            store.put_workspace(&acme(), &somebody()).await.unwrap();
            assert_eq!(told.recv().await, Some(Change::Workspace(acme().id)));
            database.end_connections(&mut db).await;
        };
        let begun = Instant::now();
        let (error, ()) = join(store.watch(ears), scene).await;
        assert!(matches!(error, StoreError::Unavailable(_)), "{error:?}");
        assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
    }
}

#[tokio::test]
async fn a_watch_ends_when_the_store_is_closed() {
    let database = Database::new().await;
    let store = database.store().await;
    let (ears, mut told) = ears();
    let scene = async {
        assert_eq!(told.recv().await, Some(Change::Everything));
        store.close().await;
    };
    let begun = Instant::now();
    let (error, ()) = join(store.watch(ears), scene).await;
    assert!(matches!(error, StoreError::Unavailable(_)), "{error:?}");
    assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn a_watch_that_does_not_hear_itself_ends() {
    let database = Database::new().await;
    let store = PostgresStore::open(&database.url(), 1).await.unwrap();
    let mut db = database.shell().await;
    let (ears, mut told) = ears();
    let scene = async {
        assert_eq!(told.recv().await, Some(Change::Everything));
        // The one connection that could say something waits.
        run(&mut db, "BEGIN; LOCK TABLE installation IN ACCESS EXCLUSIVE MODE").await.unwrap();
        store.canary().await.unwrap_err();
    };
    let (error, ()) = join(store.watch(ears), scene).await;
    assert!(matches!(error, StoreError::Unavailable(_)), "{error:?}");
}

#[tokio::test]
async fn a_notification_of_somebody_else_means_everything() {
    let database = Database::new().await;
    let store = database.store().await;
    let mut db = database.shell().await;
    let (ears, mut told) = ears();
    let scene = async {
        assert_eq!(told.recv().await, Some(Change::Everything));
        run(&mut db, "NOTIFY claviger, 'who knows'").await.unwrap();
        assert_eq!(told.recv().await, Some(Change::Everything));
    };
    match select(pin!(store.watch(ears)), pin!(scene)).await {
        Either::Left((error, _)) => panic!("watching ended: {error}"),
        Either::Right(((), _)) => {}
    }
}
