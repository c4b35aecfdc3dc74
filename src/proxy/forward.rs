//! CONTENT: an endpoint, a connection, the request, its answer; and another endpoint when that fails.

use std::collections::VecDeque;
use std::rc::Rc;
use std::time::Instant;

use bytes::Bytes;
use http::header::{self, HeaderValue};
use http::uri::PathAndQuery;
use http::{StatusCode, Uri, Version};
use http_body::Body as _;
use http_body_util::BodyExt as _;
use hyper::body::Incoming;

use super::answer::answer;
use super::attempt::{attempt, condition, status_of, was_sent};
use super::body::RequestBody;
use super::choose::Token;
use super::client_certificate;
use super::error_pages::{self, StandIn};
use super::exchange::Exchange;
use super::facts::Facts;
use super::fastcgi::Params;
use super::mirror::{self, Original};
use super::phases::Stopped;
use super::pieces::{Pieces, Share};
use super::progress::{BodyFault, Progress, Waiting};
use super::request_headers;
use super::respond::{self, Answer};
use super::snippets;
use super::tap::Tap;
use super::timer::within;
use super::upgrade::Upgrade;
use super::upstream::Failure;
use super::upstream::load::InFlight;
use super::worker::LocalLive;
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
    /// Path and query after a rewrite.
    pub target: Option<String>,
    /// `X-Forwarded-Prefix`.
    pub prefix: Option<Vec<u8>>,
    pub upgrade: Option<Upgrade>,
    pub token: Token,
    pub stand_in: Option<StandIn>,
    /// What a FastCGI responder is told.
    pub fastcgi: Option<Rc<Params>>,
}

/// A request's body as far as it was read, and how the rest comes.
struct Held {
    ready: VecDeque<Bytes>,
    rest: Option<Incoming>,
    length: Option<u64>,
    /// What tells the rest to a copy.
    tap: Option<Tap>,
    /// What `ready` takes of the worker's memory.
    _share: Option<Share>,
}

/// Tries of one request, whatever `proxy-next-upstream-tries` and the number of endpoints say.
const MAX_TRIES: u32 = 32;

/// Forwards a request; failures are answers too.
pub async fn forward(
    exchange: &mut Exchange,
    mut plan: Plan<'_>,
    request: http::Request<Incoming>,
) -> Result<Answer, Stopped> {
    let (mut parts, mut body) = request.into_parts();
    if plan.route.policy.upstream.http10 || plan.fastcgi.is_some() {
        plan.upgrade = None;
    }
    let declared = body.size_hint().exact().filter(|_| parts.headers.contains_key(header::CONTENT_LENGTH));
    let progress = Progress::new(&exchange.worker.timers);
    exchange.progress = Some(Rc::clone(&progress));
    let ((ready, share), whole) = match hold(exchange, &plan, &mut body, &progress).await {
        Ok(held) => held,
        Err(fault) => return Err(refused(fault, Some(body))),
    };
    let length = if whole { Some(ready.iter().map(|b| b.len() as u64).sum()) } else { declared };
    let mut held = Held { ready, rest: (!whole).then_some(body), length, tap: None, _share: Some(share) };
    if let Some(mirror) = &plan.route.policy.mirror {
        let original = Original { ready: &held.ready, streams: !whole, length };
        held.tap = mirror::begin(exchange, mirror, plan.route.policy.upstream.response_head_limit, &parts, &original);
    }
    if prepare(exchange, &plan, &mut parts, &held, declared.is_some()).is_none() {
        return Err(Stopped { answer: respond::page(StatusCode::BAD_REQUEST), unread: held.rest });
    }
    deliver(exchange, plan, &parts, held, &progress).await
}

/// The same for a request of our own that has no body.
pub async fn bodiless(
    exchange: &mut Exchange,
    plan: Plan<'_>,
    mut parts: http::request::Parts,
) -> Result<Answer, Stopped> {
    let progress = Progress::new(&exchange.worker.timers);
    let held = Held { ready: VecDeque::new(), rest: None, length: Some(0), tap: None, _share: None };
    if prepare(exchange, &plan, &mut parts, &held, false).is_none() {
        return Err(Stopped { answer: respond::page(StatusCode::BAD_REQUEST), unread: None });
    }
    deliver(exchange, plan, &parts, held, &progress).await
}

