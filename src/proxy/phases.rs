//! The order in which everything happens to a request (contract §6), to be read from top to bottom.

use std::rc::Rc;
use std::time::Duration;

use http::header::{self, HeaderMap, HeaderValue};
use http::{Method, StatusCode, Uri, Version};
use http_body::Body as _;
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use tokio::task::spawn_local;

use super::activity::Activity;
use super::connection::Client;
use super::error_pages::{self, StandIn};
use super::exchange::Exchange;
use super::facts::{Captured, Facts};
use super::fastcgi::Params;
use super::head::{check_framing, check_method, requested_host, sent_target};
use super::respond::{self, Answer};
use super::snippets::After;
use super::timer::within;
use super::worker::{LocalLive, Worker};
use super::{access, choose, client_certificate, forward, identity, outgoing, redirects, snippets, upgrade};
use crate::base::path;
use crate::policy::body::too_large;
use crate::policy::canary::Side;
use crate::policy::https_redirect::Asked;
use crate::policy::rewrite::Rewritten;
use crate::table::{Found, Index, Route, Target, VirtualHost};

pub type Request = http::Request<Incoming>;

/// What a request that nobody forwarded leaves behind: the answer, and its body, unread.
pub struct Stopped {
    pub answer: Answer,
    pub unread: Option<Incoming>,
}

impl Stopped {
    fn with(answer: Answer, request: Request) -> Self {
        Self { answer, unread: Some(request.into_body()) }
    }

    fn page(status: StatusCode, request: Request) -> Self {
        Self::with(respond::page(status), request)
    }

    /// nginx has no URI of it that it could take to an error page.
    fn unread(status: StatusCode, request: Request) -> Self {
        Self::with(respond::as_it_is(respond::page(status)), request)
    }
}

/// Refusals after which a connection's framing is not trusted, or its body not worth reading.
const CLOSING: [StatusCode; 5] = [
    StatusCode::BAD_REQUEST,
    StatusCode::REQUEST_TIMEOUT,
    StatusCode::PAYLOAD_TOO_LARGE,
    StatusCode::URI_TOO_LONG,
    StatusCode::NOT_IMPLEMENTED,
];

