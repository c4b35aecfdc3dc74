//! The endpoints of one upstream: published apart from the table, so that pod churn never recompiles routes.

use std::net::SocketAddr;
use std::sync::Arc;

/// One address that takes requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Endpoint {
    pub address: SocketAddr,
}

/// A name to resolve, lower-case and without the final dot.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DnsName {
    pub name: Arc<str>,
    pub port: u16,
    /// Whether the name may lead to this very host.
    pub loopback: bool,
}

/// Where an upstream's endpoints come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EndpointSet {
    /// Addresses from EndpointSlices or a cluster IP, in the order in which they are used.
    Fixed(Arc<[Endpoint]>),
    /// An ExternalName Service: it is resolved again and again.
    Dns(DnsName),
}

impl Default for EndpointSet {
    fn default() -> Self {
        Self::Fixed(Arc::from([]))
    }
}
