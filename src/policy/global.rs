//! What holds for every request of a table: the ConfigMap's settings that no route overrides.

use std::sync::Arc;
use std::time::Duration;

use http::{HeaderName, HeaderValue, StatusCode};

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
    pub json: bool,
    pub default_backend: bool,
    /// Paths (as sent) that are not logged.
    pub skip_urls: Arc<[String]>,
}

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
        }
    }
}
