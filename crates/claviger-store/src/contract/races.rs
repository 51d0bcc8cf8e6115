//! The same rules when everybody comes at once.

use std::collections::BTreeSet;

use claviger_core::Owner;
use claviger_core::owner::PoolId;
use futures_util::future::{join, join_all};

use super::Fresh;
use super::given::{
    add, add_number, belonging, data_key, fill, fingerprint, ids, key_id, new_key, organization, organization_id,
    owners, pool, pool_of, positions, read, replacement, somebody, workspace,
};
use crate::{AddKeyError, DataKeyUse, KeyRecord, NewKey, PutWorkspaceError, ReplaceKeyError, Store};

/// Counts what was added and what found the pool full, and checks that the pool holds exactly what was added.
async fn check_that_ten_are_left(store: &dyn Store, pool: &PoolId, added: Vec<Result<KeyRecord, AddKeyError>>) {
    let (added, refused): (Vec<_>, Vec<_>) = added.into_iter().partition(Result::is_ok);
    assert!(refused.iter().all(|refused| matches!(refused, Err(AddKeyError::PoolFull))), "{refused:?}");
    assert_eq!((added.len(), refused.len()), (10, 54));
    let added: BTreeSet<_> = added.into_iter().map(|added| added.unwrap().id).collect();
    assert_eq!(ids(store, pool).await.into_iter().collect::<BTreeSet<_>>(), added);
    assert_eq!(positions(store, pool).await, (1..=10).collect::<Vec<_>>());
}

pub async fn sixty_four_adds_at_once_leave_ten(Fresh { store, .. }: Fresh) {
    for owner in owners(&*store).await {
        let pool = pool_of(&owner, "openai");
        let adds = (1..=64).map(|number| add_number(&*store, &pool, number));
        check_that_ten_are_left(&*store, &pool, join_all(adds).await).await;
    }
}

pub async fn sixty_four_adds_of_two_processes_leave_ten(Fresh { store, other }: Fresh) {
    for owner in owners(&*store).await {
        let pool = pool_of(&owner, "openai");
        let adds = (1..=64).map(|number| {
            let store = if number % 2 == 0 { &*store } else { &*other };
            add_number(store, &pool, number)
        });
        check_that_ten_are_left(&*store, &pool, join_all(adds).await).await;
    }
}

pub async fn one_secret_added_at_once_is_stored_once(Fresh { store, other }: Fresh) {
    let pool = pool(&*store).await;
    let adds = (1..=16).map(|number| {
        let store = if number % 2 == 0 { &*store } else { &*other };
        let new = DataKeyUse::New(b"a data key".to_vec());
        add(store, &pool, NewKey { fingerprint: fingerprint(1), ..new_key(number, new) })
    });
    let (added, refused): (Vec<_>, Vec<_>) = join_all(adds).await.into_iter().partition(Result::is_ok);
    let [Ok(winner)] = added.as_slice() else { panic!("{added:?}") };
    for refused in refused {
        assert!(matches!(&refused, Err(AddKeyError::Duplicate(twin)) if *twin == winner.id), "{refused:?}");
    }
    assert_eq!(ids(&*store, &pool).await, std::slice::from_ref(&winner.id));
}

pub async fn of_two_first_adds_with_new_data_keys_one_wins(Fresh { store, other }: Fresh) {
    let pool = pool(&*store).await;
    let [one, two] = [(1, b"one"), (2, b"two")].map(|(n, data_key)| new_key(n, DataKeyUse::New(data_key.to_vec())));
    let (first, second) = join(store.add_key(&pool, &one, &somebody()), other.add_key(&pool, &two, &somebody())).await;
    let (won, lost, winner) =
        if first.is_ok() { (first, second, b"one".as_slice()) } else { (second, first, b"two".as_slice()) };
    assert!(matches!(lost, Err(AddKeyError::DataKeyChanged)), "{lost:?}");
    assert_eq!(data_key(&*store, &pool).await, winner);
    assert_eq!(ids(&*store, &pool).await, [won.unwrap().id]);
}

