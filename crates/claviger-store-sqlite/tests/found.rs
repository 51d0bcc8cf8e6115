//! Looking at a file before anything is done to it, and what becomes of one that an older version wrote.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use claviger_core::owner::PoolId;
use claviger_core::{OrganizationId, Owner, ProviderId, Timestamp, WorkspaceId};
use claviger_store::contract::somebody;
use claviger_store::{
    DataKeyUse, Found, NewKey, OpenStoreError, OrganizationChange, Page, PoolOwner, Store, WorkspaceChange,
};
use claviger_store_sqlite::{SqliteFound, SqliteStore};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, SqliteConnection};
use tempfile::TempDir;

fn place() -> (PathBuf, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    (folder.path().join("claviger.db"), folder)
}

async fn shell(file: &Path) -> SqliteConnection {
    SqliteConnectOptions::new().filename(file).create_if_missing(true).connect().await.unwrap()
}

async fn run(db: &mut SqliteConnection, sql: &str) {
    sqlx::raw_sql(AssertSqlSafe(sql)).execute(db).await.unwrap();
}

async fn run_alone(file: &Path, sql: &str) {
    let mut db = shell(file).await;
    run(&mut db, sql).await;
    db.close().await.unwrap();
}

/// Every file of a folder, with its bytes, but for the shared memory that readers of a log of writes take notes in.
fn files(folder: &TempDir) -> Vec<(PathBuf, Vec<u8>)> {
    let entries = fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().path());
    let files = entries.filter(|path| path.extension().is_none_or(|extension| extension != "db-shm"));
    let mut files: Vec<_> = files.map(|path| (path.clone(), fs::read(path).unwrap())).collect();
    files.sort();
    files
}

/// Looks, and checks that nothing is different afterwards.
async fn find(file: &Path, folder: &TempDir) -> Result<SqliteFound, OpenStoreError> {
    let before = files(folder);
    let found = SqliteStore::find(file).await;
    assert_eq!(files(folder), before);
    found
}

fn pool_of(owner: Owner) -> PoolId {
    PoolId { owner, provider: openai() }
}

fn openai() -> ProviderId {
    "openai".parse().unwrap()
}

fn acme() -> WorkspaceId {
    "acme".parse().unwrap()
}

fn group() -> OrganizationId {
    "group".parse().unwrap()
}

/// A file as the version before organizations left it: workspace `acme` with a data key, a pool that had three keys and
/// has two, and a token. Of its five changes the last two were trimmed.
async fn of_schema_8(file: &Path) {
    let mut db = shell(file).await;
    run(&mut db, "PRAGMA application_id = 1131181671").await;
    sqlx::migrate!().run_to(8, &mut db).await.unwrap();
    run(
        &mut db,
        "PRAGMA journal_mode = WAL;
         UPDATE installation SET canary = x'ca11', root_token_hash = zeroblob(32);
         INSERT INTO workspace (owner_id, name, created_at) VALUES ('acme', 'Acme', 5);
         INSERT INTO data_key VALUES ('workspace', 'acme', x'da7a', 6);
         INSERT INTO pool VALUES ('workspace', 'acme', 'openai', 4, 4);
         INSERT INTO provider_key VALUES ('workspace', 'acme', 'openai', 'key_00000000000000000000000001', 0, 1, NULL,
             'sk-...1', x'01', zeroblob(32), 1, 0, NULL, 1, 1, NULL);
         INSERT INTO provider_key VALUES ('workspace', 'acme', 'openai', 'key_00000000000000000000000003', 2, 3, 'three',
             'sk-...3', x'03', x'0303030303030303030303030303030303030303030303030303030303030303', 0, 1, 'me', 3, 4, 5);
         INSERT INTO token VALUES ('workspace', 'acme', 'aaaaaaaaaaaaaaaa', zeroblob(32), 'ci', 'admin', 0, NULL, 1);
         INSERT INTO change_log (kind, owner_kind, owner_id) VALUES ('workspace', 'workspace', 'acme');
         INSERT INTO change_log (kind, owner_kind, owner_id, provider_id) VALUES ('pool', 'workspace', 'acme', 'openai');
         INSERT INTO change_log (kind, token_id) VALUES ('token', 'aaaaaaaaaaaaaaaa');
         INSERT INTO change_log (kind, token_id) VALUES ('token', 'aaaaaaaaaaaaaaaa');
         INSERT INTO change_log (kind, token_id) VALUES ('token', 'aaaaaaaaaaaaaaaa');
         DELETE FROM change_log WHERE seq > 3",
    )
    .await;
    db.close().await.unwrap();
}