/// Asks one endpoint after the other, as long as `proxy-next-upstream` allows.
async fn deliver(
    exchange: &mut Exchange,
    plan: Plan<'_>,
    parts: &http::request::Parts,
    mut held: Held,
    progress: &Rc<Progress>,
) -> Result<Answer, Stopped> {
    let whole = held.rest.is_none();
    let retry = plan.route.policy.upstream.retry.bounded(endpoints(&plan), MAX_TRIES);
    let began = Instant::now();
    let mut unsent: Option<RequestBody> = None;
    let mut attempts = 0;
    for _ in 0..MAX_TRIES {
        let body = unsent.take().unwrap_or_else(|| build(&mut held, &plan, progress));
        attempts += 1;
        let missed = match attempt(exchange, &plan, parts, body, progress).await {
            Ok((response, lease)) => {
                let condition = RetryPolicy::status_condition(response.status()).filter(|c| retry.on.contains(*c));
                let failed = condition.map(|condition| Failed { condition, sent: true, replayable: whole });
                if failed.is_some_and(|f| retry.again(f, &parts.method, attempts, began.elapsed())) {
                    exchange.in_flight.iter_mut().for_each(InFlight::fail);
                    continue;
                }
                if error_pages::intercepts(plan.route, &response) {
                    return Err(error_pages::give_up(exchange, &plan, response, lease));
                }
                return Ok(answer(exchange, plan, response, lease, (parts, progress)));
            }
            Err(missed) => missed,
        };
        if let Some(fault) = progress.fault() {
            return Err(refused(fault, progress.take_unread()));
        }
        let failure = missed.failure;
        let condition = condition(failure);
        if missed.reused && condition == Conditions::ERROR {
            // A connection that broke while it idled says nothing of its endpoint: nginx gives such a try back.
            attempts -= 1;
        }
        // What is left of a streamed body is in the request that was not sent, and nowhere else.
        let replayable = whole || missed.unsent.is_some();
        let failed = Failed { condition, sent: was_sent(failure), replayable };
        if !retry.again(failed, &parts.method, attempts, began.elapsed()) {
            return Err(gave_up(failure, progress));
        }
        unsent = missed.unsent;
    }
    Err(Stopped { answer: respond::page(StatusCode::BAD_GATEWAY), unread: None })
}

fn endpoints(plan: &Plan<'_>) -> usize {
    plan.live.live().upstreams.get(plan.upstream as usize).map_or(0, |state| state.endpoints.load().len())
}

fn build(held: &mut Held, plan: &Plan<'_>, progress: &Rc<Progress>) -> RequestBody {
    let policy = &plan.route.policy;
    RequestBody::new(held.ready.clone(), held.rest.take(), held.length, Rc::clone(progress))
        .tapped(held.tap.take())
        .limited(policy.body_limit)
        .with_trailers(policy.upstream.protocol.is_http2())
}

