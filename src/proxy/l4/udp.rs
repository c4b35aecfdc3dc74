//! UDP services: a session for each client, with a socket of its own to its endpoint.
//!
//! The kernel gives each client's datagrams to one worker, by its address. What cannot be sent at once is lost, as
//! datagrams may be.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::pin::pin;
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use socket2::SockRef;
use tokio::net::UdpSocket;
use tokio::task::{AbortHandle, spawn_local};
use tokio::time::Instant;

use super::log;
use super::ports::Held;
use super::sessions::Table;
use crate::policy::stream::StreamPolicy;
use crate::proxy::live::Peers;
use crate::proxy::timer::Deadline;
use crate::proxy::upstream::balance;
use crate::proxy::worker::{LocalLive, Worker};
use crate::table::{Protocol, StreamListener};

/// Sessions of one worker, each with a socket.
pub const SESSIONS: usize = 10_000;
/// Datagrams that are read before others have their turn.
const BURST: usize = 32;
/// What an answer may take when the proxy drains.
const DRAINING: Duration = Duration::from_secs(5);

/// Between two complaints about the same.
const TELLING: Duration = Duration::from_secs(10);

/// The socket's number among the worker's, and the client.
type Key = (usize, SocketAddr);
pub type Sessions = Table<Key, Entry>;

/// A session in the table. Dropping it ends the session.
#[derive(Debug)]
pub struct Entry {
    session: Rc<Session>,
    task: AbortHandle,
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.task.abort();
    }
}

#[derive(Debug)]
struct Session {
    socket: UdpSocket,
    endpoint: SocketAddr,
    /// The endpoints among which it was last seen.
    among: RefCell<Arc<Peers>>,
    policy: StreamPolicy,
    requests: Cell<u64>,
    responses: Cell<u64>,
    used: Cell<Instant>,
    deadline: Deadline,
    log: log::Session,
}

/// A port that is open, as its sessions see it.
#[derive(Debug)]
struct Receiver {
    worker: Rc<Worker>,
    socket: Rc<UdpSocket>,
    port: u16,
    /// When it was last told that no session can be opened.
    told: Cell<Option<Instant>>,
}

