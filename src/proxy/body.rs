//! Bodies on their way: the request's to the upstream, with what a retry needs; the response's to the client.

use std::collections::VecDeque;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;

use super::exchange::Exchange;
use super::filters::{Filters, Polled};
use super::progress::{BodyFault, Progress, Waiting};
use super::tap::{Rest, Tap, Tapped};
use super::timer::{Deadline, Timers};
use super::upstream::body::ResponseBody;
use super::upstream::pool::Lease;

/// A request's body for one attempt: what was read ahead, then what still comes.
#[derive(Debug)]
pub struct RequestBody {
    ready: VecDeque<Bytes>,
    rest: Option<Rest>,
    /// Where what comes goes besides.
    tap: Option<Tap>,
    limit: Option<u64>,
    trailers: bool,
    progress: Rc<Progress>,
    /// Bytes that `Content-Length` promises and that were not handed on yet; `None` sends chunks.
    left: Option<u64>,
}

impl RequestBody {
    /// `length` is what `Content-Length` will say; `None` sends chunks.
    pub fn new(ready: VecDeque<Bytes>, rest: Option<Incoming>, length: Option<u64>, progress: Rc<Progress>) -> Self {
        Self::over(ready, rest.map(Rest::Client), length, progress)
    }

    /// A copy of another request's body.
    pub fn copy(ready: VecDeque<Bytes>, rest: Option<Tapped>, length: Option<u64>, progress: Rc<Progress>) -> Self {
        Self::over(ready, rest.map(Rest::Copy), length, progress)
    }

    fn over(ready: VecDeque<Bytes>, rest: Option<Rest>, length: Option<u64>, progress: Rc<Progress>) -> Self {
        progress.note(if ready.is_empty() && rest.is_none() { Waiting::Done } else { Waiting::Upstream });
        Self { ready, rest, tap: None, limit: None, trailers: false, progress, left: length }
    }

    /// Tells what comes from the client to a copy.
    pub fn tapped(mut self, tap: Option<Tap>) -> Self {
        self.tap = tap;
        self
    }

    /// Ends the body with a fault when more than `limit` bytes came.
    pub fn limited(mut self, limit: Option<u64>) -> Self {
        self.limit = limit;
        self
    }

    /// Hands trailers on; HTTP/1 upstreams get none (they could be taken for headers that we set).
    pub fn with_trailers(mut self, trailers: bool) -> Self {
        self.trailers = trailers;
        self
    }

    fn fail(&mut self, fault: BodyFault) -> Poll<Option<Result<Frame<Bytes>, BodyFault>>> {
        self.progress.fail(fault);
        self.leave();
        Poll::Ready(Some(Err(fault)))
    }

    fn leave(&mut self) {
        if let Some(unread) = self.rest.take().and_then(Rest::into_unread) {
            self.progress.leave(unread);
        }
    }

    /// Notes that `bytes` were handed on. hyper may not ask again once a declared length is reached.
    fn handed_on(&mut self, bytes: usize) {
        self.left = self.left.map(|left| left.saturating_sub(bytes as u64));
        let ended = self.ready.is_empty() && self.rest.as_ref().is_none_or(Rest::is_end_stream);
        let done = ended || self.left == Some(0);
        if done && let Some(tap) = &self.tap {
            tap.end();
        }
        self.progress.note(if done { Waiting::Done } else { Waiting::Upstream });
    }

