//! The control plane's only door to the proxy: install a table, swap endpoints, drain.

use std::collections::{BTreeMap, HashMap};
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use arc_swap::ArcSwap;
use tokio::sync::watch;

use super::access_log::LogEnds;
use super::l4::Ports;
use super::listener::Bound;
use super::live::{Changes, Endpoints, Live, UpstreamState};
use super::login::Hashing;
use super::tls::configs::Configs;
use super::upstream::tls::ClientTls;
use super::worker;
use super::zone::{Memory, Zone};
use crate::policy::balance::Prepared;
use crate::policy::limits::ZoneKey;
use crate::policy::upstream::UpstreamTls;
use crate::table::{DnsName, Endpoint, EndpointSet, Index, Route, RoutingTable, Upstream, UpstreamKey};
use crate::telemetry::{RouteLabels, RouteMetricsId, Telemetry};

/// Routes of aliases that have series of their own, each alias of a host for each of its paths.
const MAX_ALIAS_ROUTES: usize = 20_000;

/// What does not change while the proxy runs.
#[derive(Clone, Debug)]
pub struct ProxyOptions {
    /// Count requests that no rule has, under the host `_` (`--metrics-per-undefined-host`).
    pub metrics_per_undefined_host: bool,
}

/// Where the proxy listens, once it does.
#[derive(Debug, Default)]
struct Listening {
    https_port: u16,
    addresses: Vec<IpAddr>,
}

/// Shared by the controller and all workers.
#[derive(Debug)]
pub struct Handle {
    pub(super) live: Arc<ArcSwap<Live>>,
    pub(super) options: ProxyOptions,
    pub(super) telemetry: Arc<Telemetry>,
    pub(super) access_log: LogEnds,
    pub(super) draining: watch::Sender<bool>,
    /// Told of every install, and of upstreams that get their first endpoint or lose their last one.
    pub(super) changes: Changes,
    pub(super) ports: Ports,
    pub(super) hashing: Hashing,
    pub(super) zone_memory: Arc<Memory>,
    /// A new connection may be refused keep-alive before the listeners close.
    pub(super) stopping: AtomicBool,
    listening: OnceLock<Listening>,
    installed: Mutex<Installed>,
}

/// Live state by its stable key (invariant 4). Only installs touch it.
#[derive(Debug)]
struct Installed {
    upstreams: HashMap<UpstreamKey, Arc<UpstreamState>>,
    client_tls: HashMap<Arc<UpstreamTls>, Arc<ClientTls>>,
    server_tls: Configs,
    zones: HashMap<ZoneKey, Arc<Zone>>,
    generation: u64,
    changes: Changes,
}

impl Handle {
    pub fn new(options: ProxyOptions, telemetry: Arc<Telemetry>, access_log: LogEnds) -> Arc<Self> {
        let live = Arc::new(ArcSwap::from_pointee(Live::empty()));
        let changes = Changes::new(());
        Arc::new(Self {
            options,
            telemetry,
            access_log,
            draining: watch::Sender::new(false),
            ports: Ports::default(),
            hashing: Hashing::default(),
            zone_memory: Arc::default(),
            stopping: AtomicBool::new(false),
            listening: OnceLock::new(),
            installed: Mutex::new(Installed {
                upstreams: HashMap::new(),
                client_tls: HashMap::new(),
                server_tls: Configs::new(&live),
                zones: HashMap::new(),
                generation: 0,
                changes: changes.clone(),
            }),
            changes,
            live,
        })
    }

    /// The table in force.
    pub fn live(&self) -> Arc<Live> {
        self.live.load_full()
    }

