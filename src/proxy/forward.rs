//! CONTENT: an endpoint, a connection, the request, its answer; and another endpoint when that fails.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::header::{self, HeaderMap, HeaderValue};
use http::uri::PathAndQuery;
use http::{Response, StatusCode, Uri, Version};
use http_body::Body as _;
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use hyper::client::conn::TrySendError;
use tokio::task::spawn_local;

use super::body::{BodyFault, Progress, ProxyBody, RequestBody, Waiting};
use super::exchange::{Exchange, Tried};
use super::phases::Stopped;
use super::respond::{self, Answer};
use super::timer::{Deadline, within};
use super::upgrade::Upgrade;
use super::upstream::connect::{self, Transport};
use super::upstream::pool::{Lease, Sending};
use super::upstream::{Failure, balance};
use super::worker::{LocalLive, Worker};
use crate::policy::body::MAX_BUFFERED;
use crate::policy::headers::{self, NameRules};
use crate::policy::retry::{Conditions, Failed, RetryPolicy};
use crate::policy::upstream::{ConnectionHeader, UpstreamPolicy};
use crate::table::{Index, Route};

/// What the phases before decided.
pub struct Plan<'a> {
    pub live: &'a Rc<LocalLive>,
    pub route: &'a Route,
    pub upstream: Index,
    /// `Host` as sent.
    pub host: Option<HeaderValue>,
    /// Path and query after a rewrite.
    pub target: Option<String>,
    /// `X-Forwarded-Prefix`.
    pub prefix: Option<Vec<u8>>,
    pub upgrade: Option<Upgrade>,
}

/// A request's body as far as it was read, and how the rest comes.
struct Held {
    ready: VecDeque<Bytes>,
    rest: Option<Incoming>,
    length: Option<u64>,
}

/// Forwards a request; failures are answers too.
pub async fn forward(
    exchange: &mut Exchange,
    plan: Plan<'_>,
    request: http::Request<Incoming>,
) -> Result<Answer, Stopped> {
    let (mut parts, body) = request.into_parts();
    let declared = body.size_hint().exact().filter(|_| parts.headers.contains_key(header::CONTENT_LENGTH));
    let progress = Progress::new(&exchange.worker.timers);
    let mut held = match hold(exchange, &plan, body, declared, &progress).await {
        Ok(held) => held,
        Err(fault) => return Err(refused(fault, None)),
    };
    if prepare(exchange, &plan, &mut parts, &held, declared.is_some()).is_none() {
        return Err(Stopped { answer: respond::page(StatusCode::BAD_REQUEST), unread: held.rest });
    }
    let policy = &plan.route.policy.upstream;
    let began = Instant::now();
    let mut attempts = 0;
    loop {
        let replayable = held.rest.is_none();
        let body = RequestBody::new(
            held.ready.clone(),
            held.rest.take(),
            plan.route.policy.body_limit,
            held.length,
            Rc::clone(&progress),
        );
        let mut outgoing = http::Request::new(body);
        *outgoing.method_mut() = parts.method.clone();
        *outgoing.uri_mut() = parts.uri.clone();
        *outgoing.version_mut() = parts.version;
        *outgoing.headers_mut() = parts.headers.clone();
        attempts += 1;
        let failure = match attempt(exchange, &plan, outgoing, &progress).await {
            Ok((response, lease)) => {
                let condition =
                    RetryPolicy::status_condition(response.status()).filter(|c| policy.retry.on.contains(*c));
                let failed = condition.map(|condition| Failed { condition, sent: true, replayable });
                if failed.is_some_and(|f| policy.retry.again(f, &parts.method, attempts, began.elapsed())) {
                    continue;
                }
                exchange.received = progress.received.get();
                return answer(exchange, plan, response, lease, progress);
            }
            Err(failure) => failure,
        };
        exchange.received = progress.received.get();
        if let Some(fault) = progress.fault() {
            return Err(refused(fault, None));
        }
        let failed = Failed { condition: condition(failure), sent: was_sent(failure), replayable };
        if !policy.retry.again(failed, &parts.method, attempts, began.elapsed()) {
            return Err(gave_up(failure, &progress));
        }
    }
}

