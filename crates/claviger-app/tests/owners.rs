//! Whose keys serve: the workspace's own, its organization's, or the operator's.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use claviger_app::coordination::{Coordination, SharedTurn, SharingCounts};
use claviger_app::keyring::{LeaseError, PlatformKey, Rotation};
use claviger_app::keys::PutKeyError;
use claviger_core::owner::PoolId;
use claviger_core::pool::Position;
use claviger_core::{KeyId, KeySecret, OrganizationId, Owner, ProviderId, Scope, WorkspaceId};
use claviger_testkit::{TestApp, TestSettings, answered, put_key, random_secret};
use zeroize::Zeroizing;

fn openai() -> ProviderId {
    "openai".parse().unwrap()
}

async fn lease(test: &TestApp, workspace: &WorkspaceId) -> Result<(Scope, KeyId), LeaseError> {
    let (_secret, lease) = test.app.keyring.lease(workspace, &openai()).await?;
    let leased = (lease.scope(), lease.key_id().clone());
    lease.end(answered(200));
    Ok(leased)
}

fn rotation(platform_fallback: bool) -> Rotation {
    Rotation { coordination: None, random_start: false, platform_fallback }
}

async fn test_app(platform_fallback: bool) -> TestApp {
    TestApp::with(TestSettings { rotation: rotation(platform_fallback), ..TestSettings::default() }).await
}

fn of(organization: &OrganizationId) -> Owner {
    Owner::Organization(organization.clone())
}

/// A workspace of an organization.
async fn member(test: &TestApp, id: &str, organization: &OrganizationId) -> WorkspaceId {
    let workspace = test.workspace(id).await;
    test.move_workspace(&workspace, Some(organization)).await;
    workspace
}

#[tokio::test]
async fn a_workspace_without_keys_inherits_and_with_its_first_key_it_does_not() {
    let test = test_app(false).await;
    let organization = test.organization("org", true).await;
    let workspace = member(&test, "w", &organization).await;
    assert!(matches!(lease(&test, &workspace).await, Err(LeaseError::NoKey)));
    let lent = test.key_of(of(&organization), "openai").await.id;
    assert_eq!(lease(&test, &workspace).await.unwrap(), (Scope::Organization, lent.clone()));
    let own = test.key(&workspace, "openai").await.id;
    assert_eq!(lease(&test, &workspace).await.unwrap(), (Scope::Workspace, own.clone()));
    test.app.keys.delete(&test.manage_keys(&workspace), &openai(), &own).await.unwrap();
    assert_eq!(lease(&test, &workspace).await.unwrap(), (Scope::Organization, lent));
}

#[tokio::test]
async fn a_pool_that_has_keys_never_falls_through() {
    let test = test_app(true).await;
    let organization = test.organization("org", true).await;
    let workspace = member(&test, "w", &organization).await;
    test.key_of(Owner::Platform, "openai").await;
    // The organization's only key is off: nobody's platform key takes its place.
    let lent = test.key_of(of(&organization), "openai").await.id;
    test.app.keys.change(&test.manage_keys_of(of(&organization)), &lent, None, Some(false)).await.unwrap();
    assert!(matches!(lease(&test, &workspace).await, Err(LeaseError::NoKey)));
    // So with the workspace's own, while the organization could serve.
    test.app.keys.change(&test.manage_keys_of(of(&organization)), &lent, None, Some(true)).await.unwrap();
    let own = test.key(&workspace, "openai").await.id;
    test.app.keys.change(&test.manage_keys(&workspace), &own, None, Some(false)).await.unwrap();
    assert!(matches!(lease(&test, &workspace).await, Err(LeaseError::NoKey)));
}

#[tokio::test]
async fn workspaces_that_inherit_share_the_organizations_cursor() {
    let test = test_app(false).await;
    let organization = test.organization("org", true).await;
    let mut keys = Vec::new();
    for _ in 0..3 {
        keys.push(test.key_of(of(&organization), "openai").await.id);
    }
    let mut workspaces = Vec::new();
    for id in ["a", "b"] {
        workspaces.push(member(&test, id, &organization).await);
    }
    for turn in 0..9 {
        assert_eq!(lease(&test, &workspaces[turn % 2]).await.unwrap().1, keys[turn % 3], "turn {turn}");
    }
}

