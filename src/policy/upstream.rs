//! How a route talks to its upstream: protocol, timeouts, TLS, retries.

use std::sync::Arc;
use std::time::Duration;

use super::fastcgi::FastCgi;
use super::retry::RetryPolicy;
use super::template::Template;

/// `backend-protocol`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Protocol {
    #[default]
    Http,
    Https,
    /// The scheme of the client's connection is used again.
    AutoHttp,
    Grpc,
    Grpcs,
    /// FastCGI.
    Fcgi,
}

impl Protocol {
    pub fn is_tls(self, client_is_tls: bool) -> bool {
        match self {
            Self::Http | Self::Grpc | Self::Fcgi => false,
            Self::Https | Self::Grpcs => true,
            Self::AutoHttp => client_is_tls,
        }
    }

    pub fn speaks_http1(self) -> bool {
        matches!(self, Self::Http | Self::Https | Self::AutoHttp)
    }

    pub fn is_http2(self) -> bool {
        matches!(self, Self::Grpc | Self::Grpcs)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Timeouts {
    pub connect: Duration,
    /// Gap between two successful writes, and between two reads (contract §11).
    pub send: Duration,
    pub read: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        let minute = Duration::from_secs(60);
        Self { connect: Duration::from_secs(5), send: minute, read: minute }
    }
}

/// TLS towards an upstream (`proxy-ssl-*`), as bytes; the proxy builds its configuration once per distinct value.
#[derive(Clone, PartialEq, Eq, Hash, Default)]
pub struct UpstreamTls {
    /// Trusted certificates (DER) to verify against; `None` accepts any certificate, nginx's default.
    pub verify: Option<Arc<[Vec<u8>]>>,
    /// Certificate chain (leaf first) and private key (PKCS#8, PKCS#1 or SEC1 DER) shown to the upstream.
    pub client: Option<Arc<(Vec<Vec<u8>>, PrivateKey)>>,
    /// The name to verify and, with `send_name`, to send as SNI.
    pub name: Option<Arc<str>>,
    pub send_name: bool,
    /// TLS 1.2 and 1.3 allowed.
    pub tls12: bool,
    pub tls13: bool,
    /// Suites of TLS 1.2 that are offered, by number, the preferred first; `None`: all there are.
    pub ciphers: Option<Arc<[u16]>>,
    /// Certificates between the upstream's and a trusted one, at most.
    pub depth: u32,
    /// Offer `h2` by ALPN.
    pub http2: bool,
}

/// A private key; its bytes never reach a log.
#[derive(Clone, PartialEq, Eq, Hash)]
pub enum PrivateKey {
    Pkcs8(Vec<u8>),
    Pkcs1(Vec<u8>),
    Sec1(Vec<u8>),
}

impl std::fmt::Debug for UpstreamTls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("UpstreamTls")
            .field("verify", &self.verify.is_some())
            .field("client", &self.client.is_some())
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

/// `connection-proxy-header`: a literal `Connection` header, instead of the computed one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ConnectionHeader {
    Close,
    KeepAlive,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct UpstreamPolicy {
    pub protocol: Protocol,
    /// `proxy-http-version: 1.0`.
    pub http10: bool,
    /// `upstream-vhost`: the `Host` sent, instead of the client's.
    pub vhost: Option<Arc<Template>>,
    pub connection: Option<ConnectionHeader>,
    pub timeouts: Timeouts,
    pub retry: RetryPolicy,
    /// Hold the request back until its body is there, up to [`super::body::MAX_BUFFERED`].
    pub request_buffering: bool,
    /// Largest response head in bytes (`proxy-buffer-size`).
    pub response_head_limit: u32,
    /// `Some` with [`Protocol::Fcgi`].
    pub fastcgi: Option<Arc<FastCgi>>,
    pub tls: Option<Arc<UpstreamTls>>,
}

impl Default for UpstreamPolicy {
    fn default() -> Self {
        Self {
            protocol: Protocol::default(),
            http10: false,
            vhost: None,
            connection: None,
            timeouts: Timeouts::default(),
            retry: RetryPolicy::default(),
            request_buffering: true,
            response_head_limit: 4096,
            fastcgi: None,
            tls: None,
        }
    }
}
