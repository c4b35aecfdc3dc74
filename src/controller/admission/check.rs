//! Whether an Ingress may be written: the compile that will serve it, run on it and on those that share its hosts.
//!
//! Pure. What is refused is what ingress-nginx refuses: versions that would not be accepted (contract §9 class A), hosts
//! and paths that another Ingress has, paths that do not fit their type. What else would not be served as written, and
//! what may yet come (a Service, a Secret), is a warning at most.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use crate::base::diagnostic::{Diagnostic, Reason, Severity};
use crate::compile::configmap::ConfigMapSettings;
use crate::compile::ingress::is_owned;
use crate::compile::permissions::Permissions;
use crate::compile::{self, Memo, Options, admit, refs};
use crate::snapshot::{Ingress, ObjectKey, PathType, Snapshot};

/// Warnings of one answer; the API server allows 4096 bytes in all.
const MAX_WARNINGS: usize = 8;

/// What is said about an Ingress.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verdict {
    /// Empty: it may be written.
    pub refusals: Vec<String>,
    pub warnings: Vec<String>,
}

impl Verdict {
    /// Adds what the compile says, each text once.
    /// `rejections` are those that keep the version out.
    fn add<'a>(&mut self, diagnostics: impl Iterator<Item = &'a Diagnostic>, rejections: &[Diagnostic]) {
        let mut seen = HashSet::new();
        for diagnostic in diagnostics {
            let text = match &diagnostic.key {
                Some(key) => format!("{key}: {}", diagnostic.message),
                None => diagnostic.message.clone(),
            };
            match weigh(diagnostic, rejections) {
                Weight::Refuses if seen.insert(text.clone()) => self.refusals.push(text),
                Weight::Warns if seen.insert(text.clone()) => self.warnings.push(text),
                _ => {}
            }
        }
        self.warnings.truncate(MAX_WARNINGS);
    }
}

/// The world, with the Ingresses of every host.
#[derive(Clone, Debug, Default)]
pub struct Known {
    snapshot: Arc<Snapshot>,
    hosts: HashMap<String, BTreeSet<ObjectKey>>,
}

impl Known {
    /// Whether this is of that very world.
    pub fn is_of(&self, snapshot: &Arc<Snapshot>) -> bool {
        Arc::ptr_eq(&self.snapshot, snapshot)
    }

    /// Takes a newer world; only what differs costs time.
    pub fn update(&mut self, snapshot: Arc<Snapshot>) {
        let before = std::mem::replace(&mut self.snapshot, Arc::clone(&snapshot));
        let same = |key, ingress: &Arc<Ingress>, other: &BTreeMap<ObjectKey, Arc<Ingress>>| {
            other.get(key).is_some_and(|other| Arc::ptr_eq(ingress, other))
        };
        for (key, ingress) in before.ingresses.iter().filter(|(k, i)| !same(*k, i, &snapshot.ingresses)) {
            for host in hosts(ingress) {
                if let Some(keys) = self.hosts.get_mut(&host) {
                    keys.remove(key);
                }
            }
        }
        for (key, ingress) in snapshot.ingresses.iter().filter(|(k, i)| !same(*k, i, &before.ingresses)) {
            for host in hosts(ingress) {
                self.hosts.entry(host).or_default().insert(key.clone());
            }
        }
        self.hosts.retain(|_, keys| !keys.is_empty());
    }

    /// Judges a new version of an Ingress. One of another class is none of our business.
    pub fn check(&self, mut candidate: Ingress, options: &Options) -> Verdict {
        // It loses every conflict: what was there first stays.
        candidate.metadata.created = i64::MAX;
        let all = Options { disable_catch_all: false, ..options.clone() };
        if !is_owned(&candidate, &self.snapshot, &all) {
            return Verdict::default();
        }
        if options.disable_catch_all && candidate.spec.default_backend.is_some() {
            let refusal = "spec.defaultBackend: this is a catch-all Ingress, which --disable-catch-all does not allow";
            return Verdict { refusals: vec![refusal.to_owned()], warnings: Vec::new() };
        }
        let key = candidate.metadata.key();
        let (candidate, mut verdict) = (Arc::new(candidate), Verdict::default());
        if self.is_strict(options) {
            verdict.refusals.extend(unfit_paths(&candidate));
        }
        if !Permissions::of(&self.snapshot, options).allows_snippets {
            verdict.refusals.extend(snippets(&candidate));
        }
        let mut memo = Memo::default();
        let around = self.around(&key, Arc::clone(&candidate));
        let compiled = compile::compile(&around, options, &mut memo);
        let rejections = admit::ingress(&key, &candidate, &options.annotations, &mut memo);
        let mut diagnostics = compiled.diagnostics;
        diagnostics.extend(compiled.endpoints.problems.into_values());
        verdict.add(diagnostics.iter().filter(|diagnostic| is_about(diagnostic, &key)), &rejections);
        verdict
    }

