//! Another master key comes into use beside running apps, and owners get new data keys.

use std::cell::Cell;

use claviger_app::keyring::LeaseError;
use claviger_app::master_keys::{KeyStatus, NotReady, RotateError, Standing, Status, status};
use claviger_app::rekeying::RekeyError;
use claviger_app::webhooks::CreateWebhook;
use claviger_app::{Page, StartError};
use claviger_core::owner::PoolId;
use claviger_core::{KeyId, Owner, ProviderId, WorkspaceId};
use claviger_seal::{MasterKey, MasterKeys, WebhookPlace};
use claviger_store::contract::replace_canary;
use claviger_store::{NodesWithoutIt, OwnerCopy};
use claviger_testkit::{TestApp, answered, put_key, random_secret};
use futures_util::future::{Either, join, join_all, select};

const WAIT: NodesWithoutIt = NodesWithoutIt::Wait;
const WEBHOOK: &str = "https://example.com/hook";

fn new_master_key() -> (MasterKey, MasterKey) {
    let text = MasterKey::generate().unwrap();
    (MasterKey::parse(&text).unwrap(), MasterKey::parse(&text).unwrap())
}

fn openai() -> ProviderId {
    "openai".parse().unwrap()
}

async fn lease(test: &TestApp, workspace: &WorkspaceId) -> Result<KeyId, LeaseError> {
    let (_secret, lease) = test.app.keyring.lease(workspace, &openai()).await?;
    let id = lease.key_id().clone();
    lease.end(answered(200));
    Ok(id)
}

/// Workspaces with a key each, and an app that holds the master key in use and the next one, which it wants.
struct Scene {
    /// An app that holds the first master key alone.
    test: TestApp,
    next: TestApp,
    /// The next master key.
    wanted: MasterKey,
    workspaces: Vec<(WorkspaceId, KeyId)>,
}

impl Scene {
    async fn new(workspaces: usize) -> Self {
        let made = TestApp::new().await;
        let (wanted, too) = new_master_key();
        let (third, _) = new_master_key();
        // As every node has it by now: both keys, and one that nothing needs.
        let keys = MasterKeys::new(too, [third, made.master_key()]);
        let next = made.beside_with_master_keys(keys).await.unwrap();
        let test = made;
        let mut scene = Self { test, next, wanted, workspaces: Vec::new() };
        for number in 0..workspaces {
            let id = scene.test.workspace(&format!("w{number:03}")).await;
            let key = scene.test.key(&id, "openai").await.id;
            scene.workspaces.push((id, key));
        }
        scene
    }

    async fn left(&self) -> u64 {
        let keys = MasterKeys::new(self.test.master_key(), []);
        status(&*self.test.store, &keys).await.unwrap().left()
    }

    async fn assert_all_lease(&self, test: &TestApp) {
        for (workspace, key) in &self.workspaces {
            assert_eq!(lease(test, workspace).await.unwrap(), *key);
        }
    }
}

async fn rotate(test: &TestApp) -> u64 {
    test.app.rotate_master_key(WAIT, |_| {}).await.unwrap().resealed
}

