//! Services and EndpointSlices to endpoints (contract §11).

use std::collections::{BTreeMap, HashMap, HashSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use super::report;
use crate::base::diagnostic::{Diagnostic, Reason, Severity};
use crate::snapshot::{ConfigMap, EndpointSlice, Ingress, IntOrString, ObjectKey, Service, ServicePort, Snapshot};
use crate::table::{DnsName, Endpoint, EndpointSet, Protocol, UpstreamKey};

/// How one upstream finds its endpoints: what an Ingress said, with the rest left to the Service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    pub service: ObjectKey,
    /// The backend's port as written: a number or a name.
    pub port: Arc<str>,
    pub lookup: PortLookup,
    /// `service-upstream`: the cluster IP is the one endpoint.
    pub cluster_ip: bool,
    pub external_name: ExternalNames,
    /// Where the endpoints are when there is no such Service or port: the host of a URL is a Service, a name or an address.
    pub otherwise: Option<EndpointSet>,
}

/// Which of a Service's ports a written one is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PortLookup {
    /// An Ingress backend's: the first by number, target port or name (contract §11). Its endpoints' ports are TCP.
    #[default]
    Backend,
    /// A TCP or UDP service's: the number, or else the name, among the ports of that protocol (contract §18). A Service
    /// may have one number twice, as DNS has 53.
    Stream(Protocol),
}

impl PortLookup {
    fn protocol(self) -> Protocol {
        match self {
            Self::Backend => Protocol::Tcp,
            Self::Stream(protocol) => protocol,
        }
    }
}

/// Which ExternalName Services are taken (contract §11).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ExternalNames {
    /// `--disable-svc-external-name`.
    Off,
    /// None that is this host: through it the proxy's own ports could be reached.
    #[default]
    Elsewhere,
    /// Loopback addresses, too, but for the well-known one: a directory's endpoints may be there anyway.
    Loopback,
}

impl ExternalNames {
    /// Whether a URL of an annotation may lead to this address. Who writes a directory is who runs the proxy, and may ask
    /// this host; in a cluster nobody else's Ingress may.
    pub fn allow_asking(self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        !address.is_unspecified() && (!address.is_loopback() || self == Self::Loopback)
    }

    fn allow(self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        // Connecting to it leads to this host.
        if address.is_unspecified() {
            return false;
        }
        let well_known = address == Ipv4Addr::LOCALHOST || address == Ipv6Addr::LOCALHOST;
        !address.is_loopback() || (self == Self::Loopback && !well_known)
    }
}

/// Slices by Service, so that ten thousand upstreams do not scan ten thousand slices each.
#[derive(Debug, Default)]
pub struct SliceIndex<'a> {
    by_service: HashMap<(&'a str, &'a str), Vec<&'a EndpointSlice>>,
}

impl<'a> SliceIndex<'a> {
    pub fn new(snapshot: &'a Snapshot) -> Self {
        let mut by_service: HashMap<_, Vec<_>> = HashMap::new();
        for (key, slice) in &snapshot.endpoint_slices {
            if let Some(service) = slice.service_name() {
                by_service.entry((&*key.namespace, service)).or_default().push(&**slice);
            }
        }
        Self { by_service }
    }

    pub fn of<'s>(&'s self, service: &'s ObjectKey) -> &'s [&'a EndpointSlice] {
        self.by_service.get(&(&*service.namespace, &*service.name)).map_or(&[], Vec::as_slice)
    }
}

/// Why an upstream has no endpoints, when it is the configuration's fault.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Missing {
    #[error("the Service does not exist")]
    Service,
    #[error("the Service has no port {0}")]
    Port(Arc<str>),
    #[error("the Service has no {0} port {1}")]
    ProtocolPort(Protocol, Arc<str>),
    #[error("the Service has no cluster IP")]
    ClusterIp,
    #[error("the external name {0} cannot be used: it is no DNS name, or it names this host")]
    ExternalName(String),
    #[error("ExternalName Services are switched off")]
    ExternalNameOff,
}

/// Where an upstream's endpoints come from, to find them again when only EndpointSlices changed.
#[derive(Clone, Debug, PartialEq)]
pub struct Source {
    pub plan: Plan,
    /// Who names the upstream first: it is told when there are none.
    pub owner: Option<Owner>,
}

/// Who names an upstream.
#[derive(Clone, Debug, PartialEq)]
pub enum Owner {
    Ingress(Arc<Ingress>),
    /// A canary Ingress, whose paths others serve, too.
    Canary(Arc<Ingress>),
    /// An Ingress by its `default-backend` alone.
    StandIn(Arc<Ingress>),
    /// An annotation that names a URL, and what is lost while nobody is there.
    Url(Arc<Ingress>, &'static str, &'static str),
    /// A key of a ConfigMap of TCP or UDP services.
    Stream(Arc<ConfigMap>, Arc<str>),
}

