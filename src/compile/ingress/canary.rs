//! Canary Ingresses to alternatives of the upstreams of main locations (contract §16).
//!
//! A canary has no locations. Where one of its paths is a main location's, its Service becomes the alternative of that
//! location's upstream, and so takes part wherever that upstream is used.

use std::collections::HashMap;
use std::sync::Arc;

use http::HeaderName;

use super::servers::{DEFAULT_SERVER, Server, Servers, is_exact, path_text, rule_host, service_of};
use super::upstreams::Upstreams;
use super::{Input, Owned};
use crate::base::diagnostic::{Reason, Severity};
use crate::compile::regexes::Regexes;
use crate::compile::report::Report;
use crate::policy::canary::{Canary, HeaderRule, Pattern, Wanted, Weight};
use crate::policy::global::GlobalPolicy;
use crate::snapshot::IngressServiceBackend;
use crate::table::{Alternative, Index, Target};

/// Merges all canaries, the oldest first: the first one that an upstream meets is its alternative.
pub fn merge(
    input: Input<'_>,
    owned: &[Owned],
    servers: &mut Servers<'_>,
    upstreams: &mut Upstreams<'_>,
    (regexes, report): (&mut Regexes, &mut Report),
) {
    let mut merge = Merge { owned, upstreams, report, decided: HashMap::new() };
    for (index, item) in owned.iter().enumerate() {
        if !item.is_canary() {
            tell_switched_off(item, merge.report);
            continue;
        }
        let one = One {
            index,
            item,
            canary: Arc::new(resolve(item, &input.settings.main.global, (&mut *regexes, &mut *merge.report))),
        };
        merge.default_backend(&one, servers);
        merge.rules(&one, servers);
    }
}

/// A canary Ingress and its rules of choice.
struct One<'a> {
    index: usize,
    item: &'a Owned,
    canary: Arc<Canary>,
}

struct Merge<'a, 'u> {
    owned: &'a [Owned],
    upstreams: &'a mut Upstreams<'u>,
    report: &'a mut Report,
    /// Alternatives by their upstream, with the canary Ingress that brought each: the first decides (contract §2.4).
    decided: HashMap<Index, (usize, Arc<Canary>)>,
}

impl Merge<'_, '_> {
    /// A default backend is the canary of every location of the default server.
    fn default_backend(&mut self, one: &One<'_>, servers: &Servers<'_>) {
        let default = one.item.ingress.spec.default_backend.as_ref().and_then(service_of);
        let (Some(service), Some(server)) = (default, servers.get(DEFAULT_SERVER)) else { return };
        let mut mains: Vec<Index> = server.locations.iter().filter_map(|l| self.main(l.target)).collect();
        mains.sort_unstable();
        mains.dedup();
        let key = || "spec.defaultBackend".to_owned();
        if mains.is_empty() {
            let message = "no other Ingress serves requests without a host: this canary takes none".to_owned();
            self.tell(one, Severity::Warning, key(), message);
        }
        for main in mains {
            self.pair(one, main, service, key());
        }
    }

    fn rules(&mut self, one: &One<'_>, servers: &mut Servers<'_>) {
        for (number, rule) in one.item.ingress.spec.rules.iter().enumerate() {
            let Some(host) = rule_host(rule, number, one.item, self.report) else { continue };
            let mut server = servers.get_mut(&host);
            if let Some(server) = &mut server {
                if server.canaries.last() != Some(&one.index) {
                    server.canaries.push(one.index);
                }
                server.denied = server.denied.take().or_else(|| one.item.denies_hosts.clone());
            }
            for (position, path) in rule.http.iter().flat_map(|http| http.paths.iter()).enumerate() {
                let Some(service) = service_of(&path.backend) else { continue };
                let (key, text) = (format!("spec.rules[{number}].http.paths[{position}]"), path_text(path));
                let main = server.as_deref().and_then(|server| self.main_of(server, text, is_exact(path)));
                match main {
                    Some(main) => self.pair(one, main, service, key),
                    None => {
                        let (host, kind) = (&rule.host, &path.path_type);
                        let message = format!(
                            "no other Ingress has host {host:?} and path {text:?} of type {kind:?}: \
                             this path of the canary takes no requests"
                        );
                        self.tell(one, Severity::Warning, key, message);
                    }
                }
            }
        }
    }

    fn main_of(&self, server: &Server<'_>, path: &str, exact: bool) -> Option<Index> {
        self.main(server.get(path, exact)?.target)
    }

    /// The upstream of a location, unless it is the controller's default backend, which has no canary.
    fn main(&self, target: Target) -> Option<Index> {
        let Target::Upstream(index) = target else { return None };
        self.upstreams.get(index).filter(|upstream| !upstream.is_default_backend).map(|_| index)
    }

