//! A whole deployment, copied from one database to another. Everything stays sealed as it is: no master key is needed,
//! and the same one opens it afterwards.
//!
//! Owners are stored in their order, a page of them at once. So a copy that was broken off has the first pages, and
//! nothing of those after them. A target that has anything else was used since, and what it has and the source has not
//! must not be lost unasked: a leaked key that was replaced there would serve again, and so would a deleted token.

mod trails;

use std::collections::HashMap;
use std::fmt;

use claviger_core::{KeyStatus, Owner};
use claviger_store::{
    CopyError as StoreCopyError, Counts, OwnerCopy, OwnerKindCopy, Page, Store, StoreError, UseCounts,
};

/// How many owners are copied at once: as one transaction. With another number, a copy that an older version began does
/// not go on.
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
    /// The target has an owner otherwise than the source. Nothing was copied.
    #[error("{USED}: {0} is not there what it is in the source; nothing was changed")]
    Changed(Owner),
    /// The target has not this owner, and others of its page. Nothing was copied.
    #[error("{USED}: {0} is in the source and not there; nothing was changed")]
    Gone(Owner),
    /// The target has an owner that the source has not. Nothing was copied.
    #[error("{USED}: {0} is there and not in the source; nothing was changed, and only an empty database will do")]
    Added(Owner),
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

/// The same traces are left by a source whose servers went on.
const USED: &str = "the target was used since it was copied, or the source";

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

/// What becomes of owners that are in the target already.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Existing {
    /// They are left alone. Where the target was used since it was copied, nothing is copied at all.
    Keep,
    /// They become what they are in the source.
    Overwrite,
}

/// Copies everything. A copy that was broken off goes on where it ended. At the end both sides are counted. What the
/// source does meanwhile may or may not be copied: stop its servers first.
pub async fn copy(
    from: &dyn Store,
    to: &dyn Store,
    existing: Existing,
    progress: impl Fn(Progress),
) -> Result<Counts, CopyError> {
    claim(from, to).await?;
    if existing == Existing::Keep {
        check_unused(from, to).await?;
        trails::check_unused(from, to).await?;
    }
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
        let changed = changed(to, &page, owners, existing, &mut at).await?;
        if !changed.is_empty() {
            to.put_owners(&changed).await.map_err(CopyError::Target)?;
        }
        progress(at);
        page.after = Some(next);
    }
    trails::copy(from, to, existing).await?;
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
    // By them the target's starts know a master key that was withdrawn too early.
    for former in from.former_canaries().await.map_err(CopyError::Source)? {
        to.put_former_canary(&former).await.map_err(target)?;
    }
    if let Some(hash) = from.root_token_hash().await.map_err(CopyError::Source)?
        && to.put_root_token_hash_if_absent(&hash).await.map_err(target)? != hash
    {
        return Err(CopyError::OtherDeployment);
    }
    Ok(())
}

/// Makes sure that the target has whole pages of the source, from the first one on, and nothing else.
async fn check_unused(from: &dyn Store, to: &dyn Store) -> Result<(), CopyError> {
    let mut page = Page { after: None, limit: PAGE };
    loop {
        let there = to.owners(&page).await.map_err(|error| CopyError::Target(error.into()))?;
        let there = lasting(there);
        if there.is_empty() {
            return Ok(());
        }
        let here = from.owners(&page).await.map_err(CopyError::Source)?;
        page.after = here.last().map(|last| last.owner.clone());
        if let Some(difference) = difference(&lasting(here), &there) {
            return Err(difference);
        }
    }
}

/// The owners that have anything, without what running servers note: how keys fare, and when they were used.
fn lasting(mut owners: Vec<OwnerCopy>) -> Vec<OwnerCopy> {
    // Every database has a platform from its beginning.
    owners.retain(|owner| !is_empty_platform(owner));
    for key in owners.iter_mut().flat_map(|owner| &mut owner.pools).flat_map(|pool| &mut pool.keys) {
        key.record.status = KeyStatus::Active;
        key.record.ailment = None;
        key.record.domain = None;
        key.record.counts = UseCounts::default();
        key.record.last_used_at = None;
    }
    owners
}

fn is_empty_platform(copy: &OwnerCopy) -> bool {
    let OwnerCopy { owner: _, kind, data_key, pools, tokens, webhooks } = copy;
    let nothing = data_key.is_none() && pools.is_empty() && tokens.is_empty() && webhooks.is_empty();
    *kind == OwnerKindCopy::Platform && nothing
}

/// What owners are ordered by.
fn place(copy: &OwnerCopy) -> (&str, &str) {
    (copy.owner.kind().as_str(), copy.owner.id())
}

/// The first difference between two pages.
fn difference(here: &[OwnerCopy], there: &[OwnerCopy]) -> Option<CopyError> {
    let same = here.iter().zip(there).take_while(|(here, there)| here == there).count();
    match (here.get(same), there.get(same)) {
        (None, None) => None,
        (Some(here), Some(there)) if here.owner == there.owner => Some(CopyError::Changed(here.owner.clone())),
        (Some(here), Some(there)) if place(there) < place(here) => Some(CopyError::Added(there.owner.clone())),
        (Some(here), _) => Some(CopyError::Gone(here.owner.clone())),
        (None, Some(there)) => Some(CopyError::Added(there.owner.clone())),
    }
}

/// The owners that are not in the target, or are there otherwise and to be overwritten.
async fn changed(
    to: &dyn Store,
    page: &Page<Owner>,
    owners: Vec<OwnerCopy>,
    existing: Existing,
    at: &mut Progress,
) -> Result<Vec<OwnerCopy>, CopyError> {
    let there = to.owners(page).await.map_err(|error| CopyError::Target(error.into()))?;
    let there: HashMap<_, _> = there.iter().map(|there| (&there.owner, there)).collect();
    let before = owners.len();
    let stays = |owner: &OwnerCopy| {
        let kept = |there: &OwnerCopy| existing == Existing::Keep && !is_empty_platform(there);
        there.get(&owner.owner).is_some_and(|there| *there == owner || kept(there))
    };
    let changed: Vec<_> = owners.into_iter().filter(|owner| !stays(owner)).collect();
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
