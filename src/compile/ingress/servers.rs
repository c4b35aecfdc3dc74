//! Rules to servers: which locations a host has, and who owns each (contract §2.2, §4).

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use super::Owned;
use super::upstreams::{Backend, Upstreams};
use crate::base::diagnostic::{Reason, Severity};
use crate::compile::report::Report;
use crate::compile::snippet::Level;
use crate::snapshot::{HttpIngressPath, IngressBackend, IngressRule, PathType};
use crate::table::{Index, Target};

/// The name of the default server.
pub const DEFAULT_SERVER: &str = "_";

/// One location before its policy is resolved. `owner` indexes the owned Ingresses.
#[derive(Clone, Debug)]
pub struct Location<'a> {
    pub path: &'a str,
    pub exact: bool,
    pub owner: Option<usize>,
    pub target: Target,
    pub service: Arc<str>,
    pub port: Arc<str>,
    /// The location `/` that exists without a rule (contract §4.5).
    pub is_default: bool,
    /// An Ingress without rules serves the default server: its redirects and rewrites do not apply (§2.5).
    pub is_catch_all: bool,
    /// Its upstream's endpoints end the TLS of a host that is passed through.
    pub speaks_tls: bool,
    /// The upstream of `default-backend`.
    pub stand_in: Option<Index>,
}

impl Location<'_> {
    /// No Ingress says where its requests go: they go to the default backend of the controller.
    pub fn has_no_backend(&self) -> bool {
        self.service.is_empty()
    }
}

#[derive(Debug)]
pub struct Server<'a> {
    pub locations: Vec<Location<'a>>,
    /// Where each `(path, exact)` stands in `locations`.
    index: HashMap<(&'a str, bool), usize>,
    /// The Ingresses that have a rule for this host, in order.
    pub owners: Vec<usize>,
    /// The canary Ingresses that have a rule for this host, in order. They own no location of it.
    pub canaries: Vec<usize>,
    /// Why all its locations answer 503.
    pub denied: Option<Arc<str>>,
    /// The host's and the ConfigMap's snippets of servers, if there are any.
    pub snippet: Option<Level>,
    /// It has an `error_page` of its own (`auth-tls-error-page`), beside which nginx does not look at the ConfigMap's.
    pub has_error_page: bool,
}

impl<'a> Server<'a> {
    fn new(root: Location<'a>) -> Self {
        let index = HashMap::from_iter([((root.path, root.exact), 0)]);
        Self {
            locations: vec![root],
            index,
            owners: Vec::new(),
            canaries: Vec::new(),
            denied: None,
            snippet: None,
            has_error_page: false,
        }
    }
}

pub type Servers<'a> = BTreeMap<String, Server<'a>>;

/// Servers of all owned Ingresses, by lower-case host, [`DEFAULT_SERVER`] included.
pub fn collect<'a>(owned: &'a [Owned], upstreams: &mut Upstreams<'_>, report: &mut Report) -> Servers<'a> {
    let nothing: Arc<str> = Arc::from("");
    let default = Backend { target: upstreams.default_target(), service: nothing.clone(), port: nothing };
    let root = |owner, Backend { target, service, port }| Location {
        path: "/",
        exact: false,
        owner,
        target,
        service,
        port,
        is_default: true,
        is_catch_all: false,
        speaks_tls: false,
        stand_in: None,
    };
    let mut servers = Servers::new();
    servers.insert(DEFAULT_SERVER.to_owned(), Server::new(root(None, default.clone())));
    for (index, item) in owned.iter().enumerate().filter(|(_, item)| !item.is_canary()) {
        let own_default = default_backend(item, index, owned, upstreams);
        let stand_in = upstreams.stand_in(index, owned);
        if let (Some(own), true) = (&own_default, item.ingress.spec.rules.is_empty()) {
            catch_all(&mut servers, own, stand_in, (index, owned), report);
        }
        for (number, rule) in item.ingress.spec.rules.iter().enumerate() {
            let Some(host) = rule_host(rule, number, item, report) else { continue };
            let server = servers.entry(host).or_insert_with(|| {
                let root = root(Some(index), own_default.clone().unwrap_or_else(|| default.clone()));
                Server::new(Location { stand_in: stand_in.filter(|_| own_default.is_some()), ..root })
            });
            if server.owners.last() != Some(&index) {
                server.owners.push(index);
                server.denied = server.denied.take().or_else(|| item.denies_hosts.clone());
            }
            add_paths(server, rule, number, (index, owned), stand_in, upstreams, report);
        }
    }
    servers
}

fn default_backend(item: &Owned, owner: usize, owned: &[Owned], upstreams: &mut Upstreams<'_>) -> Option<Backend> {
    let service = item.ingress.spec.default_backend.as_ref()?.service.as_ref()?;
    Some(upstreams.add(service, owner, owned))
}

