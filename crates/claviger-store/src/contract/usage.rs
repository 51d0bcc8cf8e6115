//! What is counted of keys.

use futures_util::future::{join, join_all};

use super::Fresh;
use super::given::{
    at, data_key, fill, key_id, listed, new_key, pool, pool_of, read, replacement, somebody, used, workspace_id,
};
use crate::{DataKeyUse, KeyReplacement, KeyUse, NewKey, Store, USAGE_PORTION, UsageBucket, UseCounts};

const HOUR: u64 = 3_600;

/// So many requests, each kind in a number of its own.
fn counts(times: u64) -> UseCounts {
    UseCounts {
        requests: 21 * times,
        ok: times,
        rate_limited: 2 * times,
        rejected: 3 * times,
        caller_errors: 4 * times,
        provider_errors: 5 * times,
    }
}

fn bucket(hour: u64, key: u64, times: u64) -> UsageBucket {
    UsageBucket { start: at(hour * HOUR), key: key_id(key), counts: counts(times) }
}

pub async fn uses_are_added_up_by_key_and_by_hour(Fresh { store, other }: Fresh) {
    let pool = pool(&*store).await;
    fill(&*store, &pool, 1..=2).await;
    let times = |number, second, times| KeyUse { counts: counts(times), ..used(&pool, number, second) };
    // The same key and hour several times in a batch, and again from elsewhere.
    store
        .record_uses(&[times(1, HOUR, 1), times(1, 2 * HOUR - 1, 1), times(1, 2 * HOUR, 3), times(2, HOUR + 5, 4)])
        .await
        .unwrap();
    other.record_uses(&[times(1, HOUR + 1, 5), used(&pool, 2, 9 * HOUR)]).await.unwrap();

    assert_eq!(listed(&*store, &pool.owner, &key_id(1)).await.counts, counts(10));
    assert_eq!(listed(&*store, &pool.owner, &key_id(2)).await.counts, counts(4));
    let usage = store.usage(&pool.owner, None, at(0), at(20 * HOUR)).await.unwrap();
    // Nothing was counted in the ninth hour.
    assert_eq!(usage, [bucket(1, 1, 7), bucket(1, 2, 4), bucket(2, 1, 3)]);
}

pub async fn usage_is_of_one_provider_and_of_a_time(Fresh { store, .. }: Fresh) {
    let pool = pool(&*store).await;
    let elsewhere = pool_of(&pool.owner, "exa");
    fill(&*store, &pool, 1..=1).await;
    fill(&*store, &elsewhere, 2..=2).await;
    let uses = [(&pool, 1, 1), (&pool, 1, 2), (&elsewhere, 2, 2), (&elsewhere, 2, 3)];
    let uses = uses.map(|(pool, key, hour)| KeyUse { counts: counts(1), ..used(pool, key, hour * HOUR) });
    store.record_uses(&uses).await.unwrap();
    let usage = async |provider, from, to| store.usage(&pool.owner, provider, at(from), at(to)).await.unwrap();
    assert_eq!(usage(Some(&pool.provider), 0, 9 * HOUR).await, [bucket(1, 1, 1), bucket(2, 1, 1)]);
    // From is among them, to is not.
    assert_eq!(usage(None, 2 * HOUR, 3 * HOUR).await, [bucket(2, 1, 1), bucket(2, 2, 1)]);
    assert_eq!(usage(None, HOUR + 1, 2 * HOUR).await, []);
    let nobody = pool_of(&claviger_core::Owner::Platform, "openai");
    assert_eq!(store.usage(&nobody.owner, None, at(0), at(9 * HOUR)).await.unwrap(), []);
}

pub async fn uses_of_keys_that_are_gone_leave_nothing(Fresh { store, .. }: Fresh) {
    let pool = pool(&*store).await;
    fill(&*store, &pool, 1..=2).await;
    let uses = [1, 2, 9].map(|number| KeyUse { counts: counts(1), ..used(&pool, number, HOUR) });
    store.record_uses(&uses).await.unwrap();
    let usage = async || store.usage(&pool.owner, None, at(0), at(9 * HOUR)).await.unwrap();
    assert_eq!(usage().await, [bucket(1, 1, 1), bucket(1, 2, 1)]);
    assert!(store.delete_key(&pool, &key_id(1), &somebody()).await.unwrap());
    store.record_uses(&uses).await.unwrap();
    assert_eq!(usage().await, [bucket(1, 2, 2)]);
    assert!(store.delete_workspace(&workspace_id("acme"), &somebody()).await.unwrap());
    store.record_uses(&uses).await.unwrap();
    assert_eq!(usage().await, []);
}

