//! The file: whose it is, who wrote it, what stays in it.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use claviger_core::owner::PoolId;
use claviger_core::{KeyId, OrganizationId, Owner, Timestamp, WorkspaceId};
use claviger_store::contract::somebody;
use claviger_store::{
    Change, ChangeSink, DataKeyUse, NewKey, OpenStoreError, OrganizationChange, Page, Rekey, RekeyedKey, Resealing,
    Store, StoreError, WorkspaceChange,
};
use claviger_store_sqlite::SqliteStore;
use futures_util::future::{Either, join_all, select};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, SqliteConnection};
use tempfile::TempDir;
use tokio::sync::mpsc;

fn folder() -> TempDir {
    tempfile::tempdir().unwrap()
}

async fn shell(file: &Path) -> SqliteConnection {
    SqliteConnectOptions::new().filename(file).create_if_missing(true).connect().await.unwrap()
}

async fn run(file: &Path, sql: &str) {
    let mut db = shell(file).await;
    sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut db).await.unwrap();
    db.close().await.unwrap();
}

fn platform() -> PoolId {
    PoolId { owner: Owner::Platform, provider: "openai".parse().unwrap() }
}

fn new_key(number: u8) -> NewKey {
    NewKey {
        id: KeyId::new(Timestamp::from_millis(number.into()), [0; 10]),
        name: None,
        masked: "sk-abc...wxyz".to_owned(),
        sealed: vec![number; 4_000],
        fingerprint: [number; 32],
        domain: None,
        created_by: None,
        at: Timestamp::from_millis(1),
        data_key: if number == 0 { DataKeyUse::New(vec![1]) } else { DataKeyUse::Stored(vec![1]) },
    }
}

#[tokio::test]
async fn a_new_file_is_its_owners_alone() {
    let folder = folder();
    let file = folder.path().join("claviger.db");
    let store = SqliteStore::open(&file).await.unwrap();
    store.put_canary_if_absent(b"canary").await.unwrap();
    for name in ["claviger.db", "claviger.db-wal", "claviger.db-shm"] {
        let mode = fs::metadata(folder.path().join(name)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
    }
}

#[tokio::test]
async fn what_was_stored_is_there_after_closing_and_opening() {
    let folder = folder();
    let file = folder.path().join("claviger.db");
    let store = SqliteStore::open(&file).await.unwrap();
    store.put_canary_if_absent(&[2]).await.unwrap();
    let added = store.add_key(&platform(), &new_key(0), &somebody()).await.unwrap();
    store.close().await;
    assert!(matches!(store.ping().await, Err(StoreError::Unavailable(_))));
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "the log was moved into the file");

    let store = SqliteStore::open(&file).await.unwrap();
    assert_eq!(store.canary().await.unwrap().unwrap(), [2]);
    assert_eq!(store.keys(&Owner::Platform).await.unwrap(), [added]);
}

#[tokio::test]
async fn several_processes_may_make_the_file_at_once() {
    let folder = folder();
    let file = folder.path().join("claviger.db");
    let stores = join_all((0..6).map(|_| SqliteStore::open(&file))).await;
    for store in stores {
        store.unwrap().ping().await.unwrap();
    }
}

#[tokio::test]
async fn an_empty_file_is_as_good_as_none() {
    let folder = folder();
    let file = folder.path().join("claviger.db");
    fs::write(&file, "").unwrap();
    SqliteStore::open(&file).await.unwrap().ping().await.unwrap();
}

#[tokio::test]
async fn a_text_is_not_a_database() {
    let folder = folder();
    for text in ["hello", &"a longer text\n".repeat(1_000)] {
        let file = folder.path().join("notes.txt");
        fs::write(&file, text).unwrap();
        let refused = SqliteStore::open(&file).await;
        assert!(matches!(refused, Err(OpenStoreError::NotADatabase(_))), "{refused:?}");
        assert_eq!(fs::read_to_string(&file).unwrap(), text);
    }
}

#[tokio::test]
async fn another_programs_database_is_not_ours_and_is_left_alone() {
    let folder = folder();
    for (name, sql) in [
        ("plain.db", "CREATE TABLE workspace (id TEXT)"),
        ("marked.db", "PRAGMA application_id = 7"),
        ("both.db", "PRAGMA application_id = 7; CREATE TABLE workspace (id TEXT)"),
    ] {
        let file = folder.path().join(name);
        run(&file, sql).await;
        let before = fs::read(&file).unwrap();
        let refused = SqliteStore::open(&file).await;
        assert!(matches!(refused, Err(OpenStoreError::NotADatabase(_))), "{name}: {refused:?}");
        assert_eq!(fs::read(&file).unwrap(), before, "{name}");
    }
}

