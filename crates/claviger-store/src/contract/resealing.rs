//! What is sealed under what: another master key comes into use, and owners get new data keys.

use claviger_core::Owner;
use claviger_core::owner::PoolId;
use futures_util::future::{join, join_all};

use super::Fresh;
use super::given::{
    add_number, at, hook, key_id, new_key, owners, pool_of, positions, read, replace_canary, replacement, somebody,
    webhook, workspace, workspace_id,
};
use crate::{AddKeyError, DataKeyUse, Rekey, RekeyedKey, RekeyedWebhook, Store};

/// Sealed bytes as their frame begins, under the master key of this number.
fn under(master: u8, rest: &str) -> Vec<u8> {
    let mut sealed = vec![1, 2];
    sealed.extend([master; 8]);
    sealed.extend(rest.as_bytes());
    sealed
}

/// Adds the first key of a workspace, with a data key under this master key.
async fn first_key(store: &dyn Store, id: &str, master: u8) -> PoolId {
    let pool = pool_of(&workspace(store, id).await, "openai");
    store.add_key(&pool, &new_key(1, DataKeyUse::New(under(master, id))), &somebody()).await.unwrap();
    pool
}

pub async fn the_canary_is_replaced_only_by_who_has_read_it(Fresh { store, other }: Fresh) {
    assert!(!replace_canary(&*store, b"nothing yet", &under(1, "a")).await);
    store.put_canary_if_absent(&under(1, "a")).await.unwrap();
    assert!(!replace_canary(&*store, &under(1, "b"), &under(2, "c")).await);
    assert_eq!(store.former_canaries().await.unwrap(), [[0; 0]; 0]);
    let (was, next) = (under(1, "a"), [under(2, "b"), under(3, "c")]);
    let (one, two) = join(replace_canary(&*store, &was, &next[0]), replace_canary(&*other, &was, &next[1])).await;
    assert_ne!(one, two, "one of two");
    assert_eq!(store.canary().await.unwrap().as_ref(), Some(&next[usize::from(two)]));
    assert_eq!(other.former_canaries().await.unwrap(), [was]);
}

pub async fn former_canaries_are_kept_one_for_each_master_key(Fresh { store, .. }: Fresh) {
    store.put_canary_if_absent(&under(2, "first")).await.unwrap();
    for (was, next) in [((2, "first"), (1, "a")), ((1, "a"), (2, "again")), ((2, "again"), (3, "b"))] {
        assert!(replace_canary(&*store, &under(was.0, was.1), &under(next.0, next.1)).await);
    }
    let former = [under(1, "a"), under(2, "first")];
    assert_eq!(store.former_canaries().await.unwrap(), former);
    store.put_former_canary(&under(1, "of another database")).await.unwrap();
    assert_eq!(store.former_canaries().await.unwrap(), former);
    store.put_former_canary(&under(0, "of another database")).await.unwrap();
    assert_eq!(store.former_canaries().await.unwrap().len(), 3);
}

pub async fn data_keys_are_found_by_their_master_key(Fresh { store, .. }: Fresh) {
    assert_eq!(store.master_keys().await.unwrap(), [[0; 0]; 0]);
    let [acme, group, platform] = owners(&*store).await;
    for (owner, master) in [(&acme, 7), (&group, 7), (&platform, 255)] {
        let pool = pool_of(owner, "openai");
        store.add_key(&pool, &new_key(1, DataKeyUse::New(under(master, owner.id()))), &somebody()).await.unwrap();
    }
    for (id, master) in [("a", 0), ("b", 7), ("z", 7)] {
        first_key(&*store, id, master).await;
    }
    assert_eq!(store.master_keys().await.unwrap(), [[0; 8], [7; 8], [255; 8]]);
    for (master, count) in [(0, 1), (7, 4), (255, 1), (9, 0)] {
        assert_eq!(store.count_data_keys(&[master; 8]).await.unwrap(), count);
        for most in [1, 4, 5] {
            let counted = store.count_data_keys_up_to(&[master; 8], most).await.unwrap();
            assert_eq!(counted, count.min(u64::from(most)), "{master}, up to {most}");
        }
    }
    // In pages, by the owner's kind and id.
    let mut found: Vec<Owner> = Vec::new();
    loop {
        let page = store.data_keys_under(&[7; 8], found.last(), 3).await.unwrap();
        if page.is_empty() {
            break;
        }
        assert!(page.iter().all(|found| found.sealed == under(7, found.owner.id())));
        found.extend(page.into_iter().map(|found| found.owner));
    }
    let workspaces = ["acme", "b", "z"].map(|id| Owner::Workspace(workspace_id(id)));
    assert_eq!(found, [[group].as_slice(), workspaces.as_slice()].concat());
    assert_eq!(store.data_keys_under(&[9; 8], None, 3).await.unwrap(), []);
}

