//! Faults of either side: what each costs, and whom.

use std::time::{Duration, Instant};

use crate::kit::{DEADLINE, H2, Ingress, Manifests, Proxy, Raw, Upstream, eventually};
use crate::one;

const CHUNKED: &str = "POST / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n";

#[test]
fn unlimited_tries_end() {
    let manifests = Manifests::new();
    let ingress = Ingress::new("web").rule("a.test", "/", "gone").nginx("proxy-next-upstream-tries", "0");
    manifests.service("gone", &[Upstream::refused()]).ingress(&ingress);
    let proxy = Proxy::start(&manifests, &[]);
    let began = Instant::now();
    assert_eq!(proxy.get("a.test", "/").status, 502);
    assert!(began.elapsed() < Duration::from_secs(2));
}

#[test]
fn a_client_that_leaves_is_noticed_and_its_upstream_request_ends() {
    let (upstream, _manifests, proxy) = one(&[]);
    let mut client = Raw::connect(proxy.http());
    client.send("GET /left HTTP/1.1\r\nHost: a.test\r\nX-Request-ID: gone\r\nx-test-delay-ms: 5000\r\n\r\n");
    upstream.wait_for(1);
    drop(client);
    let line = proxy.wait_for_stdout("gone").expect("a log line");
    assert!(line.contains("\" 499 0 "), "{line}");
    let mut client = Raw::connect(proxy.http());
    client.send("GET / HTTP/1.1\r\nHost: a.test\r\nx-test-sse: 500\r\nx-test-interval-ms: 50\r\n\r\n");
    client.read_some().unwrap();
    drop(client);
    let closed = eventually(DEADLINE, || (upstream.open_connections() == 0).then_some(()));
    assert!(closed.is_some(), "the upstream's connection is still open");
}

#[test]
fn a_streamed_body_goes_elsewhere_while_nothing_of_it_was_sent() {
    let good = Upstream::start("good");
    let manifests = Manifests::new();
    manifests.service("pair", &[Upstream::refused(), good.addr()]);
    manifests.ingress(&Ingress::new("web").rule("a.test", "/", "pair").nginx("proxy-request-buffering", "off"));
    // ingress-nginx's settings of retries are not gRPC's.
    let grpc = Ingress::new("grpc").rule("g.test", "/", "pair").nginx("backend-protocol", "GRPC");
    manifests.ingress(&grpc.nginx("proxy-next-upstream", "off").nginx("proxy-next-upstream-tries", "1"));
    let proxy = Proxy::start(&manifests, &[]);
    for _ in 0..8 {
        let response = Raw::connect(proxy.http()).request(format!("{CHUNKED}\r\n4\r\nabcd\r\n0\r\n\r\n"));
        assert_eq!((response.status, response.seen().body_text.as_str()), (200, "abcd"));
        let call = H2::connect(proxy.http()).grpc("g.test", "/s/m", &[], b"ping");
        assert_eq!((call.status, call.trailer("grpc-status")), (200, Some("0")));
    }
}

#[test]
fn a_response_is_framed_as_it_was_read() {
    let (upstream, _manifests, proxy) = one(&[]);
    let both = "HTTP/1.1 200 OK\\r\\nTransfer-Encoding: chunked\\r\\nContent-Length: 5\\r\\n\\r\\n14\\r\\n01234567890123456789\\r\\n0\\r\\n\\r\\n";
    let twice = "HTTP/1.1 200 OK\\r\\nContent-Length: 5, 5\\r\\n\\r\\nhello";
    for (raw, whole) in [(both, "01234567890123456789"), (twice, "hello")] {
        upstream.reset_behaviour();
        upstream.set("x-test-raw", raw);
        let response = proxy.get("a.test", "/");
        let refused = response.status == 502;
        assert!(refused || (response.complete && response.text() == whole), "{raw}: {response:?}");
        assert!(response.header("content-length").is_none_or(|length| length.parse::<u64>().is_ok()), "{raw}");
    }
}

#[test]
fn a_body_that_looks_like_a_refusal_stays_as_it_is() {
    let (upstream, _manifests, proxy) = one(&[]);
    let body = "HTTP/1.1 400 Bad Request\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";
    upstream.set("x-test-body", body).set("x-test-body-delay-ms", "300");
    let mut client = Raw::connect(proxy.http());
    let response = client.get("a.test", "/");
    assert_eq!((response.status, response.complete, response.text().as_str()), (200, true, body));
    // What is refused on the same connection still gets its page.
    let refused = client.request("GET / HTTP/1.1\r\nHost: a.test\r\nX : a\r\n\r\n");
    assert_eq!(refused.status, 400);
    assert!(refused.text().contains("<h1>400 "), "{}", refused.text());
}

