//! Ingresses to virtual hosts, routes and upstreams.
//!
//! The order of everything is the order of the owned Ingresses (contract §2.1): the first one wins a location, a
//! certificate, an alias, an upstream's settings.

mod balance;
mod budget;
mod canary;
mod class;
mod client_certificates;
mod hosts;
mod locations;
mod passthrough;
mod policy;
mod questions;
mod servers;
mod snippets;
mod tls;
mod upstreams;

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::sync::Arc;

use super::annotations::{AnnotationProblem, Annotations, Effect, Scope};
use super::certificate::UpstreamSecret;
use super::endpoints::{Endpoints, Source};
use super::intern::Interner;
use super::report::{self, Report};
use super::settings::AllSettings;
use super::{Memo, Options, login};
use crate::policy::login::Login;
use crate::snapshot::{Ingress, ObjectKey, Snapshot};
use crate::table::{RoutingTable, UpstreamKey};

pub use class::{is_ours, is_owned};
pub use upstreams::{default_upstream, url_upstream};

#[derive(Clone, Copy, Debug)]
pub struct Input<'a> {
    pub snapshot: &'a Snapshot,
    pub options: &'a Options,
    pub settings: &'a AllSettings,
}

#[derive(Debug)]
pub struct Output {
    pub table: RoutingTable,
    pub endpoints: Endpoints,
    pub sources: BTreeMap<UpstreamKey, Source>,
}

/// An Ingress that is ours, with its annotations read.
#[derive(Debug)]
pub struct Owned {
    pub key: ObjectKey,
    pub ingress: Arc<Ingress>,
    pub parsed: Arc<super::memo::Parsed>,
    /// Why its locations answer 503: an access setting that cannot be acted on.
    pub denied: Option<Arc<str>>,
    /// Its `auth-type`, or why it cannot be asked.
    pub login: Option<Result<Arc<Login>, Arc<str>>>,
    /// Its `proxy-ssl-secret`, or why it cannot be used.
    pub upstream_secret: Option<Result<Arc<UpstreamSecret>, String>>,
    /// The same as `denied` for every location of its hosts, other Ingresses' too: the setting is the host's.
    pub denies_hosts: Option<Arc<str>>,
}

impl Owned {
    pub fn annotations(&self) -> &Annotations {
        &self.parsed.annotations
    }

    /// A canary Ingress has no locations of its own (contract §16).
    pub fn is_canary(&self) -> bool {
        self.annotations().canary == Some(true)
    }
}

/// Compiles all owned Ingresses of the snapshot.
pub fn compile(input: Input<'_>, memo: &mut Memo, report: &mut Report) -> Output {
    let owned = owned(input, memo, report);
    for item in &owned {
        balance::tell(input, item, report);
    }
    let mut upstreams = upstreams::Upstreams::new(input);
    let default_backend = upstreams.default_index();
    let mut servers = servers::collect(&owned, &mut upstreams, report);
    let mut regexes = std::mem::take(&mut memo.regexes);
    canary::merge(input, &owned, &mut servers, &mut upstreams, (&mut regexes, report));
    let passthrough = passthrough::select(input, &owned, &mut servers, report);
    let questions = questions::collect(input, &owned, &mut upstreams, report);
    let mut certificates = tls::select(input, &owned, &servers, memo, report);
    let mut client_certificates = client_certificates::ClientCertificates::new(input, &owned, memo);
    let mut texts = Interner::default();
    let mut routes = locations::Routes::new(input, &owned, questions, (&mut texts, &mut regexes), report);
    let hosts = hosts::build(input, servers, &mut certificates, &mut client_certificates, &mut routes);
    let (routes, upstream_tls) = routes.finish();
    memo.regexes = regexes;
    let (upstreams, sources, endpoints) = upstreams.finish();
    let table = RoutingTable {
        hosts: hosts.table,
        virtual_hosts: hosts.virtual_hosts,
        routes,
        upstreams,
        upstream_tls,
        certificates: certificates.table,
        streams: Vec::new(),
        passthrough,
        default_backend,
        global: input.settings.main.global.clone(),
    };
    Output { table, endpoints, sources }
}

