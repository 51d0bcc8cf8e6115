//! How keys fare, as nodes tell each other.

use claviger_core::health::Ailment;
use claviger_core::health::AilmentKind::{Exhausted, Rejected};
use claviger_core::owner::PoolId;
use claviger_core::{KeyId, Owner};
use futures_util::future::{join, join_all};

use super::Fresh;
use super::given::{
    ailment, ails, at, data_key, event, fill, heals, hook, key_id, listed, owners, pool, pool_of, read, replacement,
    sealed, somebody, webhook,
};
use crate::{AilmentChange, KeyChange, Page, ProbeClaim, Store};

/// What ails the first key, by both readings.
async fn stored(store: &dyn Store, pool: &PoolId) -> Option<Ailment> {
    let listed = listed(store, &pool.owner, &key_id(1)).await.ailment;
    assert_eq!(read(store, pool).await.keys[0].ailment, listed);
    listed
}

async fn put(store: &dyn Store, pool: &PoolId, change: &AilmentChange) -> bool {
    store.put_ailment(pool, &key_id(1), &sealed(1), change).await.unwrap()
}

pub async fn an_ailment_reads_back_and_is_healed(Fresh { store, .. }: Fresh) {
    for owner in owners(&*store).await {
        let pool = pool_of(&owner, "openai");
        fill(&*store, &pool, 1..=2).await;
        assert_eq!(stored(&*store, &pool).await, None);
        for kind in [Exhausted, Rejected] {
            let ailment = Ailment { status: 0, strikes: u32::MAX, ..ailment(kind, 10, 20) };
            assert!(put(&*store, &pool, &ails(ailment)).await);
            assert_eq!(stored(&*store, &pool).await, Some(ailment));
            assert!(!put(&*store, &pool, &ails(ailment)).await, "nothing new");
            assert!(put(&*store, &pool, &heals(10)).await);
            assert_eq!(stored(&*store, &pool).await, None);
            assert!(!put(&*store, &pool, &heals(10)).await, "nothing to heal");
        }
        assert_eq!(listed(&*store, &owner, &key_id(2)).await.ailment, None);
    }
}

pub async fn an_earlier_ailment_never_takes_the_place_of_a_later_one(Fresh { store, .. }: Fresh) {
    let pool = pool(&*store).await;
    fill(&*store, &pool, 1..=1).await;
    let known = ailment(Rejected, 10, 20);
    assert!(put(&*store, &pool, &ails(known)).await);
    for earlier in [ailment(Rejected, 9, 90), ailment(Exhausted, 9, 90)] {
        assert!(!put(&*store, &pool, &ails(earlier)).await);
    }
    assert_eq!(stored(&*store, &pool).await, Some(known));
    assert!(!put(&*store, &pool, &ails(ailment(Rejected, 10, 15))).await, "of one moment the later end counts");
    for later in [ailment(Rejected, 11, 15), ailment(Rejected, 12, 12)] {
        assert!(put(&*store, &pool, &ails(later)).await);
        assert_eq!(stored(&*store, &pool).await, Some(later), "what was found later may end a rest");
    }
    assert!(put(&*store, &pool, &ails(ailment(Exhausted, 13, 14))).await);
    assert_eq!(stored(&*store, &pool).await, Some(ailment(Exhausted, 13, 14)), "of another kind it is another rest");
}

pub async fn only_what_was_there_when_its_request_began_is_healed(Fresh { store, .. }: Fresh) {
    let pool = pool(&*store).await;
    fill(&*store, &pool, 1..=1).await;
    assert!(put(&*store, &pool, &ails(ailment(Rejected, 10, 20))).await);
    assert!(!put(&*store, &pool, &heals(9)).await);
    assert!(stored(&*store, &pool).await.is_some());
    assert!(put(&*store, &pool, &heals(11)).await);
    assert_eq!(stored(&*store, &pool).await, None);
}

pub async fn a_replaced_secret_is_well_and_stays_so(Fresh { store, .. }: Fresh) {
    let pool = pool(&*store).await;
    fill(&*store, &pool, 1..=1).await;
    assert!(put(&*store, &pool, &ails(ailment(Rejected, 10, 20))).await);
    let data_key = data_key(&*store, &pool).await;
    let replaced = store.replace_key(&pool, &key_id(1), &replacement(7, &data_key), &somebody()).await.unwrap();
    assert_eq!((replaced.ailment, stored(&*store, &pool).await), (None, None));
    // Learned of the old secret.
    assert!(!put(&*store, &pool, &ails(ailment(Rejected, 30, 40))).await);
    assert_eq!(stored(&*store, &pool).await, None);
    let of_new = ails(ailment(Rejected, 30, 40));
    assert!(store.put_ailment(&pool, &key_id(1), &sealed(7), &of_new).await.unwrap());
    assert!(!put(&*store, &pool, &heals(50)).await);
    for (pool, key) in [(&pool, 9), (&pool_of(&Owner::Platform, "openai"), 1), (&pool_of(&pool.owner, "exa"), 1)] {
        assert!(!store.put_ailment(pool, &key_id(key), &sealed(7), &of_new).await.unwrap(), "{pool} {key}");
    }
}

pub async fn ailments_put_at_once_come_to_the_latest(Fresh { store, other }: Fresh) {
    let pool = pool(&*store).await;
    fill(&*store, &pool, 1..=1).await;
    let changes: Vec<_> = (1..=20).map(|second| ails(ailment(Rejected, second, 100 - second))).collect();
    let puts = changes.iter().zip([&*store, &*other].into_iter().cycle());
    join_all(puts.map(|(change, store)| put(store, &pool, change))).await;
    let last = stored(&*store, &pool).await.unwrap();
    assert_eq!(last.since, at(20));
    assert!(last.until >= at(80));
}

