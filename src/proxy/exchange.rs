//! One request and its answer, as logs and metrics tell it. It is written when it is dropped, so none is forgotten.

use std::cell::RefCell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use http::header::{self, HeaderMap, HeaderValue};
use http::{Method, Response, Uri, Version};

use super::access_log::{Asked, Kept, LogValues};
use super::activity::Activity;
use super::client_certificate::Checked;
use super::connection::Client;
use super::progress::Progress;
use super::snippets::Run;
use super::tried::Tried;
use super::upstream::load::InFlight;
use super::worker::{LocalLive, Worker};
use super::zone::Held;
use crate::base::path;
use crate::policy::external_auth::Granted;
use crate::policy::forwarded::Forwarded;
use crate::policy::headers::X_REQUEST_ID;
use crate::policy::login::remote_user;
use crate::policy::template::Values;
use crate::table::{Index, Target};
use crate::telemetry::{Observation, UpstreamTimes};

/// Where a tunnel finds its exchange once the answer is on its way.
pub type Tunnel = Rc<RefCell<Option<Box<Exchange>>>>;

#[derive(Debug)]
pub struct Exchange {
    pub worker: Rc<Worker>,
    pub live: Rc<LocalLive>,
    pub client: Rc<Client>,
    activity: Rc<Activity>,
    started: Instant,
    pub method: Method,
    pub uri: Uri,
    pub version: Version,
    /// For the access log's line: what nearly every format has, and what else the one in force names.
    pub user_agent: Option<HeaderValue>,
    pub referer: Option<HeaderValue>,
    pub kept: Option<Box<Kept>>,
    /// As it was sent: it names the user, even where nobody asked.
    authorization: Option<HeaderValue>,
    /// A user that another way of asking than basic authentication let in.
    pub user: Option<Vec<u8>>,
    /// Counts the request among its client's, where these are limited.
    pub held: Option<Held>,
    pub request_id: HeaderValue,
    /// Lower-case, without port.
    pub host: String,
    /// As the client sent it.
    pub sent_host: Option<HeaderValue>,
    /// What a proxy in front said of the client, where it is believed.
    pub forwarded: Option<Box<Forwarded>>,
    /// Cookies of our own for the client, added to whatever is answered.
    pub set_cookies: Vec<HeaderValue>,
    /// The cookie of a session that began with the last try.
    pub session_cookie: Option<HeaderValue>,
    /// The try that is being made or answered, where endpoints are chosen by load.
    pub in_flight: Option<InFlight>,
    /// The request's head, kept where an error backend may have to be asked.
    pub error_request: Option<Box<HeaderMap>>,
    /// `Access-Control-Allow-Origin`, where the origin is let in.
    pub cors: Option<HeaderValue>,
    /// What an authentication service gave the request, once it let it pass.
    pub granted: Option<Box<Granted>>,
    head_bytes: u64,
    /// The request's body, as far as it came.
    pub progress: Option<Rc<Progress>>,
    /// Where the exchange goes when its connection becomes a tunnel: it ends with that.
    tunnel: Option<Tunnel>,
    /// The normal form of the path; where it is asked for, as rewrites have left it.
    pub path: Vec<u8>,
    /// The location, once it is found.
    pub route: Option<Index>,
    /// The upstream that serves the request in place of its location's: a canary's.
    pub alternative: Option<Index>,
    pub tried: Vec<Tried>,
    pub status: u16,
    pub response_head: u64,
    pub body_bytes: u64,
    /// The body as the upstream sent it, before it was compressed.
    pub upstream_bytes: u64,
    pub is_health: bool,
    /// What its host makes of the client's certificate, where it asks for one.
    pub certificate: Option<Checked>,
    /// A server has it: nginx knows more of it from then on than what was sent.
    pub has_server: bool,
    /// Answered by the server before any location, or by an error backend after one: nginx sends no HSTS then (contract
    /// §6 steps 1 to 3), and nothing that the location would have put into its answers.
    pub is_by_server: bool,
    /// Where there are snippets.
    pub snippet: Option<Box<Run>>,
    /// Requests of this connection so far, this one included.
    pub served: u32,
}