/// Reads a request's body ahead when buffering asks for it: all of it, or the first [`MAX_BUFFERED`] bytes, or what the
/// worker has room for. Whether it is all.
async fn hold(
    exchange: &Exchange,
    plan: &Plan<'_>,
    body: &mut Incoming,
    progress: &Rc<Progress>,
) -> Result<((VecDeque<Bytes>, Share), bool), BodyFault> {
    let policy = &plan.route.policy;
    let mut ready = Pieces::new(&exchange.worker.ahead);
    if body.is_end_stream() {
        return Ok((ready.finish(), true));
    }
    let streams = policy.upstream.protocol.is_http2() || !policy.upstream.request_buffering;
    // HTTP/1.0 has no way to say where a body of unknown length ends, and FastCGI programs read as much as they are told.
    let unbounded = body.size_hint().exact().is_none();
    let must_count = policy.upstream.http10 || (plan.fastcgi.is_some() && unbounded);
    if plan.upgrade.is_some() || (streams && !must_count) {
        return Ok((ready.finish(), false));
    }
    let limit = plan.live.table().global.body_timeout;
    let must_be_whole = must_count && unbounded;
    while ready.size < MAX_BUFFERED && (must_be_whole || !ready.are_too_many()) {
        let next = within(&exchange.worker.timers, limit, body.frame()).await.ok_or(BodyFault::Timeout)?;
        match next {
            None => return Ok((ready.finish(), true)),
            Some(Err(_)) => return Err(BodyFault::Client),
            Some(Ok(frame)) => {
                // Trailers of a request are dropped: nginx has none.
                let Ok(data) = frame.into_data() else { continue };
                ready.push(data);
                progress.received.set(ready.size as u64);
                if policy.body_limit.is_some_and(|limit| ready.size as u64 > limit) {
                    return Err(BodyFault::TooLarge);
                }
            }
        }
        if body.is_end_stream() {
            return Ok((ready.finish(), true));
        }
    }
    if must_be_whole {
        return Err(BodyFault::TooLarge);
    }
    Ok((ready.finish(), false))
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
    // What is set at a location is not set at an error page.
    let is_page = matches!(plan.stand_in, Some(StandIn::ErrorPage(_)));
    // Templates speak of the request as the client sent it.
    let filled = match is_page {
        true => Vec::new(),
        false => request_headers::fill(&global.headers, exchange, &parts.headers),
    };
    let host = match &policy.vhost {
        Some(template) => {
            Some(HeaderValue::from_bytes(&template.fill(&Facts { exchange, headers: &parts.headers })).ok()?)
        }
        None => exchange.forwarded_host().map(headers::trimmed),
    };
    let mut host = match plan.stand_in {
        Some(StandIn::ErrorPage(_)) => exchange.forwarded_host().cloned(),
        Some(StandIn::Unavailable) | None => host,
    };
    let client = headers::Client {
        address: exchange.remote_value(),
        forwarded_for: exchange.forwarded_for(),
        origin: exchange.forwarded.as_ref().and_then(|f| f.origin.as_ref()),
        scheme: exchange.scheme(),
        port: exchange.forwarded_port(),
        host: exchange.forwarded_host(),
        request_id: exchange.request_id.clone(),
    };
    let rules = NameRules { drop_invalid: global.drop_invalid_headers, underscores: global.underscores_in_headers };
    headers::to_upstream(&mut parts.headers, client, rules, &global.trust);
    client_certificate::tell(exchange, &mut parts.headers);
    match &exchange.granted {
        Some(granted) if is_page => granted.forget(&mut parts.headers),
        Some(granted) => granted.apply(&mut parts.headers),
        None => {}
    }
    match held.length {
        Some(length) if length > 0 || declared => {
            parts.headers.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
        }
        Some(_) => {}
        // HTTP/1 has no other way to say where a body of unknown length ends.
        None if !policy.protocol.is_http2() => {
            parts.headers.insert(header::TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
        }
        None => {}
    }
    if let Some(prefix) = plan.prefix.as_ref().and_then(|p| HeaderValue::from_bytes(p).ok()) {
        parts.headers.insert(headers::X_FORWARDED_PREFIX, prefix);
    }
    if let Some(stand_in) = plan.stand_in {
        stand_in.tell(exchange, plan.route, &mut parts.headers);
    }
    if let Some(upgrade) = &plan.upgrade {
        upgrade.announce(parts);
    }
    // The annotation is about `Connection` alone: it ends upgrades, as in nginx.
    if let Some(connection) = policy.connection {
        let word = match connection {
            ConnectionHeader::Close => "close",
            ConnectionHeader::KeepAlive => "keep-alive",
        };
        parts.headers.insert(header::CONNECTION, HeaderValue::from_static(word));
    }
    request_headers::set(filled, &mut parts.headers, &mut host);
    let target: PathAndQuery = match &plan.target {
        Some(target) => target.parse().ok()?,
        None => parts.uri.path_and_query().cloned().unwrap_or_else(|| PathAndQuery::from_static("/")),
    };
    set_target(parts, policy, host, target)?;
    if !is_page {
        snippets::upstream(exchange, &mut parts.headers);
    }
    Some(())
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

/// The answer when no endpoint is left to ask. While the client's own body was awaited, the client is at fault.
fn gave_up(failure: Failure, progress: &Progress) -> Stopped {
    if failure == Failure::Timeout && progress.waiting() == Waiting::Client {
        return refused(BodyFault::Timeout, progress.take_unread());
    }
    Stopped { answer: respond::page(status_of(failure)), unread: progress.take_unread() }
}

fn refused(fault: BodyFault, unread: Option<Incoming>) -> Stopped {
    let status = match fault {
        BodyFault::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        BodyFault::Timeout => StatusCode::REQUEST_TIMEOUT,
        BodyFault::Client | BodyFault::Upstream => StatusCode::BAD_REQUEST,
    };
    Stopped { answer: respond::page(status), unread }
}
