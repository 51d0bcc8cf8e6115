//! Claviger's use cases: the only place where the store and the seals meet.

pub mod access;
mod feed;
pub mod keyring;
pub mod keys;
mod live;
mod start;
pub mod tokens;
pub mod workspaces;

use std::sync::Arc;

use claviger_core::{Catalogue, Clock};
use claviger_seal::{MasterKey, NewToken, TokenHash};
use claviger_store::ChangeSink;

pub use claviger_store::{KeyRecord, KeyReplacement, Page, Store, StoreError, TokenRecord, Workspace};
pub use start::StartError;

use access::Access;
use feed::Feed;
use keyring::Keyring;
use keys::Keys;
use tokens::Tokens;
use workspaces::Workspaces;

/// What Claviger is made of.
#[derive(Debug)]
pub struct Parts {
    /// The database.
    pub store: Arc<dyn Store>,
    /// The master key.
    pub master: MasterKey,
    /// The providers.
    pub catalogue: Catalogue,
    /// Where "now" comes from.
    pub clock: Arc<dyn Clock>,
    /// How many pools and how many tokens are kept in memory at most.
    pub cache_entries: usize,
}

/// The use cases, put together.
#[derive(Debug)]
pub struct App {
    /// Who asks, and what they may do.
    pub access: Arc<Access>,
    /// The live pools.
    pub keyring: Arc<Keyring>,
    /// Keys.
    pub keys: Keys,
    /// Tokens.
    pub tokens: Tokens,
    /// Workspaces.
    pub workspaces: Workspaces,
    /// The providers.
    pub catalogue: Catalogue,
    store: Arc<dyn Store>,
    feed: Arc<Feed>,
}

impl App {
    /// Proves the master key and puts everything together. There is no root token yet.
    pub async fn start(parts: Parts) -> Result<Self, StartError> {
        let Parts { store, master, catalogue, clock, cache_entries } = parts;
        start::prove(&*store, &master).await?;
        let master = Arc::new(master);
        let access = Arc::new(Access::new(Arc::clone(&store), Arc::clone(&clock), cache_entries));
        let keyring =
            Keyring::new(Arc::clone(&store), Arc::clone(&master), Arc::clone(&clock), &catalogue, cache_entries);
        let keyring = Arc::new(keyring);
        let feed = Arc::new(Feed { access: Arc::clone(&access), keyring: Arc::clone(&keyring) });
        let keys = Keys {
            store: Arc::clone(&store),
            master,
            clock: Arc::clone(&clock),
            keyring: Arc::clone(&keyring),
            feed: Arc::clone(&feed),
        };
        let tokens = Tokens { store: Arc::clone(&store), clock: Arc::clone(&clock), feed: Arc::clone(&feed) };
        let workspaces = Workspaces { store: Arc::clone(&store), clock, feed: Arc::clone(&feed) };
        Ok(Self { access, keyring, keys, tokens, workspaces, catalogue, store, feed })
    }

    /// Lets a root token in: the one given from outside, or the one whose hash is stored, or else a new one, which comes
    /// back to be shown this once.
    pub async fn admit_root(&self, given: Option<TokenHash>) -> Result<Option<NewToken>, StartError> {
        let (root, made) = start::root_token(&*self.store, given).await?;
        self.access.admit_root(root);
        Ok(made)
    }

    /// Whether Claviger can serve: the database answers. (The master key was proven at the start.)
    pub async fn ready(&self) -> Result<(), StoreError> {
        self.store.ping().await
    }

    /// Hears of changes that other processes make to the database, as long as the future is polled. Nothing that is in
    /// memory can be trusted once it ends, so all of it is dropped, and nothing is kept until it hears again.
    pub async fn watch(&self) -> StoreError {
        let sink: Arc<dyn ChangeSink> = Arc::clone(&self.feed) as _;
        let error = self.store.watch(sink).await;
        self.feed.lost();
        error
    }

    /// Writes what is in memory only, and lets go of the database.
    pub async fn close(&self) -> Result<(), StoreError> {
        let written = self.keyring.write_uses().await;
        self.store.close().await;
        written
    }
}
