//! What memory a node takes when requests come for more workspaces than it may keep in memory.

use std::fmt;
use std::thread;
use std::time::Duration;

use anyhow::{Context, bail};

use super::world::{Node, World};
use crate::bench::http;
use crate::bench::load::{Load, Workspaces};
use crate::bench::usage::Usage;

const CONNECTIONS: u32 = 64;
/// One run of load; between two it is looked at.
const RUN: Duration = Duration::from_secs(2);
/// Longer than between two writes of when keys were used, which are held in memory until then.
const SETTLE: Duration = Duration::from_secs(7);
/// Workspaces in memory before the others come: the connections and everything else are warm then.
const WARM: u64 = 100;
/// How often the cache is filled: long enough to see that memory has stopped to grow.
const FILLS: f64 = 8.0;
/// And at least so many requests, for a cache that is filled in no time.
const REQUESTS: f64 = 150_000.0;
const MIB: f64 = 1_048_576.0;

/// At one moment.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reading {
    /// Resident.
    pub(super) mib: f64,
    /// Pools that the cache has.
    pub(super) pools: f64,
    /// What it believes they take.
    pub(super) believed_mib: f64,
}

/// With one setting of `cache.bytes`.
pub(super) struct Memory {
    pub(super) cache_mib: u32,
    pub(super) warm: Reading,
    /// As soon as it pushes pools out.
    pub(super) full: After,
    /// When it took most in the first half of all requests, and in the second.
    pub(super) peaks: [After; 2],
}

/// After so many requests, each for another workspace than the ones before.
#[derive(Clone, Copy, Debug)]
pub(super) struct After {
    pub(super) requests: f64,
    pub(super) reading: Reading,
}

impl Memory {
    /// How much more memory is in use at most than with hardly any workspaces.
    pub(super) fn added(&self) -> f64 {
        self.peaks.iter().map(|peak| peak.reading.mib - self.warm.mib).fold(0.0, f64::max)
    }

    /// What the cache believes its pools take.
    pub(super) fn believed_mib(&self) -> f64 {
        self.peaks[1].reading.believed_mib
    }

    /// How much it takes more in the second half than in the first.
    pub(super) fn growth(&self) -> f64 {
        let [first, second] = self.peaks.map(|peak| peak.reading.mib);
        second / first
    }
}

impl fmt::Display for Reading {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { mib, pools, believed_mib } = self;
        write!(f, "{mib:.1} MiB resident, {pools:.0} pools in memory, believed to take {believed_mib:.1} MiB")
    }
}

/// With the default and with little.
pub(super) fn measure(world: &World) -> anyhow::Result<Vec<Memory>> {
    [256, 32].into_iter().map(|cache_mib| fill(world, cache_mib)).collect()
}

fn fill(world: &World, cache_mib: u32) -> anyhow::Result<Memory> {
    let node = world.node(&world.many, Some(cache_mib))?;
    let load = |first, count| Load::over(&node.endpoint, Workspaces { first, step: 1, count }, &node.dir);
    let warm = load(1, WARM)?;
    warm.check()?;
    warm.run(CONNECTIONS, RUN)?;
    pause(SETTLE);
    let warm = node.reading()?;
    eprintln!("cache.bytes {cache_mib}MiB: {warm}");

    let (mut after, mut requests): (Vec<After>, f64) = (Vec::new(), 0.0);
    while after.last().is_none_or(|last| requests < REQUESTS.max(FILLS * last.reading.pools)) {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a number of requests is whole")]
        let first = WARM + 1 + requests as u64;
        let left = world.many.workspaces.saturating_sub(first);
        if left == 0 {
            bail!("{} workspaces do not fill the cache {FILLS} times", world.many.workspaces);
        }
        let outcome = load(first, left)?.run(CONNECTIONS, RUN)?;
        if outcome.errors.total() > 0.0 {
            bail!("requests failed: {}", outcome.errors);
        }
        requests += outcome.requests;
        let reading = node.reading()?;
        eprintln!("cache.bytes {cache_mib}MiB, {requests:.0} workspaces: {reading}");
        after.push(After { requests, reading });
    }
    let full =
        after.iter().copied().find(|now| now.reading.pools < now.requests).context("the cache was never full")?;
    let (first, second): (Vec<_>, Vec<_>) = after.into_iter().partition(|now| now.requests < requests / 2.0);
    let peak = |half: Vec<After>| half.into_iter().max_by(|one, other| one.reading.mib.total_cmp(&other.reading.mib));
    let peaks = [peak(first).context("too few runs")?, peak(second).context("too few runs")?];
    Ok(Memory { cache_mib, warm, full, peaks })
}

impl Node {
    fn reading(&self) -> anyhow::Result<Reading> {
        let metrics = http::ask(self.endpoint.address, "GET", "/metrics", &[], "")?.body;
        let gauge = |name| gauge(&metrics, name).with_context(|| format!("/metrics has no {name}"));
        let (pools, bytes) = (gauge("claviger_pools_in_memory")?, gauge("claviger_pools_bytes")?);
        let mib = Usage::of(self.process)?.memory_kib / 1024.0;
        Ok(Reading { mib, pools, believed_mib: bytes / MIB })
    }
}

fn gauge(metrics: &str, name: &str) -> Option<f64> {
    let value = |line: &str| line.strip_prefix(name)?.strip_prefix(' ')?.trim().parse().ok();
    metrics.lines().find_map(value)
}

#[expect(clippy::disallowed_methods, reason = "there is no runtime here, and no event to wait for in another process")]
fn pause(time: Duration) {
    thread::sleep(time);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gauge_is_read_by_its_whole_name() {
        let metrics = "# TYPE pools gauge\npools_bytes 17\npools 4\n";
        assert_eq!(gauge(metrics, "pools"), Some(4.0));
        assert_eq!(gauge(metrics, "pool"), None);
    }
}
