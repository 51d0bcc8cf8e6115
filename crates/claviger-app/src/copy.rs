//! A whole deployment, copied from one database to another. Everything stays sealed as it is: no master key is needed,
//! and the same one opens it afterwards.

use std::collections::HashMap;
use std::fmt;

use claviger_core::Owner;
use claviger_store::{CopyError as StoreCopyError, Counts, OwnerCopy, Page, Store, StoreError};

/// How many owners are copied at once: as one transaction.
const PAGE: u32 = 500;

/// A deployment could not be copied.
#[derive(Debug, thiserror::Error)]
pub enum CopyError {
    /// There is nothing to copy.
    #[error("the source holds no deployment: no master key was ever used with it")]
    Empty,
    /// Something else is there already.
    #[error("the target holds another deployment, sealed under another master key or begun apart from this one")]
    OtherDeployment,
    /// The target has more than the source.
    #[error("the source has {from}, and the target has {to} now: {why}")]
    CountsDiffer {
        /// What the source has.
        from: Counted,
        /// What the target has.
        to: Counted,
        /// What may have happened.
        why: &'static str,
    },
    /// The source does not answer as it should.
    #[error("reading from the source failed; what was copied stays, and copying again goes on from there")]
    Source(#[source] StoreError),
    /// The target does not take what it should.
    #[error("writing to the target failed; what was copied stays, and copying again goes on from there")]
    Target(#[source] StoreCopyError),
}

/// Counts in words.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Counted(pub Counts);

impl fmt::Display for Counted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Counts { organizations, workspaces, keys, tokens, .. } = self.0;
        write!(f, "{organizations} organizations, {workspaces} workspaces, {keys} keys and {tokens} tokens")
    }
}

/// How far copying has come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Progress {
    /// Owners that are in the target as they are in the source.
    pub done: u64,
    /// Of them those that were there before.
    pub unchanged: u64,
    /// Owners in all.
    pub all: u64,
}

/// Copies everything. Owners that are in the target already, as they are in the source, are left alone, so that a copy
/// that was broken off goes on where it ended. At the end both sides are counted. What the source does meanwhile may or
/// may not be copied: stop its servers first.
pub async fn copy(from: &dyn Store, to: &dyn Store, progress: impl Fn(Progress)) -> Result<Counts, CopyError> {
    claim(from, to).await?;
    let counts = from.counts().await.map_err(CopyError::Source)?;
    // The platform is an owner, too.
    let mut at = Progress { done: 0, unchanged: 0, all: counts.organizations + counts.workspaces + 1 };
    progress(at);
    let mut page = Page { after: None, limit: PAGE };
    loop {
        let owners = from.owners(&page).await.map_err(CopyError::Source)?;
        let Some(last) = owners.last() else {
            break;
        };
        let next = last.owner.clone();
        at.done += owners.len() as u64;
        let changed = changed(to, &page, owners, &mut at).await?;
        if !changed.is_empty() {
            to.put_owners(&changed).await.map_err(CopyError::Target)?;
        }
        progress(at);
        page.after = Some(next);
    }
    check(from, to).await
}

/// Makes sure that the target is empty or holds an earlier copy, and puts this deployment's canary there.
async fn claim(from: &dyn Store, to: &dyn Store) -> Result<(), CopyError> {
    let target = |error: StoreError| CopyError::Target(error.into());
    let canary = from.canary().await.map_err(CopyError::Source)?.ok_or(CopyError::Empty)?;
    if to.canary().await.map_err(target)?.is_none() && to.counts().await.map_err(target)? != Counts::default() {
        return Err(CopyError::OtherDeployment);
    }
    if to.put_canary_if_absent(&canary).await.map_err(target)? != canary {
        return Err(CopyError::OtherDeployment);
    }
    if let Some(hash) = from.root_token_hash().await.map_err(CopyError::Source)?
        && to.put_root_token_hash_if_absent(&hash).await.map_err(target)? != hash
    {
        return Err(CopyError::OtherDeployment);
    }
    Ok(())
}

/// The owners that are not in the target, or are there otherwise.
async fn changed(
    to: &dyn Store,
    page: &Page<Owner>,
    owners: Vec<OwnerCopy>,
    at: &mut Progress,
) -> Result<Vec<OwnerCopy>, CopyError> {
    let there = to.owners(page).await.map_err(|error| CopyError::Target(error.into()))?;
    let there: HashMap<_, _> = there.iter().map(|there| (&there.owner, there)).collect();
    let before = owners.len();
    let changed: Vec<_> = owners.into_iter().filter(|owner| there.get(&owner.owner) != Some(&owner)).collect();
    at.unchanged += (before - changed.len()) as u64;
    Ok(changed)
}

async fn check(from: &dyn Store, to: &dyn Store) -> Result<Counts, CopyError> {
    let source = from.counts().await.map_err(CopyError::Source)?;
    let target = to.counts().await.map_err(|error| CopyError::Target(error.into()))?;
    if source == target {
        return Ok(target);
    }
    let why = "servers worked on one of them meanwhile, or the target was in use before; stop them, and copy again into \
               an empty database";
    Err(CopyError::CountsDiffer { from: Counted(source), to: Counted(target), why })
}