pub async fn a_data_key_is_sealed_anew_only_as_it_was_read(Fresh { store, other }: Fresh) {
    store.put_canary_if_absent(&under(2, "canary")).await.unwrap();
    let pool = first_key(&*store, "acme", 2).await;
    let owner = &pool.owner;
    let was = under(2, "acme");
    for (was, sealed) in [(under(2, "other"), under(2, "next")), (was.clone(), under(1, "not in use"))] {
        assert!(!store.reseal_data_key(owner, &was, &sealed).await.unwrap());
    }
    let nobody = Owner::Workspace(workspace_id("nobody"));
    assert!(!store.reseal_data_key(&nobody, &was, &under(2, "next")).await.unwrap());
    assert_eq!(read(&*store, &pool).await.data_key.as_ref(), Some(&was));

    // Of two at once one does.
    let (one, two) = (under(2, "one"), under(2, "two"));
    let (done_one, done_two) =
        join(store.reseal_data_key(owner, &was, &one), other.reseal_data_key(owner, &was, &two)).await;
    let (done_one, done_two) = (done_one.unwrap(), done_two.unwrap());
    assert_ne!(done_one, done_two);
    let now = if done_one { one } else { two };
    assert_eq!(read(&*store, &pool).await.data_key.as_ref(), Some(&now));
    // What was sealed meanwhile by who has read it before is refused, and tried again.
    let late = store.add_key(&pool, &new_key(2, DataKeyUse::Stored(was)), &somebody()).await;
    assert!(matches!(late, Err(AddKeyError::DataKeyChanged)), "{late:?}");
    store.add_key(&pool, &new_key(2, DataKeyUse::Stored(now)), &somebody()).await.unwrap();
    store.forget_replaced().await;
    assert_eq!(positions(&*store, &pool).await, [1, 2]);
}

pub async fn no_data_key_comes_under_a_master_key_that_is_not_in_use(Fresh { store, .. }: Fresh) {
    store.put_canary_if_absent(&under(1, "canary")).await.unwrap();
    first_key(&*store, "before", 1).await;
    assert!(replace_canary(&*store, &under(1, "canary"), &under(2, "canary")).await);
    let pool = pool_of(&workspace(&*store, "after").await, "openai");
    let refused = store.add_key(&pool, &new_key(1, DataKeyUse::New(under(1, "late"))), &somebody()).await;
    assert!(matches!(refused, Err(AddKeyError::DataKeyChanged)), "{refused:?}");
    let refused = store.add_webhook(&webhook("after", 1), &DataKeyUse::New(under(1, "late")), &somebody()).await;
    assert!(matches!(refused, Err(crate::AddWebhookError::DataKeyChanged)), "{refused:?}");
    assert_eq!(read(&*store, &pool).await.data_key, None);
    store.add_key(&pool, &new_key(1, DataKeyUse::New(under(2, "in time"))), &somebody()).await.unwrap();
    // A key beside others needs no new data key.
    let before = pool_of(&Owner::Workspace(workspace_id("before")), "openai");
    store.add_key(&before, &new_key(2, DataKeyUse::Stored(under(1, "before"))), &somebody()).await.unwrap();
}

pub async fn first_keys_at_once_with_another_master_key_all_come_before_it_or_are_refused(
    Fresh { store, other }: Fresh,
) {
    store.put_canary_if_absent(&under(1, "canary")).await.unwrap();
    let mut pools = Vec::new();
    for number in 0..24 {
        pools.push(pool_of(&workspace(&*store, &format!("w{number}")).await, "openai"));
    }
    let adds = pools.iter().map(async |pool| {
        let key = new_key(1, DataKeyUse::New(under(1, pool.owner.id())));
        match other.add_key(pool, &key, &somebody()).await {
            Ok(_) => true,
            Err(AddKeyError::DataKeyChanged) => false,
            Err(error) => panic!("{error}"),
        }
    });
    let replacing = async {
        assert!(replace_canary(&*store, &under(1, "canary"), &under(2, "canary")).await);
        // From here on there come no more.
        store.count_data_keys(&[1; 8]).await.unwrap()
    };
    let (added, counted) = join(join_all(adds), replacing).await;
    let added = added.into_iter().filter(|added| *added).count();
    assert_eq!(counted, added as u64);
}

/// Two pools of a workspace and two webhooks, and what gives it a new data key.
pub(super) async fn to_rekey(store: &dyn Store) -> ([PoolId; 2], Rekey) {
    let owner = workspace(store, "acme").await;
    let pools = [pool_of(&owner, "exa"), pool_of(&owner, "openai")];
    for (pool, number) in [(&pools[0], 1), (&pools[1], 2), (&pools[1], 3)] {
        add_number(store, pool, number).await.unwrap();
    }
    let hooks = [webhook("acme", 4), webhook("acme", 5)];
    for webhook in &hooks {
        hook(store, webhook).await.unwrap();
    }
    let mut keys = Vec::new();
    for pool in &pools {
        let found = read(store, pool).await.keys;
        keys.extend(found.into_iter().map(|key| RekeyedKey {
            provider: pool.provider.clone(),
            sealed: [b"anew ".as_slice(), &key.sealed].concat(),
            was: key.sealed,
            fingerprint: key.fingerprint.map(|byte| !byte),
            id: key.id,
        }));
    }
    let webhooks = hooks.into_iter().map(|webhook| RekeyedWebhook {
        sealed: [b"anew ".as_slice(), &webhook.sealed].concat(),
        was: webhook.sealed,
        id: webhook.id,
    });
    let was = read(store, &pools[0]).await.data_key.unwrap();
    (pools, Rekey { was, data_key: b"the next data key".to_vec(), keys, webhooks: webhooks.collect(), at: at(50) })
}

