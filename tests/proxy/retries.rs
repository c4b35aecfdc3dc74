//! What happens when an endpoint fails: another one, or the right status.

use crate::kit::{DEADLINE, Ingress, Manifests, Proxy, Raw, Upstream, eventually};

/// `bad` first: round robin starts at random, so each case asks often enough to meet it.
const TIMES: usize = 12;

fn pair(annotations: &[(&str, &str)], bad: std::net::SocketAddr, good: &Upstream) -> (Manifests, Proxy) {
    let manifests = Manifests::new();
    manifests.service("pair", &[bad, good.addr()]);
    let mut ingress = Ingress::new("web").rule("a.test", "/", "pair");
    for (key, value) in annotations {
        ingress = ingress.nginx(key, value);
    }
    manifests.ingress(&ingress);
    let proxy = Proxy::start(&manifests, &[]);
    (manifests, proxy)
}

fn statuses(proxy: &Proxy, request: &str) -> Vec<u16> {
    (0..TIMES).map(|_| Raw::connect(proxy.http()).request(request).status).collect()
}

const GET: &str = "GET / HTTP/1.1\r\nHost: a.test\r\n\r\n";
const POST: &str = "POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 2\r\n\r\nhi";

#[test]
fn a_refused_connection_is_tried_elsewhere_for_every_method() {
    let good = Upstream::start("good");
    let (_manifests, proxy) = pair(&[], Upstream::refused(), &good);
    assert_eq!(statuses(&proxy, GET), [200; TIMES]);
    assert_eq!(statuses(&proxy, POST), [200; TIMES]);
}

#[test]
fn a_broken_answer_is_tried_elsewhere_only_where_that_is_safe() {
    let (good, bad) = (Upstream::start("good"), Upstream::start("bad"));
    bad.set("x-test-close", "1");
    let (_manifests, proxy) = pair(&[], bad.addr(), &good);
    assert_eq!(statuses(&proxy, GET), [200; TIMES]);
    let posts = statuses(&proxy, POST);
    assert!(posts.contains(&502) && posts.contains(&200), "{posts:?}");
    let (_manifests, proxy) = pair(&[("proxy-next-upstream", "error timeout non_idempotent")], bad.addr(), &good);
    assert_eq!(statuses(&proxy, POST), [200; TIMES]);
}

#[test]
fn statuses_are_tried_elsewhere_when_asked() {
    let (good, bad) = (Upstream::start("good"), Upstream::start("bad"));
    bad.set("x-test-status", "503");
    let (_manifests, proxy) = pair(&[], bad.addr(), &good);
    assert!(statuses(&proxy, GET).contains(&503));
    let (_manifests, proxy) = pair(&[("proxy-next-upstream", "http_503")], bad.addr(), &good);
    assert_eq!(statuses(&proxy, GET), [200; TIMES]);
}

#[test]
fn tries_and_off_are_obeyed() {
    let good = Upstream::start("good");
    for annotation in [("proxy-next-upstream-tries", "1"), ("proxy-next-upstream", "off")] {
        let (_manifests, proxy) = pair(&[annotation], Upstream::refused(), &good);
        let seen = statuses(&proxy, GET);
        assert!(seen.contains(&502) && seen.contains(&200), "{annotation:?} {seen:?}");
    }
}

#[test]
fn a_single_endpoint_is_asked_three_times() {
    let bad = Upstream::start("bad");
    bad.set("x-test-close", "1");
    let manifests = Manifests::new();
    manifests.service("one", &[bad.addr()]).ingress(&Ingress::new("web").rule("a.test", "/", "one"));
    let proxy = Proxy::start(&manifests, &[]);
    assert_eq!(proxy.get("a.test", "/").status, 502);
    assert_eq!(bad.requests(), 3);
    assert_eq!(Raw::connect(proxy.http()).request(POST).status, 502);
    assert_eq!(bad.requests(), 4, "a POST that was sent is not sent again");
}

#[test]
fn timeouts_are_504() {
    let (slow, manifests) = (Upstream::start("slow"), Manifests::new());
    manifests.service("slow", &[slow.addr()]);
    let ingress = Ingress::new("web").rule("a.test", "/", "slow").nginx("proxy-read-timeout", "1");
    manifests.ingress(&ingress.nginx("proxy-next-upstream-tries", "1"));
    let proxy = Proxy::start(&manifests, &[]);
    let response = proxy.get_with("a.test", "/", &["x-test-delay-ms: 5000"]);
    assert_eq!(response.status, 504);
    assert!(response.text().contains("<h1>504 Gateway Time-out</h1>"));
    // The upstream has the whole body: it is waited for as long as for any other answer, whatever sending may take.
    let began = std::time::Instant::now();
    let slow = "POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 2\r\nx-test-delay-ms: 8000\r\n\r\nhi";
    assert_eq!(Raw::connect(proxy.http()).request(slow).status, 504);
    assert!(began.elapsed() < std::time::Duration::from_secs(5), "{:?}", began.elapsed());
    // A body that stops half-way ends the connection, visibly.
    let fields = ["x-test-body-bytes: 10", "x-test-body-delay-ms: 5000"];
    let mut client = Raw::connect(proxy.http());
    let response = client.get_with("a.test", "/", &fields);
    assert!(!response.complete, "{response:?}");
}

#[test]
fn an_idle_connection_that_the_upstream_closed_costs_nobody() {
    let upstream = Upstream::start("one");
    let manifests = Manifests::new();
    manifests.upstream(&upstream).ingress(&Ingress::new("web").rule("a.test", "/", "one"));
    let proxy = Proxy::start(&manifests, &[]);
    let mut client = Raw::connect(proxy.http());
    for _ in 0..10 {
        // The upstream answers, then closes without having said so.
        assert_eq!(client.get_with("a.test", "/", &["x-test-drop-after: 1"]).status, 200);
        assert_eq!(client.get("a.test", "/").status, 200, "what is safe to repeat is repeated");
        assert_eq!(client.get_with("a.test", "/", &["x-test-drop-after: 1"]).status, 200);
        let closed = eventually(DEADLINE, || (upstream.open_connections() == 0).then_some(()));
        assert!(closed.is_some());
        // The worker has looked at its sockets once this is answered.
        assert_eq!(client.get("unknown.test", "/").status, 404);
        assert_eq!(client.request(POST).status, 200, "what is not goes out on a new connection");
    }
}

#[test]
fn garbage_is_a_bad_gateway() {
    let upstream = Upstream::start("one");
    let manifests = Manifests::new();
    manifests.upstream(&upstream).ingress(&Ingress::new("web").rule("a.test", "/", "one"));
    let proxy = Proxy::start(&manifests, &[]);
    for raw in ["not http\\r\\n\\r\\n", "HTTP/1.1 abc\\r\\n\\r\\n", "HTTP/1.1 200 OK\\r\\nBad Name: x\\r\\n\\r\\n"] {
        upstream.reset_behaviour();
        upstream.set("x-test-raw", raw);
        assert_eq!(proxy.get("a.test", "/").status, 502, "{raw}");
    }
}
