//! Rotation over a real store: what leases see of keys that come, go, and do not open.
#![expect(clippy::disallowed_methods, reason = "every test waits for the tasks it spawns")]

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use claviger_app::keyring::LeaseError;
use claviger_core::owner::PoolId;
use claviger_core::{KeyId, Owner, ProviderId, WorkspaceId};
use claviger_testkit::{TestApp, answered, put_key, random_secret, somebody};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

fn openai() -> ProviderId {
    "openai".parse().unwrap()
}

async fn lease(test: &TestApp, workspace: &WorkspaceId) -> Result<KeyId, LeaseError> {
    let (_secret, lease) = test.app.keyring.lease(workspace, &openai()).await?;
    let id = lease.key_id().clone();
    lease.end(answered(200));
    Ok(id)
}

/// Damages a key's sealed secret where it is stored, as a broken disk or a hand in the database would.
async fn damage(test: &TestApp, workspace: &WorkspaceId, key: &KeyId) {
    let pool = PoolId { owner: Owner::Workspace(workspace.clone()), provider: openai() };
    let record = test.store.pool(&pool).await.unwrap();
    let stored = record.keys.iter().find(|stored| stored.id == *key).unwrap();
    let mut sealed = stored.sealed.clone();
    *sealed.last_mut().unwrap() ^= 1;
    let mut fingerprint = stored.fingerprint;
    fingerprint[0] ^= 1;
    let replacement = claviger_app::KeyReplacement {
        name: None,
        masked: "damaged".to_owned(),
        sealed,
        fingerprint,
        domain: None,
        at: claviger_core::Timestamp::from_millis(0),
        data_key: record.data_key.unwrap(),
    };
    test.store.replace_key(&pool, key, &replacement, &somebody()).await.unwrap();
    // The change went past the use cases, as another process's would; the feed would tell of it.
    let permit = test.manage_keys(workspace);
    test.app.keys.change(&permit, key, None, Some(true)).await.unwrap();
}

#[tokio::test]
async fn leases_follow_creation_order_and_wrap() {
    let test = TestApp::new().await;
    let workspace = test.workspace("w").await;
    let mut keys = Vec::new();
    for _ in 0..3 {
        keys.push(test.key(&workspace, "openai").await.id);
    }
    for turn in 0..7 {
        assert_eq!(lease(&test, &workspace).await.unwrap(), keys[turn % 3]);
    }
}

#[tokio::test]
async fn pools_are_independent() {
    let test = TestApp::new().await;
    let (one, two) = (test.workspace("one").await, test.workspace("two").await);
    let first = test.key(&one, "openai").await.id;
    let _ = test.key(&one, "openai").await;
    let other = test.key(&two, "openai").await.id;
    assert_eq!(lease(&test, &one).await.unwrap(), first);
    assert_eq!(lease(&test, &two).await.unwrap(), other);
    assert_eq!(lease(&test, &two).await.unwrap(), other);
}

#[tokio::test]
async fn the_leased_secret_is_the_one_that_was_stored() {
    let test = TestApp::new().await;
    let workspace = test.workspace("w").await;
    let secret = random_secret();
    test.app.keys.add(&test.manage_keys(&workspace), put_key("openai", &secret)).await.unwrap();
    let (leased, _lease) = test.app.keyring.lease(&workspace, &openai()).await.unwrap();
    assert_eq!(leased.expose_to_provider(), secret.as_bytes());
}

#[tokio::test]
async fn a_key_that_is_added_deleted_or_switched_counts_from_the_next_lease() {
    let test = TestApp::new().await;
    let workspace = test.workspace("w").await;
    assert!(matches!(lease(&test, &workspace).await, Err(LeaseError::NoKey)));
    let one = test.key(&workspace, "openai").await.id;
    let two = test.key(&workspace, "openai").await.id;
    assert_eq!(lease(&test, &workspace).await.unwrap(), one);
    let permit = test.manage_keys(&workspace);
    test.app.keys.change(&permit, &two, None, Some(false)).await.unwrap();
    assert_eq!(lease(&test, &workspace).await.unwrap(), one);
    test.app.keys.change(&permit, &two, None, Some(true)).await.unwrap();
    assert_eq!(lease(&test, &workspace).await.unwrap(), two);
    test.app.keys.delete(&permit, &openai(), &one).await.unwrap();
    assert_eq!(lease(&test, &workspace).await.unwrap(), two);
    test.app.keys.change(&permit, &two, None, Some(false)).await.unwrap();
    assert!(matches!(lease(&test, &workspace).await, Err(LeaseError::NoKey)));
}

