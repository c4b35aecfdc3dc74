//! The routing table: immutable, compiled once, read by every request.
//!
//! `Host` finds a [`VirtualHost`], its path finds a [`Route`], the route names an [`Upstream`] and carries its
//! policy. Nothing here knows Kubernetes: a route's labels are text for logs and metrics.

pub mod certificate;
pub mod endpoint;
pub mod host;
pub mod path;
pub mod stream;
pub mod text;

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::policy::RoutePolicy;
use crate::policy::balance::Balance;
use crate::policy::canary::Canary;
use crate::policy::client_certificate::ClientAuth;
use crate::policy::global::GlobalPolicy;
use crate::policy::redirect::Redirect;
use crate::policy::server_tls::ServerTls;
use crate::policy::snippet::ServerSnippet;
use crate::policy::upstream::UpstreamTls;

pub use certificate::{Certificate, CertificateTable};
pub use endpoint::{DnsName, Endpoint, EndpointSet};
pub use host::HostTable;
pub use path::{Found, PathTable};
pub use stream::{Protocol, StreamListener};

/// Index of a route, an upstream or a virtual host in its table's list.
pub type Index = u32;

/// What a location is called in logs and metrics (metrics contract §2).
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RouteLabels {
    pub namespace: Arc<str>,
    pub ingress: Arc<str>,
    pub service: Arc<str>,
    pub service_port: Arc<str>,
    /// The rule's path text, never a URL.
    pub path: Arc<str>,
    /// The rule's host; `_` for the default server.
    pub host: Arc<str>,
}

/// Where a route's requests go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Target {
    Upstream(Index),
    /// The built-in 404.
    NotFound,
}

/// A location: its names, its policy and its upstream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    pub labels: Arc<RouteLabels>,
    pub policy: Arc<RoutePolicy>,
    pub target: Target,
    /// The default server's own location, which the access log leaves out by default.
    pub is_default_backend: bool,
    /// Where TLS towards the upstream is configured: an index into [`RoutingTable::upstream_tls`].
    pub tls: Option<Index>,
    /// The upstream of `default-backend`: it stands in for a target without endpoints, and answers the location's own
    /// `custom-http-errors`.
    pub default_backend: Option<Index>,
}

/// A server: its name, what holds for the whole host, and its paths.
#[derive(Debug)]
pub struct VirtualHost {
    /// The rule's host, or `_` for the default server.
    pub name: Arc<str>,
    /// A certificate entry covers the host, whether or not its Secret can be used (contract §7.1).
    pub has_certificate: bool,
    /// The names of `server-alias`, if there are any: each is covered only if the host's certificate is valid for it.
    pub aliases: Option<Box<Aliases>>,
    /// What it asks of its clients' certificates (contract §12).
    pub client_auth: Option<Arc<ClientAuth>>,
    /// Why every request is answered with 403.
    pub forbidden: Option<Arc<str>>,
    /// What its handshakes are made with, where that differs from the others'.
    pub tls: Option<Arc<ServerTls>>,
    /// Redirect of the URI `/` (contract §5.7).
    pub app_root: Option<Arc<Redirect>>,
    /// Answers the health path on the proxy's own ports (contract §8.3): the default server only.
    pub health_path: Option<Arc<str>>,
    /// Redirects every request to this host (contract §7.9); there are no paths then.
    pub redirect_to: Option<Arc<str>>,
    /// Snippets of the server level.
    pub snippet: Option<Arc<ServerSnippet>>,
    pub paths: PathTable,
}

/// Names that lead to a virtual host besides its own.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Aliases {
    /// Sorted as they were written; lower-case, but for regexes.
    pub names: Vec<String>,
    /// Exact ones, lower-case, that the host's certificate covers.
    pub certified: Vec<String>,
}

impl Aliases {
    /// Those that name one host each, lower-case.
    pub fn whole_names(&self) -> impl Iterator<Item = &str> {
        let is_whole = |name: &&String| !name.starts_with(['~', '.']) && !name.contains('*');
        self.names.iter().filter(is_whole).map(String::as_str)
    }
}

impl VirtualHost {
    /// Whether a certificate entry covers the name that was asked for (contract §7.1).
    pub fn has_certificate_for(&self, host: &str) -> bool {
        let Some(aliases) = &self.aliases else { return self.has_certificate };
        let own = match self.name.strip_prefix('*') {
            Some(suffix) => host.ends_with(suffix),
            None => *self.name == *host,
        };
        self.has_certificate && (own || aliases.certified.iter().any(|alias| alias == host))
    }
}

/// A named pool of endpoints. The endpoints themselves live beside the table and have their own swap (invariant 3).
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct UpstreamKey {
    pub namespace: Arc<str>,
    pub service: Arc<str>,
    pub port: Arc<str>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Upstream {
    pub key: UpstreamKey,
    /// `<namespace>-<service>-<port>`, as logs and metrics call it. Not unique, hence never a key (CVE-2020-8553).
    pub name: Arc<str>,
    /// The Service for unmatched requests: without endpoints it answers 404, not 503 (contract §8.4).
    pub is_default_backend: bool,
    /// Its canary, if it has one.
    pub alternative: Option<Alternative>,
    /// How its endpoints are chosen; `None` is round robin.
    pub balance: Option<Arc<Balance>>,
}

/// An upstream that takes a share of another's requests, wherever that is used (contract §16).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alternative {
    pub upstream: Index,
    pub canary: Arc<Canary>,
}

/// Everything a request can meet.
#[derive(Debug, Default)]
pub struct RoutingTable {
    pub hosts: HostTable,
    pub virtual_hosts: Vec<VirtualHost>,
    pub routes: Vec<Route>,
    pub upstreams: Vec<Upstream>,
    pub upstream_tls: Vec<Arc<UpstreamTls>>,
    pub certificates: CertificateTable,
    /// Sorted by protocol and port, each pair once.
    pub streams: Vec<StreamListener>,
    /// Hosts, lower-case, whose TLS is not ended here, and where its bytes go.
    pub passthrough: BTreeMap<Box<str>, Index>,
    /// The upstream of `--default-backend-service`.
    pub default_backend: Option<Index>,
    pub global: GlobalPolicy,
}

impl RoutingTable {
    pub fn route(&self, index: Index) -> Option<&Route> {
        self.routes.get(index as usize)
    }

    pub fn upstream(&self, index: Index) -> Option<&Upstream> {
        self.upstreams.get(index as usize)
    }

    /// The TCP or UDP service of a port.
    pub fn stream(&self, protocol: Protocol, port: u16) -> Option<&StreamListener> {
        let at = self.streams.binary_search_by_key(&(protocol, port), |s| (s.protocol, s.port)).ok()?;
        self.streams.get(at)
    }

    /// The virtual host for a lower-case name without port; the default server when none has it.
    pub fn virtual_host(&self, host: &str) -> Option<&VirtualHost> {
        self.virtual_hosts.get(self.hosts.find(host) as usize)
    }
}
