//! RESPONSE: what every answer gets on its way out, the proxy's own as well as an upstream's.

use http::header::{self, HeaderMap, HeaderValue};
use http::{Method, Request};
use http_body::Body as _;

use super::body::ProxyBody;
use super::exchange::Exchange;
use super::facts::Facts;
use super::filters::Filters;
use super::filters::compress::Compressor;
use super::filters::limit::Limiter;
use super::redirects;
use super::respond::Answer;
use crate::policy::RoutePolicy;
use crate::policy::answer::AnswerRewrites;
use crate::policy::compression::{Accepted, announce};
use crate::policy::global::GlobalPolicy;
use crate::policy::header_text::{HeaderText, NoValues, ServerHeader};
use crate::table::RoutingTable;

const SERVER: HeaderValue = HeaderValue::from_static(concat!("portcullis/", env!("CARGO_PKG_VERSION")));

/// What of a request must be known when its answer is finished. Nothing is kept that no setting asks for.
#[derive(Debug, Default)]
pub struct Asked {
    accepted: Accepted,
    /// For variables in `add-headers`.
    headers: Option<HeaderMap>,
}

impl Asked {
    pub fn of<B>(request: &Request<B>, global: &GlobalPolicy) -> Self {
        let compression = global.compression.as_ref();
        let variables = global.headers.add.iter().any(HeaderText::has_variables);
        Self {
            accepted: compression.map(|c| c.accepted(request.headers(), request.version())).unwrap_or_default(),
            headers: variables.then(|| request.headers().clone()),
        }
    }
}

/// Finishes an answer: headers in the order in which nginx's later ones win, then the body's coding and rate.
pub fn finish(exchange: &Exchange, table: &RoutingTable, asked: &Asked, answer: &mut Answer) {
    let global = &table.global;
    add(exchange, &global.headers.add, asked, answer.headers_mut());
    match global.headers.server {
        ServerHeader::Hidden => drop(answer.headers_mut().remove(header::SERVER)),
        // An upstream's is not here any more unless it is to be shown.
        ServerHeader::Own | ServerHeader::Upstream => {
            answer.headers_mut().entry(header::SERVER).or_insert(SERVER);
        }
    }
    let own = exchange.route.filter(|_| !exchange.is_by_server).and_then(|index| table.route(index));
    let policy = own.map(|route| &*route.policy).filter(|policy| policy.denied.is_none());
    for header in policy.and_then(|policy| policy.custom_headers.as_ref()).iter().flat_map(|list| list.iter()) {
        header.set(&NoValues, answer.headers_mut());
    }
    if let (Some(origin), Some(cors)) = (&exchange.cors, policy.and_then(|policy| policy.cors.as_ref())) {
        cors.write(origin.clone(), answer.headers_mut());
    }
    let compressor = global.compression.is_some().then(|| compress(exchange, global, asked, answer)).flatten();
    let flows = !answer.body().is_full() && !answer.body().is_end_stream();
    let rate = policy.and_then(|policy| policy.response_rate).filter(|_| flows);
    let limiter = rate.map(|rate| Limiter::new(rate, &exchange.worker.timers));
    if compressor.is_some() || limiter.is_some() {
        answer.body_mut().filter(Filters::new(compressor, limiter));
    }
}

fn add(exchange: &Exchange, list: &[HeaderText], asked: &Asked, headers: &mut HeaderMap) {
    match &asked.headers {
        Some(sent) => list.iter().for_each(|header| header.set(&Facts { exchange, headers: sent }, headers)),
        None => list.iter().for_each(|header| header.set(&NoValues, headers)),
    }
}

/// Announces the coding that is chosen for an answer, and gives what encodes its body, if it has one.
fn compress(exchange: &Exchange, global: &GlobalPolicy, asked: &Asked, answer: &mut Answer) -> Option<Compressor> {
    let compression = global.compression.as_ref()?;
    let said = answer.headers().get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok());
    let to_head = exchange.method == Method::HEAD;
    let known = answer.body().size_hint().exact().filter(|_| !to_head || answer.body().is_full());
    let length = said.or(known);
    let choice = compression.choose(asked.accepted, answer.status(), answer.headers(), length);
    if choice.vary {
        answer.headers_mut().append(header::VARY, HeaderValue::from_static("Accept-Encoding"));
    }
    let (coding, level) = choice.coding?;
    let compressor = Compressor::new(coding, level, length).ok()?;
    announce(coding, answer.headers_mut());
    if to_head {
        // The head is that of the answer to GET; what would be encoded is not there.
        if answer.body().is_full() {
            *answer.body_mut() = ProxyBody::full(bytes::Bytes::new());
        }
        return None;
    }
    Some(compressor)
}

/// Rewrites what an upstream's answer says of cookies and of places (`proxy-cookie-*`, `proxy-redirect-*`).
pub fn rewrite(facts: &Facts<'_>, policy: &RoutePolicy, rules: &AnswerRewrites, headers: &mut HeaderMap) {
    if rules.cookie_domain.is_some() || rules.cookie_path.is_some() {
        each(headers, &header::SET_COOKIE, |value| {
            rules.cookie(value.as_bytes(), facts).and_then(|new| HeaderValue::from_bytes(&new).ok())
        });
    }
    if rules.redirect.is_some() {
        each(headers, &header::LOCATION, |value| {
            rules.location(value.as_bytes(), facts).and_then(|new| redirects::absolute(facts.exchange, policy, new))
        });
        each(headers, &header::REFRESH, |value| {
            rules.refresh(value.as_bytes(), facts).and_then(|new| HeaderValue::from_bytes(&new).ok())
        });
    }
}

fn each(headers: &mut HeaderMap, name: &header::HeaderName, new: impl Fn(&HeaderValue) -> Option<HeaderValue>) {
    let header::Entry::Occupied(mut lines) = headers.entry(name) else { return };
    for line in lines.iter_mut() {
        if let Some(new) = new(line) {
            *line = new;
        }
    }
}