    fn poll_rest(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyFault>>> {
        loop {
            let Some(rest) = &mut self.rest else { return Poll::Ready(None) };
            let frame = match rest.poll_frame(cx) {
                Poll::Ready(frame) => frame,
                Poll::Pending => {
                    self.progress.note(Waiting::Client);
                    return Poll::Pending;
                }
            };
            match frame {
                Some(Ok(frame)) => {
                    if frame.is_trailers() && !self.trailers {
                        continue;
                    }
                    let bytes = frame.data_ref().map_or(0, Bytes::len);
                    let received = self.progress.received.get() + bytes as u64;
                    self.progress.received.set(received);
                    if self.limit.is_some_and(|limit| received > limit) {
                        return self.fail(BodyFault::TooLarge);
                    }
                    if let (Some(tap), Some(data)) = (&self.tap, frame.data_ref()) {
                        tap.push(data);
                    }
                    self.handed_on(bytes);
                    return Poll::Ready(Some(Ok(frame)));
                }
                Some(Err(_)) => return self.fail(BodyFault::Client),
                None => {
                    self.rest = None;
                    self.handed_on(0);
                    return Poll::Ready(None);
                }
            }
        }
    }
}

impl Drop for RequestBody {
    fn drop(&mut self) {
        self.leave();
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = BodyFault;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyFault>>> {
        match self.ready.pop_front() {
            Some(bytes) => {
                self.handed_on(bytes.len());
                Poll::Ready(Some(Ok(Frame::data(bytes))))
            }
            None => self.poll_rest(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.ready.is_empty() && self.rest.as_ref().is_none_or(Rest::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        match self.left {
            Some(left) => SizeHint::with_exact(left),
            None => SizeHint::default(),
        }
    }
}

/// A response's body; the exchange ends, and is logged, when it is dropped.
#[derive(Debug)]
pub struct ProxyBody {
    kind: Kind,
    filters: Option<Box<Filters>>,
    exchange: Option<Box<Exchange>>,
}

#[derive(Debug)]
enum Kind {
    Full(Option<Bytes>),
    Upstream(Box<UpstreamBody>),
}

#[derive(Debug)]
struct UpstreamBody {
    incoming: ResponseBody,
    lease: Option<Lease>,
    /// The request's side: a connection is used again only when both are over.
    request: Rc<Progress>,
    read_timeout: Duration,
    deadline: Option<Deadline>,
    /// It broke off, which is told only after what came before has had its chance to be written.
    broke: bool,
    /// Nothing has come since the deadline was set. A client that takes its time is not the upstream's silence.
    silent: bool,
    timers: Rc<Timers>,
}

impl ProxyBody {
    pub fn full(bytes: Bytes) -> Self {
        Self { kind: Kind::Full(Some(bytes).filter(|b| !b.is_empty())), filters: None, exchange: None }
    }

    pub fn upstream(
        incoming: ResponseBody,
        lease: Lease,
        request: Rc<Progress>,
        read_timeout: Duration,
        timers: &Rc<Timers>,
    ) -> Self {
        let timers = Rc::clone(timers);
        let mut body = UpstreamBody {
            incoming,
            lease: Some(lease),
            request,
            read_timeout,
            deadline: None,
            broke: false,
            silent: false,
            timers,
        };
        if body.incoming.is_end_stream() {
            body.release();
        }
        Self { kind: Kind::Upstream(Box::new(body)), filters: None, exchange: None }
    }

    pub fn is_full(&self) -> bool {
        matches!(self.kind, Kind::Full(_))
    }

    /// What the body passes through from now on.
    pub fn filter(&mut self, filters: Filters) {
        self.filters = Some(Box::new(filters));
    }

    /// Ties the exchange's end to the body's.
    pub fn with_exchange(mut self, exchange: Box<Exchange>) -> Self {
        self.exchange = Some(exchange);
        self
    }
}

impl Kind {
    fn poll(&mut self, cx: &mut Context<'_>) -> Polled {
        match self {
            Self::Full(bytes) => Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            Self::Upstream(body) => body.poll(cx),
        }
    }
}

impl UpstreamBody {
    fn release(&mut self) {
        if let Some(lease) = self.lease.take()
            && self.request.waiting() == Waiting::Done
            && self.request.fault().is_none()
        {
            lease.give_back();
        }
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyFault>>> {
        if self.broke {
            return Poll::Ready(Some(Err(BodyFault::Upstream)));
        }
        let frame = match Pin::new(&mut self.incoming).poll_frame(cx) {
            Poll::Ready(frame) => frame,
            Poll::Pending => {
                let deadline = self.deadline.get_or_insert_with(|| Deadline::after(&self.timers, self.read_timeout));
                if !std::mem::replace(&mut self.silent, true) {
                    deadline.reset(self.read_timeout);
                }
                ready!(deadline.poll_expired(cx));
                self.lease = None;
                return Poll::Ready(Some(Err(BodyFault::Timeout)));
            }
        };
        self.silent = false;
        match frame {
            Some(Ok(frame)) => {
                if self.incoming.is_end_stream() {
                    self.release();
                }
                Poll::Ready(Some(Ok(frame)))
            }
            Some(Err(_)) => {
                self.lease = None;
                self.broke = true;
                cx.waker().wake_by_ref();
                Poll::Pending
            }
            None => {
                self.release();
                Poll::Ready(None)
            }
        }
    }
}

fn length(frame: &Frame<Bytes>) -> u64 {
    frame.data_ref().map_or(0, |data| data.len() as u64)
}

impl Body for ProxyBody {
    type Data = Bytes;
    type Error = BodyFault;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyFault>>> {
        let this = &mut *self;
        let mut read = 0;
        let mut source = |cx: &mut Context<'_>| {
            let polled = this.kind.poll(cx);
            if let Poll::Ready(Some(Ok(frame))) = &polled {
                read += length(frame);
            }
            polled
        };
        let polled = match &mut this.filters {
            None => source(cx),
            Some(filters) => filters.poll(cx, source),
        };
        if let Some(exchange) = &mut this.exchange {
            exchange.upstream_bytes += read;
            if let Poll::Ready(Some(Ok(frame))) = &polled {
                exchange.body_bytes += length(frame);
            }
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        match &self.kind {
            // What is held back or not yet encoded is still to come.
            _ if self.filters.is_some() => false,
            Kind::Full(bytes) => bytes.is_none(),
            Kind::Upstream(body) => body.incoming.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.kind {
            _ if self.filters.is_some() => SizeHint::default(),
            Kind::Full(bytes) => SizeHint::with_exact(bytes.as_ref().map_or(0, |b| b.len() as u64)),
            Kind::Upstream(body) => body.incoming.size_hint(),
        }
    }
}
