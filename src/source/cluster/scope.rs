//! What part of the cluster is watched, so that a role need not allow more (`--watch-namespace`, `--secrets-…`).

use std::collections::BTreeSet;

use super::watch::Part;
use crate::snapshot::{Kind, ObjectKey};

/// Which Secrets the role lets be read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum SecretScope {
    /// All of the namespaces that are watched.
    #[default]
    Watched,
    /// Those of these namespaces.
    Namespaces(BTreeSet<String>),
    /// Those of these names.
    Named(BTreeSet<ObjectKey>),
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scope {
    /// `--watch-namespace`; `None` is every namespace.
    pub namespace: Option<String>,
    /// `--watch-namespace-selector`.
    pub namespace_selector: Option<String>,
    pub secrets: SecretScope,
    /// What flags name; it is watched wherever it is.
    pub named: BTreeSet<(Kind, ObjectKey)>,
}

impl Scope {
    pub(super) fn everything(&self) -> Vec<Part> {
        vec![self.namespace.as_ref().map_or_else(Part::default, Part::namespace)]
    }

    fn elsewhere(&self, kind: Kind) -> impl Iterator<Item = &ObjectKey> {
        let watched = move |key: &ObjectKey| self.namespace.as_ref().is_none_or(|own| **own == *key.namespace);
        self.named.iter().filter(move |(k, key)| *k == kind && !watched(key)).map(|(_, key)| key)
    }

    pub(super) fn services_elsewhere(&self) -> Vec<Part> {
        self.elsewhere(Kind::Service).map(|key| Part::named(&*key.namespace, &key.name)).collect()
    }

    /// An EndpointSlice is named by its Service.
    pub(super) fn slices_elsewhere(&self) -> Vec<Part> {
        let of =
            |key: &ObjectKey| Part::labelled(Some(&key.namespace), format!("kubernetes.io/service-name={}", key.name));
        self.elsewhere(Kind::EndpointSlice).map(of).collect()
    }

    pub(super) fn config_maps(&self) -> Vec<Part> {
        let elsewhere = self.elsewhere(Kind::ConfigMap).map(|key| Part::named(&*key.namespace, &key.name));
        self.everything().into_iter().chain(elsewhere).collect()
    }

    pub(super) fn secrets(&self) -> Vec<Part> {
        match &self.secrets {
            SecretScope::Watched => {
                let elsewhere = self.elsewhere(Kind::Secret).map(|key| Part::named(&*key.namespace, &key.name));
                self.everything().into_iter().chain(elsewhere).collect()
            }
            SecretScope::Namespaces(list) => list.iter().map(Part::namespace).collect(),
            SecretScope::Named(list) => list.iter().map(|key| Part::named(&*key.namespace, &key.name)).collect(),
        }
    }

    /// Whether an object may be asked for by name.
    pub(super) fn covers(&self, kind: Kind, key: &ObjectKey) -> bool {
        let watched = || {
            self.namespace.as_ref().is_none_or(|own| **own == *key.namespace)
                || self.named.contains(&(kind, key.clone()))
        };
        match (&self.secrets, kind) {
            (SecretScope::Namespaces(list), Kind::Secret) => list.contains(&*key.namespace),
            (SecretScope::Named(list), Kind::Secret) => list.contains(key),
            _ => watched(),
        }
    }
}
