//! Tests of what happens when the disk is full or may not be written to, and afterwards. They reach for the writer's own
//! connection, because that is where SQLite can be given a limit.

use claviger_core::owner::PoolId;
use claviger_core::{KeyId, Owner, Timestamp};
use claviger_store::contract::somebody;
use claviger_store::{AddKeyError, DataKeyUse, NewKey, PutWorkspaceError, Store, StoreError, WorkspaceChange};
use futures_util::future::poll_immediate;
use tempfile::TempDir;

use crate::SqliteStore;

async fn store() -> (SqliteStore, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    (SqliteStore::open(&folder.path().join("claviger.db")).await.unwrap(), folder)
}

/// A key of one page and more, in a pool of its own.
async fn add(store: &SqliteStore, number: usize) -> Result<(), AddKeyError> {
    let pool = PoolId { owner: Owner::Platform, provider: format!("provider-{number}").parse().unwrap() };
    let data_key = store.pool(&pool).await?.data_key.map_or(DataKeyUse::New(vec![1]), DataKeyUse::Stored);
    let key = NewKey {
        id: KeyId::new(Timestamp::from_millis(i64::try_from(number).unwrap()), [0; 10]),
        name: None,
        masked: "sk-abc...wxyz".to_owned(),
        sealed: vec![7; 8_000],
        fingerprint: [7; 32],
        domain: None,
        created_by: None,
        at: Timestamp::from_millis(1),
        data_key,
    };
    store.add_key(&pool, &key, &somebody()).await.map(drop)
}

async fn count(store: &SqliteStore) -> usize {
    store.keys(&Owner::Platform).await.unwrap().len()
}

#[tokio::test]
async fn a_full_disk_is_told_as_that_and_the_store_works_again_with_room() {
    let (store, _folder) = store().await;
    // A limit below the present size means: not a page more. It is the connection's, as the disk's would be all's.
    sqlx::query("PRAGMA max_page_count = 1").execute(&store.writer).await.unwrap();
    let refused = add(&store, 0).await;
    assert!(matches!(refused, Err(AddKeyError::Store(StoreError::Full(_)))), "{refused:?}");
    assert_eq!(count(&store).await, 0);

    // The failed connection is gone, and the limit with it: there is room again.
    for number in 0..3 {
        add(&store, number).await.unwrap();
    }
    assert_eq!(count(&store).await, 3);
}

#[tokio::test]
async fn a_full_disk_again_and_again_takes_no_connection_for_good() {
    let (store, _folder) = store().await;
    for round in 1..=5 {
        sqlx::query("PRAGMA max_page_count = 1").execute(&store.writer).await.unwrap();
        let refused = add(&store, round * 10).await;
        assert!(matches!(refused, Err(AddKeyError::Store(StoreError::Full(_)))), "{refused:?}");
        sqlx::query("PRAGMA max_page_count = 1000000").execute(&store.writer).await.unwrap();
        add(&store, round).await.unwrap();
        assert_eq!(count(&store).await, round);
    }
}

#[tokio::test]
async fn a_database_that_may_not_be_written_to_is_told_as_that() {
    let (store, _folder) = store().await;
    sqlx::query("PRAGMA query_only = ON").execute(&store.writer).await.unwrap();
    let change =
        WorkspaceChange { id: "acme".parse().unwrap(), name: None, organization: None, at: Timestamp::from_millis(1) };
    let refused = store.put_workspace(&change, &somebody()).await;
    assert!(matches!(refused, Err(PutWorkspaceError::Store(StoreError::ReadOnly(_)))), "{refused:?}");
    assert_eq!(store.workspace(&change.id).await.unwrap(), None);

    sqlx::query("PRAGMA query_only = OFF").execute(&store.writer).await.unwrap();
    store.put_workspace(&change, &somebody()).await.unwrap();
}

#[tokio::test]
async fn nothing_is_written_to_a_file_that_lost_its_name() {
    let (store, folder) = store().await;
    let (file, away) = (folder.path().join("claviger.db"), folder.path().join("away.db"));
    std::fs::rename(&file, &away).unwrap();
    let refused = add(&store, 1).await;
    assert!(matches!(refused, Err(AddKeyError::Store(StoreError::Unavailable(_)))), "{refused:?}");
    store.ping().await.unwrap_err();
    assert!(!file.exists());

    std::fs::copy(&away, &file).unwrap();
    store.ping().await.unwrap_err();

    std::fs::rename(&away, &file).unwrap();
    store.ping().await.unwrap();
    add(&store, 1).await.unwrap();
}

#[tokio::test]
async fn a_write_that_is_given_up_half_way_blocks_nobody() {
    let (store, _folder) = store().await;
    for number in 0..20 {
        let mut write = Box::pin(add(&store, number));
        // Polled a few times and dropped wherever it is by then.
        for _ in 0..number * 20 {
            if poll_immediate(&mut write).await.is_some() {
                break;
            }
            tokio::task::yield_now().await;
        }
        drop(write);
        add(&store, 100 + number).await.unwrap();
    }
}
