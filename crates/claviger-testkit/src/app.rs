//! An app on throw-away data.

use std::sync::Arc;
use std::time::Duration;

use claviger_app::access::{ListKeys, ManageKeys, ManageOrganizations, ManageWorkspaces, Permit, Principal};
use claviger_app::keyring::{Outcome, PlatformKey, Prober, Rotation};
use claviger_app::keys::PutKey;
use claviger_app::organizations::PutOrganization;
use claviger_app::portal::PortalPlace;
use claviger_app::tokens::{CreateToken, TokenHolder};
use claviger_app::webhooks::Courier;
use claviger_app::workspaces::PutWorkspace;
use claviger_app::{App, Cache, KeyRecord, Parts, StartError, Store};
use claviger_core::access::TokenRole;
use claviger_core::health::{Class, Verdict};
use claviger_core::net::Reach;
use claviger_core::{Catalogue, KeySecret, OrganizationId, Owner, WorkspaceId};
use claviger_seal::{MasterKey, MasterKeys, TokenHash};
use claviger_store_sqlite::SqliteStore;
use tempfile::TempDir;
use zeroize::Zeroizing;

use crate::{ManualClock, random_secret};

/// What a test app is made with.
#[derive(Debug)]
pub struct TestSettings {
    /// The providers.
    pub catalogue: Catalogue,
    /// The operator's keys that are given from outside.
    pub platform_keys: Vec<PlatformKey>,
    /// How pools rotate, and who lends.
    pub rotation: Rotation,
    /// What sends probes.
    pub prober: Option<Arc<dyn Prober>>,
    /// What carries events to webhooks.
    pub courier: Option<Arc<dyn Courier>>,
    /// Where the portal is.
    pub portal: PortalPlace,
    /// How long what is in memory may be used beyond its time.
    pub stale_grace: Duration,
    /// How many bad tokens a minute an address may show.
    pub bad_token_limit: u32,
}

