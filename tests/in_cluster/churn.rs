//! Endpoints come and go under load, and no request fails.

use std::time::{Duration, Instant};

use k8s_openapi::api::discovery::v1::EndpointSlice;
use kube::api::{Patch, PatchParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Api, Client, Config};
use serde_json::{Value, json};

use super::kit_self::workload;
use super::site::{Counted, Load, Site};
use crate::kit::Proxy;
use crate::kit::cluster::{self, Way, netns};

const PER_SECOND: u32 = 500;

fn metric(proxy: &Proxy, name: &str) -> f64 {
    let page = proxy.metrics();
    let line = page.lines().find(|line| line.starts_with(name) && !line.starts_with('#'));
    line.and_then(|line| line.rsplit(' ').next()?.parse().ok()).unwrap_or(0.0)
}

fn tables(proxy: &Proxy) -> usize {
    proxy.stderr().iter().filter(|line| line.contains("table in force")).count()
}

/// Other tests' IngressClasses, which are the whole cluster's, compile a table now and then; endpoints would at each change.
fn compiled_nothing(tables: usize, swapped: f64) {
    assert!(f64::from(u32::try_from(tables).unwrap()) < swapped / 2.0, "{tables} tables, {swapped} exchanges");
}

fn none_failed(what: &str, began: Instant, counted: &Counted) {
    println!(
        "{what} in {:.1?} at {PER_SECOND} requests/s: {} answered, {} failed, slowest {:?}",
        began.elapsed(),
        counted.answered,
        counted.failures.len(),
        counted.slowest
    );
    assert!(counted.failures.is_empty(), "{:?}", &counted.failures[..counted.failures.len().min(5)]);
    assert!(counted.answered > 500, "{counted:?}");
}

/// Real rollouts. Pods that are taken out go on for a moment, as those with a preStop hook do.
#[test]
fn rollouts_under_load_fail_no_request() {
    let Some(cluster) = cluster::with_pods() else { return };
    let site = Site::new(cluster, "rollouts");
    let proxy = site.controller(Way::Direct, &[&format!("--watch-namespace={}", site.namespace)]);
    let graceful = "metadata: {labels: {app: web}, annotations: {testcluster/stop-delay: 2s}}";
    site.apply(&workload("web", 3).replace("metadata: {labels: {app: web}}", graceful));
    cluster.wait_for_endpoints(&site.namespace, "web", 3);
    site.apply(&site.ingress("web", "web.test", "web", "", ""));
    proxy.wait_until("web.test", "/", |response| response.status == 200);
    let (before, swaps) = (tables(&proxy), metric(&proxy, "portcullis_endpoints_swaps_total"));
    let (load, began) = (Load::start(proxy.http(), "web.test", PER_SECOND), Instant::now());
    for number in 0..10 {
        site.kubectl(&["set", "env", "deployment/web", &format!("RUN={number}")]);
        site.kubectl(&["rollout", "status", "deployment/web", "--timeout=60s"]);
    }
    let counted = load.stop();
    none_failed("10 rollouts of 3 Pods", began, &counted);
    let swapped = metric(&proxy, "portcullis_endpoints_swaps_total") - swaps;
    compiled_nothing(tables(&proxy) - before, swapped);
}

/// An EndpointSlice as a controller writes it while one Pod takes another's place: the states of its two addresses.
fn states(old: &str, new: &str) -> [Value; 5] {
    let endpoint = |address: &str, ready: bool, terminating: bool| json!({ "addresses": [address], "conditions": { "ready": ready, "serving": true, "terminating": terminating } });
    [
        json!([endpoint(old, true, false), endpoint(new, false, false)]),
        json!([endpoint(old, true, false), endpoint(new, true, false)]),
        json!([endpoint(old, false, true), endpoint(new, true, false)]),
        json!([endpoint(new, true, false)]),
        json!([endpoint(new, true, false)]),
    ]
}

