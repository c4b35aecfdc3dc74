//! Idle upstream connections of one worker, by endpoint and transport. They outlive every table (invariant 4).

use std::cell::{Cell, RefCell};
use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;
use std::rc::{Rc, Weak};

use http::{Response, request};
use hyper::client::conn::http2;
use tokio::time::Instant;

use super::body::ResponseBody;
use super::connect::Transport;
use super::{Failure, h1};
use crate::policy::global::UpstreamKeepAlive;
use crate::proxy::body::RequestBody;
use crate::proxy::rewound::Rewound;
use crate::proxy::timer::Timers;

/// Endpoints that have a pool; beyond it connections are not kept.
const MAX_POOLS: usize = 65_536;
/// Requests at once on one HTTP/2 connection before another is opened.
pub const MAX_STREAMS: u32 = 100;

/// The sending half of a connection.
#[derive(Debug)]
pub enum Sender {
    Http1(h1::Shared),
    Http2 {
        sender: http2::SendRequest<RequestBody>,
        /// Streams at once that the peer allows now.
        allowed: Rc<Cell<usize>>,
    },
}

/// Connections are shared only when all of this is equal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Key {
    address: SocketAddr,
    http2: bool,
    fastcgi: bool,
    tls: u64,
}

impl Key {
    fn new(address: SocketAddr, transport: &Transport) -> Self {
        Self {
            address,
            http2: transport.http2,
            fastcgi: transport.fastcgi.is_some(),
            tls: transport.tls.as_ref().map_or(0, |tls| tls.id),
        }
    }
}

#[derive(Debug)]
struct Idle {
    connection: h1::Shared,
    life: Life,
    since: Instant,
}

#[derive(Debug)]
struct Shared {
    sender: http2::SendRequest<RequestBody>,
    streams: Rc<Cell<u32>>,
    allowed: Rc<Cell<usize>>,
    life: Life,
    since: Instant,
}

/// What limits a connection's use.
#[derive(Clone, Copy, Debug)]
struct Life {
    born: Instant,
    /// Those that were begun.
    requests: u32,
}

#[derive(Debug, Default)]
struct Pool {
    idle: VecDeque<Idle>,
    shared: Vec<Shared>,
}

#[derive(Debug)]
pub struct Pools {
    timers: Rc<Timers>,
    inner: Rc<RefCell<Inner>>,
}

#[derive(Debug, Default)]
struct Inner {
    pools: HashMap<Key, Pool, foldhash::fast::RandomState>,
    limits: Option<UpstreamKeepAlive>,
}

/// A connection in use. Dropped, the connection ends; given back, the next request may have it.
#[derive(Debug)]
pub struct Lease {
    pools: Weak<RefCell<Inner>>,
    timers: Rc<Timers>,
    key: Key,
    life: Life,
    kind: Leased,
}

#[derive(Debug)]
enum Leased {
    Http1(Option<h1::Shared>),
    Http2 { sender: http2::SendRequest<RequestBody>, streams: Rc<Cell<u32>> },
}

impl Pools {
    pub fn new(timers: Rc<Timers>) -> Self {
        Self { timers, inner: Rc::default() }
    }

    /// A connection that is believed to be alive, the most recently used first.
    pub fn take(&self, address: SocketAddr, transport: &Transport, limits: &UpstreamKeepAlive) -> Option<Lease> {
        // A FastCGI connection has one request.
        if transport.fastcgi.is_some() {
            return None;
        }
        let key = Key::new(address, transport);
        let mut inner = self.inner.borrow_mut();
        if inner.limits.as_ref() != Some(limits) {
            inner.limits = Some(limits.clone());
        }
        let now = self.timers.now();
        let pool = inner.pools.get_mut(&key)?;
        let lease =
            |kind, life| Lease { pools: Rc::downgrade(&self.inner), timers: Rc::clone(&self.timers), key, life, kind };
        while let Some(idle) = pool.idle.pop_back() {
            if idle.connection.borrow_mut().is_idle() && idle.life.may_go_on(limits, now) {
                let life = Life { requests: idle.life.requests + 1, ..idle.life };
                return Some(lease(Leased::Http1(Some(idle.connection)), life));
            }
        }
        let free = |s: &&mut Shared| {
            // What the peer allows may be less; a stream too many would wait in hyper, and block all others behind it.
            let allowed = u32::try_from(s.allowed.get()).unwrap_or(MAX_STREAMS).min(MAX_STREAMS);
            !s.sender.is_closed() && s.streams.get() < allowed && s.life.may_go_on(limits, now)
        };
        let shared = pool.shared.iter_mut().find(free)?;
        shared.life.requests += 1;
        shared.since = now;
        shared.streams.set(shared.streams.get() + 1);
        Some(lease(Leased::Http2 { sender: shared.sender.clone(), streams: Rc::clone(&shared.streams) }, shared.life))
    }