/// The endpoints of every upstream, and what is wrong with those that have none.
#[derive(Debug, Default)]
pub struct Endpoints {
    pub sets: BTreeMap<UpstreamKey, EndpointSet>,
    pub problems: BTreeMap<UpstreamKey, Diagnostic>,
}

impl Source {
    /// The endpoints there are now among the slices of its Service, and what is wrong when there are none.
    pub fn resolve<'a>(
        &self,
        snapshot: &Snapshot,
        slices: impl Iterator<Item = &'a EndpointSlice>,
    ) -> (EndpointSet, Option<Diagnostic>) {
        let resolved = resolve(&self.plan, snapshot, slices);
        let problem = self.owner.as_ref().and_then(|owner| problem(&self.plan, &resolved, owner));
        (resolved.unwrap_or_default(), problem)
    }
}

fn problem(plan: &Plan, resolved: &Result<EndpointSet, Missing>, owner: &Owner) -> Option<Diagnostic> {
    let (reason, what) = match resolved {
        Err(missing) => (Reason::MissingReference, missing.to_string()),
        Ok(EndpointSet::Fixed(list)) if list.is_empty() => {
            (Reason::NoEndpoints, "the Service has no ready endpoint".to_owned())
        }
        Ok(_) => return None,
    };
    let Plan { service, port, .. } = plan;
    let severity = Severity::Warning;
    Some(match owner {
        Owner::Ingress(ingress) | Owner::Canary(ingress) | Owner::StandIn(ingress) => {
            let key = Some(format!("backend {}:{port}", service.name));
            let cost = match owner {
                Owner::Canary(_) => "the canary takes no requests",
                Owner::StandIn(_) => "it stands in for nothing",
                Owner::Ingress(_) | Owner::Url(..) | Owner::Stream(..) => "its paths answer 503",
            };
            report::about(severity, reason, "Ingress", &ingress.metadata, key, format!("{what}; {cost}"))
        }
        Owner::Url(ingress, key, cost) => {
            let message = format!("{service}:{port}: {what}; {cost}");
            report::about(severity, reason, "Ingress", &ingress.metadata, Some((*key).to_owned()), message)
        }
        Owner::Stream(map, key) => {
            let message = format!("{service}:{port}: {what}; the port stays closed");
            report::about(severity, reason, "ConfigMap", &map.metadata, Some(key.to_string()), message)
        }
    })
}

/// The endpoints that a plan leads to now. Not-ready endpoints are left out.
fn resolve<'a>(
    plan: &Plan,
    snapshot: &Snapshot,
    slices: impl Iterator<Item = &'a EndpointSlice>,
) -> Result<EndpointSet, Missing> {
    match (of_service(plan, snapshot, slices), &plan.otherwise) {
        (Err(_), Some(otherwise)) => Ok(otherwise.clone()),
        (resolved, _) => resolved,
    }
}

fn of_service<'a>(
    plan: &Plan,
    snapshot: &Snapshot,
    slices: impl Iterator<Item = &'a EndpointSlice>,
) -> Result<EndpointSet, Missing> {
    let service = snapshot.services.get(&plan.service).ok_or(Missing::Service)?;
    if plan.cluster_ip
        && let Ok(set) = cluster_ip(service, &plan.port)
    {
        return Ok(set);
    }
    if service.spec.service_type == "ExternalName" {
        return external_name(plan, service);
    }
    let port = find_port(service, plan).ok_or_else(|| missing_port(plan))?;
    Ok(EndpointSet::Fixed(from_slices(port, plan.lookup.protocol(), slices).into()))
}

fn missing_port(plan: &Plan) -> Missing {
    match plan.lookup {
        PortLookup::Backend => Missing::Port(plan.port.clone()),
        PortLookup::Stream(protocol) => Missing::ProtocolPort(protocol, plan.port.clone()),
    }
}

/// The port that a plan means, the first one in the order of the Service.
fn find_port<'a>(service: &'a Service, plan: &Plan) -> Option<&'a ServicePort> {
    let wanted = &*plan.port;
    if let PortLookup::Stream(protocol) = plan.lookup {
        let number = wanted.parse::<i32>().ok();
        let named = |port: &ServicePort| number.map_or(port.name == wanted, |number| port.port == number);
        return service.spec.ports.iter().find(|port| is_of(&port.protocol, protocol) && named(port));
    }
    service.spec.ports.iter().find(|port| {
        let is_target = || match &port.target_port {
            Some(IntOrString::Int(number)) => is_number(*number, wanted),
            Some(IntOrString::String(name)) => **name == *wanted,
            None => false,
        };
        is_number(port.port, wanted) || is_target() || port.name == wanted
    })
}

