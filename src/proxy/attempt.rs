//! One try at one endpoint: the choice, a connection, the request's head and body, the answer's head.

use std::future::poll_fn;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, Instant};

use http::{Response, StatusCode, request};

use super::body::RequestBody;
use super::choose::choose;
use super::exchange::{Exchange, head_bytes, request_head_bytes};
use super::forward::Plan;
use super::progress::{Progress, Waiting};
use super::timer::{Deadline, TICK};
use super::tried::Tried;
use super::upstream::Failure;
use super::upstream::body::ResponseBody;
use super::upstream::connect::{self, Transport};
use super::upstream::pool::{Lease, Unsent};
use super::worker::Worker;
use crate::policy::retry::Conditions;
use crate::policy::upstream::Timeouts;

/// A try that failed, and what is needed to try again.
pub struct Missed {
    pub failure: Failure,
    /// The request's body, when nothing was sent: it can be sent elsewhere, whatever is left of it.
    pub unsent: Unsent,
    /// The connection had been used before: nginx does not count such a try.
    pub reused: bool,
}

/// One try: an endpoint, a connection to it, the answer's head.
pub async fn attempt(
    exchange: &mut Exchange,
    plan: &Plan<'_>,
    parts: &request::Parts,
    mut body: RequestBody,
    progress: &Rc<Progress>,
) -> Result<(Response<ResponseBody>, Lease), Missed> {
    let worker = Rc::clone(&exchange.worker);
    let Some(address) = choose(exchange, plan) else {
        return Err(Missed { failure: Failure::Connect, unsent: Some(body), reused: false });
    };
    let transport = transport(exchange, plan);
    let policy = &plan.route.policy.upstream;
    let began = Instant::now();
    let counts = plan.live.table().global.access_log.format.keep.upstream_bytes;
    let sent = if counts { request_head_bytes(&parts.method, &parts.uri, &parts.headers) } else { 0 };
    exchange.tried.push(Tried { began, ..Tried::begin(address, sent) });
    let keep_alive = &plan.live.table().global.upstream_keep_alive;
    loop {
        let pooled = worker.pools.take(address, &transport, keep_alive);
        let reused = pooled.is_some();
        let mut lease = match pooled {
            Some(lease) => lease,
            // Boxed, as all is that few requests wait for: what a request waits in is moved about with it.
            None => match Box::pin(connect::connect(&worker, address, &transport, policy.timeouts.connect)).await {
                Ok(sender) => worker.pools.add(address, &transport, sender),
                Err(failure) => {
                    note_failure(exchange, failure);
                    return Err(Missed { failure, unsent: Some(body), reused });
                }
            },
        };
        note(exchange, |tried| tried.connect = Some(if reused { Duration::ZERO } else { began.elapsed() }));
        let (timeouts, client) = (policy.timeouts, plan.live.table().global.body_timeout);
        let waiting = Wait { worker: &worker, progress, timeouts, client };
        match send(&mut lease, (parts, body), &waiting).await {
            Ok(response) => {
                let received = if counts { 17 + head_bytes(response.headers()) } else { 0 };
                note(exchange, |tried| tried.answered(response.status(), received));
                return match check_head(&response, plan) {
                    Ok(()) => Ok((response, lease)),
                    Err(failure) => {
                        note_failure(exchange, failure);
                        Err(Missed { failure, unsent: None, reused })
                    }
                };
            }
            // Nothing was sent, the pool was out of date: the same endpoint on another connection.
            Err((Failure::Stale, Some(back))) if reused => body = back,
            Err((failure, unsent)) => {
                note_failure(exchange, failure);
                return Err(Missed { failure, unsent, reused });
            }
        }
    }
}

/// How the endpoints are spoken to.
fn transport(exchange: &Exchange, plan: &Plan<'_>) -> Transport {
    let policy = &plan.route.policy.upstream;
    let live = plan.live.live();
    let tls = policy.protocol.is_tls(exchange.client.tls).then_some(plan.route.tls).flatten();
    let tls = tls.and_then(|index| live.client_tls.get(index as usize)).map(Arc::clone);
    Transport { http2: policy.protocol.is_http2(), fastcgi: plan.fastcgi.clone(), tls }
}