pub async fn uses_recorded_by_two_nodes_at_once_add_up(Fresh { store, other }: Fresh) {
    let pool = pool(&*store).await;
    fill(&*store, &pool, 1..=5).await;
    let record = async |store: &dyn Store, numbers: [u64; 5]| {
        for _ in 0..20 {
            let uses = numbers.map(|number| KeyUse { counts: counts(1), ..used(&pool, number, HOUR) });
            store.record_uses(&uses).await.unwrap();
        }
    };
    join(record(&*store, [1, 2, 3, 4, 5]), record(&*other, [5, 4, 3, 2, 1])).await;
    let expected: Vec<_> = (1..=5).map(|number| bucket(1, number, 40)).collect();
    assert_eq!(store.usage(&pool.owner, None, at(0), at(9 * HOUR)).await.unwrap(), expected);
    for key in store.keys(&pool.owner).await.unwrap() {
        assert_eq!(key.counts, counts(40));
    }
}

pub async fn uses_against_the_deletion_of_their_keys_leave_nothing(Fresh { store, other }: Fresh) {
    let pool = pool(&*store).await;
    for round in 0..5 {
        fill(&*store, &pool, round * 10 + 1..=round * 10 + 5).await;
        let uses: Vec<_> = (round * 10 + 1..=round * 10 + 5)
            .map(|number| KeyUse { counts: counts(1), ..used(&pool, number, HOUR) })
            .collect();
        let recording = join_all((0..6).map(|_| store.record_uses(&uses)));
        let (recorded, deleted) = join(recording, other.delete_keys(&pool, &somebody())).await;
        recorded.into_iter().collect::<Result<Vec<_>, _>>().unwrap();
        assert_eq!(deleted.unwrap(), 5);
        assert_eq!(store.usage(&pool.owner, None, at(0), at(9 * HOUR)).await.unwrap(), []);
    }
}

pub async fn old_hours_are_forgotten_in_portions(Fresh { store, .. }: Fresh) {
    let pool = pool(&*store).await;
    fill(&*store, &pool, 1..=1).await;
    let old = u64::from(USAGE_PORTION) + 3;
    let uses: Vec<_> = (1..=old + 2).map(|hour| KeyUse { counts: counts(1), ..used(&pool, 1, hour * HOUR) }).collect();
    store.record_uses(&uses).await.unwrap();
    let before = at((old + 1) * HOUR);
    for expected in [USAGE_PORTION.into(), 3, 0] {
        assert_eq!(store.forget_usage(before).await.unwrap(), expected);
    }
    let usage = store.usage(&pool.owner, None, at(0), at((old + 9) * HOUR)).await.unwrap();
    assert_eq!(usage, [bucket(old + 1, 1, 1), bucket(old + 2, 1, 1)]);
    // The key's own counts forget nothing.
    assert_eq!(listed(&*store, &pool.owner, &key_id(1)).await.counts, counts(old + 2));
}

pub async fn a_domain_is_kept_until_another_is_named_or_the_secret_is_replaced(Fresh { store, .. }: Fresh) {
    let pool = pool(&*store).await;
    fill(&*store, &pool, 1..=1).await;
    let domain = async || {
        let listed = listed(&*store, &pool.owner, &key_id(1)).await.domain;
        assert_eq!(read(&*store, &pool).await.keys[0].domain, listed);
        listed
    };
    assert_eq!(domain().await, None);
    let too_long = "x".repeat(300);
    for (named, expected) in [
        (Some("org-1"), "org-1"),
        (None, "org-1"),
        // What cannot be stored must not keep the rest from being stored.
        (Some(""), "org-1"),
        (Some("a\0b"), "org-1"),
        (Some(too_long.as_str()), "org-1"),
        (Some("org-2"), "org-2"),
    ] {
        store.record_uses(&[KeyUse { domain: named.map(str::to_owned), ..used(&pool, 1, 5) }]).await.unwrap();
        assert_eq!(domain().await.as_deref(), Some(expected));
    }
    let data_key = data_key(&*store, &pool).await;
    store.replace_key(&pool, &key_id(1), &replacement(7, &data_key), &somebody()).await.unwrap();
    assert_eq!(domain().await, None);
    let named = KeyReplacement { domain: Some("org-3".to_owned()), ..replacement(8, &data_key) };
    let replaced = store.replace_key(&pool, &key_id(1), &named, &somebody()).await.unwrap();
    assert_eq!((replaced.domain, domain().await.as_deref()), (named.domain, Some("org-3")));
    let named = NewKey { domain: Some("org-4".to_owned()), ..new_key(2, DataKeyUse::Stored(data_key)) };
    let added = store.add_key(&pool, &named, &somebody()).await.unwrap();
    assert_eq!((added.domain.as_deref(), &read(&*store, &pool).await.keys[1].domain), (Some("org-4"), &named.domain));
}