/// An Ingress with a default backend and no rules takes the default server's root; the first one wins (§2.5). It also
/// wins over any rule, because ingress-nginx places catch-alls before it looks at rules.
fn catch_all(
    servers: &mut Servers<'_>,
    own: &Backend,
    stand_in: Option<Index>,
    (index, owned): (usize, &[Owned]),
    report: &mut Report,
) {
    let Some(item) = owned.get(index) else { return };
    let Some(root) = servers.get_mut(DEFAULT_SERVER).and_then(|s| s.locations.first_mut()) else { return };
    if root.is_catch_all {
        let message = "an older Ingress is already the catch-all of the default server";
        let key = Some("spec.defaultBackend".to_owned());
        report.ingress(Severity::Warning, Reason::Conflict, &item.ingress, key, message);
        return;
    }
    if let Some(rule) = root.owner.and_then(|owner| owned.get(owner)) {
        conflict(rule, Some(item), "", root.path, "spec.rules".to_owned(), report);
    }
    let Backend { target, service, port } = own.clone();
    let owner = Some(index);
    *root = Location { owner, target, service, port, is_default: false, is_catch_all: true, stand_in, ..root.clone() };
}

/// The lower-case host of a rule, [`DEFAULT_SERVER`] for none, or `None` when it is no host.
pub fn rule_host(rule: &IngressRule, number: usize, item: &Owned, report: &mut Report) -> Option<String> {
    if rule.host.is_empty() {
        return Some(DEFAULT_SERVER.to_owned());
    }
    let host = rule.host.to_ascii_lowercase();
    let label = |l: &str| {
        (1..=63).contains(&l.len()) && l.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-') && !l.starts_with('-')
    };
    let name = host.strip_prefix("*.").unwrap_or(&host);
    if name.len() <= 253 && name.split('.').all(label) {
        return Some(host);
    }
    let key = Some(format!("spec.rules[{number}].host"));
    let message = format!("{:?} is neither a DNS name nor *. and a DNS name; the rule is not served", rule.host);
    report.ingress(Severity::Error, Reason::InvalidRule, &item.ingress, key, message);
    None
}

fn add_paths<'a>(
    server: &mut Server<'a>,
    rule: &'a IngressRule,
    number: usize,
    (index, owned): (usize, &'a [Owned]),
    stand_in: Option<Index>,
    upstreams: &mut Upstreams<'_>,
    report: &mut Report,
) {
    let Some(item) = owned.get(index) else { return };
    for (position, path) in rule.http.iter().flat_map(|http| http.paths.iter()).enumerate() {
        let key = || format!("spec.rules[{number}].http.paths[{position}]");
        let text = path_text(path);
        if !text.starts_with('/') || text.chars().any(char::is_control) {
            let message = format!("{text:?} is not an absolute path without control characters; it is not served");
            report.ingress(Severity::Error, Reason::InvalidRule, &item.ingress, Some(key()), message);
            continue;
        }
        let Some(service) = service_of(&path.backend) else { continue };
        let exact = is_exact(path);
        if let Some(holder) = server.holder(text, exact) {
            conflict(item, holder.and_then(|h| owned.get(h)), &rule.host, text, key(), report);
            continue;
        }
        let Backend { target, service, port } = upstreams.add(service, index, owned);
        upstreams.meet(target, item);
        let location = Location {
            path: text,
            exact,
            owner: Some(index),
            target,
            service,
            port,
            is_default: false,
            is_catch_all: false,
            speaks_tls: false,
            stand_in,
        };
        server.put(location);
    }
}

impl<'a> Server<'a> {
    /// The location that was put in for exactly this text and type.
    pub fn get(&self, path: &str, exact: bool) -> Option<&Location<'a>> {
        self.locations.get(*self.index.get(&(path, exact))?)
    }

    /// Who has a location already; a default root can still be taken.
    fn holder(&self, path: &str, exact: bool) -> Option<Option<usize>> {
        let location = self.get(path, exact)?;
        (!location.is_default).then_some(location.owner)
    }

    fn put(&mut self, location: Location<'a>) {
        let key = (location.path, location.exact);
        match self.index.get(&key).and_then(|i| self.locations.get_mut(*i)) {
            Some(existing) => *existing = location,
            None => {
                self.index.insert(key, self.locations.len());
                self.locations.push(location);
            }
        }
    }
}

/// No path is the root (contract §4.4).
pub fn path_text(path: &HttpIngressPath) -> &str {
    if path.path.is_empty() { "/" } else { path.path.as_str() }
}

/// `ImplementationSpecific` is `Prefix` (contract §4.1).
pub fn is_exact(path: &HttpIngressPath) -> bool {
    path.path_type == PathType::Exact
}

/// `resource` backends are skipped (contract §2.6).
pub fn service_of(backend: &IngressBackend) -> Option<&crate::snapshot::IngressServiceBackend> {
    backend.service.as_ref()
}

/// Where one of both says anything of canaries the loss is meant: Flagger sets `canary: "false"` between two rollouts
/// (contract §2.3).
fn conflict(item: &Owned, holder: Option<&Owned>, host: &str, path: &str, key: String, report: &mut Report) {
    let meant = [Some(item), holder].into_iter().flatten().any(|i| i.annotations().canary.is_some());
    let (severity, reason) = match meant {
        true => (Severity::Note, Reason::UnusedCanary),
        false => (Severity::Warning, Reason::Conflict),
    };
    let holder = holder.map_or_else(|| "another rule".to_owned(), |h| format!("ingress {}", h.key));
    let message = format!("host {host:?} and path {path:?} is already defined in {holder}");
    report.ingress(severity, reason, &item.ingress, Some(key), message);
}
