//! Rotation: which key of a pool has the next turn.
//!
//! A pool's cursor remembers the position of the key that was served last. The next turn belongs to the first usable
//! key after it in creation order, and after the last key comes the first again. Because the cursor remembers a
//! position and not an index, keys may come, go, be switched off or fail to open between two turns: every key that was
//! usable throughout still gets exactly one turn in each round, and nobody gets the turns of a key that was passed
//! over twice.

use std::sync::atomic::{AtomicU64, Ordering};

/// How many keys a pool may have.
pub const POOL_CAPACITY: usize = 10;

/// A key's place in its pool's creation order. Positions grow, start at 1, and are never used again in the same pool.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Position(pub u64);

/// A key's place in a list of keys.
pub type KeyIndex = usize;

/// What a pool offers at one instant.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Turn {
    /// The key at this index of the list is next.
    Use(KeyIndex),
    /// No key can be used.
    Empty,
}

/// The turn after the key at `last`, among usable keys in creation order.
#[must_use]
pub fn turn_after(last: u64, usable: &[Position]) -> Turn {
    if usable.is_empty() {
        return Turn::Empty;
    }
    Turn::Use(usable.iter().position(|position| position.0 > last).unwrap_or(0))
}

/// The atomic word that a cursor keeps: the standard library's, or a model checker's.
pub trait Word {
    /// The present value.
    fn load(&self) -> u64;
    /// Stores `new` where the value is still `old`; otherwise tells the value it found.
    fn swap_if(&self, old: u64, new: u64) -> Result<(), u64>;
}

impl Word for AtomicU64 {
    fn load(&self) -> u64 {
        // The word guards no other memory: a pool's keys reach a thread by other ways.
        AtomicU64::load(self, Ordering::Relaxed)
    }

    fn swap_if(&self, old: u64, new: u64) -> Result<(), u64> {
        self.compare_exchange_weak(old, new, Ordering::Relaxed, Ordering::Relaxed).map(drop)
    }
}

/// Where a pool's rotation stands. Shared by all threads; taking a turn is lock-free.
#[derive(Debug, Default)]
pub struct Cursor<W = AtomicU64>(W);

impl<W: Word> Cursor<W> {
    /// A cursor on this word; 0 stands before the first key.
    #[must_use]
    pub fn new(word: W) -> Self {
        Self(word)
    }

    /// Goes on from this key instead: its turn was taken elsewhere.
    pub fn follow(&self, taken: Position) {
        let mut last = self.0.load();
        while let Err(found) = self.0.swap_if(last, taken.0) {
            last = found;
        }
    }

    /// Begins in front of this key, unless a turn was taken already.
    pub fn begin_at(&self, first: Position) {
        while self.0.load() == 0 && first.0 > 1 && self.0.swap_if(0, first.0 - 1).is_err() {}
    }

    /// Whose turn is next among usable keys in creation order, without taking it.
    #[must_use]
    pub fn peek(&self, usable: &[Position]) -> Turn {
        turn_after(self.0.load(), usable)
    }

