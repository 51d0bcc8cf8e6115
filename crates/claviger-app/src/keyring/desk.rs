//! Where leases report: one desk a provider, and what all desks share.

use std::sync::Arc;

use claviger_core::{Clock, Provider, Timestamp};
use parking_lot::Mutex;
use tokio::sync::Notify;

use super::known::{Changed, KnownKey};
use super::lease::ProviderCounts;
use super::pool::LiveKey;
use super::uses::UnwrittenUses;
use crate::coordination::Coordination;

/// How many findings wait at most. There are only so many keys in memory, and each waits once; beyond this, what is lost
/// is found again.
const MOST: usize = 10_000;

/// One provider's.
#[derive(Debug)]
pub(crate) struct Desk {
    pub(crate) provider: Arc<Provider>,
    /// Whether a free request shows if it takes a key, and there is somebody to send it.
    pub(crate) probed: bool,
    pub(crate) counts: ProviderCounts,
    pub(crate) shared: Arc<Shared>,
}

/// All providers'.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) coordination: Option<Arc<dyn Coordination>>,
    pub(crate) uses: UnwrittenUses,
    /// What the database has of their health is not what it is.
    pub(crate) ailments: Findings,
    /// They were refused once: a probe can tell whether they are dead.
    pub(crate) suspects: Findings,
}

/// Keys of which something was found out that somebody has yet to act on.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    list: Mutex<Vec<Finding>>,
    come: Notify,
}

/// Something was found out about a key.
#[derive(Clone, Debug)]
pub(crate) struct Finding {
    pub(crate) known: Arc<KnownKey>,
    /// Its secret, sealed: what was found out is of no other.
    pub(crate) sealed: Vec<u8>,
    /// When the request began that showed it.
    pub(crate) began: Timestamp,
}

impl Findings {
    pub(crate) fn add(&self, finding: Finding) {
        let mut list = self.list.lock();
        if let Some(known) = list.iter_mut().find(|known| Arc::ptr_eq(&known.known, &finding.known)) {
            *known = finding;
        } else if list.len() < MOST {
            list.push(finding);
        }
        drop(list);
        self.come.notify_one();
    }

    /// Puts findings back on which nobody could act, where there are no newer ones.
    pub(crate) fn put_back(&self, findings: Vec<Finding>) {
        let mut list = self.list.lock();
        for finding in findings {
            if list.len() < MOST && !list.iter().any(|newer| Arc::ptr_eq(&newer.known, &finding.known)) {
                list.push(finding);
            }
        }
    }

    pub(crate) fn take(&self) -> Vec<Finding> {
        std::mem::take(&mut self.list.lock())
    }

    pub(crate) async fn come(&self) {
        self.come.notified().await;
    }
}

impl Shared {
    /// A key's health changed: whoever has to know is told.
    pub(crate) fn changed(&self, key: &LiveKey, changed: Changed, model: Option<&str>, began: Timestamp) {
        let known = &key.known;
        let finding = || Finding { known: Arc::clone(known), sealed: key.sealed.clone(), began };
        if changed.ailment && key.is_stored {
            self.ailments.add(finding());
        }
        if changed.suspected {
            self.suspects.add(finding());
        }
        self.told(known, &changed, model);
    }

    /// Other nodes are told of what changed.
    pub(crate) fn told(&self, known: &KnownKey, changed: &Changed, model: Option<&str>) {
        let Some(coordination) = &self.coordination else {
            return;
        };
        if let Some(rest) = changed.rests {
            coordination.rest(&known.pool, known.position, None, rest);
        }
        if let Some(rest) = changed.model_rests {
            coordination.rest(&known.pool, known.position, model, rest);
        }
        if changed.healed {
            coordination.healed(&known.pool, known.position, model);
        }
    }

    /// A key has a new secret: nothing that other nodes were told of it holds any more.
    pub(crate) fn replaced(&self, known: &KnownKey) {
        if let Some(coordination) = &self.coordination {
            coordination.forget(&known.pool, known.position);
        }
    }

    pub(crate) fn healed(&self, known: &KnownKey, model: Option<&str>) {
        if let Some(coordination) = &self.coordination {
            coordination.healed(&known.pool, known.position, model);
        }
    }

    pub(crate) fn trial_over(&self, known: &KnownKey, model: Option<&str>) {
        if let Some(coordination) = &self.coordination {
            coordination.trial_over(&known.pool, known.position, model);
        }
    }
}
