//! One client connection: which protocol it speaks, how long it may idle, and how it ends when the proxy drains.

use std::cell::Cell;
use std::convert::Infallible;
use std::future::poll_fn;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};
use std::time::Duration;

use http::{HeaderValue, Version};
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::{Service, service_fn};
use hyper_util::rt::TokioIo;
use hyper_util::server::conn::auto;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::Instant;

use super::body::ProxyBody;
use super::io::{Signs, Watched};
use super::phases;
use super::timer::Deadline;
use super::tls::session::Session;
use super::worker::{LocalExecutor, Worker};
use crate::policy::forwarded::Ends;
use crate::telemetry::process::ConnectionState;

/// Header lines of a request.
const MAX_HEADERS: usize = 256;
/// Bytes of one HTTP/2 stream's answer that wait for a client that takes nothing; a connection has many streams.
const SEND_BUFFER: usize = 64 * 1024;
/// What a connection that must end gets to finish its last write.
const CLOSING: Duration = Duration::from_secs(2);
/// What a client gets to take the end of its last answer: between two signs of it, and in all (nginx's
/// `lingering_timeout` and `lingering_time`).
const LINGERING: (Duration, Duration) = (Duration::from_secs(5), Duration::from_secs(30));
/// A client that takes nothing of its answer for this long, and at most twice, is let go (nginx's `send_timeout`).
const STALLED: Duration = Duration::from_secs(60);

/// What a connection is to its requests.
#[derive(Debug)]
pub struct Client {
    pub address: SocketAddr,
    /// The address without port, as a header value.
    pub address_value: HeaderValue,
    pub tls: bool,
    /// The listener's port.
    pub port: u16,
    /// The port presented upstream: the listener's, 443 for TLS.
    pub port_value: HeaderValue,
    /// Source and destination that its PROXY header gave, which is believed only from who may speak for others.
    pub proxied: Option<Ends>,
    /// What the handshake of a TLS connection came to.
    pub session: Option<Box<Session>>,
}

impl Client {
    pub fn new(address: SocketAddr, tls: bool, port: u16, proxied: Option<Ends>) -> Self {
        let canonical = SocketAddr::new(address.ip().to_canonical(), address.port());
        let text = |text: String| HeaderValue::from_maybe_shared(text).unwrap_or(HeaderValue::from_static("-"));
        Self {
            address: canonical,
            address_value: text(canonical.ip().to_string()),
            tls,
            port,
            port_value: text(if tls { 443 } else { port }.to_string()),
            proxied,
            session: None,
        }
    }

    pub fn scheme(&self) -> &'static str {
        if self.tls { "https" } else { "http" }
    }
}

/// What a connection is doing, for its time limits.
#[derive(Debug)]
pub struct Activity {
    worker: Rc<Worker>,
    in_flight: Cell<u32>,
    served: Cell<u32>,
    signs: Arc<Signs>,
    /// The number of writes when the limits were last looked at.
    writes_seen: Cell<u64>,
    /// A head is on its way since `since`; otherwise the connection idles since then.
    reading: Cell<bool>,
    since: Cell<Instant>,
    state: Cell<ConnectionState>,
    /// It had all the requests that it may have.
    spent: Cell<bool>,
}

impl Activity {
    fn new(worker: &Rc<Worker>) -> Rc<Self> {
        worker.counters.opened(ConnectionState::Reading);
        Rc::new(Self {
            since: Cell::new(worker.timers.now()),
            worker: Rc::clone(worker),
            in_flight: Cell::new(0),
            served: Cell::new(0),
            signs: Arc::default(),
            writes_seen: Cell::new(0),
            // The first head is awaited from the start.
            reading: Cell::new(true),
            state: Cell::new(ConnectionState::Reading),
            spent: Cell::new(false),
        })
    }

    fn go(&self, state: ConnectionState) {
        let before = self.state.replace(state);
        if before != state {
            self.worker.counters.moved(before, state);
        }
    }

    /// A request's head is complete. The number of requests before it on this connection.
    pub fn request_began(&self) -> u32 {
        self.reading.set(false);
        self.signs.answer_begins();
        self.in_flight.set(self.in_flight.get() + 1);
        self.go(ConnectionState::Writing);
        self.worker.counters.request();
        self.served.replace(self.served.get() + 1)
    }

