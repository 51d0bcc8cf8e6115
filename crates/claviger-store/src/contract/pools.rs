//! Ten keys, no secret twice, creation order.

use claviger_core::Owner;

use super::Fresh;
use super::given::{
    add, add_number, fill, fingerprint, ids, key_id, new_key, organization, owners, pool, pool_of, positions, read,
    somebody, workspace,
};
use crate::{AddKeyError, DataKeyUse, NewKey};

pub async fn ten_keys_fit_and_the_eleventh_is_refused(Fresh { store, .. }: Fresh) {
    for owner in owners(&*store).await {
        let pool = pool_of(&owner, "openai");
        fill(&*store, &pool, 1..=10).await;
        let before = read(&*store, &pool).await;
        let refused = add_number(&*store, &pool, 11).await;
        assert!(matches!(refused, Err(AddKeyError::PoolFull)), "{pool}: {refused:?}");
        assert_eq!(read(&*store, &pool).await, before);

        assert!(store.delete_key(&pool, &key_id(4), &somebody()).await.unwrap());
        add_number(&*store, &pool, 11).await.unwrap();
        let refused = add_number(&*store, &pool, 12).await;
        assert!(matches!(refused, Err(AddKeyError::PoolFull)), "{pool}: {refused:?}");
    }
}

pub async fn pools_are_full_independently_of_each_other(Fresh { store, .. }: Fresh) {
    let (acme, other) = (workspace(&*store, "acme").await, workspace(&*store, "other").await);
    let organization = organization(&*store, "acme").await;
    fill(&*store, &pool_of(&acme, "openai"), 1..=10).await;
    fill(&*store, &pool_of(&acme, "exa"), 11..=20).await;
    fill(&*store, &pool_of(&other, "openai"), 21..=30).await;
    fill(&*store, &pool_of(&organization, "openai"), 1..=10).await;
    fill(&*store, &pool_of(&Owner::Platform, "openai"), 1..=10).await;
    let refused = add_number(&*store, &pool_of(&acme, "exa"), 31).await;
    assert!(matches!(refused, Err(AddKeyError::PoolFull)), "{refused:?}");
}

pub async fn a_secret_twice_in_a_pool_is_a_duplicate_naming_the_key(Fresh { store, .. }: Fresh) {
    let new = DataKeyUse::New(b"a data key".to_vec());
    let again = NewKey { fingerprint: fingerprint(2), ..new_key(50, new) };
    for owner in owners(&*store).await {
        let pool = pool_of(&owner, "openai");
        fill(&*store, &pool, 1..=3).await;
        let refused = add(&*store, &pool, again.clone()).await;
        assert!(matches!(&refused, Err(AddKeyError::Duplicate(twin)) if *twin == key_id(2)), "{pool}: {refused:?}");

        // Also in a full pool, where the caller can do something about the one and nothing about the other.
        fill(&*store, &pool, 4..=10).await;
        let refused = add(&*store, &pool, again.clone()).await;
        assert!(matches!(&refused, Err(AddKeyError::Duplicate(twin)) if *twin == key_id(2)), "{pool}: {refused:?}");

        assert!(store.delete_key(&pool, &key_id(2), &somebody()).await.unwrap());
        add(&*store, &pool, again.clone()).await.unwrap();
    }
}

pub async fn a_secret_may_be_in_several_pools(Fresh { store, .. }: Fresh) {
    let (acme, other) = (workspace(&*store, "acme").await, workspace(&*store, "other").await);
    for (number, pool) in [(1, pool_of(&acme, "openai")), (2, pool_of(&acme, "exa")), (3, pool_of(&other, "openai"))] {
        let new = DataKeyUse::New(b"a data key".to_vec());
        let key = NewKey { fingerprint: fingerprint(1), ..new_key(number, new) };
        add(&*store, &pool, key).await.unwrap();
    }
}

pub async fn order_is_creation_order_whatever_the_slot(Fresh { store, .. }: Fresh) {
    let pool = pool(&*store).await;
    // Ids that sort the other way round, and dates that all but one are later than the next.
    fill(&*store, &pool, (11..=20).rev()).await;
    for gone in [20, 17, 12] {
        assert!(store.delete_key(&pool, &key_id(gone), &somebody()).await.unwrap());
    }
    fill(&*store, &pool, [3, 2, 1]).await;
    let expected = [19, 18, 16, 15, 14, 13, 11, 3, 2, 1].map(key_id);
    assert_eq!(ids(&*store, &pool).await, expected);
    let listed = store.keys(&pool.owner).await.unwrap();
    assert_eq!(listed.into_iter().map(|key| key.id).collect::<Vec<_>>(), expected);
}

pub async fn positions_are_never_used_again(Fresh { store, .. }: Fresh) {
    for owner in owners(&*store).await {
        let pool = pool_of(&owner, "openai");
        fill(&*store, &pool, 1..=3).await;
        assert_eq!(positions(&*store, &pool).await, [1, 2, 3]);
        assert!(store.delete_key(&pool, &key_id(3), &somebody()).await.unwrap());
        fill(&*store, &pool, 4..=4).await;
        assert_eq!(positions(&*store, &pool).await, [1, 2, 4]);
        assert_eq!(store.delete_keys(&pool, &somebody()).await.unwrap(), 3);
        fill(&*store, &pool, 5..=6).await;
        assert_eq!(positions(&*store, &pool).await, [5, 6]);
    }
}

pub async fn deleting_a_key_that_is_not_there_is_told(Fresh { store, .. }: Fresh) {
    let pool = pool(&*store).await;
    assert_eq!(store.delete_keys(&pool, &somebody()).await.unwrap(), 0);
    fill(&*store, &pool, 1..=2).await;
    assert!(store.delete_key(&pool, &key_id(1), &somebody()).await.unwrap());
    assert!(!store.delete_key(&pool, &key_id(1), &somebody()).await.unwrap());
    assert_eq!(store.delete_keys(&pool, &somebody()).await.unwrap(), 1);
    assert_eq!(store.delete_keys(&pool, &somebody()).await.unwrap(), 0);
}