#[tokio::test]
async fn a_rotation_seals_every_data_key_anew_and_every_key_goes_on_serving() {
    let mut scene = Scene::new(5).await;
    let group = scene.test.organization("group", true).await;
    scene.test.key_of(Owner::Organization(group), "openai").await;
    scene.test.key_of(Owner::Platform, "openai").await;
    assert_eq!(scene.left().await, 0);
    scene.assert_all_lease(&scene.next).await;

    let seen = Cell::new((0, 0));
    let rotated =
        scene.next.app.rotate_master_key(WAIT, |progress| seen.set((progress.done, progress.all))).await.unwrap();
    assert_eq!((rotated.in_use, rotated.was), (scene.wanted.id(), Some(scene.test.master_key().id())));
    assert_eq!((rotated.resealed, seen.get()), (7, (7, 7)));
    assert_eq!(scene.left().await, 0);
    scene.assert_all_lease(&scene.next).await;
    // Its first key, and so its data key.
    let late = scene.next.workspace("late").await;
    let key = scene.next.key(&late, "openai").await.id;
    scene.workspaces.push((late, key));

    let Scene { test, next, wanted, workspaces } = scene;
    let id = test.master_key().id();
    let old = KeyStatus { id, is_in_use: false, is_given: true, is_wanted: true, data_keys: 0 };
    let new = KeyStatus { id: wanted.id(), is_in_use: true, is_given: false, is_wanted: false, data_keys: 8 };
    let found = status(&*test.store, &MasterKeys::new(test.master_key(), [])).await.unwrap();
    assert_eq!(found, Status { keys: vec![new, old], damaged: 0, nodes: Vec::new() });
    assert!(!old.is_needed() && new.is_needed());
    assert_eq!([new, old].map(|key| key.standing()), [Standing::InUse, Standing::Next]);
    let withdrawn = KeyStatus { is_wanted: false, ..old };
    assert_eq!(withdrawn.standing(), Standing::CanBeWithdrawn);
    assert_eq!(KeyStatus { data_keys: 1, ..withdrawn }.standing(), Standing::StillNeeded);
    let again = next.app.rotate_master_key(WAIT, |_| {}).await.unwrap();
    assert_eq!((again.was, again.resealed), (None, 0));

    // The old one is withdrawn.
    let refused = test.beside_with_master_keys(test.master_key().into()).await;
    assert!(matches!(refused, Err(StartError::OtherMasterKey { .. })), "{refused:?}");
    let alone = test.beside_with_master_keys(wanted.into()).await.unwrap();
    for (workspace, key) in &workspaces {
        assert_eq!(lease(&alone, workspace).await.unwrap(), *key);
    }
}

#[tokio::test]
async fn a_node_with_the_next_master_key_alone_does_not_start_before_the_rotation() {
    let scene = Scene::new(1).await;
    let (old, new) = (scene.test.master_key().id(), scene.wanted.id());
    let refused = scene.test.beside_with_master_keys(scene.wanted.into()).await.unwrap_err();
    let text = refused.to_string();
    assert!(text.contains(&old.to_string()) && text.contains(&new.to_string()), "{text}");
    assert!(text.contains("vault.old_master_keys"), "{text}");
    assert_eq!(rotate(&scene.next).await, 1, "it changed nothing");
}

#[tokio::test]
async fn a_master_key_that_is_withdrawn_too_early_stops_the_start() {
    let scene = Scene::new(3).await;
    let canary = scene.test.store.canary().await.unwrap().unwrap();
    assert!(replace_canary(&*scene.test.store, &canary, &scene.wanted.seal_canary().unwrap()).await);
    assert_eq!(scene.left().await, 3);
    let old = scene.test.master_key().id();
    let refused = scene.test.beside_with_master_keys(scene.wanted.into()).await.unwrap_err();
    assert!(matches!(refused, StartError::WithdrawnTooEarly { missing, data_keys: 3 } if missing == old), "{refused}");
    assert_eq!(rotate(&scene.next).await, 3, "and goes on where the rotation was broken off");
}

