//! Audit trails on their way to another database: entry by entry as they are, since their hashes cover them.

use std::cmp::Ordering;
use std::collections::VecDeque;

use claviger_core::Owner;
use claviger_core::audit::AuditHead;
use claviger_store::{Page, Store, StoreError, TrailCopy};

use super::{CopyError, Existing, PAGE};

/// How many entries are copied at once.
const PORTION: u32 = 1_000;

fn target(error: StoreError) -> CopyError {
    CopyError::Target(error.into())
}

/// Makes sure that each trail in the target is one of the source's, or the beginning of it.
pub(super) async fn check_unused(from: &dyn Store, to: &dyn Store) -> Result<(), CopyError> {
    let (mut here, mut there) = (Heads::of(from), Heads::of(to));
    while let Some((owner, head)) = there.next().await.map_err(target)? {
        let same = here.find(&owner).await.map_err(CopyError::Source)? == Some(head);
        if !same && !has(from, &owner, head).await? {
            return Err(CopyError::Changed(owner));
        }
    }
    Ok(())
}

/// Copies what the target lacks of each trail, also of owners that are gone.
pub(super) async fn copy(from: &dyn Store, to: &dyn Store, existing: Existing) -> Result<(), CopyError> {
    let mut batch = Batch { to, trails: Vec::new(), entries: 0 };
    let (mut here, mut there) = (Heads::of(from), Heads::of(to));
    while let Some((owner, head)) = here.next().await.map_err(CopyError::Source)? {
        let there = there.find(&owner).await.map_err(target)?.unwrap_or(AuditHead::EMPTY);
        if there == head {
            continue;
        }
        let is_beginning = has(from, &owner, there).await?;
        if !is_beginning && existing == Existing::Keep {
            return Err(CopyError::Changed(owner));
        }
        copy_one(from, &mut batch, owner, there, is_beginning).await?;
    }
    batch.store().await
}

/// The heads of all trails of a database, one after the other, read in pages. Two of these go side by side, whatever one
/// of them has more than the other.
struct Heads<'a> {
    of: &'a dyn Store,
    page: Page<Owner>,
    read: VecDeque<(Owner, AuditHead)>,
    is_end: bool,
}

impl<'a> Heads<'a> {
    fn of(of: &'a dyn Store) -> Self {
        Self { of, page: Page { after: None, limit: PAGE }, read: VecDeque::new(), is_end: false }
    }

    async fn next(&mut self) -> Result<Option<(Owner, AuditHead)>, StoreError> {
        self.fill().await?;
        Ok(self.read.pop_front())
    }

    /// The head of an owner, who comes after all that were asked for before.
    async fn find(&mut self, owner: &Owner) -> Result<Option<AuditHead>, StoreError> {
        loop {
            self.fill().await?;
            let Some((next, head)) = self.read.front() else {
                return Ok(None);
            };
            match place(next).cmp(&place(owner)) {
                Ordering::Less => self.read.pop_front(),
                Ordering::Equal => return Ok(Some(*head)),
                Ordering::Greater => return Ok(None),
            };
        }
    }

    async fn fill(&mut self) -> Result<(), StoreError> {
        if !self.read.is_empty() || self.is_end {
            return Ok(());
        }
        self.read = self.of.audit_heads(&self.page).await?.into();
        self.is_end = self.read.len() < PAGE as usize;
        self.page.after = self.read.back().map(|(owner, _)| owner.clone());
        Ok(())
    }
}

/// By what stores order owners.
fn place(owner: &Owner) -> (&str, &str) {
    (owner.kind().as_str(), owner.id())
}

/// Trails on their way: stored together, since most are short, and a transaction for each would take longer than all the
/// rest.
struct Batch<'a> {
    to: &'a dyn Store,
    trails: Vec<TrailCopy>,
    entries: usize,
}

impl Batch<'_> {
    /// What is as large as a portion is stored at once, so that none has two parts of one trail.
    async fn add(&mut self, trail: TrailCopy) -> Result<(), CopyError> {
        self.entries += trail.entries.len();
        self.trails.push(trail);
        if self.entries < PORTION as usize {
            return Ok(());
        }
        self.store().await
    }

    async fn store(&mut self) -> Result<(), CopyError> {
        if !self.trails.is_empty() {
            self.to.put_audit(&self.trails).await.map_err(CopyError::Target)?;
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

/// Copies what follows the head that the target has, or else the whole trail.
async fn copy_one(
    from: &dyn Store,
    batch: &mut Batch<'_>,
    owner: Owner,
    there: AuditHead,
    is_beginning: bool,
) -> Result<(), CopyError> {
    let (mut there, mut after) = (there, if is_beginning { there.sequence } else { 0 });
    loop {
        let page = Page { after: Some(after), limit: PORTION };
        let entries = from.audit_entries(&owner, &page).await.map_err(CopyError::Source)?;
        let Some(last) = entries.last() else {
            return Ok(());
        };
        let stored = AuditHead { sequence: last.sequence, hash: last.hash };
        let is_last = entries.len() < PORTION as usize;
        batch.add(TrailCopy { owner: owner.clone(), there, entries }).await?;
        if is_last {
            return Ok(());
        }
        (there, after) = (stored, stored.sequence);
    }
}