#[tokio::test]
async fn a_place_without_a_file_is_found_empty_and_stays_empty() {
    let (file, folder) = place();
    let found = find(&file, &folder).await.unwrap();
    assert!(found.canary().is_none() && !found.is_up_to_date());
    assert!(!file.exists());
    let store = Box::new(found).bring_up_to_date().await.unwrap();
    store.ping().await.unwrap();
    assert!(file.exists());
}

#[tokio::test]
async fn a_folder_may_come_between_looking_and_opening() {
    let (file, folder) = place();
    let file = file.with_file_name("folder").join("claviger.db");
    let found = find(&file, &folder).await.unwrap();
    let refused = find(&file, &folder).await.unwrap().open().await;
    assert!(matches!(refused, Err(OpenStoreError::Unusable(..))), "{refused:?}");
    fs::create_dir(file.parent().unwrap()).unwrap();
    found.open().await.unwrap().ping().await.unwrap();
}

#[tokio::test]
async fn the_canary_is_found_whether_the_file_is_open_or_not() {
    let (file, folder) = place();
    let store = SqliteStore::open(&file).await.unwrap();
    let found = find(&file, &folder).await.unwrap();
    assert!(found.canary().is_none() && found.is_up_to_date());
    store.put_canary_if_absent(b"canary").await.unwrap();
    // It is in the log of writes, not in the file.
    let found = find(&file, &folder).await.unwrap();
    assert_eq!(found.canary(), Some(b"canary".as_slice()));
    store.ping().await.unwrap();
    store.close().await;

    let found = find(&file, &folder).await.unwrap();
    assert_eq!(found.canary(), Some(b"canary".as_slice()));
    assert!(found.is_up_to_date());
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "looking leaves no files behind");
}

#[tokio::test]
async fn what_a_killed_process_committed_is_found() {
    let (file, _folder) = place();
    let (copy, elsewhere) = place();
    let store = SqliteStore::open(&file).await.unwrap();
    store.put_canary_if_absent(b"canary").await.unwrap();
    // As it lies on the disk at this moment, with a log of writes and without whoever wrote it.
    fs::copy(&file, &copy).unwrap();
    fs::copy(file.with_extension("db-wal"), copy.with_extension("db-wal")).unwrap();
    let found = find(&copy, &elsewhere).await.unwrap();
    assert_eq!(found.canary(), Some(b"canary".as_slice()));
    assert_eq!(found.open().await.unwrap().canary().await.unwrap().unwrap(), b"canary");
}

#[tokio::test]
async fn the_log_of_writes_is_found_through_a_link() {
    let (file, folder) = place();
    let store = SqliteStore::open(&file).await.unwrap();
    store.put_canary_if_absent(b"canary").await.unwrap();
    let (link, _elsewhere) = place();
    symlink(&file, &link).unwrap();
    let found = find(&link, &folder).await.unwrap();
    assert_eq!(found.canary(), Some(b"canary".as_slice()));
}

#[tokio::test]
async fn a_write_that_was_broken_off_is_undone_before_looking() {
    let (file, _folder) = place();
    let (copy, _elsewhere) = place();
    SqliteStore::open(&file).await.unwrap().close().await;
    let mut db = shell(&file).await;
    run(&mut db, "PRAGMA journal_mode = DELETE; UPDATE installation SET canary = x'ca11'").await;
    let committed = fs::metadata(&file).unwrap().len();
    // With so small a cache, pages are written to the file long before the commit.
    run(
        &mut db,
        "PRAGMA cache_size = 1; BEGIN; UPDATE installation SET canary = x'bad0';
         WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2000)
         INSERT INTO workspace (owner_id, created_at) SELECT i, 1 FROM n",
    )
    .await;
    fs::copy(&file, &copy).unwrap();
    fs::copy(file.with_extension("db-journal"), copy.with_extension("db-journal")).unwrap();
    assert!(fs::metadata(&copy).unwrap().len() > committed);

    let found = SqliteStore::find(&copy).await.unwrap();
    assert_eq!(found.canary(), Some([0xca, 0x11].as_slice()));
    let store = found.open().await.unwrap();
    assert_eq!(store.counts().await.unwrap().workspaces, 0);
}

#[tokio::test]
async fn what_is_not_ours_or_too_new_is_refused_by_looking() {
    let (file, folder) = place();
    run_alone(&file, "PRAGMA journal_mode = WAL; CREATE TABLE workspace (id TEXT)").await;
    let refused = find(&file, &folder).await;
    assert!(matches!(refused, Err(OpenStoreError::NotADatabase(_))), "{refused:?}");

    let (file, folder) = place();
    of_schema_8(&file).await;
    run_alone(&file, "UPDATE _sqlx_migrations SET version = 9000 WHERE version = 8").await;
    let refused = find(&file, &folder).await;
    assert!(matches!(refused, Err(OpenStoreError::Newer(_, 9_000, _))), "{refused:?}");
}

