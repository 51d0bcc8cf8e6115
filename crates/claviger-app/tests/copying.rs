//! A deployment on its way to another database: what an earlier copy is, and what is a database that was used since.

use std::cell::Cell;
use std::sync::Arc;

use claviger_app::copy::{CopyError, Existing, copy};
use claviger_app::{Page, Store, UseCounts};
use claviger_core::audit::{AuditEntry, AuditHash, AuditHead};
use claviger_core::owner::PoolId;
use claviger_core::{KeyId, Owner, Timestamp, WorkspaceId};
use claviger_seal::{MasterKey, MasterKeys};
use claviger_store::contract::{replace_canary, somebody};
use claviger_store::{KeyChange, KeyUse, NodesWithoutIt, OwnerCopy, TrailCopy, WorkspaceChange};
use claviger_testkit::TestApp;

/// What is copied at once.
const PAGE: u32 = 500;

/// A deployment with a key for each owner, and another database.
struct Copying {
    test: TestApp,
    to: Arc<dyn Store>,
    /// The keys of workspaces `a` and `b`.
    keys: [(WorkspaceId, KeyId); 2],
}

impl Copying {
    async fn new() -> Self {
        let test = TestApp::new().await;
        let to = test.empty_store().await;
        let organization = test.organization("org", true).await;
        test.key_of(Owner::Organization(organization), "openai").await;
        test.key_of(Owner::Platform, "openai").await;
        let mut keys = Vec::new();
        for id in ["a", "b"] {
            let workspace = test.workspace(id).await;
            test.runtime_token(&workspace).await;
            let key = test.key(&workspace, "openai").await.id;
            keys.push((workspace, key));
        }
        Self { test, to, keys: keys.try_into().unwrap() }
    }

    /// Copies, and tells how many owners were there before.
    async fn copy(&self, existing: Existing) -> Result<u64, CopyError> {
        let unchanged = Cell::new(0);
        copy(&*self.test.store, &*self.to, existing, |progress| unchanged.set(progress.unchanged)).await?;
        Ok(unchanged.get())
    }

    /// Copies once more after something happened to the target, which is refused and changes nothing.
    async fn refused(&self) -> CopyError {
        let before = owners(&*self.to, None, PAGE).await;
        let refusal = self.copy(Existing::Keep).await.unwrap_err();
        assert_eq!(owners(&*self.to, None, PAGE).await, before, "{refusal}");
        refusal
    }

    async fn target_is_the_source(&self) -> bool {
        owners(&*self.to, None, PAGE).await == owners(&*self.test.store, None, PAGE).await
    }
}

async fn owners(store: &dyn Store, after: Option<Owner>, limit: u32) -> Vec<OwnerCopy> {
    store.owners(&Page { after, limit }).await.unwrap()
}

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_millis(2_000_000_000_000 + seconds * 1_000)
}

#[tokio::test]
async fn a_copy_that_is_there_already_is_left_alone() {
    let copying = Copying::new().await;
    assert_eq!(copying.copy(Existing::Keep).await.unwrap(), 0);
    assert!(copying.target_is_the_source().await);
    assert_eq!(copying.copy(Existing::Keep).await.unwrap(), 4);
    assert_eq!(copying.copy(Existing::Overwrite).await.unwrap(), 4);
}

#[tokio::test]
async fn uses_that_running_servers_note_are_no_difference_and_stay() {
    let copying = Copying::new().await;
    copying.copy(Existing::Keep).await.unwrap();
    let (workspace, key) = &copying.keys[0];
    let pool = PoolId { owner: Owner::Workspace(workspace.clone()), provider: "openai".parse().unwrap() };
    let counts = UseCounts { requests: 7, ok: 7, ..UseCounts::default() };
    let used = KeyUse { pool, key: key.clone(), at: at(0), counts, domain: Some("org-1".to_owned()) };
    copying.to.record_uses(&[used]).await.unwrap();
    assert_eq!(copying.copy(Existing::Keep).await.unwrap(), 4);
    let kept = copying.to.keys(&Owner::Workspace(workspace.clone())).await.unwrap();
    assert_eq!(kept[0].counts, counts);
    assert_eq!(copying.copy(Existing::Overwrite).await.unwrap(), 3);
    assert!(copying.target_is_the_source().await);
}

