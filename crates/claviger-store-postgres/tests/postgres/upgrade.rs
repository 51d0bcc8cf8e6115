//! An older database, with one key a provider, brought up to date with everything in its place.

use claviger_core::access::TokenRole;
use claviger_core::owner::PoolId;
use claviger_core::pool::Position;
use claviger_core::{KeyId, KeyStatus, Owner, Timestamp};
use claviger_store::contract::somebody;
use claviger_store::{AddKeyError, DataKeyUse, Found as _, NewKey, PoolKey, PoolOwner, Store, UseCounts};
use claviger_store_postgres::PostgresStore;
use sqlx::PgConnection;

use crate::server::{Database, run};

/// The last migration of the older shape.
const OLDER: i64 = 6;

fn key_id(number: u8) -> KeyId {
    KeyId::new(Timestamp::from_millis(number.into()), [number; 10])
}

fn pools() -> [(PoolId, u8); 4] {
    let pool = |owner, provider: &str| PoolId { owner, provider: provider.parse().unwrap() };
    let (acme, other) = (Owner::Workspace("acme".parse().unwrap()), Owner::Workspace("other".parse().unwrap()));
    [
        (pool(acme.clone(), "openai"), 1),
        (pool(acme, "exa"), 2),
        (pool(other, "openai"), 3),
        (pool(Owner::Platform, "openai"), 4),
    ]
}

async fn older(database: &Database) -> PgConnection {
    let mut db = database.shell().await;
    sqlx::migrate!().run_to(OLDER, &mut db).await.unwrap();
    run(&mut db, "UPDATE installation SET canary = 'canary'").await.unwrap();
    for id in ["acme", "other", "empty"] {
        run(&mut db, &format!("INSERT INTO owner VALUES ('workspace', '{id}')")).await.unwrap();
        run(&mut db, &format!("INSERT INTO workspace VALUES ('workspace', '{id}', 'Name', 5)")).await.unwrap();
    }
    run(&mut db, "INSERT INTO data_key SELECT owner_kind, owner_id, '\\x77', 6 FROM owner WHERE owner_id <> 'empty'")
        .await
        .unwrap();
    for (PoolId { owner, provider }, number) in pools() {
        sqlx::query("INSERT INTO provider_key VALUES ($1, $2, $3, $4, 'sk-old...0001', $5, $6, 'user_1', $7, $7 + 1)")
            .bind(owner.kind().as_str())
            .bind(owner.id())
            .bind(provider.as_str())
            .bind(key_id(number).as_str())
            .bind(vec![number; 60])
            .bind(vec![number; 32])
            .bind(i64::from(number) * 1_000)
            .execute(&mut db)
            .await
            .unwrap();
    }
    let token = format!(
        "INSERT INTO token VALUES ('workspace', 'acme', 'aaaaaaaaaaaaaaaa', '\\x{}', 'old', 'runtime', true, NULL, 9)",
        "07".repeat(32),
    );
    run(&mut db, &token).await.unwrap();
    db
}

#[tokio::test]
async fn every_key_is_where_it_was() {
    let database = Database::new().await;
    older(&database).await;
    let store = database.store().await;
    for (pool, number) in pools() {
        let record = store.pool(&pool).await.unwrap();
        let owner = if pool.owner == Owner::Platform { PoolOwner::Platform } else { PoolOwner::Workspace(None) };
        assert_eq!((record.owner, record.data_key), (Some(owner), Some(vec![0x77])));
        let key = PoolKey {
            id: key_id(number),
            position: Position(1),
            enabled: true,
            unreadable: false,
            ailment: None,
            domain: None,
            sealed: vec![number; 60],
            fingerprint: [number; 32],
        };
        assert_eq!(record.keys, [key]);
        let listed = store.keys(&pool.owner).await.unwrap();
        let listed = listed.into_iter().find(|key| key.provider == pool.provider).unwrap();
        assert_eq!((listed.id, listed.name, listed.masked.as_str()), (key_id(number), None, "sk-old...0001"));
        assert_eq!((listed.enabled, listed.status, listed.last_used_at), (true, KeyStatus::Active, None));
        assert_eq!((listed.ailment, listed.domain, listed.counts), (None, None, UseCounts::default()));
        assert_eq!(listed.created_by.as_deref(), Some("user_1"));
        let made = Timestamp::from_millis(i64::from(number) * 1_000);
        assert_eq!((listed.created_at, listed.updated_at.as_millis()), (made, made.as_millis() + 1));
    }
    let counts = store.counts().await.unwrap();
    assert_eq!((counts.workspaces, counts.data_keys, counts.pools, counts.keys, counts.tokens), (3, 3, 4, 4, 1));
}

#[tokio::test]
async fn nine_more_keys_fit_and_not_a_tenth() {
    let database = Database::new().await;
    older(&database).await;
    let store = database.store().await;
    for (pool, old) in pools() {
        let add = async |number: u8| {
            let key = NewKey {
                id: key_id(number),
                name: None,
                masked: "sk-new...0001".to_owned(),
                sealed: vec![number],
                fingerprint: [number; 32],
                domain: None,
                created_by: None,
                at: Timestamp::from_millis(1),
                data_key: DataKeyUse::Stored(vec![0x77]),
            };
            store.add_key(&pool, &key, &somebody()).await
        };
        let first = 20 + old * 20;
        for number in first..first + 9 {
            add(number).await.unwrap();
        }
        let refused = add(first + 9).await;
        assert!(matches!(refused, Err(AddKeyError::PoolFull)), "{refused:?}");
        let keys = store.pool(&pool).await.unwrap().keys;
        assert_eq!(keys.iter().map(|key| key.position.0).collect::<Vec<_>>(), (1..=10).collect::<Vec<_>>());
    }
}

#[tokio::test]
async fn a_token_is_found_and_goes_with_its_workspace() {
    let database = Database::new().await;
    older(&database).await;
    let store = database.store().await;
    let token = store.token("aaaaaaaaaaaaaaaa").await.unwrap().unwrap();
    assert_eq!((token.role, token.workspace, token.reveal), (TokenRole::Runtime, Some("acme".parse().unwrap()), true));
    assert!(store.delete_workspace(&"acme".parse().unwrap(), &somebody()).await.unwrap());
    assert_eq!(store.token("aaaaaaaaaaaaaaaa").await.unwrap(), None);
}

#[tokio::test]
async fn finding_an_older_database_gives_its_canary_and_changes_nothing() {
    let database = Database::new().await;
    let mut db = older(&database).await;
    let found = PostgresStore::find(&database.url(), 2).await.unwrap();
    assert_eq!(found.canary(), Some(b"canary".as_slice()));
    assert!(!found.is_up_to_date());
    let version: i64 =
        sqlx::query_scalar("SELECT max(version) FROM _sqlx_migrations").fetch_one(&mut db).await.unwrap();
    assert_eq!(version, OLDER);
}
