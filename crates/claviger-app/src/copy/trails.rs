//! Audit trails on their way to another database: entry by entry as they are, since their hashes cover them.

use std::collections::HashMap;

use claviger_core::Owner;
use claviger_core::audit::{AuditEntry, AuditHead};
use claviger_store::{Page, Store, StoreError};

use super::{CopyError, Existing, PAGE};

/// How many entries are copied at once.
const PORTION: u32 = 1_000;

fn target(error: StoreError) -> CopyError {
    CopyError::Target(error.into())
}

/// Makes sure that each trail in the target is one of the source's, or the beginning of it.
pub(super) async fn check_unused(from: &dyn Store, to: &dyn Store) -> Result<(), CopyError> {
    let mut page = Page { after: None, limit: PAGE };
    loop {
        let there = to.audit_heads(&page).await.map_err(target)?;
        let Some((last, _)) = there.last() else {
            return Ok(());
        };
        let next = last.clone();
        let here: HashMap<_, _> = from.audit_heads(&page).await.map_err(CopyError::Source)?.into_iter().collect();
        for (owner, head) in there {
            if here.get(&owner) != Some(&head) && !has(from, &owner, head).await? {
                return Err(CopyError::Changed(owner));
            }
        }
        page.after = Some(next);
    }
}

/// Copies what the target lacks of each trail, also of owners that are gone.
pub(super) async fn copy(from: &dyn Store, to: &dyn Store, existing: Existing) -> Result<(), CopyError> {
    let mut batch = Batch { to, trails: Vec::new(), entries: 0 };
    let mut page = Page { after: None, limit: PAGE };
    loop {
        let heads = from.audit_heads(&page).await.map_err(CopyError::Source)?;
        let Some((last, _)) = heads.last() else {
            return batch.store().await;
        };
        let next = last.clone();
        let there: HashMap<_, _> = to.audit_heads(&page).await.map_err(target)?.into_iter().collect();
        // Beyond the last one that was read there may be more.
        let all_read = there.len() < PAGE as usize;
        for (owner, head) in heads {
            let there = match there.get(&owner) {
                Some(there) => *there,
                None if all_read => AuditHead::EMPTY,
                None => to.audit_head(&owner).await.map_err(target)?.unwrap_or(AuditHead::EMPTY),
            };
            if there == head {
                continue;
            }
            let is_beginning = has(from, &owner, there).await?;
            if !is_beginning && existing == Existing::Keep {
                return Err(CopyError::Changed(owner));
            }
            copy_one(from, &mut batch, &owner, if is_beginning { there.sequence } else { 0 }).await?;
        }
        page.after = Some(next);
    }
}

/// Trails on their way: stored together, since most are short, and a transaction for each would take longer than all the
/// rest.
struct Batch<'a> {
    to: &'a dyn Store,
    trails: Vec<(Owner, Vec<AuditEntry>)>,
    entries: usize,
}

impl Batch<'_> {
    async fn add(&mut self, owner: &Owner, entries: Vec<AuditEntry>) -> Result<(), CopyError> {
        self.entries += entries.len();
        self.trails.push((owner.clone(), entries));
        if self.entries < PORTION as usize {
            return Ok(());
        }
        self.store().await
    }

    async fn store(&mut self) -> Result<(), CopyError> {
        if !self.trails.is_empty() {
            self.to.put_audit(&self.trails).await.map_err(target)?;
        }
        self.trails.clear();
        self.entries = 0;
        Ok(())
    }
}

/// Whether a trail of the source had this head at some time.
async fn has(from: &dyn Store, owner: &Owner, head: AuditHead) -> Result<bool, CopyError> {
    let Some(before) = head.sequence.checked_sub(1) else {
        return Ok(true);
    };
    let page = Page { after: Some(before), limit: 1 };
    let entries = from.audit_entries(owner, &page).await.map_err(CopyError::Source)?;
    Ok(entries.first().is_some_and(|entry| entry.sequence == head.sequence && entry.hash == head.hash))
}

async fn copy_one(from: &dyn Store, batch: &mut Batch<'_>, owner: &Owner, after: u64) -> Result<(), CopyError> {
    let mut after = after;
    loop {
        let page = Page { after: Some(after), limit: PORTION };
        let entries = from.audit_entries(owner, &page).await.map_err(CopyError::Source)?;
        let Some(last) = entries.last() else {
            return Ok(());
        };
        after = last.sequence;
        let is_last = entries.len() < PORTION as usize;
        batch.add(owner, entries).await?;
        if is_last {
            return Ok(());
        }
    }
}
