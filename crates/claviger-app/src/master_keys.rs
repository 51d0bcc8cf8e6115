//! Master keys: which one is in use, how it is changed for another, and which ones are still needed.
//!
//! The database says which master key is in use: the one that sealed the canary. Every process seals new data keys with
//! that one, and opens old ones with whichever of its master keys they name. So a rotation needs no process to be
//! stopped: the canary is replaced, from where on no data key comes to be under the old master key (the store refuses
//! it), and then the data keys under it are sealed anew, one after the other. A data key stays the same key, so that
//! nothing in memory becomes untrue. What is left to do stands in the rows themselves: a rotation that was broken off at
//! any point goes on when it is begun again, and several at once do each other no harm.

use std::collections::BTreeSet;
use std::fmt;

use claviger_core::Owner;
use claviger_core::audit::Act;
use claviger_seal::{MasterKey, MasterKeyId, MasterKeys, OpenError, ResealError, SealError};
use claviger_store::{NODE_LEASE, NodesWithoutIt, Replaced, RunningNode, SealedDataKey, Store, StoreError};
use futures_util::future::try_join_all;
use tokio::time::{Instant, sleep};

/// How many data keys are read at once.
const PAGE: u32 = 200;
/// How many are sealed anew at once: PostgreSQL writes what commits together to the disk together.
const AT_ONCE: usize = 8;

/// Nothing can be sealed for an owner that has no data key yet.
#[derive(Debug, thiserror::Error)]
pub(crate) enum InUseError {
    /// The master key in use was not given to this process, or the canary is damaged.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// See [`StoreError`].
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The master key in use.
pub(crate) async fn in_use<'k>(store: &dyn Store, master_keys: &'k MasterKeys) -> Result<&'k MasterKey, InUseError> {
    match store.canary().await? {
        Some(canary) => Ok(master_keys.of_canary(&canary)?),
        None => Ok(master_keys.wanted()),
    }
}

/// Why a node cannot serve.
#[derive(Debug, thiserror::Error)]
pub enum NotReady {
    /// The master key in use was not given to it.
    #[error("the master key that is in use was not given to this node, or cannot be proven")]
    MasterKey(#[source] OpenError),
    /// See [`StoreError`].
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<InUseError> for NotReady {
    fn from(error: InUseError) -> Self {
        match error {
            InUseError::Open(error) => Self::MasterKey(error),
            InUseError::Store(error) => Self::Store(error),
        }
    }
}

/// How things stand with the master keys.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Status {
    /// The master keys that are given, in use, or needed; the one in use first.
    pub keys: Vec<KeyStatus>,
    /// How many data keys are damaged: they name a master key that was never in use.
    pub damaged: u64,
    /// The nodes that run.
    pub nodes: Vec<RunningNode>,
}

/// How things stand with one master key.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct KeyStatus {
    /// The key's id.
    pub id: MasterKeyId,
    /// Whether new data keys are sealed under it.
    pub is_in_use: bool,
    /// Whether this process has it.
    pub is_given: bool,
    /// Whether a rotation of this process puts it into use.
    pub is_wanted: bool,
    /// How many data keys are sealed under it.
    pub data_keys: u64,
}

/// What a master key is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Standing {
    /// New data keys are sealed under it.
    InUse,
    /// Data keys are still sealed under it.
    StillNeeded,
    /// It was in use, and nothing is sealed under it any more.
    CanBeWithdrawn,
    /// The next rotation puts it into use.
    Next,
}

impl KeyStatus {
    /// What it is for. The wanted one is the next to be in use, however little is sealed under it yet.
    #[must_use]
    pub fn standing(&self) -> Standing {
        match self {
            Self { is_in_use: true, .. } => Standing::InUse,
            Self { data_keys: 1.., .. } => Standing::StillNeeded,
            Self { is_given: true, is_wanted: false, .. } => Standing::CanBeWithdrawn,
            Self { .. } => Standing::Next,
        }
    }

    /// Whether something cannot be opened without it.
    #[must_use]
    pub fn is_needed(&self) -> bool {
        self.is_in_use || self.data_keys > 0
    }
}

impl Status {
    /// How many data keys a rotation would still have to seal anew.
    #[must_use]
    pub fn left(&self) -> u64 {
        self.keys.iter().filter(|key| !key.is_in_use).map(|key| key.data_keys).sum()
    }
}

/// Looks how things stand. Proves nothing, so that it also tells of keys that are missing.
pub async fn status(store: &dyn Store, master_keys: &MasterKeys) -> Result<Status, StoreError> {
    look(store, master_keys, None).await
}

/// The same, where each count ends at `most`, so that it costs no more however many data keys there are.
pub(crate) async fn status_up_to(store: &dyn Store, master_keys: &MasterKeys, most: u32) -> Result<Status, StoreError> {
    look(store, master_keys, Some(most)).await
}

