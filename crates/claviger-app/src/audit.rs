//! Reading audit trails, and proving them. Writing them is each change's own: the store does it in the same transaction.

use std::sync::Arc;

use claviger_core::Owner;
use claviger_core::audit::{AuditEntry, AuditHead, Flaw, Walk};
use claviger_store::{AuditFilter, Page, Store, StoreError};

use crate::access::{ManageWorkspaces, Permit, ReadAudit};
use crate::owners;

/// How many entries are read at once while a trail is walked along.
const PORTION: u32 = 1_000;

/// How many people a trail is searched for at most.
const MAX_ACTORS: u32 = 100;

/// An audit trail could not be read.
#[derive(Debug, thiserror::Error)]
pub enum AuditError {
    /// The owner does not exist.
    #[error("{0} does not exist")]
    NoOwner(Owner),
    /// See [`StoreError`].
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The use cases around audit trails.
#[derive(Debug)]
pub struct Audit {
    pub(crate) store: Arc<dyn Store>,
}

impl Audit {
    /// An owner's trail, the newest entry first, before the entry that the page's cursor numbers.
    pub async fn log(
        &self,
        permit: &Permit<ReadAudit>,
        filter: &AuditFilter,
        page: &Page<u64>,
    ) -> Result<Vec<AuditEntry>, AuditError> {
        let entries = self.store.audit_log(permit.on(), filter, page).await?;
        // What is gone has a trail, which is read at the shell.
        if !owners::exists(&*self.store, permit.on()).await? {
            return Err(AuditError::NoOwner(permit.on().clone()));
        }
        Ok(entries)
    }

    /// Who has entries in an owner's trail, those who acted last first.
    pub async fn actors(&self, permit: &Permit<ReadAudit>) -> Result<Vec<String>, StoreError> {
        self.store.audit_actors(permit.on(), MAX_ACTORS).await
    }

    /// Whoever has a trail, or a part of one, by kind and id; also owners that are gone.
    pub async fn owners(
        &self,
        _permit: &Permit<ManageWorkspaces>,
        page: &Page<Owner>,
    ) -> Result<Vec<Owner>, StoreError> {
        self.store.audit_owners(page).await
    }

    /// Where one trail ends.
    pub async fn head(&self, permit: &Permit<ReadAudit>) -> Result<AuditHead, StoreError> {
        Ok(self.store.audit_head(permit.on()).await?.unwrap_or(AuditHead::EMPTY))
    }

    /// A portion of an owner's trail, the oldest entry first, after this one.
    pub async fn entries(&self, permit: &Permit<ReadAudit>, after: u64) -> Result<Vec<AuditEntry>, StoreError> {
        self.store.audit_entries(permit.on(), &Page { after: Some(after), limit: PORTION }).await
    }

    /// Walks along a trail and finds its first flaw; without one, where the trail ends. `expected` is a head that it had
    /// at some time. Changes that are made meanwhile are no flaws.
    pub async fn verify(
        &self,
        permit: &Permit<ReadAudit>,
        expected: Option<AuditHead>,
    ) -> Result<Result<AuditHead, Flaw>, AuditError> {
        let mut walk = Walk::begin(permit.on().clone(), expected);
        let mut before = None;
        loop {
            // What the head tells of was committed before it was read, so it is found by what is read after.
            let head = self.head(permit).await?;
            if let Err(flaw) = self.walk_on(permit, &mut walk).await? {
                return Ok(Err(flaw));
            }
            if walk.last().sequence <= head.sequence || before == Some(head) {
                // A name that was mistyped must not count as whole.
                if walk.last() == AuditHead::EMPTY && !owners::exists(&*self.store, permit.on()).await? {
                    return Err(AuditError::NoOwner(permit.on().clone()));
                }
                return Ok(walk.end(head));
            }
            // What lies behind the head may have been entered since; then the head has moved.
            before = Some(head);
        }
    }

    async fn walk_on(&self, permit: &Permit<ReadAudit>, walk: &mut Walk) -> Result<Result<(), Flaw>, StoreError> {
        loop {
            // From the very beginning at first: a number below 1 is a flaw, too.
            let after = Some(walk.last().sequence).filter(|last| *last > 0);
            let entries = self.store.audit_entries(permit.on(), &Page { after, limit: PORTION }).await?;
            if entries.is_empty() {
                return Ok(Ok(()));
            }
            if let Err(flaw) = entries.iter().try_for_each(|entry| walk.step(entry)) {
                return Ok(Err(flaw));
            }
        }
    }
}
