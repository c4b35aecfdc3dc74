//! Servers to virtual hosts: path tables, aliases, what holds for a whole host.

use std::sync::Arc;

use super::locations::Routes;
use super::servers::{DEFAULT_SERVER, Server, Servers};
use super::tls::Certificates;
use super::{Input, snippets};
use crate::base::diagnostic::{Reason, Severity};
use crate::policy::rewrite::build_regex;
use crate::table::{Aliases, HostTable, Index, VirtualHost};

#[derive(Debug)]
pub struct Hosts {
    pub table: HostTable,
    pub virtual_hosts: Vec<VirtualHost>,
}

pub fn build(
    input: Input<'_>,
    mut servers: Servers<'_>,
    certificates: &mut Certificates,
    routes: &mut Routes<'_>,
) -> Hosts {
    for (host, server) in &mut servers {
        server.snippet = routes.host_snippet(host, server);
    }
    let position = |host: &str| servers.keys().position(|h| h == host);
    let default = position(DEFAULT_SERVER).and_then(|i| Index::try_from(i).ok()).unwrap_or(0);
    let mut table = HostTable::new(default);
    for (index, host) in servers.keys().enumerate().filter(|(_, host)| *host != DEFAULT_SERVER) {
        table.add_rule(host, Index::try_from(index).unwrap_or(default));
    }
    let mut virtual_hosts = Vec::with_capacity(servers.len());
    for (index, (host, server)) in servers.iter().enumerate() {
        let index = Index::try_from(index).unwrap_or(default);
        let names = add_aliases(&mut table, index, host, server, &servers, routes);
        let aliases = (!names.is_empty()).then(|| Box::new(certify(names, host, certificates)));
        let is_default = host == DEFAULT_SERVER;
        virtual_hosts.push(VirtualHost {
            name: routes.text(host),
            has_certificate: certificates.covers(host),
            aliases,
            app_root: app_root(server, routes),
            health_path: is_default.then(|| Arc::clone(&input.options.health_path)),
            snippet: snippets::of_host(input, server),
            paths: routes.paths(host, server),
        });
    }
    Hosts { table, virtual_hosts }
}

/// Any Ingress of the host; the first location that has one, in the order in which nginx reads them (contract §5.7).
fn app_root(server: &Server<'_>, routes: &Routes<'_>) -> Option<Arc<str>> {
    let mut ordered: Vec<_> = server.locations.iter().filter(|l| !l.is_catch_all).collect();
    ordered.sort_by(|a, b| super::locations::nginx_order(a, b));
    ordered
        .iter()
        .filter_map(|l| routes.owner(l)?.annotations().app_root.as_ref())
        .next()
        .map(|root| root.as_str().into())
}

/// An alias is shown the host's certificate only where that is valid for it.
fn certify(names: Vec<String>, host: &str, certificates: &mut Certificates) -> Aliases {
    let own = certificates.table.of_host(host).cloned();
    let mut certified = Vec::new();
    for name in names.iter().map(|name| name.to_ascii_lowercase()) {
        if let Some(certificate) = own.as_ref().filter(|certificate| certificate.covers(&name)) {
            certificates.table.add(&name, Arc::clone(certificate));
            certified.push(name);
        }
    }
    Aliases { names, certified }
}

/// `server-alias` of the first Ingress of the host that sets one; a name that is a host, or taken, is dropped (§3.6).
fn add_aliases(
    table: &mut HostTable,
    index: Index,
    host: &str,
    server: &Server<'_>,
    servers: &Servers<'_>,
    routes: &mut Routes<'_>,
) -> Vec<String> {
    let owners = server.owners.iter().filter_map(|i| routes.owned(*i));
    let Some(owner) = owners.into_iter().find(|o| o.annotations().server_alias.is_some()) else { return Vec::new() };
    let mut taken = Vec::new();
    let aliases = owner.annotations().server_alias.clone().map(|a| a.0).unwrap_or_default();
    for alias in aliases {
        // A wildcard host stays one of a single label, which its alias would not be.
        if alias.eq_ignore_ascii_case(host) {
            continue;
        }
        let alias = if alias.starts_with('~') { alias } else { alias.to_ascii_lowercase() };
        let refused = if let Some(pattern) = alias.strip_prefix('~') {
            match build_regex(&[pattern.trim_start_matches('*')]) {
                Ok(regex) => {
                    table.add_alias_regex(regex, index);
                    None
                }
                Err(reason) => Some(format!("the alias {alias:?} is no regex that can be used: {reason}")),
            }
        } else {
            let odd = alias.starts_with('.') || alias.ends_with(".*");
            if odd {
                Some(format!("the alias {alias:?} has a form of nginx's names that is not in this version yet"))
            } else if servers.contains_key(&alias) {
                Some(format!("the alias {alias:?} is the host of a rule, which keeps it"))
            } else if table.has_alias(&alias) {
                Some(format!("the alias {alias:?} is already taken"))
            } else {
                table.add_alias(&alias, index);
                None
            }
        };
        match refused {
            Some(message) => {
                routes.tell(owner, Severity::Warning, Reason::Conflict, Some("server-alias".to_owned()), message);
            }
            None => taken.push(alias),
        }
    }
    taken
}