/// No protocol is TCP, as the API server fills it in.
fn is_of(written: &str, protocol: Protocol) -> bool {
    let written = if written.is_empty() { Protocol::Tcp.as_str() } else { written };
    written == protocol.as_str()
}

fn is_number(number: i32, text: &str) -> bool {
    itoa::Buffer::new().format(number) == text
}

fn cluster_ip(service: &Service, wanted: &str) -> Result<EndpointSet, Missing> {
    let address: IpAddr = service.spec.cluster_ip.parse().map_err(|_| Missing::ClusterIp)?;
    let named = || service.spec.ports.iter().find(|p| p.name == wanted).and_then(|p| u16::try_from(p.port).ok());
    let port = wanted.parse().ok().or_else(named).ok_or_else(|| Missing::Port(wanted.into()))?;
    Ok(EndpointSet::Fixed([Endpoint { address: SocketAddr::new(address, port) }].into()))
}

/// Ports are optional on an ExternalName Service: the backend's number is used then.
fn external_name(plan: &Plan, service: &Service) -> Result<EndpointSet, Missing> {
    if plan.external_name == ExternalNames::Off {
        return Err(Missing::ExternalNameOff);
    }
    let name = service.spec.external_name.trim_end_matches('.').to_ascii_lowercase();
    let number = |port: &ServicePort| match &port.target_port {
        Some(IntOrString::Int(n)) if *n > 0 => Some(*n),
        _ => Some(port.port),
    };
    let port = find_port(service, plan).and_then(number).or_else(|| plan.port.parse().ok());
    let port = port.and_then(|n| u16::try_from(n).ok()).ok_or_else(|| missing_port(plan))?;
    if let Ok(address) = name.parse::<IpAddr>() {
        if !plan.external_name.allow(address) {
            return Err(Missing::ExternalName(name));
        }
        return Ok(EndpointSet::Fixed([Endpoint { address: SocketAddr::new(address, port) }].into()));
    }
    if name == "localhost" || !is_dns_name(&name) {
        return Err(Missing::ExternalName(name));
    }
    Ok(EndpointSet::Dns(DnsName { name: name.into(), port, loopback: plan.external_name == ExternalNames::Loopback }))
}

/// RFC 1123 subdomain.
pub fn is_dns_name(name: &str) -> bool {
    let label = |l: &str| {
        (1..=63).contains(&l.len())
            && !l.starts_with('-')
            && !l.ends_with('-')
            && l.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
    };
    name.len() <= 253 && name.split('.').all(label)
}

fn from_slices<'a>(
    port: &ServicePort,
    protocol: Protocol,
    slices: impl Iterator<Item = &'a EndpointSlice>,
) -> Vec<Endpoint> {
    let mut seen = HashSet::new();
    let mut endpoints = Vec::new();
    for slice in slices {
        let ports = slice_ports(port, protocol, slice);
        let ready = slice.endpoints.iter().filter(|e| e.conditions.ready != Some(false));
        for (endpoint, number) in ready.flat_map(|e| ports.iter().map(move |n| (e, *n))) {
            for address in endpoint.addresses.iter().filter_map(|a| a.parse::<IpAddr>().ok()) {
                let address = SocketAddr::new(address, number);
                if seen.insert(address) {
                    endpoints.push(Endpoint { address });
                }
            }
        }
    }
    endpoints
}

/// The ports of a slice that belong to a Service port: by name, the only one of an unnamed port, or a numeric target port.
fn slice_ports(port: &ServicePort, protocol: Protocol, slice: &EndpointSlice) -> Vec<u16> {
    let target = match &port.target_port {
        Some(IntOrString::Int(n)) => u16::try_from(*n).ok().filter(|n| *n != 0),
        _ => None,
    };
    if slice.ports.is_empty() {
        // Where the API server has not filled the target in, it is the port's own number.
        let own = || u16::try_from(port.port).ok().filter(|_| port.target_port.is_none());
        return target.or_else(own).into_iter().collect();
    }
    let right = slice.ports.iter().filter(|p| is_of(p.protocol.as_deref().unwrap_or_default(), protocol));
    right
        .filter_map(|p| {
            let named = port.name.is_empty() || p.name.as_deref() == Some(port.name.as_str());
            let number = p.port.and_then(|n| u16::try_from(n).ok()).filter(|n| *n != 0);
            if named { number.or(target) } else { target }
        })
        .collect()
}
