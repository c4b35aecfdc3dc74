//! A bounded table of sessions by client: when it is full, the one that was idle for longest makes room.
//!
//! What is oldest is known but roughly and at no cost: each entry stands once in a queue with the time at which it was put
//! there, and who was used since is put at its end again when its turn comes (the clock algorithm).

use std::collections::{HashMap, VecDeque};
use std::hash::Hash;

#[derive(Debug)]
pub struct Table<K, V> {
    entries: HashMap<K, Entry<V>>,
    queue: VecDeque<Place<K>>,
    /// Counts uses: time, as far as ages matter.
    now: u64,
    limit: usize,
}

#[derive(Debug)]
struct Entry<V> {
    value: V,
    /// Names this session among those that the same client had.
    id: u64,
    used: u64,
}

#[derive(Debug)]
struct Place<K> {
    key: K,
    id: u64,
    since: u64,
}

impl<K: Copy + Eq + Hash, V> Table<K, V> {
    pub fn new(limit: usize) -> Self {
        Self { entries: HashMap::new(), queue: VecDeque::new(), now: 0, limit: limit.max(1) }
    }

    /// A client's session, which is thereby used.
    pub fn get(&mut self, key: &K) -> Option<&V> {
        self.now += 1;
        let entry = self.entries.get_mut(key)?;
        entry.used = self.now;
        Some(&entry.value)
    }

    /// The number that the next session will have.
    pub fn next_id(&self) -> u64 {
        self.now + 1
    }

    /// Adds a session under [`Self::next_id`]; gives back the one that makes room: an older one of the same client,
    /// or the one that was idle for longest.
    pub fn insert(&mut self, key: K, value: V) -> Option<V> {
        let mut out = None;
        if !self.entries.contains_key(&key) && self.entries.len() >= self.limit {
            out = self.evict();
        }
        self.now += 1;
        let id = self.now;
        self.compact();
        self.queue.push_back(Place { key, id, since: id });
        self.entries.insert(key, Entry { value, id, used: id }).map(|entry| entry.value).or(out)
    }

    /// Takes out a session that has ended, unless the client has a new one by now.
    pub fn remove(&mut self, key: &K, id: u64) -> Option<V> {
        self.entries.get(key).filter(|entry| entry.id == id)?;
        self.entries.remove(key).map(|entry| entry.value)
    }

    /// Takes out all sessions whose key is meant.
    pub fn remove_all(&mut self, meant: impl Fn(&K) -> bool) -> Vec<V> {
        self.entries.extract_if(|key, _| meant(key)).map(|(_, entry)| entry.value).collect()
    }

    /// Takes out the session that was idle for longest.
    pub fn evict(&mut self) -> Option<V> {
        while let Some(Place { key, id, since }) = self.queue.pop_front() {
            match self.entries.get(&key) {
                Some(entry) if entry.id == id && entry.used > since => {
                    let since = entry.used;
                    self.queue.push_back(Place { key, id, since });
                }
                Some(entry) if entry.id == id => return self.entries.remove(&key).map(|entry| entry.value),
                _ => {}
            }
        }
        None
    }

    /// Places of sessions that have ended are dropped when there are as many as those in use may be.
    fn compact(&mut self) {
        if self.queue.len() >= self.limit.saturating_mul(2) {
            let entries = &self.entries;
            self.queue.retain(|place| entries.get(&place.key).is_some_and(|entry| entry.id == place.id));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_idle_one_makes_room() {
        let mut table = Table::new(3);
        for key in [1, 2, 3] {
            assert_eq!(table.insert(key, key * 10), None);
        }
        assert_eq!(table.get(&1), Some(&10));
        assert_eq!(table.insert(4, 40), Some(20));
        assert_eq!(table.insert(5, 50), Some(30));
        assert_eq!(table.insert(6, 60), Some(10));
        assert_eq!(table.get(&4), Some(&40));
        assert_eq!(table.get(&1), None);
        assert_eq!(table.insert(4, 41), Some(40), "the same client's older one");
    }

    #[test]
    fn an_old_session_does_not_take_a_new_one_along() {
        let mut table = Table::new(2);
        let old = table.next_id();
        table.insert('a', 1);
        let new = table.next_id();
        assert_eq!(table.insert('a', 2), Some(1));
        assert_eq!(table.remove(&'a', old), None);
        assert_eq!(table.remove(&'a', new), Some(2));
        table.insert('a', 3);
        table.insert('b', 4);
        assert_eq!(table.remove_all(|key| *key == 'a'), [3]);
        assert_eq!(table.get(&'a'), None);
        assert_eq!(table.get(&'b'), Some(&4));
    }

    #[test]
    fn sessions_that_ended_take_no_room() {
        let mut table = Table::new(4);
        for key in 0..1000 {
            let id = table.next_id();
            assert_eq!(table.insert(key, ()), None);
            assert_eq!(table.remove(&key, id), Some(()));
            assert!(table.queue.len() <= 8, "{}", table.queue.len());
        }
    }
}
