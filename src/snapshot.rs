//! The cluster's objects at one moment, sorted by key, cut down to the fields that compile reads.
//!
//! The types mirror the published API objects field for field where they overlap, so that the same
//! documents that `kubectl apply` takes deserialise into them. They know nothing of where they came
//! from except [`Meta::origin`], which diagnostics quote.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize};

use crate::base::diagnostic::{ObjectRef, Origin};

/// `namespace/name`; ordered by namespace, then name. The namespace is empty for cluster-wide kinds.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ObjectKey {
    pub namespace: Arc<str>,
    pub name: Arc<str>,
}

impl ObjectKey {
    pub fn new(namespace: impl Into<Arc<str>>, name: impl Into<Arc<str>>) -> Self {
        Self { namespace: namespace.into(), name: name.into() }
    }

    /// Reads `namespace/name`; a bare name takes `default_namespace`. `None` when a part is empty.
    pub fn parse(text: &str, default_namespace: &str) -> Option<Self> {
        let (namespace, name) = text.split_once('/').unwrap_or((default_namespace, text));
        (!namespace.is_empty() && !name.is_empty() && !name.contains('/')).then(|| Self::new(namespace, name))
    }
}

impl fmt::Display for ObjectKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

/// Object metadata. `created` is seconds since the Unix epoch (`creationTimestamp`), 0 when absent.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Meta {
    pub name: Arc<str>,
    pub namespace: Arc<str>,
    pub uid: Option<Arc<str>>,
    pub generation: i64,
    pub resource_version: Option<Arc<str>>,
    #[serde(rename = "creationTimestamp", deserialize_with = "unix_seconds")]
    pub created: i64,
    #[serde(deserialize_with = "or_default")]
    pub labels: BTreeMap<String, String>,
    #[serde(deserialize_with = "or_default")]
    pub annotations: BTreeMap<String, String>,
    #[serde(skip)]
    pub origin: Option<Arc<Origin>>,
}

impl Meta {
    /// Of an object that is named but not there.
    pub fn of(key: &ObjectKey) -> Self {
        Self { namespace: Arc::clone(&key.namespace), name: Arc::clone(&key.name), ..Self::default() }
    }

    pub fn key(&self) -> ObjectKey {
        ObjectKey { namespace: self.namespace.clone(), name: self.name.clone() }
    }
}

/// `null` where the API allows an absent list or map reads as the empty one, as the API server does.
fn or_default<'de, D: Deserializer<'de>, T: Deserialize<'de> + Default>(d: D) -> Result<T, D::Error> {
    Ok(Option::<T>::deserialize(d)?.unwrap_or_default())
}

fn unix_seconds<'de, D: Deserializer<'de>>(d: D) -> Result<i64, D::Error> {
    let Some(text) = Option::<String>::deserialize(d)? else { return Ok(0) };
    let time: jiff::Timestamp =
        text.parse().map_err(|_| serde::de::Error::custom(format!("{text:?} is not an RFC 3339 time")))?;
    Ok(time.as_second())
}

/// A number or a name, as `targetPort` and backend ports are written.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Deserialize)]
#[serde(untagged, expecting = "expected a number or a name")]
pub enum IntOrString {
    Int(i32),
    String(Arc<str>),
}

impl fmt::Display for IntOrString {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Int(n) => write!(f, "{n}"),
            Self::String(s) => f.write_str(s),
        }
    }
}

