//! TLS sessions that can be resumed, bounded in bytes and in time. It is asked once a handshake, never by requests.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use rustls::server::StoresServerSessions;

/// What an entry costs besides its bytes: the key twice, and the places it has in both collections.
const OVERHEAD: usize = 160;

#[derive(Debug)]
pub struct SessionCache {
    bytes: usize,
    lifetime: Duration,
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    sessions: HashMap<Vec<u8>, Entry, foldhash::fast::RandomState>,
    /// The oldest first. Those that were taken out meanwhile stay until it is their turn.
    order: VecDeque<(Vec<u8>, usize)>,
    used: usize,
}

struct Entry {
    value: Vec<u8>,
    since: Instant,
}

/// Sessions are secrets: only their number is shown.
impl std::fmt::Debug for Inner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Inner").field("sessions", &self.sessions.len()).finish_non_exhaustive()
    }
}

impl SessionCache {
    pub fn new(bytes: usize, lifetime: Duration) -> Self {
        Self { bytes, lifetime, inner: Mutex::default() }
    }

    fn with<T>(&self, act: impl FnOnce(&mut Inner) -> T) -> T {
        act(&mut self.inner.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn fresh(&self, entry: &Entry) -> bool {
        entry.since.elapsed() < self.lifetime
    }
}

impl StoresServerSessions for SessionCache {
    fn put(&self, key: Vec<u8>, value: Vec<u8>) -> bool {
        let cost = key.len() * 2 + value.len() + OVERHEAD;
        if cost > self.bytes {
            return false;
        }
        self.with(|inner| {
            inner.used += cost;
            while inner.used > self.bytes {
                let Some((oldest, freed)) = inner.order.pop_front() else { break };
                inner.sessions.remove(&oldest);
                inner.used = inner.used.saturating_sub(freed);
            }
            inner.order.push_back((key.clone(), cost));
            inner.sessions.insert(key, Entry { value, since: Instant::now() });
        });
        true
    }

    fn get(&self, key: &[u8]) -> Option<Vec<u8>> {
        self.with(|inner| inner.sessions.get(key).filter(|entry| self.fresh(entry)).map(|entry| entry.value.clone()))
    }

    fn take(&self, key: &[u8]) -> Option<Vec<u8>> {
        self.with(|inner| inner.sessions.remove(key).filter(|entry| self.fresh(entry)).map(|entry| entry.value))
    }

    fn can_cache(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounded_in_bytes_and_in_time() {
        let key = |n: u32| n.to_be_bytes().to_vec();
        let cache = SessionCache::new(10 * (OVERHEAD + 8 + 100), Duration::from_secs(60));
        for n in 0..100 {
            assert!(cache.put(key(n), vec![0; 100]));
        }
        assert!(cache.get(&key(89)).is_none() && cache.get(&key(90)).is_some());
        assert!(cache.take(&key(99)).is_some() && cache.take(&key(99)).is_none());
        assert!(!cache.put(key(200), vec![0; 10_000]), "one that is larger than all");
        assert_eq!(cache.with(|inner| inner.sessions.len()), 9);

        let cache = SessionCache::new(10_000, Duration::ZERO);
        cache.put(key(1), vec![0; 100]);
        assert!(cache.get(&key(1)).is_none() && cache.take(&key(1)).is_none());
    }
}
