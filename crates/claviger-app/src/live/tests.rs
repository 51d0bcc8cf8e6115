use std::sync::atomic::{AtomicU64, Ordering};

use claviger_core::{Clock, Timestamp};
use futures_util::future::join_all;

use super::*;

/// What stands before a colon is the group.
impl Content for &'static str {
    fn bytes(&self) -> u64 {
        self.len() as u64
    }

    fn group(&self) -> Option<Group> {
        self.split_once(':').map(|(group, _)| Group::of(&group))
    }
}

#[derive(Debug, Default)]
struct Hand(AtomicU64);

impl Clock for Hand {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(0)
    }

    fn uptime(&self) -> Duration {
        Duration::from_millis(self.0.load(Ordering::SeqCst))
    }
}

struct World {
    clock: Arc<Hand>,
    trust: Arc<Trust>,
    live: Live<u32, &'static str, Mutex<u32>>,
}

fn world(grace: Duration) -> World {
    let clock = Arc::new(Hand::default());
    let trust = Arc::new(Trust::new(Arc::clone(&clock) as _, grace));
    let live = Live::new(Capacity { entries: 10, bytes: 1_000 }, Arc::clone(&trust));
    World { clock, trust, live }
}

impl World {
    fn at(&self, millis: u64) {
        self.clock.0.store(millis, Ordering::SeqCst);
    }

    fn kept(&self) -> Option<&'static str> {
        self.live.kept(&self.live.slot(&1)).map(|kept| *kept)
    }

    async fn obtain(&self, brings: Result<&'static str, StoreError>) -> Result<&'static str, StoreError> {
        self.live.obtain(&1, &self.live.slot(&1), async || brings).await.map(|brought| *brought)
    }
}

fn gone() -> StoreError {
    StoreError::Unavailable("gone".into())
}

#[tokio::test]
async fn what_was_read_before_a_change_is_not_kept_after_it() {
    let world = world(Duration::ZERO);
    let slot = world.live.slot(&1);
    let brought = world.live.obtain(&1, &slot, async || {
        world.live.forget(&1);
        Ok("old")
    });
    assert_eq!(*brought.await.unwrap(), "old");
    assert_eq!(world.kept(), None);
    assert_eq!(world.obtain(Ok("new")).await.unwrap(), "new");
    assert_eq!(world.kept(), Some("new"));
}

#[tokio::test]
async fn a_group_is_forgotten_as_a_whole_and_is_read_again() {
    let live = world(Duration::from_mins(1)).live;
    let obtain =
        async |key: u32, brings: &'static str| *live.obtain(&key, &live.slot(&key), async || Ok(brings)).await.unwrap();
    let kept = |key: u32| live.kept(&live.slot(&key)).map(|kept| *kept);
    for (key, text) in [(1, "one:a"), (2, "one:b"), (3, "other:c"), (4, "none")] {
        obtain(key, text).await;
    }
    live.forget_group(Group::of(&"one"));
    assert_eq!([1, 2, 3, 4].map(kept), [None, None, Some("other:c"), Some("none")]);
    assert_eq!(obtain(1, "one:again").await, "one:again");
    assert_eq!([1, 2].map(kept), [Some("one:again"), None]);
    // Another group than before.
    assert_eq!(obtain(2, "other:now").await, "other:now");
    live.forget_group(Group::of(&"one"));
    assert_eq!([1, 2].map(kept), [None, Some("other:now")]);
    live.forget_all();
    assert_eq!([1, 2, 3, 4].map(kept), [None; 4]);
}

#[tokio::test]
async fn what_was_read_before_its_group_changed_is_not_kept_after_it_nor_used_in_the_grace() {
    let world = world(Duration::from_mins(1));
    world.trust.begin();
    world.trust.heard(Duration::ZERO);
    let slot = world.live.slot(&1);
    let brought = world.live.obtain(&1, &slot, async || {
        // Of a reading that is under way nobody knows yet which group it is of.
        world.live.forget_group(Group::of(&"one"));
        Ok("one:old")
    });
    assert_eq!(*brought.await.unwrap(), "one:old");
    assert_eq!(world.kept(), None);
    world.at(4_000);
    assert!(world.obtain(Err(gone())).await.is_err());
    world.trust.heard(Duration::from_secs(4));
    assert_eq!(world.obtain(Ok("one:new")).await.unwrap(), "one:new");
    assert_eq!(world.kept(), Some("one:new"));
}