/// Answers one request.
pub async fn respond(worker: Rc<Worker>, client: Rc<Client>, activity: Rc<Activity>, request: Request) -> Answer {
    let served = activity.request_began();
    let live = worker.live();
    let mut exchange = Exchange::new(&worker, &client, &activity, &live, &request);
    exchange.served = served + 1;
    let (method, version) = (request.method().clone(), request.version());
    let expects = request.headers().contains_key(header::EXPECT);
    let asked = outgoing::Asked::of(&request, &live.table().global);
    let mut answer = match run(&mut exchange, &live, request).await {
        Ok(answer) => answer,
        Err(Stopped { answer, unread }) => {
            let closes = CLOSING.contains(&answer.status()) && version < Version::HTTP_2;
            let mut answer = match exchange.error_request {
                Some(_) => Box::pin(error_pages::replace(&mut exchange, &live, answer)).await,
                None => answer,
            };
            if closes {
                answer.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
            }
            // A client that was not asked to continue sends nothing that must be read.
            if let Some(body) = unread.filter(|body| !body.is_end_stream() && !expects && version < Version::HTTP_2) {
                spawn_local(discard(Rc::clone(&worker), body));
            }
            answer
        }
    };
    let global = &live.table().global;
    if let (true, false, Some(hsts)) = (client.tls, exchange.is_by_server, &global.hsts) {
        answer.headers_mut().insert(header::STRICT_TRANSPORT_SECURITY, hsts.clone());
    }
    exchange.set_cookies.extend(exchange.session_cookie.take());
    outgoing::finish(&exchange, live.table(), &asked, &mut answer);
    for cookie in exchange.set_cookies.drain(..) {
        answer.headers_mut().append(header::SET_COOKIE, cookie);
    }
    let status = answer.status();
    for cookie in exchange.granted.iter().flat_map(|granted| granted.cookies_for(status)) {
        answer.headers_mut().append(header::SET_COOKIE, cookie.clone());
    }
    snippets::answer(&mut exchange, &mut answer);
    let spent = served + 1 >= global.keep_alive_requests;
    if spent && version == Version::HTTP_2 {
        activity.spend();
    }
    let last = spent || worker.handle.is_stopping();
    if last && version < Version::HTTP_2 && answer.status() != StatusCode::SWITCHING_PROTOCOLS {
        answer.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    if method == Method::HEAD {
        respond::strip_body(&mut answer);
    }
    exchange.answered(&answer);
    match exchange.hand_over() {
        Some(exchange) => answer.map(|body| body.with_exchange(exchange)),
        None => answer,
    }
}

/// Reads on for a while, so that a client that is still sending gets to read its answer (nginx's lingering close).
async fn discard(worker: Rc<Worker>, mut body: Incoming) {
    let reading = async { while let Some(Ok(_)) = body.frame().await {} };
    let _ = within(&worker.timers, Duration::from_secs(30), reading).await;
}

async fn run(exchange: &mut Exchange, live: &Rc<LocalLive>, mut request: Request) -> Result<Answer, Stopped> {
    // POST_READ
    exchange.forwarded = identity::believed(exchange, request.headers());
    let global = &live.table().global;
    if let Err(status) =
        global.head.check(request.method(), sent_target(&request), request.headers(), exchange.head_bytes())
    {
        return Err(Stopped::unread(status, request));
    }
    if global.error_pages.is_some() {
        exchange.error_request = Some(Box::new(request.headers().clone()));
    }
    if let Err(status) = check_method(request.method()).and_then(|()| check_framing(&request)) {
        return Err(Stopped::page(status, request));
    }
    let host = match requested_host(&request) {
        Ok(host) => host,
        Err(status) => return Err(Stopped::page(status, request)),
    };
    let Ok(normal) = path::normalise(request.uri().path()).map(std::borrow::Cow::into_owned) else {
        return Err(Stopped::unread(StatusCode::BAD_REQUEST, request));
    };
    exchange.path = normal;
    exchange.host = host.name;
    exchange.sent_host = host.value;

    // SERVER_REWRITE: the client's certificate, whom the server blocks, its redirect to another name, its snippet
    let Some(server) = live.table().virtual_host(&exchange.host) else {
        return Err(Stopped::page(StatusCode::NOT_FOUND, request));
    };
    match client_certificate::check(exchange, live, server) {
        Ok(None) => {}
        Ok(Some(page)) => {
            exchange.path = page.as_bytes().to_vec();
            serve_instead(&mut request, &page);
        }
        Err(answer) => {
            exchange.is_by_server = true;
            return Err(Stopped::with(*answer, request));
        }
    }
    if access::is_blocked(live, request.headers()) {
        exchange.is_by_server = true;
        return Err(Stopped::page(StatusCode::FORBIDDEN, request));
    }
    if let Some(target) = &server.redirect_to {
        exchange.is_by_server = true;
        return Err(Stopped::with(redirects::to_counterpart(exchange, target), request));
    }
    if let Err(answer) = snippets::server(exchange, server, &request) {
        return Err(Stopped::with(*answer, request));
    }
    located(exchange, live, Asks { server, round: 1 }, request).await
}

/// What stays the same while snippets send a request from location to location.
struct Asks<'a> {
    server: &'a VirtualHost,
    round: u32,
}

/// Another location for the URI that a snippet made; too many of them end the request.
async fn again(
    exchange: &mut Exchange,
    live: &Rc<LocalLive>,
    mut asks: Asks<'_>,
    request: Request,
) -> Result<Answer, Stopped> {
    asks.round += 1;
    if asks.round > snippets::MAX_ROUNDS {
        return Err(Stopped::page(StatusCode::INTERNAL_SERVER_ERROR, request));
    }
    Box::pin(located(exchange, live, asks, request)).await
}

