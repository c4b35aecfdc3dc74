//! Requests of the proxy's own, to hosts that annotations name: over the pools and endpoints of all upstreams.
//!
//! A question never holds a worker up: a host is asked a bounded number of things at once, each within its time.

pub mod answers;

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use http::header::{self, HeaderValue};
use http::response::Parts;
use http::uri::PathAndQuery;
use http::{Response, Version};
use http_body::Body as _;
use http_body_util::BodyExt as _;
use tokio::task::spawn_local;
use tokio::time::Instant;

use self::answers::Answers;
use super::attempt::{Wait, send, status_of, was_sent};
use super::body::RequestBody;
use super::exchange::{head_bytes, request_head_bytes};
use super::progress::{Progress, Waiting};
use super::timer::within;
use super::tried::Tried;
use super::upstream::body::ResponseBody;
use super::upstream::connect::{self, Transport};
use super::upstream::pool::{Lease, Unsent};
use super::upstream::{Failure, balance};
use super::worker::{LocalLive, Worker};
use crate::base::path::escape_path;
use crate::policy::question::Destination;
use crate::policy::upstream::Timeouts;
use crate::table::UpstreamKey;

/// Questions that one worker has open to one host; more of them fail at once.
const MAX_OPEN: usize = 4096;
/// Endpoints that are tried for one question, as long as none may have seen it.
const TRIES: usize = 3;
/// What is read of an answer's body so that its connection can be used again, and how long that may take.
const MAX_DRAINED: usize = 64 * 1024;
const DRAIN: Duration = Duration::from_secs(5);
/// Between two failures that are told.
const SILENCE: Duration = Duration::from_secs(10);

/// One worker's questions.
#[derive(Debug, Default)]
pub struct Questions {
    open: Rc<RefCell<HashMap<UpstreamKey, usize>>>,
    pub answers: RefCell<Answers>,
    pub copies: super::mirror::Copies,
    told: Cell<Option<Instant>>,
}

/// One open question; it is counted until it is dropped.
#[derive(Debug)]
struct Open {
    all: Rc<RefCell<HashMap<UpstreamKey, usize>>>,
    key: UpstreamKey,
}

impl Questions {
    /// Whether a failure may be told now: a service that is down fails for every request.
    pub fn may_tell(&self, now: Instant) -> bool {
        let may = self.told.get().is_none_or(|told| now.saturating_duration_since(told) >= SILENCE);
        if may {
            self.told.set(Some(now));
        }
        may
    }

    fn open(&self, key: &UpstreamKey) -> Option<Open> {
        let mut all = self.open.borrow_mut();
        let count = all.entry(key.clone()).or_default();
        if *count >= MAX_OPEN {
            return None;
        }
        *count += 1;
        Some(Open { all: Rc::clone(&self.open), key: key.clone() })
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        let mut all = self.all.borrow_mut();
        if let Some(count) = all.get_mut(&self.key) {
            *count -= 1;
            if *count == 0 {
                all.remove(&self.key);
            }
        }
    }
}

/// Whom to ask, and how long to wait.
#[derive(Debug)]
pub struct Question<'a> {
    pub worker: &'a Rc<Worker>,
    pub live: &'a Rc<LocalLive>,
    pub destination: Destination,
    pub timeouts: Timeouts,
    /// Bytes of the answer's head at most.
    pub head_limit: u32,
    /// Connections come from the pools and go back there.
    pub keep: bool,
    /// Where tries are noted, for the access log.
    pub tried: Option<&'a RefCell<Vec<Tried>>>,
}

/// The head of an answer, with its connection.
#[derive(Debug)]
pub struct Answered {
    response: Response<ResponseBody>,
    lease: Option<Lease>,
    open: Open,
}