macro_rules! objects {
    ($($(#[$doc:meta])* $name:ident { $($(#[$fdoc:meta])* $field:ident: $ty:ty,)* })*) => {$(
        $(#[$doc])*
        #[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
        #[serde(rename_all = "camelCase", default)]
        pub struct $name { $($(#[$fdoc])* pub $field: $ty,)* }
    )*};
}

objects! {
    /// networking.k8s.io/v1 Ingress.
    Ingress { metadata: Meta, spec: IngressSpec, }
    IngressSpec {
        ingress_class_name: Option<Arc<str>>,
        default_backend: Option<IngressBackend>,
        #[serde(deserialize_with = "or_default")]
        tls: Vec<IngressTls>,
        #[serde(deserialize_with = "or_default")]
        rules: Vec<IngressRule>,
    }
    IngressTls {
        #[serde(deserialize_with = "or_default")]
        hosts: Vec<String>,
        #[serde(deserialize_with = "or_default")]
        secret_name: String,
    }
    IngressRule {
        #[serde(deserialize_with = "or_default")]
        host: String,
        http: Option<HttpIngressRuleValue>,
    }
    HttpIngressRuleValue {
        #[serde(deserialize_with = "or_default")]
        paths: Vec<HttpIngressPath>,
    }
    IngressBackend {
        service: Option<IngressServiceBackend>,
        /// Set when the backend is a `resource`; its content is not read (contract §2.6).
        #[serde(deserialize_with = "is_present")]
        resource: bool,
    }
    IngressServiceBackend { name: Arc<str>, port: ServiceBackendPort, }
    ServiceBackendPort { name: Option<Arc<str>>, number: Option<i32>, }

    /// networking.k8s.io/v1 IngressClass.
    IngressClass { metadata: Meta, spec: IngressClassSpec, }
    IngressClassSpec { controller: String, parameters: Option<ClassParameters>, }
    /// What the class refers to; `scope` is `Cluster` when absent.
    ClassParameters { api_group: Option<String>, kind: String, name: Arc<str>, namespace: Option<Arc<str>>, }

    /// v1 Service.
    Service { metadata: Meta, spec: ServiceSpec, status: ServiceStatus, }
    ServiceSpec {
        #[serde(rename = "type", deserialize_with = "or_default")]
        service_type: String,
        #[serde(rename = "clusterIP", deserialize_with = "or_default")]
        cluster_ip: String,
        #[serde(deserialize_with = "or_default")]
        external_name: String,
        #[serde(rename = "externalIPs", deserialize_with = "or_default")]
        external_ips: Vec<String>,
        #[serde(deserialize_with = "or_default")]
        ports: Vec<ServicePort>,
    }
    ServiceStatus { load_balancer: LoadBalancerStatus, }
    LoadBalancerStatus {
        #[serde(deserialize_with = "or_default")]
        ingress: Vec<LoadBalancerIngress>,
    }
    ServicePort {
        #[serde(deserialize_with = "or_default")]
        name: String,
        #[serde(deserialize_with = "or_default")]
        protocol: String,
        port: i32,
        target_port: Option<IntOrString>,
        app_protocol: Option<String>,
    }

    /// discovery.k8s.io/v1 EndpointSlice; its Service is the label `kubernetes.io/service-name`.
    EndpointSlice {
        metadata: Meta,
        address_type: String,
        #[serde(deserialize_with = "or_default")]
        endpoints: Vec<Endpoint>,
        #[serde(deserialize_with = "or_default")]
        ports: Vec<EndpointPort>,
    }
    Endpoint {
        #[serde(deserialize_with = "or_default")]
        addresses: Vec<String>,
        #[serde(deserialize_with = "or_default")]
        conditions: EndpointConditions,
        zone: Option<String>,
    }
    EndpointConditions { ready: Option<bool>, serving: Option<bool>, terminating: Option<bool>, }
    EndpointPort { name: Option<String>, port: Option<i32>, protocol: Option<String>, app_protocol: Option<String>, }

    /// v1 ConfigMap.
    ConfigMap {
        metadata: Meta,
        #[serde(deserialize_with = "or_default")]
        data: BTreeMap<String, String>,
    }
}

/// An address at which a load balancer, or this controller, is reached: one of the two is set.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Deserialize, Serialize)]
#[serde(default)]
pub struct LoadBalancerIngress {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ip: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hostname: Option<String>,
}

/// One path of a rule. `path_type` is required by the API; an absent one is refused when the document is read.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HttpIngressPath {
    #[serde(default, deserialize_with = "or_default")]
    pub path: String,
    pub path_type: PathType,
    pub backend: IngressBackend,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Deserialize)]
pub enum PathType {
    Exact,
    Prefix,
    ImplementationSpecific,
}

/// v1 Secret with its values decoded: `data` from base64, `stringData` merged over it, as the API server does.
#[derive(Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(from = "RawSecret")]
pub struct Secret {
    pub metadata: Meta,
    pub secret_type: String,
    pub data: BTreeMap<String, Vec<u8>>,
    /// Keys of `data` that are not base64; the Secret is unusable and says so instead of failing its file.
    pub undecodable: Vec<String>,
}

/// Secret bytes never reach a log: only the keys are shown.
impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Secret").field("metadata", &self.metadata.key()).field("keys", &self.data.keys()).finish()
    }
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct RawSecret {
    metadata: Meta,
    #[serde(rename = "type", deserialize_with = "or_default")]
    secret_type: String,
    #[serde(deserialize_with = "or_default")]
    data: BTreeMap<String, Option<String>>,
    #[serde(deserialize_with = "or_default")]
    string_data: BTreeMap<String, String>,
}

impl From<RawSecret> for Secret {
    fn from(raw: RawSecret) -> Self {
        use base64::Engine as _;
        let RawSecret { metadata, secret_type, data: encoded, string_data } = raw;
        let mut data = BTreeMap::new();
        let mut undecodable = Vec::new();
        for (key, value) in encoded {
            // YAML folds long values; the API server ignores line breaks in base64 as Go's decoder does.
            let compact: String = value.unwrap_or_default().chars().filter(|c| !matches!(c, '\r' | '\n')).collect();
            match base64::engine::general_purpose::STANDARD.decode(compact.as_bytes()) {
                Ok(bytes) => {
                    data.insert(key, bytes);
                }
                Err(_) => undecodable.push(key),
            }
        }
        data.extend(string_data.into_iter().map(|(key, value)| (key, value.into_bytes())));
        Self { metadata, secret_type, data, undecodable }
    }
}

fn is_present<'de, D: Deserializer<'de>>(d: D) -> Result<bool, D::Error> {
    Ok(Option::<serde::de::IgnoredAny>::deserialize(d)?.is_some())
}

/// A kind that is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    Ingress,
    IngressClass,
    Service,
    EndpointSlice,
    Secret,
    ConfigMap,
}

impl Kind {
    pub const fn as_str(self) -> &'static str {
        match self {
            Kind::Ingress => "Ingress",
            Kind::IngressClass => "IngressClass",
            Kind::Service => "Service",
            Kind::EndpointSlice => "EndpointSlice",
            Kind::Secret => "Secret",
            Kind::ConfigMap => "ConfigMap",
        }
    }
}

