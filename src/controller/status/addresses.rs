//! Which addresses an Ingress is reached at (contract §19), as pure functions.

use std::net::IpAddr;

use crate::snapshot::{LoadBalancerIngress, ObjectKey, Service};

/// Where the addresses come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Publish {
    /// `--publish-status-address`.
    Addresses(Vec<String>),
    /// `--publish-service`.
    Service(ObjectKey),
    /// Those of the nodes that run our Pods; internal ones with `--report-node-internal-ip-address`.
    Nodes { internal: bool },
}

/// An address as text: what is no IP address is a host name.
pub fn address(text: &str) -> LoadBalancerIngress {
    match text.parse::<IpAddr>() {
        Ok(_) => LoadBalancerIngress { ip: Some(text.to_owned()), hostname: None },
        Err(_) => LoadBalancerIngress { ip: None, hostname: Some(text.to_owned()) },
    }
}

/// What is written: in one order, each once.
pub fn sorted(mut list: Vec<LoadBalancerIngress>) -> Vec<LoadBalancerIngress> {
    list.retain(|address| *address != LoadBalancerIngress::default());
    list.sort();
    list.dedup();
    list
}

/// The addresses of the Service in front of us, by its type.
pub fn of_service(service: &Service) -> Vec<LoadBalancerIngress> {
    let external = || service.spec.external_ips.iter().map(|ip| address(ip));
    let cluster = || vec![address(&service.spec.cluster_ip)];
    sorted(match service.spec.service_type.as_str() {
        "ExternalName" => vec![address(&service.spec.external_name)],
        "LoadBalancer" => service.status.load_balancer.ingress.iter().cloned().chain(external()).collect(),
        "NodePort" if !service.spec.external_ips.is_empty() => external().collect(),
        _ if matches!(service.spec.cluster_ip.as_str(), "" | "None") => Vec::new(),
        _ => cluster(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `type; spec fields; status` to the addresses.
    #[test]
    fn of_services() {
        let balanced = r#"{"loadBalancer":{"ingress":[{"ip":"192.0.2.9","ports":[]},{"hostname":"lb.example.com"}]}}"#;
        let rows = [
            (r#"{"type":"LoadBalancer","clusterIP":"10.0.0.1"}"#, balanced, "192.0.2.9 lb.example.com"),
            (
                r#"{"type":"LoadBalancer","externalIPs":["192.0.2.9","192.0.2.7"]}"#,
                balanced,
                "192.0.2.7 192.0.2.9 lb.example.com",
            ),
            (r#"{"type":"LoadBalancer","clusterIP":"10.0.0.1"}"#, "{}", ""),
            (r#"{"type":"ClusterIP","clusterIP":"10.0.0.1"}"#, "{}", "10.0.0.1"),
            (r#"{"type":"ClusterIP","clusterIP":"None"}"#, "{}", ""),
            (r#"{"type":"NodePort","clusterIP":"10.0.0.1"}"#, "{}", "10.0.0.1"),
            (r#"{"type":"NodePort","clusterIP":"10.0.0.1","externalIPs":["192.0.2.1"]}"#, "{}", "192.0.2.1"),
            (r#"{"type":"ExternalName","externalName":"ingress.example.com"}"#, "{}", "ingress.example.com"),
        ];
        for (spec, status, expected) in rows {
            let service: Service = serde_json::from_str(&format!(r#"{{"spec":{spec},"status":{status}}}"#)).unwrap();
            let got: Vec<String> =
                of_service(&service).into_iter().filter_map(|address| address.ip.or(address.hostname)).collect();
            let mut expected: Vec<&str> = expected.split_whitespace().collect();
            expected.sort_by_key(|text| (text.parse::<IpAddr>().is_ok(), *text));
            assert_eq!(got, expected, "{spec} {status}");
        }
    }
}
