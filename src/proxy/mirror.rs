//! CONTENT: copies of requests for a listener (`mirror-target`). They never delay a request, nor make one fail: beyond
//! their bounds there are none.

use std::cell::Cell;
use std::collections::VecDeque;
use std::rc::Rc;

use bytes::Bytes;
use http::header::{self, HeaderMap, HeaderValue};
use http::request::Parts;
use http::{Method, Version};
use tokio::task::spawn_local;

use super::body::RequestBody;
use super::client_certificate;
use super::exchange::Exchange;
use super::facts::Facts;
use super::progress::Progress;
use super::question::{self, Question};
use super::tap::{Tap, Tapped, tap};
use super::worker::{LocalLive, Worker};
use crate::policy::headers::{self, NameRules};
use crate::policy::mirror::{MAX_COPIES, MAX_HELD, MAX_LAG, Mirror};
use crate::policy::question::Destination;
use crate::policy::upstream::Timeouts;

/// One worker's copies that are under way.
#[derive(Debug, Default)]
pub struct Copies {
    count: Cell<usize>,
    bytes: Cell<usize>,
}

/// A copy's place among them; it is free again when dropped.
#[derive(Debug)]
struct Place {
    worker: Rc<Worker>,
    bytes: usize,
}

impl Place {
    fn take(worker: &Rc<Worker>, bytes: usize) -> Option<Self> {
        let copies = &worker.questions.copies;
        let (count, all) = (copies.count.get() + 1, copies.bytes.get() + bytes);
        if count > MAX_COPIES || all > MAX_HELD {
            return None;
        }
        copies.count.set(count);
        copies.bytes.set(all);
        Some(Self { worker: Rc::clone(worker), bytes })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let copies = &self.worker.questions.copies;
        copies.count.set(copies.count.get().saturating_sub(1));
        copies.bytes.set(copies.bytes.get().saturating_sub(self.bytes));
    }
}

/// The body of the request that is copied.
pub struct Original<'a> {
    /// What was read ahead.
    pub ready: &'a VecDeque<Bytes>,
    /// More is to come.
    pub streams: bool,
    /// What `Content-Length` says, if it is known.
    pub length: Option<u64>,
}

/// A copy that is ready to go.
struct Sending {
    place: Place,
    live: Rc<LocalLive>,
    destination: Destination,
    head_limit: u32,
    request: http::Request<RequestBody>,
    progress: Rc<Progress>,
}

/// Sends a copy of a request on its way. What is still to come of its body is told to the copy by the tap.
pub fn begin(
    exchange: &Exchange,
    mirror: &Mirror,
    head_limit: u32,
    parts: &Parts,
    original: &Original<'_>,
) -> Option<Tap> {
    let streams = original.streams && mirror.with_body;
    let held: usize = if mirror.with_body { original.ready.iter().map(Bytes::len).sum() } else { 0 };
    let Some(place) = Place::take(&exchange.worker, held + if streams { MAX_LAG } else { 0 }) else {
        exchange.worker.handle.telemetry.controller.mirror_dropped();
        return None;
    };
    let (tap, tapped) = streams.then(tap).unzip();
    let progress = Progress::new(&exchange.worker.timers);
    let request = copy(exchange, mirror, parts, original, (tapped, Rc::clone(&progress)))?;
    let sending = Sending {
        place,
        live: Rc::clone(&exchange.live),
        destination: mirror.destination,
        head_limit,
        request,
        progress,
    };
    spawn_local(sending.send());
    tap
}

impl Sending {
    /// Nobody is interested in the answer.
    async fn send(self) {
        let Self { place, live, destination, head_limit, request, progress } = self;
        // Not the location's: an hour for its own answers is no hour for copies.
        let (worker, timeouts) = (&place.worker, Timeouts::default());
        let question = Question { worker, live: &live, destination, timeouts, head_limit, keep: false, tried: None };
        let mut once = Some(request);
        match question.ask(&progress, || once.take()).await {
            Ok(answered) => drop(answered.into_head(worker, &progress)),
            Err(failure) => tracing::debug!(%failure, "a mirrored request was not answered"),
        }
    }
}

/// The request as the client sent it, to another host.
fn copy(
    exchange: &Exchange,
    mirror: &Mirror,
    parts: &Parts,
    original: &Original<'_>,
    (tapped, progress): (Option<Tapped>, Rc<Progress>),
) -> Option<http::Request<RequestBody>> {
    let facts = Facts { exchange, headers: &parts.headers };
    let target = match &mirror.target {
        Some(template) => question::target(&template.fill(&facts))?,
        None => question::target(exchange.target().as_bytes())?,
    };
    let host = HeaderValue::from_bytes(&mirror.host.fill(&facts)).ok()?;
    let global = &exchange.live.table().global;
    let mut headers: HeaderMap = parts.headers.clone();
    if parts.version == Version::HTTP_2 {
        headers::join_cookies(&mut headers);
    }
    let rules = NameRules { drop_invalid: global.drop_invalid_headers, underscores: global.underscores_in_headers };
    headers::strip(&mut headers, rules);
    client_certificate::strip(&mut headers);
    headers.insert(header::HOST, host);
    let (ready, length) = match mirror.with_body {
        true => (original.ready.clone(), original.length),
        false => (VecDeque::new(), Some(0)),
    };
    match length {
        Some(0) => {}
        Some(length) => drop(headers.insert(header::CONTENT_LENGTH, HeaderValue::from(length))),
        None => drop(headers.insert(header::TRANSFER_ENCODING, HeaderValue::from_static("chunked"))),
    }
    let body = RequestBody::copy(ready, tapped, length, progress);
    let method: &Method = &parts.method;
    let mut request = question::request(method, target, body);
    // As nginx's subrequests; HTTP/1.0 has no chunks.
    *request.version_mut() = if length.is_some() { Version::HTTP_10 } else { Version::HTTP_11 };
    *request.headers_mut() = headers;
    Some(request)
}
