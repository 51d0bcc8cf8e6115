//! What follows from a change: whatever is kept of it in memory goes.

use std::sync::Arc;
use std::time::Duration;

use claviger_core::Owner;
use claviger_store::{Change, ChangeSink};

use crate::access::Access;
use crate::keyring::Keyring;
use crate::trust::Trust;

/// Drops what changes make untrue. Hears of this process's changes from the use cases, before they answer, and of other
/// processes' from the store.
#[derive(Debug)]
pub(crate) struct Feed {
    pub(crate) access: Arc<Access>,
    pub(crate) keyring: Arc<Keyring>,
    pub(crate) trust: Arc<Trust>,
}

impl ChangeSink for Feed {
    fn changed(&self, change: &Change) {
        match change {
            Change::Pool(pool) => self.keyring.forget(pool),
            Change::Token(token) => self.access.forget(token),
            Change::Workspace(workspace) => {
                self.keyring.forget_owner(&Owner::Workspace(workspace.clone()));
                self.access.forget_workspace(workspace);
            }
            Change::Organization(organization) => self.keyring.forget_organization(organization),
            Change::Everything => {
                self.keyring.forget_all();
                self.access.forget_all();
            }
        }
    }

    fn now(&self) -> Duration {
        self.trust.now()
    }

    fn heard(&self, until: Duration) {
        self.trust.heard(until);
    }
}