#[tokio::test]
async fn a_key_that_was_changed_in_the_target_stays_unless_it_may_be_overwritten() {
    let copying = Copying::new().await;
    copying.copy(Existing::Keep).await.unwrap();
    let (workspace, key) = &copying.keys[1];
    let owner = Owner::Workspace(workspace.clone());
    let off = KeyChange { name: None, enabled: Some(false), at: at(0) };
    copying.to.change_key(&owner, key, &off, &somebody()).await.unwrap();
    let refusal = copying.refused().await;
    assert!(matches!(&refusal, CopyError::Changed(changed) if *changed == owner), "{refusal}");
    assert_eq!(copying.copy(Existing::Overwrite).await.unwrap(), 3);
    assert!(copying.target_is_the_source().await);
}

#[tokio::test]
async fn what_was_deleted_from_the_target_does_not_come_back_unasked() {
    let copying = Copying::new().await;
    copying.copy(Existing::Keep).await.unwrap();
    // The one before others, and the last one, after which nothing shows that it was there.
    for (workspace, _) in &copying.keys {
        copying.to.delete_workspace(workspace, &somebody()).await.unwrap();
        let refusal = copying.refused().await;
        let first = Owner::Workspace(copying.keys[0].0.clone());
        assert!(matches!(&refusal, CopyError::Gone(gone) if *gone == first), "{refusal}");
    }
    copying.copy(Existing::Overwrite).await.unwrap();
    assert!(copying.target_is_the_source().await);
    copying.to.delete_workspace(&copying.keys[1].0, &somebody()).await.unwrap();
    let refusal = copying.refused().await;
    assert!(matches!(&refusal, CopyError::Gone(_)), "{refusal}");
}

#[tokio::test]
async fn a_workspace_that_was_made_in_the_target_stops_the_copy() {
    let copying = Copying::new().await;
    copying.copy(Existing::Keep).await.unwrap();
    for id in ["z", "aa", "0"] {
        let made = WorkspaceChange { id: id.parse().unwrap(), name: None, organization: None, at: at(0) };
        copying.to.put_workspace(&made, &somebody()).await.unwrap();
        let refusal = copying.refused().await;
        assert!(matches!(&refusal, CopyError::Added(added) if added.id() == id), "{refusal}");
    }
    // They are nothing that the source could overwrite.
    let counted = copying.copy(Existing::Overwrite).await;
    assert!(matches!(counted, Err(CopyError::CountsDiffer { .. })), "{counted:?}");
}

#[tokio::test]
async fn a_copy_that_was_broken_off_has_whole_pages_and_goes_on() {
    let copying = Copying::new().await;
    for number in 0..2 * PAGE {
        copying.test.workspace(&format!("many-{number}")).await;
    }
    let first = owners(&*copying.test.store, None, PAGE).await;
    copying.to.put_canary_if_absent(&copying.test.store.canary().await.unwrap().unwrap()).await.unwrap();
    copying.to.put_owners(&first).await.unwrap();
    assert_eq!(copying.copy(Existing::Keep).await.unwrap(), u64::from(PAGE));

    // The whole second page is gone, and what came after it is there.
    let second = owners(&*copying.to, first.last().map(|last| last.owner.clone()), PAGE).await;
    for gone in second {
        copying.to.delete_workspace(&gone.owner.id().parse().unwrap(), &somebody()).await.unwrap();
    }
    let refusal = copying.copy(Existing::Keep).await.unwrap_err();
    assert!(matches!(refusal, CopyError::Gone(_)), "{refusal}");
}

#[tokio::test]
async fn a_deployment_in_the_middle_of_a_rotation_is_copied_as_it_is() {
    let copying = Copying::new().await;
    let (from, to) = (&copying.test.store, &copying.to);
    let next = MasterKey::parse(&MasterKey::generate().unwrap()).unwrap();
    let was = from.canary().await.unwrap().unwrap();
    assert!(replace_canary(&**from, &was, &next.seal_canary().unwrap()).await);
    assert_eq!(copying.copy(Existing::Keep).await.unwrap(), 0);
    assert!(copying.target_is_the_source().await);
    assert_eq!(to.canary().await.unwrap(), from.canary().await.unwrap());
    assert_eq!(to.former_canaries().await.unwrap(), [was]);

    let keys = MasterKeys::new(next, [copying.test.master_key()]);
    let at = claviger_app::master_keys::status(&**to, &keys).await.unwrap();
    assert_eq!((at.left(), at.damaged), (4, 0));
    let rotating = copying.test.beside_with_master_keys(keys).await.unwrap();
    assert_eq!(rotating.app.rotate_master_key(NodesWithoutIt::Wait, |_| {}).await.unwrap().resealed, 4);
    // Data keys that were sealed anew since are a difference like any other.
    assert!(matches!(copying.refused().await, CopyError::Changed(_)));
}

