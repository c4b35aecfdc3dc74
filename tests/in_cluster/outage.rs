//! The API server fails; what is served stays, and what changed meanwhile is served once it is back.

use std::time::{Duration, Instant};

use super::kit_self::workload;
use super::site::{Load, Site};
use crate::kit::cluster::{self, Cluster, Options, Way};
use crate::kit::{DEADLINE, Proxy, eventually};

/// How long the API server is away.
const AWAY: Duration = Duration::from_secs(30);

fn one_node() -> Option<Cluster> {
    cluster::own(&Options { nodes: 1, ..Options::default() })
}

fn served<'c>(cluster: &'c Cluster, way: Way) -> (Site<'c>, Proxy) {
    let site = Site::new(cluster, "outage");
    site.apply(&workload("web", 2));
    cluster.wait_for_endpoints(&site.namespace, "web", 2);
    site.apply(&site.ingress("web", "web.test", "web", "", ""));
    let proxy = site.controller(way, &["--publish-status-address=192.0.2.1"]);
    proxy.wait_until("web.test", "/", |response| response.status == 200);
    site.wait_for_status("web", "192.0.2.1");
    (site, proxy)
}

/// A change after the API server is back is served; nothing flapped: there is one more table for each change.
fn converges(site: &Site<'_>, proxy: &Proxy, host: &str) -> Duration {
    let tables = || proxy.stderr().iter().filter(|line| line.contains("table in force")).count();
    let before = tables();
    let begin = Instant::now();
    site.apply(&site.ingress(host.split('.').next().unwrap(), host, "web", "", ""));
    proxy.wait_until(host, "/", |response| response.status == 200);
    // A table is served before its line is written.
    let _ = eventually(DEADLINE, || (tables() > before).then_some(()));
    assert_eq!(tables(), before + 1, "{:#?}", proxy.stderr());
    begin.elapsed()
}

#[test]
fn half_a_minute_without_an_api_server_fails_no_request() {
    let Some(cluster) = one_node() else { return };
    let (site, proxy) = served(&cluster, Way::Direct);
    let load = Load::start(proxy.http(), "web.test", 200);
    cluster.command("apiserver kill");
    let end = Instant::now() + AWAY;
    while Instant::now() < end {
        assert_eq!(proxy.get("web.test", "/").status, 200);
        std::thread::sleep(Duration::from_millis(500));
    }
    cluster.command("apiserver start");
    let took = converges(&site, &proxy, "after.test");
    let counted = load.stop();
    println!(
        "API server away for {AWAY:?}: {} requests, {} failed, slowest {:?}; a change after it was served after {took:.1?}",
        counted.answered,
        counted.failures.len(),
        counted.slowest
    );
    assert!(counted.failures.is_empty(), "{:?}", &counted.failures[..counted.failures.len().min(5)]);
    // It is told once that nobody answers, and not at every try.
    let complaints = proxy.stderr().iter().filter(|line| line.contains("no answer from the API server")).count();
    assert!((1..=12).contains(&complaints), "{:#?}", proxy.stderr());
    site.wait_for_status("after", "192.0.2.1");
}

#[test]
fn an_api_server_that_fails_in_other_ways_changes_nothing() {
    let Some(cluster) = one_node() else { return };
    let (site, proxy) = served(&cluster, Way::Front);
    let load = Load::start(proxy.http(), "web.test", 100);
    let faults = [
        "front status 429",
        "front status 500",
        "front garbage",
        "front garbage truncated",
        "front cut",
        "front stall",
        "expire",
    ];
    for (number, fault) in faults.iter().enumerate() {
        cluster.command(fault);
        // What goes on has to break first: watches are cut, and then find the fault.
        if fault.starts_with("front s") || fault.starts_with("front g") {
            cluster.command("front cut");
            cluster.command(fault);
        }
        for _ in 0..10 {
            assert_eq!(proxy.get("web.test", "/").status, 200, "{fault}");
            std::thread::sleep(Duration::from_millis(200));
        }
        cluster.command("front pass");
        let took = converges(&site, &proxy, &format!("after{number}.test"));
        println!("{fault}: a change after it was served after {took:.1?}");
    }
    let counted = load.stop();
    assert!(counted.failures.is_empty(), "{:?}", &counted.failures[..counted.failures.len().min(5)]);
}

#[test]
fn a_frozen_api_server_is_waited_for() {
    let Some(cluster) = one_node() else { return };
    let (site, proxy) = served(&cluster, Way::Direct);
    cluster.command("apiserver freeze");
    for _ in 0..10 {
        assert_eq!(proxy.get("web.test", "/").status, 200);
        std::thread::sleep(Duration::from_millis(200));
    }
    cluster.command("apiserver thaw");
    converges(&site, &proxy, "after.test");
}

/// Before the first list there is nothing to serve, and nobody is told that there is.
#[test]
fn it_is_ready_once_it_knows_everything() {
    let Some(cluster) = one_node() else { return };
    let site = Site::new(&cluster, "ready");
    site.apply(&workload("web", 1));
    cluster.wait_for_endpoints(&site.namespace, "web", 1);
    site.apply(&site.ingress("web", "web.test", "web", "", ""));
    cluster.command("front stall");
    let health = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let starting = std::thread::scope(|scope| {
        let starting = scope.spawn(|| {
            site.controller(Way::Front, &["--healthz-port", &health.port().to_string(), "--healthz-host=127.0.0.1"])
        });
        let ask = |path: &str| Some(crate::kit::Raw::try_connect(health).ok()?.get("localhost", path).status);
        assert_eq!(crate::kit::eventually(crate::kit::DEADLINE, || ask("/readyz")), Some(503));
        assert_eq!(ask("/healthz"), Some(200));
        cluster.command("front pass");
        starting.join().unwrap()
    });
    assert_eq!(starting.get("web.test", "/").status, 200);
    assert_eq!(crate::kit::Raw::connect(health).get("localhost", "/readyz").status, 200);
}