    /// Makes the canary's Service the alternative of a main upstream, unless there is a reason not to.
    fn pair(&mut self, one: &One<'_>, main: Index, service: &IngressServiceBackend, key: String) {
        let wanted = self.upstreams.key(service, one.item.key.namespace.clone());
        let Some(upstream) = self.upstreams.get(main) else { return };
        let name = format!("{}/{}:{}", upstream.key.namespace, upstream.key.service, upstream.key.port);
        if upstream.key == wanted {
            // Argo Rollouts copies whole rules, paths to other Services included.
            let message = format!("the main Ingress sends to {name}, too: this path of the canary changes nothing");
            return self.tell(one, Severity::Note, key, message);
        }
        let taken = upstream.alternative.as_ref().map(|known| known.upstream);
        if let Some(known) = taken.and_then(|index| self.upstreams.get(index))
            && known.key != wanted
        {
            let holder = taken.and_then(|index| self.holder(index)).unwrap_or_default();
            let message = format!("{name} already has the canary of {holder}: this one takes no requests");
            return self.tell(one, Severity::Warning, key, message);
        }
        let Target::Upstream(index) = self.upstreams.add(service, one.index, self.owned).target else { return };
        if one.item.annotations().affinity_canary_behavior.is_none_or(|behavior| !behavior.0) {
            self.upstreams.follow(index, main);
        }
        let (owner, canary) = self.decided.entry(index).or_insert_with(|| (one.index, Arc::clone(&one.canary)));
        let (owner, canary) = (*owner, Arc::clone(canary));
        if owner != one.index && canary != one.canary {
            let holder = self.holder(index).unwrap_or_default();
            let message = format!("the Service is the canary of {holder}, too, whose weight, header and cookie hold");
            self.tell(one, Severity::Warning, key, message);
        }
        self.upstreams.set_alternative(main, Alternative { upstream: index, canary });
    }

    /// Who brought an alternative.
    fn holder(&self, index: Index) -> Option<String> {
        let (owner, _) = self.decided.get(&index)?;
        Some(format!("Ingress {}", self.owned.get(*owner)?.key))
    }

    fn tell(&mut self, one: &One<'_>, severity: Severity, key: String, message: String) {
        self.report.ingress(severity, Reason::UnusedCanary, &one.item.ingress, Some(key), message);
    }
}

/// The rules of choice of one canary Ingress.
fn resolve(item: &Owned, global: &GlobalPolicy, (regexes, report): (&mut Regexes, &mut Report)) -> Canary {
    let a = item.annotations();
    let header = header(item, global, (regexes, report));
    let of_header = a.canary_by_header_value.is_some() || a.canary_by_header_pattern.is_some();
    if header.is_none() && of_header {
        let message = "has no effect without canary-by-header".to_owned();
        let key =
            if a.canary_by_header_value.is_some() { "canary-by-header-value" } else { "canary-by-header-pattern" };
        report.ingress(
            Severity::Warning,
            Reason::AnnotationParsingFailed,
            &item.ingress,
            Some(key.to_owned()),
            message,
        );
    }
    let total = a.canary_weight_total.unwrap_or(Weight::LEAST_TOTAL);
    Canary {
        header,
        cookie: a.canary_by_cookie.as_ref().map(|name| name.as_str().into()),
        weight: Weight::new(a.canary_weight.unwrap_or(0), total),
    }
}

/// Errors say what the regex uses that is unknown.
fn regex(text: &str, regexes: &mut Regexes) -> Result<Pattern, String> {
    regexes.pattern(&format!("(?-i){text}")).map(|regex| Pattern::with(text, regex))
}

fn header(item: &Owned, global: &GlobalPolicy, (regexes, report): (&mut Regexes, &mut Report)) -> Option<HeaderRule> {
    let a = item.annotations();
    let names = spellings(a.canary_by_header.as_ref()?.as_str(), global);
    let wanted = match (&a.canary_by_header_value, &a.canary_by_header_pattern) {
        (Some(value), _) => Wanted::Value(value.as_str().into()),
        (None, Some(pattern)) => regex(pattern.as_str(), regexes).map(Wanted::Pattern).unwrap_or_else(|reason| {
            let message = format!(
                "{:?} is no regex that can be used: {reason}; requests with the header go to main",
                pattern.as_str()
            );
            let key = Some("canary-by-header-pattern".to_owned());
            report.ingress(Severity::Warning, Reason::AnnotationParsingFailed, &item.ingress, key, message);
            Wanted::Unusable
        }),
        (None, None) => Wanted::Word,
    };
    Some(HeaderRule { names, wanted })
}

/// nginx's `$http_name` does not tell `-` from `_`, and what nginx drops of a request it does not see.
fn spellings(name: &str, global: &GlobalPolicy) -> Vec<HeaderName> {
    let valid = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || (b == b'_' && global.underscores_in_headers);
    let all = [name.replace('_', "-"), name.to_owned()];
    let mut seen: Vec<HeaderName> = all
        .iter()
        .filter(|name| !global.drop_invalid_headers || name.bytes().all(valid))
        .filter_map(|name| HeaderName::from_bytes(name.as_bytes()).ok())
        .collect();
    seen.dedup();
    seen
}

/// Such an Ingress is a normal one (contract §9 D).
fn tell_switched_off(item: &Owned, report: &mut Report) {
    let a = item.annotations();
    let of_header = a.canary_by_header_value.is_some() || a.canary_by_header_pattern.is_some();
    let by_name = a.canary_by_header.is_some() || a.canary_by_cookie.is_some();
    if a.canary_weight.is_some_and(|weight| weight > 0) || of_header || by_name {
        let message = "is not \"true\": the other canary annotations have no effect, and the Ingress is a normal one";
        report.ingress(Severity::Warning, Reason::UnusedCanary, &item.ingress, Some("canary".to_owned()), message);
    }
}
