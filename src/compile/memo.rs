//! What compile remembers of unchanged objects. Dropping it changes nothing but the time the next compile takes.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use super::annotations::{AnnotationProblem, Annotations, ParseOptions};
use super::certificate::{self, UpstreamSecret};
use super::login::{self, UsersOf, UsersResult};
use super::permissions::{Permissions, Snippets};
use super::regexes::Regexes;
use crate::policy::client_certificate::verify::Authorities;
use crate::snapshot::{Ingress, ObjectKey, Secret};
use crate::table::Certificate;

/// The annotations of one Ingress, read.
#[derive(Debug)]
pub struct Parsed {
    pub annotations: Annotations,
    pub problems: Vec<AnnotationProblem>,
    /// `configuration-snippet` and `server-snippet`, where they are permitted.
    pub snippets: Option<Box<Snippets>>,
}

/// What was read of one version of an object, and whether it was asked for since the last [`Memo::forget_unused`].
#[derive(Debug)]
struct Known<O, V> {
    object: Arc<O>,
    value: V,
    used: bool,
}

type Map<O, V> = HashMap<ObjectKey, Known<O, V>>;

type CertificateResult = Result<Arc<Certificate>, String>;

type AuthoritiesResult = Result<Arc<Authorities>, String>;

#[derive(Debug, Default)]
pub struct Memo {
    permissions: Permissions,
    annotations: Map<Ingress, Arc<Parsed>>,
    certificates: Map<Secret, CertificateResult>,
    authorities: Map<Secret, AuthoritiesResult>,
    upstream_secrets: Map<Secret, Arc<UpstreamSecret>>,
    users: BTreeMap<UsersOf, Map<Secret, UsersResult>>,
    pub(super) regexes: Regexes,
}

impl Memo {
    /// What Ingresses may do from now on; what was read under other rules is forgotten.
    pub fn permit(&mut self, permissions: Permissions) {
        if self.permissions != permissions {
            self.permissions = permissions;
            self.annotations.clear();
        }
    }

    pub fn annotations(&mut self, key: &ObjectKey, ingress: &Arc<Ingress>, options: &ParseOptions) -> Arc<Parsed> {
        let permissions = &self.permissions;
        recall(&mut self.annotations, key, ingress, || {
            let (annotations, mut problems) = Annotations::parse(&ingress.metadata.annotations, options);
            problems.extend(permissions.problems(ingress, options));
            let snippets = permissions.snippets(&annotations, options, &mut problems);
            Arc::new(Parsed { annotations, problems, snippets })
        })
    }

    pub fn certificate(&mut self, key: &ObjectKey, secret: &Arc<Secret>) -> CertificateResult {
        recall(&mut self.certificates, key, secret, || certificate::from_secret(secret).map(Arc::new))
    }

    pub fn authorities(&mut self, key: &ObjectKey, secret: &Arc<Secret>) -> AuthoritiesResult {
        recall(&mut self.authorities, key, secret, || certificate::authorities(secret).map(Arc::new))
    }

    pub fn upstream_secret(&mut self, key: &ObjectKey, secret: &Arc<Secret>) -> Arc<UpstreamSecret> {
        recall(&mut self.upstream_secrets, key, secret, || Arc::new(UpstreamSecret::of(secret)))
    }

    /// The users of a Secret, read as `of` has it.
    pub fn users(&mut self, key: &ObjectKey, secret: &Arc<Secret>, of: UsersOf) -> UsersResult {
        recall(self.users.entry(of).or_default(), key, secret, || login::users(secret, of))
    }

    /// Forgets what was not asked for since the last call: objects that are gone, or not used any more.
    pub fn forget_unused(&mut self) {
        self.annotations.retain(|_, known| std::mem::take(&mut known.used));
        self.certificates.retain(|_, known| std::mem::take(&mut known.used));
        self.authorities.retain(|_, known| std::mem::take(&mut known.used));
        self.upstream_secrets.retain(|_, known| std::mem::take(&mut known.used));
        self.regexes.forget_unused();
        for users in self.users.values_mut() {
            users.retain(|_, known| std::mem::take(&mut known.used));
        }
    }
}

fn recall<O, V: Clone>(map: &mut Map<O, V>, key: &ObjectKey, object: &Arc<O>, read: impl FnOnce() -> V) -> V {
    match map.get_mut(key) {
        Some(known) if Arc::ptr_eq(&known.object, object) => {
            known.used = true;
            known.value.clone()
        }
        Some(known) => {
            *known = Known { object: Arc::clone(object), value: read(), used: true };
            known.value.clone()
        }
        None => {
            let value = read();
            map.insert(key.clone(), Known { object: Arc::clone(object), value: value.clone(), used: true });
            value
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_read_once_a_version() {
        let (mut memo, key) = (Memo::default(), ObjectKey::new("default", "tls"));
        let (one, other) = (Arc::new(Secret::default()), Arc::new(Secret::default()));
        let first = memo.upstream_secret(&key, &one);
        assert!(Arc::ptr_eq(&first, &memo.upstream_secret(&key, &one)), "the same version");
        assert!(!Arc::ptr_eq(&first, &memo.upstream_secret(&key, &other)), "another version");
        memo.forget_unused();
        memo.forget_unused();
        assert!(memo.upstream_secrets.is_empty(), "nobody asks for it");
    }

    #[test]
    fn an_ingress_that_changes_builds_its_own_regexes_only() {
        use crate::compile::{Options, compile};
        use crate::snapshot::{
            HttpIngressPath, HttpIngressRuleValue, IngressBackend, IngressRule, IngressServiceBackend, Object,
            PathType, ServiceBackendPort, Snapshot,
        };
        let ingress = |name: &str, path: &str| {
            let mut ingress = Ingress::default();
            (ingress.metadata.namespace, ingress.metadata.name) = ("default".into(), name.into());
            let key = "nginx.ingress.kubernetes.io/rewrite-target".to_owned();
            ingress.metadata.annotations.insert(key, "/$1".to_owned());
            ingress.spec.ingress_class_name = Some("nginx".into());
            let port = ServiceBackendPort { name: None, number: Some(80) };
            let service = Some(IngressServiceBackend { name: "web".into(), port });
            let backend = IngressBackend { service, resource: false };
            let path = HttpIngressPath { path: path.to_owned(), path_type: PathType::ImplementationSpecific, backend };
            let http = HttpIngressRuleValue { paths: vec![path] };
            ingress.spec.rules = vec![IngressRule { host: format!("{name}.test"), http: Some(http) }];
            Object::Ingress(Arc::new(ingress))
        };
        let (mut snapshot, mut memo) = (Snapshot::default(), Memo::default());
        // A host's set and the path's rewrite, and once for all the rewrite of the hosts' own location.
        let rows = [("a", "/a/(.*)", 3), ("b", "/b/(.*)", 5), ("b", "/c/(.*)", 7), ("b", "/c/(.*)", 7)];
        for (name, path, expected) in rows {
            snapshot.insert(ingress(name, path));
            compile(&snapshot, &Options::default(), &mut memo);
            assert_eq!(memo.regexes.built(), expected, "{name} {path}");
        }
    }
}
