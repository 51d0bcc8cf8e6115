//! What exists once.

use futures_util::future::join;

use super::Fresh;

pub async fn a_new_database_answers(Fresh { store, .. }: Fresh) {
    store.ping().await.unwrap();
    assert_eq!(store.canary().await.unwrap(), None);
    assert_eq!(store.root_token_hash().await.unwrap(), None);
}

pub async fn the_canary_is_stored_once(Fresh { store, .. }: Fresh) {
    assert_eq!(store.put_canary_if_absent(b"first").await.unwrap(), b"first");
    assert_eq!(store.put_canary_if_absent(b"second").await.unwrap(), b"first");
    assert_eq!(store.canary().await.unwrap().unwrap(), b"first");
}

pub async fn the_root_tokens_hash_is_stored_once(Fresh { store, .. }: Fresh) {
    assert_eq!(store.put_root_token_hash_if_absent(&[1; 32]).await.unwrap(), [1; 32]);
    assert_eq!(store.put_root_token_hash_if_absent(&[2; 32]).await.unwrap(), [1; 32]);
    assert_eq!(store.root_token_hash().await.unwrap(), Some([1; 32]));
}

pub async fn of_two_first_starts_one_wins(Fresh { store, other }: Fresh) {
    let (one, two) = join(store.put_canary_if_absent(b"one"), other.put_canary_if_absent(b"two")).await;
    assert_eq!(one.unwrap(), two.unwrap());
    let (one, two) =
        join(store.put_root_token_hash_if_absent(&[1; 32]), other.put_root_token_hash_if_absent(&[2; 32])).await;
    assert_eq!(one.unwrap(), two.unwrap());
}
