//! Replicas: one of them speaks, all of them serve.

use std::time::{Duration, Instant};

use rustix::process::Signal;

use super::kit_self::workload;
use super::site::{Load, Site};
use crate::kit::cluster::{self, Way};

/// `--election-ttl` of these tests, in seconds.
const TTL: u64 = 4;

#[test]
fn a_leader_that_is_killed_is_followed_by_another_within_the_lease() {
    let Some(cluster) = cluster::with_pods() else { return };
    let site = Site::new(cluster, "leader");
    site.apply(&workload("web", 2));
    cluster.wait_for_endpoints(&site.namespace, "web", 2);
    site.apply(&site.ingress("web", "web.test", "web", "", ""));
    let ttl = format!("--election-ttl={TTL}s");
    let replica = |pod: &str, address: &str| {
        site.replica(Way::Direct, pod, &[&ttl, &format!("--publish-status-address={address}")])
    };
    let first = replica("first", "192.0.2.1");
    site.wait_for_status("web", "192.0.2.1");
    // The other one would write another address, but does not speak.
    let second = replica("second", "192.0.2.2");
    let holder =
        || site.kubectl(&["get", "lease", "ingress-controller-leader", "--output", "jsonpath={.spec.holderIdentity}"]);
    assert_eq!(holder(), "first");
    let leads = |proxy: &crate::kit::Proxy| {
        proxy.metrics().lines().any(|line| line.contains("leader_election_status{") && line.ends_with(" 1"))
    };
    assert!(leads(&first) && !leads(&second));
    let load = Load::start(second.http(), "web.test", 200);
    let begin = Instant::now();
    first.signal(Signal::KILL);
    let took = site.wait_for_status("web", "192.0.2.2");
    println!("killed leader: the status moved on after {took:.1?}, with a lease of {TTL} s");
    // The lease's time from its last renewal, a turn of the others, and what a busy machine adds.
    assert!(begin.elapsed() < Duration::from_secs(2 * TTL + 2), "{took:?}");
    assert_eq!(holder(), "second");
    assert!(leads(&second));
    let counted = load.stop();
    assert!(counted.failures.is_empty() && counted.answered > 100, "{counted:?}");
    // One that ends in order gives the lease back at once.
    assert_eq!(second.stop().and_then(|status| status.code()), Some(0));
    assert_eq!(holder(), "");
}

/// `--update-status=false`: a second controller that looks on changes nothing in the cluster.
#[test]
fn a_shadow_says_nothing() {
    let Some(cluster) = cluster::with_pods() else { return };
    let site = Site::new(cluster, "shadow");
    site.apply(&workload("web", 1));
    cluster.wait_for_endpoints(&site.namespace, "web", 1);
    site.apply(&site.ingress("web", "web.test", "web", "nginx.ingress.kubernetes.io/proxy-bodysize: 8m", ""));
    let shadow = site.controller(Way::Front, &["--update-status=false", "--publish-status-address=192.0.2.1"]);
    shadow.wait_until("web.test", "/", |response| response.status == 200);
    shadow.wait_for_stderr("did you mean proxy-body-size").expect("its log speaks");
    assert_eq!(shadow.stop().and_then(|status| status.code()), Some(0));
    let written: Vec<String> = cluster
        .log("front-requests")
        .lines()
        .filter(|line| line.contains("portcullis/") && !line.contains(" GET "))
        .filter(|line| line.contains(&format!("/namespaces/{}/", site.namespace)))
        .map(str::to_owned)
        .collect();
    assert_eq!(written, Vec::<String>::new());
    assert_eq!(site.status("web"), "");
}
