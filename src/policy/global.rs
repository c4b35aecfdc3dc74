//! What holds for every request of a table: the ConfigMap's settings that no route overrides.

use std::sync::Arc;
use std::time::Duration;

use http::{HeaderName, HeaderValue, StatusCode};

use super::access::Blocks;
use super::access_log::LogFormat;
use super::compression::Compression;
use super::error_pages::ErrorPages;
use super::forwarded::TrustPolicy;
use super::head::HeadLimits;
use super::header_text::GlobalHeaders;
use super::logs::{ErrorLogLevel, LogTarget};
use super::regex::Regex;
use super::server_tls::TlsPolicy;
use super::stream::StreamPolicy;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GlobalPolicy {
    /// `Strict-Transport-Security` on every response to a TLS connection (contract §7.10).
    pub hsts: Option<HeaderValue>,
    pub https_redirect_code: StatusCode,
    /// Drop request headers with names outside `[A-Za-z0-9-]` (and `_`, if allowed), as nginx does (§10).
    pub drop_invalid_headers: bool,
    pub underscores_in_headers: bool,
    /// Upstream response headers that clients do not see.
    pub hide_headers: Arc<[HeaderName]>,
    /// Idle client connections are closed after this; zero turns keep-alive off.
    pub keep_alive: Duration,
    /// Requests a client connection may carry.
    pub keep_alive_requests: u32,
    pub header_timeout: Duration,
    pub body_timeout: Duration,
    pub http2: bool,
    pub http2_max_streams: u32,
    /// How long upgraded and slow connections may outlive a shutdown.
    pub shutdown_timeout: Duration,
    pub upstream_keep_alive: UpstreamKeepAlive,
    pub access_log: AccessLogPolicy,
    /// What the controller's log says; `None` leaves it to the flags.
    pub error_log: Option<ErrorLogLevel>,
    pub streams: StreamPolicy,
    /// Requests that are answered 403 before anything else (contract §6 step 3).
    pub blocks: Option<Arc<Blocks>>,
    /// The ConfigMap's `custom-http-errors`, for what is answered before there is a location.
    pub error_pages: Option<Arc<ErrorPages>>,
    /// POST_READ: who is believed on who the client is.
    pub trust: TrustPolicy,
    /// POST_READ: how large a request's head may be.
    pub head: HeadLimits,
    /// Whether external names may lead to IPv6 addresses.
    pub ipv6_names: bool,
    pub tls: TlsPolicy,
    pub headers: GlobalHeaders,
    /// `None`: no answer is compressed.
    pub compression: Option<Arc<Compression>>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UpstreamKeepAlive {
    /// Idle connections kept for one endpoint by one worker.
    pub idle: usize,
    pub idle_timeout: Duration,
    pub requests: u32,
    pub lifetime: Duration,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AccessLogPolicy {
    pub off: bool,
    pub format: Arc<LogFormat>,
    pub target: LogTarget,
    pub default_backend: bool,
    /// Questions to authentication services have lines of their own.
    pub questions: bool,
    /// Targets (as sent) that are not logged.
    pub skip_urls: Arc<[UrlPattern]>,
}

/// An entry of nginx's `map`: the whole text, or `~regex` anywhere in it (`~*`: whatever the case).
#[derive(Clone)]
pub enum UrlPattern {
    Exact(String),
    Regex { text: String, regex: Regex },
}

impl UrlPattern {
    /// Errors say what the regex uses that is unknown.
    pub fn parse(text: &str) -> Result<Self, String> {
        let Some(pattern) = text.strip_prefix('~') else { return Ok(Self::Exact(text.to_owned())) };
        let (pattern, folds) = pattern.strip_prefix('*').map_or((pattern, false), |p| (p, true));
        let regex = if folds { Regex::new(pattern) } else { Regex::of_case(pattern) };
        Ok(Self::Regex { text: text.to_owned(), regex: regex? })
    }

    /// The same as nginx's `map` compares: the case of a whole text does not matter.
    pub fn matches_as_map(&self, value: &[u8]) -> bool {
        match self {
            Self::Exact(text) => text.as_bytes().eq_ignore_ascii_case(value),
            Self::Regex { regex, .. } => regex.is_match(value),
        }
    }

    pub fn matches(&self, target: &str) -> bool {
        match self {
            Self::Exact(text) => text == target,
            Self::Regex { regex, .. } => regex.is_match(target),
        }
    }
}

/// The text, without the automaton.
impl std::fmt::Debug for UrlPattern {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (Self::Exact(text) | Self::Regex { text, .. }) = self;
        write!(f, "{text:?}")
    }
}

impl PartialEq for UrlPattern {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Exact(a), Self::Exact(b)) => a == b,
            (Self::Regex { text: a, .. }, Self::Regex { text: b, .. }) => a == b,
            _ => false,
        }
    }
}

impl Eq for UrlPattern {}

impl Default for GlobalPolicy {
    fn default() -> Self {
        Self {
            hsts: Some(HeaderValue::from_static("max-age=31536000; includeSubDomains")),
            https_redirect_code: StatusCode::PERMANENT_REDIRECT,
            drop_invalid_headers: true,
            underscores_in_headers: false,
            hide_headers: Arc::from([]),
            keep_alive: Duration::from_secs(75),
            keep_alive_requests: 1000,
            header_timeout: Duration::from_secs(60),
            body_timeout: Duration::from_secs(60),
            http2: true,
            http2_max_streams: 128,
            shutdown_timeout: Duration::from_secs(240),
            upstream_keep_alive: UpstreamKeepAlive {
                idle: 320,
                idle_timeout: Duration::from_secs(60),
                requests: 10_000,
                lifetime: Duration::from_secs(3600),
            },
            access_log: AccessLogPolicy::default(),
            error_log: None,
            streams: StreamPolicy::default(),
            blocks: None,
            error_pages: None,
            trust: TrustPolicy::default(),
            head: HeadLimits::default(),
            ipv6_names: true,
            tls: TlsPolicy::default(),
            headers: GlobalHeaders::default(),
            compression: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::UrlPattern;

    #[test]
    fn url_patterns() {
        let rows = [
            ("/a", "/a", true),
            ("/a", "/a/b", false),
            ("~^/a", "/a/b?c", true),
            ("~/B$", "/a/b", false),
            ("~*/B$", "/a/b", true),
        ];
        for (pattern, target, expected) in rows {
            assert_eq!(UrlPattern::parse(pattern).unwrap().matches(target), expected, "{pattern} {target}");
        }
        assert!(UrlPattern::parse("~(?=a)").is_err());
    }
}