    /// Takes the next turn among usable keys in creation order.
    #[must_use]
    pub fn advance(&self, usable: &[Position]) -> Turn {
        let mut last = self.0.load();
        loop {
            let turn = turn_after(last, usable);
            let Turn::Use(index) = turn else {
                return turn;
            };
            match self.0.swap_if(last, usable[index].0) {
                Ok(()) => return turn,
                Err(found) => last = found,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;

    fn positions(of: &[u64]) -> Vec<Position> {
        of.iter().copied().map(Position).collect()
    }

    #[test]
    fn turns_follow_creation_order_and_wrap() {
        let cursor = Cursor::new(AtomicU64::new(0));
        let keys = positions(&[3, 4, 9]);
        let served: Vec<_> = (0..5).map(|_| cursor.advance(&keys)).collect();
        assert_eq!(served, [0, 1, 2, 0, 1].map(Turn::Use));
        assert_eq!(cursor.advance(&[]), Turn::Empty);
    }

    #[test]
    fn a_cursor_begins_where_it_is_told_and_goes_on_from_turns_taken_elsewhere() {
        let keys = positions(&[3, 4, 9]);
        let cursor = Cursor::new(AtomicU64::new(0));
        cursor.begin_at(Position(4));
        assert_eq!(cursor.advance(&keys), Turn::Use(1));
        cursor.begin_at(Position(4));
        assert_eq!(cursor.advance(&keys), Turn::Use(2));
        cursor.follow(Position(3));
        assert_eq!(cursor.advance(&keys), Turn::Use(1));
    }

    #[test]
    fn a_key_added_in_the_middle_of_a_round_gets_its_turn_in_that_round() {
        let cursor = Cursor::new(AtomicU64::new(0));
        let _ = cursor.advance(&positions(&[1, 2]));
        let _ = cursor.advance(&positions(&[1, 2]));
        assert_eq!(cursor.advance(&positions(&[1, 2, 3])), Turn::Use(2));
    }

    /// One step of a pool's life: lease, or switch the key at this position on or off (adding and deleting are the same
    /// to rotation).
    #[derive(Clone, Debug)]
    enum Step {
        Lease,
        Toggle(u64),
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let step = prop_oneof![3 => Just(Step::Lease), 1 => (1_u64..=10).prop_map(Step::Toggle)];
        prop::collection::vec(step, 1..400)
    }

    proptest! {
        #[test]
        fn keys_that_stay_usable_share_the_turns_evenly(
            steps in steps(),
            always in prop::collection::btree_set(1_u64..=10, 1..6),
        ) {
            let cursor = Cursor::new(AtomicU64::new(0));
            let mut usable: Vec<u64> = always.iter().copied().collect();
            let mut served: HashMap<u64, u64> = HashMap::new();
            for step in steps {
                match step {
                    Step::Toggle(position) if always.contains(&position) => {}
                    Step::Toggle(position) => match usable.binary_search(&position) {
                        Ok(index) => { usable.remove(index); }
                        Err(index) => usable.insert(index, position),
                    },
                    Step::Lease => {
                        let Turn::Use(index) = cursor.advance(&positions(&usable)) else { panic!("never empty") };
                        *served.entry(usable[index]).or_default() += 1;
                    }
                }
                let counts = || always.iter().map(|p| served.get(p).copied().unwrap_or_default());
                prop_assert!(counts().max().unwrap() - counts().min().unwrap() <= 1);
            }
        }
    }

    impl Word for loom::sync::atomic::AtomicU64 {
        fn load(&self) -> u64 {
            self.load(Ordering::Relaxed)
        }

        fn swap_if(&self, old: u64, new: u64) -> Result<(), u64> {
            self.compare_exchange(old, new, Ordering::Relaxed, Ordering::Relaxed).map(drop)
        }
    }

    /// Every interleaving of threads that lease from one pool, one of which sees a key less: keys that both see are
    /// served alike.
    #[test]
    fn no_interleaving_of_threads_serves_a_key_twice_in_a_round() {
        use loom::sync::Arc;
        loom::model(|| {
            let cursor = Arc::new(Cursor::new(loom::sync::atomic::AtomicU64::new(0)));
            let views = [positions(&[1, 2, 3]), positions(&[1, 3])];
            let threads: Vec<_> = views
                .into_iter()
                .map(|view| {
                    let cursor = Arc::clone(&cursor);
                    loom::thread::spawn(move || {
                        let mut served = Vec::new();
                        for _ in 0..2 {
                            if let Turn::Use(index) = cursor.advance(&view) {
                                served.push(view[index].0);
                            }
                        }
                        served
                    })
                })
                .collect();
            let served: Vec<u64> = threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect();
            let count = |position| served.iter().filter(|p| **p == position).count();
            assert_eq!(served.len(), 4);
            assert!(count(1).abs_diff(count(3)) <= 1, "{served:?}");
        });
    }
}