pub async fn a_new_data_key_comes_with_everything_that_it_seals(Fresh { store, other }: Fresh) {
    let (pools, rekey) = to_rekey(&*store).await;
    let owner = &pools[0].owner;
    let before = store.keys(owner).await.unwrap();
    assert!(store.rekey(owner, &rekey, &somebody()).await.unwrap());
    for pool in &pools {
        let record = read(&*other, pool).await;
        assert_eq!(record.data_key.as_ref(), Some(&rekey.data_key));
        for key in record.keys {
            let anew = rekey.keys.iter().find(|anew| anew.id == key.id).unwrap();
            assert_eq!((&key.sealed, key.fingerprint), (&anew.sealed, anew.fingerprint));
        }
    }
    assert_eq!(store.keys(owner).await.unwrap(), before, "what is shown of the keys stays");
    let hooks = store.webhooks(&workspace_id("acme")).await.unwrap();
    assert!(hooks.iter().zip(&rekey.webhooks).all(|(hook, anew)| hook.sealed == anew.sealed));
    // Who has read the old data key seals again; the new fingerprints are those that count.
    let late = store.replace_key(&pools[0], &key_id(1), &replacement(9, &rekey.was), &somebody()).await;
    assert!(matches!(late, Err(crate::ReplaceKeyError::DataKeyChanged)), "{late:?}");
    let mut twin = new_key(9, DataKeyUse::Stored(rekey.data_key.clone()));
    twin.fingerprint = rekey.keys[0].fingerprint;
    let refused = store.add_key(&pools[0], &twin, &somebody()).await;
    assert!(matches!(&refused, Err(AddKeyError::Duplicate(id)) if *id == rekey.keys[0].id), "{refused:?}");
    assert!(!store.rekey(owner, &rekey, &somebody()).await.unwrap(), "once");
}

pub async fn a_new_data_key_is_refused_where_anything_is_not_as_it_was_read(Fresh { store, .. }: Fresh) {
    let (pools, rekey) = to_rekey(&*store).await;
    let owner = &pools[0].owner;
    let before = store.owners(&crate::Page { after: None, limit: 10 }).await.unwrap();
    let other_data_key = Rekey { was: b"another".to_vec(), ..rekey.clone() };
    let mut a_key_less = rekey.clone();
    a_key_less.keys.pop();
    let mut another_secret = rekey.clone();
    another_secret.keys[1].was = b"replaced meanwhile".to_vec();
    let mut a_webhook_less = rekey.clone();
    a_webhook_less.webhooks.pop();
    let mut a_key_more = rekey.clone();
    a_key_more.keys.push(RekeyedKey { id: key_id(77), ..rekey.keys[0].clone() });
    for stale in [other_data_key, a_key_less, another_secret, a_webhook_less, a_key_more] {
        assert!(!store.rekey(owner, &stale, &somebody()).await.unwrap());
    }
    assert!(!store.rekey(&Owner::Workspace(workspace_id("nobody")), &rekey, &somebody()).await.unwrap());
    store.put_canary_if_absent(&under(1, "canary")).await.unwrap();
    assert!(
        !store.rekey(owner, &rekey, &somebody()).await.unwrap(),
        "the new data key is not under the master key in use"
    );
    assert_eq!(store.owners(&crate::Page { after: None, limit: 10 }).await.unwrap(), before);
    assert!(store.rekey(owner, &Rekey { data_key: under(1, "next"), ..rekey }, &somebody()).await.unwrap());
}

pub async fn a_data_key_goes_with_its_owner(Fresh { store, .. }: Fresh) {
    let acme = first_key(&*store, "acme", 1).await;
    let group = super::given::organization(&*store, "group").await;
    let of_group = pool_of(&group, "openai");
    store.add_key(&of_group, &new_key(1, DataKeyUse::New(under(1, "group"))), &somebody()).await.unwrap();
    assert_eq!(store.count_data_keys(&[1; 8]).await.unwrap(), 2);
    assert!(store.delete_workspace(&workspace_id("acme"), &somebody()).await.unwrap());
    assert_eq!(store.count_data_keys(&[1; 8]).await.unwrap(), 1);
    assert!(store.delete_organization(&super::given::organization_id("group"), &somebody()).await.unwrap());
    assert_eq!(store.master_keys().await.unwrap(), [[0; 0]; 0]);
    for owner in [&acme.owner, &group] {
        assert_eq!(store.data_key(owner).await.unwrap(), None);
    }
}
