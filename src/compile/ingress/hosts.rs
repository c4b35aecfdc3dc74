//! Servers to virtual hosts: path tables, aliases, what holds for a whole host.

use std::sync::Arc;

use http::StatusCode;

use super::client_certificates::{ClientCertificates, HostAuth};
use super::locations::Routes;
use super::policy::answers::drops_redirects;
use super::servers::{DEFAULT_SERVER, Server, Servers};
use super::tls::Certificates;
use super::{Input, Owned, snippets};
use crate::base::diagnostic::{Reason, Severity};
use crate::compile::settings::tls;
use crate::policy::redirect::{Redirect, counterpart};
use crate::policy::server_tls::ServerTls;
use crate::table::path::LiteralPaths;
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
    client_certificates: &mut ClientCertificates<'_>,
    routes: &mut Routes<'_>,
) -> Hosts {
    for (host, server) in &mut servers {
        server.snippet = routes.host_snippet(host, server);
        let auth = client_certificates.of_host(server, routes.report()).auth;
        server.has_error_page = auth.is_some_and(|auth| auth.error_page.is_some());
    }
    routes.admit(&servers);
    let position = |host: &str| servers.keys().position(|h| h == host);
    let default = position(DEFAULT_SERVER).and_then(|i| Index::try_from(i).ok()).unwrap_or(0);
    let mut table = HostTable::new(default);
    for (index, host) in servers.keys().enumerate().filter(|(_, host)| *host != DEFAULT_SERVER) {
        table.add_rule(host, Index::try_from(index).unwrap_or(default));
    }
    let counterparts = counterparts(&servers, routes);
    // Before aliases, because nginx reads these servers first.
    for (position, (from, _)) in counterparts.iter().enumerate() {
        table.add_rule(from, Index::try_from(servers.len() + position).unwrap_or(default));
    }
    let mut virtual_hosts = Vec::with_capacity(servers.len() + counterparts.len());
    for (index, (host, server)) in servers.iter().enumerate() {
        let index = Index::try_from(index).unwrap_or(default);
        let names = add_aliases(&mut table, index, host, server, &servers, routes);
        let aliases = (!names.is_empty()).then(|| Box::new(certify(names, (host, index), &table, certificates)));
        let is_default = host == DEFAULT_SERVER;
        let HostAuth { auth, forbidden } = client_certificates.of_host(server, routes.report());
        virtual_hosts.push(VirtualHost {
            name: routes.text(host),
            has_certificate: certificates.covers(host),
            aliases,
            client_auth: auth,
            forbidden,
            tls: server_tls(input, server, routes),
            app_root: app_root(input, server, routes),
            health_path: is_default.then(|| Arc::clone(&input.options.health_path)),
            redirect_to: None,
            snippet: snippets::of_host(input, server),
            paths: routes.paths(host, server),
        });
    }
    for (from, to) in counterparts {
        // The host's certificate is shown where it is valid for this name, too.
        if let Some(own) = certificates.table.of_host(&to).filter(|own| own.covers(&from)).cloned() {
            certificates.table.add(&from, own);
        }
        virtual_hosts.push(VirtualHost {
            name: routes.text(&from),
            has_certificate: false,
            aliases: None,
            client_auth: None,
            forbidden: None,
            tls: None,
            app_root: None,
            health_path: None,
            redirect_to: Some(routes.text(&to)),
            snippet: None,
            paths: LiteralPaths::default().build(),
        });
    }
    Hosts { table, virtual_hosts }
}

/// The names that `from-to-www-redirect` adds, each with the host that it leads to: hosts of one of whose locations it
/// is asked for. A name that is a host of its own stays that (contract §7.9).
fn counterparts(servers: &Servers<'_>, routes: &mut Routes<'_>) -> Vec<(String, String)> {
    let mut added = Vec::new();
    for (host, server) in servers {
        let asks = |owner: &&Owned| {
            owner.annotations().from_to_www_redirect == Some(true) && !drops_redirects(owner.annotations())
        };
        let Some(owner) = server.locations.iter().filter_map(|l| routes.owner(l)).find(asks) else { continue };
        let key = Some("from-to-www-redirect".to_owned());
        let Some(from) = counterpart(host) else {
            let message = format!("the host {host:?} has no counterpart with or without www.");
            routes.tell(owner, Severity::Warning, Reason::UnsupportedAnnotation, key, message);
            continue;
        };
        if servers.contains_key(&from) {
            let message = format!("{from} is the host of a rule: it is not redirected to {host}");
            routes.tell(owner, Severity::Warning, Reason::Conflict, key, message);
            continue;
        }
        added.push((from, host.clone()));
    }
    added
}