impl Exchange {
    pub fn new<B>(
        worker: &Rc<Worker>,
        client: &Rc<Client>,
        activity: &Rc<Activity>,
        live: &Rc<LocalLive>,
        request: &http::Request<B>,
    ) -> Box<Self> {
        let headers = request.headers();
        let keep = &live.table().global.access_log.format.keep;
        let sent_id = headers.get(X_REQUEST_ID).filter(|id| !id.is_empty()).cloned();
        Box::new(Self {
            request_id: sent_id.unwrap_or_else(|| match live.table().global.headers.request_id {
                true => request_id(worker),
                false => HeaderValue::from_static(""),
            }),
            worker: Rc::clone(worker),
            live: Rc::clone(live),
            client: Rc::clone(client),
            activity: Rc::clone(activity),
            started: Instant::now(),
            method: request.method().clone(),
            uri: request.uri().clone(),
            version: request.version(),
            user_agent: keep.user_agent.then(|| headers.get(header::USER_AGENT).cloned()).flatten(),
            referer: keep.referer.then(|| headers.get(header::REFERER).cloned()).flatten(),
            kept: Kept::of_request(keep, headers),
            authorization: headers.get(header::AUTHORIZATION).cloned(),
            user: None,
            held: None,
            host: String::new(),
            sent_host: None,
            forwarded: None,
            set_cookies: Vec::new(),
            session_cookie: None,
            in_flight: None,
            error_request: None,
            cors: None,
            granted: None,
            head_bytes: request_head_bytes(request.method(), request.uri(), headers),
            progress: None,
            tunnel: None,
            path: Vec::new(),
            route: None,
            alternative: None,
            tried: Vec::new(),
            status: 0,
            response_head: 0,
            body_bytes: 0,
            upstream_bytes: 0,
            is_health: false,
            certificate: None,
            has_server: false,
            is_by_server: false,
            snippet: None,
            served: 0,
        })
    }

    /// Notes the answer that is about to be sent.
    pub fn answered<B>(&mut self, response: &Response<B>) {
        self.status = response.status().as_u16();
        self.response_head = 17 + head_bytes(response.headers());
        if let Some(kept) = &mut self.kept {
            kept.sent(&self.live.table().global.access_log.format.keep, response.headers());
        }
    }

    /// Path and query as the client sent them.
    pub fn target(&self) -> &str {
        self.uri.path_and_query().map_or("/", |target| target.as_str())
    }

    /// The host as the client sent it.
    pub fn sent_host(&self) -> &str {
        self.sent_host.as_ref().and_then(|host| host.to_str().ok()).unwrap_or_default()
    }

    /// The query, as directives have left it.
    pub fn query(&self) -> Option<&str> {
        self.snippet.as_ref().map_or_else(|| self.uri.query(), |run| run.query())
    }

    /// Notes the path that a rewrite made, for nginx's `$uri`. One that has no normal form is the client's.
    pub fn rewritten(&mut self, uri: &str) {
        let path = uri.split_once('?').map_or(uri, |(path, _)| path);
        if let Ok(path) = path::normalise(path) {
            self.path = path.into_owned();
            if let Some(run) = &mut self.snippet {
                run.set_path(&self.path);
            }
        }
    }

    /// The client, as far as a proxy in front is believed.
    pub fn remote(&self) -> SocketAddr {
        self.forwarded.as_ref().map_or(self.client.address, |forwarded| forwarded.address)
    }

    /// Its address without port.
    pub fn remote_value(&self) -> &HeaderValue {
        self.forwarded.as_ref().map_or(&self.client.address_value, |forwarded| &forwarded.address_value)
    }

    /// The scheme that the client used (contract §7.4); the connection's own is the client's.
    pub fn scheme(&self) -> &str {
        self.forwarded.as_ref().map_or(self.client.scheme(), |forwarded| &forwarded.scheme)
    }

    /// The port that upstreams are told.
    pub fn forwarded_port(&self) -> &HeaderValue {
        self.forwarded.as_ref().map_or(&self.client.port_value, |forwarded| &forwarded.port)
    }

    /// The host that upstreams are told the client asked for.
    pub fn forwarded_host(&self) -> Option<&HeaderValue> {
        self.forwarded.as_ref().and_then(|forwarded| forwarded.host.as_ref()).or(self.sent_host.as_ref())
    }

    /// `X-Forwarded-For` for upstreams.
    pub fn forwarded_for(&self) -> &HeaderValue {
        self.forwarded.as_ref().and_then(|forwarded| forwarded.chain.as_ref()).unwrap_or(self.remote_value())
    }

    /// Bytes of the request's head.
    pub fn head_bytes(&self) -> u64 {
        self.head_bytes
    }

    /// nginx's `$remote_user`.
    pub fn remote_user(&self) -> Option<Vec<u8>> {
        self.user.clone().or_else(|| remote_user(self.authorization.as_ref()?))
    }

    /// Bytes of the request's body, as far as it came.
    pub fn received(&self) -> u64 {
        self.progress.as_ref().map_or(0, |progress| progress.received.get())
    }

