//! Whether a connection still answers.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// How many turns in a row must be missed before a connection is given up.
const MISSES: u32 = 3;
/// Parts of a cluster that are judged each by itself, so that a node that is gone shows although others answer.
const PARTS: u16 = 16;
const SLOTS: u16 = 16_384;

/// The misses of one connection.
///
/// One late answer is no reason to give up: a save to disk, a slow command of somebody else. But many requests at once
/// all miss by the same late answer; so besides their number it counts for how long nothing came, which is the time
/// that so many requests one after the other would have lost.
#[derive(Debug)]
pub(crate) struct Health {
    since: Instant,
    budget: Duration,
    served: AtomicBool,
    parts: [Part; PARTS as usize],
}

/// Some of a cluster's slots, or with a single server everything.
#[derive(Debug, Default)]
struct Part {
    misses: AtomicU32,
    /// When the first one began, in microseconds after the connection was made.
    from: AtomicU64,
}

impl Health {
    pub(crate) fn new(budget: Duration) -> Self {
        Self { since: Instant::now(), budget, served: AtomicBool::new(false), parts: Default::default() }
    }

    /// How long the connection has been there.
    pub(crate) fn age(&self) -> Duration {
        self.since.elapsed()
    }

    /// Whether any turn was answered.
    pub(crate) fn served(&self) -> bool {
        self.served.load(Ordering::Relaxed)
    }

    /// A turn of this part was answered.
    pub(crate) fn hit(&self, part: usize) {
        // Written only where it changes: all threads of a runtime read it at every turn.
        if !self.served() {
            self.served.store(true, Ordering::Relaxed);
        }
        let misses = &self.parts[part].misses;
        if misses.load(Ordering::Relaxed) != 0 {
            misses.store(0, Ordering::Relaxed);
        }
    }

    /// A turn of this part, which began so long ago, was missed. Whether it is time to give up.
    pub(crate) fn miss(&self, part: usize, took: Duration) -> bool {
        let now = self.since.elapsed();
        let Part { misses, from } = &self.parts[part];
        let before = misses.fetch_add(1, Ordering::Relaxed);
        if before == 0 {
            let began = now.saturating_sub(took);
            from.store(u64::try_from(began.as_micros()).unwrap_or(u64::MAX), Ordering::Relaxed);
        }
        let silent = now.saturating_sub(Duration::from_micros(from.load(Ordering::Relaxed)));
        before + 1 >= MISSES && silent >= self.budget * MISSES
    }
}

/// The part of a cluster that a key belongs to.
pub(crate) fn part(key: &str) -> usize {
    usize::from(slot(key) / (SLOTS / PARTS))
}

/// The slot of a key that has braces: CRC-16 (XMODEM) of what is in them.
fn slot(key: &str) -> u16 {
    let tag = key.split_once('{').and_then(|(_, rest)| rest.split_once('}')).map_or(key, |(tag, _)| tag);
    let crc = tag.bytes().fold(0_u16, |crc, byte| {
        (0..8).fold(
            crc ^ (u16::from(byte) << 8),
            |crc, _| {
                if crc & 0x8000 == 0 { crc << 1 } else { (crc << 1) ^ 0x1021 }
            },
        )
    });
    crc % SLOTS
}

#[cfg(test)]
mod tests {
    use super::*;

    const BUDGET: Duration = Duration::from_secs(1);

    #[test]
    fn a_few_misses_between_answers_are_no_reason_to_give_up() {
        let health = Health::new(BUDGET);
        for _ in 0..10 {
            assert!(!health.miss(0, BUDGET));
            assert!(!health.miss(0, BUDGET));
            health.hit(0);
        }
    }

    #[test]
    fn many_requests_that_miss_by_one_late_answer_count_as_one() {
        let health = Health::new(BUDGET);
        assert!(!(0..100).any(|_| health.miss(0, Duration::ZERO)));
    }

    #[test]
    fn three_lost_budgets_in_a_row_are_enough() {
        let mut health = Health::new(Duration::ZERO);
        assert_eq!([0, 0, 0].map(|part| health.miss(part, Duration::ZERO)), [false, false, true]);
        health.hit(0);
        assert_eq!([0, 1, 0].map(|part| health.miss(part, Duration::ZERO)), [false, false, false]);
        health.budget = BUDGET;
        assert!(!health.miss(0, Duration::ZERO));
    }

    #[test]
    fn slots_are_computed_as_a_cluster_does() {
        // The specification's own example, and the answers of `CLUSTER KEYSLOT`.
        assert_eq!(slot("123456789"), 0x31C3);
        assert_eq!(slot("claviger:pool:{a}"), slot("a"));
        assert_eq!(part("claviger:pool:{a}"), 15_495 / 1_024);
    }
}
