//! What the ConfigMap adds to requests for upstreams: `proxy-set-headers`, `proxy-add-original-uri-header`.

use http::header::{self, HeaderMap, HeaderName, HeaderValue};

use super::exchange::Exchange;
use super::facts::Facts;
use crate::policy::header_text::GlobalHeaders;

const X_ORIGINAL_URI: HeaderName = HeaderName::from_static("x-original-uri");

/// Headers with their values; none means that the header is not sent.
pub type Filled = Vec<(HeaderName, Option<HeaderValue>)>;

/// The values for a request as the client sent it. Empty, and without cost, where nothing is configured.
pub fn fill(global: &GlobalHeaders, exchange: &Exchange, headers: &HeaderMap) -> Filled {
    let mut filled = Vec::new();
    if global.original_uri {
        filled.push((X_ORIGINAL_URI, HeaderValue::from_bytes(exchange.target().as_bytes()).ok()));
    }
    let facts = Facts { exchange, headers };
    filled.extend(global.set.iter().map(|header| (header.name.clone(), header.value(&facts))));
    filled
}

/// Puts them in place of all others of their names; `Host` is not among the headers yet.
pub fn set(filled: Filled, headers: &mut HeaderMap, host: &mut Option<HeaderValue>) {
    for (name, value) in filled {
        match value {
            Some(value) if name == header::HOST => *host = Some(value),
            Some(value) => drop(headers.insert(name, value)),
            None => drop(headers.remove(name)),
        }
    }
}