#[tokio::test]
async fn a_newer_schema_is_refused_and_named() {
    let folder = folder();
    let file = folder.path().join("claviger.db");
    SqliteStore::open(&file).await.unwrap().close().await;
    run(
        &file,
        "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
         VALUES (9000, 'of the future', 1, x'00', 0)",
    )
    .await;
    let refused = SqliteStore::open(&file).await;
    let Err(OpenStoreError::Newer(named, 9_000, known)) = &refused else { panic!("{refused:?}") };
    assert!(named.ends_with("claviger.db"));
    assert!((1..9_000).contains(known));
}

#[tokio::test]
async fn an_altered_migration_is_refused() {
    let folder = folder();
    let file = folder.path().join("claviger.db");
    SqliteStore::open(&file).await.unwrap().close().await;
    run(&file, "UPDATE _sqlx_migrations SET checksum = x'00' WHERE version = 1").await;
    let refused = SqliteStore::open(&file).await;
    assert!(matches!(refused, Err(OpenStoreError::Migration(..))), "{refused:?}");
}

#[tokio::test]
async fn a_place_that_cannot_hold_a_file_is_named_with_the_reason() {
    let folder = folder();
    let reason = async |path: &Path| match SqliteStore::open(path).await {
        Err(OpenStoreError::Unusable(named, reason)) if named == path.display().to_string() => reason,
        other => panic!("{other:?}"),
    };
    assert_eq!(reason(folder.path()).await, "it is a folder");
    assert_eq!(reason(&folder.path().join("missing/claviger.db")).await, "its folder does not exist");
    let file = folder.path().join("file");
    fs::write(&file, "").unwrap();
    assert_eq!(reason(&file.join("claviger.db")).await, "its folder does not exist");
    assert_eq!(reason(Path::new("/dev/null")).await, "it is not a file");
}

#[tokio::test]
async fn names_that_sqlite_reads_otherwise_are_files() {
    let folder = folder();
    for name in [":memory:", "file:x?mode=memory", "a name with spaces"] {
        let file = folder.path().join(name);
        SqliteStore::open(&file).await.unwrap().close().await;
        assert!(fs::metadata(&file).unwrap().len() > 0, "{name}");
    }
}

#[tokio::test]
async fn the_bytes_of_a_deleted_key_are_in_none_of_the_files() {
    let folder = folder();
    let file = folder.path().join("claviger.db");
    let store = SqliteStore::open(&file).await.unwrap();
    store.add_key(&platform(), &new_key(0), &somebody()).await.unwrap();
    store.add_key(&platform(), &new_key(0xa7), &somebody()).await.unwrap();
    assert!(fs::metadata(folder.path().join("claviger.db-wal")).unwrap().len() > 0);

    assert!(store.delete_key(&platform(), &new_key(0xa7).id, &somebody()).await.unwrap());

    assert_eq!(fs::metadata(folder.path().join("claviger.db-wal")).unwrap().len(), 0);
    store.close().await;
    let bytes = fs::read(&file).unwrap();
    assert!(!bytes.windows(64).any(|window| window == [0xa7; 64]));
}

#[tokio::test]
async fn what_an_owner_had_is_in_none_of_the_files_once_it_goes_or_is_replaced() {
    let folder = folder();
    let file = folder.path().join("claviger.db");
    let store = SqliteStore::open(&file).await.unwrap();
    let log = || fs::metadata(folder.path().join("claviger.db-wal")).unwrap().len();
    let group: OrganizationId = "group".parse().unwrap();
    let of_group = PoolId { owner: Owner::Organization(group.clone()), provider: "openai".parse().unwrap() };
    let made = OrganizationChange { id: group.clone(), name: None, keys_enabled: None, at: Timestamp::from_millis(1) };
    store.put_organization(&made, &somebody()).await.unwrap();
    let empty = store.owners(&Page { after: None, limit: 10 }).await.unwrap();
    for pool in [&of_group, &platform()] {
        store.add_key(pool, &new_key(0), &somebody()).await.unwrap();
        store.add_key(pool, &new_key(0xa7), &somebody()).await.unwrap();
    }

    assert!(log() > 0);
    assert!(store.delete_organization(&group, &somebody()).await.unwrap());
    assert_eq!(log(), 0);
    store.put_owners(&empty).await.unwrap();
    assert_eq!(log(), 0);
    store.close().await;
    let bytes = fs::read(&file).unwrap();
    assert!(!bytes.windows(64).any(|window| window == [0xa7; 64]));
}

