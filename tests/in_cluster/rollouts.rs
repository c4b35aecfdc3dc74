//! Progressive delivery, with the Ingresses that Argo Rollouts and Flagger write.

use super::kit_self::workload;
use super::site::Site;
use crate::kit::Proxy;
use crate::kit::cluster::{self, Way};

const PREFIX: &str = "nginx.ingress.kubernetes.io";

/// How many of so many requests a workload of that name answered.
fn share(proxy: &Proxy, host: &str, workload: &str, of: usize, fields: &[&str]) -> usize {
    (0..of).filter(|_| proxy.get_with(host, "/", fields).text().contains(&format!("{workload}-"))).count()
}

/// The steps of a rollout: the canary Ingress is made by the tool, its weight rises, it goes. `annotations` has those that
/// the tool writes besides the weight.
fn steps(name: &str, canary_ingress: &str, weight: &str, annotations: &str) {
    let Some(cluster) = cluster::with_pods() else { return };
    let site = Site::new(cluster, name);
    for workload_name in ["stable", "preview"] {
        site.apply(&workload(workload_name, 1));
        cluster.wait_for_endpoints(&site.namespace, workload_name, 1);
    }
    site.apply(&site.ingress("web", "web.test", "stable", "", ""));
    let proxy = site.controller(Way::Direct, &["--enable-metrics=true"]);
    proxy.wait_until("web.test", "/", |response| response.status == 200);
    let canary = |percent: u32| {
        let annotations = format!("{PREFIX}/canary: 'true', {PREFIX}/{weight}: '{percent}'{annotations}");
        site.apply(&site.ingress(canary_ingress, "web.test", "preview", &annotations, ""));
    };
    // Before the first step the canary is there, and gets nothing.
    canary(0);
    site.wait_for_event(canary_ingress, "Scheduled for sync");
    assert_eq!(share(&proxy, "web.test", "preview", 40, &[]), 0);
    canary(50);
    proxy.wait_until("web.test", "/", |response| response.text().contains("preview-"));
    let half = share(&proxy, "web.test", "preview", 200, &[]);
    assert!((60..=140).contains(&half), "{half} of 200");
    // What Flagger asks Prometheus for.
    let metrics = proxy.metrics();
    let series = metrics.lines().any(|line| {
        line.starts_with("nginx_ingress_controller_requests{")
            && line.contains(&format!("canary=\"{}-preview-80\"", site.namespace))
            && line.contains("ingress=\"web\"")
    });
    assert!(series, "{metrics}");
    canary(100);
    crate::kit::eventually(crate::kit::DEADLINE, || {
        (share(&proxy, "web.test", "preview", 20, &[]) == 20).then_some(())
    })
    .expect("all of it");
    site.kubectl(&["delete", "ingress", canary_ingress]);
    crate::kit::eventually(crate::kit::DEADLINE, || (share(&proxy, "web.test", "preview", 20, &[]) == 0).then_some(()))
        .expect("none of it");
}

#[test]
fn argo_rollouts() {
    // <rollout>-<stableIngress>-canary, with what `trafficRouting.nginx.additionalIngressAnnotations` adds.
    let header = format!(", {PREFIX}/canary-by-header: X-Canary, {PREFIX}/canary-by-header-value: iwantsit");
    steps("argo", "shop-web-canary", "canary-weight", &header);
}

#[test]
fn flagger() {
    steps("flagger", "web-canary", "canary-weight", "");
}