impl Default for TestSettings {
    fn default() -> Self {
        Self {
            catalogue: Catalogue::builtin().expect("the catalogue"),
            platform_keys: Vec::new(),
            rotation: Rotation { coordination: None, random_start: false, platform_fallback: false },
            prober: None,
            courier: None,
            portal: portal(),
            stale_grace: Duration::ZERO,
            bad_token_limit: 0,
        }
    }
}

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
        Self::with(TestSettings { catalogue, ..TestSettings::default() }).await
    }

    /// A new one, with these settings.
    pub async fn with(settings: TestSettings) -> Self {
        let folder = Arc::new(tempfile::tempdir().expect("a temporary folder"));
        let master = Arc::new(MasterKey::generate().expect("randomness"));
        let keys = MasterKey::parse(&master).expect("a master key").into();
        Self::open((folder, master), keys, settings).await.expect("a new app starts")
    }

    /// Another app on the same database, as another process has it.
    pub async fn beside(&self) -> Self {
        let settings = TestSettings { catalogue: self.app.catalogue.clone(), ..TestSettings::default() };
        let place = (Arc::clone(&self.folder), Arc::clone(&self.master));
        Self::open(place, self.master_key().into(), settings).await.expect("an app starts beside another")
    }

    /// Another database in the same folder, with nothing in it.
    pub async fn empty_store(&self) -> Arc<dyn Store> {
        let store = SqliteStore::open(&self.folder.path().join("other.db")).await;
        Arc::new(store.expect("another database"))
    }

    /// Tries to start on the same database with another master key.
    pub async fn beside_with_other_master_key(&self) -> Result<Self, StartError> {
        let other = MasterKey::parse(&MasterKey::generate().expect("randomness")).expect("a master key");
        self.beside_with_master_keys(other.into()).await
    }

    /// Another app on the same database, with another master key to be put into use besides.
    pub async fn beside_with_next_master_key(&self) -> Self {
        let next = MasterKey::parse(&MasterKey::generate().expect("randomness")).expect("a master key");
        self.beside_with_master_keys(MasterKeys::new(next, [self.master_key()])).await.expect("an app")
    }

    /// Tries to start on the same database with these master keys.
    pub async fn beside_with_master_keys(&self, keys: MasterKeys) -> Result<Self, StartError> {
        let settings = TestSettings { catalogue: self.app.catalogue.clone(), ..TestSettings::default() };
        Self::open((Arc::clone(&self.folder), Arc::clone(&self.master)), keys, settings).await
    }

    /// The master key that it was made with.
    #[must_use]
    pub fn master_key(&self) -> MasterKey {
        MasterKey::parse(&self.master).expect("a master key")
    }

    async fn open(
        (folder, master): (Arc<TempDir>, Arc<Zeroizing<String>>),
        master_keys: MasterKeys,
        settings: TestSettings,
    ) -> Result<Self, StartError> {
        let TestSettings { catalogue, platform_keys, rotation, prober, courier, portal, stale_grace, .. } = settings;
        let store = SqliteStore::open(&folder.path().join("claviger.db")).await.expect("a database");
        let store: Arc<dyn Store> = Arc::new(store);
        let clock = Arc::new(ManualClock::new());
        let parts = Parts {
            store: Arc::clone(&store),
            master_keys,
            catalogue,
            clock: Arc::clone(&clock) as _,
            platform_keys,
            rotation,
            prober,
            courier,
            cache: Cache { entries: 1_000, bytes: 64 << 20, stale_grace },
            portal,
            bad_token_limit: settings.bad_token_limit,
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
        self.app.workspaces.put(&permit, id.clone(), PutWorkspace::default()).await.expect("a workspace");
        id
    }

    /// Makes an organization, or switches its keys on or off.
    pub async fn organization(&self, id: &str, keys_enabled: bool) -> OrganizationId {
        let permit = Principal::operator().permit::<ManageOrganizations>(None).expect("the operator may");
        let id: OrganizationId = id.parse().expect("an id");
        let put = PutOrganization { keys_enabled: Some(keys_enabled), name: None };
        self.app.organizations.put(&permit, id.clone(), put).await.expect("an organization");
        id
    }

    /// Moves a workspace to an organization, or out of its own.
    pub async fn move_workspace(&self, workspace: &WorkspaceId, organization: Option<&OrganizationId>) {
        let permit = Principal::operator().permit::<ManageWorkspaces>(None).expect("the operator may");
        let put = PutWorkspace { organization: Some(organization.cloned()), name: None };
        self.app.workspaces.put(&permit, workspace.clone(), put).await.expect("a workspace");
    }

    /// The permission to manage a workspace's keys.
    #[must_use]
    pub fn manage_keys(&self, workspace: &WorkspaceId) -> Permit<ManageKeys> {
        self.manage_keys_of(Owner::Workspace(workspace.clone()))
    }

    /// The permission to see a workspace's keys.
    #[must_use]
    pub fn list_keys(&self, workspace: &WorkspaceId) -> Permit<ListKeys> {
        self.list_keys_of(Owner::Workspace(workspace.clone()))
    }

    /// The permission to see an owner's keys.
    #[must_use]
    pub fn list_keys_of(&self, owner: Owner) -> Permit<ListKeys> {
        Principal::operator().permit_on(owner, None).expect("the operator may")
    }

    /// The permission to manage an owner's keys.
    #[must_use]
    pub fn manage_keys_of(&self, owner: Owner) -> Permit<ManageKeys> {
        Principal::operator().permit_on(owner, None).expect("the operator may")
    }

    /// Adds a key with a random secret.
    pub async fn key(&self, workspace: &WorkspaceId, provider: &str) -> KeyRecord {
        self.key_of(Owner::Workspace(workspace.clone()), provider).await
    }

    /// Adds a key with a random secret to any owner's pool.
    pub async fn key_of(&self, owner: Owner, provider: &str) -> KeyRecord {
        let put = put_key(provider, &random_secret());
        self.app.keys.add(&self.manage_keys_of(owner), put).await.expect("a key").key
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

/// A portal that is reached over https, and leads back to one host.
fn portal() -> PortalPlace {
    PortalPlace {
        public_url: "https://keys.example.com".to_owned(),
        return_hosts: Reach::new(["app.example.com"]).expect("a host"),
        embed_hosts: Vec::new(),
    }
}

/// A key to put, with this secret.
#[must_use]
pub fn put_key(provider: &str, secret: &str) -> PutKey {
    PutKey {
        provider: provider.parse().expect("a provider id"),
        secret: KeySecret::parse(&Zeroizing::new(secret.to_owned())).expect("a secret"),
        name: None,
        verify: false,
    }
}

/// The outcome of an attempt that was answered with this status, where nothing else was looked at.
#[must_use]
pub fn answered(status: u16) -> Outcome {
    Outcome::Answered(Verdict { class: Class::of_status(status), status, wait: None })
}
