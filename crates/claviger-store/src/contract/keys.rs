//! Single keys.

use claviger_core::pool::Position;
use claviger_core::{KeyName, KeyStatus, Owner};

use super::Fresh;
use super::given::{
    add, add_number, at, data_key, fill, fingerprint, ids, key_id, listed, new_key, pool, pool_of, positions, read,
    replacement, sealed, somebody, used, workspace,
};
use crate::{
    AddKeyError, ChangeKeyError, DataKeyUse, KeyChange, KeyRecord, KeyReplacement, NewKey, PoolKey, PoolOwner,
    ReplaceKeyError, UseCounts,
};

fn name(text: &str) -> Option<KeyName> {
    KeyName::parse(text).unwrap()
}

pub async fn a_key_reads_back_as_it_was_added(Fresh { store, .. }: Fresh) {
    let pool = pool(&*store).await;
    let key = NewKey {
        name: name("Büro №1"),
        created_by: Some("user_1".to_owned()),
        ..new_key(1, DataKeyUse::New(b"a data key".to_vec()))
    };
    let added = store.add_key(&pool, &key, &somebody()).await.unwrap();
    let record = KeyRecord {
        id: key_id(1),
        provider: pool.provider.clone(),
        name: name("Büro №1"),
        masked: "sk-abc...0001".to_owned(),
        enabled: true,
        status: KeyStatus::Active,
        ailment: None,
        domain: None,
        counts: UseCounts::default(),
        created_by: Some("user_1".to_owned()),
        created_at: at(1),
        updated_at: at(1),
        last_used_at: None,
    };
    assert_eq!(added, record);
    assert_eq!(store.keys(&pool.owner).await.unwrap(), [record]);
    let as_rotation_needs_it = PoolKey {
        id: key_id(1),
        position: Position(1),
        enabled: true,
        unreadable: false,
        ailment: None,
        domain: None,
        sealed: sealed(1),
        fingerprint: fingerprint(1),
    };
    assert_eq!(read(&*store, &pool).await.keys, [as_rotation_needs_it]);
}

pub async fn keys_are_listed_by_provider_and_then_creation(Fresh { store, .. }: Fresh) {
    let acme = workspace(&*store, "acme").await;
    for (provider, number) in [("openai", 9), ("exa", 8), ("openai", 7), ("anthropic", 6), ("exa", 5)] {
        add_number(&*store, &pool_of(&acme, provider), number).await.unwrap();
    }
    let listed = store.keys(&acme).await.unwrap();
    let listed: Vec<_> = listed.iter().map(|key| (key.provider.as_str(), key.id.clone())).collect();
    let expected = [("anthropic", 6), ("exa", 8), ("exa", 5), ("openai", 9), ("openai", 7)];
    assert_eq!(listed, expected.map(|(provider, number)| (provider, key_id(number))));
}

pub async fn a_key_of_nobody_is_refused(Fresh { store, .. }: Fresh) {
    for owner in [Owner::Workspace("acme".parse().unwrap()), Owner::Organization("acme".parse().unwrap())] {
        let pool = pool_of(&owner, "openai");
        for data_key in [DataKeyUse::New(b"a data key".to_vec()), DataKeyUse::Stored(b"a data key".to_vec())] {
            let refused = store.add_key(&pool, &new_key(1, data_key), &somebody()).await;
            assert!(matches!(refused, Err(AddKeyError::NoOwner)), "{refused:?}");
        }
        let pool = read(&*store, &pool).await;
        assert!(pool.owner.is_none() && pool.data_key.is_none() && pool.keys.is_empty());
    }
}

pub async fn the_platform_always_exists(Fresh { store, .. }: Fresh) {
    let pool = pool_of(&Owner::Platform, "openai");
    assert_eq!(read(&*store, &pool).await.owner, Some(PoolOwner::Platform));
    add_number(&*store, &pool, 1).await.unwrap();
    assert_eq!(ids(&*store, &pool).await, [key_id(1)]);
}

