//! The chart, installed by helm, runs the controller with its own ServiceAccount, roles and arguments: everything that it
//! promises, and not one permission more or less than that takes.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use serde_json::{Value, json};

use super::kit_self::workload;
use crate::kit::cluster::{self, Cluster, Options};
use crate::kit::{DEADLINE, Raw, eventually};

const NAMESPACE: &str = "edge";
/// Hosts with TLS are sent to https, even while there is no certificate (contract §7.1).
const REDIRECTED: u16 = 308;

/// One cluster a chart: its webhook and its class are the whole cluster's.
struct Installed {
    cluster: Cluster,
    values: tempfile::TempDir,
}

impl Installed {
    fn new(values: Value) -> Option<Self> {
        let cluster = cluster::own(&Options::default())?;
        cluster.kubectl(["create", "namespace", NAMESPACE], "").ok();
        let this = Self { cluster, values: tempfile::tempdir().unwrap() };
        this.helm("install", values);
        Some(this)
    }

    /// The chart with values on top of what one machine for all Pods takes: each Pod has an address, and no other.
    fn helm(&self, verb: &str, mut values: Value) {
        let controller = &mut values["controller"];
        controller["image"]["repository"] = json!("portcullis");
        controller["extraEnvs"] = json!([{"name": "POD_IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}}]);
        let binary = env!("CARGO_BIN_EXE_portcullis");
        controller["lifecycle"] = json!({"preStop": {"exec": {"command": [binary, "wait-shutdown"]}}});
        controller["extraArgs"]["post-shutdown-grace-period"] = json!("0");
        if controller["admissionWebhooks"]["enabled"] == json!(true) {
            controller["extraArgs"]["validating-webhook"] = json!("$(POD_IP):8443");
        }
        let file = self.values.path().join("values.json");
        std::fs::write(&file, values.to_string()).unwrap();
        let chart = concat!(env!("CARGO_MANIFEST_DIR"), "/deploy/helm/portcullis");
        let file = file.to_str().unwrap();
        self.cluster.helm([verb, "portcullis", chart, "--namespace", NAMESPACE, "--values", file]).ok();
    }

    fn own(&self, args: &[&str]) -> String {
        self.cluster.kubectl(["--namespace", NAMESPACE].iter().chain(args), "").ok()
    }

    /// The addresses of so many ready controllers.
    fn controllers(&self, count: usize) -> Vec<SocketAddr> {
        let service = "portcullis-controller";
        let addresses = eventually(cluster::process::PATIENCE, || {
            Some(self.cluster.endpoints(NAMESPACE, service)).filter(|list| list.len() == count)
        });
        let addresses = addresses.unwrap_or_else(|| panic!("{count} controllers are not there:\n{}", self.logs()));
        addresses.iter().map(|address| format!("{address}:80").parse().unwrap()).collect()
    }

    fn logs(&self) -> String {
        let pods = self.own(&["get", "pods", "--output", "jsonpath={.items[*].metadata.name}"]);
        let log = |pod: &str| {
            let log = self.cluster.pod_log(NAMESPACE, pod);
            let lines: Vec<&str> = log.lines().filter(|line| !line.contains(" HTTP/1.1\" ")).collect();
            format!("--- {pod}\n{}\n", lines.join("\n"))
        };
        let asked = self.cluster.log("front-requests");
        let own =
            asked.lines().filter(|line| line.contains("portcullis/") && !line.contains("watch=")).collect::<Vec<_>>();
        pods.split_whitespace().map(log).chain(Some(own.join("\n"))).collect()
    }

    /// What the roles of the release grant, as `verb group/resource`.
    fn granted(&self) -> BTreeSet<String> {
        let roles =
            ["get", "roles,clusterroles", "-A", "--selector", "app.kubernetes.io/instance=portcullis", "--output=json"];
        let roles: Value = serde_json::from_str(&self.cluster.kubectl(roles, "").ok()).unwrap();
        let text = |value: &Value| {
            value.as_array().into_iter().flatten().map(|v| v.as_str().unwrap().to_owned()).collect::<Vec<_>>()
        };
        let mut granted = BTreeSet::new();
        for rule in roles["items"].as_array().unwrap().iter().flat_map(|role| role["rules"].as_array().unwrap()) {
            for group in text(&rule["apiGroups"]) {
                for resource in text(&rule["resources"]) {
                    granted.extend(text(&rule["verbs"]).iter().map(|verb| format!("{verb} {group}/{resource}")));
                }
            }
        }
        granted
    }

    /// What the controllers asked the API server for, in the same words, and what they were refused.
    fn used(&self) -> (BTreeSet<String>, Vec<String>) {
        let (mut used, mut refused) = (BTreeSet::new(), Vec::new());
        for line in self.cluster.log("front-requests").lines().filter(|line| line.contains("portcullis/")) {
            let words: Vec<&str> = line.split_whitespace().collect();
            let [_, method, target, status, ..] = words.as_slice() else { panic!("{line}") };
            used.insert(permission(method, target));
            if *status == "403" {
                refused.push(line.to_owned());
            }
        }
        (used, refused)
    }

    /// A verb too many or too few fails.
    fn asked_for_what_is_granted(&self) {
        let (used, refused) = self.used();
        assert_eq!(refused, Vec::<String>::new(), "a permission is missing");
        let granted = self.granted();
        let unused: Vec<_> = granted.difference(&used).collect();
        assert!(unused.is_empty(), "granted and never asked for: {unused:?}\n{}", self.logs());
        println!("{} permissions granted, all of them used: {granted:?}", granted.len());
    }
}

/// A request in the words of RBAC.
fn permission(method: &str, target: &str) -> String {
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let mut parts: Vec<&str> = path.trim_matches('/').split('/').collect();
    let group = if parts[0] == "api" { "" } else { parts[1] };
    parts.drain(..if parts[0] == "api" { 2 } else { 3 });
    if parts.len() > 2 && parts[0] == "namespaces" {
        parts.drain(..2);
    }
    let resource = if parts.len() > 2 { format!("{}/{}", parts[0], parts[2]) } else { parts[0].to_owned() };
    let verb = match (method, parts.len() > 1) {
        ("GET", _) if query.contains("watch=") => "watch",
        ("GET", false) => "list",
        ("GET", true) => "get",
        ("POST", _) => "create",
        ("PUT", _) => "update",
        ("PATCH", _) => "patch",
        other => panic!("{other:?} {target}"),
    };
    format!("{verb} {group}/{resource}")
}

fn ingress(name: &str, host: &str, annotations: &str) -> String {
    format!(
        "apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {{name: {name}, annotations: {{{annotations}}}}}
spec:
  ingressClassName: nginx
  tls: [{{hosts: [{host}], secretName: not-there}}]
  rules: [{{host: {host}, http: {{paths: [{{path: /, pathType: Prefix, backend: {{service: {{name: web, port: {{number: 80}}}}}}}}]}}}}]
"
    )
}

#[test]
fn the_chart_runs_with_its_own_account_and_needs_all_of_it() {
    let values = json!({ "controller": {
        "replicaCount": 2,
        "electionTTL": "4s",
        "admissionWebhooks": { "enabled": true },
        "metrics": { "enabled": true },
        "config": { "proxy-body-size": "2m" },
    }});
    let Some(installed) = Installed::new(values.clone()) else { return };
    let cluster = &installed.cluster;
    cluster.apply("default", &workload("web", 2));
    let controllers = installed.controllers(2);
    cluster.wait_for_endpoints("default", "web", 2);

    // Before an Ingress is written the controller is asked, by its own certificate.
    let apply = |manifest: &str| cluster.kubectl(["apply", "--filename", "-"], manifest);
    eventually(DEADLINE, || apply(&ingress("web", "web.test", "")).status.success().then_some(()))
        .unwrap_or_else(|| panic!("{}\n{}", apply(&ingress("web", "web.test", "")).stderr, installed.logs()));
    // The replica that is asked may not have seen the first one yet.
    let twin = || cluster.kubectl(["apply", "--dry-run=server", "--filename", "-"], &ingress("twin", "web.test", ""));
    let taken = "host \"web.test\" and path \"/\" is already defined in ingress default/web";
    eventually(DEADLINE, || twin().stderr.contains(taken).then_some(())).unwrap_or_else(|| panic!("{}", twin().stderr));
    let refused = apply(&ingress("bad", "bad.test", "nginx.ingress.kubernetes.io/relative-redirects: maybe"));
    assert!(refused.stderr.contains("relative-redirects: "), "{}", refused.stderr);
    let warned = apply(&ingress("typo", "typo.test", "nginx.ingress.kubernetes.io/proxy-bodysize: 8m"));
    assert!(warned.status.success() && warned.stderr.contains("did you mean proxy-body-size?"), "{}", warned.stderr);

    // Served by every replica; the status is the balancer's address; the person is told what lacks.
    for controller in &controllers {
        eventually(DEADLINE, || (Raw::connect(*controller).get("web.test", "/").status == REDIRECTED).then_some(()))
            .unwrap();
    }
    let status = || {
        cluster.kubectl(["get", "ingress", "web", "--output", "jsonpath={.status.loadBalancer.ingress[0].ip}"], "").ok()
    };
    eventually(DEADLINE, || status().starts_with(&cluster.balancer_prefix).then_some(())).unwrap();
    let described = || cluster.kubectl(["describe", "ingress", "web"], "").ok();
    eventually(DEADLINE, || described().contains("not-there: the Secret does not exist").then_some(()))
        .unwrap_or_else(|| panic!("{}\n{}", described(), installed.logs()));
    // A Secret that is referred to later is asked for; events are said again by another leader.
    cluster.kubectl(["create", "secret", "generic", "late"], "").ok();
    apply(&ingress("late", "late.test", "").replace("not-there", "late")).ok();

    // What the webhook's certificate is made of breaks, and is made anew.
    let secret = installed.own(&[
        "get",
        "secrets",
        "--output",
        "jsonpath={.items[?(@.type=='kubernetes.io/tls')].metadata.name}",
    ]);
    installed.own(&["patch", "secret", &secret, "--type=merge", "--patch", r#"{"data":{"tls.crt":"eA=="}}"#]);
    let mended = || installed.own(&["get", "secret", &secret, "--output", "jsonpath={.data.tls\\.crt}"]) != "eA==";
    eventually(DEADLINE * 2, || mended().then_some(())).unwrap_or_else(|| panic!("{}", installed.logs()));
    eventually(DEADLINE * 2, || apply(&ingress("after", "after.test", "")).status.success().then_some(()))
        .unwrap_or_else(|| panic!("the new certificate is not trusted:\n{}", installed.logs()));

    // The leader goes: the other one leads, and says again what still lacks.
    let leader = installed.own(&["get", "lease", "portcullis-leader", "--output", "jsonpath={.spec.holderIdentity}"]);
    installed.own(&["delete", "pod", &leader]);
    installed.controllers(2);
    eventually(DEADLINE, || installed.used().0.contains("patch /events").then_some(()))
        .unwrap_or_else(|| panic!("no event is said again: {:?}\n{}", installed.used(), installed.logs()));
    let kept = status();
    assert!(kept.starts_with(&cluster.balancer_prefix), "taken away by one of two: {kept:?}\n{}", installed.logs());
    // The last ones go, and the status with them. The webhook goes first, or nobody could write an Ingress any more.
    cluster.kubectl(["delete", "validatingwebhookconfigurations", "--all"], "").ok();
    installed.own(&["scale", "deployment/portcullis-controller", "--replicas=0"]);
    eventually(DEADLINE * 2, || status().is_empty().then_some(()))
        .unwrap_or_else(|| panic!("{}\n{}", status(), installed.logs()));
    installed.asked_for_what_is_granted();
}

#[test]
fn a_scope_with_named_secrets_and_nodes_addresses_needs_its_roles_and_no_more() {
    let values = json!({
        "controller": {
            "scope": { "enabled": true, "namespace": "team" },
            "publishService": { "enabled": false },
            "electionTTL": "4s",
        },
        "rbac": { "scope": true, "secrets": { "mode": "named", "names": ["team/web-tls"] } },
    });
    let Some(installed) = Installed::new(json!({ "controller": { "replicaCount": 0 } })) else { return };
    let cluster = &installed.cluster;
    cluster.kubectl(["create", "namespace", "team"], "").ok();
    installed.helm("upgrade", values);
    let controllers = installed.controllers(1);
    cluster.apply("team", &workload("web", 1));
    cluster.wait_for_endpoints("team", "web", 1);
    cluster.apply("team", &ingress("web", "web.test", "").replace("not-there", "web-tls"));
    cluster.apply("default", &ingress("other", "other.test", ""));
    eventually(DEADLINE, || (Raw::connect(controllers[0]).get("web.test", "/").status == REDIRECTED).then_some(()))
        .unwrap_or_else(|| panic!("{}", installed.logs()));
    assert_eq!(Raw::connect(controllers[0]).get("other.test", "/").status, 404, "it is in another namespace");
    let status = || {
        let path = "jsonpath={.status.loadBalancer.ingress[*].ip}";
        cluster.kubectl(["get", "ingress", "web", "--namespace", "team", "--output", path], "").ok()
    };
    eventually(DEADLINE, || status().starts_with(&cluster.node_external_prefix).then_some(()))
        .unwrap_or_else(|| panic!("{}\n{}", status(), installed.logs()));
    let described = || cluster.kubectl(["describe", "ingress", "web", "--namespace", "team"], "").ok();
    eventually(DEADLINE, || described().contains("web-tls: the Secret does not exist").then_some(()))
        .unwrap_or_else(|| panic!("{}\n{}", described(), installed.logs()));
    installed.own(&["rollout", "restart", "deployment/portcullis-controller"]);
    installed.own(&["rollout", "status", "deployment/portcullis-controller", "--timeout=60s"]);
    eventually(DEADLINE, || installed.used().0.contains("patch /events").then_some(()))
        .unwrap_or_else(|| panic!("no event is said again: {:?}\n{}", installed.used(), installed.logs()));
    let kept = status();
    assert!(kept.starts_with(&cluster.node_external_prefix), "a rollout took it away: {kept:?}\n{}", installed.logs());
    installed.own(&["scale", "deployment/portcullis-controller", "--replicas=0"]);
    eventually(DEADLINE * 2, || status().is_empty().then_some(()))
        .unwrap_or_else(|| panic!("{}\n{}", status(), installed.logs()));
    installed.asked_for_what_is_granted();
}
