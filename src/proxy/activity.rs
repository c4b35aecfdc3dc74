//! What a client's connection is doing, and how long it may.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::time::Instant;

use super::io::Signs;
use super::worker::Worker;
use crate::telemetry::process::ConnectionState;

/// A client that takes nothing of its answer for this long is let go (nginx's `send_timeout`).
const STALLED: Duration = Duration::from_secs(60);

/// How long a connection may wait for a head, and for the first byte of one.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    pub head: Duration,
    pub idle: Duration,
}

/// What a connection does, and for how long it still may.
#[derive(Clone, Copy, Debug)]
pub enum Left {
    /// A request is answered, or its answer is on its way.
    Busy(Duration),
    /// A head is on its way.
    Head(Duration),
    /// Nothing has happened for `spent`.
    Idle { left: Duration, spent: Duration },
}

/// What a connection is doing, for its time limits.
#[derive(Debug)]
pub struct Activity {
    worker: Rc<Worker>,
    in_flight: Cell<u32>,
    served: Cell<u32>,
    pub signs: Arc<Signs>,
    /// The number of writes when the limits were last looked at.
    writes_seen: Cell<u64>,
    /// A head is on its way since `since`. Otherwise the connection idles since then, or its client has taken nothing of
    /// an answer since.
    reading: Cell<bool>,
    since: Cell<Instant>,
    state: Cell<ConnectionState>,
    /// It had all the requests that it may have.
    spent: Cell<bool>,
}

impl Activity {
    pub fn new(worker: &Rc<Worker>) -> Rc<Self> {
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
        if self.in_flight.get() == 0 {
            self.since.set(self.worker.timers.now());
        }
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

    pub fn is_spent(&self) -> bool {
        self.spent.get()
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

    /// What is left of the time that this state may last. A head that has begun since this was last asked gets its
    /// whole time from now.
    pub fn left(&self, limits: Limits) -> Left {
        let now = self.worker.timers.now();
        // An answer that was handed to hyper may still be on its way after its request has ended.
        let blocked = self.signs.blocked.load(Ordering::Relaxed);
        if self.in_flight.get() > 0 || blocked {
            let writes = self.signs.writes.load(Ordering::Relaxed);
            let moved = self.writes_seen.replace(writes) != writes;
            if moved || !blocked {
                self.since.set(now);
            }
            return Left::Busy(STALLED.saturating_sub(now.saturating_duration_since(self.since.get())));
        }
        if !self.reading.get() && self.signs.arrived.load(Ordering::Relaxed) {
            self.reading.set(true);
            self.since.set(now);
            self.go(ConnectionState::Reading);
        }
        let spent = now.saturating_duration_since(self.since.get());
        match self.reading.get() {
            true => Left::Head(limits.head.saturating_sub(spent)),
            false => Left::Idle { left: limits.idle.saturating_sub(spent), spent },
        }
    }
}

impl Drop for Activity {
    fn drop(&mut self) {
        self.worker.counters.closed(self.state.get());
    }
}