async fn located(
    exchange: &mut Exchange,
    live: &Rc<LocalLive>,
    asks: Asks<'_>,
    mut request: Request,
) -> Result<Answer, Stopped> {
    // FIND_CONFIG: the server's redirect of the root, location, body size, the slash of a directory
    let (table, server) = (live.table(), asks.server);
    let normal = exchange.path.clone();
    if let (Some(root), b"/") = (&server.app_root, normal.as_slice()) {
        let root = redirects::target(&Facts { exchange, headers: request.headers() }, root);
        let location = format!("{}://{}{root}", exchange.client.scheme(), exchange.sent_host());
        exchange.is_by_server = true;
        return Err(Stopped::with(respond::redirect(StatusCode::FOUND, &location), request));
    }
    let found = server.paths.find(&normal);
    if is_health(server, found, &normal, live) {
        exchange.is_health = true;
        return Err(Stopped::with(respond::healthy(), request));
    }
    match snippets::location(exchange, server, found, &request) {
        Ok(false) => {}
        Ok(true) => return again(exchange, live, asks, request).await,
        Err(answer) => return Err(Stopped::with(*answer, request)),
    }
    let (Found::Route(index) | Found::AddSlash(index)) = found else {
        return Err(Stopped::page(StatusCode::NOT_FOUND, request));
    };
    exchange.route = Some(index);
    let Some(route) = table.route(index) else { return Err(Stopped::page(StatusCode::NOT_FOUND, request)) };
    let policy = &*route.policy;
    if policy.error_pages.is_some() && exchange.error_request.is_none() {
        exchange.error_request = Some(Box::new(request.headers().clone()));
    }
    snippets::found(exchange, policy, &request);
    if too_large(policy.body_limit, request.body().size_hint().exact()) {
        return Err(Stopped::page(StatusCode::PAYLOAD_TOO_LARGE, request));
    }
    if let Found::AddSlash(_) = found {
        let answer = redirects::to_directory(exchange, policy, &normal, exchange.query());
        return Err(Stopped::with(answer, request));
    }

    // REWRITE: denied locations, CORS, snippets, redirects, rewrites to elsewhere, https, nobody there
    if policy.denied.is_some() {
        return Err(Stopped::page(StatusCode::SERVICE_UNAVAILABLE, request));
    }
    if let Some(cors) = &policy.cors {
        exchange.cors = cors.allow(request.headers().get(header::ORIGIN));
        if exchange.cors.is_some() && *request.method() == Method::OPTIONS {
            return Err(Stopped::with(redirects::preflight(), request));
        }
    }
    let has_rest = match snippets::rewrite(exchange, policy, &mut request) {
        Ok(After::Again) => return again(exchange, live, asks, request).await,
        Ok(after) => after == After::Rest,
        Err(answer) => return Err(Stopped::with(*answer, request)),
    };
    if let Some(redirect) = policy.redirect.as_ref().filter(|_| has_rest) {
        let facts = Facts { exchange, headers: request.headers() };
        return Err(Stopped::with(redirects::of_location(&facts, policy, redirect), request));
    }
    let normal = if policy.snippet.is_some() { exchange.path.clone() } else { normal };
    let mut target = snippets::target(exchange);
    let mut prefix = None;
    if let Some(rewrite) = policy.rewrite.as_ref().filter(|_| has_rest) {
        let facts = Facts { exchange, headers: request.headers() };
        let (rewritten, groups) = rewrite.apply(&normal, facts.exchange.query(), &facts);
        prefix = policy.forwarded_prefix.as_ref().map(|template| template.fill(&Captured { groups, facts }));
        match rewritten {
            Rewritten::Uri(uri) => {
                if table.global.access_log.format.keep.path || policy.snippet.is_some() {
                    exchange.rewritten(&uri);
                }
                target = Some(uri);
            }
            Rewritten::Redirect(location) => {
                return Err(Stopped::with(respond::redirect(StatusCode::FOUND, &location), request));
            }
            Rewritten::Unchanged => {}
        }
    }
    if let Some(location) = policy.https_redirect.location(Asked {
        scheme: exchange.scheme(),
        host: exchange.forwarded_host().and_then(|host| host.to_str().ok()).unwrap_or_default(),
        uri: sent_target(&request),
        host_has_certificate: server.has_certificate_for(&exchange.host),
        https_port: exchange.worker.handle.https_port(),
    }) {
        return Err(Stopped::with(respond::redirect(table.global.https_redirect_code, &location), request));
    }
    let Ok(serving) = serving(live, route) else {
        return Err(Stopped::page(StatusCode::SERVICE_UNAVAILABLE, request));
    };

    // PREACCESS and ACCESS; a page that is not there is kept from strangers, too
    if policy.access.is_some() || policy.external_auth.is_some() || exchange.snippet.is_some() {
        request = Box::pin(access::admit(exchange, policy, request)).await?;
    }
    let Some(Serving { upstream, stand_in }) = serving else {
        return Err(Stopped::page(StatusCode::NOT_FOUND, request));
    };

    // CONTENT: a canary in place of the location's upstream, then an endpoint of it
    if stand_in.is_none() {
        exchange.alternative = alternative(&exchange.worker, live, upstream, request.headers());
    }
    let upstream = stand_in.or(exchange.alternative).unwrap_or(upstream);
    let stand_in = stand_in.map(|_| StandIn::Unavailable);
    let upgrade = upgrade::asked(&mut request);
    let token = choose::token(exchange, live, upstream, request.headers());
    let fastcgi = policy.upstream.fastcgi.as_deref();
    let fastcgi = fastcgi.map(|settings| Params::new(exchange, settings, target.as_deref(), request.headers()).into());
    let plan = forward::Plan { live, route, upstream, target, prefix, upgrade, token, stand_in, fastcgi };
    forward::forward(exchange, plan, request).await
}