    /// No request may come after those in flight; HTTP/2 says so for the connection, not in an answer.
    pub fn spend(&self) {
        self.spent.set(true);
    }

    pub fn request_ended(&self) {
        self.in_flight.set(self.in_flight.get().saturating_sub(1));
        if self.in_flight.get() == 0 {
            self.signs.answer_ends();
            self.signs.arrived.store(false, Ordering::Relaxed);
            self.since.set(self.worker.timers.now());
            self.go(ConnectionState::Waiting);
        }
    }

    /// What is left of the time this state may last; `None` while a request is in flight and the client takes its
    /// answer. A head that has begun since this was last asked gets its whole time from now.
    fn left(&self, limits: Limits) -> Option<Duration> {
        // An answer that was handed to hyper may still be on its way after its request has ended.
        if self.in_flight.get() > 0 || self.signs.blocked.load(Ordering::Relaxed) {
            let writes = self.signs.writes.load(Ordering::Relaxed);
            let same = self.writes_seen.replace(writes) == writes;
            return (same && self.signs.blocked.load(Ordering::Relaxed)).then_some(Duration::ZERO);
        }
        let now = self.worker.timers.now();
        if !self.reading.get() && self.signs.arrived.load(Ordering::Relaxed) {
            self.reading.set(true);
            self.since.set(now);
            self.go(ConnectionState::Reading);
        }
        let limit = if self.reading.get() { limits.head } else { limits.idle };
        Some(limit.saturating_sub(now.saturating_duration_since(self.since.get())))
    }
}

impl Drop for Activity {
    fn drop(&mut self) {
        self.worker.counters.closed(self.state.get());
    }
}

#[derive(Clone, Copy, Debug)]
struct Limits {
    head: Duration,
    idle: Duration,
}

/// Which protocols a connection may speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spoken {
    /// HTTP/1, or HTTP/2 with prior knowledge.
    Either,
    Http1,
    Http2,
}

/// Serves a connection to its end.
pub async fn serve<S>(worker: Rc<Worker>, stream: S, client: Client, spoken: Spoken)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let settings = Settings::of(&worker);
    let activity = Activity::new(&worker);
    let client = Rc::new(client);
    let service = {
        let (worker, activity) = (Rc::clone(&worker), Rc::clone(&activity));
        service_fn(move |request: http::Request<Incoming>| {
            let (worker, client, activity) = (Rc::clone(&worker), Rc::clone(&client), Rc::clone(&activity));
            activity.signs.http2.store(request.version() == Version::HTTP_2, Ordering::Relaxed);
            async move { Ok::<_, Infallible>(phases::respond(worker, client, activity, request).await) }
        })
    };
    let io = TokioIo::new(Watched::new(stream, Arc::clone(&activity.signs)));
    let mut ending =
        Ending { worker, activity, limits: settings.limits, asked: false, lingering: None, deadline: None };
    match spoken {
        Spoken::Either if settings.http2 => {
            let builder = settings.either();
            ending.run(pin!(builder.serve_connection_with_upgrades(io, service))).await;
        }
        Spoken::Either | Spoken::Http1 => {
            ending.run(pin!(settings.http1().serve_connection(io, service).with_upgrades())).await;
        }
        Spoken::Http2 => ending.run(pin!(settings.http2().serve_connection(io, service))).await,
    }
}

/// What of the table in force when a connection begins holds for all of it.
struct Settings {
    limits: Limits,
    keep_alive: bool,
    http2: bool,
    streams: u32,
    /// The largest head, in bytes.
    head: usize,
}

impl Settings {
    fn of(worker: &Worker) -> Self {
        let live = worker.live();
        let global = &live.table().global;
        Self {
            // hyper itself ends a connection that must not be kept; the limit is for those that it keeps.
            limits: Limits { head: global.header_timeout, idle: global.keep_alive.max(CLOSING) },
            keep_alive: !global.keep_alive.is_zero(),
            http2: global.http2,
            streams: global.http2_max_streams.max(1),
            head: global.head.buffer(),
        }
    }

    fn header_list(&self) -> u32 {
        u32::try_from(self.head).unwrap_or(u32::MAX)
    }

    fn http1(&self) -> http1::Builder {
        let mut builder = http1::Builder::new();
        builder.keep_alive(self.keep_alive).max_buf_size(self.head).max_headers(MAX_HEADERS);
        builder
    }