#[tokio::test]
async fn a_companion_outlives_forgetting() {
    let world = world(Duration::ZERO);
    *world.live.slot(&1).companion.lock() = 7;
    world.live.forget(&1);
    assert_eq!(*world.live.slot(&1).companion.lock(), 7);
}

#[tokio::test]
async fn what_is_kept_counts_for_three_seconds_after_the_last_proof() {
    let world = world(Duration::ZERO);
    world.obtain(Ok("before anybody listened")).await.unwrap();
    assert!(world.kept().is_some());
    world.trust.begin();
    assert_eq!(world.kept(), None);
    world.at(10_000);
    world.trust.heard(Duration::from_millis(9_500));
    assert!(world.kept().is_some());
    world.at(12_499);
    assert!(world.kept().is_some());
    world.at(12_500);
    assert_eq!(world.kept(), None);
    // An older proof that comes late changes nothing.
    world.trust.heard(Duration::from_millis(9_400));
    assert_eq!(world.kept(), None);
    assert_eq!(world.obtain(Ok("read again")).await.unwrap(), "read again");
    assert_eq!(world.obtain(Ok("and again")).await.unwrap(), "and again");
    world.trust.heard(Duration::from_secs(12));
    assert_eq!(world.kept(), Some("and again"));
}

#[tokio::test]
async fn without_a_proof_a_database_that_is_gone_is_an_error_and_within_the_grace_it_is_not() {
    for (grace, answers) in [(Duration::ZERO, None), (Duration::from_mins(1), Some("kept"))] {
        let world = world(grace);
        world.trust.begin();
        world.trust.heard(Duration::ZERO);
        world.obtain(Ok("kept")).await.unwrap();
        world.at(4_000);
        assert_eq!(world.obtain(Err(gone())).await.ok(), answers);
        // The second one does not even ask.
        assert_eq!(world.obtain(Err(gone())).await.ok(), answers);
        world.at(63_000);
        assert!(world.obtain(Err(gone())).await.is_err(), "the grace is over");
    }
}

#[tokio::test]
async fn other_errors_are_not_graced() {
    let world = world(Duration::from_mins(1));
    world.trust.begin();
    world.trust.heard(Duration::ZERO);
    world.obtain(Ok("kept")).await.unwrap();
    world.at(4_000);
    assert!(world.obtain(Err(StoreError::Unexpected("odd".to_owned()))).await.is_err());
}

#[tokio::test]
async fn readers_at_once_share_two_readings_at_most_and_never_one_that_began_before_they_came() {
    let world = world(Duration::ZERO);
    world.trust.begin();
    let readings = &AtomicU64::new(0);
    let slot = world.live.slot(&1);
    let (go, gate) = tokio::sync::watch::channel(false);
    let asks = (0..10).map(|_| {
        let mut gate = gate.clone();
        world.live.obtain(&1, &slot, async move || {
            readings.fetch_add(1, Ordering::SeqCst);
            gate.wait_for(|open| *open).await.unwrap();
            Ok("brought")
        })
    });
    let all = join_all(asks);
    let open = async {
        tokio::task::yield_now().await;
        go.send(true).unwrap();
    };
    let (brought, ()) = tokio::join!(all, open);
    assert!(brought.iter().all(Result::is_ok));
    // The first one begins at once; those that came before it began, and while it ran, share the next.
    assert_eq!(readings.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn a_failed_reading_keeps_nothing() {
    let world = world(Duration::ZERO);
    assert!(world.obtain(Err(gone())).await.is_err());
    assert_eq!(world.kept(), None);
}

#[tokio::test]
async fn neither_the_number_nor_the_bytes_grow_beyond_their_bounds() {
    let clock: Arc<dyn Clock> = Arc::new(Hand::default());
    let trust = Arc::new(Trust::new(clock, Duration::ZERO));
    let small: Live<u32, &str> = Live::new(Capacity { entries: 100, bytes: 1_000_000 }, Arc::clone(&trust));
    let heavy: Live<u32, &str> = Live::new(Capacity { entries: 100_000, bytes: 10_000 }, trust);
    let text: &'static str = "x".repeat(100).leak();
    for number in 0..10_000 {
        small.obtain(&number, &small.slot(&number), async || Ok("x")).await.unwrap();
        heavy.obtain(&number, &heavy.slot(&number), async || Ok(text)).await.unwrap();
    }
    assert!((50..=100).contains(&small.len()), "{}", small.len());
    assert!((50..=110).contains(&heavy.len()), "{}", heavy.len());
}
