//! The endpoints of one upstream: published apart from the table, so that pod churn never recompiles routes.

use std::net::SocketAddr;
use std::sync::Arc;

/// One address that takes requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Endpoint {
    pub address: SocketAddr,
}

/// Where an upstream's endpoints come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EndpointSet {
    /// Addresses from EndpointSlices or a cluster IP, in the order in which they are used.
    Fixed(Arc<[Endpoint]>),
    /// An ExternalName Service: the proxy resolves it, again and again.
    Dns { name: Arc<str>, port: u16 },
}

impl Default for EndpointSet {
    fn default() -> Self {
        Self::Fixed(Arc::from([]))
    }
}
