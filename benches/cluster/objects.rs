//! The cluster's objects: N Ingresses, each with a host, a Service, an EndpointSlice and a TLS Secret of its own.

use serde_json::{Value, json};

use super::api::Write;
use crate::kit::Identity;

pub const NAMESPACES: usize = 100;
/// Who answers for every Service, and who takes its place in a measurement; addresses of the network namespace.
pub const BACKENDS: [&str; 3] = ["10.200.0.1", "10.200.0.2", "10.200.0.3"];
pub const BACKEND_PORT: u16 = 8080;
/// The address that Ingresses have in their status before the controller starts, as after a restart of it.
pub const ADDRESS: &str = "192.0.2.1";

const DOMAIN: &str = "example.test";

pub fn namespace(number: usize) -> String {
    format!("bench-{}", number % NAMESPACES)
}

pub fn host(number: usize) -> String {
    format!("app-{number}.{DOMAIN}")
}

/// A host that the changes of a measurement bring.
pub fn new_host(number: usize) -> String {
    format!("new-{number}.{DOMAIN}")
}

/// One certificate for every host.
pub fn identity() -> Identity {
    Identity::self_signed(&[&format!("*.{DOMAIN}")])
}

pub fn namespaces() -> impl Iterator<Item = Write> {
    (0..NAMESPACES).map(|number| {
        Write::post("/api/v1/namespaces", json!({"metadata": {"name": namespace(number)}})) //
    })
}

pub fn class() -> Write {
    let spec = json!({"controller": "k8s.io/ingress-nginx"});
    Write::post("/apis/networking.k8s.io/v1/ingressclasses", json!({"metadata": {"name": "nginx"}, "spec": spec}))
}

/// The collection of a kind in the namespace of a number.
pub fn ingresses(number: usize) -> String {
    format!("/apis/networking.k8s.io/v1/namespaces/{}/ingresses", namespace(number))
}

pub fn slices(number: usize) -> String {
    format!("/apis/discovery.k8s.io/v1/namespaces/{}/endpointslices", namespace(number))
}

fn core(number: usize, kind: &str) -> String {
    format!("/api/v1/namespaces/{}/{kind}", namespace(number))
}

/// An Ingress and what it refers to. The Service has no selector: its EndpointSlice is nobody else's.
pub fn application(number: usize, identity: &Identity) -> [Write; 4] {
    let name = format!("app-{number}");
    let service = json!({"metadata": {"name": name}, "spec": {"ports": [{"name": "http", "port": 80}]}});
    let slice = json!({
        "metadata": {"name": name, "labels": {"kubernetes.io/service-name": name}},
        "addressType": "IPv4",
        "endpoints": endpoints(&BACKENDS[..1]),
        "ports": [{"name": "http", "port": BACKEND_PORT, "protocol": "TCP"}],
    });
    let secret = json!({
        "metadata": {"name": format!("{name}-tls")},
        "type": "kubernetes.io/tls",
        "stringData": {"tls.crt": identity.cert_pem, "tls.key": identity.key_pem},
    });
    let ingress = ingress(&name, &host(number), number);
    [
        Write::post(core(number, "services"), service),
        Write::post(slices(number), slice),
        Write::post(core(number, "secrets"), secret),
        Write::post(ingresses(number), ingress),
    ]
}

/// An Ingress of that name and host, to the Service of a number, with its certificate.
pub fn ingress(name: &str, host: &str, number: usize) -> Value {
    // The annotation lets plain requests pass although the host has TLS.
    let annotations = json!({
        "nginx.ingress.kubernetes.io/ssl-redirect": "false",
        "nginx.ingress.kubernetes.io/proxy-read-timeout": "120",
    });
    json!({"metadata": {"name": name, "annotations": annotations}, "spec": ingress_spec(host, number)})
}

fn ingress_spec(host: &str, number: usize) -> Value {
    let backend = json!({"service": {"name": format!("app-{number}"), "port": {"number": 80}}});
    json!({
        "ingressClassName": "nginx",
        "tls": [{"hosts": [host], "secretName": format!("app-{number}-tls")}],
        "rules": [{"host": host, "http": {"paths": [{"path": "/", "pathType": "Prefix", "backend": backend}]}}],
    })
}

pub fn status(number: usize) -> Write {
    let status = json!({"status": {"loadBalancer": {"ingress": [{"ip": ADDRESS}]}}});
    Write::patch(format!("{}/app-{number}/status", ingresses(number)), status)
}

/// Another host for the Ingress of that name.
pub fn move_ingress(name: &str, host: &str, number: usize) -> Write {
    Write::patch(format!("{}/{name}", ingresses(number)), json!({"spec": ingress_spec(host, number)}))
}

/// A change of an Ingress that its requests do not show.
pub fn touch_ingress(number: usize, turn: usize) -> Write {
    let annotations = json!({"nginx.ingress.kubernetes.io/proxy-read-timeout": (60 + turn % 60).to_string()});
    Write::patch(format!("{}/app-{number}", ingresses(number)), json!({"metadata": {"annotations": annotations}}))
}

/// Other endpoints for a Service.
pub fn move_endpoints(number: usize, addresses: &[&str]) -> Write {
    Write::patch(format!("{}/app-{number}", slices(number)), json!({"endpoints": endpoints(addresses)}))
}

fn endpoints(addresses: &[&str]) -> Value {
    addresses.iter().map(|address| json!({"addresses": [address], "conditions": {"ready": true}})).collect()
}
