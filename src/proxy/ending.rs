//! How a client's connection ends: when its time is up, when the proxy drains, and with patience for its last bytes.

use std::convert::Infallible;
use std::future::poll_fn;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};
use std::time::Duration;

use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::Service;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _};
use tokio::time::Instant;

use super::activity::{Activity, Left, Limits};
use super::body::ProxyBody;
use super::io::Signs;
use super::rewound::Rewound;
use super::timer::{Deadline, within};
use super::worker::{LocalExecutor, Worker};

/// What a connection that must end gets to finish its last write.
pub const CLOSING: Duration = Duration::from_secs(2);
/// What a client gets to take the end of its last answer: between two signs of it, and in all (nginx's
/// `lingering_timeout` and `lingering_time`).
const LINGERING: (Duration, Duration) = (Duration::from_secs(5), Duration::from_secs(30));
/// How often a connection's limits are looked at, and how long it idles before it gives its buffers up.
const LOOK: Duration = Duration::from_secs(2);

/// Watches a connection's limits beside it.
pub struct Ending {
    worker: Rc<Worker>,
    activity: Rc<Activity>,
    limits: Limits,
    /// The connection was asked to end after what is in flight.
    asked: bool,
    /// When the connection's own end was said.
    lingering: Option<Instant>,
    deadline: Option<Deadline>,
}

/// How the run of a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ran {
    Over,
    /// It idles, and holds nothing that is not written or not read.
    Idle,
}

/// What hyper's connections are, as far as it is needed here.
pub trait Graceful: Future {
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
    http1::UpgradeableConnection<I, S>,
    http2::Connection<I, S, LocalExecutor>
);

impl Ending {
    pub fn new(worker: &Rc<Worker>, activity: &Rc<Activity>, limits: Limits) -> Self {
        let (worker, activity) = (Rc::clone(worker), Rc::clone(activity));
        Self { worker, activity, limits, asked: false, lingering: None, deadline: None }
    }

    /// Polls a connection until it is over, or until it idles if it may be left then.
    pub async fn run(&mut self, mut connection: Pin<&mut impl Graceful>, may_leave: bool) -> Ran {
        poll_fn(|cx| {
            loop {
                if connection.as_mut().poll(cx).is_ready() {
                    return Poll::Ready(Ran::Over);
                }
                match self.poll_limits(cx) {
                    Poll::Ready(Verdict::Drop) => return Poll::Ready(Ran::Over),
                    Poll::Ready(Verdict::Ask) => connection.as_mut().ask(),
                    Poll::Ready(Verdict::Idle) if may_leave => return Poll::Ready(Ran::Idle),
                    Poll::Ready(Verdict::Idle) => {}
                    Poll::Pending => return Poll::Pending,
                }
            }
        })
        .await
    }

    /// Waits until `told` makes something of the bytes that came, which come again. `None`: the connection has ended, or
    /// is to end. Nothing is held while nothing comes.
    pub async fn first<S, T>(&mut self, stream: &mut Rewound<S>, told: impl Fn(&[u8]) -> Option<T>) -> Option<T>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let first = poll_fn(|cx| {
            loop {
                if let Some(told) = told(stream.ahead()) {
                    return Poll::Ready(Some(told));
                }
                match stream.poll_ahead(cx) {
                    Poll::Ready(Ok(1..)) => continue,
                    Poll::Ready(_) => return Poll::Ready(None),
                    Poll::Pending => {}
                }
                match self.poll_limits(cx) {
                    Poll::Ready(Verdict::Ask | Verdict::Drop) => return Poll::Ready(None),
                    Poll::Ready(Verdict::Idle) => {}
                    Poll::Pending => return Poll::Pending,
                }
            }
        })
        .await;
        if first.is_none() {
            let _ = within(&self.worker.timers, CLOSING, stream.shutdown()).await;
        }
        first
    }

    fn poll_limits(&mut self, cx: &mut Context<'_>) -> Poll<Verdict> {
        if (self.worker.is_draining() || self.activity.is_spent()) && !self.asked {
            self.asked = true;
            if let Some(deadline) = &self.deadline {
                deadline.reset(CLOSING);
            }
            return Poll::Ready(Verdict::Ask);
        }
        let limits = self.limits;
        let deadline = self.deadline.get_or_insert_with(|| Deadline::after(&self.worker.timers, LOOK));
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
                Left::Busy(left) if !left.is_zero() => deadline.reset(LOOK.min(left)),
                Left::Head(left) if !left.is_zero() && !self.asked => deadline.reset(LOOK.min(left)),
                Left::Idle { left, spent } if !left.is_zero() && !self.asked => {
                    let idles = spent >= LOOK;
                    deadline.reset(if idles { left } else { left.min(LOOK - spent) });
                    if idles {
                        return Poll::Ready(Verdict::Idle);
                    }
                }
                _ if self.asked => return Poll::Ready(Verdict::Drop),
                _ => {
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
    /// To end after what is in flight.
    Ask,
    Drop,
    /// Nothing happens on it.
    Idle,
}
