//! What a request meets: one table with its live state, swapped as one value (invariant 3).

use std::collections::HashMap;
use std::sync::Arc;

use arc_swap::{ArcSwap, Guard};
use tokio::sync::watch;

use super::tls::configs::Handshakes;
use super::upstream::tls::ClientTls;
use super::zone::Zone;
use crate::policy::affinity::opaque;
use crate::policy::balance::Prepared;
use crate::policy::limits::ZoneKey;
use crate::policy::ring::Ring;
use crate::table::{DnsName, Endpoint, Index, RoutingTable, UpstreamKey};
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
    list: ArcSwap<Peers>,
    prepared: Prepared,
    changes: Changes,
}

/// A list of endpoints with what was worked out of it.
#[derive(Debug, Default)]
pub struct Peers {
    pub list: Vec<Endpoint>,
    pub ring: Option<Ring>,
    /// Where clients hold endpoints by name: an opaque name for each, sorted, with its place in the list.
    pub names: Option<Vec<(Box<str>, usize)>>,
}

impl std::ops::Deref for Peers {
    type Target = [Endpoint];

    fn deref(&self) -> &[Endpoint] {
        &self.list
    }
}

impl Peers {
    fn new(list: Vec<Endpoint>, prepared: &Prepared) -> Self {
        let addresses = list.iter().map(|endpoint| endpoint.address);
        match prepared {
            Prepared::Nothing => Self { list, ..Self::default() },
            Prepared::Ring => Self { ring: Some(Ring::new(addresses)), list, ..Self::default() },
            Prepared::Names(salt) => {
                let name = |address| opaque(&format!("{salt}{address}")).into();
                let mut names: Vec<(Box<str>, usize)> = addresses.map(name).zip(0..).collect();
                names.sort_unstable();
                Self { names: Some(names), list, ..Self::default() }
            }
        }
    }
}

/// Wakes who follows the ports that are to be open.
pub type Changes = watch::Sender<()>;

impl Endpoints {
    pub fn new(list: Vec<Endpoint>, prepared: Prepared, changes: &Changes) -> Self {
        let list = ArcSwap::from_pointee(Peers::new(list, &prepared));
        Self { list, prepared, changes: changes.clone() }
    }

    pub fn load(&self) -> Guard<Arc<Peers>> {
        self.list.load()
    }

    pub fn prepared(&self) -> &Prepared {
        &self.prepared
    }

    pub fn store(&self, list: Vec<Endpoint>) {
        let is_empty = list.is_empty();
        let peers = Arc::new(Peers::new(list, &self.prepared));
        if self.list.swap(peers).is_empty() != is_empty {
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
    /// For `table.virtual_hosts`.
    pub handshakes: Handshakes,
    /// For `table.routes`.
    pub metrics: Vec<RouteMetricsId>,
    /// The same for hosts that were asked for by an alias that is a whole name, which is the `host` label then.
    pub alias_metrics: HashMap<Box<str>, HashMap<Index, RouteMetricsId>>,
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
            handshakes: Handshakes::default(),
            metrics: Vec::new(),
            alias_metrics: HashMap::new(),
            zones: HashMap::new(),
            generation: 0,
        }
    }

    /// Where requests of a route are counted that came for `host`, lower-case.
    pub fn metrics_of(&self, route: Index, host: &str) -> Option<RouteMetricsId> {
        let by_alias = || self.alias_metrics.get(host)?.get(&route);
        let alias = if self.alias_metrics.is_empty() { None } else { by_alias() };
        alias.or_else(|| self.metrics.get(route as usize)).copied()
    }
}
