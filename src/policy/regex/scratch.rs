//! The memory in which a worker searches: what automata need for that lies here, once a thread, and has one bound for
//! all of them.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};

/// What one thread keeps of a kind, in bytes; one automaton may take it beyond while it is searched.
const LIMIT: usize = 32 << 20;
/// What an automaton counts besides what it says of itself.
const OVERHEAD: usize = 512;

/// An automaton; no two of a process have the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Id(u64);

impl Id {
    pub fn next() -> Self {
        static LAST: AtomicU64 = AtomicU64::new(0);
        Self(LAST.fetch_add(1, Ordering::Relaxed))
    }
}

pub struct Scratch<C> {
    known: HashMap<Id, (C, usize), foldhash::fast::RandomState>,
    bytes: usize,
    limit: usize,
    measure: fn(&C) -> usize,
}

impl<C> Scratch<C> {
    /// `measure` gives bytes.
    pub fn new(measure: fn(&C) -> usize) -> Self {
        Self { known: HashMap::default(), bytes: 0, limit: LIMIT, measure }
    }

    /// Runs a search in the memory of an automaton. Past the limit all is forgotten, also what belongs to tables that are
    /// gone: to build it again takes no longer than a few searches did.
    pub fn with<R>(&mut self, id: Id, make: impl FnOnce() -> C, run: impl FnOnce(&mut C) -> R) -> R {
        let (cache, counted) = self.known.entry(id).or_insert_with(|| (make(), 0));
        let result = run(cache);
        let now = OVERHEAD.saturating_add((self.measure)(cache));
        self.bytes = self.bytes.saturating_sub(*counted).saturating_add(now);
        *counted = now;
        if self.bytes > self.limit {
            self.known.clear();
            self.bytes = 0;
        }
        result
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_is_bounded() {
        let mut scratch = Scratch::new(|cache: &Vec<u8>| cache.len());
        scratch.limit = 4 * (OVERHEAD + 100);
        let (one, other) = (Id::next(), Id::next());
        let rows = [
            (one, 100, 1, OVERHEAD + 100),
            (other, 100, 2, 2 * (OVERHEAD + 100)),
            (one, 200, 2, 2 * OVERHEAD + 300),
            (one, 10_000, 0, 0),
            (one, 1, 1, OVERHEAD + 1),
        ];
        for (id, length, kept, bytes) in rows {
            scratch.with(id, Vec::new, |cache| cache.resize(length, 0));
            assert_eq!((scratch.known.len(), scratch.bytes), (kept, bytes), "{length}");
        }
    }
}
