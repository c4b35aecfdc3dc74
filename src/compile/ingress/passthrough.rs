//! `ssl-passthrough`: hosts whose TLS is left to their Services (contract §12).

use std::collections::{BTreeMap, HashSet};

use super::servers::{DEFAULT_SERVER, Location, Server, Servers};
use super::{Input, Owned};
use crate::base::diagnostic::{Reason, Severity};
use crate::compile::report::Report;
use crate::table::{Index, Target};

/// The hosts that are passed through, each with the upstream of its path `/`. Whoever else uses such an upstream speaks
/// TLS to it, too: its endpoints do nothing else.
pub fn select(
    input: Input<'_>,
    owned: &[Owned],
    servers: &mut Servers<'_>,
    report: &mut Report,
) -> BTreeMap<Box<str>, Index> {
    let mut hosts = BTreeMap::new();
    let mut tell = |item: &Owned, message: String| {
        let key = Some(format!("{}/ssl-passthrough", input.options.annotations.prefix));
        report.ingress(Severity::Warning, Reason::UnsupportedAnnotation, &item.ingress, key, message);
    };
    let asks = |item: &Owned| item.annotations().ssl_passthrough == Some(true);
    if !input.options.ssl_passthrough {
        for item in owned.iter().filter(|item| asks(item) && !item.is_canary()) {
            tell(item, "--enable-ssl-passthrough is off: TLS is ended here".to_owned());
        }
        return hosts;
    }
    for (host, server) in servers.iter() {
        let Some(item) = server.owners.iter().filter_map(|i| owned.get(*i)).find(|item| asks(item)) else { continue };
        if host == DEFAULT_SERVER || host.starts_with('*') {
            tell(item, format!("TLS for host {host:?} is ended here: only a whole name is passed through"));
        } else if let Some(upstream) = root(server) {
            hosts.insert(host.as_str().into(), upstream);
        } else {
            tell(item, format!("TLS for host {host:?} is ended here: it has no path / with a Service"));
        }
    }
    let upstreams: HashSet<Index> = hosts.values().copied().collect();
    if !upstreams.is_empty() {
        for location in servers.values_mut().flat_map(|server| &mut server.locations) {
            location.speaks_tls = matches!(location.target, Target::Upstream(index) if upstreams.contains(&index));
        }
    }
    hosts
}

fn root(server: &Server<'_>) -> Option<Index> {
    let usable = |location: &&Location<'_>| !location.has_no_backend();
    let location = server.get("/", false).filter(usable).or_else(|| server.get("/", true).filter(usable))?;
    match location.target {
        Target::Upstream(index) => Some(index),
        Target::NotFound => None,
    }
}
