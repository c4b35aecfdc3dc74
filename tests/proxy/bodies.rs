//! Request and response bodies: limits, buffering, framing, back-pressure.

use std::time::Duration;

use crate::kit::{DEADLINE, Ingress, Manifests, Proxy, Raw, Upstream, eventually, header};
use crate::one;

fn post(proxy: &Proxy, head: &str, body: &[u8]) -> crate::kit::Response {
    let mut bytes = format!("POST / HTTP/1.1\r\nHost: a.test\r\n{head}\r\n").into_bytes();
    bytes.extend_from_slice(body);
    Raw::connect(proxy.http()).request(bytes)
}

#[test]
fn a_declared_body_over_the_limit_is_refused_before_anything_else() {
    let (upstream, _manifests, proxy) =
        one(&[("proxy-body-size", "10"), ("force-ssl-redirect", "true"), ("whitelist-source-range", "10.0.0.0/33")]);
    let refused = post(&proxy, "Content-Length: 11\r\n", b"01234567890");
    assert_eq!((refused.status, refused.header("connection")), (413, Some("close")));
    assert!(refused.text().contains("<h1>413 Request Entity Too Large</h1>"));
    // An access setting that cannot be used denies its paths, and never lets them through (invariant 6).
    assert_eq!(post(&proxy, "Content-Length: 1\r\n", b"0").status, 503);
    assert_eq!(upstream.requests(), 0);
}

#[test]
fn what_all_clients_hold_back_together_has_a_bound() {
    let upstream = Upstream::start("one");
    let manifests = Manifests::new();
    manifests.upstream(&upstream).ingress(&Ingress::new("web").rule("a.test", "/", "one"));
    let proxy = Proxy::start(&manifests, &["--workers", "1"]);
    let sent =
        [b"POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 1048576\r\n\r\n".as_slice(), &[b'x'; (1 << 20) - 1]];
    let sent = sent.concat();
    let mut clients: Vec<Raw> = (0..70).map(|_| Raw::connect(proxy.http())).collect();
    for client in &mut clients {
        client.send(&sent);
    }
    // Some of them are passed on before their last byte has come.
    assert!(eventually(DEADLINE, || (upstream.connections() > 0).then_some(())).is_some());
    for client in &mut clients {
        client.send("x");
        assert_eq!(client.response().seen().body_len, 1 << 20);
    }
}

#[test]
fn a_chunked_body_is_counted_and_sent_with_its_length() {
    let (_upstream, _manifests, proxy) = one(&[("proxy-body-size", "10")]);
    let seen = post(&proxy, "Transfer-Encoding: chunked\r\n", b"4\r\nabcd\r\n3\r\nefg\r\n0\r\n\r\n").seen();
    assert_eq!((seen.header("content-length"), seen.header("transfer-encoding")), (Some("7"), None));
    assert_eq!(seen.body_text, "abcdefg");
    let refused = post(&proxy, "Transfer-Encoding: chunked\r\n", b"b\r\nabcdefghijk\r\n0\r\n\r\n");
    assert_eq!(refused.status, 413);
}

#[test]
fn unbuffered_bodies_stream() {
    let (_upstream, _manifests, proxy) = one(&[("proxy-request-buffering", "off")]);
    let seen = post(&proxy, "Transfer-Encoding: chunked\r\n", b"4\r\nabcd\r\n0\r\n\r\n").seen();
    assert_eq!((seen.header("content-length"), seen.header("transfer-encoding")), (None, Some("chunked")));
}

#[test]
fn large_bodies_arrive_whole_both_ways() {
    let (_upstream, _manifests, proxy) = one(&[("proxy-body-size", "0")]);
    let body = vec![b'x'; 5_000_000];
    let response = post(&proxy, "Content-Length: 5000000\r\nx-test-body-bytes: 3000000\r\n", &body);
    assert_eq!((response.status, response.body.len(), response.complete), (200, 3_000_000, true));
    let chunked = post(&proxy, "Content-Length: 0\r\nx-test-body-bytes: 3000000\r\nx-test-chunked: 1\r\n", b"");
    assert_eq!((chunked.body.len(), chunked.complete), (3_000_000, true));
}