#[tokio::test]
async fn a_file_that_became_another_since_it_was_looked_at_is_refused() {
    let (file, _folder) = place();
    let found = SqliteStore::find(&file).await.unwrap();
    run_alone(&file, "CREATE TABLE workspace (id TEXT)").await;
    let before = fs::read(&file).unwrap();
    let refused = found.open().await;
    assert!(matches!(refused, Err(OpenStoreError::NotADatabase(_))), "{refused:?}");
    assert_eq!(fs::read(&file).unwrap(), before);
}

#[tokio::test]
async fn an_older_file_is_looked_at_first_and_brought_up_to_date_later() {
    let (file, folder) = place();
    of_schema_8(&file).await;
    let found = find(&file, &folder).await.unwrap();
    assert_eq!(found.canary(), Some([0xca, 0x11].as_slice()));
    assert!(!found.is_up_to_date());
    // Nor does leaving it at that.
    let before = files(&folder);
    drop(found);
    assert_eq!(files(&folder), before);

    let store = Box::new(find(&file, &folder).await.unwrap()).bring_up_to_date().await.unwrap();
    assert_eq!(store.canary().await.unwrap().unwrap(), [0xca, 0x11]);
    store.close().await;
    assert!(find(&file, &folder).await.unwrap().is_up_to_date());
}

#[tokio::test]
async fn nothing_is_lost_when_an_older_file_is_brought_up_to_date() {
    let (file, _folder) = place();
    of_schema_8(&file).await;
    let store = SqliteStore::open(&file).await.unwrap();

    let workspace = store.workspace(&acme()).await.unwrap().unwrap();
    assert_eq!((workspace.name.as_deref(), workspace.created_at.as_millis()), (Some("Acme"), 5));
    assert_eq!(workspace.organization_id, None);
    let pool = pool_of(Owner::Workspace(acme()));
    let read = store.pool(&pool).await.unwrap();
    assert_eq!((read.owner, read.data_key), (Some(PoolOwner::Workspace(None)), Some(vec![0xda, 0x7a])));
    let keys: Vec<_> = read.keys.iter().map(|key| (key.position.0, key.enabled, key.sealed.as_slice())).collect();
    assert_eq!(keys, [(1, true, [1].as_slice()), (3, false, [3].as_slice())]);
    let listed = store.keys(&pool.owner).await.unwrap();
    assert_eq!(listed[1].name.as_ref().unwrap().as_str(), "three");
    assert_eq!(store.token("aaaaaaaaaaaaaaaa").await.unwrap().unwrap().name, "ci");
    assert_eq!(store.owners(&Page { after: None, limit: 10 }).await.unwrap().len(), 2);

    // And it lives on as any other.
    let organization =
        OrganizationChange { id: group(), name: None, keys_enabled: None, at: Timestamp::from_millis(7) };
    store.put_organization(&organization, &somebody()).await.unwrap();
    let joining = WorkspaceChange { id: acme(), name: None, organization: Some(Some(group())), at: organization.at };
    assert_eq!(store.put_workspace(&joining, &somebody()).await.unwrap().organization_id, Some(group()));
    store.add_key(&pool, &new_key(), &somebody()).await.unwrap();
    assert_eq!(store.pool(&pool).await.unwrap().keys.last().unwrap().position.0, 4);
}

fn new_key() -> NewKey {
    NewKey {
        id: "key_00000000000000000000000004".parse().unwrap(),
        name: None,
        masked: "sk-...4".to_owned(),
        sealed: vec![4],
        fingerprint: [4; 32],
        domain: None,
        created_by: None,
        at: Timestamp::from_millis(8),
        data_key: DataKeyUse::Stored(vec![0xda, 0x7a]),
    }
}

#[tokio::test]
async fn changes_are_numbered_on_when_an_older_file_is_brought_up_to_date() {
    let (file, _folder) = place();
    of_schema_8(&file).await;
    let store = SqliteStore::open(&file).await.unwrap();
    store
        .put_workspace(&WorkspaceChange { id: acme(), name: None, organization: None, at: new_key().at }, &somebody())
        .await
        .unwrap();
    let mut db = shell(&file).await;
    let noted: Vec<(i64, String)> =
        sqlx::query_as("SELECT seq, kind FROM change_log ORDER BY seq").fetch_all(&mut db).await.unwrap();
    let noted: Vec<_> = noted.iter().map(|(seq, kind)| (*seq, kind.as_str())).collect();
    // What is still there can be read on, and what is not leaves a gap.
    assert_eq!(noted, [(1, "workspace"), (2, "pool"), (3, "token"), (6, "workspace")]);
}
