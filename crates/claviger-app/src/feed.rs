//! What follows from a change: whatever is kept of it in memory goes.

use std::sync::Arc;

use claviger_core::Owner;
use claviger_store::{Change, ChangeSink};

use crate::access::Access;
use crate::keyring::Keyring;

/// Drops what changes make untrue. Hears of this process's changes from the use cases, before they answer, and of other
/// processes' from the store.
#[derive(Debug)]
pub(crate) struct Feed {
    pub(crate) access: Arc<Access>,
    pub(crate) keyring: Arc<Keyring>,
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
            // Told by who watches the database: it is heard of from here on.
            Change::Everything => self.forget_all(true),
        }
    }
}

impl Feed {
    /// Changes by other processes are not heard of any more: nothing that is kept can be trusted.
    pub(crate) fn lost(&self) {
        self.forget_all(false);
    }

    fn forget_all(&self, hearing: bool) {
        self.keyring.forget_all(hearing);
        self.access.forget_all(hearing);
    }
}
