//! Error pages of another Service: `custom-http-errors`, and `default-backend` for a Service without endpoints
//! (contract §8.1, §8.2).

use std::cell::LazyCell;
use std::rc::Rc;
use std::sync::Arc;

use http::header::{self, HeaderMap, HeaderName};
use http::{Request, Response, StatusCode};
use http_body_util::BodyExt as _;
use tokio::task::spawn_local;

use super::body::ProxyBody;
use super::choose;
use super::exchange::Exchange;
use super::forward::{self, Plan};
use super::phases::Stopped;
use super::progress::Progress;
use super::respond::{self, Answer};
use super::snippets;
use super::upstream::body::ResponseBody;
use super::upstream::pool::Lease;
use super::worker::LocalLive;
use crate::policy::RoutePolicy;
use crate::policy::error_pages::{self, ErrorPages, Told};
use crate::policy::headers::{
    X_FORWARDED_HOST, X_FORWARDED_PORT, X_FORWARDED_PROTO, X_FORWARDED_SCHEME, X_ORIGINAL_FORWARDED_FOR,
    X_ORIGINAL_FORWARDED_HOST, X_REAL_IP, X_SCHEME,
};
use crate::table::{Index, Route, RouteLabels, RoutingTable, Target};

/// Why a Service is asked that the location does not name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StandIn {
    /// The location's own Service has no endpoints.
    Unavailable,
    /// It writes the page of this error.
    ErrorPage(StatusCode),
}

/// Most of an answer that is read on so that its connection can be used again; beyond it the connection ends.
const MAX_DRAINED: usize = 64 * 1024;

/// What an error backend is not told: nginx sets these at locations, and an error page has none.
const UNTOLD: [HeaderName; 8] = [
    X_REAL_IP,
    X_FORWARDED_HOST,
    X_FORWARDED_PORT,
    X_FORWARDED_PROTO,
    X_FORWARDED_SCHEME,
    X_SCHEME,
    X_ORIGINAL_FORWARDED_FOR,
    X_ORIGINAL_FORWARDED_HOST,
];

impl StandIn {
    /// Puts into the headers for the upstream what there is to say of the request.
    pub fn tell(self, exchange: &Exchange, route: &Route, headers: &mut HeaderMap) {
        let (code, original_uri) = match self {
            Self::Unavailable => (StatusCode::SERVICE_UNAVAILABLE, None),
            Self::ErrorPage(code) => (code, Some(exchange.target())),
        };
        let accept = headers.get(header::ACCEPT).cloned();
        let labels = &route.labels;
        let told = Told {
            code,
            accept: accept.as_ref(),
            original_uri,
            namespace: &labels.namespace,
            ingress: &labels.ingress,
            service: &labels.service,
            port: &labels.service_port,
        };
        told.write(headers);
        if let Self::ErrorPage(_) = self {
            for name in &UNTOLD {
                headers.remove(name);
            }
        }
    }
}

/// Whether an error backend is to answer in place of the upstream.
pub fn intercepts(route: &Route, response: &Response<ResponseBody>) -> bool {
    let pages = route.policy.error_pages.as_deref();
    pages.is_some_and(|pages| pages.intercept && pages.has(response.status()))
}

/// Gives an upstream's answer up for its status; its connection goes on if what is left of it is little.
pub fn give_up(exchange: &Exchange, plan: &Plan<'_>, response: Response<ResponseBody>, lease: Lease) -> Stopped {
    let (head, incoming) = response.into_parts();
    let mut answer = respond::page(head.status);
    answer
        .headers_mut()
        .extend(head.headers.get(header::WWW_AUTHENTICATE).map(|c| (header::WWW_AUTHENTICATE, c.clone())));
    let timers = &exchange.worker.timers;
    let progress = exchange.progress.clone().unwrap_or_else(|| Progress::new(timers));
    let mut body = ProxyBody::upstream(incoming, lease, progress, plan.route.policy.upstream.timeouts.read, timers);
    spawn_local(async move {
        let mut drained = 0;
        while let Some(Ok(frame)) = body.frame().await {
            drained += frame.data_ref().map_or(0, bytes::Bytes::len);
            if drained > MAX_DRAINED {
                break;
            }
        }
    });
    Stopped { answer, unread: None }
}

/// The upstream that stands in for a route's own one, if it has endpoints.
pub fn stand_in(live: &LocalLive, route: &Route) -> Option<Index> {
    route.default_backend.filter(|index| has_endpoints(live, *index))
}

