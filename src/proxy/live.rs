//! What a request meets: one table with its live state, swapped as one value (invariant 3).

use std::collections::HashMap;
use std::sync::Arc;

use arc_swap::{ArcSwap, Guard};
use tokio::sync::watch;

use super::upstream::tls::ClientTls;
use super::zone::Zone;
use crate::policy::limits::ZoneKey;
use crate::table::{DnsName, Endpoint, RoutingTable, UpstreamKey};
use crate::telemetry::RouteMetricsId;

/// An upstream's endpoints, with a swap of their own. Carried over from table to table by key.
#[derive(Debug)]
pub struct UpstreamState {
    pub key: UpstreamKey,
    /// Set when the endpoints are what a DNS name resolves to.
    pub name: Option<DnsName>,
    pub endpoints: Endpoints,
}

/// The endpoints in force. Who follows a [`Changes`] is told when there are some for the first time, and when there are
/// none any more: ports of TCP and UDP services open and close with that.
#[derive(Debug)]
pub struct Endpoints {
    list: ArcSwap<Vec<Endpoint>>,
    changes: Changes,
}

/// Wakes who follows the ports that are to be open.
pub type Changes = watch::Sender<()>;

impl Endpoints {
    pub fn new(list: Vec<Endpoint>, changes: &Changes) -> Self {
        Self { list: ArcSwap::from_pointee(list), changes: changes.clone() }
    }

    pub fn load(&self) -> Guard<Arc<Vec<Endpoint>>> {
        self.list.load()
    }

    pub fn store(&self, list: Arc<Vec<Endpoint>>) {
        let is_empty = list.is_empty();
        if self.list.swap(list).is_empty() != is_empty {
            self.changes.send_replace(());
        }
    }
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
    /// What `limit-*` counts, carried over from table to table.
    pub zones: HashMap<ZoneKey, Arc<Zone>>,
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
            zones: HashMap::new(),
            generation: 0,
        }
    }
}