#[tokio::test]
async fn a_workspace_that_does_not_exist_has_no_lease() {
    let test = TestApp::new().await;
    let unknown: WorkspaceId = "unknown".parse().unwrap();
    assert!(matches!(lease(&test, &unknown).await, Err(LeaseError::NoWorkspace)));
    test.workspace("unknown").await;
    assert!(matches!(lease(&test, &unknown).await, Err(LeaseError::NoKey)));
}

#[tokio::test]
async fn a_key_that_does_not_open_is_passed_over_and_marked_and_the_others_share_its_turns() {
    let test = TestApp::new().await;
    let workspace = test.workspace("w").await;
    let mut keys = Vec::new();
    for _ in 0..4 {
        keys.push(test.key(&workspace, "openai").await.id);
    }
    damage(&test, &workspace, &keys[1]).await;
    let mut counts: HashMap<KeyId, usize> = HashMap::new();
    for _ in 0..30 {
        *counts.entry(lease(&test, &workspace).await.unwrap()).or_default() += 1;
    }
    assert_eq!(counts.len(), 3);
    assert!(counts.values().all(|count| *count == 10), "{counts:?}");
    let listed = test.store.keys(&Owner::Workspace(workspace.clone())).await.unwrap();
    let statuses: Vec<_> = listed.iter().map(|key| key.status.as_str()).collect();
    assert_eq!(statuses, ["active", "unreadable", "active", "active"]);

    // Entering it again brings it back, in its old place.
    let permit = test.manage_keys(&workspace);
    test.app.keys.replace(&permit, &keys[1], put_key("openai", &random_secret())).await.unwrap();
    let mut served = Vec::new();
    for _ in 0..8 {
        served.push(lease(&test, &workspace).await.unwrap());
    }
    let start = keys.iter().position(|key| *key == served[0]).unwrap();
    let order: Vec<_> = keys.iter().cycle().skip(start).take(8).cloned().collect();
    assert_eq!(served, order);
}

#[tokio::test]
async fn a_pool_of_which_no_key_opens_is_unreadable_and_nobody_elses_key_serves() {
    let test = TestApp::new().await;
    let workspace = test.workspace("w").await;
    let key = test.key(&workspace, "openai").await.id;
    let other = test.workspace("other").await;
    test.key(&other, "openai").await;
    damage(&test, &workspace, &key).await;
    assert!(matches!(lease(&test, &workspace).await, Err(LeaseError::PoolUnreadable)));
}

#[tokio::test]
async fn a_wrong_master_key_stops_the_start_and_changes_nothing() {
    let test = TestApp::new().await;
    let workspace = test.workspace("w").await;
    let key = test.key(&workspace, "openai").await.id;
    let refusal = test.beside_with_other_master_key().await.unwrap_err();
    assert!(refusal.to_string().contains("the master key is not the one"), "{refusal}");
    assert_eq!(lease(&test.beside().await, &workspace).await.unwrap(), key);
}

#[tokio::test]
async fn changes_of_another_process_are_heard() {
    let test = TestApp::new().await;
    let workspace = test.workspace("w").await;
    let one = test.key(&workspace, "openai").await.id;
    let beside = test.beside().await;
    let watching = Arc::clone(&beside.app);
    let watch = tokio::spawn(async move { watching.watch().await });
    assert_eq!(lease(&beside, &workspace).await.unwrap(), one);
    let two = test.key(&workspace, "openai").await.id;
    // The feed tells of it soon; until then the old pool may serve.
    while lease(&beside, &workspace).await.unwrap() != two {
        tokio::task::yield_now().await;
    }
    watch.abort();
}