#[tokio::test]
async fn a_rotation_that_is_dropped_anywhere_goes_on_when_it_is_begun_again() {
    let scene = Scene::new(40).await;
    let mut done = 0;
    for stop_at in [0, 1, 3, 5] {
        let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
        let stop = Cell::new(Some(stop));
        let sealed = Cell::new(0);
        let rotating = scene.next.app.rotate_master_key(WAIT, |progress| {
            sealed.set(progress.done);
            if progress.done == stop_at {
                drop(stop.take());
            }
        });
        match select(Box::pin(stopped), Box::pin(rotating)).await {
            Either::Left(_) => {}
            Either::Right((ended, _)) => panic!("it was to be dropped: {ended:?}"),
        }
        done += sealed.get();
        scene.assert_all_lease(&scene.next).await;
    }
    let left = scene.left().await;
    assert!((1..40).contains(&left), "{left}");
    assert_eq!(rotate(&scene.next).await, left);
    assert!(done + left >= 40, "each is sealed anew");
    assert_eq!(scene.left().await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn first_keys_that_come_during_a_rotation_are_under_the_new_master_key_at_its_end() {
    let scene = Scene::new(10).await;
    let next = &scene.next;
    let adding = async {
        let mut added = Vec::new();
        for number in 0..20 {
            let workspace = next.workspace(&format!("late{number}")).await;
            let keys = join_all((0..3).map(|_| next.key(&workspace, "openai"))).await;
            added.push((workspace, keys.len()));
        }
        added
    };
    let (added, resealed) = join(adding, rotate(next)).await;
    assert!(resealed >= 10);
    assert_eq!(scene.left().await, 0);
    assert_eq!(rotate(next).await, 0);
    for (workspace, keys) in added {
        assert_eq!(keys, 3);
        assert!(lease(next, &workspace).await.is_ok());
    }
    let alone = scene.test.beside_with_master_keys(scene.wanted.into()).await.unwrap();
    for (workspace, key) in &scene.workspaces {
        assert_eq!(lease(&alone, workspace).await.unwrap(), *key);
    }
}

#[tokio::test]
async fn two_rotations_at_once_do_each_data_key_once() {
    let scene = Scene::new(12).await;
    let (one, two) = join(rotate(&scene.next), rotate(&scene.next)).await;
    assert_eq!(one + two, 12);
    assert_eq!(scene.left().await, 0);
}

#[tokio::test]
async fn a_rotation_to_a_third_master_key_ends_the_one_before() {
    let scene = Scene::new(40).await;
    let (third, _) = new_master_key();
    let third_id = third.id();
    let keys = MasterKeys::new(third, [scene.wanted, scene.test.master_key()]);
    let other = scene.test.beside_with_master_keys(keys).await.unwrap();
    let (begun, other) = (Cell::new(false), &other);
    let (told, telling) = tokio::sync::oneshot::channel::<()>();
    let told = Cell::new(Some(told));
    let first = scene.next.app.rotate_master_key(WAIT, |progress| {
        if progress.done == 3 && !begun.replace(true) {
            drop(told.take());
        }
    });
    let second = async {
        let _ = telling.await;
        rotate(other).await
    };
    let (first, second) = join(first, second).await;
    assert!(matches!(first, Err(RotateError::Overtaken(id)) if id == third_id), "{first:?}");
    assert_eq!(second, 40);
    let found = status(&*scene.test.store, &MasterKeys::new(scene.test.master_key(), [])).await.unwrap();
    assert_eq!((found.left(), found.keys[0].id), (0, third_id));
}

/// Alters an owner's stored data key as a broken disk would.
async fn damage(test: &TestApp, owner: &Owner, byte: usize) {
    let mut owners = test.store.owners(&Page { after: None, limit: 1_000 }).await.unwrap();
    let found = owners.iter_mut().find(|found| found.owner == *owner).unwrap();
    found.data_key.as_mut().unwrap().sealed[byte] ^= 1;
    let damaged: OwnerCopy = found.clone();
    test.store.put_owners(&[damaged]).await.unwrap();
}

#[tokio::test]
async fn a_damaged_data_key_keeps_no_other_from_being_sealed_anew() {
    let scene = Scene::new(4).await;
    let broken = Owner::Workspace(scene.workspaces[1].0.clone());
    damage(&scene.test, &broken, 40).await;
    let ended = scene.next.app.rotate_master_key(WAIT, |_| {}).await;
    assert!(matches!(&ended, Err(RotateError::Unreadable { count: 1, first }) if *first == broken), "{ended:?}");
    assert_eq!(scene.left().await, 1);
    assert_eq!(lease(&scene.next, &scene.workspaces[2].0).await.unwrap(), scene.workspaces[2].1);
}

#[tokio::test]
async fn a_data_key_that_names_an_unknown_master_key_is_damage_and_no_reason_not_to_start() {
    let scene = Scene::new(2).await;
    let (broken, sound) = (scene.workspaces[0].0.clone(), &scene.workspaces[1]);
    damage(&scene.test, &Owner::Workspace(broken.clone()), 5).await;
    let started = scene.test.beside().await;
    assert!(matches!(lease(&started, &broken).await, Err(LeaseError::PoolUnreadable)));
    assert_eq!(lease(&started, &sound.0).await.unwrap(), sound.1);
    let found = status(&*scene.test.store, &scene.test.master_key().into()).await.unwrap();
    assert_eq!((found.damaged, found.keys.len()), (1, 1));
}

#[tokio::test]
async fn a_node_without_the_master_key_in_use_is_not_ready_and_calls_nobodys_keys_unreadable() {
    let scene = Scene::new(2).await;
    let Scene { test, next, workspaces, .. } = &scene;
    assert_eq!(rotate(next).await, 2);
    let beside = test.app.ready().await;
    assert!(matches!(beside, Err(NotReady::MasterKey(_))), "{beside:?}");
    next.app.ready().await.unwrap();

    let (workspace, key) = &workspaces[0];
    assert!(matches!(lease(test, workspace).await, Err(LeaseError::PoolUnreadable)));
    let pool = PoolId { owner: Owner::Workspace(workspace.clone()), provider: openai() };
    assert!(!test.store.pool(&pool).await.unwrap().keys[0].unreadable);
    assert_eq!(lease(next, workspace).await.unwrap(), *key);
    let new = test.workspace("new").await;
    let refused = test.app.keys.add(&test.manage_keys(&new), put_key("openai", &random_secret())).await;
    assert!(refused.is_err(), "nothing is sealed under a master key that is not in use");
}

#[tokio::test]
async fn no_master_key_comes_into_use_that_a_running_node_lacks() {
    let scene = Scene::new(2).await;
    let Scene { test, next, wanted, .. } = &scene;
    let (with_both, old_alone) = (next.app.join("both".to_owned()), test.app.join("old alone".to_owned()));
    let (with_both, old_alone) = (with_both.await.unwrap(), old_alone.await.unwrap());
    let refused = next.app.rotate_master_key(WAIT, |_| panic!("nothing is to be done")).await.unwrap_err();
    assert!(
        matches!(&refused, RotateError::NodesLackIt { wanted: id, nodes } if *id == wanted.id() && nodes.0.len() == 1)
    );
    let text = refused.to_string();
    assert!(text.contains("node old alone (seen 0 s ago) does not have it yet"), "{text}");
    test.app.ready().await.unwrap();
    let found = status(&*test.store, &test.master_key().into()).await.unwrap();
    assert_eq!(found.nodes.iter().map(|node| node.node.name.as_str()).collect::<Vec<_>>(), ["both", "old alone"]);

    old_alone.leave().await.unwrap();
    assert_eq!(rotate(next).await, 2);
    let late = test.app.join("too late".to_owned()).await;
    assert!(matches!(late, Err(StartError::OtherMasterKey { .. })), "{late:?}");
    with_both.renew().await.unwrap();
    let nodes = test.store.nodes().await.unwrap();
    assert_eq!(nodes.iter().map(|node| node.node.name.as_str()).collect::<Vec<_>>(), ["both"]);
}

#[tokio::test]
async fn a_node_without_the_new_master_key_is_left_behind_only_where_that_is_asked_for() {
    let scene = Scene::new(1).await;
    let _old_alone = scene.test.app.join("old alone".to_owned()).await.unwrap();
    scene.next.app.rotate_master_key(NodesWithoutIt::LeaveBehind, |_| {}).await.unwrap();
    assert!(matches!(scene.test.app.ready().await, Err(NotReady::MasterKey(_))));
    // What is in use already waits for nobody.
    assert_eq!(rotate(&scene.next).await, 0);
}

#[tokio::test]
async fn a_new_data_key_opens_everything_and_the_old_one_nothing() {
    let scene = Scene::new(1).await;
    let Scene { test, workspaces, .. } = &scene;
    let (workspace, first) = &workspaces[0];
    let second = test.key(workspace, "openai").await.id;
    test.key(workspace, "exa").await;
    let permit = test.manage_keys(workspace);
    let create = CreateWebhook { url: WEBHOOK.to_owned(), events: std::collections::BTreeSet::new() };
    let (secret, webhook) = test.app.webhooks.create(&permit, &create).await.unwrap();
    let secret_of_key = random_secret();
    test.app.keys.add(&permit, put_key("jina", &secret_of_key)).await.unwrap();
    assert_eq!(lease(test, workspace).await.unwrap(), *first);
    let owner = Owner::Workspace(workspace.clone());
    let before = (test.store.data_key(&owner).await.unwrap().unwrap(), test.store.keys(&owner).await.unwrap());
    let beside = test.beside().await;
    assert_eq!(lease(&beside, workspace).await.unwrap(), *first);

    let done = test.app.rekeying.rekey(&permit).await.unwrap();
    assert_eq!((done.keys, done.webhooks, done.generation), (4, 1, 2));
    let after = test.store.data_key(&owner).await.unwrap().unwrap();
    assert_eq!(test.store.keys(&owner).await.unwrap(), before.1);
    for test in [test, &beside] {
        assert_eq!(lease(test, workspace).await.unwrap(), second, "rotation stands where it stood");
    }
    let master = test.master_key();
    let [old, new] = [&before.0, &after].map(|sealed| master.open_data_key(&owner, sealed).unwrap());
    let stored = test.store.webhooks(workspace).await.unwrap().remove(0);
    let place = WebhookPlace { webhook: &webhook.id };
    assert!(old.open_webhook(place, &stored.sealed).is_err());
    let opened = new.open_webhook(place, &stored.sealed).unwrap();
    assert_eq!(opened.sign("msg", 1, b"{}"), secret.sign("msg", 1, b"{}"));
    // Duplicates are told by the new fingerprints.
    let twin = test.app.keys.add(&permit, put_key("jina", &secret_of_key)).await;
    assert!(twin.is_err(), "{twin:?}");
    assert_eq!(test.app.rekeying.rekey(&permit).await.unwrap().generation, 3);
}

#[tokio::test]
async fn organizations_and_the_platform_get_new_data_keys_and_who_has_none_does_not() {
    let test = TestApp::new().await;
    let group = Owner::Organization(test.organization("group", true).await);
    for owner in [group, Owner::Platform] {
        let permit = test.manage_keys_of(owner.clone());
        let none = test.app.rekeying.rekey(&permit).await;
        assert!(matches!(&none, Err(RekeyError::NoDataKey(of)) if *of == owner), "{none:?}");
        test.key_of(owner, "openai").await;
        assert_eq!(test.app.rekeying.rekey(&permit).await.unwrap().keys, 1);
    }
    let nobody = test.app.rekeying.rekey(&test.manage_keys(&"nobody".parse().unwrap())).await;
    assert!(matches!(nobody, Err(RekeyError::NoOwner(_))), "{nobody:?}");
}

#[tokio::test]
async fn a_key_that_does_not_open_stops_a_new_data_key_before_anything_is_changed() {
    let scene = Scene::new(1).await;
    let Scene { test, workspaces, .. } = &scene;
    let (workspace, key) = &workspaces[0];
    let all = Page { after: None, limit: 10 };
    let mut owners = test.store.owners(&all).await.unwrap();
    let found = owners.iter_mut().find(|found| !found.pools.is_empty()).unwrap();
    *found.pools[0].keys[0].sealed.last_mut().unwrap() ^= 1;
    test.store.put_owners(&owners).await.unwrap();
    let refused = test.app.rekeying.rekey(&test.manage_keys(workspace)).await;
    assert!(matches!(&refused, Err(RekeyError::UnreadableKey(id, _)) if id == key), "{refused:?}");
    assert_eq!(test.store.owners(&all).await.unwrap(), owners);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_that_come_while_data_keys_change_all_open() {
    let scene = Scene::new(1).await;
    let Scene { test, next, workspaces, .. } = &scene;
    let workspace = &workspaces[0].0;
    let adding = async {
        for provider in ["exa", "jina", "cohere", "mistral"] {
            join_all((0..5).map(|_| next.key(workspace, provider))).await;
        }
    };
    let rekeying = async {
        let permit = next.manage_keys(workspace);
        let mut done = 0;
        for _ in 0..8 {
            match next.app.rekeying.rekey(&permit).await {
                Ok(_) => done += 1,
                Err(RekeyError::Busy(_)) => {}
                Err(error) => panic!("{error}"),
            }
        }
        done
    };
    let ((), rekeyed) = join(adding, async { join(rekeying, rotate(next)).await.0 }).await;
    assert!(rekeyed > 0);
    let owner = Owner::Workspace(workspace.clone());
    assert_eq!(test.store.keys(&owner).await.unwrap().len(), 21);
    // Opens every one of them.
    let done = next.app.rekeying.rekey(&next.manage_keys(workspace)).await.unwrap();
    assert_eq!(done.keys, 21);
    assert_eq!(scene.left().await, 0);
}