/// Reads a request's body ahead when buffering asks for it: all of it, or the first [`MAX_BUFFERED`] bytes.
async fn hold(
    exchange: &Exchange,
    plan: &Plan<'_>,
    mut body: Incoming,
    declared: Option<u64>,
    progress: &Rc<Progress>,
) -> Result<Held, BodyFault> {
    let policy = &plan.route.policy;
    if body.is_end_stream() {
        return Ok(Held { ready: VecDeque::new(), rest: None, length: Some(0) });
    }
    let streams = policy.upstream.protocol.is_http2() || !policy.upstream.request_buffering;
    if plan.upgrade.is_some() || (streams && !policy.upstream.http10) {
        return Ok(Held { ready: VecDeque::new(), rest: Some(body), length: declared });
    }
    let limit = plan.live.table().global.body_timeout;
    let mut ready = VecDeque::new();
    let mut size: u64 = 0;
    while (size as usize) < MAX_BUFFERED {
        let next = within(&exchange.worker.timers, limit, body.frame()).await.ok_or(BodyFault::Timeout)?;
        match next {
            None => return Ok(Held { ready, rest: None, length: Some(size) }),
            Some(Err(_)) => return Err(BodyFault::Client),
            Some(Ok(frame)) => {
                // Trailers of a request are dropped: nginx has none.
                let Ok(data) = frame.into_data() else { continue };
                size += data.len() as u64;
                progress.received.set(size);
                if policy.body_limit.is_some_and(|limit| size > limit) {
                    return Err(BodyFault::TooLarge);
                }
                ready.push_back(data);
            }
        }
        if body.is_end_stream() {
            return Ok(Held { ready, rest: None, length: Some(size) });
        }
    }
    Ok(Held { ready, rest: Some(body), length: declared })
}

/// Turns the client's head into the upstream's. `None`: the rewritten target or the host cannot be sent.
fn prepare(
    exchange: &Exchange,
    plan: &Plan<'_>,
    parts: &mut http::request::Parts,
    held: &Held,
    declared: bool,
) -> Option<()> {
    let policy = &plan.route.policy.upstream;
    let global = &plan.live.table().global;
    if parts.version == Version::HTTP_2 {
        headers::join_cookies(&mut parts.headers);
    }
    let client = headers::Client {
        address: &exchange.client.address_value,
        scheme: exchange.client.scheme(),
        port: &exchange.client.port_value,
        host: plan.host.as_ref(),
        request_id: exchange.request_id.clone(),
    };
    let rules = NameRules { drop_invalid: global.drop_invalid_headers, underscores: global.underscores_in_headers };
    headers::to_upstream(&mut parts.headers, client, rules);
    if let Some(length) = held.length.filter(|length| *length > 0 || declared) {
        parts.headers.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
    }
    if let Some(prefix) = plan.prefix.as_ref().and_then(|p| HeaderValue::from_bytes(p).ok()) {
        parts.headers.insert(headers::X_FORWARDED_PREFIX, prefix);
    }
    match policy.connection {
        Some(ConnectionHeader::Close) => {
            parts.headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        Some(ConnectionHeader::KeepAlive) => {
            parts.headers.insert(header::CONNECTION, HeaderValue::from_static("keep-alive"));
        }
        None => {
            if let Some(upgrade) = &plan.upgrade {
                upgrade.announce(parts);
            }
        }
    }
    let host = match &policy.vhost {
        Some(template) => Some(HeaderValue::from_bytes(&template.fill(&Facts { exchange, parts })).ok()?),
        None => plan.host.clone(),
    };
    let target: PathAndQuery = match &plan.target {
        Some(target) => target.parse().ok()?,
        None => parts.uri.path_and_query().cloned().unwrap_or_else(|| PathAndQuery::from_static("/")),
    };
    set_target(parts, policy, host, target)
}

fn set_target(
    parts: &mut http::request::Parts,
    policy: &UpstreamPolicy,
    host: Option<HeaderValue>,
    target: PathAndQuery,
) -> Option<()> {
    parts.headers.remove(header::HOST);
    if policy.protocol.is_http2() {
        let scheme = if policy.protocol.is_tls(true) { "https" } else { "http" };
        let authority = host.as_ref().and_then(|h| h.to_str().ok()).unwrap_or("localhost");
        parts.uri = Uri::builder().scheme(scheme).authority(authority).path_and_query(target).build().ok()?;
        parts.version = Version::HTTP_2;
        parts.headers.insert(header::TE, HeaderValue::from_static("trailers"));
        return Some(());
    }
    parts.uri = Uri::from(target);
    parts.version = if policy.http10 { Version::HTTP_10 } else { Version::HTTP_11 };
    if let Some(host) = host {
        parts.headers.insert(header::HOST, host);
    }
    Some(())
}

/// Values of the variables that `upstream-vhost` may name.
struct Facts<'a> {
    exchange: &'a Exchange,
    parts: &'a http::request::Parts,
}

