//! Redirects of the proxy's own: their `Location`, and the answer.

use std::borrow::Cow;

use bytes::Bytes;
use http::header::{self, HeaderValue};
use http::{Response, StatusCode};

use super::body::ProxyBody;
use super::exchange::Exchange;
use super::facts::Facts;
use super::respond::{self, Answer};
use crate::base::path;
use crate::policy::RoutePolicy;
use crate::policy::redirect::Redirect;

/// What nginx puts before a `Location` that begins with a slash: scheme and host, without the port unless that is asked
/// for; nothing where redirects are relative.
pub fn origin(exchange: &Exchange, policy: &RoutePolicy) -> String {
    if policy.relative_redirects {
        return String::new();
    }
    let client = &exchange.client;
    let standard = if client.tls { 443 } else { 80 };
    match policy.port_in_redirect && client.port != standard {
        true => format!("{}://{}:{}", client.scheme(), exchange.host, client.port),
        false => format!("{}://{}", client.scheme(), exchange.host),
    }
}

/// The slash that a directory's path lacks (contract §4.2).
pub fn to_directory(exchange: &Exchange, policy: &RoutePolicy, normal: &[u8], query: Option<&str>) -> Answer {
    let mut location = origin(exchange, policy);
    path::escape_path(normal, &mut location);
    location.push('/');
    if let Some(query) = query.filter(|query| !query.is_empty()) {
        location.push('?');
        location.push_str(query);
    }
    respond::redirect(StatusCode::MOVED_PERMANENTLY, &location)
}

/// Where a redirect leads, with its variables filled in.
pub fn target<'r>(facts: &Facts<'_>, redirect: &'r Redirect) -> Cow<'r, str> {
    match &redirect.template {
        Some(template) => Cow::Owned(String::from_utf8_lossy(&template.fill(facts)).into_owned()),
        None => Cow::Borrowed(redirect.location.as_str()),
    }
}

/// `permanent-redirect` and `temporal-redirect`.
pub fn of_location(facts: &Facts<'_>, policy: &RoutePolicy, redirect: &Redirect) -> Answer {
    let exchange = facts.exchange;
    let location = target(facts, redirect);
    if redirect.has_location() {
        return match location.starts_with('/') {
            true => respond::redirect(redirect.status, &format!("{}{location}", origin(exchange, policy))),
            false => respond::redirect(redirect.status, &location),
        };
    }
    let text = if redirect.status == StatusCode::NOT_MODIFIED { String::new() } else { location.into_owned() };
    let mut answer = Response::new(ProxyBody::full(Bytes::from(text)));
    *answer.status_mut() = redirect.status;
    let default_type = exchange.live.table().global.headers.default_type.clone();
    answer.headers_mut().insert(header::CONTENT_TYPE, default_type);
    answer
}

/// From a name to its counterpart with or without `www.` (contract §7.9): the port is always there, one slash at the end
/// is not.
pub fn to_counterpart(exchange: &Exchange, target: &str) -> Answer {
    let uri = exchange.target();
    let uri = uri.strip_suffix('/').unwrap_or(uri);
    let port = match &exchange.forwarded {
        Some(forwarded) => forwarded.port.to_str().unwrap_or_default().to_owned(),
        None => exchange.client.port.to_string(),
    };
    let location = format!("{}://{target}:{port}{uri}", exchange.scheme());
    respond::redirect(exchange.live.table().global.https_redirect_code, &location)
}

/// The answer to a preflight request; its headers come with those of every other answer.
pub fn preflight() -> Answer {
    let mut answer = Response::new(ProxyBody::full(Bytes::new()));
    *answer.status_mut() = StatusCode::NO_CONTENT;
    answer
}

/// A `Location` of an upstream that was rewritten to a path, as nginx sends it.
pub fn absolute(exchange: &Exchange, policy: &RoutePolicy, location: Vec<u8>) -> Option<HeaderValue> {
    match location.starts_with(b"/") {
        true => HeaderValue::from_bytes(&[origin(exchange, policy).as_bytes(), &location].concat()).ok(),
        false => HeaderValue::from_bytes(&location).ok(),
    }
}
