//! The operator's keys that are given from outside, with the settings: part of the platform's pools, and in no database.

use std::collections::HashMap;
use std::sync::Arc;

use claviger_core::pool::Position;
use claviger_core::{KeyId, KeySecret, Owner, ProviderId, Timestamp};
use claviger_seal::{DataKey, Fingerprint, KeyPlace, MasterKey, SealError, TokenHash};

/// Given keys come after all stored ones: no pool counts this far.
const FIRST_POSITION: u64 = 1 << 40;

/// A key of the operator's, as the settings give it.
#[derive(Debug)]
pub struct PlatformKey {
    /// Whose API it opens.
    pub provider: ProviderId,
    /// Its place among the given keys of its provider.
    pub number: u32,
    /// The name of the setting, for people.
    pub setting: String,
    /// The secret.
    pub secret: KeySecret,
}

/// The given keys. In memory they are sealed like all others, by a data key that lives and ends with the process.
#[derive(Debug)]
pub(crate) struct PlatformKeys {
    data_key: Arc<DataKey>,
    keys: HashMap<ProviderId, Vec<GivenKey>>,
    /// When this process took them in.
    pub(crate) since: Timestamp,
}

/// A given key, sealed.
#[derive(Clone, Debug)]
pub(crate) struct GivenKey {
    pub(crate) id: KeyId,
    pub(crate) position: Position,
    pub(crate) setting: String,
    pub(crate) masked: String,
    pub(crate) sealed: Vec<u8>,
    fingerprint: Fingerprint,
}

impl PlatformKeys {
    pub(crate) fn new(master: &MasterKey, mut given: Vec<PlatformKey>, now: Timestamp) -> Result<Self, SealError> {
        let (data_key, _) = master.new_data_key(&Owner::Platform, 1)?;
        given.sort_by_key(|key| key.number);
        let mut keys: HashMap<ProviderId, Vec<GivenKey>> = HashMap::new();
        for PlatformKey { provider, number, setting, secret } in given {
            let id = id(&provider, number);
            let place = KeyPlace { provider: &provider, key: &id };
            let key = GivenKey {
                position: Position(FIRST_POSITION + u64::from(number)),
                setting,
                masked: secret.mask(),
                sealed: data_key.seal(place, &secret)?,
                fingerprint: data_key.fingerprint(&provider, &secret),
                id,
            };
            keys.entry(provider).or_default().push(key);
        }
        Ok(Self { data_key: Arc::new(data_key), keys, since: now })
    }

    pub(crate) fn data_key(&self) -> &Arc<DataKey> {
        &self.data_key
    }

    /// The given keys of a provider, by number.
    pub(crate) fn of(&self, provider: &ProviderId) -> impl Iterator<Item = &GivenKey> {
        self.keys.get(provider).into_iter().flatten()
    }

    /// All given keys.
    pub(crate) fn all(&self) -> impl Iterator<Item = (&ProviderId, &GivenKey)> {
        self.keys.iter().flat_map(|(provider, keys)| keys.iter().map(move |key| (provider, key)))
    }

    /// The given key that has this secret.
    pub(crate) fn twin(&self, provider: &ProviderId, secret: &KeySecret) -> Option<&GivenKey> {
        let fingerprint = self.data_key.fingerprint(provider, secret);
        self.of(provider).find(|key| key.fingerprint == fingerprint)
    }
}

/// The same on every node and after every start, so that receipts and shared rotation mean the same key everywhere: from
/// the place of the setting, not from the secret.
fn id(provider: &ProviderId, number: u32) -> KeyId {
    let hash = TokenHash::of(format!("claviger platform key {provider} {number}").as_bytes());
    let mut random = [0; 10];
    random.copy_from_slice(&hash.as_bytes()[..10]);
    KeyId::new(Timestamp::from_millis(0), random)
}