async fn look(store: &dyn Store, master_keys: &MasterKeys, most: Option<u32>) -> Result<Status, StoreError> {
    let count = async |master: &[u8]| match most {
        Some(most) => store.count_data_keys_up_to(master, most).await,
        None => store.count_data_keys(master).await,
    };
    let id_of = |canary: &Vec<u8>| MasterKey::id_of_canary(canary).ok();
    let in_use = store.canary().await?.as_ref().and_then(id_of);
    let known: BTreeSet<_> =
        store.former_canaries().await?.iter().filter_map(id_of).map(MasterKeyId::to_bytes).collect();
    let mut ids: Vec<_> = in_use.into_iter().chain(master_keys.ids()).collect();
    let mut damaged = 0;
    for named in store.master_keys().await? {
        match MasterKeyId::from_slice(&named).filter(|id| known.contains(&id.to_bytes()) || ids.contains(id)) {
            Some(id) => ids.push(id),
            None => damaged += count(&named).await?,
        }
    }
    let mut keys: Vec<KeyStatus> = Vec::new();
    for id in ids {
        if keys.iter().all(|key| key.id != id) {
            let data_keys = count(&id.to_bytes()).await?;
            let (is_given, is_wanted) = (master_keys.get(id).is_some(), master_keys.wanted().id() == id);
            keys.push(KeyStatus { id, is_in_use: in_use == Some(id), is_given, is_wanted, data_keys });
        }
    }
    Ok(Status { keys, damaged, nodes: store.nodes().await? })
}

/// A rotation did not come to its end. What it did stays.
#[derive(Debug, thiserror::Error)]
pub enum RotateError {
    /// The master key in use cannot be proven.
    #[error("the master key in use cannot be proven: it was not given, or the canary in the database does not open")]
    Canary(#[source] OpenError),
    /// Some nodes do not have the master key that is to come into use.
    #[error(
        "master key {wanted} does not come into use, since {nodes} not have it yet: restart each with it as \
         vault.master_key and the one in use by vault.old_master_keys, and rotate again. Nothing was changed. One that \
         ended without a word counts for {} seconds more", NODE_LEASE.as_secs()
    )]
    NodesLackIt {
        /// The master key's id.
        wanted: MasterKeyId,
        /// The nodes that run without it.
        nodes: Lacking,
    },
    /// Somebody put yet another master key into use.
    #[error(
        "another rotation, to master key {0}, began meanwhile: give every node the same vault.master_key, and rotate again"
    )]
    Overtaken(MasterKeyId),
    /// Some data keys do not open.
    #[error(
        "{count} data keys do not open, the first one that of {first}; they stay under the old master key, and all others \
         are sealed anew. An owner whose data key is damaged can only be deleted; its keys are lost"
    )]
    Unreadable {
        /// How many.
        count: usize,
        /// Whose the first one is.
        first: Owner,
    },
    /// Sealing failed.
    #[error(transparent)]
    Seal(#[from] SealError),
    /// See [`StoreError`].
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Nodes, for people, and a verb.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Lacking(pub Vec<RunningNode>);

impl fmt::Display for Lacking {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let said = |node: &RunningNode| format!("{} (seen {} s ago)", node.node.name, node.silent_for.as_secs());
        let names: Vec<_> = self.0.iter().map(said).collect();
        match names.as_slice() {
            [name] => write!(f, "node {name} does"),
            names => write!(f, "nodes {} do", names.join(", ")),
        }
    }
}

/// How far a rotation has come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Progress {
    /// Data keys that were sealed anew.
    pub done: u64,
    /// Data keys that were to be sealed anew when it began.
    pub all: u64,
}

/// What a rotation did.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Rotated {
    /// The master key that is in use.
    pub in_use: MasterKeyId,
    /// The one that was in use before, where this rotation put another one into use.
    pub was: Option<MasterKeyId>,
    /// How many data keys it sealed anew.
    pub resealed: u64,
}

/// Puts the wanted master key into use, and seals every data key anew that is under another one, each in a transaction of
/// its own. Where another one is in use, that needs every node that runs to have the wanted one: the store looks at them
/// in the transaction that replaces the canary, and a node that begins at that moment proves the key in use after it was
/// noted. So it is either seen here, or finds the new one in use and does not start without it.
pub(crate) async fn rotate(
    store: &dyn Store,
    master_keys: &MasterKeys,
    without_it: NodesWithoutIt,
    act: &Act,
    progress: impl Fn(Progress),
) -> Result<Rotated, RotateError> {
    let wanted = master_keys.wanted();
    let was = put_into_use(store, master_keys, without_it, act).await?;
    let mut at = Progress { done: 0, all: 0 };
    for master in others(store, wanted).await? {
        at.all += store.count_data_keys(&master).await?;
    }
    progress(at);
    let mut sweep = Sweep { store, master_keys, at, progress, unreadable: Vec::new() };
    // Again until a sweep finds nothing to do: a row may have changed while it was looked at.
    while sweep.pass().await? > 0 {
        sweep.unreadable.clear();
    }
    // Also where there was nothing to do: the rotation before may have been broken off at this very point.
    store.forget_replaced().await;
    match sweep.unreadable.first() {
        Some(first) => Err(RotateError::Unreadable { count: sweep.unreadable.len(), first: first.clone() }),
        None => Ok(Rotated { in_use: wanted.id(), was, resealed: sweep.at.done }),
    }
}

