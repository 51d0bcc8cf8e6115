//! What a process and those it started have used, as the kernel counts it.

use std::fs;
use std::time::Duration;

use anyhow::Context;

use crate::run;

const SECOND: u64 = 1_000_000_000;

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Usage {
    /// In user code and in the kernel, of all threads, since the start.
    pub(super) cpu: Duration,
    /// Resident now.
    pub(super) memory_kib: f64,
}

impl Usage {
    /// Of the process and everything it started.
    pub(super) fn of(process: u32) -> anyhow::Result<Self> {
        let ticks_a_second: u64 = run::output(run::command("getconf").arg("CLK_TCK"))?.trim().parse()?;
        let mut sum = Self { cpu: Duration::ZERO, memory_kib: 0.0 };
        for id in run::process_tree(process) {
            let read = |file: &str| fs::read_to_string(format!("/proc/{id}/{file}"));
            let (stat, status) = match (read("stat"), read("status")) {
                // What it started may have ended meanwhile.
                (Err(_), _) | (_, Err(_)) if id != process => continue,
                (stat, status) => (stat?, status?),
            };
            // A process that has just ended, and that nobody has asked for its status yet, has no memory.
            let Some(resident) = resident_kib(&status) else { continue };
            let ticks = ticks(&stat).with_context(|| format!("cannot read /proc/{id}/stat"))?;
            sum.cpu += Duration::from_nanos(ticks * (SECOND / ticks_a_second));
            sum.memory_kib += resident;
        }
        Ok(sum)
    }
}

/// `utime` + `stime`: fields 14 and 15 of a line whose second field is a name in brackets that may hold anything.
fn ticks(stat: &str) -> Option<u64> {
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(11);
    let user: u64 = fields.next()?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    Some(user + system)
}

fn resident_kib(status: &str) -> Option<f64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.trim().strip_suffix(" kB")?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_kinds_of_time_are_added() {
        let stat = "7 (nginx: worker) S 6 6 6 0 -1 4194624 120 0 0 0 31 11 0 0 20 0 1 0 99 1 2";
        assert_eq!(ticks(stat), Some(42));
    }

    #[test]
    fn resident_memory_is_read_in_kib() {
        assert_eq!(resident_kib("Name:\tx\nVmRSS:\t    5120 kB\nThreads:\t1\n"), Some(5120.0));
    }

    #[test]
    fn this_process_uses_something() {
        let usage = Usage::of(std::process::id()).unwrap();
        assert!(usage.memory_kib > 0.0, "{usage:?}");
    }
}
