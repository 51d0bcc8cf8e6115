//! How a key's requests ended, counted between two writes to the database.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use claviger_core::health::Class;
use claviger_store::UseCounts;

/// What every request writes, on a line of memory of its own: what all requests only read stays in every processor's
/// cache.
#[derive(Debug, Default)]
#[repr(align(128))]
pub(super) struct Tally {
    pub(super) last_used_at: AtomicI64,
    ok: AtomicU64,
    rate_limited: AtomicU64,
    rejected: AtomicU64,
    caller_errors: AtomicU64,
    pub(super) provider_errors: AtomicU64,
    /// Requests of which there is no more to say.
    pub(super) others: AtomicU64,
    /// Endings of requests that are among the others, since they were handed out.
    pub(super) told: AtomicU64,
}

impl Tally {
    pub(super) fn count(&self, class: Class) {
        let ended = match class {
            Class::Ok => &self.ok,
            Class::RateLimited => &self.rate_limited,
            Class::KeyInvalid | Class::NoCredit => &self.rejected,
            Class::RequestError | Class::AccountPermission => &self.caller_errors,
            Class::Overloaded => &self.provider_errors,
        };
        ended.fetch_add(1, Ordering::Relaxed);
    }

    fn all(&self) -> [&AtomicU64; 7] {
        let Self { last_used_at: _, ok, rate_limited, rejected, caller_errors, provider_errors, others, told } = self;
        [ok, rate_limited, rejected, caller_errors, provider_errors, others, told]
    }

    pub(super) fn take(&self) -> UseCounts {
        counts(self.all().map(|count| count.swap(0, Ordering::Relaxed)))
    }

    pub(super) fn read(&self) -> UseCounts {
        counts(self.all().map(|count| count.load(Ordering::Relaxed)))
    }

    pub(super) fn add(&self, back: &UseCounts) {
        let UseCounts { requests, ok, rate_limited, rejected, caller_errors, provider_errors } = *back;
        let ended = ok + rate_limited + rejected + caller_errors + provider_errors;
        let (others, told) = (requests.saturating_sub(ended), ended.saturating_sub(requests));
        let back = [ok, rate_limited, rejected, caller_errors, provider_errors, others, told];
        for (count, back) in self.all().into_iter().zip(back) {
            count.fetch_add(back, Ordering::Relaxed);
        }
    }
}

/// Every ending is a request, but those that were told later of a request that was handed out.
fn counts([ok, rate_limited, rejected, caller_errors, provider_errors, others, told]: [u64; 7]) -> UseCounts {
    let ended = ok + rate_limited + rejected + caller_errors + provider_errors;
    let requests = (ended + others).saturating_sub(told);
    UseCounts { requests, ok, rate_limited, rejected, caller_errors, provider_errors }
}
