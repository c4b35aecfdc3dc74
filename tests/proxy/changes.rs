//! Files change while requests run: every one of them is answered, and the change is served soon.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::kit::{Ingress, Manifests, Proxy, Raw, Upstream};

#[test]
fn changes_are_served_within_300_ms_at_100_ingresses() {
    let upstream = Upstream::start("one");
    let manifests = Manifests::new();
    manifests.upstream(&upstream);
    for i in 0..100 {
        manifests.ingress(&Ingress::new(&format!("i{i}")).rule(&format!("h{i}.test"), "/", "one"));
    }
    let proxy = Proxy::start(&manifests, &[]);
    let mut slowest = Duration::ZERO;
    for round in 0..10 {
        let path = format!("/round{round}");
        let changed = Ingress::new("i7").rule_of("Exact", "h7.test", &path, "one");
        let began = Instant::now();
        manifests.ingress(&changed);
        proxy.wait_until("h7.test", &path, |r| r.status == 200);
        slowest = slowest.max(began.elapsed());
    }
    println!("slowest of 10 changes at 100 Ingresses: {slowest:?}");
    assert!(slowest < Duration::from_millis(300), "{slowest:?}");
}

#[test]
fn no_request_is_lost_while_files_change() {
    let (one, two) = (Upstream::start("one"), Upstream::start("two"));
    let manifests = Manifests::new();
    manifests.upstream(&one).upstream(&two);
    let route = |to: &str| Ingress::new("web").rule("a.test", "/", to);
    manifests.ingress(&route("one"));
    let proxy = Arc::new(Proxy::start(&manifests, &[]));
    let (stop, asked) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let clients: Vec<_> = (0..4)
        .map(|_| {
            let (proxy, stop, asked) = (Arc::clone(&proxy), Arc::clone(&stop), Arc::clone(&asked));
            std::thread::spawn(move || {
                let mut connection = Raw::connect(proxy.http());
                let mut served = 0;
                while !stop.load(Ordering::Relaxed) {
                    // ingress-nginx ends a connection after keep-alive-requests; so does this.
                    if served == 900 {
                        (connection, served) = (Raw::connect(proxy.http()), 0);
                    }
                    let response = connection.get("a.test", "/");
                    assert_eq!(response.status, 200);
                    served += 1;
                    asked.fetch_add(1, Ordering::Relaxed);
                }
            })
        })
        .collect();
    for round in 0..40 {
        let to = if round % 2 == 0 { "two" } else { "one" };
        manifests.ingress(&route(to));
        proxy.wait_until("a.test", "/", |r| r.header("x-backend") == Some(to));
    }
    stop.store(true, Ordering::Relaxed);
    for client in clients {
        client.join().expect("a client lost a request");
    }
    println!("{} requests over 40 changes, none lost", asked.load(Ordering::Relaxed));
}

#[test]
fn a_broken_file_costs_itself_and_keeps_its_last_good_version() {
    let upstream = Upstream::start("one");
    let manifests = Manifests::new();
    manifests.upstream(&upstream);
    manifests.write("good.yaml", &Ingress::new("good").rule("good.test", "/", "one").yaml());
    manifests.write("bad.yaml", &Ingress::new("bad").rule("bad.test", "/", "one").yaml());
    let proxy = Proxy::start(&manifests, &[]);
    assert_eq!(proxy.get("bad.test", "/").status, 200);
    manifests.write("bad.yaml", "kind: Ingress\napiVersion: [oops\n");
    assert!(proxy.wait_for_stderr("bad.yaml:").is_some(), "the file and line are named");
    assert_eq!((proxy.get("bad.test", "/").status, proxy.get("good.test", "/").status), (200, 200));
    assert_eq!(broken_files(&proxy), "1");
    manifests.remove("bad.yaml");
    proxy.wait_until("bad.test", "/", |r| r.status == 404);
    assert_eq!(broken_files(&proxy), "0");
}

fn broken_files(proxy: &Proxy) -> String {
    let text = proxy.metrics();
    let line = text.lines().find(|l| l.starts_with("portcullis_files_broken{")).expect("the metric");
    line.rsplit(' ').next().unwrap_or_default().to_owned()
}

#[test]
fn a_rejected_annotation_keeps_the_version_before() {
    let upstream = Upstream::start("one");
    let manifests = Manifests::new();
    let ingress = || Ingress::new("web").rule("a.test", "/", "one");
    manifests.upstream(&upstream).ingress(&ingress());
    let proxy = Proxy::start(&manifests, &[]);
    manifests.ingress(&ingress().rule("new.test", "/", "one").nginx("connection-proxy-header", "upgrade"));
    assert!(proxy.wait_for_stderr("connection-proxy-header").is_some());
    assert_eq!((proxy.get("a.test", "/").status, proxy.get("new.test", "/").status), (200, 404));
}

#[test]
fn endpoints_come_and_go() {
    let (one, two) = (Upstream::start("one"), Upstream::start("two"));
    let manifests = Manifests::new();
    manifests.service("web", &[one.addr()]).ingress(&Ingress::new("web").rule("a.test", "/", "web"));
    let proxy = Proxy::start(&manifests, &[]);
    assert_eq!(proxy.get("a.test", "/").header("x-backend"), Some("one"));
    manifests.service("web", &[two.addr()]);
    proxy.wait_until("a.test", "/", |r| r.header("x-backend") == Some("two"));
    manifests.service("web", &[one.addr(), two.addr()]);
    let both = |name: &str| {
        proxy.wait_until("a.test", "/", |r| r.header("x-backend") == Some(name));
    };
    both("one");
    both("two");
    manifests.service("web", &[]);
    proxy.wait_until("a.test", "/", |r| r.status == 503);
}