#[test]
fn continue_is_sent_when_the_body_is_wanted() {
    let (_upstream, _manifests, proxy) = one(&[("proxy-body-size", "10")]);
    let mut client = Raw::connect(proxy.http());
    client.send("POST / HTTP/1.1\r\nHost: a.test\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\nhello");
    let response = client.response();
    assert_eq!((response.status, response.informational.first().map(|i| i.0)), (200, Some(100)));
    assert_eq!(response.seen().header("expect"), None);
    let mut client = Raw::connect(proxy.http());
    client.send("POST / HTTP/1.1\r\nHost: a.test\r\nExpect: 100-continue\r\nContent-Length: 50\r\n\r\n");
    let response = client.response();
    assert_eq!((response.status, response.informational.len()), (413, 0), "never asked for what is refused");
}

#[test]
fn a_response_that_breaks_off_never_looks_whole() {
    let (_upstream, _manifests, proxy) = one(&[]);
    for extra in ["x-test-chunked: 1", "x-test-header: X-Length: known"] {
        let mut client = Raw::connect(proxy.http());
        let response = client.get_with("a.test", "/", &["x-test-body-bytes: 100000", "x-test-cut: 5000", extra]);
        assert!(!response.complete, "{extra}");
    }
    assert_eq!(proxy.get("a.test", "/").status, 200, "and its connection is not used again");
}

#[test]
fn a_head_larger_than_the_buffer_is_a_bad_gateway() {
    let (_upstream, manifests, proxy) = one(&[]);
    let big = format!("x-test-header: X-Big: {}", "b".repeat(5000));
    assert_eq!(proxy.get_with("a.test", "/", &[&big]).status, 502);
    manifests.ingress(&Ingress::new("web").rule("a.test", "/", "one").nginx("proxy-buffer-size", "16k"));
    let response = proxy.wait_until("a.test", "/large", |r| r.status == 200);
    assert_eq!(response.status, 200);
    let response = wait_for_large(&proxy, &big);
    assert_eq!(header(&response.headers, "x-big").map(str::len), Some(5000));
}

fn wait_for_large(proxy: &Proxy, big: &str) -> crate::kit::Response {
    crate::kit::eventually(Duration::from_secs(5), || {
        Some(proxy.get_with("a.test", "/", &[big])).filter(|r| r.status == 200)
    })
    .expect("the larger buffer was not taken")
}

#[test]
fn head_has_the_headers_and_no_body() {
    let (_upstream, _manifests, proxy) = one(&[]);
    let mut client = Raw::connect(proxy.http());
    client.send("HEAD /nothing HTTP/1.1\r\nHost: unknown.test\r\n\r\n");
    let response = client.try_response("HEAD").unwrap();
    assert_eq!(response.status, 404);
    assert!(response.header("content-length").is_some_and(|l| l != "0"));
    client.send("HEAD / HTTP/1.1\r\nHost: a.test\r\n\r\n");
    assert_eq!(client.try_response("HEAD").unwrap().status, 200, "the connection is still in step");
}

#[test]
fn a_slow_reader_does_not_fill_the_proxy() {
    let (_upstream, _manifests, proxy) = one(&[]);
    let before = memory(&proxy);
    let mut clients: Vec<Raw> = (0..20).map(|_| Raw::connect(proxy.http())).collect();
    for client in &mut clients {
        client.send("GET / HTTP/1.1\r\nHost: a.test\r\nx-test-body-bytes: 20000000\r\n\r\n");
        client.read_some().unwrap();
    }
    // 400 MB are asked for and not read; what the proxy holds of it is bounded by its buffers.
    assert!(memory(&proxy) < before + 100_000_000.0);
}

fn memory(proxy: &Proxy) -> f64 {
    let text = proxy.metrics();
    let line = text.lines().find(|l| l.starts_with("nginx_ingress_controller_nginx_process_resident_memory_bytes"));
    line.and_then(|l| l.rsplit(' ').next()?.parse().ok()).expect("resident memory")
}