fn has_endpoints(live: &LocalLive, upstream: Index) -> bool {
    live.live().upstreams.get(upstream as usize).is_some_and(|state| !state.endpoints.load().is_empty())
}

/// The error backend's answer in place of `answer`, where the location asks for it. What goes wrong with the error
/// backend itself is answered as it is.
pub async fn replace(exchange: &mut Exchange, live: &Rc<LocalLive>, answer: Answer) -> Answer {
    let Some(headers) = exchange.error_request.take() else { return answer };
    let (code, nobodys) = (answer.status(), LazyCell::new(nobodys));
    let (route, pages) = match exchange.route.and_then(|index| live.table().route(index)) {
        Some(route) => (route, route.policy.error_pages.as_deref()),
        None => (&*nobodys, of_server(exchange, live.table())),
    };
    let Some(pages) = pages.filter(|pages| pages.has(code) && respond::is_replaceable(&answer)) else { return answer };
    // ingress-nginx writes no codes into a location that it denies.
    if pages.own && route.policy.denied.is_some() {
        return answer;
    }
    let own = if pages.own { stand_in(live, route) } else { None };
    // nginx goes to a location of the server's own for it: what the first one does to answers is over.
    exchange.is_by_server = true;
    snippets::leave_location(exchange, live.table().virtual_host(&exchange.host));
    let global = || live.table().default_backend.filter(|index| has_endpoints(live, *index));
    let mut page = match own.or_else(global) {
        Some(upstream) => ask(exchange, live, (route, upstream), code, *headers).await,
        None => respond::page(StatusCode::NOT_FOUND),
    };
    if let Some(challenge) = answer.headers().get(header::WWW_AUTHENTICATE) {
        page.headers_mut().entry(header::WWW_AUTHENTICATE).or_insert_with(|| challenge.clone());
    }
    page
}

/// The codes that hold for what a server answers before it has a location: the ConfigMap's, unless the server has an
/// `error_page` of its own, or is no more than a redirect to another.
fn of_server<'t>(exchange: &Exchange, table: &'t RoutingTable) -> Option<&'t ErrorPages> {
    let server = table.virtual_host(&exchange.host)?;
    let has_own = server.client_auth.as_ref().is_some_and(|auth| auth.error_page.is_some());
    table.global.error_pages.as_deref().filter(|_| !has_own && server.redirect_to.is_none())
}

/// The location of a request that has none.
fn nobodys() -> Route {
    let none: Arc<str> = Arc::default();
    let labels = RouteLabels {
        namespace: Arc::clone(&none),
        ingress: Arc::clone(&none),
        service: Arc::clone(&none),
        service_port: Arc::clone(&none),
        path: Arc::clone(&none),
        host: none,
    };
    let (labels, policy) = (Arc::new(labels), Arc::default());
    Route { labels, policy, target: Target::NotFound, is_default_backend: true, tls: None, default_backend: None }
}

/// Asks an error backend at `/`, with the query that the client sent (contract §21).
async fn ask(
    exchange: &mut Exchange,
    live: &Rc<LocalLive>,
    (route, upstream): (&Route, Index),
    code: StatusCode,
    headers: HeaderMap,
) -> Answer {
    let token = choose::token(exchange, live, upstream, &headers);
    let (mut parts, ()) = Request::new(()).into_parts();
    parts.method = error_pages::method(&exchange.method);
    parts.uri = exchange.uri.clone();
    parts.version = exchange.version;
    parts.headers = headers;
    error_pages::without_body(&mut parts.headers);
    // Credentials for the location itself are nobody else's business, though nginx passes them on here. Where there is no
    // location yet, they may be for the one that was not found.
    if exchange.route.is_none() || route.policy.access.as_ref().is_some_and(|access| access.login.is_some()) {
        parts.headers.remove(header::AUTHORIZATION);
    }
    let target = exchange.uri.query().map_or_else(|| "/".to_owned(), |query| format!("/?{query}"));
    // Plain http, and no setting of the location.
    let policy = Arc::new(RoutePolicy::default());
    let route = Route { policy, target: Target::Upstream(upstream), tls: None, ..route.clone() };
    let plan = Plan {
        live,
        route: &route,
        upstream,
        target: Some(target),
        prefix: None,
        upgrade: None,
        token,
        stand_in: Some(StandIn::ErrorPage(code)),
        fastcgi: None,
    };
    match forward::bodiless(exchange, plan, parts).await {
        Ok(answer) | Err(Stopped { answer, .. }) => answer,
    }
}
