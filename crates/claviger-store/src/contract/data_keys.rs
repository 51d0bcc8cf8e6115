//! A secret is stored only beside the data key that seals it.

use super::Fresh;
use super::given::{
    add_number, data_key, fill, key_id, new_key, pool, pool_of, positions, read, replacement, somebody, workspace,
};
use crate::{AddKeyError, DataKeyUse, ReplaceKeyError};

fn stored(data_key: &[u8]) -> DataKeyUse {
    DataKeyUse::Stored(data_key.to_vec())
}

fn new(data_key: &[u8]) -> DataKeyUse {
    DataKeyUse::New(data_key.to_vec())
}

pub async fn the_first_key_brings_the_data_key_and_it_stays(Fresh { store, .. }: Fresh) {
    let pool = pool(&*store).await;
    assert_eq!(read(&*store, &pool).await.data_key, None);
    store.add_key(&pool, &new_key(1, new(b"first")), &somebody()).await.unwrap();
    assert_eq!(data_key(&*store, &pool).await, b"first");
    // It is the owner's, not the pool's.
    let sibling = pool_of(&pool.owner, "exa");
    assert_eq!(data_key(&*store, &sibling).await, b"first");
    store.add_key(&sibling, &new_key(2, stored(b"first")), &somebody()).await.unwrap();
    store.delete_keys(&pool, &somebody()).await.unwrap();
    store.delete_keys(&sibling, &somebody()).await.unwrap();
    assert_eq!(data_key(&*store, &pool).await, b"first");
    // Another owner has none of it.
    let other = pool_of(&workspace(&*store, "other").await, "openai");
    assert_eq!(read(&*store, &other).await.data_key, None);
}

pub async fn a_data_key_is_never_replaced(Fresh { store, .. }: Fresh) {
    let pool = pool(&*store).await;
    store.add_key(&pool, &new_key(1, new(b"first")), &somebody()).await.unwrap();
    for pool in [&pool, &pool_of(&pool.owner, "exa")] {
        let refused = store.add_key(pool, &new_key(2, new(b"second")), &somebody()).await;
        assert!(matches!(refused, Err(AddKeyError::DataKeyChanged)), "{refused:?}");
        assert_eq!(data_key(&*store, pool).await, b"first");
    }
}

pub async fn a_key_sealed_under_another_data_key_is_refused(Fresh { store, .. }: Fresh) {
    let pool = pool(&*store).await;
    let refused = store.add_key(&pool, &new_key(1, stored(b"of an earlier life")), &somebody()).await;
    assert!(matches!(refused, Err(AddKeyError::DataKeyChanged)), "{refused:?}");
    assert_eq!(read(&*store, &pool).await.data_key, None);

    store.add_key(&pool, &new_key(1, new(b"first")), &somebody()).await.unwrap();
    // Before a duplicate is looked for: fingerprints of another data key mean nothing.
    let refused = store.add_key(&pool, &new_key(1, stored(b"of an earlier life")), &somebody()).await;
    assert!(matches!(refused, Err(AddKeyError::DataKeyChanged)), "{refused:?}");
    assert_eq!(read(&*store, &pool).await.keys.len(), 1);
}

pub async fn a_replacement_sealed_under_another_data_key_is_refused(Fresh { store, .. }: Fresh) {
    let pool = pool(&*store).await;
    store.add_key(&pool, &new_key(1, new(b"first")), &somebody()).await.unwrap();
    let before = read(&*store, &pool).await;
    let refused = store.replace_key(&pool, &key_id(1), &replacement(2, b"of an earlier life"), &somebody()).await;
    assert!(matches!(refused, Err(ReplaceKeyError::DataKeyChanged)), "{refused:?}");
    assert_eq!(read(&*store, &pool).await, before);
    store.replace_key(&pool, &key_id(1), &replacement(2, b"first"), &somebody()).await.unwrap();
}

pub async fn a_refused_key_leaves_nothing_behind(Fresh { store, .. }: Fresh) {
    let pool = pool(&*store).await;
    fill(&*store, &pool, 1..=10).await;
    for refused in [1, 11] {
        add_number(&*store, &pool, refused).await.unwrap_err();
    }
    store.delete_key(&pool, &key_id(1), &somebody()).await.unwrap();
    add_number(&*store, &pool, 12).await.unwrap();
    // No position was spent on the two.
    assert_eq!(positions(&*store, &pool).await.last(), Some(&11));
}
