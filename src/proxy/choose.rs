//! The choice of an endpoint for a try: affinity, a hash, load, or round robin (contract §17).
//!
//! A try never goes to an endpoint that was tried for this request while another is left, but for sessions that are to
//! stay where they are.

use std::net::SocketAddr;

use http::header::{self, HeaderMap, HeaderValue};

use tokio::time::Instant;

use super::exchange::Exchange;
use super::facts::Facts;
use super::forward::Plan;
use super::live::Peers;
use super::upstream::balance;
use super::upstream::load::{InFlight, Load, two};
use super::worker::LocalLive;
use crate::policy::affinity::{Affinity, Issue, Mode, Sent};
use crate::policy::balance::{Balance, Scheme};
use crate::policy::ring;
use crate::table::{Endpoint, Index};

/// What of a request the choice of its endpoint goes by.
#[derive(Clone, Debug, Default)]
pub enum Token {
    #[default]
    None,
    /// The hash of its key.
    Key(u32),
    /// The cookie of its session, and who is to be given one.
    Session { sent: Option<Sent>, user_agent: Option<HeaderValue> },
}

/// Draws that balanced affinity makes for a new session until it meets an endpoint that was not tried.
const DRAWS: u32 = 20;

/// Reads off a request what its upstream goes by.
pub fn token(exchange: &Exchange, live: &LocalLive, upstream: Index, headers: &HeaderMap) -> Token {
    let Some(balance) = of(live, upstream) else { return Token::None };
    match (&balance.affinity, &balance.scheme) {
        (Some(affinity), _) => Token::Session {
            sent: affinity.sent(headers),
            user_agent: headers.get(header::USER_AGENT).filter(|_| affinity.cookie.conditional_none).cloned(),
        },
        (None, Scheme::Hash(by)) => Token::Key(ring::hash(&by.key.fill(&Facts { exchange, headers }))),
        (None, _) => Token::None,
    }
}

fn of(live: &LocalLive, upstream: Index) -> Option<&Balance> {
    live.table().upstream(upstream)?.balance.as_deref()
}

/// Whether the request has a session with this upstream (contract §16).
pub fn has_session(live: &LocalLive, upstream: Index, headers: &HeaderMap) -> bool {
    let affinity = of(live, upstream).and_then(|balance| balance.affinity.as_ref());
    affinity.is_some_and(|affinity| affinity.holds(headers))
}

/// The endpoint of the next try; `None` when there is none any more.
pub fn choose(exchange: &mut Exchange, plan: &Plan<'_>) -> Option<SocketAddr> {
    // The try before is over, and its time counts now.
    exchange.in_flight = None;
    let state = plan.live.live().upstreams.get(plan.upstream as usize)?;
    let peers = state.endpoints.load();
    let Some(balance) = of(plan.live, plan.upstream) else { return turn(exchange, plan, &peers) };
    if let Some(affinity) = &balance.affinity {
        return session(exchange, plan, affinity, &peers);
    }
    match &balance.scheme {
        Scheme::RoundRobin => turn(exchange, plan, &peers),
        Scheme::Random => {
            let position = exchange.worker.random() >> 33;
            balance::pick(&peers, position as u32, tried(exchange))
        }
        Scheme::Ewma | Scheme::LeastConnections => {
            let now = Instant::now();
            let score = |load: &Load| match balance.scheme {
                Scheme::Ewma => load.score(now),
                _ => f64::from(load.in_flight()),
            };
            let (address, request) = by_load(exchange, &peers, score)?;
            exchange.in_flight = Some(request);
            Some(address)
        }
        Scheme::Hash(by) => hashed(exchange, plan, by.subset, &peers),
    }
}

fn tried(exchange: &Exchange) -> impl Fn(SocketAddr) -> bool {
    |address| exchange.tried.iter().any(|try_| try_.address == address)
}

fn turn(exchange: &Exchange, plan: &Plan<'_>, peers: &[Endpoint]) -> Option<SocketAddr> {
    let position = plan.live.next(plan.upstream, || exchange.worker.random() as u32);
    balance::pick(peers, position, tried(exchange))
}