/// One object of a kind that is read.
#[derive(Clone, Debug, PartialEq)]
pub enum Object {
    Ingress(Arc<Ingress>),
    IngressClass(Arc<IngressClass>),
    Service(Arc<Service>),
    EndpointSlice(Arc<EndpointSlice>),
    Secret(Arc<Secret>),
    ConfigMap(Arc<ConfigMap>),
}

macro_rules! each_object {
    ($self:expr, $o:ident => $body:expr) => {
        match $self {
            Object::Ingress($o) => $body,
            Object::IngressClass($o) => $body,
            Object::Service($o) => $body,
            Object::EndpointSlice($o) => $body,
            Object::Secret($o) => $body,
            Object::ConfigMap($o) => $body,
        }
    };
}

impl Object {
    pub fn meta(&self) -> &Meta {
        each_object!(self, o => &o.metadata)
    }

    pub fn kind(&self) -> Kind {
        match self {
            Object::Ingress(_) => Kind::Ingress,
            Object::IngressClass(_) => Kind::IngressClass,
            Object::Service(_) => Kind::Service,
            Object::EndpointSlice(_) => Kind::EndpointSlice,
            Object::Secret(_) => Kind::Secret,
            Object::ConfigMap(_) => Kind::ConfigMap,
        }
    }

    pub fn reference(&self) -> ObjectRef {
        let meta = self.meta();
        ObjectRef { kind: self.kind().as_str(), namespace: meta.namespace.clone(), name: meta.name.clone() }
    }
}

/// What is known of IngressClasses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ClassSource {
    /// A directory: while it has none, the class of `--ingress-class` needs none.
    #[default]
    Directory,
    /// A cluster: a class that is not there is nobody's (contract §1.1).
    Cluster,
    /// A cluster that does not let us read them: the annotation alone decides (contract §1.2).
    Unreadable,
}

/// Secrets and ConfigMaps that something refers to; no others are kept.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct References {
    pub secrets: BTreeSet<ObjectKey>,
    pub config_maps: BTreeSet<ObjectKey>,
}