pub async fn an_ailment_is_no_change_of_the_pools_keys(Fresh { store, .. }: Fresh) {
    let pool = pool(&*store).await;
    fill(&*store, &pool, 1..=1).await;
    let generation = async || {
        let copies = store.owners(&Page { after: None, limit: 10 }).await.unwrap();
        let copy = copies.into_iter().find(|copy| copy.owner == pool.owner).unwrap();
        (copy.pools[0].generation, copy.pools[0].keys[0].record.updated_at)
    };
    let before = generation().await;
    assert!(put(&*store, &pool, &ails(ailment(Rejected, 10, 20))).await);
    assert!(put(&*store, &pool, &heals(30)).await);
    assert_eq!(generation().await, before);
}

pub async fn webhooks_are_told_once_where_an_ailment_begins_and_ends(Fresh { store, other }: Fresh) {
    let pool = pool(&*store).await;
    fill(&*store, &pool, 1..=1).await;
    hook(&*store, &webhook("acme", 1)).await.unwrap();
    let telling = |change: AilmentChange, number| AilmentChange { events: vec![event(number, "key.told")], ..change };
    let [one, two] = [10, 11].map(|second| telling(ails(ailment(Rejected, second, 20)), second));
    // Both nodes found it, and each would tell.
    let (first, second) = join(put(&*store, &pool, &one), put(&*other, &pool, &two)).await;
    assert!(first || second);
    assert!(!put(&*store, &pool, &telling(ails(ailment(Rejected, 1, 90)), 12)).await);
    assert!(!put(&*store, &pool, &telling(heals(1), 13)).await);
    let told = store.claim_deliveries(at(100), at(200), 10).await.unwrap();
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(put(&*store, &pool, &telling(heals(30), 14)).await);
    let told = store.claim_deliveries(at(100), at(200), 10).await.unwrap();
    assert_eq!(told.iter().map(|delivery| delivery.created_at).collect::<Vec<_>>(), [at(14)]);
}

async fn claim(store: &dyn Store, now: u64, until: u64, limit: u32) -> Vec<KeyId> {
    let claims = store.claim_probes(at(now), at(until), limit).await.unwrap();
    let mut keys: Vec<_> = claims.into_iter().map(|claim: ProbeClaim| claim.key).collect();
    keys.sort();
    keys
}

pub async fn a_rejected_key_is_claimed_for_a_probe_when_its_rest_is_over(Fresh { store, other }: Fresh) {
    let pool = pool(&*store).await;
    fill(&*store, &pool, 1..=6).await;
    for (number, kind, until) in
        [(1, Rejected, 20), (2, Rejected, 30), (3, Exhausted, 20), (4, Rejected, 20), (5, Rejected, 20)]
    {
        let change = ails(ailment(kind, 10, until));
        assert!(store.put_ailment(&pool, &key_id(number), &sealed(number), &change).await.unwrap());
    }
    let off = KeyChange { name: None, enabled: Some(false), at: at(11) };
    store.change_key(&pool.owner, &key_id(4), &off, &somebody()).await.unwrap();
    store.mark_readable(&pool, &key_id(5), &sealed(5), false).await.unwrap();

    assert_eq!(claim(&*store, 19, 60, 10).await, []);
    let first = store.claim_probes(at(20), at(60), 10).await.unwrap();
    assert_eq!(first, [ProbeClaim { pool: pool.clone(), key: key_id(1) }]);
    assert_eq!(claim(&*other, 40, 80, 10).await, [key_id(2)]);
    // Nobody said what came of it.
    assert_eq!(claim(&*other, 60, 90, 10).await, [key_id(1)]);
    // What came of it ends the claim, and the rest begins anew.
    assert!(put(&*store, &pool, &ails(ailment(Rejected, 61, 65))).await);
    assert_eq!(claim(&*store, 64, 90, 10).await, []);
    assert_eq!(claim(&*store, 65, 90, 10).await, [key_id(1)]);
    assert!(put(&*store, &pool, &heals(66)).await);
    assert_eq!(claim(&*store, 1_000, 2_000, 10).await, [key_id(2)]);
}

pub async fn two_nodes_never_claim_the_same_probe(Fresh { store, other }: Fresh) {
    for owner in owners(&*store).await {
        let pool = pool_of(&owner, "openai");
        fill(&*store, &pool, 1..=10).await;
        for number in 1..=10 {
            let change = ails(ailment(Rejected, 10, 20));
            assert!(store.put_ailment(&pool, &key_id(number), &sealed(number), &change).await.unwrap());
        }
    }
    let mut claimed = Vec::new();
    // What is being claimed by one is passed over by the other, so it may take several rounds.
    for _ in 0..20 {
        let claims = join_all((0..8).map(|node| {
            let store = if node % 2 == 0 { &*store } else { &*other };
            store.claim_probes(at(20), at(60), 3)
        }));
        for claims in claims.await {
            let claims = claims.unwrap();
            assert!(claims.len() <= 3);
            claimed.extend(claims.into_iter().map(|claim| (claim.pool.to_string(), claim.key)));
        }
    }
    assert_eq!(claimed.len(), 30);
    claimed.sort();
    claimed.dedup();
    assert_eq!(claimed.len(), 30);
}
