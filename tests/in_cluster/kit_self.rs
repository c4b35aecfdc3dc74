//! The cluster does what a cluster does.

use std::net::SocketAddr;

use serde_json::Value;

use crate::kit::Raw;
use crate::kit::cluster::{self, Way};

/// A Deployment of echo backends and its Service, on port 8080.
pub fn workload(name: &str, replicas: usize) -> String {
    format!(
        "apiVersion: apps/v1
kind: Deployment
metadata: {{name: {name}}}
spec:
  replicas: {replicas}
  selector: {{matchLabels: {{app: {name}}}}}
  template:
    metadata: {{labels: {{app: {name}}}}}
    spec:
      containers: [{{name: echo, image: echo, ports: [{{name: http, containerPort: 8080}}]}}]
---
apiVersion: v1
kind: Service
metadata: {{name: {name}}}
spec:
  selector: {{app: {name}}}
  ports: [{{name: http, port: 80, targetPort: http}}]
"
    )
}

/// What the echo backend at that address says.
pub fn echo(address: &str, target: &str) -> Value {
    let address: SocketAddr = format!("{address}:8080").parse().unwrap();
    let response = Raw::connect(address).get("echo.test", target);
    assert_eq!(response.status, 200);
    serde_json::from_str(&response.text()).unwrap()
}

#[test]
fn a_deployment_becomes_endpoints_that_answer() {
    let Some(cluster) = cluster::with_pods() else { return };
    let namespace = cluster.namespace("echo");
    cluster.apply(&namespace, &workload("web", 2));
    for address in cluster.wait_for_endpoints(&namespace, "web", 2) {
        assert!(address.starts_with(&cluster.pod_prefix), "{address}");
        let said = echo(&address, "/a?b=c");
        assert_eq!((&said["path"], &said["namespace"]), (&"/a?b=c".into(), &namespace.as_str().into()));
    }
    let slices = cluster.get(&namespace, &["endpointslices"]).unwrap();
    let endpoints = slices["items"][0]["endpoints"].as_array().unwrap();
    let mut zones: Vec<&str> = endpoints.iter().filter_map(|e| e["zone"].as_str()).collect();
    zones.sort_unstable();
    assert_eq!(zones, ["zone-1", "zone-2"]);
}

#[test]
fn a_rollout_replaces_every_pod() {
    let Some(cluster) = cluster::with_pods() else { return };
    let namespace = cluster.namespace("rollout");
    cluster.apply(&namespace, &workload("web", 2));
    let before = cluster.wait_for_endpoints(&namespace, "web", 2);
    cluster.kubectl(["rollout", "restart", "--namespace", &namespace, "deployment/web"], "").ok();
    cluster.kubectl(["rollout", "status", "--namespace", &namespace, "deployment/web", "--timeout=60s"], "").ok();
    let after = cluster.wait_for("only new endpoints", || {
        let now = cluster.endpoints(&namespace, "web");
        (now.len() == 2 && now.iter().all(|address| !before.contains(address))).then_some(now)
    });
    for address in after {
        echo(&address, "/");
    }
    cluster.kubectl(["scale", "--namespace", &namespace, "deployment/web", "--replicas=0"], "").ok();
    cluster.wait_for_endpoints(&namespace, "web", 0);
}

#[test]
fn load_balancers_and_nodes_have_addresses() {
    let Some(cluster) = cluster::with_pods() else { return };
    let namespace = cluster.namespace("balancer");
    let service = |name: &str, annotations: &str| {
        format!(
            "apiVersion: v1\nkind: Service\nmetadata: {{name: {name}, annotations: {{{annotations}}}}}\n\
             spec: {{type: LoadBalancer, ports: [{{port: 80}}]}}\n---\n"
        )
    };
    let services = service("never", "testcluster/no-address: 'true'") + &service("soon", "");
    cluster.apply(&namespace, &services);
    let address = |name| {
        let service = cluster.get(&namespace, &["service", name]).unwrap();
        service["status"]["loadBalancer"]["ingress"][0]["ip"].as_str().map(str::to_owned)
    };
    let given = cluster.wait_for("the address of a load balancer", || address("soon"));
    assert!(given.starts_with(&cluster.balancer_prefix), "{given}");
    assert_eq!(address("never"), None);

    let nodes = cluster.get(&namespace, &["nodes"]).unwrap();
    let addresses = |node: &Value| -> Vec<(String, String)> {
        let all = node["status"]["addresses"].as_array().unwrap().iter();
        all.map(|a| (a["type"].as_str().unwrap().to_owned(), a["address"].as_str().unwrap().to_owned())).collect()
    };
    let first = addresses(&nodes["items"][0]);
    let expected = [
        ("InternalIP".to_owned(), format!("{}.1", cluster.node_prefix)),
        ("Hostname".to_owned(), "node-1".to_owned()),
        ("ExternalIP".to_owned(), format!("{}.1", cluster.node_external_prefix)),
    ];
    assert_eq!((first.as_slice(), nodes["items"].as_array().unwrap().len()), (expected.as_slice(), 2));
}

#[test]
fn a_token_may_do_what_its_roles_allow() {
    let Some(cluster) = cluster::shared() else { return };
    let namespace = cluster.namespace("token");
    let ways = if cluster.has_controllers() { &[Way::Direct, Way::Front][..] } else { &[Way::Direct] };
    for &way in ways {
        let account = format!("reader-{way:?}").to_lowercase();
        let kubeconfig = cluster.token_kubeconfig(&namespace, &account, way);
        let get = || cluster.kubectl_as(&kubeconfig, ["get", "services"], "");
        let refused = get();
        assert!(!refused.status.success() && refused.stderr.contains("Forbidden"), "{refused:?}");
        assert!(refused.stderr.contains(&format!("system:serviceaccount:{namespace}:{account}")), "{refused:?}");
        let role = ["create", "role", &account, "--namespace", &namespace, "--verb=get,list", "--resource=services"];
        cluster.kubectl(role, "").ok();
        let role = format!("--role={account}");
        let subject = format!("--serviceaccount={namespace}:{account}");
        let binding = ["create", "rolebinding", &account, "--namespace", &namespace, &role, &subject];
        cluster.kubectl(binding, "").ok();
        cluster.wait_for("the role to count", || get().status.success().then_some(()));
    }
}

#[test]
fn helm_installs_a_chart() {
    let Some(cluster) = cluster::with_pods() else { return };
    let namespace = cluster.namespace("helm");
    let chart = tempfile::tempdir().unwrap();
    std::fs::create_dir(chart.path().join("templates")).unwrap();
    let write = |name: &str, text: &str| std::fs::write(chart.path().join(name), text).unwrap();
    write("Chart.yaml", "apiVersion: v2\nname: small\nversion: 1.2.3\n");
    write(
        "templates/config.yaml",
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: {{ .Release.Name }}}\ndata: {kube: {{ .Capabilities.KubeVersion }}}\n",
    );
    assert!(cluster.helm(["version", "--short"]).ok().starts_with('v'));
    let path = chart.path().to_str().unwrap();
    cluster.helm(["install", "--namespace", &namespace, "mine", path, "--wait"]).ok();
    let config = cluster.get(&namespace, &["configmap", "mine"]).unwrap();
    assert_eq!(config["data"]["kube"], cluster.ready().version);
    cluster.helm(["uninstall", "--namespace", &namespace, "mine"]).ok();
    assert_eq!(cluster.get(&namespace, &["configmap", "mine"]), None);
}