/// As many changes as 200 rollouts of four Pods make, as fast as the API server takes them.
#[test]
fn two_hundred_rollouts_worth_of_slices_fail_no_request() {
    let Some(cluster) = cluster::with_pods() else { return };
    let site = Site::new(cluster, "churn");
    // Backends that stay; the Service that is served has no selector, so that its slice is this test's alone.
    site.apply(&workload("pods", 6));
    let addresses = cluster.wait_for_endpoints(&site.namespace, "pods", 6);
    site.apply("{apiVersion: v1, kind: Service, metadata: {name: web}, spec: {ports: [{name: http, port: 80, targetPort: 8080}]}}");
    site.apply(&format!(
        "{{apiVersion: discovery.k8s.io/v1, kind: EndpointSlice, addressType: IPv4,
          metadata: {{name: web-own, labels: {{kubernetes.io/service-name: web}}}},
          ports: [{{name: http, port: 8080, protocol: TCP}}], endpoints: [{{addresses: [{}]}}]}}",
        addresses[0]
    ));
    site.apply(&site.ingress("web", "web.test", "web", "", ""));
    let proxy = site.controller(Way::Direct, &[&format!("--watch-namespace={}", site.namespace)]);
    proxy.wait_until("web.test", "/", |response| response.status == 200);
    let (before, swaps) = (tables(&proxy), metric(&proxy, "portcullis_endpoints_swaps_total"));
    let (load, began) = (Load::start(proxy.http(), "web.test", PER_SECOND), Instant::now());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let written = runtime.block_on(async {
        let kubeconfig = Kubeconfig::read_from(cluster.kubeconfig()).unwrap();
        let config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await.unwrap();
        let slices: Api<EndpointSlice> = Api::namespaced(Client::try_from(config).unwrap(), &site.namespace);
        let mut written = 0;
        for step in 0..200 * 4 {
            let (old, new) = (&addresses[step % 6], &addresses[(step + 1) % 6]);
            for endpoints in states(old, new) {
                let patch = Patch::Merge(json!({ "endpoints": endpoints }));
                slices.patch("web-own", &PatchParams::default(), &patch).await.unwrap();
                written += 1;
            }
        }
        written
    });
    let counted = load.stop();
    netns::enter().unwrap();
    let swapped = metric(&proxy, "portcullis_endpoints_swaps_total") - swaps;
    none_failed(&format!("{written} writes of an EndpointSlice, {swapped} exchanges"), began, &counted);
    assert!(swapped > 1000.0, "{swapped}");
    compiled_nothing(tables(&proxy) - before, swapped);
}

/// Not ready is out at once, terminating too; and the last one that leaves is told as such.
#[test]
fn endpoints_that_are_not_ready_leave_at_once() {
    let Some(cluster) = cluster::with_pods() else { return };
    let site = Site::new(cluster, "leave");
    site.apply(&workload("web", 2));
    cluster.wait_for_endpoints(&site.namespace, "web", 2);
    site.apply(&site.ingress("web", "web.test", "web", "", ""));
    let proxy = site.controller(Way::Direct, &[&format!("--watch-namespace={}", site.namespace)]);
    proxy.wait_until("web.test", "/", |response| response.status == 200);
    let pods = site.kubectl(&["get", "pods", "--output", "jsonpath={.items[*].metadata.name}"]);
    let first = pods.split(' ').next().unwrap();
    site.kubectl(&["annotate", "pod", first, "testcluster/ready=false"]);
    cluster.wait_for_endpoints(&site.namespace, "web", 1);
    let is_out = || (0..20).all(|_| !proxy.get("web.test", "/").text().contains(first));
    assert!(
        crate::kit::eventually(Duration::from_secs(2), || is_out().then_some(())).is_some(),
        "{first} is still asked"
    );
    site.kubectl(&["scale", "deployment/web", "--replicas=0"]);
    proxy.wait_until("web.test", "/", |response| response.status == 503);
    site.wait_for_event("web", "the Service has no ready endpoint");
}