impl crate::policy::template::Values for Facts<'_> {
    fn capture(&self, _: usize) -> &[u8] {
        b""
    }

    fn variable(&self, variable: crate::policy::template::Variable) -> &str {
        use crate::policy::template::Variable as V;
        match variable {
            V::Host => &self.exchange.host,
            V::HttpHost => {
                self.parts.headers.get(headers::X_FORWARDED_HOST).and_then(|h| h.to_str().ok()).unwrap_or_default()
            }
            V::RequestUri => self.parts.uri.path_and_query().map_or("", PathAndQuery::as_str),
            V::Uri => self.parts.uri.path(),
            V::Args => self.parts.uri.query().unwrap_or_default(),
            V::Scheme => self.exchange.client.scheme(),
            V::RequestMethod => self.parts.method.as_str(),
            V::RemoteAddr => self.exchange.client.address_value.to_str().unwrap_or_default(),
        }
    }
}

/// One try: an endpoint, a connection to it, the answer's head.
async fn attempt(
    exchange: &mut Exchange,
    plan: &Plan<'_>,
    mut request: http::Request<RequestBody>,
    progress: &Rc<Progress>,
) -> Result<(Response<Incoming>, Lease), Failure> {
    let worker = Rc::clone(&exchange.worker);
    let policy = &plan.route.policy.upstream;
    let live = plan.live.live();
    let position = plan.live.next(plan.upstream, || worker.random() as u32);
    let state = live.upstreams.get(plan.upstream as usize).ok_or(Failure::Connect)?;
    let tried = |address| exchange.tried.iter().any(|t| t.address == address);
    let address = balance::pick(&state.endpoints.load(), position, tried).ok_or(Failure::Connect)?;
    let tls = policy.protocol.is_tls(exchange.client.tls).then(|| plan.route.tls).flatten();
    let tls = tls.and_then(|index| live.client_tls.get(index as usize)).map(Arc::clone);
    let transport = Transport { http2: policy.protocol.is_http2(), tls };
    let began = Instant::now();
    exchange.tried.push(Tried { address, connect: None, header: None, began, status: None });
    let keep_alive = &live.table.global.upstream_keep_alive;
    loop {
        let pooled = worker.pools.take(address, &transport, keep_alive);
        let fresh = pooled.is_none();
        let mut lease = match pooled {
            Some(lease) => lease,
            None => {
                let sender = connect::connect(&worker, address, &transport, policy.timeouts.connect).await;
                let sender = sender.inspect_err(|failure| note(exchange, status_of(*failure)))?;
                worker.pools.add(address, &transport, sender)
            }
        };
        if let Some(last) = exchange.tried.last_mut() {
            last.connect = Some(if fresh { began.elapsed() } else { Duration::ZERO });
        }
        match send(&worker, &mut lease, request, progress, plan).await {
            Ok(response) => {
                if let Some(last) = exchange.tried.last_mut() {
                    last.header = Some(began.elapsed());
                }
                note(exchange, response.status());
                check_head(&response, plan)?;
                return Ok((response, lease));
            }
            // Nothing was sent, the pool was out of date: the same endpoint on another connection.
            Err((Failure::Stale, Some(back))) if !fresh => request = *back,
            Err((failure, _)) => {
                note(exchange, status_of(failure));
                return Err(failure);
            }
        }
    }
}

fn note(exchange: &mut Exchange, status: StatusCode) {
    if let Some(last) = exchange.tried.last_mut() {
        last.status = Some(status.as_u16());
    }
}

/// An answer that is larger than `proxy-buffer-size`, or a switch nobody asked for, is a broken one.
fn check_head(response: &Response<Incoming>, plan: &Plan<'_>) -> Result<(), Failure> {
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

type Unsent = Option<Box<http::Request<RequestBody>>>;

async fn send(
    worker: &Rc<Worker>,
    lease: &mut Lease,
    request: http::Request<RequestBody>,
    progress: &Rc<Progress>,
    plan: &Plan<'_>,
) -> Result<Response<Incoming>, (Failure, Unsent)> {
    let boxed = |request| Some(Box::new(request));
    let waiting = Wait { worker, progress, plan };
    match lease.sender() {
        None => Err((Failure::Stale, boxed(request))),
        Some(Sending::Http1(sender)) => match waiting.on(sender.ready()).await {
            Some(Ok(())) => waiting.head(sender.try_send_request(request)).await,
            Some(Err(_)) => Err((Failure::Stale, boxed(request))),
            None => Err((Failure::Timeout, None)),
        },
        Some(Sending::Http2(sender)) => match waiting.on(sender.ready()).await {
            Some(Ok(())) => waiting.head(sender.try_send_request(request)).await,
            Some(Err(_)) => Err((Failure::Stale, boxed(request))),
            None => Err((Failure::Timeout, None)),
        },
    }
}

/// Waiting for an upstream while a request's body may still be on its way.
struct Wait<'a> {
    worker: &'a Rc<Worker>,
    progress: &'a Rc<Progress>,
    plan: &'a Plan<'a>,
}