    /// Request line, headers and body, in bytes.
    pub fn request_length(&self) -> u64 {
        self.head_bytes + self.received()
    }

    /// The slot from which a tunnel takes over.
    pub fn tunnel(&mut self) -> Tunnel {
        Rc::clone(self.tunnel.get_or_insert_default())
    }

    /// Notes what went through the tunnel: `received` from the client, `sent` to it.
    pub fn tunnelled(&mut self, received: u64, sent: u64) {
        self.head_bytes += received;
        (self.body_bytes, self.upstream_bytes) = (sent, sent);
    }

    /// Hands the exchange to its tunnel, if it has one.
    pub fn hand_over(mut self: Box<Self>) -> Option<Box<Self>> {
        match self.tunnel.take() {
            Some(slot) if self.status == 101 => {
                slot.replace(Some(self));
                None
            }
            _ => Some(self),
        }
    }

    pub fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }

    /// The upstream of the location: `<namespace>-<service>-<port>`.
    pub fn upstream_name(&self) -> Option<&str> {
        let table = self.live.table();
        match table.route(self.route?)?.target {
            Target::Upstream(index) => table.upstream(index).map(|upstream| &*upstream.name),
            Target::NotFound => Some("upstream-default-backend"),
        }
    }

    /// The canary's upstream, where it serves the request.
    pub fn alternative_name(&self) -> Option<&Arc<str>> {
        self.live.table().upstream(self.alternative?).map(|upstream| &upstream.name)
    }

    fn observe(&self, route: Index) {
        let Some(id) = self.live.live().metrics_of(route, &self.host) else { return };
        let undefined = self.live.table().route(route).is_none_or(|r| r.is_default_backend);
        if undefined && !self.worker.handle.options.metrics_per_undefined_host {
            return;
        }
        let upstream = match self.tried.as_slice() {
            [one] => Some(UpstreamTimes {
                connect: one.connect.map(|d| d.as_secs_f64()),
                header: one.header.map(|d| d.as_secs_f64()),
                response: one.began.elapsed().as_secs_f64(),
            }),
            _ => None,
        };
        let observation = Observation {
            method: &self.method,
            status: self.status,
            canary: self.alternative_name(),
            request_seconds: self.elapsed().as_secs_f64(),
            upstream,
            request_bytes: self.request_length(),
            response_bytes: self.response_head + self.body_bytes,
        };
        self.worker.metrics.record(id, &observation);
    }

    fn log(&self) {
        let table = self.live.table();
        let route = self.route.and_then(|index| table.route(index));
        if route.is_none_or(|r| r.policy.access_log) && !self.is_health {
            self.write_line(&LogValues(self));
        }
    }

    /// Writes the line of a question about the request, where questions have one. As in nginx, the location's
    /// `enable-access-log` says nothing about them.
    pub fn asked(&self, asked: &Asked<'_>) {
        if self.live.table().global.access_log.questions {
            self.write_line(asked);
        }
    }

    fn write_line(&self, values: &impl Values) {
        let policy = &self.live.table().global.access_log;
        let target = self.target();
        if policy.off || policy.skip_urls.iter().any(|url| url.matches(target)) {
            return;
        }
        self.worker.log.line(&policy.target, |out| policy.format.write(values, out));
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        self.activity.request_ended();
        if self.status == 0 {
            // The client went away before there was an answer.
            self.status = 499;
        }
        if let Some(route) = self.route {
            self.observe(route);
        }
        self.log();
    }
}

/// 32 hex digits, as nginx's `$request_id`.
fn request_id(worker: &Worker) -> HeaderValue {
    let bits = u128::from(worker.random()) << 64 | u128::from(worker.random());
    let mut text = [0; 32];
    for (i, digit) in text.iter_mut().enumerate() {
        let nibble = (bits >> (4 * i)) as u32 & 15;
        *digit = char::from_digit(nibble, 16).map_or(b'0', |digit| digit as u8);
    }
    HeaderValue::from_bytes(&text).unwrap_or(HeaderValue::from_static("-"))
}

/// Bytes of header lines as HTTP/1.1 has them, with the empty line.
pub fn head_bytes(headers: &HeaderMap) -> u64 {
    headers.iter().map(|(name, value)| (name.as_str().len() + value.len() + 4) as u64).sum::<u64>() + 2
}

pub fn request_head_bytes(method: &Method, uri: &Uri, headers: &HeaderMap) -> u64 {
    let target = uri.path_and_query().map_or(1, |t| t.as_str().len());
    (method.as_str().len() + target + 12) as u64 + head_bytes(headers)
}
