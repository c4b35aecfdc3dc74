//! A real Prometheus scrapes the proxy and evaluates what dashboards, alerts and rollout tools ask (metrics contract §5).
//! Without one the test says so loudly and passes; with `CI=true` it fails.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test's helpers may end it, too, and JSON that lacks a key is null"
)]

mod kit;
#[path = "prometheus/queries.rs"]
mod queries;
#[path = "prometheus/server.rs"]
mod server;

use std::collections::BTreeSet;

use kit::{DEADLINE, Ingress, Manifests, Proxy, Raw, Upstream, eventually};
use server::Prometheus;

/// A host with a canary that gets half of the requests, one whose backend fails, and a certificate.
fn world() -> (Vec<Upstream>, Manifests, Proxy) {
    let upstreams: Vec<_> = ["main", "next", "down"].into_iter().map(Upstream::start).collect();
    let manifests = Manifests::new();
    for upstream in &upstreams {
        manifests.upstream(upstream);
    }
    let identity = kit::Identity::self_signed(&["a.test"]);
    manifests.tls_secret("web-tls", &identity);
    let web = Ingress::new("web").nginx("ssl-redirect", "false").rule("a.test", "/", "main");
    let canary = Ingress::new("web-canary").created("2030-02-01T00:00:00Z").rule("a.test", "/", "next");
    manifests
        .ingress(&web.tls(&["a.test"], Some("web-tls")))
        .ingress(&canary.nginx("canary", "true").nginx("canary-weight", "50"))
        .ingress(&Ingress::new("gone").rule("b.test", "/gone", "missing"));
    let pod = [("POD_NAMESPACE", "ingress-nginx"), ("POD_NAME", "controller-0")];
    let proxy = Proxy::try_start(&manifests, &[], &pod).expect("the proxy starts");
    (upstreams, manifests, proxy)
}

/// Requests of all kinds, and some whose paths, methods and hosts a client makes up.
fn traffic(proxy: &Proxy, round: usize) {
    for number in 0..10 {
        proxy.get("a.test", &format!("/{round}/{number}"));
        proxy.get("b.test", "/gone/x");
        proxy.get("b.test", &format!("/none/{round}/{number}"));
        proxy.get(&format!("h{round}-{number}.test"), "/");
    }
    let mut raw = Raw::connect(proxy.http());
    raw.request(format!("MADEUP{round} / HTTP/1.1\r\nHost: a.test\r\n\r\n"));
}

/// The names of the labels in `a="1",b="2"} 3`.
fn names(labels: &str) -> BTreeSet<&str> {
    let (labels, _) = labels.rsplit_once('}').expect("labels end");
    labels.split("\",").filter_map(|label| Some(label.split_once('=')?.0)).collect()
}

#[test]
fn prometheus_has_what_dashboards_ask_for() {
    let (_upstreams, _manifests, proxy) = world();
    let Some(prometheus) = Prometheus::start(proxy.health()) else { return };
    let mut open: Vec<&str> = queries::QUERIES.to_vec();
    let mut round = 0;
    let done = eventually(DEADLINE * 3, || {
        round += 1;
        traffic(&proxy, round);
        open.retain(|query| prometheus.query(query).is_empty());
        open.is_empty().then_some(())
    });
    assert!(done.is_some(), "without a result: {open:#?}\n{}", prometheus.log());

    let page = proxy.metrics();
    for (family, labels) in queries::FAMILIES {
        let name = format!("nginx_ingress_controller_{family}");
        // An empty label is none to Prometheus, so labels are looked at as they are written.
        let lines = page.lines().filter_map(|line| line.strip_prefix(name.as_str())?.strip_prefix('{'));
        let found: BTreeSet<BTreeSet<&str>> = lines.map(names).collect();
        assert_eq!(found, BTreeSet::from([labels.split(' ').collect()]), "{family}");
        assert!(!prometheus.series(&name).is_empty(), "{family} was not scraped");
    }

    // What clients make up does not become series: their number is that of locations, methods and statuses.
    let before = prometheus.series("nginx_ingress_controller_requests").len();
    (0..20).for_each(|extra| traffic(&proxy, round + extra + 1));
    let settled = prometheus.scraped_again();
    assert!(settled, "{}", prometheus.log());
    let after = prometheus.series("nginx_ingress_controller_requests");
    let hosts: BTreeSet<_> = after.iter().filter_map(|one| one.get("host").cloned()).collect();
    assert_eq!(hosts, BTreeSet::from(["a.test".to_owned(), "b.test".to_owned()]));
    assert!(after.len() <= before + 2, "{} series became {}: {after:#?}", before, after.len());
}