    fn http2(&self) -> http2::Builder<LocalExecutor> {
        let mut builder = http2::Builder::new(LocalExecutor);
        builder.max_concurrent_streams(self.streams).max_header_list_size(self.header_list());
        builder.max_send_buf_size(SEND_BUFFER);
        builder
    }

    fn either(&self) -> auto::Builder<LocalExecutor> {
        let mut builder = auto::Builder::new(LocalExecutor);
        builder.http1().keep_alive(self.keep_alive).max_buf_size(self.head).max_headers(MAX_HEADERS);
        builder.http2().max_concurrent_streams(self.streams).max_header_list_size(self.header_list());
        builder.http2().max_send_buf_size(SEND_BUFFER);
        builder
    }
}

/// Watches a connection's limits beside it.
struct Ending {
    worker: Rc<Worker>,
    activity: Rc<Activity>,
    limits: Limits,
    /// The connection was asked to end after what is in flight.
    asked: bool,
    /// When the connection's own end was said.
    lingering: Option<Instant>,
    deadline: Option<Deadline>,
}

/// What hyper's connections are, as far as it is needed here.
trait Graceful: Future {
    fn ask(self: Pin<&mut Self>);
}

macro_rules! graceful {
    ($($connection:ty),*) => {$(
        impl<I, S> Graceful for $connection
        where
            S: Service<http::Request<Incoming>, Response = http::Response<ProxyBody>, Error = Infallible>,
            S::Future: 'static,
            I: hyper::rt::Read + hyper::rt::Write + Unpin + Send + 'static,
            Self: Future,
        {
            fn ask(self: Pin<&mut Self>) {
                self.graceful_shutdown();
            }
        }
    )*};
}

graceful!(
    auto::UpgradeableConnection<'_, I, S, LocalExecutor>,
    http1::UpgradeableConnection<I, S>,
    http2::Connection<I, S, LocalExecutor>
);

impl Ending {
    async fn run(&mut self, mut connection: Pin<&mut impl Graceful>) {
        poll_fn(|cx| {
            loop {
                if connection.as_mut().poll(cx).is_ready() {
                    return Poll::Ready(());
                }
                match self.poll_limits(cx) {
                    Poll::Ready(Verdict::Drop) => return Poll::Ready(()),
                    Poll::Ready(Verdict::Ask) => connection.as_mut().ask(),
                    Poll::Pending => return Poll::Pending,
                }
            }
        })
        .await;
    }

    fn poll_limits(&mut self, cx: &mut Context<'_>) -> Poll<Verdict> {
        if (self.worker.is_draining() || self.activity.spent.get()) && !self.asked {
            self.asked = true;
            if let Some(deadline) = &self.deadline {
                deadline.reset(CLOSING);
            }
            return Poll::Ready(Verdict::Ask);
        }
        let limits = self.limits;
        let deadline = self
            .deadline
            .get_or_insert_with(|| Deadline::after(&self.worker.timers, limits.head.min(limits.idle).max(CLOSING)));
        if self.activity.signs.lingering.load(Ordering::Relaxed) {
            let now = self.worker.timers.now();
            let began = *self.lingering.get_or_insert_with(|| {
                deadline.reset(LINGERING.0);
                now
            });
            return poll_lingering(deadline, &self.activity.signs, now.saturating_duration_since(began), cx);
        }
        while deadline.poll_expired(cx).is_ready() {
            match self.activity.left(limits) {
                None => deadline.reset(STALLED),
                Some(left) if !left.is_zero() && !self.asked => deadline.reset(left),
                Some(_) if self.asked => return Poll::Ready(Verdict::Drop),
                Some(_) => {
                    self.asked = true;
                    deadline.reset(CLOSING);
                    return Poll::Ready(Verdict::Ask);
                }
            }
        }
        Poll::Pending
    }
}

/// A connection whose own end was said `ago`: it goes once its client is silent, or has talked on for too long.
fn poll_lingering(deadline: &Deadline, signs: &Signs, ago: Duration, cx: &mut Context<'_>) -> Poll<Verdict> {
    while deadline.poll_expired(cx).is_ready() {
        let heard = signs.arrived.swap(false, Ordering::Relaxed);
        if !heard || ago >= LINGERING.1 {
            return Poll::Ready(Verdict::Drop);
        }
        deadline.reset(LINGERING.0);
    }
    Poll::Pending
}

enum Verdict {
    Ask,
    Drop,
}