    /// The part of the world that the candidate can meet.
    fn around(&self, key: &ObjectKey, candidate: Arc<Ingress>) -> Snapshot {
        let mut ingresses = BTreeMap::new();
        for other in hosts(&candidate).iter().filter_map(|host| self.hosts.get(host)).flatten() {
            ingresses.extend(self.snapshot.ingresses.get(other).map(|ingress| (other.clone(), Arc::clone(ingress))));
        }
        ingresses.insert(key.clone(), candidate);
        let services = ingresses.iter().flat_map(|(key, ingress)| services(key, ingress));
        let services = services.filter_map(|key| Some((key.clone(), Arc::clone(self.snapshot.services.get(&key)?))));
        Snapshot {
            services: services.collect(),
            ingresses,
            ingress_classes: self.snapshot.ingress_classes.clone(),
            config_maps: self.snapshot.config_maps.clone(),
            class_source: self.snapshot.class_source,
            namespaces: self.snapshot.namespaces.clone(),
            ..Snapshot::default()
        }
    }

    /// `strict-validate-path-type`, which is on by default.
    fn is_strict(&self, options: &Options) -> bool {
        let map = options.config_map.as_ref().and_then(|key| self.snapshot.config_maps.get(key));
        map.and_then(|map| ConfigMapSettings::parse(&map.data).0.strict_validate_path_type).unwrap_or(true)
    }
}

enum Weight {
    Refuses,
    Warns,
    Nothing,
}

fn weigh(diagnostic: &Diagnostic, rejections: &[Diagnostic]) -> Weight {
    if rejections.contains(diagnostic) {
        return Weight::Refuses;
    }
    match (diagnostic.reason, diagnostic.severity) {
        // Endpoints are not looked at here, Secrets are not known here.
        (Reason::NoEndpoints | Reason::BrokenCertificate, _) => Weight::Nothing,
        (Reason::MissingReference, _) => match diagnostic.key.as_deref() {
            Some(key) if key.starts_with("backend ") => Weight::Warns,
            _ => Weight::Nothing,
        },
        (Reason::AnnotationParsingFailed, _) if diagnostic.key.as_deref().is_some_and(refs::names_secret) => {
            Weight::Nothing
        }
        (Reason::Conflict, _) => Weight::Refuses,
        (_, Severity::Error | Severity::Warning) => Weight::Warns,
        (_, Severity::Note) => Weight::Nothing,
    }
}

fn is_about(diagnostic: &Diagnostic, key: &ObjectKey) -> bool {
    let object = diagnostic.object.as_ref().filter(|object| object.kind == "Ingress");
    object.is_some_and(|object| object.namespace == key.namespace && object.name == key.name)
}

/// Lower-case; empty for rules without a host, and for a default backend.
fn hosts(ingress: &Ingress) -> BTreeSet<String> {
    let rules = ingress.spec.rules.iter().map(|rule| rule.host.to_ascii_lowercase());
    rules.chain(ingress.spec.default_backend.iter().map(|_| String::new())).collect()
}

fn services<'a>(key: &'a ObjectKey, ingress: &'a Ingress) -> impl Iterator<Item = ObjectKey> + 'a {
    let paths = ingress.spec.rules.iter().flat_map(|rule| &rule.http).flat_map(|http| &http.paths);
    let backends = paths.map(|path| &path.backend).chain(&ingress.spec.default_backend);
    backends.filter_map(|backend| {
        let service = backend.service.as_ref()?;
        Some(ObjectKey { namespace: Arc::clone(&key.namespace), name: Arc::clone(&service.name) })
    })
}

/// Annotations of whatever prefix that ingress-nginx takes for snippets.
fn snippets(ingress: &Ingress) -> impl Iterator<Item = String> + '_ {
    let keys = ingress.metadata.annotations.keys().filter(|key| key.ends_with("-snippet"));
    keys.map(|key| format!("{key}: allow-snippet-annotations in the ConfigMap does not allow snippets"))
}

/// Exact and Prefix paths are plain ones (contract §4.6).
fn unfit_paths(ingress: &Ingress) -> impl Iterator<Item = String> + '_ {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-' | b'/');
    let rules = ingress.spec.rules.iter().enumerate();
    rules.flat_map(move |(number, rule)| {
        let paths = rule.http.iter().flat_map(|http| &http.paths).enumerate();
        paths.filter_map(move |(position, path)| {
            let fits = path.path_type == PathType::ImplementationSpecific
                || path.path.is_empty()
                || (path.path.starts_with('/') && path.path.bytes().all(plain));
            (!fits).then(|| {
                format!(
                    "spec.rules[{number}].http.paths[{position}]: path {} cannot be used with pathType {:?}: \
                     ImplementationSpecific takes any, strict-validate-path-type: \"false\" in the ConfigMap lifts this",
                    path.path, path.path_type
                )
            })
        })
    })
}

#[cfg(test)]
mod tests;
