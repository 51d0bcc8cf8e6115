//! Who asked how often.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

/// The state of a mock's counters.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Requests of each provider and key, sorted by both. A request without a key counts for the empty key.
    pub counts: Vec<KeyCount>,
    /// Requests that are being answered now.
    pub active: u64,
    /// Requests whose client left before the end of the answer. An answer counts as ended when its last byte was
    /// handed to the connection.
    pub cancelled: u64,
}

/// How often one key was used.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct KeyCount {
    /// The provider's id, as it stands in the path.
    pub provider: String,
    /// The key in the clear.
    pub key: String,
    /// Requests since the start or the last reset.
    pub requests: u64,
}

impl Counts {
    /// The requests that `key` of `provider` has made.
    #[must_use]
    pub fn of(&self, provider: &str, key: &str) -> u64 {
        let mut counts = self.counts.iter();
        counts.find(|count| count.provider == provider && count.key == key).map_or(0, |count| count.requests)
    }

    /// The requests of all keys of `provider`.
    #[must_use]
    pub fn of_provider(&self, provider: &str) -> u64 {
        let counts = self.counts.iter();
        counts.filter(|count| count.provider == provider).map(|count| count.requests).sum()
    }
}

const SHARDS: usize = 16;

/// Counters in shards by key, so that threads rarely meet at a lock. Counting a known key allocates nothing.
#[derive(Debug, Default)]
pub(crate) struct KeyCounts {
    hasher: RandomState,
    shards: [Mutex<HashMap<String, HashMap<String, u64>>>; SHARDS],
}

impl KeyCounts {
    pub(crate) fn add(&self, provider: &str, key: &str) {
        let shard = usize::try_from(self.hasher.hash_one(key) % SHARDS as u64).unwrap_or(0);
        let mut providers = self.shards[shard].lock();
        if let Some(requests) = providers.get_mut(provider).and_then(|keys| keys.get_mut(key)) {
            *requests += 1;
        } else {
            providers.entry(provider.to_owned()).or_default().insert(key.to_owned(), 1);
        }
    }

    pub(crate) fn list(&self) -> Vec<KeyCount> {
        let mut counts = Vec::new();
        for shard in &self.shards {
            for (provider, keys) in shard.lock().iter() {
                counts.extend(keys.iter().map(|(key, requests)| KeyCount {
                    provider: provider.clone(),
                    key: key.clone(),
                    requests: *requests,
                }));
            }
        }
        counts.sort();
        counts
    }

    pub(crate) fn clear(&self) {
        for shard in &self.shards {
            shard.lock().clear();
        }
    }
}
