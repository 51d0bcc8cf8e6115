//! Nodes tell each other, by the database, that they run and which master keys they have, so that no master key comes
//! into use that one of them does not have.

use std::sync::Arc;

use claviger_seal::{MasterKeyId, MasterKeys};
use claviger_store::{Node, Store, StoreError};

use crate::start::{StartError, prove_or_put};

/// This process's place among the nodes. It lapses where it is not renewed within [`claviger_store::NODE_LEASE`].
#[derive(Debug)]
pub struct Membership {
    store: Arc<dyn Store>,
    node: Node,
}

impl Membership {
    /// The master key in use is proven once more here: it may have become another one after it was proven, and before the
    /// node was noted. From the note on it becomes none that this node does not have.
    pub(crate) async fn begin(
        store: &Arc<dyn Store>,
        master_keys: &MasterKeys,
        name: String,
    ) -> Result<Self, StartError> {
        let ids = master_keys.ids().map(MasterKeyId::to_bytes).collect();
        let node = Node { id: rand::random(), name, master_keys: ids };
        let member = Self { store: Arc::clone(store), node };
        member.renew().await?;
        if let Err(refused) = prove_or_put(&**store, master_keys).await {
            // Where this fails as well, it lapses.
            let _ = member.leave().await;
            return Err(refused);
        }
        Ok(member)
    }

    /// Says that this node still runs.
    pub async fn renew(&self) -> Result<(), StoreError> {
        self.store.note_node(&self.node).await
    }

    /// Says that this node is about to end.
    pub async fn leave(&self) -> Result<(), StoreError> {
        self.store.forget_node(&self.node.id).await
    }
}
