//! What one worker knows of how busy and how fast endpoints are. Nothing of it is shared with other workers.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use tokio::time::Instant;

use crate::policy::balance::Ewma;
use crate::table::Endpoint;

/// Endpoints that something is known of; beyond it they count as new.
const MAX_LOADS: usize = 65_536;
/// What nobody asked for so long is forgotten.
const FORGET: Duration = Duration::from_secs(300);

/// The loads of endpoints that are chosen by load, of all upstreams.
#[derive(Debug, Default)]
pub struct Loads(RefCell<HashMap<SocketAddr, Rc<Load>, foldhash::fast::RandomState>>);

#[derive(Debug)]
pub struct Load {
    in_flight: Cell<u32>,
    ewma: Cell<Ewma>,
    /// `None` before the first answer, which then counts as it is.
    touched: Cell<Option<Instant>>,
}

impl Load {
    fn new(ewma: Ewma, touched: Option<Instant>) -> Rc<Self> {
        Rc::new(Self { in_flight: Cell::new(0), ewma: Cell::new(ewma), touched: Cell::new(touched) })
    }

    pub fn in_flight(&self) -> u32 {
        self.in_flight.get()
    }

    /// How slow the endpoint is, in seconds.
    pub fn score(&self, now: Instant) -> f64 {
        self.ewma.get().decayed(self.idle(now)).seconds()
    }

    fn idle(&self, now: Instant) -> Duration {
        self.touched.get().map_or(Duration::MAX, |at| now.saturating_duration_since(at))
    }
}

impl Loads {
    /// The load of an endpoint. One that is new among `peers` begins with the average of the others, so that it is not
    /// run over for having no history.
    pub fn of(&self, address: SocketAddr, peers: &[Endpoint], now: Instant) -> Rc<Load> {
        let mut loads = self.0.borrow_mut();
        if let Some(load) = loads.get(&address) {
            return Rc::clone(load);
        }
        let known = peers
            .iter()
            .filter_map(|peer| loads.get(&peer.address))
            .filter(|load| load.touched.get().is_some())
            .map(|load| load.ewma.get().seconds());
        let (sum, count) = known.fold((0.0, 0_u32), |(sum, count), seconds| (sum + seconds, count + 1));
        let load = Load::new(Ewma::of_seconds(sum / f64::from(count.max(1))), (count > 0).then_some(now));
        if loads.len() < MAX_LOADS {
            loads.insert(address, Rc::clone(&load));
        }
        load
    }

    /// Forgets endpoints that have not been asked for long.
    pub fn expire(&self, now: Instant) {
        self.0.borrow_mut().retain(|_, load| load.in_flight() > 0 || load.idle(now) < FORGET);
    }
}

/// A request on its way to an endpoint: it counts until it is dropped, and then its time does.
#[derive(Debug)]
pub struct InFlight {
    load: Rc<Load>,
    began: Instant,
    failed: bool,
}

impl InFlight {
    pub fn begin(load: Rc<Load>, now: Instant) -> Self {
        load.in_flight.set(load.in_flight.get().saturating_add(1));
        Self { load, began: now, failed: false }
    }

    /// The try failed; the endpoint is not to look fast for it.
    pub fn fail(&mut self) {
        self.failed = true;
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        let (load, now) = (&self.load, Instant::now());
        load.in_flight.set(load.in_flight.get().saturating_sub(1));
        let took = now.saturating_duration_since(self.began);
        let (before, idle) = (load.ewma.get(), load.idle(now));
        load.ewma.set(if self.failed { before.failed(took, idle) } else { before.with(took, idle) });
        load.touched.set(Some(now));
    }
}

/// Of two different places below `count`, drawn at random, and one if there is no other. `random` is uniform.
pub fn two(count: usize, random: u64) -> Option<(usize, usize)> {
    let bound = u64::try_from(count).ok().filter(|count| *count > 0)?;
    let first = ((random >> 32) * bound) >> 32;
    let step = if bound > 1 { 1 + (((random & 0xffff_ffff) * (bound - 1)) >> 32) } else { 0 };
    let place = |n: u64| usize::try_from(n % bound).unwrap_or_default();
    Some((place(first), place(first + step)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn endpoints(count: u16) -> Vec<Endpoint> {
        (1..=count).map(|port| Endpoint { address: SocketAddr::from(([127, 0, 0, 1], port)) }).collect()
    }

    #[test]
    fn two_places_are_different_and_all_come() {
        let mut random = 1_u64;
        let mut seen = [0_u32; 5];
        for _ in 0..5000 {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let (a, b) = two(5, random).unwrap();
            assert_ne!(a, b);
            seen[a] += 1;
            seen[b] += 1;
        }
        assert!(seen.iter().all(|count| (1800..2200).contains(count)), "{seen:?}");
        assert_eq!((two(1, random), two(0, random)), (Some((0, 0)), None));
    }

    #[tokio::test(start_paused = true)]
    async fn the_first_answer_counts_as_it_is() {
        let (peers, loads) = (endpoints(2), Loads::default());
        let load = loads.of(peers[0].address, &peers, Instant::now());
        let request = InFlight::begin(Rc::clone(&load), Instant::now());
        tokio::time::advance(Duration::from_millis(80)).await;
        drop(request);
        assert!((load.score(Instant::now()) - 0.08).abs() < 0.001, "{load:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn fast_endpoints_score_lower_and_failures_higher() {
        let (peers, loads) = (endpoints(3), Loads::default());
        let of = |n: usize| loads.of(peers[n].address, &peers, Instant::now());
        for _ in 0..40 {
            for (n, took) in [(0, 10), (1, 200)] {
                let request = InFlight::begin(of(n), Instant::now());
                assert_eq!(of(n).in_flight(), 1);
                tokio::time::advance(Duration::from_millis(took)).await;
                drop(request);
                assert_eq!(of(n).in_flight(), 0);
            }
        }
        let score = |n| of(n).score(Instant::now());
        assert!(score(0) < score(1), "{} {}", score(0), score(1));
        let average = (score(0) + score(1)) / 2.0;
        assert!((score(2) - average).abs() < 0.05, "a new one begins in the middle: {}", score(2));
        let mut request = InFlight::begin(of(0), Instant::now());
        request.fail();
        drop(request);
        assert!(score(0) > score(1));
        tokio::time::advance(FORGET).await;
        loads.expire(Instant::now());
        assert!(loads.0.borrow().is_empty());
    }
}
