//! How an upstream's endpoints are chosen: `load-balance`, `upstream-hash-by*` and `affinity` (contract §17).
//!
//! All of it belongs to the upstream, not to a route: the first Ingress that names it decides (contract §2.4).

use std::sync::Arc;
use std::time::Duration;

use super::affinity::{Affinity, Mode};
use super::template::Template;

/// An upstream's way of choosing, where it is not plain round robin. Affinity goes before the scheme.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Balance {
    pub scheme: Scheme,
    pub affinity: Option<Affinity>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Scheme {
    #[default]
    RoundRobin,
    /// What ingress-nginx makes of `sticky_balanced` and `sticky_persistent` without affinity.
    Random,
    /// Of two endpoints drawn at random the one with the lower [`Ewma`].
    Ewma,
    /// Of two endpoints drawn at random the one that has fewer requests in flight.
    LeastConnections,
    Hash(HashBy),
}

/// `upstream-hash-by`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HashBy {
    pub key: Template,
    /// The same as written.
    pub text: Arc<str>,
    /// `upstream-hash-by-subset-size`: among how many endpoints a request of this key is spread.
    pub subset: Option<u32>,
}

impl HashBy {
    /// The largest subset: the search for its members is per request.
    pub const LARGEST_SUBSET: u32 = 64;
}

/// What is worked out of an upstream's endpoints when they change, so that no request has to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Prepared {
    #[default]
    Nothing,
    Ring,
    /// An opaque name for every endpoint, salted with this.
    Names(Arc<str>),
}

impl Balance {
    pub fn prepared(&self) -> Prepared {
        match (&self.affinity, &self.scheme) {
            (Some(affinity), _) if affinity.mode == Mode::Persistent => Prepared::Names(Arc::clone(&affinity.key)),
            (Some(_), _) | (None, Scheme::Hash(_)) => Prepared::Ring,
            (None, _) => Prepared::Nothing,
        }
    }
}

/// A moving average of an endpoint's response times, which forgets with time: what ingress-nginx's `ewma` keeps.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Ewma {
    seconds: f64,
}

impl Ewma {
    /// After this time without requests a value is down to a third.
    const DECAY: Duration = Duration::from_secs(10);
    /// What a failed try counts at least, at once: an endpoint that fails quickly is not a fast one.
    pub const PENALTY: Duration = Duration::from_secs(1);

    pub fn of_seconds(seconds: f64) -> Self {
        Self { seconds }
    }

    pub fn seconds(self) -> f64 {
        self.seconds
    }

    /// The value `idle` after it was noted: endpoints that nobody asked come into question again.
    #[must_use]
    pub fn decayed(self, idle: Duration) -> Self {
        Self { seconds: self.seconds * weight(idle) }
    }

    /// The value with an answer that took `took`, `idle` after the last one.
    #[must_use]
    pub fn with(self, took: Duration, idle: Duration) -> Self {
        let weight = weight(idle);
        Self { seconds: self.seconds * weight + took.as_secs_f64() * (1.0 - weight) }
    }

    /// The value after a failure.
    #[must_use]
    pub fn failed(self, took: Duration, idle: Duration) -> Self {
        let after = self.with(took, idle).seconds;
        Self { seconds: after.max(took.max(Self::PENALTY).as_secs_f64()) }
    }
}

fn weight(idle: Duration) -> f64 {
    (-idle.as_secs_f64() / Ewma::DECAY.as_secs_f64()).exp()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(milliseconds: u64) -> Duration {
        Duration::from_millis(milliseconds)
    }

    #[test]
    fn averages_follow_and_forget() {
        let mut fast = Ewma::default();
        let mut slow = Ewma::default();
        for _ in 0..50 {
            fast = fast.with(ms(5), ms(500));
            slow = slow.with(ms(300), ms(500));
        }
        assert!(fast.seconds() < slow.seconds());
        assert!((slow.seconds() - 0.3).abs() < 0.05, "{slow:?}");
        let rested = slow.decayed(Duration::from_secs(60));
        assert!(rested.seconds() < fast.seconds(), "{rested:?}");
        assert_eq!(slow.with(ms(10), Duration::ZERO), slow);
    }

    #[test]
    fn failures_are_not_fast_answers() {
        let rows = [(0.0, 1, 1.0), (0.0, 5000, 5.0), (9.0, 1, 9.0)];
        for (before, took, expected) in rows {
            let after = Ewma::of_seconds(before).failed(ms(took), Duration::ZERO);
            assert_eq!(after, Ewma::of_seconds(expected));
        }
    }
}