#[test]
fn bodies_of_methods_that_usually_have_none_arrive() {
    let (_upstream, _manifests, proxy) = one(&[("proxy-request-buffering", "off")]);
    let get = CHUNKED.replace("POST", "GET");
    let seen = Raw::connect(proxy.http()).request(format!("{get}\r\n4\r\nabcd\r\n0\r\n\r\n")).seen();
    assert_eq!((seen.method.as_str(), seen.body_text.as_str()), ("GET", "abcd"));
}

#[test]
fn http_1_0_upstreams_get_whole_bodies_or_none() {
    let (upstream, _manifests, proxy) = one(&[("proxy-http-version", "1.0"), ("proxy-body-size", "0")]);
    let seen = Raw::connect(proxy.http()).request(format!("{CHUNKED}\r\n4\r\nabcd\r\n0\r\n\r\n")).seen();
    assert_eq!(
        (seen.version.as_str(), seen.body_text.as_str(), seen.header("content-length")),
        ("HTTP/1.0", "abcd", Some("4"))
    );
    let large = chunked(3 << 20);
    assert_eq!(Raw::connect(proxy.http()).request([CHUNKED.as_bytes(), b"\r\n", &large].concat()).status, 413);
    assert_eq!(upstream.requests(), 1);
}

fn chunked(size: usize) -> Vec<u8> {
    let chunk = [b"4000\r\n".as_slice(), &[b'x'; 0x4000], b"\r\n"].concat();
    [chunk.repeat(size / 0x4000), b"0\r\n\r\n".to_vec()].concat()
}

#[test]
fn a_refusal_is_read_although_the_client_still_sends() {
    let (_upstream, _manifests, proxy) = one(&[]);
    for _ in 0..5 {
        let request = [CHUNKED.as_bytes(), b"\r\n", &chunked(4 << 20)].concat();
        let response = Raw::connect(proxy.http()).request(request);
        assert_eq!((response.status, response.header("connection")), (413, Some("close")));
    }
}

#[test]
fn a_body_sent_byte_by_byte_is_put_together() {
    let (_upstream, _manifests, proxy) = one(&[]);
    let bytes = b"1\r\nx\r\n".repeat(20_000);
    let request = [CHUNKED.as_bytes(), b"\r\n", &bytes, b"0\r\n\r\n"].concat();
    let seen = Raw::connect(proxy.http()).request(request).seen();
    assert_eq!((seen.body_len, seen.header("content-length")), (20_000, Some("20000")));
}

#[test]
fn only_one_transfer_coding_is_taken() {
    let (upstream, _manifests, proxy) = one(&[]);
    let rows = [
        ("Transfer-Encoding: gzip, chunked\r\n", "1.1", 501),
        ("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", "1.1", 400),
        ("Transfer-Encoding: chunked, chunked\r\n", "1.1", 501),
        ("Transfer-Encoding: chunked\r\n", "1.0", 400),
    ];
    for (fields, version, status) in rows {
        let request = format!("POST / HTTP/{version}\r\nHost: a.test\r\n{fields}\r\n0\r\n\r\n");
        let response = Raw::connect(proxy.http()).request(request);
        assert!([status, 400].contains(&response.status), "{fields:?}: {}", response.status);
    }
    assert_eq!(upstream.requests(), 0);
}

#[test]
fn trailers_of_a_request_do_not_become_headers_upstream() {
    let (_upstream, _manifests, proxy) = one(&[("proxy-request-buffering", "off")]);
    let request = format!("{CHUNKED}Trailer: X-Real-IP\r\n\r\n1\r\na\r\n0\r\nX-Real-IP: 6.6.6.6\r\n\r\n");
    let seen = Raw::connect(proxy.http()).request(request).seen();
    assert!(seen.trailers.is_empty() && seen.header("trailer").is_none(), "{seen:?}");
    assert_eq!(seen.header("x-real-ip"), Some("127.0.0.1"));
}