/// Answers the master key that was in use before, unless it was this one.
async fn put_into_use(
    store: &dyn Store,
    master_keys: &MasterKeys,
    without_it: NodesWithoutIt,
    act: &Act,
) -> Result<Option<MasterKeyId>, RotateError> {
    let wanted = master_keys.wanted();
    loop {
        let canary = match store.canary().await? {
            Some(canary) => canary,
            None => store.put_canary_if_absent(&wanted.seal_canary()?).await?,
        };
        let was = master_keys.of_canary(&canary).map_err(RotateError::Canary)?.id();
        if was == wanted.id() {
            return Ok(None);
        }
        match store.replace_canary(&canary, &wanted.seal_canary()?, without_it, act).await? {
            Replaced::Done => return Ok(Some(was)),
            Replaced::CanaryChanged => {}
            Replaced::NodesLackIt(nodes) => {
                return Err(RotateError::NodesLackIt { wanted: wanted.id(), nodes: Lacking(nodes) });
            }
        }
    }
}

/// The master keys, but for this one, that any data key names.
async fn others(store: &dyn Store, wanted: &MasterKey) -> Result<Vec<Vec<u8>>, StoreError> {
    let mut named = store.master_keys().await?;
    named.retain(|named| *named != wanted.id().to_bytes());
    Ok(named)
}

/// What became of one data key.
enum Resealed {
    Anew,
    ChangedMeanwhile,
    /// It does not open.
    Unreadable,
}

/// A walk over the data keys that are under other master keys.
struct Sweep<'a, P> {
    store: &'a dyn Store,
    master_keys: &'a MasterKeys,
    at: Progress,
    progress: P,
    /// Owners whose data keys do not open.
    unreadable: Vec<Owner>,
}

impl<P: Fn(Progress)> Sweep<'_, P> {
    /// Tries each once; answers how many more may need another look, or were sealed anew.
    async fn pass(&mut self) -> Result<u64, RotateError> {
        let mut touched = 0;
        for master in others(self.store, self.master_keys.wanted()).await? {
            let mut after = None;
            loop {
                let page = self.store.data_keys_under(&master, after.as_ref(), PAGE).await?;
                let Some(last) = page.last() else {
                    break;
                };
                after = Some(last.owner.clone());
                for portion in page.chunks(AT_ONCE) {
                    let begun = Instant::now();
                    touched += self.reseal_all(portion).await?;
                    // Half of the time is for others that write: SQLite lets one in at a time, and does not queue them.
                    sleep(begun.elapsed()).await;
                }
            }
        }
        Ok(touched)
    }

    async fn reseal_all(&mut self, portion: &[SealedDataKey]) -> Result<u64, RotateError> {
        let mut touched = 0;
        let ends = try_join_all(portion.iter().map(|data_key| self.reseal(data_key))).await?;
        for (end, data_key) in ends.into_iter().zip(portion) {
            match end {
                Resealed::Anew => {
                    touched += 1;
                    self.at.done += 1;
                    (self.progress)(self.at);
                }
                Resealed::ChangedMeanwhile => touched += 1,
                Resealed::Unreadable => self.unreadable.push(data_key.owner.clone()),
            }
        }
        Ok(touched)
    }

    async fn reseal(&self, SealedDataKey { owner, sealed }: &SealedDataKey) -> Result<Resealed, RotateError> {
        let wanted = self.master_keys.wanted();
        let of = self.master_keys.of_data_key(sealed);
        let anew = match of.map_err(ResealError::Open).and_then(|of| wanted.reseal_data_key(of, owner, sealed)) {
            Ok(anew) => anew,
            Err(ResealError::Seal(error)) => return Err(error.into()),
            Err(ResealError::Open(error)) => {
                tracing::error!(%owner, %error, "the owner's data key does not open");
                return Ok(Resealed::Unreadable);
            }
        };
        if self.store.reseal_data_key(owner, sealed, &anew).await? {
            return Ok(Resealed::Anew);
        }
        // Most likely it went or changed.
        self.check_not_overtaken().await?;
        Ok(Resealed::ChangedMeanwhile)
    }

    async fn check_not_overtaken(&self) -> Result<(), RotateError> {
        let canary = self.store.canary().await?.unwrap_or_default();
        let in_use = MasterKey::id_of_canary(&canary).map_err(RotateError::Canary)?;
        if in_use == self.master_keys.wanted().id() { Ok(()) } else { Err(RotateError::Overtaken(in_use)) }
    }
}
