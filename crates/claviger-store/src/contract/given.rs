//! What the rules begin with.

use std::net::Ipv4Addr;

use claviger_core::access::TokenRole;
use claviger_core::audit::{Act, Via};
use claviger_core::health::{Ailment, AilmentKind};
use claviger_core::owner::PoolId;
use claviger_core::{EventId, KeyId, OrganizationId, Owner, Timestamp, TokenId, WebhookId, WorkspaceId};

use crate::{
    AddKeyError, AddWebhookError, AilmentChange, DataKeyUse, KeyRecord, KeyReplacement, KeyUse, NewEvent, NewKey,
    NodesWithoutIt, OrganizationChange, PoolRecord, Replaced, Store, TokenRecord, UseCounts, Webhook, WorkspaceChange,
};

pub(super) fn at(second: u64) -> Timestamp {
    Timestamp::from_millis(i64::try_from(second).unwrap() * 1_000)
}

/// Who does what the rules do.
#[must_use]
pub fn somebody() -> Act {
    Act { actor: "ada".to_owned(), token: None, via: Via::Api, address: Some(Ipv4Addr::LOCALHOST.into()), at: at(1) }
}

/// Puts another master key into use, with nodes that have it or none. False where the canary is not `was` any more.
pub async fn replace_canary(store: &dyn Store, was: &[u8], sealed: &[u8]) -> bool {
    match store.replace_canary(was, sealed, NodesWithoutIt::Wait, &somebody()).await.unwrap() {
        Replaced::Done => true,
        Replaced::CanaryChanged => false,
        Replaced::NodesLackIt(nodes) => panic!("{nodes:?} do not have it"),
    }
}

pub(super) fn workspace_id(id: &str) -> WorkspaceId {
    id.parse().unwrap()
}

pub(super) fn organization_id(id: &str) -> OrganizationId {
    id.parse().unwrap()
}

pub(super) async fn workspace(store: &dyn Store, id: &str) -> Owner {
    let change = WorkspaceChange { id: workspace_id(id), name: None, organization: None, at: at(1) };
    Owner::Workspace(store.put_workspace(&change, &somebody()).await.unwrap().id)
}

/// What makes a workspace belong to this organization, or to none.
pub(super) fn belonging(id: &str, organization: Option<&str>) -> WorkspaceChange {
    WorkspaceChange {
        id: workspace_id(id),
        name: None,
        organization: Some(organization.map(organization_id)),
        at: at(1),
    }
}

/// A workspace that belongs to this organization, or to none.
pub(super) async fn workspace_of(store: &dyn Store, id: &str, organization: Option<&str>) -> Owner {
    Owner::Workspace(store.put_workspace(&belonging(id, organization), &somebody()).await.unwrap().id)
}

pub(super) async fn organization(store: &dyn Store, id: &str) -> Owner {
    let change = OrganizationChange { id: organization_id(id), name: None, keys_enabled: None, at: at(1) };
    Owner::Organization(store.put_organization(&change, &somebody()).await.unwrap().id)
}

/// An owner of each kind.
pub(super) async fn owners(store: &dyn Store) -> [Owner; 3] {
    [workspace(store, "acme").await, organization(store, "group").await, Owner::Platform]
}

pub(super) fn pool_of(owner: &Owner, provider: &str) -> PoolId {
    PoolId { owner: owner.clone(), provider: provider.parse().unwrap() }
}

/// A pool of a workspace that exists.
pub(super) async fn pool(store: &dyn Store) -> PoolId {
    pool_of(&workspace(store, "acme").await, "openai")
}

pub(super) fn key_id(number: u64) -> KeyId {
    KeyId::new(at(number), [0; 10])
}

/// Equal numbers are equal secrets.
pub(super) fn fingerprint(secret: u64) -> [u8; 32] {
    let mut fingerprint = [0xf1; 32];
    fingerprint[..8].copy_from_slice(&secret.to_be_bytes());
    fingerprint
}

pub(super) fn sealed(secret: u64) -> Vec<u8> {
    format!("sealed secret {secret}").into_bytes()
}

/// A key with this number and the secret of this number, sealed under this data key.
pub(super) fn new_key(number: u64, data_key: DataKeyUse) -> NewKey {
    NewKey {
        id: key_id(number),
        name: None,
        masked: format!("sk-abc...{:04}", number % 10_000),
        sealed: sealed(number),
        fingerprint: fingerprint(number),
        domain: None,
        created_by: None,
        at: at(number),
        data_key,
    }
}

pub(super) fn replacement(secret: u64, data_key: &[u8]) -> KeyReplacement {
    KeyReplacement {
        name: None,
        masked: format!("sk-new...{:04}", secret % 10_000),
        sealed: sealed(secret),
        fingerprint: fingerprint(secret),
        domain: None,
        at: at(10_000 + secret),
        data_key: data_key.to_vec(),
    }
}

