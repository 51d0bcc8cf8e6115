//! What is done about a key's health beside the request that showed it: it is stored, others are told, and probes go out.

use std::time::Duration;

use claviger_core::health::{Ailment, AilmentKind};
use claviger_core::owner::PoolId;
use claviger_core::{EventId, KeyId, Owner, Timestamp, WorkspaceId};
use claviger_store::{AilmentChange, NewEvent, StoreError};
use futures_util::future::join_all;
use serde_json::{Map, Value, json};

use super::desk::Finding;
use super::known::KnownKey;
use super::{Keyring, LeaseError};

/// How long a probe of a rejected key is this node's alone.
const PROBE_CLAIM: Duration = Duration::from_secs(30);
/// How many rejected keys are probed in one go.
const PROBES_AT_ONCE: u32 = 16;

impl Keyring {
    /// Comes back when there is something to store of keys' health.
    pub async fn ailments_come(&self) {
        self.shared.ailments.come().await;
    }

    /// Stores what was found out about keys' health. What cannot be stored is kept for the next time, and keeps nothing
    /// else from being stored.
    pub async fn store_ailments(&self) -> Result<(), StoreError> {
        let (mut kept, mut failed) = (Vec::new(), None);
        for finding in self.shared.ailments.take() {
            if let Err(error) = self.store_ailment(&finding).await {
                kept.push(finding);
                failed = Some(error);
            }
        }
        self.shared.ailments.put_back(kept);
        failed.map_or(Ok(()), Err)
    }

    pub(super) async fn store_ailment(&self, finding: &Finding) -> Result<(), StoreError> {
        let Finding { known, sealed, began } = finding;
        // As it is now: what was found since is stored with it.
        let (ailment, now) = (known.ailment(), self.shared.clock.now());
        let change = AilmentChange { ailment, began: *began, events: self.events(known, ailment, now).await? };
        if self.store.put_ailment(&known.pool, &known.id, sealed, &change).await? {
            tracing::info!(
                pool = %known.pool,
                key = %known.id,
                state = ailment.map_or("well", |ailment| ailment.kind.as_str()),
                status = ailment.map(|ailment| ailment.status),
                "a key's health changed"
            );
            if let Some(ailment) = ailment {
                known.stored(ailment, self.shared.clock.now());
            }
        }
        Ok(())
    }

    /// What the workspace's webhooks are told.
    async fn events(
        &self,
        known: &KnownKey,
        ailment: Option<Ailment>,
        now: Timestamp,
    ) -> Result<Vec<NewEvent>, StoreError> {
        let Owner::Workspace(workspace) = &known.pool.owner else {
            return Ok(Vec::new());
        };
        let mut data = Map::new();
        data.insert("keyId".to_owned(), known.id.as_str().into());
        let name = match ailment.map(|ailment| ailment.kind) {
            None => "key.recovered",
            Some(AilmentKind::Exhausted) => "key.exhausted",
            Some(AilmentKind::Rejected) => "key.rejected",
        };
        if let Some(ailment) = ailment {
            data.insert("statusReason".to_owned(), known.fitness().health.reason().into());
            data.insert("availableAt".to_owned(), ailment.until.to_string().into());
        }
        let mut events: Vec<_> = event(name, workspace, known, data, now).into_iter().collect();
        if let Some(ailment) = ailment
            && let Some(back) = self.all_ail(known, ailment).await?
        {
            let data = Map::from_iter([("availableAt".to_owned(), Value::from(back.to_string()))]);
            events.extend(event("pool.unavailable", workspace, known, data, now));
        }
        Ok(events)
    }

    /// When the first key of a pool is back, where all of those that are on are exhausted or rejected. A pool that was
    /// changed meanwhile is read again.
    async fn all_ail(&self, known: &KnownKey, ailment: Ailment) -> Result<Option<Timestamp>, StoreError> {
        let pool = match self.obtain(&known.pool, &self.pools.slot(&known.pool)).await {
            Ok(pool) => pool,
            Err(LeaseError::Store(error)) => return Err(error),
            Err(_) => return Ok(None),
        };
        // The store does not have this one's yet.
        let until = |key: &KnownKey| if key.id == known.id { Some(ailment.until) } else { Some(key.ailment()?.until) };
        let untils: Option<Vec<_>> = pool.usable().iter().map(|key| until(&key.known)).collect();
        Ok(untils.and_then(|untils| untils.into_iter().min()))
    }

    /// Comes back when a key was refused that a probe could tell more about.
    pub async fn suspects_come(&self) {
        self.shared.suspects.come().await;
    }

    /// Probes keys that were refused once.
    pub async fn probe_suspects(&self) {
        // At once: one provider that does not answer keeps no other's keys waiting.
        join_all(
            self.shared
                .suspects
                .take()
                .iter()
                .map(|suspect| self.probe_quietly(&suspect.known.pool, &suspect.known.id)),
        )
        .await;
    }

    /// Probes rejected keys whose rest is over: those that no other node probes.
    pub async fn probe_rejected(&self) -> Result<(), StoreError> {
        let now = self.shared.clock.now();
        let claims = self.store.claim_probes(now, now.after(PROBE_CLAIM), PROBES_AT_ONCE).await?;
        let testable =
            claims.iter().filter(|claim| self.desks.get(&claim.pool.provider).is_some_and(|desk| desk.probed));
        join_all(testable.map(|claim| self.probe_quietly(&claim.pool, &claim.key))).await;
        Ok(())
    }

    async fn probe_quietly(&self, pool: &PoolId, key: &KeyId) {
        if let Err(error) = self.probe_key(pool, key).await {
            tracing::warn!(%pool, %key, %error, "a key could not be probed");
        }
    }
}

/// An event in the form of Standard Webhooks: type, time, data.
fn event(
    name: &str,
    workspace: &WorkspaceId,
    known: &KnownKey,
    data: Map<String, Value>,
    now: Timestamp,
) -> Option<NewEvent> {
    let mut random = [0; 10];
    claviger_seal::fill_random(&mut random).ok()?;
    let mut all = Map::new();
    all.insert("workspaceId".to_owned(), workspace.as_str().into());
    all.insert("providerId".to_owned(), known.pool.provider.as_str().into());
    all.extend(data);
    let payload = json!({"type": name, "timestamp": now.to_string(), "data": all});
    Some(NewEvent { id: EventId::new(now, random), event: name.to_owned(), payload: payload.to_string(), at: now })
}
