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

/// How many entries are looked through for one page, or for people: so many take some milliseconds, however long the trail.
const SEARCHED: u32 = 10_000;

/// A page of a trail.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LogPage {
    /// The newest first.
    pub entries: Vec<AuditEntry>,
    /// What the next page comes before. There may be one where this one has room left, or is empty: only so much is
    /// looked through at once for what a filter asks for.
    pub next: Option<u64>,
}

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
    ) -> Result<LogPage, AuditError> {
        let from = self.searched_from(permit.on(), filter, page.after).await?;
        // One more than is asked for tells whether there are older ones.
        let portion = Page { limit: page.limit + 1, ..page.clone() };
        let mut entries = self.store.audit_log(permit.on(), filter, from, &portion).await?;
        // What is gone has a trail, which is read at the shell.
        if !owners::exists(&*self.store, permit.on()).await? {
            return Err(AuditError::NoOwner(permit.on().clone()));
        }
        let room = usize::try_from(page.limit).unwrap_or(usize::MAX);
        let next = if entries.len() > room {
            entries.truncate(room);
            entries.last().map(|entry| entry.sequence)
        } else {
            Some(from).filter(|from| *from > 1)
        };
        Ok(LogPage { entries, next })
    }

    /// The oldest entry that is looked at for a page. Without a filter a page ends by itself.
    async fn searched_from(&self, owner: &Owner, filter: &AuditFilter, before: Option<u64>) -> Result<u64, StoreError> {
        if *filter == AuditFilter::default() {
            return Ok(0);
        }
        let newest = Page { after: before, limit: 1 };
        let newest = self.store.audit_log(owner, &AuditFilter::default(), 0, &newest).await?;
        Ok(newest.first().map_or(0, |newest| (newest.sequence + 1).saturating_sub(u64::from(SEARCHED))))
    }

    /// Who made the newest entries of an owner's trail, those who acted last first.
    pub async fn actors(&self, permit: &Permit<ReadAudit>) -> Result<Vec<String>, StoreError> {
        self.store.audit_actors(permit.on(), SEARCHED, MAX_ACTORS).await
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