pub async fn a_replaced_key_keeps_its_place_and_is_readable_again(Fresh { store, .. }: Fresh) {
    let pool = pool(&*store).await;
    fill(&*store, &pool, 1..=3).await;
    let data_key = data_key(&*store, &pool).await;
    store.mark_readable(&pool, &key_id(2), &sealed(2), false).await.unwrap();
    store.record_uses(&[used(&pool, 2, 50)]).await.unwrap();

    let replaced = store.replace_key(&pool, &key_id(2), &replacement(7, &data_key), &somebody()).await.unwrap();

    assert_eq!(replaced.status, KeyStatus::Active);
    assert_eq!(replaced.masked, "sk-new...0007");
    assert_eq!((replaced.created_at, replaced.updated_at), (at(2), at(10_007)));
    assert_eq!(replaced.last_used_at, Some(at(50)));
    assert_eq!(listed(&*store, &pool.owner, &key_id(2)).await, replaced);
    let read = read(&*store, &pool).await;
    assert_eq!(read.keys.iter().map(|key| key.position.0).collect::<Vec<_>>(), [1, 2, 3]);
    let key = &read.keys[1];
    assert_eq!((&key.id, key.unreadable, &key.sealed), (&key_id(2), false, &sealed(7)));
    assert_eq!(key.fingerprint, fingerprint(7));

    let nobody = store.replace_key(&pool, &key_id(9), &replacement(8, &data_key), &somebody()).await;
    assert!(matches!(nobody, Err(ReplaceKeyError::NoKey)), "{nobody:?}");
}

pub async fn a_replacement_renames_only_where_it_names(Fresh { store, .. }: Fresh) {
    let pool = pool(&*store).await;
    let key = NewKey { name: name("before"), ..new_key(1, DataKeyUse::New(b"a data key".to_vec())) };
    store.add_key(&pool, &key, &somebody()).await.unwrap();
    let data_key = data_key(&*store, &pool).await;
    for (secret, renamed, expected) in
        [(2, None, name("before")), (3, Some(name("after")), name("after")), (4, Some(None), None)]
    {
        let replacement = KeyReplacement { name: renamed, ..replacement(secret, &data_key) };
        let replaced = store.replace_key(&pool, &key_id(1), &replacement, &somebody()).await.unwrap();
        assert_eq!(replaced.name, expected);
    }
}

pub async fn replacing_with_the_secret_of_another_key_is_a_duplicate(Fresh { store, .. }: Fresh) {
    let pool = pool(&*store).await;
    fill(&*store, &pool, 1..=2).await;
    let data_key = data_key(&*store, &pool).await;
    let before = read(&*store, &pool).await;
    let refused = store.replace_key(&pool, &key_id(2), &replacement(1, &data_key), &somebody()).await;
    assert!(matches!(&refused, Err(ReplaceKeyError::Duplicate(twin)) if *twin == key_id(1)), "{refused:?}");
    assert_eq!(read(&*store, &pool).await, before);
}

pub async fn replacing_with_the_same_secret_is_no_duplicate(Fresh { store, .. }: Fresh) {
    let pool = pool(&*store).await;
    fill(&*store, &pool, 1..=2).await;
    let data_key = data_key(&*store, &pool).await;
    store.replace_key(&pool, &key_id(2), &replacement(2, &data_key), &somebody()).await.unwrap();
    assert_eq!(positions(&*store, &pool).await, [1, 2]);
}

pub async fn a_change_touches_only_what_it_names(Fresh { store, .. }: Fresh) {
    let pool = pool(&*store).await;
    let added = add_number(&*store, &pool, 1).await.unwrap();
    let before = read(&*store, &pool).await.keys.remove(0);

    let off = KeyChange { name: None, enabled: Some(false), at: at(20) };
    let switched = store.change_key(&pool.owner, &added.id, &off, &somebody()).await.unwrap();
    assert_eq!(switched, KeyRecord { enabled: false, updated_at: at(20), ..added.clone() });
    assert_eq!(read(&*store, &pool).await.keys, [PoolKey { enabled: false, ..before.clone() }]);

    let renaming = KeyChange { name: Some(name("new")), enabled: None, at: at(21) };
    let renamed = store.change_key(&pool.owner, &added.id, &renaming, &somebody()).await.unwrap();
    assert_eq!(renamed, KeyRecord { name: name("new"), updated_at: at(21), ..switched });
    assert_eq!(listed(&*store, &pool.owner, &added.id).await, renamed);

    let both = KeyChange { name: Some(None), enabled: Some(true), at: at(22) };
    let changed = store.change_key(&pool.owner, &added.id, &both, &somebody()).await.unwrap();
    assert_eq!(changed, KeyRecord { updated_at: at(22), ..added });
    assert_eq!(read(&*store, &pool).await.keys, [before]);
}

