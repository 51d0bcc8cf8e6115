//! Audit trails on their way to another database: entry by entry as they are, since their hashes cover them.

use claviger_core::Owner;
use claviger_core::audit::AuditHead;
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
        page.after = Some(last.clone());
        for (owner, head) in there {
            if !has(from, &owner, head).await? {
                return Err(CopyError::Changed(owner));
            }
        }
    }
}

/// Copies what the target lacks of each trail, also of owners that are gone.
pub(super) async fn copy(from: &dyn Store, to: &dyn Store, existing: Existing) -> Result<(), CopyError> {
    let mut page = Page { after: None, limit: PAGE };
    loop {
        let heads = from.audit_heads(&page).await.map_err(CopyError::Source)?;
        let Some((last, _)) = heads.last() else {
            return Ok(());
        };
        page.after = Some(last.clone());
        for (owner, head) in heads {
            let there = to.audit_head(&owner).await.map_err(target)?.unwrap_or(AuditHead::EMPTY);
            if there == head {
                continue;
            }
            let is_beginning = has(from, &owner, there).await?;
            if !is_beginning && existing == Existing::Keep {
                return Err(CopyError::Changed(owner));
            }
            copy_one(from, to, &owner, if is_beginning { there.sequence } else { 0 }).await?;
        }
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

async fn copy_one(from: &dyn Store, to: &dyn Store, owner: &Owner, after: u64) -> Result<(), CopyError> {
    let mut after = after;
    loop {
        let page = Page { after: Some(after), limit: PORTION };
        let entries = from.audit_entries(owner, &page).await.map_err(CopyError::Source)?;
        let Some(last) = entries.last() else {
            return Ok(());
        };
        after = last.sequence;
        to.put_audit(owner, &entries).await.map_err(target)?;
    }
}
