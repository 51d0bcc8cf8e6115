//! The report: what was promised, what was measured, and the figures behind it.

use std::fmt::Write as _;
use std::time::Duration;

use super::cost::{CONNECTIONS, Costs};
use super::memory::{After, Memory, Reading};
use super::programs::{Cold, Shared, Times};
use super::start::Starts;
use super::world::World;
use crate::bench::machine::Machine;
use crate::bench::report::micros;

/// In a report whose numbers do not stand.
pub(super) const FAILED: &str = "FAILED";

/// What the nodes may cost at most.
const COLD: f64 = 1.1;
const START: Duration = Duration::from_secs(1);
const SCALE: f64 = 1.1;
const SHARED: f64 = 1.3;
const MEMORY: f64 = 1.0;
const GROWTH: f64 = 1.1;

pub(super) struct Report<'a> {
    pub(super) world: &'a World,
    /// With few workspaces, and with many.
    pub(super) starts: [Starts; 2],
    pub(super) cold: Cold,
    pub(super) memory: Vec<Memory>,
    pub(super) costs: Costs,
    pub(super) shared: Shared,
    /// Of the machine, before and after.
    pub(super) load: [String; 2],
}

impl Report<'_> {
    pub(super) fn markdown(&self) -> anyhow::Result<String> {
        let World { few, many, postgres_version, .. } = self.world;
        let machine = Machine::gather()?;
        let [before, after] = &self.load;
        let (seconds, a_second) = (many.filled_in.as_secs_f64(), per_second(many.workspaces, many.filled_in));
        let mut text = format!(
            "{machine}, PostgreSQL {postgres_version}; everything on the same cores. Load average {before} before and \
             {after} after.\n\
             {} workspaces with {} keys, {:.1} GiB, stored in {seconds:.0} s ({a_second:.0} a second); beside it a \
             database of {} workspaces.\n\n",
            many.workspaces,
            3 * many.workspaces,
            many.gib,
            few.workspaces
        );
        self.promises(&mut text);
        self.latencies(&mut text);
        self.requests(&mut text);
        self.resident(&mut text);
        Ok(text)
    }

    fn promises(&self, text: &mut String) {
        let Self { cold, costs, shared, starts: [_, many], .. } = self;
        text.push_str("| promise | at most | measured |\n|---|--:|--:|\n");
        let mut row = |promise: &str, limit: f64, measured: f64| {
            let kept = if measured <= limit { "" } else { " (missed)" };
            let _infallible = writeln!(text, "| {promise} | {limit:.2} | {measured:.2}{kept} |");
        };
        row("lease of a pool that is not in memory ÷ its statement alone, p50", COLD, cold.lease.p50 / cold.bare.p50);
        row("the same ÷ its statement on a pool of connections, p50", COLD, cold.lease.p50 / cold.pooled.p50);
        let start = START.as_secs_f64();
        row("start until it listens, seconds", start, many.listening.as_secs_f64());
        row("start until `/readyz` answers 200, seconds", start, many.ready.as_secs_f64());
        row("CPU/request, many workspaces ÷ few", SCALE, costs.cpu_ratio);
        row("p50 of a request, many workspaces ÷ few", SCALE, costs.p50_ratio);
        row("what Valkey adds to a lease ÷ its command alone, p50", SHARED, shared.adds() / shared.bare.p50);
        for memory in &self.memory {
            let promise = format!("memory that pools add ÷ `cache.bytes` of {}MiB", memory.cache_mib);
            row(&promise, MEMORY, memory.added() / f64::from(memory.cache_mib));
            let promise =
                format!("most memory in the second half ÷ in the first, `cache.bytes` of {}MiB", memory.cache_mib);
            row(&promise, GROWTH, memory.growth());
        }
    }

    fn latencies(&self, text: &mut String) {
        let Self { cold, shared, starts: [few, many], .. } = self;
        text.push_str("\n| timed inside one process | p50 µs | p99 µs | p50 ÷ alone |\n|---|--:|--:|--:|\n");
        let mut row = |what: &str, times: &Times, alone: &Times| {
            let (Times { p50, p99 }, ratio) = (times, times.p50 / alone.p50);
            let _infallible = writeln!(text, "| {what} | {p50:.1} | {p99:.1} | {ratio:.2} |");
        };
        row("PostgreSQL: the statement alone, on one connection", &cold.bare, &cold.bare);
        row("the statement on a pool of connections", &cold.pooled, &cold.bare);
        row("the store's call", &cold.store, &cold.bare);
        row("the lease", &cold.lease, &cold.bare);
        row("Valkey: the command alone", &shared.bare, &shared.bare);
        row("a lease in memory, by itself", &shared.alone, &shared.bare);
        row("a lease in memory, with its turn from Valkey", &shared.with_valkey, &shared.bare);
        let _infallible = write!(
            text,
            "\n{} leases for each way to ask PostgreSQL.\n\n\
             | start with | listening ms | ready ms | slowest ms |\n|---|--:|--:|--:|\n",
            cold.leases
        );
        for (workspaces, starts) in [(self.world.few.workspaces, few), (self.world.many.workspaces, many)] {
            let millis = |time: Duration| time.as_secs_f64() * 1e3;
            let (listening, ready, slowest) = (millis(starts.listening), millis(starts.ready), millis(starts.slowest));
            let _infallible =
                writeln!(text, "| {workspaces} workspaces | {listening:.0} | {ready:.0} | {slowest:.0} |");
        }
    }

    fn requests(&self, text: &mut String) {
        let Costs { few, many, rounds, seconds, .. } = &self.costs;
        let _infallible = write!(
            text,
            "\nRequests for 1000 workspaces in turn, {CONNECTIONS} connections, medians of {rounds} rounds of {seconds} \
             s:\n\n| in a database of | req/s | p50 µs | CPU µs/request | errors |\n|---|--:|--:|--:|---|\n"
        );
        for (workspaces, sample) in [(self.world.few.workspaces, few), (self.world.many.workspaces, many)] {
            let (rate, p50) = (sample.requests_a_second, micros(sample.p50));
            let (cpu, errors) = (sample.cpu_a_request.map_or(0.0, micros), &sample.errors);
            let _infallible =
                writeln!(text, "| {workspaces} workspaces | {rate:.0} | {p50:.0} | {cpu:.1} | {errors} |");
        }
    }

    fn resident(&self, text: &mut String) {
        text.push_str(
            "\n| `cache.bytes` | when | requests | RSS MiB | pools in memory | `claviger_pools_bytes` MiB |\n\
             |---|---|--:|--:|--:|--:|\n",
        );
        for memory in &self.memory {
            let mut row = |when: &str, requests: f64, reading: &Reading| {
                let (Reading { mib, pools, believed_mib }, setting) = (reading, memory.cache_mib);
                let _infallible = writeln!(
                    text,
                    "| {setting}MiB | {when} | {requests:.0} | {mib:.1} | {pools:.0} | {believed_mib:.1} |"
                );
            };
            row("warm", 0.0, &memory.warm);
            let [first, second] = &memory.peaks;
            for (when, After { requests, reading }) in
                [("full", &memory.full), ("most, first half", first), ("most, second half", second)]
            {
                row(when, *requests, reading);
            }
        }
        let [large, small] = &self.memory[..] else { return };
        let believed = large.believed_mib() - small.believed_mib();
        let (added, rest) = (large.added() - small.added(), small.added() - small.believed_mib());
        let _infallible = writeln!(
            text,
            "\nFrom the smaller cache to the larger, `claviger_pools_bytes` grows by {believed:.0} MiB and memory by \
             {added:.0} MiB: a ratio\nof {:.2}. Beside the pools of the smaller one stand {rest:.0} MiB: uses that are \
             not written yet, buffers of connections,\nand what the allocator does not give back.",
            believed / added
        );
    }
}

impl Shared {
    fn adds(&self) -> f64 {
        self.with_valkey.p50 - self.alone.p50
    }
}

fn per_second(count: u64, time: Duration) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "millions, for people")]
    let count = count as f64;
    count / time.as_secs_f64().max(0.001)
}
