//! HTTP/1.1, HTTP/2, gRPC and WebSocket, in and out.

use std::time::Duration;

use crate::kit::{H2, Ingress, Manifests, Proxy, Raw, Upstream, websocket};
use crate::one;

/// The same with the upstream's TLS port.
fn one_tls(annotations: &[(&str, &str)]) -> (Upstream, Manifests, Proxy) {
    let (upstream, manifests, _) = one(annotations);
    manifests.upstream_tls(&upstream);
    let proxy = Proxy::start(&manifests, &[]);
    (upstream, manifests, proxy)
}

#[test]
fn the_raw_target_is_forwarded_and_the_normal_path_is_matched() {
    let (upstream, manifests, proxy) = one(&[]);
    manifests.ingress(&Ingress::new("sub").rule("b.test", "/x", "one"));
    let seen = proxy.wait_until("b.test", "/x", |r| r.status == 200).seen();
    assert_eq!(seen.uri, "/x");
    for target in ["/a//b/%2e%2E/c%2Fd?q=%20&&x", "/%C3%A9", "/a?b?c"] {
        let seen = proxy.get("a.test", target).seen();
        assert_eq!((seen.uri.as_str(), seen.method.as_str(), seen.version.as_str()), (target, "GET", "HTTP/1.1"));
    }
    assert_eq!(proxy.get("b.test", "/y/../x/z").seen().uri, "/y/../x/z");
    assert_eq!(proxy.get("b.test", "/xy").status, 404);
    assert!(upstream.requests() >= 5);
}

#[test]
fn connections_to_the_upstream_are_kept() {
    let (upstream, _manifests, proxy) = one(&[]);
    let mut client = Raw::connect(proxy.http());
    for _ in 0..20 {
        assert_eq!(client.get("a.test", "/").status, 200);
    }
    assert_eq!(upstream.connections(), 1, "one client connection meets one worker, which has one pool");
}

#[test]
fn http2_with_and_without_tls() {
    let (_upstream, _manifests, proxy) = one(&[("ssl-redirect", "false")]);
    let clear = H2::connect(proxy.http());
    let response = clear.request("POST", "a.test", "/p?q=1", &[("cookie", "a=1"), ("cookie", "b=2")], b"hello");
    let seen = response.seen();
    assert_eq!((response.status, seen.uri.as_str(), seen.body_text.as_str()), (200, "/p?q=1", "hello"));
    assert_eq!(seen.header_all("cookie"), ["a=1; b=2"]);
    assert_eq!(seen.header("x-forwarded-proto"), Some("http"));
    let tls = H2::connect_tls(proxy.https(), "a.test");
    let pending: Vec<_> = (0..50).map(|i| tls.start("GET", "a.test", &format!("/{i}"), &[], b"")).collect();
    for (i, pending) in pending.into_iter().enumerate() {
        let response = pending.wait().unwrap();
        assert_eq!(response.seen().uri, format!("/{i}"));
        assert_eq!(response.seen().header("x-forwarded-port"), Some("443"));
    }
}

#[test]
fn grpc_has_http2_and_trailers_end_to_end() {
    for (protocol, tls) in [("GRPC", false), ("GRPCS", true)] {
        let (_upstream, _manifests, proxy) =
            if tls { one_tls(&[("backend-protocol", protocol)]) } else { one(&[("backend-protocol", protocol)]) };
        let client = H2::connect_tls(proxy.https(), "a.test");
        let response = client.grpc("a.test", "/pkg.Service/Method", &[], b"ping");
        assert_eq!((response.status, response.trailer("grpc-status")), (200, Some("0")), "{protocol}");
        let failed = client.grpc("a.test", "/pkg.Service/Method", &[("x-test-grpc-status", "7")], b"ping");
        assert_eq!(failed.trailer("grpc-status"), Some("7"), "{protocol}");
    }
}

#[test]
fn https_upstreams_are_spoken_tls_to() {
    let (_upstream, _manifests, proxy) = one_tls(&[("backend-protocol", "HTTPS")]);
    let seen = proxy.get("a.test", "/s").seen();
    assert!(seen.tls);
    assert_eq!((seen.sni, seen.uri.as_str()), (None, "/s"));
}

#[test]
fn websockets_survive_table_swaps() {
    let (_upstream, manifests, proxy) = one(&[]);
    let mut socket = Raw::connect(proxy.http());
    assert_eq!(socket.websocket("a.test", "/ws").status, 101);
    for round in 0..5 {
        manifests.ingress(&Ingress::new("more").rule("b.test", &format!("/{round}"), "one"));
        proxy.wait_until("b.test", &format!("/{round}"), |r| r.status == 200);
        let text = format!("round {round}");
        socket.send_frame(websocket::TEXT, text.as_bytes());
        assert_eq!(socket.read_frame().unwrap(), (websocket::TEXT, text.into_bytes()));
    }
}

#[test]
fn a_literal_connection_header_leaves_the_upgrade_header() {
    let upstream = Upstream::start("one");
    let manifests = Manifests::new();
    let ingress = Ingress::new("web").rule("a.test", "/", "one").nginx("connection-proxy-header", "close");
    manifests.upstream(&upstream).ingress(&ingress);
    let proxy = Proxy::start(&manifests, &[]);
    let response = proxy.get_with("a.test", "/", &["Connection: upgrade", "Upgrade: foo"]);
    let seen = response.seen();
    assert_eq!((response.status, seen.header("connection"), seen.header("upgrade")), (200, Some("close"), Some("foo")));
}

#[test]
fn an_idle_websocket_ends_after_the_read_timeout() {
    let (_upstream, _manifests, proxy) = one(&[("proxy-read-timeout", "1")]);
    let mut socket = Raw::connect(proxy.http());
    assert_eq!(socket.websocket("a.test", "/ws").status, 101);
    assert!(socket.closes_within(Duration::from_secs(6)));
}

#[test]
fn an_upgrade_to_http2_is_never_tunnelled() {
    let (upstream, _manifests, proxy) = one(&[]);
    upstream
        .set("x-test-raw", "HTTP/1.1 101 Switching Protocols\\r\\nConnection: upgrade\\r\\nUpgrade: h2c\\r\\n\\r\\n");
    let mut client = Raw::connect(proxy.http());
    let sent = "GET / HTTP/1.1\r\nHost: a.test\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\n";
    assert_eq!(client.request(sent).status, 502);
}

#[test]
fn streams_arrive_as_they_are_sent() {
    let (_upstream, _manifests, proxy) = one(&[]);
    let mut client = Raw::connect(proxy.http());
    client.send("GET / HTTP/1.1\r\nHost: a.test\r\nx-test-sse: 3\r\nx-test-interval-ms: 300\r\n\r\n");
    let mut first = Vec::new();
    let began = std::time::Instant::now();
    while !String::from_utf8_lossy(&first).contains("data:") {
        first.extend(client.read_some().unwrap());
    }
    assert!(began.elapsed() < Duration::from_millis(700), "the first event waited for the others");
}