/// Receives until it is dropped, which closes the port and ends its sessions. At the end of the process those that have
/// no answer yet wait for it for a while.
pub async fn receive(worker: Rc<Worker>, socket: UdpSocket, port: u16, held: Held) {
    // In this order they are dropped: the port is given back when it is closed.
    let (_held, receiver) = (held, Receiver { worker, socket: Rc::new(socket), port, told: Cell::new(None) });
    loop {
        if let Err(error) = receiver.burst().await {
            tracing::warn!(%error, port, "receiving failed");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        if self.worker.is_draining() {
            self.worker.l4.draining.borrow_mut().push(Rc::clone(&self.socket));
            return;
        }
        let number = self.number();
        let ended = self.worker.l4.sessions.borrow_mut().remove_all(|(socket, _)| *socket == number);
        drop(ended);
    }
}

impl Receiver {
    /// Names the socket among those of the worker.
    fn number(&self) -> usize {
        Rc::as_ptr(&self.socket) as usize
    }

    async fn burst(&self) -> io::Result<()> {
        self.socket.readable().await?;
        if self.read()? {
            tokio::task::yield_now().await;
        }
        Ok(())
    }

    /// Reads some datagrams; true when there may be more.
    fn read(&self) -> io::Result<bool> {
        let mut scratch = self.worker.l4.scratch.borrow_mut();
        for _ in 0..BURST {
            match self.socket.try_recv_from(&mut scratch) {
                Ok((length, client)) => self.take(scratch.get(..length).unwrap_or_default(), client),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
                Err(error) => return Err(error),
            }
        }
        Ok(true)
    }

    fn take(&self, datagram: &[u8], client: SocketAddr) {
        let key = (self.number(), client);
        let live = self.worker.live();
        let Some((listener, upstream)) = super::listener(&live, Protocol::Udp, self.port) else { return };
        let endpoints = upstream.endpoints.load();
        let known = self.worker.l4.sessions.borrow_mut().get(&key).map(|entry| Rc::clone(&entry.session));
        if let Some(session) = known.filter(|session| session.is_among(&endpoints)) {
            session.send(datagram, self.worker.timers.now());
            return;
        }
        match self.open(&live, &listener, &endpoints, client) {
            Ok(None) => {}
            Ok(Some(session)) => {
                session.send(datagram, self.worker.timers.now());
                // With no answers to wait for there is no session.
                if !session.is_over() {
                    self.keep(key, session);
                }
            }
            Err(error) => self.make_room(&error),
        }
    }

    /// A session with the next endpoint; `None` when there is none.
    fn open(
        &self,
        live: &LocalLive,
        listener: &StreamListener,
        endpoints: &Arc<Peers>,
        client: SocketAddr,
    ) -> io::Result<Option<Session>> {
        let position = live.next(listener.upstream, || self.worker.random() as u32);
        let Some(endpoint) = balance::pick(endpoints, position, |_| false) else { return Ok(None) };
        let any = if endpoint.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
        let socket = std::net::UdpSocket::bind(SocketAddr::new(any, 0))?;
        socket.connect(endpoint)?;
        socket.set_nonblocking(true)?;
        let socket = UdpSocket::from_std(socket)?;
        let canonical = SocketAddr::new(client.ip().to_canonical(), client.port());
        let log = log::Session::begin(&self.worker, live, listener, canonical);
        log.endpoint(endpoint);
        let policy = live.table().global.streams.clone();
        Ok(Some(Session {
            socket,
            endpoint,
            among: RefCell::new(Arc::clone(endpoints)),
            requests: Cell::new(0),
            responses: Cell::new(0),
            used: Cell::new(self.worker.timers.now()),
            deadline: Deadline::after(&self.worker.timers, policy.idle),
            policy,
            log,
        }))
    }

    /// Out of ports or descriptors, most likely: the session that was idle for longest ends, for the next client.
    fn make_room(&self, error: &io::Error) {
        let ended = self.worker.l4.sessions.borrow_mut().evict();
        drop(ended);
        let now = self.worker.timers.now();
        if self.told.get().is_none_or(|told| now.saturating_duration_since(told) > TELLING) {
            self.told.set(Some(now));
            tracing::warn!(port = self.port, %error, "a UDP session cannot be opened");
        }
    }

    /// Puts a session into the table and waits for its answers.
    fn keep(&self, key: Key, session: Session) {
        let session = Rc::new(session);
        let mut sessions = self.worker.l4.sessions.borrow_mut();
        let id = sessions.next_id();
        let answering = answer(Rc::clone(&self.worker), Rc::downgrade(&self.socket), key.1, Rc::clone(&session));
        let (worker, tracked) = (Rc::clone(&self.worker), self.worker.track());
        let task = spawn_local(async move {
            answering.await;
            let ended = worker.l4.sessions.borrow_mut().remove(&key, id);
            drop((ended, tracked));
        });
        let ended = sessions.insert(key, Entry { session, task: task.abort_handle() });
        drop(sessions);
        drop(ended);
    }
}

impl Session {
    /// Whether its endpoint is still one of its upstream's; if not, the client's next datagram goes to another.
    fn is_among(&self, endpoints: &Arc<Peers>) -> bool {
        if Arc::ptr_eq(endpoints, &self.among.borrow()) {
            return true;
        }
        let is_among = endpoints.iter().any(|endpoint| endpoint.address == self.endpoint);
        if is_among {
            *self.among.borrow_mut() = Arc::clone(endpoints);
        }
        is_among
    }

    fn send(&self, datagram: &[u8], now: Instant) {
        self.moved(now);
        self.requests.set(self.requests.get() + 1);
        // The runtime does not know a new socket to be ready before it was waited for; the system does.
        if let Ok(sent) = SockRef::from(&self.socket).send(datagram) {
            self.log.counts.up.set(self.log.counts.up.get() + sent as u64);
        }
    }

    fn moved(&self, now: Instant) {
        self.used.set(now);
        self.deadline.reset(self.policy.idle);
    }

    /// Whether all answers have come.
    fn is_over(&self) -> bool {
        self.policy.answered(self.requests.get(), self.responses.get())
    }

    /// Hands one answer to the client. An error is the endpoint's: nobody listens there.
    fn pass_on(&self, worker: &Worker, to: &UdpSocket, client: SocketAddr) -> io::Result<()> {
        let mut scratch = worker.l4.scratch.borrow_mut();
        let length = self.socket.try_recv(&mut scratch)?;
        let datagram = scratch.get(..length).unwrap_or_default();
        self.moved(worker.timers.now());
        self.responses.set(self.responses.get() + 1);
        if let Ok(sent) = to.try_send_to(datagram, client) {
            self.log.counts.down.set(self.log.counts.down.get() + sent as u64);
        }
        Ok(())
    }
}

/// Hands answers to the client until all have come, none does, or the endpoint refuses.
async fn answer(worker: Rc<Worker>, to: Weak<UdpSocket>, client: SocketAddr, session: Rc<Session>) {
    while ready(&worker, &session).await {
        let Some(to) = to.upgrade() else { return };
        match session.pass_on(&worker, &to, client) {
            Ok(()) if session.is_over() => return,
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => {
                tracing::debug!(%client, endpoint = %session.endpoint, %error, "a UDP session broke off");
                session.log.status(502);
                return;
            }
        }
    }
}

/// Waits for an answer; false when the session has waited for long enough.
async fn ready(worker: &Worker, session: &Session) -> bool {
    let mut readable = pin!(session.socket.readable());
    poll_fn(|cx| {
        if let Poll::Ready(ready) = readable.as_mut().poll(cx) {
            return Poll::Ready(ready.is_ok());
        }
        let left = worker.is_draining() && worker.timers.now().saturating_duration_since(session.used.get()) > DRAINING;
        if left || session.deadline.poll_expired(cx).is_ready() { Poll::Ready(false) } else { Poll::Pending }
    })
    .await
}
