//! Asking for a user: the question, the comparison away from the worker's thread, and what a worker remembers of it.

use std::cell::RefCell;
use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::available_parallelism;
use std::time::{SystemTime, UNIX_EPOCH};

use http::StatusCode;
use http::header::{self, HeaderMap, HeaderValue};
use sha2::{Digest as _, Sha256};
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;

use super::access::Verdict;
use super::exchange::Exchange;
use super::respond;
use crate::policy::login::digest::{Asked, Digests, Outcome};
use crate::policy::login::hash::Hash;
use crate::policy::login::{Login, Passwords, Scheme, authorization, credentials};

/// Asks a request for its user.
pub async fn ask(exchange: &mut Exchange, login: &Login, headers: &HeaderMap) -> Verdict {
    match &login.scheme {
        Scheme::Basic(passwords) => basic(exchange, &login.realm, passwords, headers).await,
        Scheme::Digest(digests) => digest(exchange, &login.realm, digests, headers),
    }
}

async fn basic(exchange: &Exchange, realm: &str, passwords: &Passwords, headers: &HeaderMap) -> Verdict {
    let challenge = HeaderValue::from_str(&format!("Basic realm=\"{realm}\"")).ok();
    let Some((user, password)) = authorization(headers, "basic").and_then(credentials) else {
        return question(challenge);
    };
    let Some((hash, counts)) = passwords.find(&user) else { return question(challenge) };
    let is_right = if hash.cost() == 0 {
        Ok(hash.matches(&password))
    } else {
        let worker = &exchange.worker;
        let mark = worker.handle.hashing.mark(passwords, &user, &password);
        if counts && worker.logins.has(mark) {
            return Verdict::Granted;
        }
        let compared = worker.handle.hashing.compare(Arc::clone(hash), password).await;
        if let (Ok(true), true) = (&compared, counts) {
            worker.logins.add(mark);
        }
        compared
    };
    match is_right {
        Ok(is_right) if is_right && counts => Verdict::Granted,
        Ok(_) => question(challenge),
        Err(Busy) => Verdict::Refused(respond::page(StatusCode::SERVICE_UNAVAILABLE)),
    }
}

fn digest(exchange: &mut Exchange, realm: &str, digests: &Digests, headers: &HeaderMap) -> Verdict {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let asked = Asked { method: exchange.method.as_str(), target: exchange.target(), now };
    let outcome = authorization(headers, "digest").map(|fields| digests.judge(realm, fields, asked));
    match outcome {
        Some(Outcome::Entered(user)) => {
            exchange.user = Some(user);
            Verdict::Granted
        }
        other => {
            let is_stale = other == Some(Outcome::Stale);
            question(digests.challenge(realm, now, exchange.worker.random(), is_stale))
        }
    }
}

/// 401 with a challenge. One that cannot stand in a header is an error of ours, and lets nobody in either.
fn question(challenge: Option<HeaderValue>) -> Verdict {
    let Some(challenge) = challenge else {
        return Verdict::Refused(respond::page(StatusCode::INTERNAL_SERVER_ERROR));
    };
    let mut answer = respond::page(StatusCode::UNAUTHORIZED);
    answer.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
    Verdict::Refused(answer)
}

/// Comparisons that take their time, on threads of their own: as many at once as there are cores.
#[derive(Debug)]
pub struct Hashing {
    turns: Arc<Semaphore>,
    waiting: AtomicUsize,
    /// Keys the marks of this process.
    key: [u8; 32],
}

/// So many are waiting that another one would wait too long.
struct Busy;

/// Comparisons that may wait for a turn.
const WAITING: usize = 256;

impl Default for Hashing {
    fn default() -> Self {
        let mut key = [0; 32];
        // Without randomness marks are still digests that are never told.
        let _ = getrandom::fill(&mut key);
        let turns = available_parallelism().map_or(1, usize::from);
        Self { turns: Arc::new(Semaphore::new(turns)), waiting: AtomicUsize::new(0), key }
    }
}

impl Hashing {
    async fn compare(&self, hash: Arc<Hash>, password: Vec<u8>) -> Result<bool, Busy> {
        let _place = Place::take(&self.waiting)?;
        let turn = Arc::clone(&self.turns).acquire_owned().await.map_err(|_| Busy)?;
        // The turn goes along, so that a client that hangs up does not free it before its work is done.
        let comparing = spawn_blocking(move || {
            let is_right = hash.matches(&password);
            drop(turn);
            is_right
        });
        comparing.await.map_err(|_| Busy)
    }

    fn mark(&self, passwords: &Passwords, user: &[u8], password: &[u8]) -> Mark {
        let digest = Sha256::new()
            .chain_update(self.key)
            .chain_update(passwords.fingerprint().0)
            .chain_update((user.len() as u64).to_be_bytes())
            .chain_update(user)
            .chain_update(password);
        Mark(digest.finalize().into())
    }
}

/// A place in the queue, given back when it is dropped.
struct Place<'a>(&'a AtomicUsize);

impl<'a> Place<'a> {
    fn take(waiting: &'a AtomicUsize) -> Result<Self, Busy> {
        let place = Self(waiting);
        match waiting.fetch_add(1, Ordering::Relaxed) {
            before if before < WAITING => Ok(place),
            _ => Err(Busy),
        }
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// What stands for a user, a password and the secret they were compared with.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct Mark([u8; 32]);

/// The comparisons that came out right lately, of one worker. Wrong ones are not kept, so nobody can push others out
/// without knowing a password.
#[derive(Default)]
pub struct Remembered(RefCell<[HashSet<Mark>; 2]>);

impl std::fmt::Debug for Remembered {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Remembered")
    }
}

/// Marks of one generation; there are two.
const GENERATION: usize = 2048;

impl Remembered {
    fn has(&self, mark: Mark) -> bool {
        let [young, old] = &*self.0.borrow();
        young.contains(&mark) || old.contains(&mark)
    }

    fn add(&self, mark: Mark) {
        let [young, old] = &mut *self.0.borrow_mut();
        if young.len() >= GENERATION {
            *old = std::mem::take(young);
        }
        young.insert(mark);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_remembered_is_bounded() {
        let remembered = Remembered::default();
        let mark = |n: usize| Mark(Sha256::digest(n.to_be_bytes()).into());
        for n in 0..10 * GENERATION {
            remembered.add(mark(n));
        }
        assert!(remembered.has(mark(10 * GENERATION - 1)) && remembered.has(mark(8 * GENERATION)));
        assert!(!remembered.has(mark(7 * GENERATION)));
    }

    #[test]
    fn the_queue_is_bounded() {
        let waiting = AtomicUsize::new(0);
        let places: Vec<_> = (0..WAITING).map(|_| Place::take(&waiting)).collect();
        assert!(places.iter().all(Result::is_ok) && Place::take(&waiting).is_err());
        drop(places);
        assert_eq!(waiting.load(Ordering::Relaxed), 0);
    }
}
