//! What a route may do to a request: one file per feature, its settings and its decision at request time.
//!
//! Everything here is a value or a pure function of values; sockets, clocks and Kubernetes are elsewhere.

pub mod affinity;
pub mod balance;
pub mod body;
pub mod canary;
pub mod error_pages;
pub mod fastcgi;
pub mod forwarded;
pub mod global;
pub mod headers;
pub mod https_redirect;
pub mod retry;
pub mod rewrite;
pub mod ring;
pub mod stream;
pub mod stream_log;
pub mod template;
pub mod upstream;
pub mod variable;

use std::sync::Arc;

use self::error_pages::ErrorPages;
use self::https_redirect::HttpsRedirect;
use self::rewrite::Rewrite;
use self::template::Template;
use self::upstream::UpstreamPolicy;

/// All that a route does to its requests, grouped by the phase that reads it. Equal policies are shared.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct RoutePolicy {
    /// FIND_CONFIG: the largest request body in bytes; `None` is unlimited (contract §8, §11).
    pub body_limit: Option<u64>,
    /// REWRITE: why this location answers 503 whatever is asked (invariant 6: access control fails closed).
    pub denied: Option<Arc<str>>,
    pub https_redirect: HttpsRedirect,
    pub rewrite: Option<Arc<Rewrite>>,
    /// Directory redirects: `Location` keeps the listener's port, or has no scheme and host at all.
    pub port_in_redirect: bool,
    pub relative_redirects: bool,
    /// CONTENT: sent as `X-Forwarded-Prefix` when a rewrite is in effect (contract §5.6).
    pub forwarded_prefix: Option<Arc<Template>>,
    pub upstream: UpstreamPolicy,
    /// Clients are given the cookie of the upstream's affinity here (contract §17).
    pub session_cookie: bool,
    /// Which answers an error backend writes.
    pub error_pages: Option<Arc<ErrorPages>>,
    /// LOG
    pub access_log: bool,
}