    /// A new connection's lease. One that speaks HTTP/2 is shared at once.
    pub fn add(&self, address: SocketAddr, transport: &Transport, sender: Sender) -> Lease {
        let key = Key::new(address, transport);
        let now = self.timers.now();
        let life = Life { born: now, requests: 1 };
        let kind = match sender {
            Sender::Http1(connection) => Leased::Http1(Some(connection)),
            Sender::Http2 { sender, allowed } => {
                let streams = Rc::new(Cell::new(1));
                if let Some(pool) = self.inner.borrow_mut().pool(key) {
                    let (sender, streams) = (sender.clone(), Rc::clone(&streams));
                    pool.shared.push(Shared { sender, streams, allowed, life, since: now });
                }
                Leased::Http2 { sender, streams }
            }
        };
        Lease { pools: Rc::downgrade(&self.inner), timers: Rc::clone(&self.timers), key, life, kind }
    }

    /// Ends connections that idled or lived too long. Called on every tick; looks at the pools about once a second.
    pub fn expire(&self) {
        let now = self.timers.now();
        let mut inner = self.inner.borrow_mut();
        let Some(limits) = inner.limits.clone() else { return };
        let fresh = |since: Instant, life: &Life| {
            now.saturating_duration_since(since) < limits.idle_timeout && life.may_go_on(&limits, now)
        };
        inner.pools.retain(|_, pool| {
            pool.idle.retain(|idle| fresh(idle.since, &idle.life) && idle.connection.borrow_mut().is_idle());
            pool.shared.retain(|s| !s.sender.is_closed() && (s.streams.get() > 0 || fresh(s.since, &s.life)));
            !(pool.idle.is_empty() && pool.shared.is_empty())
        });
    }
}

impl Inner {
    fn pool(&mut self, key: Key) -> Option<&mut Pool> {
        if self.pools.len() >= MAX_POOLS && !self.pools.contains_key(&key) {
            return None;
        }
        Some(self.pools.entry(key).or_default())
    }
}

impl Life {
    fn may_go_on(&self, limits: &UpstreamKeepAlive, now: Instant) -> bool {
        self.requests < limits.requests && now.saturating_duration_since(self.born) < limits.lifetime
    }
}

impl Lease {
    /// Sends a request, and comes back with the head of its answer. An error holds the body if nothing was sent.
    pub async fn send(
        &mut self,
        parts: &request::Parts,
        body: RequestBody,
    ) -> Result<Response<ResponseBody>, (Failure, Unsent)> {
        let sender = match &mut self.kind {
            Leased::Http1(Some(connection)) => {
                let response = h1::send(connection, parts, body).await.map_err(|failure| (failure, None))?;
                return Ok(response.map(ResponseBody::Http1));
            }
            Leased::Http1(None) => return Err((Failure::Stale, Some(body))),
            Leased::Http2 { sender, .. } => sender,
        };
        if sender.ready().await.is_err() {
            return Err((Failure::Stale, Some(body)));
        }
        match sender.try_send_request(http::Request::from_parts(parts.clone(), body)).await {
            Ok(response) => Ok(response.map(ResponseBody::Http2)),
            Err(mut error) => match error.take_message() {
                Some(request) => Err((Failure::Stale, Some(request.into_body()))),
                None if error.error().is_parse_too_large() => Err((Failure::HeadTooLarge, None)),
                None if error.error().is_parse() => Err((Failure::Invalid, None)),
                None => Err((Failure::Broken, None)),
            },
        }
    }

    /// The stream of an HTTP/1 connection that has switched protocols.
    pub fn into_stream(mut self) -> Option<Rewound<h1::Stream>> {
        let Leased::Http1(connection) = &mut self.kind else { return None };
        let (read, stream) = connection.take()?.borrow_mut().take()?;
        Some(Rewound::new(read, stream))
    }

    /// Puts an HTTP/1 connection back for others. HTTP/2 connections are shared anyway.
    pub fn give_back(mut self) {
        let Leased::Http1(connection) = &mut self.kind else { return };
        let Some(pools) = self.pools.upgrade() else { return };
        let mut inner = pools.borrow_mut();
        let limit = inner.limits.as_ref().map_or(0, |l| l.idle);
        if limit == 0 || self.key.fastcgi {
            return;
        }
        let Some(connection) = connection.take_if(|connection| connection.borrow_mut().is_idle()) else { return };
        let (life, since) = (self.life, self.timers.now());
        if let Some(pool) = inner.pool(self.key) {
            if pool.idle.len() >= limit {
                pool.idle.pop_front();
            }
            pool.idle.push_back(Idle { connection, life, since });
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        match &self.kind {
            Leased::Http1(Some(connection)) => connection.borrow_mut().end(),
            Leased::Http1(None) => {}
            Leased::Http2 { streams, .. } => streams.set(streams.get().saturating_sub(1)),
        }
    }
}

/// The body of a request of which nothing was sent.
pub type Unsent = Option<RequestBody>;
