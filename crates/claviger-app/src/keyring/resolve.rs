//! Keys handed out in plain text, to callers that must send the request themselves.

use std::fmt;

use claviger_core::health::{Answer, Headers, judge};
use claviger_core::owner::PoolId;
use claviger_core::{KeyId, KeySecret, Owner, ProviderId, Scope, WorkspaceId};
use claviger_store::StoreError;

use super::{Keyring, LeaseError, Outcome};
use crate::access::{Permit, ResolveKeys};

/// A key, handed out.
#[derive(Debug)]
pub struct Resolved {
    /// The secret.
    pub secret: KeySecret,
    /// Which key it is.
    pub key: KeyId,
    /// Whose key it is.
    pub scope: Scope,
}

/// What a provider answered to somebody who was handed a key.
#[derive(Clone, Copy)]
pub struct Told<'a> {
    /// The status.
    pub status: u16,
    /// The header `Retry-After`.
    pub retry_after: Option<&'a str>,
    /// The body.
    pub body: &'a [u8],
}

impl fmt::Debug for Told<'_> {
    /// A body may hold anything.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Told").field("status", &self.status).finish_non_exhaustive()
    }
}

impl Headers for Told<'_> {
    fn get(&self, name: &str) -> Option<&str> {
        self.retry_after.filter(|_| name.eq_ignore_ascii_case("retry-after"))
    }
}

/// How a key fared cannot be noted.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    /// The workspace does not exist.
    #[error("the workspace does not exist")]
    NoWorkspace,
    /// No pool that may serve this workspace has this key.
    #[error("there is no such key among those that serve this workspace")]
    NoKey,
    /// See [`StoreError`].
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Keyring {
    /// Hands out the next key, as a lease of the gateway's would: the rotation advances. How the key fares is told by
    /// [`Keyring::report`], if at all, so the lease ends here.
    pub async fn resolve(&self, permit: &Permit<ResolveKeys>, provider: &ProviderId) -> Result<Resolved, LeaseError> {
        let (secret, lease) = self.lease(permit.on(), provider).await?;
        let resolved = Resolved { secret, key: lease.key_id().clone(), scope: lease.scope() };
        lease.end(Outcome::HandedOut);
        Ok(resolved)
    }

    /// Takes in how a key fared that was handed out, as if the gateway had seen it.
    pub async fn report(&self, permit: &Permit<ResolveKeys>, key: &KeyId, told: &Told<'_>) -> Result<(), ReportError> {
        let pool = self.pool_of(permit.on(), key).await?;
        let desk = self.desks.get(&pool.provider).ok_or(ReportError::NoKey)?;
        let now = self.shared.clock.now();
        let verdict = judge(&desk.provider, &Answer { status: told.status, headers: told, body: told.body }, now);
        desk.counts.count(Outcome::Answered(verdict));
        let slot = self.pools.slot(&pool);
        match self.obtain(&pool, &slot).await {
            Ok(live) => {
                let Some(known) = slot.companion.key(key) else {
                    return Err(ReportError::NoKey);
                };
                let changed = known.reported(verdict, now);
                self.shared.uses.enter(&known);
                // A key that is switched off meanwhile is not in use, and nobody has to know.
                if let Some(live) = live.key(known.position) {
                    self.shared.changed(live, changed, None, now);
                }
                Ok(())
            }
            Err(LeaseError::Store(error)) => Err(error.into()),
            Err(_) => Err(ReportError::NoKey),
        }
    }

    /// The pool of a key that may serve this workspace.
    async fn pool_of(&self, workspace: &WorkspaceId, key: &KeyId) -> Result<PoolId, ReportError> {
        let own = Owner::Workspace(workspace.clone());
        if let Some(provider) = self.provider_in(&own, key).await? {
            return Ok(PoolId { owner: own, provider });
        }
        let workspace = self.store.workspace(workspace).await?.ok_or(ReportError::NoWorkspace)?;
        let organization = workspace.organization_id.map(Owner::Organization);
        let platform = self.rotation.platform_fallback.then_some(Owner::Platform);
        for owner in organization.into_iter().chain(platform) {
            if let Some(provider) = self.provider_in(&owner, key).await? {
                return Ok(PoolId { owner, provider });
            }
        }
        Err(ReportError::NoKey)
    }

    /// The provider of an owner's key.
    pub(super) async fn provider_in(&self, owner: &Owner, key: &KeyId) -> Result<Option<ProviderId>, StoreError> {
        if *owner == Owner::Platform
            && let Some((provider, _)) = self.platform.all().find(|(_, given)| given.id == *key)
        {
            return Ok(Some(provider.clone()));
        }
        let keys = self.store.keys(owner).await?;
        Ok(keys.into_iter().find(|stored| stored.id == *key).map(|stored| stored.provider))
    }
}
