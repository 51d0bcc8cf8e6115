//! An app on throw-away data.

use std::sync::Arc;

use claviger_app::access::{ManageKeys, ManageWorkspaces, Permit, Principal};
use claviger_app::keys::PutKey;
use claviger_app::tokens::{CreateToken, TokenHolder};
use claviger_app::{App, KeyRecord, Parts, StartError, Store};
use claviger_core::access::TokenRole;
use claviger_core::{Catalogue, KeySecret, Owner, WorkspaceId};
use claviger_seal::{MasterKey, TokenHash};
use claviger_store_sqlite::SqliteStore;
use tempfile::TempDir;
use zeroize::Zeroizing;

use crate::{ManualClock, random_secret};

/// An app on a database in a temporary folder, which goes with it.
#[derive(Debug)]
pub struct TestApp {
    /// The app.
    pub app: Arc<App>,
    /// Its clock.
    pub clock: Arc<ManualClock>,
    /// Its database.
    pub store: Arc<dyn Store>,
    folder: Arc<TempDir>,
    master: Arc<Zeroizing<String>>,
}

impl TestApp {
    /// A new one, with nothing in it.
    pub async fn new() -> Self {
        Self::with_catalogue(Catalogue::builtin().expect("the catalogue")).await
    }

    /// A new one, for these providers.
    pub async fn with_catalogue(catalogue: Catalogue) -> Self {
        let folder = Arc::new(tempfile::tempdir().expect("a temporary folder"));
        let master = Arc::new(MasterKey::generate().expect("randomness"));
        Self::open(folder, master, catalogue).await.expect("a new app starts")
    }

    /// Another app on the same database, as another process has it.
    pub async fn beside(&self) -> Self {
        let catalogue = self.app.catalogue.clone();
        let opened = Self::open(Arc::clone(&self.folder), Arc::clone(&self.master), catalogue).await;
        opened.expect("an app starts beside another")
    }

    /// Tries to start on the same database with another master key.
    pub async fn beside_with_other_master_key(&self) -> Result<Self, StartError> {
        let master = Arc::new(MasterKey::generate().expect("randomness"));
        Self::open(Arc::clone(&self.folder), master, self.app.catalogue.clone()).await
    }

    async fn open(
        folder: Arc<TempDir>,
        master: Arc<Zeroizing<String>>,
        catalogue: Catalogue,
    ) -> Result<Self, StartError> {
        let store = SqliteStore::open(&folder.path().join("claviger.db")).await.expect("a database");
        let store: Arc<dyn Store> = Arc::new(store);
        let clock = Arc::new(ManualClock::new());
        let parts = Parts {
            store: Arc::clone(&store),
            master: MasterKey::parse(&master).expect("a master key"),
            catalogue,
            clock: Arc::clone(&clock) as _,
            cache_entries: 1_000,
        };
        let app = Arc::new(App::start(parts).await?);
        Ok(Self { app, clock, store, folder, master })
    }

    /// Lets a root token in.
    pub async fn root_token(&self) -> String {
        let token = random_secret();
        self.app.admit_root(Some(TokenHash::of(token.as_bytes()))).await.expect("a root token");
        token
    }

    /// Makes a workspace.
    pub async fn workspace(&self, id: &str) -> WorkspaceId {
        let permit = Principal::operator().permit::<ManageWorkspaces>(None).expect("the operator may");
        let id: WorkspaceId = id.parse().expect("an id");
        self.app.workspaces.put(&permit, id.clone(), None).await.expect("a workspace");
        id
    }

    /// The permission to manage a workspace's keys.
    #[must_use]
    pub fn manage_keys(&self, workspace: &WorkspaceId) -> Permit<ManageKeys> {
        let owner = Owner::Workspace(workspace.clone());
        Principal::operator().permit_on(owner, None).expect("the operator may")
    }

    /// Adds a key with a random secret.
    pub async fn key(&self, workspace: &WorkspaceId, provider: &str) -> KeyRecord {
        let put = put_key(provider, &random_secret());
        self.app.keys.add(&self.manage_keys(workspace), put).await.expect("a key")
    }

    /// Makes a runtime token of a workspace.
    pub async fn runtime_token(&self, workspace: &WorkspaceId) -> String {
        let permit = Principal::operator().permit_tokens(None).expect("the operator may");
        let create = CreateToken {
            name: "test".to_owned(),
            holder: TokenHolder::Workspace(TokenRole::Runtime, workspace.clone()),
            reveal: false,
            expires_at: None,
        };
        let (token, _) = self.app.tokens.create(&permit, create).await.expect("a token");
        token.reveal_once().to_owned()
    }
}

/// A key to put, with this secret.
#[must_use]
pub fn put_key(provider: &str, secret: &str) -> PutKey {
    PutKey {
        provider: provider.parse().expect("a provider id"),
        secret: KeySecret::parse(&Zeroizing::new(secret.to_owned())).expect("a secret"),
        name: None,
    }
}