#[tokio::test]
async fn uses_are_written_and_shown_before_that() {
    let test = TestApp::new().await;
    let workspace = test.workspace("w").await;
    test.key(&workspace, "openai").await;
    lease(&test, &workspace).await.unwrap();
    let owner = Owner::Workspace(workspace.clone());
    assert_eq!(test.store.keys(&owner).await.unwrap()[0].last_used_at, None);
    let permit = claviger_app::access::Principal::operator().permit_on(owner.clone(), None).unwrap();
    let listed = test.app.keys.list(&permit).await.unwrap();
    assert!(listed[0].record.last_used_at.is_some());
    test.app.keyring.write_uses().await.unwrap();
    assert_eq!(test.store.keys(&owner).await.unwrap()[0].last_used_at, listed[0].record.last_used_at);
}

/// What threads do to a pool while others lease from it.
#[derive(Clone, Debug)]
enum Change {
    Add,
    Delete(usize),
    Toggle(usize),
}

fn changes() -> impl Strategy<Value = Vec<Change>> {
    let change =
        prop_oneof![Just(Change::Add), (0_usize..8).prop_map(Change::Delete), (0_usize..8).prop_map(Change::Toggle),];
    prop::collection::vec(change, 1..20)
}

/// Over any sequence of adds, deletes and toggles, with leases from several threads all the while: keys that were
/// usable throughout have counts that differ by at most one.
#[test]
fn keys_that_stay_share_the_turns_evenly_whatever_happens_to_the_others() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(4).enable_all().build().unwrap();
    let mut runner = TestRunner::new(Config { cases: 12, failure_persistence: None, ..Config::default() });
    let run = runner.run(&(changes(), 1_usize..4), |(changes, staying)| {
        runtime.block_on(disturbed(changes, staying)).map_err(TestCaseError::fail)
    });
    run.unwrap();
}

async fn disturbed(changes: Vec<Change>, staying: usize) -> Result<(), String> {
    let test = Arc::new(TestApp::new().await);
    let workspace = test.workspace("w").await;
    let mut stay = Vec::new();
    for _ in 0..staying {
        stay.push(test.key(&workspace, "openai").await.id);
    }
    let done = Arc::new(AtomicBool::new(false));
    let lessees: Vec<_> = (0..3)
        .map(|_| {
            let (test, workspace, done) = (Arc::clone(&test), workspace.clone(), Arc::clone(&done));
            tokio::spawn(async move {
                let mut counts: HashMap<KeyId, usize> = HashMap::new();
                while !done.load(Ordering::Relaxed) {
                    *counts.entry(lease(&test, &workspace).await.unwrap()).or_default() += 1;
                    tokio::task::yield_now().await;
                }
                counts
            })
        })
        .collect();
    disturb(&test, &workspace, changes).await;
    done.store(true, Ordering::Relaxed);
    let mut counts: HashMap<KeyId, usize> = HashMap::new();
    for lessee in lessees {
        for (key, count) in lessee.await.unwrap() {
            *counts.entry(key).or_default() += count;
        }
    }
    let of_stayers = || stay.iter().map(|key| counts.get(key).copied().unwrap_or_default());
    let (most, least) = (of_stayers().max().unwrap_or_default(), of_stayers().min().unwrap_or_default());
    if most - least <= 1 { Ok(()) } else { Err(format!("{counts:?} of {stay:?}")) }
}

async fn disturb(test: &TestApp, workspace: &WorkspaceId, changes: Vec<Change>) {
    let permit = test.manage_keys(workspace);
    let mut others: Vec<(KeyId, bool)> = Vec::new();
    for change in changes {
        match change {
            Change::Add if others.len() < 6 => others.push((test.key(workspace, "openai").await.id, true)),
            Change::Delete(at) if at < others.len() => {
                let (key, _) = others.remove(at);
                test.app.keys.delete(&permit, &openai(), &key).await.unwrap();
            }
            Change::Toggle(at) if at < others.len() => {
                let (key, on) = &mut others[at];
                *on = !*on;
                test.app.keys.change(&permit, key, None, Some(*on)).await.unwrap();
            }
            Change::Add | Change::Delete(_) | Change::Toggle(_) => {}
        }
    }
}