pub async fn a_key_is_marked_only_while_its_secret_is_the_same(Fresh { store, .. }: Fresh) {
    let pool = pool(&*store).await;
    fill(&*store, &pool, 1..=2).await;
    let unreadable = async || -> Vec<bool> {
        let read = read(&*store, &pool).await;
        let listed = store.keys(&pool.owner).await.unwrap();
        let in_list: Vec<_> = listed.iter().map(|key| key.status == KeyStatus::Unreadable).collect();
        let in_pool: Vec<_> = read.keys.iter().map(|key| key.unreadable).collect();
        assert_eq!(in_pool, in_list);
        in_pool
    };
    store.mark_readable(&pool, &key_id(1), &sealed(1), false).await.unwrap();
    store.mark_readable(&pool, &key_id(2), b"read before it was replaced", false).await.unwrap();
    assert_eq!(unreadable().await, [true, false]);
    store.mark_readable(&pool, &key_id(1), b"read before it was replaced", true).await.unwrap();
    assert_eq!(unreadable().await, [true, false]);
    store.mark_readable(&pool, &key_id(1), &sealed(1), true).await.unwrap();
    assert_eq!(unreadable().await, [false, false]);
    store.mark_readable(&pool, &key_id(9), &sealed(9), false).await.unwrap();
}

pub async fn dates_of_last_use_never_move_back(Fresh { store, .. }: Fresh) {
    let pool = pool(&*store).await;
    fill(&*store, &pool, 1..=2).await;
    let used = |number, second| used(&pool, number, second);
    let dates = async || -> Vec<_> {
        let keys = store.keys(&pool.owner).await.unwrap();
        keys.into_iter().map(|key| (key.last_used_at, key.updated_at)).collect()
    };
    store.record_uses(&[]).await.unwrap();
    assert_eq!(dates().await, [(None, at(1)), (None, at(2))]);
    store.record_uses(&[used(1, 50), used(9, 60), used(2, 40)]).await.unwrap();
    assert_eq!(dates().await, [(Some(at(50)), at(1)), (Some(at(40)), at(2))]);
    store.record_uses(&[used(1, 49), used(2, 41)]).await.unwrap();
    assert_eq!(dates().await, [(Some(at(50)), at(1)), (Some(at(41)), at(2))]);
}

pub async fn under_another_owner_or_provider_nothing_is_found(Fresh { store, .. }: Fresh) {
    let pool = pool(&*store).await;
    fill(&*store, &pool, 1..=1).await;
    let data_key = data_key(&*store, &pool).await;
    let before = (read(&*store, &pool).await, store.keys(&pool.owner).await.unwrap());
    let key = key_id(1);

    let neighbour = workspace(&*store, "acm").await;
    let elsewhere = [
        pool_of(&neighbour, "openai"),
        pool_of(&Owner::Organization("acme".parse().unwrap()), "openai"),
        pool_of(&Owner::Platform, "openai"),
        pool_of(&pool.owner, "exa"),
    ];
    for other in &elsewhere {
        assert!(read(&*store, other).await.keys.is_empty(), "{other}");
        let replaced = store.replace_key(other, &key, &replacement(2, &data_key), &somebody()).await;
        assert!(matches!(replaced, Err(ReplaceKeyError::NoKey)), "{other}: {replaced:?}");
        assert!(!store.delete_key(other, &key, &somebody()).await.unwrap(), "{other}");
        assert_eq!(store.delete_keys(other, &somebody()).await.unwrap(), 0, "{other}");
        store.mark_readable(other, &key, &sealed(1), false).await.unwrap();
        store.record_uses(&[used(other, 1, 50)]).await.unwrap();
    }
    for owner in elsewhere[..3].iter().map(|pool| &pool.owner) {
        assert_eq!(store.keys(owner).await.unwrap(), []);
        let off = KeyChange { name: None, enabled: Some(false), at: at(50) };
        let changed = store.change_key(owner, &key, &off, &somebody()).await;
        assert!(matches!(changed, Err(ChangeKeyError::NoKey)), "{owner}: {changed:?}");
    }
    assert_eq!((read(&*store, &pool).await, store.keys(&pool.owner).await.unwrap()), before);

    // Nor do equal ids or secrets of two owners meet.
    add(&*store, &elsewhere[0], new_key(1, DataKeyUse::New(b"the neighbour's data key".to_vec()))).await.unwrap();
    assert!(store.delete_key(&elsewhere[0], &key, &somebody()).await.unwrap());
    assert_eq!((read(&*store, &pool).await, store.keys(&pool.owner).await.unwrap()), before);
}