/// Any Ingress of the host; the first location that has one, in the order in which nginx reads them (contract §5.7). Else
/// the ConfigMap's.
fn app_root(input: Input<'_>, server: &Server<'_>, routes: &mut Routes<'_>) -> Option<Arc<Redirect>> {
    let mut ordered: Vec<_> = server.locations.iter().filter(|l| !l.is_catch_all).collect();
    ordered.sort_by(|a, b| super::locations::nginx_order(a, b));
    let own = ordered.iter().find_map(|l| {
        let owner = routes.owner(l)?;
        Some((owner, owner.annotations().app_root.as_ref()?.as_str()))
    });
    let (owner, root) = own.or_else(|| {
        let owner = ordered.iter().find_map(|l| routes.owner(l))?;
        Some((owner, input.settings.of(&owner.ingress).headers.app_root.as_deref()?))
    })?;
    match Redirect::new(StatusCode::FOUND, root) {
        Ok(redirect) => Some(Arc::new(redirect)),
        Err(reason) => {
            let message = format!("{root:?} cannot be used: {reason}; the root is not redirected");
            let key = Some("app-root".to_owned());
            routes.tell(owner, Severity::Warning, Reason::AnnotationParsingFailed, key, message);
            None
        }
    }
}

/// `ssl-ciphers` and `ssl-prefer-server-ciphers`, each of the oldest Ingress that has it (contract §2.2).
fn server_tls(input: Input<'_>, server: &Server<'_>, routes: &mut Routes<'_>) -> Option<Arc<ServerTls>> {
    let common = &input.settings.main.global.tls.common;
    let owners = || server.owners.iter().filter_map(|i| routes.owned(*i));
    let ciphers = owners().find_map(|o| Some((o, o.annotations().ssl_ciphers.as_ref()?)));
    let prefer_server = owners().find_map(|o| o.annotations().ssl_prefer_server_ciphers);
    if let Some((owner, message)) = ciphers.and_then(|(owner, list)| Some((owner, tls::cipher_warning(&list.0)?))) {
        let key = Some("ssl-ciphers".to_owned());
        routes.tell(owner, Severity::Warning, Reason::UnsupportedAnnotation, key, message);
    }
    let own = ServerTls {
        ciphers: ciphers.and_then(|(_, list)| tls::numbers(&list.0)).unwrap_or_else(|| Arc::clone(&common.ciphers)),
        prefer_server: prefer_server.unwrap_or(common.prefer_server),
        ..common.clone()
    };
    (own != *common).then(|| Arc::new(own))
}

/// An alias is shown the host's certificate only where that is valid for it.
fn certify(
    names: Vec<String>,
    (host, index): (&str, Index),
    table: &HostTable,
    certificates: &mut Certificates,
) -> Aliases {
    let own = certificates.table.of_host(host).cloned();
    let mut certified = Vec::new();
    let each = names.iter().map(|name| name.to_ascii_lowercase()).flat_map(|name| match name.strip_prefix('.') {
        Some(both) => vec![both.to_owned(), format!("*{name}")],
        None => vec![name],
    });
    for name in each.filter(|name| name.starts_with('*') || table.find(name) == index) {
        if let Some(certificate) = own.as_ref().filter(|certificate| certificate.covers(&name)) {
            certificates.table.add(&name, Arc::clone(certificate));
            certified.push(name);
        }
    }
    Aliases { names, certified }
}

/// A star stands for whole labels, at one end (nginx's `server_name`).
fn is_server_name(alias: &str) -> bool {
    let name = alias.strip_prefix("*.").or_else(|| alias.strip_prefix('.')).or_else(|| alias.strip_suffix(".*"));
    let name = name.unwrap_or(alias);
    !name.is_empty() && !name.contains('*') && !name.starts_with('.') && !name.ends_with('.') && !name.contains("..")
}

/// The regex of an alias that is one.
pub fn alias_pattern(alias: &str) -> Option<&str> {
    alias.strip_prefix('~').map(|pattern| pattern.trim_start_matches('*'))
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
    let Some((position, owner)) = routes.aliasing(server) else { return Vec::new() };
    let mut taken = Vec::new();
    let aliases = owner.annotations().server_alias.clone().map(|a| a.0).unwrap_or_default();
    for alias in aliases {
        // A wildcard host stays one of a single label, which its alias would not be.
        if alias.eq_ignore_ascii_case(host) {
            continue;
        }
        let alias = if alias.starts_with('~') { alias } else { alias.to_ascii_lowercase() };
        let refused = if let Some(pattern) = alias_pattern(&alias) {
            match routes.admitted(position, host, &alias).and_then(|()| routes.regexes().pattern(pattern)) {
                Ok(regex) => {
                    table.add_alias_regex(regex, index);
                    None
                }
                Err(reason) => Some(format!("the alias {alias:?} is no regex that can be used: {reason}")),
            }
        } else {
            if !is_server_name(&alias) {
                Some(format!("the alias {alias:?} is none of a name, *.name, .name and name.*"))
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