/// The better one of two that were not tried, and from now on one request more for it.
fn by_load(exchange: &Exchange, peers: &Peers, score: impl Fn(&Load) -> f64) -> Option<(SocketAddr, InFlight)> {
    let (worker, now) = (&exchange.worker, Instant::now());
    let random = worker.random();
    let is_tried = tried(exchange);
    let (a, b) = if exchange.tried.is_empty() || peers.iter().all(|peer| is_tried(peer.address)) {
        let (a, b) = two(peers.len(), random)?;
        (peers.get(a)?.address, peers.get(b)?.address)
    } else {
        let fresh: Vec<SocketAddr> = peers.iter().map(|p| p.address).filter(|address| !is_tried(*address)).collect();
        let (a, b) = two(fresh.len(), random)?;
        (*fresh.get(a)?, *fresh.get(b)?)
    };
    let (one, other) = (worker.loads.of(a, peers, now), worker.loads.of(b, peers, now));
    let (address, load) = if score(&other) < score(&one) { (b, other) } else { (a, one) };
    Some((address, InFlight::begin(load, now)))
}

/// The key's endpoint, or any of the key's subset; then those that follow on the ring.
fn hashed(exchange: &Exchange, plan: &Plan<'_>, subset: Option<u32>, peers: &Peers) -> Option<SocketAddr> {
    let ring = peers.ring.as_ref()?;
    let key = match plan.token {
        Token::Key(key) => key,
        Token::None | Token::Session { .. } => 0,
    };
    let at = |place: usize| peers.get(place).map(|endpoint| endpoint.address);
    let is_tried = tried(exchange);
    if let Some(size) = subset {
        let members = ring.subset(key, (size as usize).min(peers.len()));
        let members: Vec<Endpoint> = members.into_iter().filter_map(|place| peers.get(place).copied()).collect();
        let position = exchange.worker.random() >> 33;
        return balance::pick(&members, position as u32, is_tried);
    }
    let mut walk = ring.walk(key).filter_map(at);
    // A walk round the whole ring costs as much as it has points; it is for those that failed only.
    let first = walk.next()?;
    if !is_tried(first) {
        return Some(first);
    }
    walk.find(|address| !is_tried(*address)).or(Some(first))
}

/// The session's endpoint, or one for a new session.
fn session(exchange: &mut Exchange, plan: &Plan<'_>, affinity: &Affinity, peers: &Peers) -> Option<SocketAddr> {
    let sent = match &plan.token {
        Token::Session { sent, .. } => sent.as_ref(),
        Token::None | Token::Key(_) => None,
    };
    let moves = affinity.cookie.change_on_failure && !exchange.tried.is_empty();
    let kept = sent.filter(|_| !moves).and_then(|sent| held(affinity, peers, &sent.session));
    if let Some(address) = kept {
        return Some(address);
    }
    let Some((address, session)) = fresh(exchange, affinity, peers) else { return turn(exchange, plan, peers) };
    if plan.route.policy.session_cookie {
        exchange.session_cookie = issue(exchange, plan, affinity, &session);
    }
    Some(address)
}

/// Who a session is with.
fn held(affinity: &Affinity, peers: &Peers, session: &[u8]) -> Option<SocketAddr> {
    let place = match affinity.mode {
        Mode::Balanced => peers.ring.as_ref()?.find(ring::hash(session))?,
        Mode::Persistent => {
            let names = peers.names.as_ref()?;
            let found = names.binary_search_by(|(name, _)| name.as_bytes().cmp(session)).ok()?;
            names.get(found)?.1
        }
    };
    peers.get(place).map(|endpoint| endpoint.address)
}

/// An endpoint that was not tried, for a new session.
fn fresh(exchange: &Exchange, affinity: &Affinity, peers: &Peers) -> Option<(SocketAddr, String)> {
    let is_tried = tried(exchange);
    let worker = &exchange.worker;
    match affinity.mode {
        Mode::Balanced => (0..DRAWS).find_map(|_| {
            let random = worker.random();
            let (one, other) = (random >> 44, (random >> 24) & 0xf_ffff);
            let session = format!("{}.{one}.{other}", worker.clock.borrow().msec());
            let address = held(affinity, peers, session.as_bytes())?;
            (!is_tried(address)).then_some((address, session))
        }),
        Mode::Persistent => {
            let position = (worker.random() >> 33) as u32;
            let address = balance::pick(peers, position, &is_tried).filter(|address| !is_tried(*address))?;
            let place = peers.iter().position(|peer| peer.address == address)?;
            let (name, _) = peers.names.as_ref()?.iter().find(|(_, of)| *of == place)?;
            Some((address, name.to_string()))
        }
    }
}

fn issue(exchange: &Exchange, plan: &Plan<'_>, affinity: &Affinity, session: &str) -> Option<HeaderValue> {
    let user_agent = match &plan.token {
        Token::Session { user_agent, .. } => user_agent.as_ref(),
        Token::None | Token::Key(_) => None,
    };
    affinity.issue(Issue {
        session,
        location: &plan.route.labels.path,
        tls: exchange.client.tls,
        user_agent,
        now: exchange.worker.clock.borrow().unix_seconds(),
    })
}