#[test]
fn http2_can_be_switched_off_everywhere() {
    let (_upstream, manifests, _) = one(&[]);
    manifests.config_map("ingress-nginx", "controller", &[("use-http2", "false")]);
    let proxy = Proxy::start(&manifests, &["--configmap=ingress-nginx/controller"]);
    let client = Raw::connect_tls(proxy.https(), "a.test", &["h2", "http/1.1"]);
    assert_eq!(client.peer().alpn.as_deref(), Some("http/1.1"));
    let mut client = Raw::connect(proxy.http());
    client.send("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
    let answer = client.read_to_end().unwrap_or_default();
    assert!(answer.is_empty() || answer.starts_with(b"HTTP/1.1 4") || answer.starts_with(b"HTTP/1.1 5"), "{answer:?}");
}

#[test]
fn a_websocket_is_logged_when_it_ends() {
    let (_upstream, _manifests, proxy) = one(&[]);
    let mut socket = Raw::connect(proxy.http());
    assert_eq!(socket.websocket("a.test", "/ws-logged").status, 101);
    socket.send_frame(crate::kit::websocket::TEXT, b"hello");
    socket.read_frame().unwrap();
    assert!(!proxy.stdout().iter().any(|line| line.contains("/ws-logged")), "it has not ended");
    drop(socket);
    let line = proxy.wait_for_stdout("/ws-logged").expect("a log line");
    assert!(line.contains("\" 101 7 "), "a frame of seven bytes was sent: {line}");
}

#[test]
fn a_version_is_refused_however_long_its_line() {
    let (_upstream, _manifests, proxy) = one(&[]);
    let request = format!("GET /{} HTTP/2.0\r\nHost: a.test\r\n\r\n", "long/".repeat(100));
    assert_eq!(Raw::connect(proxy.http()).request(request).status, 505);
    let target = format!("/{}", "x".repeat(9000));
    assert_eq!(proxy.get("a.test", &target).status, 414);
}

#[test]
fn requests_at_once_share_few_connections_to_a_grpc_upstream() {
    let upstream = Upstream::start("one");
    let manifests = Manifests::new();
    manifests.upstream(&upstream);
    manifests.ingress(&Ingress::new("grpc").rule("g.test", "/", "one").nginx("backend-protocol", "GRPC"));
    let proxy = Proxy::start(&manifests, &[]);
    let client = H2::connect(proxy.http());
    let fields = [("content-type", "application/grpc"), ("te", "trailers"), ("x-test-delay-ms", "300")];
    let calls: Vec<_> = (0..100).map(|_| client.start("POST", "g.test", "/s/m", &fields, b"")).collect();
    for call in calls {
        assert_eq!(call.wait().unwrap().status, 200);
    }
    assert!(upstream.connections() <= 100 && upstream.requests() == 100);
    assert!(eventually(DEADLINE, || (proxy.get("g.test", "/").status > 0).then_some(())).is_some());
}

#[test]
fn a_streamed_body_is_never_sent_in_part() {
    let (bad, good) = (Upstream::start("bad"), Upstream::start("good"));
    bad.set("x-test-close", "1");
    let manifests = Manifests::new();
    manifests.service("three", &[Upstream::refused(), bad.addr(), good.addr()]);
    manifests.ingress(&Ingress::new("web").rule("a.test", "/", "three").nginx("proxy-request-buffering", "off"));
    let proxy = Proxy::start(&manifests, &[]);
    let put = CHUNKED.replace("POST", "PUT");
    for _ in 0..12 {
        let response = Raw::connect(proxy.http()).request(format!("{put}\r\n4\r\nabcd\r\n0\r\n\r\n"));
        assert!([200, 502].contains(&response.status), "{response:?}");
    }
    assert!(bad.requests() > 0 && good.requests() > 0);
    assert!(good.seen().iter().all(|seen| seen.body_text == "abcd"), "{:?}", good.seen());
}

#[test]
fn a_slow_answer_on_a_kept_connection_is_a_try() {
    let (upstream, _manifests, proxy) = one(&[("proxy-read-timeout", "1"), ("proxy-next-upstream-tries", "2")]);
    let mut client = Raw::connect(proxy.http());
    assert_eq!(client.get("a.test", "/").status, 200);
    assert_eq!(client.get_with("a.test", "/", &["x-test-delay-ms: 20000"]).status, 504);
    assert_eq!(upstream.requests(), 3);
}