impl Wait<'_> {
    /// The limit on standing still: the client's while its body is awaited, else the upstream's.
    fn limit(&self) -> Duration {
        let timeouts = self.plan.route.policy.upstream.timeouts;
        match self.progress.waiting() {
            Waiting::Client => self.plan.live.table().global.body_timeout,
            Waiting::Upstream => timeouts.send,
            Waiting::Done => timeouts.read,
        }
    }

    /// `None` when nothing moved for the limit.
    async fn on<F: Future>(&self, future: F) -> Option<F::Output> {
        let mut future = pin!(future);
        let deadline = Deadline::after(&self.worker.timers, self.limit());
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
                deadline.reset(left);
            }
            Poll::Pending
        })
        .await
    }

    async fn head(
        &self,
        sending: impl Future<Output = Result<Response<Incoming>, TrySendError<http::Request<RequestBody>>>>,
    ) -> Result<Response<Incoming>, (Failure, Unsent)> {
        match self.on(sending).await {
            None => Err((Failure::Timeout, None)),
            Some(Ok(response)) => Ok(response),
            Some(Err(mut error)) => match error.take_message() {
                Some(request) => Err((Failure::Stale, Some(Box::new(request)))),
                None if error.error().is_parse_too_large() => Err((Failure::HeadTooLarge, None)),
                None if error.error().is_parse() => Err((Failure::Invalid, None)),
                None => Err((Failure::Broken, None)),
            },
        }
    }
}

fn condition(failure: Failure) -> Conditions {
    match failure {
        Failure::Connect | Failure::Tls | Failure::Stale | Failure::Broken => Conditions::ERROR,
        Failure::ConnectTimeout | Failure::Timeout => Conditions::TIMEOUT,
        Failure::Invalid | Failure::HeadTooLarge | Failure::Unasked101 => Conditions::INVALID_HEADER,
    }
}

fn was_sent(failure: Failure) -> bool {
    !matches!(failure, Failure::Connect | Failure::ConnectTimeout | Failure::Tls | Failure::Stale)
}

fn status_of(failure: Failure) -> StatusCode {
    match failure {
        Failure::ConnectTimeout | Failure::Timeout => StatusCode::GATEWAY_TIMEOUT,
        _ => StatusCode::BAD_GATEWAY,
    }
}

/// The answer when no endpoint is left to ask. While the client's own body was awaited, the client is at fault.
fn gave_up(failure: Failure, progress: &Progress) -> Stopped {
    if failure == Failure::Timeout && progress.waiting() == Waiting::Client {
        return refused(BodyFault::Timeout, None);
    }
    Stopped { answer: respond::page(status_of(failure)), unread: None }
}

fn refused(fault: BodyFault, unread: Option<Incoming>) -> Stopped {
    let status = match fault {
        BodyFault::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        BodyFault::Timeout => StatusCode::REQUEST_TIMEOUT,
        BodyFault::Client | BodyFault::Upstream => StatusCode::BAD_REQUEST,
    };
    Stopped { answer: respond::page(status), unread }
}

/// The upstream's answer as the client gets it.
fn answer(
    exchange: &Exchange,
    plan: Plan<'_>,
    mut response: Response<Incoming>,
    lease: Lease,
    progress: Rc<Progress>,
) -> Result<Answer, Stopped> {
    let read = plan.route.policy.upstream.timeouts.read;
    let granted = response.headers().get(header::UPGRADE).cloned();
    headers::to_client(response.headers_mut(), &plan.live.table().global.hide_headers);
    if response.status() == StatusCode::SWITCHING_PROTOCOLS
        && let Some(upgrade) = plan.upgrade
    {
        let upstream = hyper::upgrade::on(&mut response);
        spawn_local(upgrade.tunnel(Rc::clone(&exchange.worker), upstream, read));
        let mut switched = Response::new(ProxyBody::full(Bytes::new()));
        *switched.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
        *switched.headers_mut() = std::mem::take(response.headers_mut());
        restore_upgrade(switched.headers_mut(), granted);
        return Ok(switched);
    }
    let (head, incoming) = response.into_parts();
    let body = ProxyBody::upstream(incoming, lease, progress, read, &exchange.worker.timers);
    let mut answer = Response::new(body);
    *answer.status_mut() = head.status;
    *answer.headers_mut() = head.headers;
    Ok(answer)
}

fn restore_upgrade(headers: &mut HeaderMap, granted: Option<HeaderValue>) {
    headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
    if let Some(protocol) = granted {
        headers.insert(header::UPGRADE, protocol);
    }
}