#[tokio::test]
async fn an_organization_that_is_switched_off_neither_lends_nor_moves_its_cursor() {
    let test = test_app(true).await;
    let organization = test.organization("org", true).await;
    let workspace = member(&test, "w", &organization).await;
    let mut keys = Vec::new();
    for _ in 0..3 {
        keys.push(test.key_of(of(&organization), "openai").await.id);
    }
    let platform = test.key_of(Owner::Platform, "openai").await.id;
    assert_eq!(lease(&test, &workspace).await.unwrap().1, keys[0]);
    test.organization("org", false).await;
    for _ in 0..2 {
        assert_eq!(lease(&test, &workspace).await.unwrap(), (Scope::Platform, platform.clone()));
    }
    // Its keys can still be deleted.
    test.app.keys.delete(&test.manage_keys_of(of(&organization)), &openai(), &keys[2]).await.unwrap();
    test.organization("org", true).await;
    assert_eq!(lease(&test, &workspace).await.unwrap(), (Scope::Organization, keys[1].clone()));
}

#[tokio::test]
async fn a_moved_workspace_uses_the_other_organizations_keys_from_the_next_lease() {
    let test = test_app(false).await;
    let (one, two) = (test.organization("one", true).await, test.organization("two", true).await);
    let keys = [test.key_of(of(&one), "openai").await.id, test.key_of(of(&two), "openai").await.id];
    let workspace = member(&test, "w", &one).await;
    assert_eq!(lease(&test, &workspace).await.unwrap().1, keys[0]);
    test.move_workspace(&workspace, Some(&two)).await;
    assert_eq!(lease(&test, &workspace).await.unwrap().1, keys[1]);
    test.move_workspace(&workspace, None).await;
    assert!(matches!(lease(&test, &workspace).await, Err(LeaseError::NoKey)));
}

#[tokio::test]
async fn an_organization_that_was_deleted_and_made_again_lends_nothing_to_its_former_workspaces() {
    let test = test_app(false).await;
    let organization = test.organization("org", true).await;
    let workspace = member(&test, "w", &organization).await;
    test.key_of(of(&organization), "openai").await;
    lease(&test, &workspace).await.unwrap();
    let permit = claviger_app::access::Principal::operator().permit(None).unwrap();
    test.app.organizations.delete(&permit, &organization).await.unwrap();
    assert!(matches!(lease(&test, &workspace).await, Err(LeaseError::NoKey)));
    test.organization("org", true).await;
    test.key_of(of(&organization), "openai").await;
    assert!(matches!(lease(&test, &workspace).await, Err(LeaseError::NoKey)));
}

#[tokio::test]
async fn the_platforms_keys_serve_only_where_the_operator_lends_them() {
    for fallback in [false, true] {
        let test = test_app(fallback).await;
        let workspace = test.workspace("w").await;
        let key = test.key_of(Owner::Platform, "openai").await.id;
        match lease(&test, &workspace).await {
            Ok(leased) => assert_eq!((fallback, leased), (true, (Scope::Platform, key))),
            Err(error) => assert!(!fallback && matches!(error, LeaseError::NoKey), "{error}"),
        }
        let nobody: WorkspaceId = "nobody".parse().unwrap();
        assert!(matches!(lease(&test, &nobody).await, Err(LeaseError::NoWorkspace)));
    }
}

fn given(number: u32, secret: &str) -> PlatformKey {
    let secret = KeySecret::parse(&Zeroizing::new(secret.to_owned())).unwrap();
    PlatformKey { provider: openai(), number, setting: format!("platform.openai_api_key_{number}"), secret }
}