/// Notes something of the try that is being made.
fn note(exchange: &mut Exchange, set: impl FnOnce(&mut Tried)) {
    if let Some(tried) = exchange.tried.last_mut() {
        set(tried);
    }
}

fn note_failure(exchange: &mut Exchange, failure: Failure) {
    if let Some(request) = &mut exchange.in_flight {
        request.fail();
    }
    note(exchange, |tried| tried.failed(status_of(failure)));
}

/// An answer that is larger than `proxy-buffer-size`, or a switch nobody asked for, is a broken one.
fn check_head(response: &Response<ResponseBody>, plan: &Plan<'_>) -> Result<(), Failure> {
    let size: usize = response.headers().iter().map(|(name, value)| name.as_str().len() + value.len() + 4).sum();
    if size + 32 > plan.route.policy.upstream.response_head_limit as usize {
        return Err(Failure::HeadTooLarge);
    }
    if response.status() == StatusCode::SWITCHING_PROTOCOLS
        && !plan.upgrade.as_ref().is_some_and(|u| u.is_granted_by(response.headers()))
    {
        return Err(Failure::Unasked101);
    }
    Ok(())
}

/// Sends a request over a connection, and waits for the answer's head. An error holds the body if nothing was
/// sent.
pub async fn send(
    lease: &mut Lease,
    (parts, body): (&request::Parts, RequestBody),
    waiting: &Wait<'_>,
) -> Result<Response<ResponseBody>, (Failure, Unsent)> {
    waiting.on(lease.send(parts, body)).await.unwrap_or(Err((Failure::Timeout, None)))
}

/// Waiting for an upstream while a request's body may still be on its way.
pub struct Wait<'a> {
    pub worker: &'a Rc<Worker>,
    pub progress: &'a Rc<Progress>,
    /// The limits on an upstream that stands still, and on a client.
    pub timeouts: Timeouts,
    pub client: Duration,
}

impl Wait<'_> {
    /// The limit on standing still: the client's while its body is awaited, else the upstream's.
    fn limit(&self) -> Duration {
        match self.progress.waiting() {
            Waiting::Client => self.client,
            Waiting::Upstream => self.timeouts.send,
            Waiting::Done => self.timeouts.read,
        }
    }

    /// How often to look. A body that gets along changes which limit holds, and wakes nobody here.
    fn shortest(&self) -> Duration {
        let Timeouts { send, read, .. } = self.timeouts;
        send.min(read).min(self.client).max(TICK)
    }

    /// `None` when nothing moved for the limit.
    async fn on<F: Future>(&self, future: F) -> Option<F::Output> {
        let mut future = pin!(future);
        let looks = self.shortest();
        let deadline = Deadline::after(&self.worker.timers, self.limit().min(looks));
        let began = self.worker.timers.now();
        poll_fn(|cx| {
            if let Poll::Ready(output) = future.as_mut().poll(cx) {
                return Poll::Ready(Some(output));
            }
            while deadline.poll_expired(cx).is_ready() {
                let waited = self.worker.timers.now().saturating_duration_since(began);
                let left = self.limit().saturating_sub(self.progress.idle().min(waited));
                if left.is_zero() {
                    return Poll::Ready(None);
                }
                deadline.reset(left.min(looks));
            }
            Poll::Pending
        })
        .await
    }
}

pub fn condition(failure: Failure) -> Conditions {
    match failure {
        Failure::Connect | Failure::Tls | Failure::Stale | Failure::Broken => Conditions::ERROR,
        Failure::ConnectTimeout | Failure::Timeout => Conditions::TIMEOUT,
        Failure::Invalid | Failure::HeadTooLarge | Failure::Unasked101 => Conditions::INVALID_HEADER,
    }
}

pub fn was_sent(failure: Failure) -> bool {
    !matches!(failure, Failure::Connect | Failure::ConnectTimeout | Failure::Tls | Failure::Stale)
}

pub fn status_of(failure: Failure) -> StatusCode {
    match failure {
        Failure::ConnectTimeout | Failure::Timeout => StatusCode::GATEWAY_TIMEOUT,
        _ => StatusCode::BAD_GATEWAY,
    }
}
