//! The kinds that are watched: what the API calls them, and how an object of the wire becomes the slim one.
//!
//! The slim types read the same documents as manifests do. One that cannot be read costs itself: the list or the
//! watch that it came in goes on.

use std::borrow::Cow;
use std::fmt::Debug;
use std::marker::PhantomData;
use std::sync::Arc;

use kube::Resource;
use kube::core::{DynamicResourceScope, ObjectMeta};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};

use crate::snapshot::{
    ConfigMap, EndpointSlice, Ingress, IngressClass, LoadBalancerIngress, LoadBalancerStatus, Meta, Object, ObjectKey,
    Secret, Service,
};

/// What an object of the cluster is to the store.
#[derive(Clone, Debug, PartialEq)]
pub enum Item {
    /// With its `status.loadBalancer.ingress`, if it is an Ingress.
    Object(Object, Vec<LoadBalancerIngress>),
    /// A namespace that the selector selects.
    Namespace,
    /// An object that cannot be read, and why.
    Broken(String),
}

/// A kind of the API and the type that its objects are kept as.
pub trait Watch: DeserializeOwned + Clone + Debug + Send + Sync + 'static {
    const KIND: &'static str;
    const GROUP: &'static str;
    const VERSION: &'static str;
    const PLURAL: &'static str;

    /// Without what nobody reads: at ten thousand objects it is most of their memory.
    fn into_item(self, status: LoadBalancerStatus) -> Item;
}

macro_rules! watched {
    ($($kind:ident, $group:literal, $version:literal, $plural:literal, |$object:ident| $trim:expr;)*) => {$(
        impl Watch for $kind {
            const KIND: &'static str = stringify!($kind);
            const GROUP: &'static str = $group;
            const VERSION: &'static str = $version;
            const PLURAL: &'static str = $plural;

            fn into_item(mut self, status: LoadBalancerStatus) -> Item {
                // What changes with every write must not make two equal objects differ.
                self.metadata.resource_version = None;
                let $object = &mut self;
                $trim;
                Item::Object(Object::$kind(Arc::new(self)), status.ingress)
            }
        }
    )*};
}

watched! {
    Ingress, "networking.k8s.io", "v1", "ingresses", |o| {
        o.metadata.labels.clear();
        o.metadata.annotations.remove(LAST_APPLIED);
    };
    IngressClass, "networking.k8s.io", "v1", "ingressclasses", |o| bare(&mut o.metadata);
    Service, "", "v1", "services", |o| {
        bare(&mut o.metadata);
        o.metadata.uid = None;
    };
    EndpointSlice, "discovery.k8s.io", "v1", "endpointslices", |o| {
        o.metadata.labels.retain(|label, _| label == SERVICE_NAME);
        o.metadata.annotations.clear();
        (o.metadata.uid, o.metadata.generation) = (None, 0);
    };
    Secret, "", "v1", "secrets", |o| bare(&mut o.metadata);
    ConfigMap, "", "v1", "configmaps", |o| bare(&mut o.metadata);
}

const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";
const SERVICE_NAME: &str = "kubernetes.io/service-name";

fn bare(metadata: &mut Meta) {
    metadata.labels.clear();
    metadata.annotations.clear();
    metadata.generation = 0;
}

/// Only its name is read.
#[derive(Clone, Debug, Deserialize)]
pub struct Namespace {}

impl Watch for Namespace {
    const KIND: &'static str = "Namespace";
    const GROUP: &'static str = "";
    const VERSION: &'static str = "v1";
    const PLURAL: &'static str = "namespaces";

    fn into_item(self, _: LoadBalancerStatus) -> Item {
        Item::Namespace
    }
}

/// An object as kube hands it on.
#[derive(Clone, Debug)]
pub struct Watched<T> {
    meta: ObjectMeta,
    pub item: Item,
    kind: PhantomData<T>,
}

impl<T> Watched<T> {
    pub fn key(&self) -> ObjectKey {
        ObjectKey::new(self.meta.namespace.as_deref().unwrap_or(""), self.meta.name.as_deref().unwrap_or(""))
    }
}

/// The fields that kube itself works with.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Identity {
    name: Option<String>,
    namespace: Option<String>,
    resource_version: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Status {
    load_balancer: LoadBalancerStatus,
}

impl<'de, T: Watch> Deserialize<'de> for Watched<T> {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        use serde::de::Error as _;
        let value = serde_json::Value::deserialize(d)?;
        let identity = value.get("metadata").ok_or_else(|| D::Error::missing_field("metadata"))?;
        let Identity { name, namespace, resource_version } =
            Identity::deserialize(identity).map_err(D::Error::custom)?;
        let status = value.get("status").and_then(|status| Status::deserialize(status).ok()).unwrap_or_default();
        let item = match T::deserialize(value) {
            Ok(object) => object.into_item(status.load_balancer),
            Err(error) => Item::Broken(error.to_string()),
        };
        let meta = ObjectMeta { name, namespace, resource_version, ..ObjectMeta::default() };
        Ok(Self { meta, item, kind: PhantomData })
    }
}

impl<T: Watch> Resource for Watched<T> {
    type DynamicType = ();
    type Scope = DynamicResourceScope;

    fn kind((): &()) -> Cow<'_, str> {
        T::KIND.into()
    }

    fn group((): &()) -> Cow<'_, str> {
        T::GROUP.into()
    }

    fn version((): &()) -> Cow<'_, str> {
        T::VERSION.into()
    }

    fn plural((): &()) -> Cow<'_, str> {
        T::PLURAL.into()
    }

    fn meta(&self) -> &ObjectMeta {
        &self.meta
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        &mut self.meta
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read<T: Watch>(text: &str) -> Watched<T> {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn versions_that_differ_in_nothing_that_is_read_are_equal() {
        let of = |version: u32, ip: &str| {
            read::<Ingress>(&format!(
                r#"{{"metadata":{{"name":"web","namespace":"shop","resourceVersion":"{version}","labels":{{"v":"{version}"}},
                "managedFields":[{{"time":"{version}"}}],
                "annotations":{{"kubectl.kubernetes.io/last-applied-configuration":"{version}"}}}},
                "spec":{{"ingressClassName":"nginx"}},
                "status":{{"loadBalancer":{{"ingress":[{{"ip":"{ip}"}}]}}}}}}"#
            ))
        };
        let Item::Object(one, addresses) = of(1, "192.0.2.1").item else { panic!() };
        let Item::Object(two, others) = of(2, "192.0.2.2").item else { panic!() };
        assert_eq!(one, two);
        assert_eq!(addresses[0].ip.as_deref(), Some("192.0.2.1"));
        assert_ne!(addresses, others);
        assert_eq!(of(7, "").meta.resource_version.as_deref(), Some("7"));
    }

    #[test]
    fn an_object_that_cannot_be_read_keeps_its_name() {
        let service = read::<Service>(r#"{"metadata":{"name":"web","namespace":"shop"},"spec":{"ports":7}}"#);
        assert_eq!(service.key().to_string(), "shop/web");
        assert!(matches!(service.item, Item::Broken(_)));
    }

    #[test]
    fn a_slice_keeps_the_label_that_names_its_service() {
        let text = r#"{"metadata":{"name":"web-1","namespace":"shop","labels":{"kubernetes.io/service-name":"web","a":"b"}},
            "addressType":"IPv4","endpoints":null,"ports":null}"#;
        let Item::Object(Object::EndpointSlice(slice), _) = read::<EndpointSlice>(text).item else { panic!() };
        assert_eq!(slice.metadata.labels.len(), 1);
        assert_eq!(slice.service_name(), Some("web"));
    }
}