/// Nobody serves the location: its upstream has no endpoints.
struct Nobody;

/// A location's upstream, and what stands in for it while it has no endpoints (contract §8.2).
struct Serving {
    upstream: Index,
    stand_in: Option<Index>,
}

/// Who serves a location; `None` is the built-in 404, also where the default backend has no endpoints (contract §8.4). An
/// external name is there even while it cannot be resolved: it is asked, in vain.
fn serving(live: &LocalLive, route: &Route) -> Result<Option<Serving>, Nobody> {
    let Target::Upstream(upstream) = route.target else { return Ok(None) };
    let state = live.live().upstreams.get(upstream as usize);
    if state.is_some_and(|state| state.name.is_some() || !state.endpoints.load().is_empty()) {
        return Ok(Some(Serving { upstream, stand_in: None }));
    }
    if let Some(stand_in) = error_pages::stand_in(live, route) {
        return Ok(Some(Serving { upstream, stand_in: Some(stand_in) }));
    }
    match live.table().upstream(upstream).is_some_and(|upstream| upstream.is_default_backend) {
        true => Ok(None),
        false => Err(Nobody),
    }
}

/// The alternative of an upstream, if its canary chooses it and it has endpoints (contract §16).
fn alternative(worker: &Worker, live: &LocalLive, main: Index, headers: &HeaderMap) -> Option<Index> {
    let alternative = live.table().upstream(main)?.alternative.as_ref()?;
    let state = live.live().upstreams.get(alternative.upstream as usize)?;
    if state.endpoints.load().is_empty() {
        return None;
    }
    // Sessions stay on their side, whatever the canary's rules say.
    if choose::has_session(live, main, headers) {
        return None;
    }
    let side = match choose::has_session(live, alternative.upstream, headers) {
        true => Side::Alternative,
        false => alternative.canary.decide(headers, worker.random()),
    };
    (side == Side::Alternative).then_some(alternative.upstream)
}

/// nginx's internal redirect to an error page of the host's own.
fn serve_instead(request: &mut Request, path: &str) {
    if let Ok(target) = path.parse() {
        let mut parts = std::mem::take(request.uri_mut()).into_parts();
        parts.path_and_query = Some(target);
        *request.uri_mut() = Uri::from_parts(parts).unwrap_or_default();
    }
    if *request.method() != Method::HEAD {
        *request.method_mut() = Method::GET;
    }
}

fn route_index(found: Found) -> Option<Index> {
    match found {
        Found::Route(index) | Found::AddSlash(index) => Some(index),
        Found::Nothing => None,
    }
}

/// The default server answers the health path unless a rule has it (contract §8.3).
fn is_health(server: &VirtualHost, found: Found, path: &[u8], live: &LocalLive) -> bool {
    let Some(health) = &server.health_path else { return false };
    let by_rule = route_index(found).and_then(|i| live.table().route(i)).is_some_and(|r| &*r.labels.path != "/");
    path == health.as_bytes() && !by_rule
}
