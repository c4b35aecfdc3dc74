//! How a request's body gets along on its way to an upstream, and why it may not arrive.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use hyper::body::Incoming;
use tokio::time::Instant;

use super::timer::Timers;

/// Why a body ended early.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BodyFault {
    #[error("the client sent more than the body limit")]
    TooLarge,
    #[error("the client went away")]
    Client,
    #[error("the upstream broke off")]
    Upstream,
    #[error("the upstream sent nothing for too long")]
    Timeout,
}

/// Who a request's body waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Waiting {
    Client,
    Upstream,
    /// All of it was handed on.
    Done,
}

/// How a request's body gets along: shared by the body and whoever waits for the answer.
#[derive(Debug)]
pub struct Progress {
    timers: Rc<Timers>,
    waiting: Cell<Waiting>,
    at: Cell<Instant>,
    fault: Cell<Option<BodyFault>>,
    unread: RefCell<Option<Incoming>>,
    /// Bytes of the body so far.
    pub received: Cell<u64>,
}

impl Progress {
    pub fn new(timers: &Rc<Timers>) -> Rc<Self> {
        Rc::new(Self {
            waiting: Cell::new(Waiting::Upstream),
            at: Cell::new(timers.now()),
            fault: Cell::new(None),
            unread: RefCell::default(),
            received: Cell::new(0),
            timers: Rc::clone(timers),
        })
    }

    /// Notes whom the body waits for from now on.
    pub fn note(&self, waiting: Waiting) {
        if waiting != self.waiting.replace(waiting) || waiting == Waiting::Upstream {
            self.at.set(self.timers.now());
        }
    }

    pub fn waiting(&self) -> Waiting {
        self.waiting.get()
    }

    /// How long ago anything happened.
    pub fn idle(&self) -> Duration {
        self.timers.now().saturating_duration_since(self.at.get())
    }

    /// Notes that the body ended early, for the client's reasons.
    pub fn fail(&self, fault: BodyFault) {
        self.fault.set(Some(fault));
    }

    /// Leaves what the client still sends to whoever answers it.
    pub fn leave(&self, unread: Incoming) {
        self.unread.replace(Some(unread));
    }

    pub fn fault(&self) -> Option<BodyFault> {
        self.fault.get()
    }

    /// What the client still sends after its request has failed.
    pub fn take_unread(&self) -> Option<Incoming> {
        self.unread.take()
    }
}
