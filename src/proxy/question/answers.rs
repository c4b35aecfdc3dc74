//! Answers of authentication services that one worker remembers: bounded in number and bytes, oldest out first.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use http::{HeaderMap, HeaderValue, StatusCode};
use tokio::time::Instant;

use crate::policy::external_auth::{ExternalAuth, Granted, Outcome};

/// Answers that are kept, and bytes of them with their keys.
const MAX_ANSWERS: usize = 10_000;
const MAX_BYTES: usize = 8 << 20;
/// A longer key is not worth its place.
const MAX_KEY: usize = 16 * 1024;

/// What an answer said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Said {
    /// The service's, or what nginx has for one that does not answer.
    pub status: StatusCode,
    pub outcome: Outcome,
    pub granted: Granted,
    /// `WWW-Authenticate`, line by line.
    pub challenges: Vec<HeaderValue>,
}

impl Said {
    /// The same in memory of its own: a header is a piece of all that was read with it, bodies included.
    fn unshared(mut self) -> Self {
        let values = self.granted.headers.iter_mut().filter_map(|(_, value)| value.as_mut());
        for value in values.chain(&mut self.granted.cookies).chain(&mut self.challenges) {
            if let Ok(own) = HeaderValue::from_bytes(value.as_bytes()) {
                *value = own;
            }
        }
        self
    }

    /// The service did not say anything: nobody passes, and nothing of the client's counts as the service's.
    pub fn nothing(auth: &ExternalAuth, status: StatusCode) -> Self {
        let granted = Granted::of(auth, &HeaderMap::new());
        Self { status, outcome: Outcome::Failed, granted, challenges: Vec::new() }
    }
}

#[derive(Debug)]
struct Kept {
    said: Said,
    until: Instant,
    bytes: usize,
}

#[derive(Debug, Default)]
pub struct Answers {
    by_key: HashMap<Box<[u8]>, Kept, foldhash::fast::RandomState>,
    /// Every key once, in the order in which they came.
    order: VecDeque<Box<[u8]>>,
    bytes: usize,
}

impl Answers {
    pub fn get(&self, key: &[u8], now: Instant) -> Option<Said> {
        self.by_key.get(key).filter(|kept| kept.until > now).map(|kept| kept.said.clone())
    }

    pub fn put(&mut self, key: &[u8], said: Said, now: Instant, lasts: Duration) {
        let Some(until) = now.checked_add(lasts).filter(|_| key.len() <= MAX_KEY && !lasts.is_zero()) else { return };
        let said = said.unshared();
        let bytes = 2 * key.len() + size(&said);
        if let Some(kept) = self.by_key.get_mut(key) {
            self.bytes = self.bytes + bytes - kept.bytes;
            *kept = Kept { said, until, bytes };
        } else {
            self.bytes += bytes;
            self.by_key.insert(key.into(), Kept { said, until, bytes });
            self.order.push_back(key.into());
        }
        while self.by_key.len() > MAX_ANSWERS || self.bytes > MAX_BYTES {
            let Some(oldest) = self.order.pop_front() else { break };
            self.bytes -= self.by_key.remove(&oldest).map_or(0, |kept| kept.bytes);
        }
    }
}

fn size(said: &Said) -> usize {
    let headers = said.granted.headers.iter().map(|(name, value)| {
        name.as_str().len() + value.as_ref().map_or(0, HeaderValue::len) + size_of::<(http::HeaderName, HeaderValue)>()
    });
    let challenges = said.challenges.iter().map(|line| line.len() + size_of::<HeaderValue>());
    size_of::<Kept>() + headers.chain(challenges).sum::<usize>()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(outcome: Outcome) -> Said {
        Said { status: StatusCode::OK, outcome, granted: Granted::default(), challenges: Vec::new() }
    }

    #[tokio::test(start_paused = true)]
    async fn last_for_their_time() {
        let (mut answers, now) = (Answers::default(), Instant::now());
        answers.put(b"a", said(Outcome::Pass), now, Duration::from_secs(10));
        answers.put(b"b", said(Outcome::Pass), now, Duration::ZERO);
        let at = |seconds| now + Duration::from_secs(seconds);
        assert_eq!(answers.get(b"a", at(9)), Some(said(Outcome::Pass)));
        assert_eq!((answers.get(b"a", at(10)), answers.get(b"b", now)), (None, None));
        answers.put(b"a", said(Outcome::Forbidden), at(10), Duration::from_secs(10));
        assert_eq!(answers.get(b"a", at(19)), Some(said(Outcome::Forbidden)));
        assert_eq!(answers.order.len(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn hold_no_more_than_they_say() {
        let read = bytes::Bytes::from(vec![b'x'; 64 * 1024]);
        let piece = || HeaderValue::from_maybe_shared(read.slice(..4)).unwrap();
        let granted = Granted { headers: vec![(http::header::COOKIE, Some(piece()))], ..Granted::default() };
        let (mut answers, now) = (Answers::default(), Instant::now());
        let said = Said { granted, challenges: vec![piece()], ..said(Outcome::Pass) };
        answers.put(b"a", said.clone(), now, Duration::from_secs(10));
        let kept = answers.get(b"a", now).unwrap();
        assert_eq!(kept, said);
        let values = [kept.granted.headers[0].1.as_ref().unwrap(), &kept.challenges[0]];
        assert!(values.iter().all(|value| !read.as_ptr_range().contains(&value.as_bytes().as_ptr())));
    }

    #[tokio::test(start_paused = true)]
    async fn are_bounded() {
        let (mut answers, now) = (Answers::default(), Instant::now());
        for n in 0..3 * MAX_ANSWERS {
            let long = Said { challenges: vec![HeaderValue::from_static("Basic"); n % 7], ..said(Outcome::Pass) };
            answers.put(format!("{n:0width$}", width = n % 3000).as_bytes(), long, now, Duration::from_secs(10));
            assert!(answers.by_key.len() <= MAX_ANSWERS && answers.bytes <= MAX_BYTES);
            assert_eq!(answers.by_key.len(), answers.order.len());
        }
        let sum: usize = answers.by_key.values().map(|kept| kept.bytes).sum();
        assert_eq!(answers.bytes, sum);
        answers.put(&[0; MAX_KEY + 1], said(Outcome::Pass), now, Duration::from_secs(10));
        assert_eq!(answers.get(&[0; MAX_KEY + 1], now), None);
    }
}