async fn trail(store: &dyn Store, owner: &Owner) -> Vec<AuditEntry> {
    store.audit_entries(owner, &Page { after: None, limit: 1_000 }).await.unwrap()
}

/// Stores a trail in the place of whatever was there.
async fn put(store: &dyn Store, owner: &Owner, entries: Vec<AuditEntry>) {
    let there = store.audit_head(owner).await.unwrap().unwrap_or(AuditHead::EMPTY);
    store.put_audit(&[TrailCopy { owner: owner.clone(), there, entries }]).await.unwrap();
}

#[tokio::test]
async fn trails_find_each_other_whatever_either_side_has_between_them() {
    let copying = Copying::new().await;
    let (from, to) = (&*copying.test.store, &*copying.to);
    copying.copy(Existing::Keep).await.unwrap();
    // Trails of many owners that only one side ever had: for each, a page and more before the owners that both have.
    let some = trail(from, &Owner::Workspace(copying.keys[0].0.clone())).await;
    let strangers = (0..=PAGE).map(|number| format!("Z{number}"));
    let newcomers = (0..=PAGE).map(|number| format!("Y{number}"));
    for (store, ids) in [(to, strangers.collect::<Vec<_>>()), (from, newcomers.collect())] {
        for id in ids {
            put(store, &Owner::Workspace(id.parse().unwrap()), some[..1].to_vec()).await;
        }
    }
    let owner = Owner::Workspace(copying.keys[1].0.clone());
    let whole = trail(from, &owner).await;
    put(to, &owner, whole[..1].to_vec()).await;
    copying.copy(Existing::Overwrite).await.unwrap();
    assert_eq!(trail(to, &owner).await, whole);
    assert_eq!(trail(to, &Owner::Workspace("Y7".parse().unwrap())).await, some[..1]);
    let refusal = copying.refused().await;
    assert!(matches!(&refusal, CopyError::Changed(changed) if changed.id() == "Z0"), "{refusal}");
}

#[tokio::test]
async fn a_trail_that_is_broken_is_copied_as_it_is() {
    let copying = Copying::new().await;
    let (from, to) = (&*copying.test.store, &*copying.to);
    let owner = Owner::Workspace(copying.keys[0].0.clone());
    let mut broken = trail(from, &owner).await;
    broken[1].actor = "eve".to_owned();
    put(from, &owner, broken.clone()).await;
    copying.copy(Existing::Keep).await.unwrap();
    assert_eq!(trail(to, &owner).await, broken);
    copying.copy(Existing::Keep).await.unwrap();
}

#[tokio::test]
async fn audit_trails_come_along_also_those_of_owners_that_are_gone_and_go_on() {
    let copying = Copying::new().await;
    let (from, to) = (&*copying.test.store, &*copying.to);
    let (gone, stays) = (&copying.keys[0], &copying.keys[1]);
    let [gone_owner, owner] = [gone, stays].map(|(workspace, _)| Owner::Workspace(workspace.clone()));
    from.delete_workspace(&gone.0, &somebody()).await.unwrap();
    copying.copy(Existing::Keep).await.unwrap();
    for owner in [&gone_owner, &owner] {
        assert!(!trail(from, owner).await.is_empty());
        assert_eq!(trail(to, owner).await, trail(from, owner).await);
        assert_eq!(to.audit_head(owner).await.unwrap(), from.audit_head(owner).await.unwrap());
    }

    // A copy that was broken off has the beginning of a trail.
    let whole = trail(from, &owner).await;
    put(to, &owner, whole[..1].to_vec()).await;
    copying.copy(Existing::Keep).await.unwrap();
    assert_eq!(trail(to, &owner).await, whole);

    // What was entered in the target alone is not overwritten unasked.
    let mut other = whole[..2].to_vec();
    other[1].hash = AuditHash::NONE;
    put(to, &owner, other).await;
    let refusal = copying.refused().await;
    assert!(matches!(&refusal, CopyError::Changed(changed) if *changed == owner), "{refusal}");
    copying.copy(Existing::Overwrite).await.unwrap();
    assert_eq!(trail(to, &owner).await, whole);
}