#[tokio::test]
async fn given_keys_come_after_the_stored_ones_in_the_order_of_their_numbers() {
    let secrets = [random_secret(), random_secret(), random_secret()];
    let platform_keys = vec![given(10, &secrets[2]), given(2, &secrets[1])];
    let settings = TestSettings { platform_keys, rotation: rotation(true), ..TestSettings::default() };
    let test = TestApp::with(settings).await;
    let workspace = test.workspace("w").await;
    let stored = put_key("openai", &secrets[0]);
    let stored = test.app.keys.add(&test.manage_keys_of(Owner::Platform), stored).await.unwrap().key;
    for turn in 0..6 {
        let (leased, lease) = test.app.keyring.lease(&workspace, &openai()).await.unwrap();
        assert_eq!(leased.expose_to_provider(), secrets[turn % 3].as_bytes(), "turn {turn}");
        assert_eq!(lease.scope(), Scope::Platform);
    }
    // Nobody keeps a second copy of a given key, and ten is the most, counted together.
    let permit = test.manage_keys_of(Owner::Platform);
    let listed = test.app.keys.list(&test.list_keys_of(Owner::Platform)).await.unwrap();
    let twin = &listed[1].record.id;
    let added = test.app.keys.add(&permit, put_key("openai", &secrets[1])).await;
    assert!(matches!(&added, Err(PutKeyError::Duplicate(id)) if id == twin), "{added:?}");
    let replaced = test.app.keys.replace(&permit, &stored.id, put_key("openai", &secrets[1])).await;
    assert!(matches!(&replaced, Err(PutKeyError::Duplicate(id)) if id == twin), "{replaced:?}");
    let other = random_secret();
    test.app.keys.replace(&permit, &stored.id, put_key("openai", &other)).await.unwrap();
    for _ in 0..7 {
        test.key_of(Owner::Platform, "openai").await;
    }
    assert!(test.app.keys.add(&permit, put_key("openai", &random_secret())).await.is_err());
}

/// Gives turns from the last key to the first, and none when it is told to fail.
#[derive(Debug, Default)]
struct Backwards {
    turns: AtomicU64,
    fails: std::sync::atomic::AtomicBool,
}

#[async_trait]
impl Coordination for Backwards {
    async fn join(&self) {}

    async fn turn(&self, _pool: &PoolId, usable: &[Position], _model: Option<&str>) -> Option<SharedTurn> {
        if self.fails.load(Ordering::SeqCst) {
            return None;
        }
        let turn = usize::try_from(self.turns.fetch_add(1, Ordering::SeqCst)).unwrap();
        let position = usable[usable.len() - 1 - turn % usable.len()];
        Some(SharedTurn { position: Some(position), ..SharedTurn::default() })
    }

    fn rest(&self, _pool: &PoolId, _position: Position, _model: Option<&str>, _remaining: Duration) {}

    fn healed(&self, _pool: &PoolId, _position: Position, _model: Option<&str>) {}

    fn trial_over(&self, _pool: &PoolId, _position: Position, _model: Option<&str>) {}

    fn forget(&self, _pool: &PoolId, _position: Position) {}

    fn counts(&self) -> SharingCounts {
        SharingCounts::default()
    }
}

#[tokio::test]
async fn shared_turns_go_before_the_nodes_own_which_go_on_from_them() {
    let shared = Arc::new(Backwards::default());
    let coordination = Some(Arc::clone(&shared) as Arc<dyn Coordination>);
    let rotation = Rotation { coordination, random_start: true, platform_fallback: false };
    let test = TestApp::with(TestSettings { rotation, ..TestSettings::default() }).await;
    let workspace = test.workspace("w").await;
    let mut keys = Vec::new();
    for _ in 0..4 {
        keys.push(test.key(&workspace, "openai").await.id);
    }
    for expected in [3, 2, 1, 0, 3, 2] {
        assert_eq!(lease(&test, &workspace).await.unwrap().1, keys[expected]);
    }
    shared.fails.store(true, Ordering::SeqCst);
    for expected in [3, 0, 1] {
        assert_eq!(lease(&test, &workspace).await.unwrap().1, keys[expected]);
    }
}

#[tokio::test]
async fn with_a_random_start_pools_begin_anywhere_and_go_on_in_order() {
    let rotation = Rotation { coordination: None, random_start: true, platform_fallback: false };
    let test = TestApp::with(TestSettings { rotation, ..TestSettings::default() }).await;
    let mut begins: HashMap<usize, usize> = HashMap::new();
    for number in 0..40 {
        let workspace = test.workspace(&format!("w{number}")).await;
        let mut keys = Vec::new();
        for _ in 0..3 {
            keys.push(test.key(&workspace, "openai").await.id);
        }
        let first = lease(&test, &workspace).await.unwrap().1;
        let begin = keys.iter().position(|key| *key == first).unwrap();
        *begins.entry(begin).or_default() += 1;
        for turn in 1..4 {
            assert_eq!(lease(&test, &workspace).await.unwrap().1, keys[(begin + turn) % 3]);
        }
    }
    // That one of three is never chosen in forty times happens once in three million runs.
    assert_eq!(begins.len(), 3, "{begins:?}");
}