impl Question<'_> {
    /// Asks. `build` makes the request, as often as it has to be sent; `None` says that it cannot be sent once more.
    pub async fn ask(
        &self,
        progress: &Rc<Progress>,
        mut build: impl FnMut() -> Option<http::Request<RequestBody>>,
    ) -> Result<Answered, Failure> {
        let state = self.live.live().upstreams.get(self.destination.upstream as usize).ok_or(Failure::Connect)?;
        let open = self.worker.questions.open(&state.key).ok_or(Failure::Timeout)?;
        let transport = self.transport()?;
        let endpoints = Arc::clone(&state.endpoints.load());
        let mut tried: Vec<SocketAddr> = Vec::new();
        let mut unsent = None;
        let mut failure = Failure::Connect;
        for try_number in 0..TRIES {
            let position = self.live.next(self.destination.upstream, || self.worker.random() as u32);
            let next = balance::pick(&endpoints, position, |a| tried.contains(&a));
            let Some(address) = next.filter(|a| !tried.contains(a)) else { break };
            let Some((mut parts, body)) = unsent.take().or_else(|| build().map(http::Request::into_parts)) else {
                break;
            };
            if !self.keep {
                parts.headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
            }
            // A connection from the pool may have ended unnoticed; no second one is believed.
            let pooled = self.keep && try_number == 0;
            self.begin(address, &parts);
            match self.once(address, &transport, pooled, (&parts, body), progress).await {
                Ok((response, lease)) => {
                    self.note(|tried| tried.answered(response.status(), 17 + head_bytes(response.headers())));
                    self.check(&response)
                        .inspect_err(|failure| self.note(|tried| tried.failed(status_of(*failure))))?;
                    return Ok(Answered { response, lease: self.keep.then_some(lease), open });
                }
                Err(missed) => {
                    self.note(|tried| tried.failed(status_of(missed.failure)));
                    failure = missed.failure;
                    unsent = missed.unsent.map(|body| (parts, body));
                }
            }
            match failure {
                // The pool was out of date; this says nothing of the endpoint.
                Failure::Stale | Failure::Broken if pooled => {}
                _ if was_sent(failure) => break,
                _ => tried.push(address),
            }
        }
        Err(failure)
    }

    fn transport(&self) -> Result<Transport, Failure> {
        let tls = match self.destination.tls {
            None => None,
            Some(index) => Some(Arc::clone(self.live.live().client_tls.get(index as usize).ok_or(Failure::Tls)?)),
        };
        Ok(Transport { http2: false, fastcgi: None, tls })
    }

    async fn once(
        &self,
        address: SocketAddr,
        transport: &Transport,
        pooled: bool,
        (parts, body): (&http::request::Parts, RequestBody),
        progress: &Rc<Progress>,
    ) -> Result<(Response<ResponseBody>, Lease), Missed> {
        let worker = self.worker;
        let global = &self.live.table().global;
        let idle = pooled.then(|| worker.pools.take(address, transport, &global.upstream_keep_alive)).flatten();
        let mut lease = match idle {
            Some(lease) => lease,
            None => match connect::connect(worker, address, transport, self.timeouts.connect).await {
                Ok(sender) => worker.pools.add(address, transport, sender),
                Err(failure) => return Err(Missed { failure, unsent: Some(body) }),
            },
        };
        self.note(|tried| tried.connect = Some(tried.began.elapsed()));
        let waiting = Wait { worker, progress, timeouts: self.timeouts, client: global.body_timeout };
        match send(&mut lease, (parts, body), &waiting).await {
            Ok(response) => Ok((response, lease)),
            Err((failure, unsent)) => Err(Missed { failure, unsent }),
        }
    }

    fn begin(&self, address: SocketAddr, parts: &http::request::Parts) {
        if let Some(all) = self.tried {
            let sent = request_head_bytes(&parts.method, &parts.uri, &parts.headers);
            all.borrow_mut().push(Tried::begin(address, sent));
        }
    }

    /// Notes something of the try that is being made.
    fn note(&self, set: impl FnOnce(&mut Tried)) {
        if let Some(all) = self.tried {
            all.borrow_mut().last_mut().map(set);
        }
    }

    fn check(&self, response: &Response<ResponseBody>) -> Result<(), Failure> {
        let size: usize = response.headers().iter().map(|(name, value)| name.as_str().len() + value.len() + 4).sum();
        if size + 32 > self.head_limit as usize { Err(Failure::HeadTooLarge) } else { Ok(()) }
    }
}

struct Missed {
    failure: Failure,
    unsent: Unsent,
}

impl Answered {
    /// The head. The body is nobody's: it is read on, for a while, so that the connection can be used again.
    pub fn into_head(self, worker: &Rc<Worker>, progress: &Rc<Progress>) -> Parts {
        let Self { response, lease, open } = self;
        let (head, mut body) = response.into_parts();
        let sent = progress.waiting() == Waiting::Done && progress.fault().is_none();
        if let Some(lease) = lease.filter(|_| sent) {
            if body.is_end_stream() {
                lease.give_back();
                return head;
            }
            let worker = Rc::clone(worker);
            spawn_local(async move {
                let _counted = open;
                let whole = async {
                    let mut left = MAX_DRAINED;
                    while let Some(Ok(frame)) = body.frame().await {
                        left = left.checked_sub(frame.data_ref().map_or(0, bytes::Bytes::len))?;
                    }
                    body.is_end_stream().then_some(())
                };
                if within(&worker.timers, DRAIN, whole).await.flatten().is_some() {
                    lease.give_back();
                }
            });
        }
        head
    }
}

/// The target of a question. Bytes that no target has are escaped: variables may have brought them.
pub fn target(filled: &[u8]) -> Option<PathAndQuery> {
    let slash: &[u8] = if filled.first() == Some(&b'/') { b"" } else { b"/" };
    let is_sound = filled.iter().all(|b| b.is_ascii_graphic());
    if is_sound && slash.is_empty() {
        return PathAndQuery::try_from(filled).ok();
    }
    let mut text = String::new();
    for &byte in slash.iter().chain(filled) {
        match byte {
            byte if byte.is_ascii_graphic() => text.push(char::from(byte)),
            byte => escape_path(&[byte], &mut text),
        }
    }
    text.parse().ok()
}

/// A request for a host of HTTP/1.1, still without headers.
pub fn request<B>(method: &http::Method, target: PathAndQuery, body: B) -> http::Request<B> {
    let mut request = http::Request::new(body);
    *request.method_mut() = method.clone();
    *request.uri_mut() = target.into();
    *request.version_mut() = Version::HTTP_11;
    request
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets() {
        let rows: [(&[u8], &str); 5] =
            [(b"/a?b=c", "/a?b=c"), (b"//a", "//a"), (b"a", "/a"), (b"/a b\n", "/a%20b%0A"), (b"", "/")];
        for (filled, expected) in rows {
            assert_eq!(target(filled).unwrap().as_str(), expected);
        }
    }

    #[test]
    fn a_host_is_asked_so_much_at_once() {
        let questions = Questions::default();
        let key = |service: &str| UpstreamKey { namespace: "_".into(), service: service.into(), port: "80".into() };
        let open: Vec<_> = (0..MAX_OPEN).map(|_| questions.open(&key("a")).unwrap()).collect();
        assert!(questions.open(&key("a")).is_none());
        assert!(questions.open(&key("b")).is_some(), "others are not concerned");
        drop(open);
        assert!(questions.open.borrow().is_empty());
        assert!(questions.open(&key("a")).is_some());
    }
}
