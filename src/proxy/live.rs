//! What a request meets: one table with its live state, swapped as one value (invariant 3).

use std::sync::Arc;

use arc_swap::ArcSwap;

use super::upstream::tls::ClientTls;
use crate::table::{DnsName, Endpoint, RoutingTable, UpstreamKey};
use crate::telemetry::RouteMetricsId;

/// An upstream's endpoints, with a swap of their own. Carried over from table to table by key.
#[derive(Debug)]
pub struct UpstreamState {
    pub key: UpstreamKey,
    /// Set when the endpoints are what a DNS name resolves to.
    pub name: Option<DnsName>,
    pub endpoints: ArcSwap<Vec<Endpoint>>,
}

/// A table and what lives beside it, index by index.
#[derive(Debug)]
pub struct Live {
    pub table: Arc<RoutingTable>,
    pub upstreams: Vec<Arc<UpstreamState>>,
    /// For `table.upstream_tls`.
    pub client_tls: Vec<Arc<ClientTls>>,
    /// For `table.routes`.
    pub metrics: Vec<RouteMetricsId>,
    /// Counted by installs; 0 is the empty table before the first one.
    pub generation: u64,
}

impl Live {
    pub fn empty() -> Self {
        Self {
            table: Arc::new(RoutingTable::default()),
            upstreams: Vec::new(),
            client_tls: Vec::new(),
            metrics: Vec::new(),
            generation: 0,
        }
    }
}
