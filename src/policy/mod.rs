//! What a route may do to a request: one file per feature, its settings and its decision at request time.
//!
//! Everything here is a value or a pure function of values; sockets, clocks and Kubernetes are elsewhere.

pub mod access;
pub mod access_log;
pub mod affinity;
pub mod answer;
pub mod balance;
pub mod body;
pub mod canary;
pub mod client_certificate;
pub mod compression;
pub mod cors;
pub mod edits;
pub mod error_pages;
pub mod external_auth;
pub mod fastcgi;
pub mod forwarded;
pub mod global;
pub mod head;
pub mod header_text;
pub mod headers;
pub mod https_redirect;
pub mod limits;
pub mod login;
pub mod logs;
pub mod mirror;
pub mod question;
pub mod redirect;
pub mod regex;
pub mod response_rate;
pub mod retry;
pub mod rewrite;
pub mod ring;
pub mod server_tls;
pub mod snippet;
pub mod stream;
pub mod stream_log;
pub mod template;
pub mod upstream;
pub mod variable;

use std::sync::Arc;

use self::access::Access;
use self::answer::AnswerRewrites;
use self::cors::Cors;
use self::error_pages::ErrorPages;
use self::external_auth::ExternalAuth;
use self::header_text::HeaderText;
use self::https_redirect::HttpsRedirect;
use self::mirror::Mirror;
use self::redirect::Redirect;
use self::response_rate::ResponseRate;
use self::rewrite::Rewrite;
use self::snippet::Snippet;
use self::template::Template;
use self::upstream::UpstreamPolicy;

/// All that a route does to its requests, grouped by the phase that reads it. Equal policies are shared.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct RoutePolicy {
    /// FIND_CONFIG: the largest request body in bytes; `None` is unlimited (contract §8, §11).
    pub body_limit: Option<u64>,
    /// REWRITE: why this location answers 503 whatever is asked (invariant 6: access control fails closed).
    pub denied: Option<Arc<str>>,
    pub cors: Option<Arc<Cors>>,
    pub redirect: Option<Arc<Redirect>>,
    pub https_redirect: HttpsRedirect,
    pub rewrite: Option<Arc<Rewrite>>,
    /// Directory redirects: `Location` keeps the listener's port, or has no scheme and host at all.
    pub port_in_redirect: bool,
    pub relative_redirects: bool,
    /// PREACCESS and ACCESS: who may enter; `None` is everybody.
    pub access: Option<Arc<Access>>,
    /// ACCESS: who is asked whether a request may pass (contract §13).
    pub external_auth: Option<Arc<ExternalAuth>>,
    /// CONTENT: who gets a copy of each request.
    pub mirror: Option<Arc<Mirror>>,
    /// CONTENT: sent as `X-Forwarded-Prefix` when a rewrite is in effect (contract §5.6).
    pub forwarded_prefix: Option<Arc<Template>>,
    pub upstream: UpstreamPolicy,
    /// Clients are given the cookie of the upstream's affinity here (contract §17).
    pub session_cookie: bool,
    /// Which answers an error backend writes.
    pub error_pages: Option<Arc<ErrorPages>>,
    /// RESPONSE: what of the upstream's answer is rewritten, what is set on any answer, and how fast it goes.
    pub answer: Option<Arc<AnswerRewrites>>,
    pub custom_headers: Option<Arc<[HeaderText]>>,
    pub response_rate: Option<ResponseRate>,
    /// Snippets: directives run at REWRITE, access asked at ACCESS, headers edited on the way in and out.
    pub snippet: Option<Arc<Snippet>>,
    /// LOG
    pub access_log: bool,
}