/// Adds a key the way a use case does: with the pool's data key, or a new one where it has none, and again where it
/// changed in between.
pub(super) async fn add(store: &dyn Store, pool: &PoolId, key: NewKey) -> Result<KeyRecord, AddKeyError> {
    let mut key = key;
    loop {
        if let Some(data_key) = store.pool(pool).await?.data_key {
            key.data_key = DataKeyUse::Stored(data_key);
        }
        match store.add_key(pool, &key, &somebody()).await {
            Err(AddKeyError::DataKeyChanged) => {}
            done => return done,
        }
    }
}

/// Adds the key of this number.
pub(super) async fn add_number(store: &dyn Store, pool: &PoolId, number: u64) -> Result<KeyRecord, AddKeyError> {
    add(store, pool, new_key(number, DataKeyUse::New(b"a data key".to_vec()))).await
}

/// Adds the keys of these numbers, one after the other.
pub(super) async fn fill(store: &dyn Store, pool: &PoolId, numbers: impl IntoIterator<Item = u64>) {
    for number in numbers {
        add_number(store, pool, number).await.unwrap();
    }
}

/// A use of which nothing was counted.
pub(super) fn used(pool: &PoolId, number: u64, second: u64) -> KeyUse {
    KeyUse { pool: pool.clone(), key: key_id(number), at: at(second), counts: UseCounts::default(), domain: None }
}

pub(super) fn ailment(kind: AilmentKind, since: u64, until: u64) -> Ailment {
    Ailment { kind, status: 401, since: at(since), until: at(until), strikes: 1 }
}

/// A change that tells nobody.
pub(super) fn ails(ailment: Ailment) -> AilmentChange {
    AilmentChange { ailment: Some(ailment), began: at(0), events: Vec::new() }
}

/// What a request that began then showed of a key that is well.
pub(super) fn heals(began: u64) -> AilmentChange {
    AilmentChange { ailment: None, began: at(began), events: Vec::new() }
}

pub(super) fn event(number: u64, event: &str) -> NewEvent {
    NewEvent {
        id: EventId::new(at(number), [0; 10]),
        event: event.to_owned(),
        payload: format!("{{\"number\":{number}}}"),
        at: at(number),
    }
}

/// A webhook of this number, for all events.
pub(super) fn webhook(workspace: &str, number: u64) -> Webhook {
    Webhook {
        id: WebhookId::new(at(number), [0; 10]),
        workspace: workspace_id(workspace),
        url: format!("https://example.com/{number}"),
        sealed: sealed(number),
        events: Vec::new(),
        created_at: at(number),
        created_by: Some("user_1".to_owned()),
    }
}

/// Adds a webhook the way a use case does.
pub(super) async fn hook(store: &dyn Store, webhook: &Webhook) -> Result<(), AddWebhookError> {
    loop {
        let stored = store.data_key(&Owner::Workspace(webhook.workspace.clone())).await?;
        let data_key = stored.map_or(DataKeyUse::New(b"a data key".to_vec()), DataKeyUse::Stored);
        match store.add_webhook(webhook, &data_key, &somebody()).await {
            Err(AddWebhookError::DataKeyChanged) => {}
            done => return done,
        }
    }
}

pub(super) async fn read(store: &dyn Store, pool: &PoolId) -> PoolRecord {
    store.pool(pool).await.unwrap()
}

pub(super) async fn data_key(store: &dyn Store, pool: &PoolId) -> Vec<u8> {
    read(store, pool).await.data_key.unwrap()
}

/// The ids of a pool's keys in the order of rotation.
pub(super) async fn ids(store: &dyn Store, pool: &PoolId) -> Vec<KeyId> {
    read(store, pool).await.keys.into_iter().map(|key| key.id).collect()
}

/// The positions of a pool's keys in the order of rotation.
pub(super) async fn positions(store: &dyn Store, pool: &PoolId) -> Vec<u64> {
    read(store, pool).await.keys.into_iter().map(|key| key.position.0).collect()
}

/// One key as it is listed.
pub(super) async fn listed(store: &dyn Store, owner: &Owner, key: &KeyId) -> KeyRecord {
    store.keys(owner).await.unwrap().into_iter().find(|record| record.id == *key).unwrap()
}

pub(super) fn token(id: &str, role: TokenRole, workspace: Option<&str>) -> TokenRecord {
    let id: TokenId = id.parse().unwrap();
    TokenRecord {
        hash: [7; 32],
        name: format!("token {id}"),
        id,
        role,
        workspace: workspace.map(workspace_id),
        reveal: false,
        expires_at: None,
        created_at: at(5),
    }
}
