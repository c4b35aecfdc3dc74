//! What an operator sees: health, metrics, the table, the access log.

use crate::kit::{Ingress, Manifests, Proxy, Raw, Upstream};

fn start(args: &[&str]) -> (Upstream, Manifests, Proxy) {
    let upstream = Upstream::start("one");
    let manifests = Manifests::new();
    manifests.upstream(&upstream).ingress(&Ingress::new("web").rule("a.test", "/shop", "one"));
    let proxy = Proxy::start(&manifests, args);
    (upstream, manifests, proxy)
}

#[test]
fn requests_are_counted_by_rule_not_by_url() {
    let (_upstream, _manifests, proxy) = start(&[]);
    for path in ["/shop", "/shop/1", "/shop/2"] {
        assert_eq!(proxy.get("a.test", path).status, 200);
    }
    assert_eq!(proxy.get("a.test", "/none").status, 404);
    let counted = crate::kit::eventually(crate::kit::DEADLINE, || {
        let text = proxy.metrics();
        let line = text.lines().find(|l| {
            l.starts_with("nginx_ingress_controller_requests{") && l.contains("path=\"/shop\"") && l.ends_with(" 3")
        });
        line.map(str::to_owned)
    })
    .expect("three requests counted");
    for label in [
        "host=\"a.test\"",
        "ingress=\"web\"",
        "namespace=\"default\"",
        "service=\"one\"",
        "method=\"GET\"",
        "status=\"200\"",
        "canary=\"\"",
        "controller_class=\"k8s.io/ingress-nginx\"",
    ] {
        assert!(counted.contains(label), "{label} in {counted}");
    }
    let text = proxy.metrics();
    for family in [
        "request_duration_seconds_bucket",
        "response_duration_seconds_sum",
        "header_duration_seconds_count",
        "connect_duration_seconds_count",
        "request_size_bucket",
        "response_size_sum",
        "bytes_sent_bucket",
        "config_last_reload_successful",
        "config_hash",
        "nginx_process_connections",
        "nginx_process_requests_total",
    ] {
        assert!(text.contains(&format!("\nnginx_ingress_controller_{family}{{")), "{family}");
    }
}

#[test]
fn whole_aliases_are_hosts_of_their_own() {
    let (_upstream, manifests, proxy) = start(&[]);
    let ingress = Ingress::new("web").rule("a.test", "/shop", "one").nginx("server-alias", "b.test,*.c.test");
    manifests.ingress(&ingress.nginx("app-root", "/shop"));
    proxy.wait_until("b.test", "/shop", |response| response.status == 200);
    for (host, path) in [("a.test", "/shop"), ("B.test:80", "/shop"), ("x.c.test", "/shop"), ("a.test", "/")] {
        assert!(proxy.get(host, path).status < 400);
    }
    let counted = |host: &str, status: &str| {
        let text = proxy.metrics();
        let labels = [format!("host=\"{host}\""), format!("status=\"{status}\""), "path=\"/shop\"".to_owned()];
        let line = text.lines().find(|line| {
            line.starts_with("nginx_ingress_controller_requests{") && labels.iter().all(|label| line.contains(label))
        });
        line.map(|line| line.rsplit_once(' ').unwrap().1.to_owned())
    };
    for (host, count) in [("a.test", "2"), ("b.test", "2")] {
        let there = crate::kit::eventually(crate::kit::DEADLINE, || counted(host, "200").filter(|n| n == count));
        assert!(there.is_some(), "{host}: {:?}", counted(host, "200"));
    }
    // The server's own redirect is no location's.
    assert_eq!(counted("a.test", "302"), None);
}

#[test]
fn the_access_log_has_the_line_that_parsers_know() {
    let (upstream, _manifests, proxy) = start(&[]);
    let sent = "GET /shop/1?x=1 HTTP/1.1\r\nHost: a.test\r\nUser-Agent: test/1\r\nReferer: http://r/\r\nX-Request-ID: id-1\r\n\r\n";
    assert_eq!(Raw::connect(proxy.http()).request(sent).status, 200);
    let line = proxy.wait_for_stdout("id-1").expect("a log line");
    let name = "[default-one-http]";
    let name = if line.contains(name) { name } else { "[default-one-80]" };
    let (before, after) = line.split_once(" - - [").expect("the address, then the time");
    assert_eq!(before, "127.0.0.1");
    let (_, rest) = after.split_once("] ").expect("the time's end");
    assert!(rest.starts_with("\"GET /shop/1?x=1 HTTP/1.1\" 200 "), "{line}");
    assert!(rest.contains("\"http://r/\" \"test/1\" "), "{line}");
    assert!(rest.contains(&format!("{name} [] {} ", upstream.addr())), "{line}");
    assert!(rest.ends_with(" 200 id-1"), "{line}");
}

#[test]
fn health_port() {
    let (_upstream, _manifests, proxy) = start(&[]);
    let get = |path: &str| Raw::connect(proxy.health()).get("h", path);
    assert_eq!((get("/healthz").status, get("/healthz").text().as_str()), (200, "ok"));
    assert_eq!(get("/readyz").status, 200);
    assert!(get("/debug/table").text().contains("host a.test"));
    assert_eq!(get("/nothing").text(), "404 page not found\n");
    assert_eq!(proxy.get("unknown.test", "/healthz").status, 200, "cloud load balancers ask the proxy's own port");
    assert_eq!(proxy.get("a.test", "/healthz").status, 404);
}
