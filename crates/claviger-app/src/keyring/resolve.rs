//! Keys handed out in plain text, to callers that must send the request themselves.

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

    /// Notes how a key fared that was handed out.
    pub async fn report(&self, permit: &Permit<ResolveKeys>, key: &KeyId, outcome: Outcome) -> Result<(), ReportError> {
        let provider = self.provider_of(permit.on(), key).await?;
        let counts = self.counts.get(&provider).ok_or(ReportError::NoKey)?;
        counts.count(outcome);
        Ok(())
    }

    /// The provider of a key that may serve this workspace.
    async fn provider_of(&self, workspace: &WorkspaceId, key: &KeyId) -> Result<ProviderId, ReportError> {
        if let Some(provider) = self.provider_in(Owner::Workspace(workspace.clone()), key).await? {
            return Ok(provider);
        }
        let workspace = self.store.workspace(workspace).await?.ok_or(ReportError::NoWorkspace)?;
        let organization = workspace.organization_id.map(Owner::Organization);
        let platform = self.rotation.platform_fallback.then_some(Owner::Platform);
        for owner in organization.into_iter().chain(platform) {
            if let Some(provider) = self.provider_in(owner, key).await? {
                return Ok(provider);
            }
        }
        Err(ReportError::NoKey)
    }

    async fn provider_in(&self, owner: Owner, key: &KeyId) -> Result<Option<ProviderId>, StoreError> {
        if owner == Owner::Platform
            && let Some((provider, _)) = self.platform.all().find(|(_, given)| given.id == *key)
        {
            return Ok(Some(provider.clone()));
        }
        let keys = self.store.keys(&owner).await?;
        Ok(keys.into_iter().find(|stored| stored.id == *key).map(|stored| stored.provider))
    }
}
