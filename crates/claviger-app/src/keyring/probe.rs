//! Whether a provider takes a key: asked by a request of the catalogue's that costs nothing.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use claviger_core::catalogue::Probe;
use claviger_core::health::{Answer, Class, Headers, ProbeResult, Verdict, domain, judge_probe};
use claviger_core::owner::PoolId;
use claviger_core::{KeyId, KeySecret, Owner, Provider, ProviderId, Timestamp};
use claviger_seal::KeyPlace;
use claviger_store::StoreError;

use super::desk::{Desk, Finding};
use super::{Keyring, LeaseError};

use crate::access::{ManageKeys, Permit};
use crate::owners;

/// What sends probes.
#[async_trait]
pub trait Prober: Send + Sync + fmt::Debug {
    /// Sends a provider's probe with a key, and brings the answer.
    async fn probe(&self, provider: &Provider, probe: &Probe, secret: &KeySecret) -> Result<ProbeAnswer, Unreachable>;
}

/// The answer to a probe.
pub struct ProbeAnswer {
    /// The status.
    pub status: u16,
    /// The headers, by their names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body, as far as it is looked at.
    pub body: Vec<u8>,
}

/// The provider did not answer a probe.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("the provider could not be reached")]
pub struct Unreachable;

impl Headers for ProbeAnswer {
    fn get(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }
}

impl fmt::Debug for ProbeAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProbeAnswer").field("status", &self.status).finish_non_exhaustive()
    }
}

/// What a test of a key showed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Tested {
    /// The result.
    pub result: TestResult,
    /// Why, in words for people.
    pub reason: String,
    /// The account whose limits the key shares, where the answer named it.
    pub domain: Option<String>,
}

/// The result of a test.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TestResult {
    /// The provider takes the key.
    Valid,
    /// The provider refuses the key.
    Invalid,
    /// The provider takes the key, and its account cannot pay.
    NoCredit,
    /// The provider did not answer, or not to the point.
    Unreachable,
    /// Nothing that costs nothing can tell.
    NotTestable,
}

/// A key cannot be tested.
#[derive(Debug, thiserror::Error)]
pub enum TestKeyError {
    /// The owner does not exist.
    #[error("{0} does not exist")]
    NoOwner(Owner),
    /// There is no such key.
    #[error("there is no such key")]
    NoKey,
    /// The key does not open.
    #[error("the key cannot be opened; it must be entered again")]
    Unreadable,
    /// See [`StoreError`].
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Tested {
    fn new(result: TestResult, reason: impl Into<String>) -> Self {
        Self { result, reason: reason.into(), domain: None }
    }

    fn not_testable() -> Self {
        Self::new(TestResult::NotTestable, "This provider has no request that tests a key and costs nothing")
    }

    fn unreachable() -> Self {
        Self::new(TestResult::Unreachable, "The provider could not be reached")
    }

    fn of(result: ProbeResult, status: u16) -> Self {
        match result {
            ProbeResult::Valid => Self::new(TestResult::Valid, "The provider takes the key"),
            ProbeResult::Invalid => {
                Self::new(TestResult::Invalid, format!("The provider refused the key (HTTP {status})"))
            }
            ProbeResult::NoCredit => {
                Self::new(TestResult::NoCredit, format!("The account has no credit left (HTTP {status})"))
            }
            ProbeResult::Unproven { .. } if status == 0 => Self::unreachable(),
            ProbeResult::Unproven { verdict } if verdict.class == Class::Overloaded => {
                Self::new(TestResult::Unreachable, format!("The provider could not answer (HTTP {status})"))
            }
            ProbeResult::Unproven { .. } => Self::new(
                TestResult::NotTestable,
                format!("The provider answered {status}, which says nothing about the key"),
            ),
        }
    }
}

impl Keyring {
    /// Tests a key by the provider's free request; its health follows the result.
    pub async fn test(&self, permit: &Permit<ManageKeys>, key: &KeyId) -> Result<Tested, TestKeyError> {
        let owner = permit.on();
        match self.provider_in(owner, key).await? {
            Some(provider) => self.probe_key(&PoolId { owner: owner.clone(), provider }, key).await,
            None if owners::exists(&*self.store, owner).await? => Err(TestKeyError::NoKey),
            None => Err(TestKeyError::NoOwner(owner.clone())),
        }
    }

