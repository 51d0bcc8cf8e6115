//! One request to a provider, as the endpoints see it.

use std::time::Duration;

use http::HeaderMap;
use http::request::Parts;

use crate::behaviour::Orders;
use crate::body::Received;
use crate::state::State;

const DEFAULT_CHUNKS: u32 = 5;
/// A stream is built before it is sent; this bounds what one request can ask for.
const MAX_CHUNKS: u32 = 100_000;

/// A request whose body has arrived and whose key is known.
pub(crate) struct Call<'a> {
    pub(crate) provider: &'a str,
    /// The provider's own path, without the mount.
    pub(crate) path: &'a str,
    pub(crate) head: &'a Parts,
    pub(crate) body: &'a Received,
    pub(crate) pace: Pace,
    /// Makes ids of answers unique.
    pub(crate) number: u64,
    pub(crate) state: &'a State,
}

/// How a streamed answer is cut up.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pace {
    pub(crate) chunks: u32,
    pub(crate) gap: Duration,
}

impl Pace {
    /// What the key's behaviour says, else what the request says.
    pub(crate) fn of(headers: &HeaderMap, orders: Option<&Orders>) -> Self {
        let header = |name| headers.get(name)?.to_str().ok()?.parse().ok();
        let chunks = orders.and_then(|orders| orders.chunks).or_else(|| header("x-mock-chunks"));
        let gap = orders.and_then(|orders| orders.gap);
        let asked_gap = || header("x-mock-gap-ms").map(|millis| Duration::from_millis(u64::from(millis)));
        Self {
            chunks: chunks.unwrap_or(DEFAULT_CHUNKS).clamp(1, MAX_CHUNKS),
            gap: gap.or_else(asked_gap).unwrap_or(Duration::ZERO),
        }
    }
}