/// Ingress order (contract §2.1): oldest first; the same second: `namespace/name` descending, as ingress-nginx does.
fn ingress_order(a: &Owned, b: &Owned) -> Ordering {
    let age = a.ingress.metadata.created.cmp(&b.ingress.metadata.created);
    age.then_with(|| joined_order(&b.key, &a.key))
}

/// The order of the joined texts `namespace/name`, in which `/` sorts before letters and digits but after `-` and `.`.
fn joined_order(a: &ObjectKey, b: &ObjectKey) -> Ordering {
    let (one, other) = (a.namespace.as_bytes(), b.namespace.as_bytes());
    let shared = one.len().min(other.len());
    // Nearly all are told apart by the namespace, and that by whole words; an import creates thousands in one second.
    match one.get(..shared).cmp(&other.get(..shared)) {
        Ordering::Equal if one.len() == other.len() => a.name.cmp(&b.name),
        Ordering::Equal => joined(a).cmp(joined(b)),
        apart => apart,
    }
}

/// The bytes of `namespace/name`.
fn joined(key: &ObjectKey) -> impl Iterator<Item = u8> {
    key.namespace.bytes().chain([b'/']).chain(key.name.bytes())
}

fn owned(input: Input<'_>, memo: &mut Memo, report: &mut Report) -> Vec<Owned> {
    let mut owned = Vec::new();
    for (key, ingress) in &input.snapshot.ingresses {
        if !class::is_owned(ingress, input.snapshot, input.options) {
            class::tell_unclaimed(ingress, input.snapshot, input.options, report);
            continue;
        }
        let parsed = memo.annotations(key, ingress, &input.options.annotations);
        let scope = |p: &AnnotationProblem| Annotations::row(&p.key, &input.options.annotations).map(|row| row.scope);
        // What a canary says of locations has no effect, so it cannot be wrong either.
        let is_canary = parsed.annotations.canary == Some(true);
        let matters =
            |p: &&AnnotationProblem| !is_canary || p.effect == Effect::Reject || scope(p) != Some(Scope::Location);
        for problem in parsed.problems.iter().filter(matters) {
            report.add(report::annotation(ingress, problem));
        }
        if parsed.problems.iter().any(|p| p.effect == Effect::Reject) {
            continue;
        }
        let denial = |hosts: bool| {
            let mut denials = parsed.problems.iter().filter(|p| p.effect == Effect::Deny);
            let first = denials.find(|p| !hosts || scope(p) == Some(Scope::Server));
            first.map(|p| Arc::from(format!("{key}: {}: {}", p.key, p.message)))
        };
        let (denied, denies_hosts) = (denial(false), denial(true));
        let login = if is_canary { None } else { login::login(input, ingress, &parsed.annotations, memo, report) };
        let upstream_secret = policy::upstream_tls::secret(input, key, &parsed.annotations, memo);
        let (key, ingress) = (key.clone(), Arc::clone(ingress));
        owned.push(Owned { key, ingress, parsed, denied, login, upstream_secret, denies_hosts });
    }
    owned.sort_by(ingress_order);
    owned
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_sort_as_their_joined_texts() {
        let parts = ["a", "a-b", "a.b", "ab", "a0", "b", "z-1", "z"];
        let keys: Vec<ObjectKey> =
            parts.iter().flat_map(|namespace| parts.iter().map(|name| ObjectKey::new(*namespace, *name))).collect();
        for (a, b) in keys.iter().flat_map(|a| keys.iter().map(move |b| (a, b))) {
            assert_eq!(joined_order(a, b), a.to_string().cmp(&b.to_string()), "{a} {b}");
        }
    }
}