    /// Puts a table in force with its endpoints. Requests that have begun end with the table they met.
    ///
    /// Endpoints of a DNS name stay as they are until [`Self::set_resolved`] brings new ones.
    pub fn install(&self, table: RoutingTable, endpoints: &BTreeMap<UpstreamKey, EndpointSet>) -> Arc<Live> {
        let mut installed = self.installed.lock().unwrap_or_else(PoisonError::into_inner);
        let upstreams: Vec<_> =
            table.upstreams.iter().map(|upstream| installed.upstream(upstream, endpoints.get(&upstream.key))).collect();
        let client_tls: Vec<_> = table.upstream_tls.iter().map(|tls| installed.tls(tls)).collect();
        let handshakes = installed.server_tls.of_table(&table);
        let metrics: Vec<_> = table.routes.iter().map(|route| self.register(route, None)).collect();
        let alias_metrics = self.register_aliases(&table);
        installed.zones = installed.zones(&table, &self.zone_memory);
        installed.generation += 1;
        installed.upstreams = upstreams.iter().map(|u| (u.key.clone(), Arc::clone(u))).collect();
        installed.client_tls = table.upstream_tls.iter().cloned().zip(client_tls.iter().cloned()).collect();
        let generation = installed.generation;
        let zones = installed.zones.clone();
        let table = Arc::new(table);
        let live =
            Arc::new(Live { table, upstreams, client_tls, handshakes, metrics, alias_metrics, zones, generation });
        self.live.store(Arc::clone(&live));
        self.changes.send_replace(());
        let of_aliases = live.alias_metrics.values().flat_map(|ids| ids.values());
        self.telemetry.requests.retain(live.metrics.iter().chain(of_aliases).copied());
        live
    }

    /// The ids of a route for its host, or for an alias in its place.
    fn register(&self, route: &Route, alias: Option<&str>) -> RouteMetricsId {
        let labels = &route.labels;
        self.telemetry.requests.route(Arc::new(RouteLabels {
            namespace: labels.namespace.clone(),
            ingress: labels.ingress.clone(),
            service: labels.service.clone(),
            path: labels.path.clone(),
            host: alias.map_or_else(|| labels.host.clone(), Arc::from),
        }))
    }

    /// Those of aliases. Requests for an alias beyond the bound are counted for its host.
    fn register_aliases(&self, table: &RoutingTable) -> HashMap<Box<str>, HashMap<Index, RouteMetricsId>> {
        let mut registered = HashMap::new();
        let mut left = MAX_ALIAS_ROUTES;
        for host in &table.virtual_hosts {
            for alias in host.aliases.iter().flat_map(|aliases| aliases.whole_names()) {
                let Some(rest) = left.checked_sub(host.paths.routes().count()) else { break };
                let routes = host.paths.routes().filter_map(|(_, index)| Some((index, table.route(index)?)));
                let ids = routes.map(|(index, route)| (index, self.register(route, Some(alias)))).collect();
                registered.insert(alias.into(), ids);
                left = rest;
            }
        }
        registered
    }

    /// Swaps the endpoints of an upstream that has a DNS name; the table stays. An upstream that has another source
    /// by now, or that the table does not have, is left alone.
    pub fn set_resolved(&self, key: &UpstreamKey, name: &DnsName, endpoints: Vec<Endpoint>) {
        let installed = self.installed.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(state) = installed.upstreams.get(key)
            && state.name.as_ref() == Some(name)
        {
            self.swap(state, endpoints);
        }
    }

    /// Swaps the endpoints of an upstream that has addresses; the table stays. Those of a DNS name come by
    /// [`Self::set_resolved`].
    pub fn set_endpoints(&self, key: &UpstreamKey, set: &EndpointSet) {
        let EndpointSet::Fixed(list) = set else { return };
        let installed = self.installed.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(state) = installed.upstreams.get(key).filter(|state| state.name.is_none()) {
            self.swap(state, list.to_vec());
        }
    }

    fn swap(&self, state: &UpstreamState, endpoints: Vec<Endpoint>) {
        if state.endpoints.load().list != endpoints {
            state.endpoints.store(endpoints);
            self.telemetry.controller.endpoints_swapped();
        }
    }