/// The world at one moment. Maps are ordered, so equal contents are equal whatever order they arrived in.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Snapshot {
    pub ingresses: BTreeMap<ObjectKey, Arc<Ingress>>,
    pub ingress_classes: BTreeMap<Arc<str>, Arc<IngressClass>>,
    pub services: BTreeMap<ObjectKey, Arc<Service>>,
    pub endpoint_slices: BTreeMap<ObjectKey, Arc<EndpointSlice>>,
    pub secrets: BTreeMap<ObjectKey, Arc<Secret>>,
    pub config_maps: BTreeMap<ObjectKey, Arc<ConfigMap>>,
    pub class_source: ClassSource,
    /// The namespaces that are looked at, where labels select them; `None` is all of them.
    pub namespaces: Option<BTreeSet<Arc<str>>>,
    /// `status.loadBalancer.ingress` of Ingresses that have one. Nothing is compiled from it.
    pub ingress_status: BTreeMap<ObjectKey, Vec<LoadBalancerIngress>>,
}

impl Snapshot {
    /// Adds an object; one of the same kind and key is replaced and returned.
    pub fn insert(&mut self, object: Object) -> Option<Object> {
        let key = object.meta().key();
        match object {
            Object::Ingress(o) => self.ingresses.insert(key, o).map(Object::Ingress),
            Object::IngressClass(o) => self.ingress_classes.insert(key.name, o).map(Object::IngressClass),
            Object::Service(o) => self.services.insert(key, o).map(Object::Service),
            Object::EndpointSlice(o) => self.endpoint_slices.insert(key, o).map(Object::EndpointSlice),
            Object::Secret(o) => self.secrets.insert(key, o).map(Object::Secret),
            Object::ConfigMap(o) => self.config_maps.insert(key, o).map(Object::ConfigMap),
        }
    }

    pub fn get(&self, kind: Kind, key: &ObjectKey) -> Option<Object> {
        match kind {
            Kind::Ingress => self.ingresses.get(key).cloned().map(Object::Ingress),
            Kind::IngressClass => self.ingress_classes.get(&key.name).cloned().map(Object::IngressClass),
            Kind::Service => self.services.get(key).cloned().map(Object::Service),
            Kind::EndpointSlice => self.endpoint_slices.get(key).cloned().map(Object::EndpointSlice),
            Kind::Secret => self.secrets.get(key).cloned().map(Object::Secret),
            Kind::ConfigMap => self.config_maps.get(key).cloned().map(Object::ConfigMap),
        }
    }

    /// Takes out the object of this kind and key.
    pub fn remove(&mut self, kind: Kind, key: &ObjectKey) -> Option<Object> {
        match kind {
            Kind::Ingress => self.ingresses.remove(key).map(Object::Ingress),
            Kind::IngressClass => self.ingress_classes.remove(&key.name).map(Object::IngressClass),
            Kind::Service => self.services.remove(key).map(Object::Service),
            Kind::EndpointSlice => self.endpoint_slices.remove(key).map(Object::EndpointSlice),
            Kind::Secret => self.secrets.remove(key).map(Object::Secret),
            Kind::ConfigMap => self.config_maps.remove(key).map(Object::ConfigMap),
        }
    }

    /// The slices of one Service, found by their label, in key order.
    pub fn slices_of<'a>(&'a self, service: &'a ObjectKey) -> impl Iterator<Item = &'a Arc<EndpointSlice>> {
        let first = ObjectKey { namespace: service.namespace.clone(), name: "".into() };
        self.endpoint_slices
            .range(first..)
            .take_while(|(key, _)| key.namespace == service.namespace)
            .map(|(_, slice)| slice)
            .filter(|slice| slice.service_name() == Some(&service.name))
    }
}

impl IngressClass {
    /// The ConfigMap that `spec.parameters` names.
    pub fn config_map(&self) -> Option<ObjectKey> {
        let parameters = self.spec.parameters.as_ref()?;
        let core = parameters.api_group.as_deref().is_none_or(str::is_empty);
        let namespace = parameters.namespace.as_ref().filter(|_| core && parameters.kind == "ConfigMap")?;
        Some(ObjectKey { namespace: Arc::clone(namespace), name: Arc::clone(&parameters.name) })
    }
}

impl EndpointSlice {
    /// The Service these endpoints belong to (KEP-752: the label, never the name).
    pub fn service_name(&self) -> Option<&str> {
        self.metadata.labels.get("kubernetes.io/service-name").map(String::as_str)
    }

    /// The key of that Service, which is in the slice's own namespace.
    pub fn service_key(&self) -> Option<ObjectKey> {
        Some(ObjectKey::new(Arc::clone(&self.metadata.namespace), self.service_name()?))
    }
}