pub async fn adds_against_deletions_of_the_whole_pool_add_up(Fresh { store, other }: Fresh) {
    let pool = pool(&*store).await;
    let adds = join_all((1..=40).map(|number| add_number(&*store, &pool, number)));
    let act = somebody();
    let deletions = join_all((0..8).map(|_| other.delete_keys(&pool, &act)));
    let (added, deleted) = join(adds, deletions).await;

    for refused in added.iter().filter(|added| added.is_err()) {
        assert!(matches!(refused, Err(AddKeyError::PoolFull)), "{refused:?}");
    }
    let added = added.iter().filter(|added| added.is_ok()).count();
    let deleted: u64 = deleted.into_iter().map(Result::unwrap).sum();
    let left = positions(&*store, &pool).await;
    assert!(left.len() <= 10);
    assert_eq!(added, usize::try_from(deleted).unwrap() + left.len());
    // Every add took the next position, and none came twice.
    assert!(left.is_sorted_by(|earlier, later| earlier < later), "{left:?}");
    assert!(left.iter().all(|position| *position <= u64::try_from(added).unwrap()), "{left:?}");
}

pub async fn a_replacement_against_a_deletion_leaves_nothing(Fresh { store, other }: Fresh) {
    let pool = pool(&*store).await;
    for number in 1..=8 {
        fill(&*store, &pool, [number]).await;
        let replacement = replacement(100 + number, &data_key(&*store, &pool).await);
        let key = key_id(number);
        let (replaced, deleted) =
            join(store.replace_key(&pool, &key, &replacement, &somebody()), other.delete_key(&pool, &key, &somebody()))
                .await;
        assert!(matches!(replaced, Ok(_) | Err(ReplaceKeyError::NoKey)), "{replaced:?}");
        assert!(deleted.unwrap());
        assert!(ids(&*store, &pool).await.is_empty());
    }
}

async fn delete_owner(store: &dyn Store, owner: &Owner) -> bool {
    match owner {
        Owner::Workspace(id) => store.delete_workspace(id, &somebody()).await.unwrap(),
        Owner::Organization(id) => store.delete_organization(id, &somebody()).await.unwrap(),
        Owner::Platform => unreachable!("the platform always exists"),
    }
}

pub async fn adds_against_the_deletion_of_their_owner_leave_nothing(Fresh { store, other }: Fresh) {
    let [workspace, organization, _] = owners(&*store).await;
    for owner in [workspace, organization] {
        let pool = pool_of(&owner, "openai");
        fill(&*store, &pool, [1]).await;
        let sealed_with = DataKeyUse::Stored(data_key(&*store, &pool).await);
        let keys: Vec<_> = (2..=20).map(|number| new_key(number, sealed_with.clone())).collect();
        let act = somebody();
        let adds = join_all(keys.iter().map(|key| store.add_key(&pool, key, &act)));
        let (added, deleted) = join(adds, delete_owner(&*other, &owner)).await;
        for added in added {
            assert!(matches!(added, Ok(_) | Err(AddKeyError::NoOwner | AddKeyError::PoolFull)), "{added:?}");
        }
        assert!(deleted);
        let nothing = read(&*store, &pool).await;
        assert!(nothing.owner.is_none() && nothing.data_key.is_none() && nothing.keys.is_empty());
    }
}

pub async fn nobody_belongs_to_an_organization_that_is_deleted_meanwhile(Fresh { store, other }: Fresh) {
    for round in 1..=8 {
        organization(&*store, "group").await;
        // Half of them move in, half are made there.
        let ids: Vec<_> = (1..=12).map(|number| format!("workspace-{round}-{number}")).collect();
        for id in &ids[..6] {
            workspace(&*store, id).await;
        }
        let changes: Vec<_> = ids.iter().map(|id| belonging(id, Some("group"))).collect();
        let group = organization_id("group");
        let act = somebody();
        let puts = join_all(changes.iter().map(|change| store.put_workspace(change, &act)));
        let (put, deleted) = join(puts, other.delete_organization(&group, &somebody())).await;
        assert!(deleted.unwrap());
        for (change, put) in changes.iter().zip(put) {
            assert!(matches!(put, Ok(_) | Err(PutWorkspaceError::NoOrganization)), "{put:?}");
            let left = store.workspace(&change.id).await.unwrap();
            assert_eq!(left.and_then(|workspace| workspace.organization_id), None, "{}", change.id);
        }
        assert_eq!(store.organization(&group).await.unwrap(), None);
    }
}
