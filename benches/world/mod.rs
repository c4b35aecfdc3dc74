//! Synthetic clusters: the same ones on every run.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use portcullis::snapshot::{
    Endpoint, EndpointPort, EndpointSlice, HttpIngressPath, HttpIngressRuleValue, Ingress, IngressBackend, IngressRule,
    IngressServiceBackend, IngressSpec, Meta, Object, PathType, Service, ServiceBackendPort, ServicePort, ServiceSpec,
    Snapshot,
};

/// Namespaces over which the objects are spread.
const NAMESPACES: usize = 50;
/// Paths of a host that has several.
const PATHS_PER_HOST: usize = 20;
/// Paths of one Ingress when a host has so many that nobody writes them in one.
const PATHS_PER_INGRESS: usize = 100;

/// How routes are spread over hosts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Shape {
    /// Each Ingress has its own host with the path `/`.
    Plain,
    /// Each Ingress has its own host with 20 paths.
    Paths,
    /// Each Ingress has its own host with one regex path, no two the same.
    Regex,
    /// All paths are on one host, 100 an Ingress.
    OneHost,
}

/// A cluster: its shape and how many paths all of its rules have together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct World {
    pub shape: Shape,
    pub routes: usize,
}

impl fmt::Display for World {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} {}", self.shape, self.routes)
    }
}

impl World {
    fn paths_per_ingress(self) -> usize {
        match self.shape {
            Shape::Plain | Shape::Regex => 1,
            Shape::Paths => PATHS_PER_HOST.min(self.routes),
            Shape::OneHost => PATHS_PER_INGRESS.min(self.routes),
        }
    }

    pub fn ingresses(self) -> usize {
        self.routes.div_ceil(self.paths_per_ingress())
    }

    pub fn host(self, ingress: usize) -> String {
        match self.shape {
            Shape::OneHost => "shop.example.test".to_owned(),
            Shape::Plain | Shape::Paths | Shape::Regex => format!("app-{ingress}.example.test"),
        }
    }

    /// The rule's path text.
    pub fn path(self, ingress: usize, path: usize) -> String {
        match self.shape {
            Shape::Plain => "/".to_owned(),
            Shape::Paths => format!("/team/section-{path}"),
            Shape::Regex => format!("/app-{ingress}/v[0-9]+(/|$)(.*)"),
            Shape::OneHost => format!("/shop/department-{ingress}/section-{path}"),
        }
    }

    pub fn snapshot(self) -> Snapshot {
        let mut snapshot = Snapshot::default();
        for number in 0..self.ingresses() {
            snapshot.insert(Object::Ingress(self.ingress(number)));
            snapshot.insert(Object::Service(service(number)));
            snapshot.insert(Object::EndpointSlice(slice(number)));
        }
        snapshot
    }

    /// The Ingress of a number; a new value each time.
    pub fn ingress(self, number: usize) -> Arc<Ingress> {
        let mut metadata = meta(number, "app");
        metadata.created = 1_700_000_000 + i64::try_from(number % 97).unwrap_or_default();
        metadata.annotations =
            BTreeMap::from([("nginx.ingress.kubernetes.io/proxy-read-timeout".to_owned(), "120".to_owned())]);
        if self.shape == Shape::Regex {
            metadata.annotations.insert("nginx.ingress.kubernetes.io/use-regex".to_owned(), "true".to_owned());
        }
        let port = ServiceBackendPort { name: None, number: Some(80) };
        let service = IngressServiceBackend { name: format!("app-{number}").into(), port };
        let path = |path| HttpIngressPath {
            path: self.path(number, path),
            path_type: if self.shape == Shape::Regex { PathType::ImplementationSpecific } else { PathType::Prefix },
            backend: IngressBackend { service: Some(service.clone()), resource: false },
        };
        let paths = (0..self.paths_per_ingress()).map(path).collect();
        let rules = vec![IngressRule { host: self.host(number), http: Some(HttpIngressRuleValue { paths }) }];
        let spec = IngressSpec { ingress_class_name: Some("nginx".into()), rules, ..IngressSpec::default() };
        Arc::new(Ingress { metadata, spec })
    }
}

fn meta(number: usize, prefix: &str) -> Meta {
    Meta {
        name: format!("{prefix}-{number}").into(),
        namespace: format!("team-{}", number % NAMESPACES).into(),
        ..Meta::default()
    }
}

fn service(number: usize) -> Arc<Service> {
    let port = ServicePort { name: "http".to_owned(), port: 80, ..ServicePort::default() };
    let spec = ServiceSpec { ports: vec![port], ..ServiceSpec::default() };
    Arc::new(Service { metadata: meta(number, "app"), spec, ..Service::default() })
}

/// Two ready addresses.
fn slice(number: usize) -> Arc<EndpointSlice> {
    let mut metadata = meta(number, "app-slice");
    metadata.labels.insert("kubernetes.io/service-name".to_owned(), format!("app-{number}"));
    let address = |last: usize| Endpoint {
        addresses: vec![format!("10.{}.{}.{}", number >> 14, (number >> 7) & 127, 2 * (number & 127) + last)],
        ..Endpoint::default()
    };
    let port = EndpointPort { name: Some("http".to_owned()), port: Some(8080), ..EndpointPort::default() };
    let endpoints = vec![address(0), address(1)];
    Arc::new(EndpointSlice { metadata, address_type: "IPv4".to_owned(), endpoints, ports: vec![port] })
}

/// Plain Ingresses as people write them, in one YAML file.
pub fn yaml(ingresses: usize) -> String {
    let mut text = String::new();
    for number in 0..ingresses {
        text.push_str(&format!(
            "---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata:
  name: app-{number}
  namespace: team-{}
  annotations:
    nginx.ingress.kubernetes.io/proxy-read-timeout: \"120\"
spec:
  ingressClassName: nginx
  rules:
    - host: app-{number}.example.test
      http:
        paths:
          - path: /
            pathType: Prefix
            backend:
              service:
                name: app-{number}
                port:
                  number: 80
",
            number % NAMESPACES
        ));
    }
    text
}