    /// Starts a worker on each of the bound sockets' shares. Its thread ends after [`Self::drain`].
    pub fn start(self: &Arc<Self>, bound: Bound) -> std::io::Result<Vec<std::thread::JoinHandle<()>>> {
        let https_port = bound.https.first().map_or(0, SocketAddr::port);
        // It is started once.
        let _ = self.listening.set(Listening { https_port, addresses: bound.addresses });
        let workers = bound.workers.into_iter().enumerate();
        workers.map(|(number, sockets)| worker::start(Arc::clone(self), sockets, number)).collect()
    }

    /// The port that https redirects and `X-Forwarded-Port` speak of.
    pub(super) fn https_port(&self) -> u16 {
        self.listening.get().map_or(0, |listening| listening.https_port)
    }

    /// Where the ports of TCP and UDP services are opened; empty is every address.
    pub(super) fn stream_addresses(&self) -> &[IpAddr] {
        self.listening.get().map_or(&[], |listening| &listening.addresses)
    }

    /// Answers over HTTP/1 carry `Connection: close` from now on; listeners still accept.
    pub fn announce_stop(&self) {
        self.stopping.store(true, Ordering::Relaxed);
    }

    /// Stops accepting and ends connections as their requests end.
    pub fn drain(&self) {
        self.announce_stop();
        self.draining.send_replace(true);
    }

    pub fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Relaxed)
    }

    /// The table in force as text.
    pub fn table_text(&self) -> String {
        let live = self.live();
        let fixed = |state: &Arc<UpstreamState>| {
            let list: Arc<[Endpoint]> = state.endpoints.load().list.as_slice().into();
            (state.key.clone(), EndpointSet::Fixed(list))
        };
        crate::table::text::render(&live.table, &live.upstreams.iter().map(fixed).collect())
    }
}

impl Installed {
    /// The state of an upstream, kept while its endpoints have the same kind of source: addresses that another source
    /// gave may be someone else's by now.
    fn upstream(&self, upstream: &Upstream, set: Option<&EndpointSet>) -> Arc<UpstreamState> {
        let (name, list) = match set {
            Some(EndpointSet::Fixed(list)) => (None, list.to_vec()),
            Some(EndpointSet::Dns(name)) => (Some(name.clone()), Vec::new()),
            None => (None, Vec::new()),
        };
        let prepared = upstream.balance.as_ref().map_or_else(Prepared::default, |balance| balance.prepared());
        let known = self.upstreams.get(&upstream.key).filter(|state| state.name == name);
        let Some(state) = known.filter(|state| *state.endpoints.prepared() == prepared) else {
            // A name's addresses hold until they are asked for again.
            let list = known.filter(|_| name.is_some()).map_or(list, |state| state.endpoints.load().list.clone());
            let endpoints = Endpoints::new(list, prepared, &self.changes);
            return Arc::new(UpstreamState { key: upstream.key.clone(), name, endpoints });
        };
        if name.is_none() && state.endpoints.load().list != list {
            state.endpoints.store(list);
        }
        Arc::clone(state)
    }

    /// The zones of a table: those that it has already, and new ones.
    fn zones(&self, table: &RoutingTable, memory: &Arc<Memory>) -> HashMap<ZoneKey, Arc<Zone>> {
        let mut zones = HashMap::new();
        let accesses = table.routes.iter().filter_map(|route| route.policy.access.as_ref());
        for key in accesses.filter_map(|access| Some(&access.limits.as_ref()?.zone)) {
            if !zones.contains_key(key) {
                let zone = self.zones.get(key).map_or_else(|| Arc::new(Zone::new(memory)), Arc::clone);
                zones.insert(key.clone(), zone);
            }
        }
        zones
    }

    fn tls(&mut self, settings: &Arc<UpstreamTls>) -> Arc<ClientTls> {
        if let Some(known) = self.client_tls.get(settings) {
            return Arc::clone(known);
        }
        let built = Arc::new(ClientTls::new(settings));
        self.client_tls.insert(Arc::clone(settings), Arc::clone(&built));
        built
    }
}