#[tokio::test]
async fn a_data_key_is_in_none_of_the_files_once_its_workspace_goes_or_it_is_sealed_anew() {
    let folder = folder();
    let file = folder.path().join("claviger.db");
    let store = SqliteStore::open(&file).await.unwrap();
    let log = || fs::metadata(folder.path().join("claviger.db-wal")).unwrap().len();
    let id: WorkspaceId = "acme".parse().unwrap();
    let made = WorkspaceChange { id: id.clone(), name: None, organization: None, at: Timestamp::from_millis(1) };
    store.put_workspace(&made, &somebody()).await.unwrap();
    let of_workspace = PoolId { owner: Owner::Workspace(id.clone()), provider: "openai".parse().unwrap() };
    let sealed_under = |sealed: &[u8], number: u8| {
        let data_key = DataKeyUse::New(sealed.to_vec());
        NewKey { data_key, ..new_key(number) }
    };
    store.add_key(&of_workspace, &sealed_under(&[0xa7; 60], 1), &somebody()).await.unwrap();
    store.add_key(&platform(), &sealed_under(&[0xb8; 60], 1), &somebody()).await.unwrap();
    let all = || [fs::read(&file).unwrap(), fs::read(folder.path().join("claviger.db-wal")).unwrap()].concat();
    let has = |bytes: &[u8], byte: u8| bytes.windows(60).any(|window| window == [byte; 60]);
    assert!(has(&all(), 0xa7) && has(&all(), 0xb8));

    assert!(store.delete_workspace(&id, &somebody()).await.unwrap());
    assert_eq!(log(), 0);
    assert!(!has(&all(), 0xa7) && has(&all(), 0xb8));
    assert!(store.reseal_data_key(&Owner::Platform, &[0xb8; 60], &[0xc9; 60]).await.unwrap());
    store.forget_replaced().await;
    assert!(!has(&all(), 0xb8) && has(&all(), 0xc9));
    let key = new_key(1);
    let anew = RekeyedKey {
        provider: platform().provider,
        id: key.id,
        was: key.sealed,
        sealed: vec![2; 60],
        fingerprint: [2; 32],
    };
    let rekey = Rekey {
        was: vec![0xc9; 60],
        data_key: vec![0xda; 60],
        keys: vec![anew],
        webhooks: Vec::new(),
        at: Timestamp::from_millis(1),
    };
    assert!(store.rekey(&Owner::Platform, &rekey, &somebody()).await.unwrap());
    assert!(!has(&all(), 0xc9) && has(&all(), 0xda));
    store.close().await;
}

#[tokio::test]
async fn a_row_that_this_program_did_not_write_is_unexpected() {
    let folder = folder();
    let file = folder.path().join("claviger.db");
    let store = SqliteStore::open(&file).await.unwrap();
    run(&file, "INSERT INTO workspace (owner_id, created_at) VALUES ('not an id', 1)").await;
    let read = store.workspaces(&Page { after: None, limit: 10 }).await;
    assert!(matches!(read, Err(StoreError::Unexpected(_))), "{read:?}");
}

/// Hears of changes, and forgets the proofs that it does.
struct Ears(mpsc::UnboundedSender<Change>);

impl ChangeSink for Ears {
    fn changed(&self, change: &Change) {
        self.0.send(change.clone()).unwrap();
    }

    fn now(&self) -> Duration {
        Duration::ZERO
    }

    fn heard(&self, _until: Duration) {}
}

#[tokio::test]
async fn a_watcher_that_missed_rows_is_told_to_trust_nothing() {
    let folder = folder();
    let file = folder.path().join("claviger.db");
    let store = SqliteStore::open(&file).await.unwrap();
    let (tell, mut heard) = mpsc::unbounded_channel();
    let watching = store.watch(Arc::new(Ears(tell)));
    let scene = async {
        assert_eq!(heard.recv().await, Some(Change::Everything));
        // Rows come and are trimmed between two looks.
        run(
            &file,
            "BEGIN; INSERT INTO change_log (kind, token_id) VALUES ('token', 'aaaaaaaaaaaaaaaa');
             DELETE FROM change_log;
             INSERT INTO change_log (kind, token_id) VALUES ('token', 'bbbbbbbbbbbbbbbb'); COMMIT",
        )
        .await;
        assert_eq!(heard.recv().await, Some(Change::Everything));
        assert_eq!(heard.recv().await, Some(Change::Token("bbbbbbbbbbbbbbbb".parse().unwrap())));
    };
    match select(pin!(watching), pin!(scene)).await {
        Either::Left((error, _)) => panic!("watching ended: {error}"),
        Either::Right(((), _)) => {}
    }
}