    /// Tests a secret that is stored nowhere.
    pub(crate) async fn verify(&self, provider: &ProviderId, secret: &KeySecret) -> Tested {
        match self.desks.get(provider) {
            Some(desk) => self.ask(desk, secret).await.map_or_else(|tested| tested, Asked::tested),
            None => Tested::not_testable(),
        }
    }

    /// Probes a key, whatever its state, and has its health follow the result.
    pub(super) async fn probe_key(&self, pool: &PoolId, key: &KeyId) -> Result<Tested, TestKeyError> {
        let desk = self.desks.get(&pool.provider).ok_or(TestKeyError::NoKey)?;
        let slot = self.pools.slot(pool);
        // So that what is found out has a place.
        match self.obtain(pool, &slot).await {
            Ok(_) => {}
            Err(LeaseError::Store(error)) => return Err(error.into()),
            Err(_) => return Err(TestKeyError::NoKey),
        }
        let (sealed, secret, is_stored) = self.open(pool, key).await?;
        let asked = self.ask(desk, &secret).await;
        drop(secret);
        let asked = match asked {
            Ok(asked) => asked,
            Err(tested) => return Ok(tested),
        };
        let Some(known) = slot.companion.key(key) else {
            return Ok(asked.tested());
        };
        let changed = known.probed(asked.result, asked.status, asked.began, self.shared.clock.now());
        self.shared.told(&known, &changed, None);
        if changed.ailment && is_stored {
            let finding = Finding { known, sealed, began: asked.began };
            if let Err(error) = self.store_ailment(&finding).await {
                self.shared.ailments.add(finding);
                return Err(error.into());
            }
        }
        Ok(asked.tested())
    }

    /// A key's secret, sealed and opened, and whether the database has it.
    async fn open(&self, pool: &PoolId, key: &KeyId) -> Result<(Vec<u8>, KeySecret, bool), TestKeyError> {
        let place = KeyPlace { provider: &pool.provider, key };
        if pool.owner == Owner::Platform
            && let Some(given) = self.platform.of(&pool.provider).find(|given| given.id == *key)
        {
            let secret = self.platform.data_key().open(place, &given.sealed);
            return Ok((given.sealed.clone(), secret.map_err(|_| TestKeyError::Unreadable)?, false));
        }
        let record = self.store.pool(pool).await?;
        let stored = record.keys.into_iter().find(|stored| stored.id == *key).ok_or(TestKeyError::NoKey)?;
        let data_key = record.data_key.ok_or(TestKeyError::Unreadable)?;
        let data_key = self.master_keys.open_data_key(&pool.owner, &data_key).map_err(|_| TestKeyError::Unreadable)?;
        let secret = data_key.open(place, &stored.sealed).map_err(|_| TestKeyError::Unreadable)?;
        Ok((stored.sealed, secret, true))
    }

    /// `Err` where no answer tells anything.
    async fn ask(&self, desk: &Arc<Desk>, secret: &KeySecret) -> Result<Asked, Tested> {
        let (Some(prober), Some(probe)) = (&self.prober, desk.provider.free_probe()) else {
            return Err(Tested::not_testable());
        };
        let began = self.shared.clock.now();
        let Ok(answer) = prober.probe(&desk.provider, probe, secret).await else {
            // The provider's trouble: what a probe cannot prove, a request is to find out.
            let verdict = Verdict { class: Class::Overloaded, status: 0, wait: None };
            return Ok(Asked { result: ProbeResult::Unproven { verdict }, status: 0, began, domain: None });
        };
        let status = answer.status;
        let read = Answer { status, headers: &answer, body: &answer.body };
        let result = judge_probe(&desk.provider, probe, &read, self.shared.clock.now());
        Ok(Asked { result, status, began, domain: domain(&desk.provider, &answer) })
    }
}

/// What a probe showed.
struct Asked {
    result: ProbeResult,
    status: u16,
    began: Timestamp,
    domain: Option<String>,
}

impl Asked {
    fn tested(self) -> Tested {
        Tested { domain: self.domain, ..Tested::of(self.result, self.status) }
    }
}
