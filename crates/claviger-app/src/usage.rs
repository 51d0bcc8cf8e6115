//! How requests with an owner's keys ended, by the hour.

use std::sync::Arc;
use std::time::Duration;

use claviger_core::{Clock, Owner, ProviderId, Timestamp};
use claviger_store::{Store, StoreError, UsageBucket};

use crate::access::{ListKeys, Permit};
use crate::owners;

/// How long hours are kept: a month, and some days to look back on it.
pub const KEPT: Duration = Duration::from_hours(35 * 24);

/// Usage cannot be told.
#[derive(Debug, thiserror::Error)]
pub enum UsageError {
    /// The owner does not exist.
    #[error("{0} does not exist")]
    NoOwner(Owner),
    /// See [`StoreError`].
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The use cases around usage.
#[derive(Debug)]
pub struct Usage {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) clock: Arc<dyn Clock>,
}

impl Usage {
    /// The hours of an owner's keys that began in this time: by the hour, and then the key. Hours without requests are
    /// missing.
    pub async fn hours(
        &self,
        permit: &Permit<ListKeys>,
        provider: Option<&ProviderId>,
        from: Timestamp,
        to: Timestamp,
    ) -> Result<Vec<UsageBucket>, UsageError> {
        let owner = permit.on();
        let buckets = self.store.usage(owner, provider, from, to).await?;
        if buckets.is_empty() && !owners::exists(&*self.store, owner).await? {
            return Err(UsageError::NoOwner(owner.clone()));
        }
        Ok(buckets)
    }

    /// Now, for what ends with it.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Forgets hours that are older than they are kept.
    pub async fn forget_old(&self) -> Result<(), StoreError> {
        let kept = i64::try_from(KEPT.as_millis()).unwrap_or(i64::MAX);
        let before = Timestamp::from_millis(self.clock.now().as_millis().saturating_sub(kept));
        while self.store.forget_usage(before).await? > 0 {}
        Ok(())
    }
}
