//! A deployment with very many workspaces: stored in bulk, and sealed like one that grew.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use claviger_app::access::{ManageWorkspaces, Principal};
use claviger_app::keyring::Rotation;
use claviger_app::portal::PortalPlace;
use claviger_app::tokens::{CreateToken, TokenHolder};
use claviger_app::workspaces::PutWorkspace;
use claviger_app::{App, Cache, Page, Parts, Store};
use claviger_core::{Catalogue, Clock, KeyId, KeySecret, Owner, WorkspaceId};
use claviger_seal::{KeyPlace, MasterKey};
use zeroize::Zeroizing;

use crate::{ManualClock, put_key, random_secret};

/// Whose API all keys open.
const PROVIDER: &str = "openai";
/// Keys of each workspace.
const KEYS: usize = 3;
/// Workspaces that are stored at once.
const PAGE: u32 = 1_000;

/// An app on a database of any kind, and what fills that database.
pub struct Population {
    /// The app, with a small cache.
    pub app: Arc<App>,
    store: Arc<dyn Store>,
    master: MasterKey,
    clock: Arc<ManualClock>,
}

impl fmt::Debug for Population {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Population").field("store", &self.store).finish_non_exhaustive()
    }
}

impl Population {
    /// Leaves the master key's canary in an empty database, or proves the key against the one that is there.
    pub async fn of(store: Arc<dyn Store>, master: &Zeroizing<String>) -> Self {
        let parsed = || MasterKey::parse(master).expect("a master key");
        let clock = Arc::new(ManualClock::new());
        let parts = Parts {
            store: Arc::clone(&store),
            master_keys: parsed().into(),
            catalogue: Catalogue::builtin().expect("the catalogue"),
            clock: Arc::clone(&clock) as _,
            platform_keys: Vec::new(),
            rotation: Rotation { coordination: None, random_start: true, platform_fallback: false },
            prober: None,
            courier: None,
            cache: Cache { entries: 1_000, bytes: 64 << 20, stale_grace: Duration::ZERO },
            bad_token_limit: 0,
            portal: PortalPlace::default(),
        };
        let app = Arc::new(App::start(parts).await.expect("an app on the database"));
        Self { app, store, master: parsed(), clock }
    }

    /// The id of a workspace, by its number from 1.
    #[must_use]
    pub fn workspace(number: u32) -> WorkspaceId {
        format!("ws-{number:07}").parse().expect("an id")
    }

    /// Makes so many workspaces with three keys each in an empty database. The first one is made by the use cases, and
    /// all others are as it is in the database, but for their ids, data keys and secrets. Tells how many there are by
    /// now.
    pub async fn grow(&self, count: u32, progress: impl Fn(u32)) {
        self.first().await;
        let page = Page { after: Some(Owner::Platform), limit: 1 };
        let mut found = self.store.owners(&page).await.expect("the owners");
        let like = found.pop().expect("the first workspace");
        let made = |number| {
            let mut copy = like.clone();
            copy.owner = Owner::Workspace(Self::workspace(number));
            let (data_key, sealed) = self.master.new_data_key(&copy.owner, 1).expect("a data key");
            copy.data_key.as_mut().expect("a data key").sealed = sealed;
            for pool in &mut copy.pools {
                for key in &mut pool.keys {
                    let secret = KeySecret::parse(&Zeroizing::new(random_secret())).expect("a secret");
                    key.record.id = self.key_id();
                    key.record.masked = secret.mask();
                    let place = KeyPlace { provider: &pool.provider, key: &key.record.id };
                    key.sealed = data_key.seal(place, &secret).expect("sealed");
                    key.fingerprint = *data_key.fingerprint(&pool.provider, &secret).as_bytes();
                }
            }
            copy
        };
        let put = async |numbers: Range<u32>| {
            let owners: Vec<_> = numbers.map(made).collect();
            if !owners.is_empty() {
                self.store.put_owners(&owners).await.expect("stored workspaces");
            }
        };
        let mut from = 2;
        while from <= count {
            // Three at once: the database works on one page while the next is sealed.
            let ends = [0, 1, 2, 3].map(|pages| (from + pages * PAGE).min(count + 1));
            tokio::join!(put(ends[0]..ends[1]), put(ends[1]..ends[2]), put(ends[2]..ends[3]));
            from = ends[3];
            progress(from - 1);
        }
    }

    /// Makes a token of the role service.
    pub async fn service_token(&self) -> String {
        let permit = Principal::operator().permit_tokens(None).expect("the operator may");
        let create = CreateToken {
            name: "population".to_owned(),
            holder: TokenHolder::Service,
            reveal: false,
            expires_at: None,
        };
        let (token, _) = self.app.tokens.create(&permit, create).await.expect("a token");
        token.reveal_once().to_owned()
    }

    async fn first(&self) {
        let operator = Principal::operator();
        let permit = operator.permit::<ManageWorkspaces>(None).expect("the operator may");
        let id = Self::workspace(1);
        self.app.workspaces.put(&permit, id.clone(), PutWorkspace::default()).await.expect("a workspace");
        let permit = operator.permit_on(Owner::Workspace(id), None).expect("the operator may");
        for _ in 0..KEYS {
            self.app.keys.add(&permit, put_key(PROVIDER, &random_secret())).await.expect("a key");
        }
    }

    fn key_id(&self) -> KeyId {
        let mut random = [0; 10];
        claviger_seal::fill_random(&mut random).expect("randomness");
        KeyId::new(self.clock.now(), random)
    }
}
