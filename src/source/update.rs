//! What a source hands on: the world as it is now, and what in it changed.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::base::diagnostic::Diagnostic;
use crate::snapshot::{ObjectKey, Snapshot};
use crate::source::Scan;

/// A snapshot with what reading it had to say.
#[derive(Clone, Debug, Default)]
pub struct Update {
    pub snapshot: Arc<Snapshot>,
    /// Everything that is wrong now with files or objects, not only what is new.
    pub diagnostics: Vec<Diagnostic>,
    pub broken_files: usize,
    pub change: Change,
}

/// All of a scan is new.
impl From<Scan> for Update {
    fn from(scan: Scan) -> Self {
        let Scan { snapshot, diagnostics, broken_files, .. } = scan;
        Self { snapshot, diagnostics, broken_files, change: Change { routes: true, ..Change::default() } }
    }
}

/// How far a change reaches. Endpoints have a way of their own, so that pod churn compiles nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Change {
    /// Something that routes are compiled from, or a diagnostic.
    pub routes: bool,
    /// Services: most of a cluster's have nothing to do with routes.
    pub services: BTreeSet<ObjectKey>,
    /// The Services whose EndpointSlices changed.
    pub endpoints: BTreeSet<ObjectKey>,
    /// The status of an Ingress.
    pub status: bool,
}

impl Change {
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Whether it may take a compile, and not endpoints alone.
    pub fn compiles(&self) -> bool {
        self.routes || !self.services.is_empty()
    }

    /// From one snapshot to the next.
    pub fn between(before: &Snapshot, after: &Snapshot) -> Self {
        let Snapshot {
            ingresses,
            ingress_classes,
            services,
            endpoint_slices,
            secrets,
            config_maps,
            class_source,
            namespaces,
            ingress_status,
        } = after;
        let routes = *ingresses != before.ingresses
            || *ingress_classes != before.ingress_classes
            || *secrets != before.secrets
            || *config_maps != before.config_maps
            || *class_source != before.class_source
            || *namespaces != before.namespaces;
        let services = differing(&before.services, services);
        let slices = differing(&before.endpoint_slices, endpoint_slices);
        let slices = slices.iter().flat_map(|key| [before.endpoint_slices.get(key), endpoint_slices.get(key)]);
        let endpoints = slices.flatten().filter_map(|slice| slice.service_key()).collect();
        Self { routes, services, endpoints, status: *ingress_status != before.ingress_status }
    }
}

/// The keys of what is not the same in both.
fn differing<T: PartialEq>(one: &Objects<T>, other: &Objects<T>) -> BTreeSet<ObjectKey> {
    let in_first = |these: &Objects<T>, those: &Objects<T>| -> Vec<ObjectKey> {
        let differs =
            |key, object: &Arc<T>| those.get(key).is_none_or(|other| !Arc::ptr_eq(other, object) && other != object);
        these.iter().filter(|(key, object)| differs(*key, object)).map(|(key, _)| key.clone()).collect()
    };
    in_first(one, other).into_iter().chain(in_first(other, one)).collect()
}

type Objects<T> = BTreeMap<ObjectKey, Arc<T>>;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::snapshot::{EndpointSlice, Object, Secret, Service};

    fn slice(name: &str, service: &str, kind: &str) -> Object {
        let mut slice = EndpointSlice { address_type: kind.into(), ..EndpointSlice::default() };
        (slice.metadata.name, slice.metadata.namespace) = (name.into(), "ns".into());
        slice.metadata.labels.insert("kubernetes.io/service-name".into(), service.into());
        Object::EndpointSlice(Arc::new(slice))
    }

    fn of(objects: &[Object]) -> Snapshot {
        let mut snapshot = Snapshot::default();
        objects.iter().for_each(|object| drop(snapshot.insert(object.clone())));
        snapshot
    }

    #[test]
    fn slices_touch_their_services_alone() {
        let before = of(&[slice("a", "one", "IPv4"), slice("b", "two", "IPv4"), slice("c", "three", "IPv4")]);
        // One has moved to another Service, one is as it was, one is gone.
        let after = of(&[slice("a", "four", "IPv4"), slice("b", "two", "IPv4")]);
        let change = Change::between(&before, &after);
        let names: Vec<&str> = change.endpoints.iter().map(|key| &*key.name).collect();
        assert_eq!(names, ["four", "one", "three"]);
        assert!(!change.routes && !change.status);
        assert!(Change::between(&after, &after.clone()).is_empty());
    }

    #[test]
    fn other_objects_touch_routes_and_services_stand_apart() {
        let after = of(&[Object::Secret(Arc::new(Secret::default()))]);
        assert!(Change::between(&Snapshot::default(), &after).routes);
        let after = of(&[Object::Service(Arc::new(Service::default()))]);
        let change = Change::between(&Snapshot::default(), &after);
        assert!(!change.routes && change.services.len() == 1);
    }
}
