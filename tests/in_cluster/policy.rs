//! The admission policy of deploy/policy, as the API server reads it.

use crate::kit::cluster::{self, Options};
use crate::kit::{DEADLINE, eventually};

const PREFIX: &str = "nginx.ingress.kubernetes.io";

fn ingress(class: &str, annotation: &str, host: &str, path: &str, path_type: &str) -> String {
    let annotations = if annotation.is_empty() { String::new() } else { format!("{PREFIX}/{annotation}") };
    format!(
        "apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {{name: candidate, annotations: {{{annotations}}}}}
spec:
  ingressClassName: {class}
  rules: [{{host: {host}, http: {{paths: [{{path: '{path}', pathType: {path_type}, backend: {{service: {{name: web, port: {{number: 80}}}}}}}}]}}}}]
"
    )
}

#[test]
fn the_policy_refuses_what_it_says() {
    let Some(cluster) = cluster::own(&Options { nodes: 1, ..Options::default() }) else { return };
    cluster.apply("default", "{apiVersion: networking.k8s.io/v1, kind: IngressClass, metadata: {name: nginx}, spec: {controller: k8s.io/ingress-nginx}}");
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/deploy/policy");
    cluster
        .kubectl(
            ["apply", "--filename", &format!("{folder}/policy.yaml"), "--filename", &format!("{folder}/binding.yaml")],
            "",
        )
        .ok();
    let dry = |manifest: &str| {
        let output = cluster.kubectl(["apply", "--dry-run=server", "--filename", "-"], manifest);
        if output.status.success() { String::new() } else { output.stderr }
    };
    // The API server takes a moment to put a policy in force.
    let snippet = ingress("nginx", "server-snippet: return 200;", "a.test", "/", "Prefix");
    eventually(DEADLINE, || dry(&snippet).contains("snippets are off").then_some(())).expect("the policy in force");
    let rows = [
        (ingress("nginx", "", "a.test", "/", "Prefix"), ""),
        (ingress("nginx", "ssl-redirect: 'false'", "a.test", "/a-b_c.d/", "Exact"), ""),
        (ingress("nginx", "ssl-redirect: 'yes'", "a.test", "/", "Prefix"), "neither true nor false"),
        (ingress("nginx", "proxy-read-timeout: 60s", "a.test", "/", "Prefix"), "not a whole number"),
        (ingress("nginx", "proxy-read-timeout: '60'", "a.test", "/", "Prefix"), ""),
        (ingress("nginx", "backend-protocol: SPDY", "a.test", "/", "Prefix"), "backend-protocol"),
        (ingress("nginx", "whitelist-source-range: '10.0.0.0/8, 192.0.2.1'", "a.test", "/", "Prefix"), ""),
        (ingress("nginx", "whitelist-source-range: everybody", "a.test", "/", "Prefix"), "not a list of networks"),
        (ingress("nginx", "", "a.test", "/a(/|$)(.*)", "Prefix"), "use ImplementationSpecific"),
        (ingress("nginx", "", "a.test", "/a(/|$)(.*)", "ImplementationSpecific"), ""),
        (ingress("nginx", "", "a.test", "/x;alias /etc;", "ImplementationSpecific"), "looks like nginx configuration"),
        // Another class's.
        (ingress("other", "server-snippet: return 200;", "a.test", "/", "Prefix"), ""),
    ];
    for (manifest, expected) in rows {
        let said = dry(&manifest);
        assert!(
            said.contains(expected) && said.is_empty() == expected.is_empty(),
            "{manifest}\n{said}\nnot {expected:?}"
        );
    }
}
