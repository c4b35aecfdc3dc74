//! The kit shows what it should, without a proxy between.

mod kit;

use portcullis::demo;

// Compiled here until the library has it, so that it is held by a test from the start.

use std::time::Duration;

use kit::raw::Tls;
use kit::wire::Framing;
use kit::{Authority, H2, Identity, Ingress, Manifests, Proxy, Raw, Upstream, websocket};

#[test]
fn a_request_is_echoed_as_it_was_sent() {
    let upstream = Upstream::start("one");
    let mut raw = Raw::connect(upstream.addr());
    let response = raw.request(
        "POST //a/%2e%2e/b?x=1#f HTTP/1.1\r\nhOsT: x.test\r\nX-B: 1\r\nx-a:  2 \r\nX-B: 3\r\nContent-Length: 5\r\n\r\nhello",
    );
    assert_eq!((response.status, response.reason.as_str()), (200, "OK"));
    assert_eq!(response.header("x-backend"), Some("one"));
    let seen = response.seen();
    assert_eq!(seen, upstream.last());
    assert_eq!(
        (seen.method.as_str(), seen.uri.as_str(), seen.version.as_str()),
        ("POST", "//a/%2e%2e/b?x=1#f", "HTTP/1.1")
    );
    let names: Vec<&str> = seen.headers.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["hOsT", "X-B", "x-a", "X-B", "Content-Length"]);
    assert_eq!(seen.header_all("x-b"), ["1", "3"]);
    assert_eq!((seen.host(), seen.body_len, seen.body_text.as_str()), (Some("x.test"), 5, "hello"));
    assert_eq!(seen.body_sha1, "aaf4c61ddcc5e8a2dabede0f3b482cd9aea9434d");
}

#[test]
fn connections_are_counted_and_kept() {
    let upstream = Upstream::start("one");
    let mut raw = Raw::connect_from([127, 0, 0, 9].into(), upstream.addr());
    raw.get("x.test", "/1");
    let second = raw.get("x.test", "/2").seen();
    assert_eq!((second.connection, second.request_on_connection), (1, 2));
    assert!(second.remote.starts_with("127.0.0.9:"));
    Raw::connect(upstream.addr()).get("x.test", "/3");
    assert_eq!((upstream.connections(), upstream.requests(), upstream.wait_for(3).len()), (2, 3, 3));
    drop(raw);
    assert!(kit::eventually(Duration::from_secs(5), || (upstream.open_connections() == 0).then_some(())).is_some());
}

#[test]
fn behaviours() {
    let upstream = Upstream::start("one");
    let ask = |fields: &[&str]| Raw::connect(upstream.addr()).get_with("x.test", "/", fields);

    assert_eq!(ask(&["x-test-status: 503"]).status, 503);
    assert_eq!(ask(&["x-test-status: 503", "x-test-only: two"]).status, 200);
    assert_eq!(ask(&["x-test-header: X-One: 1", "x-test-header: X-One: 2"]).header_all("X-One"), ["1", "2"]);
    assert_eq!(ask(&["x-test-body-bytes: 5000"]).framing, Framing::Length(5000));
    assert_eq!(ask(&["x-test-body: hi"]).text(), "hi");
    let chunked = ask(&["x-test-body-bytes: 2000", "x-test-trailers: x-sum: 7"]);
    assert_eq!((chunked.framing, chunked.body.len(), chunked.complete), (Framing::Chunked, 2000, true));
    assert_eq!(chunked.trailers, [("x-sum".to_owned(), "7".to_owned())]);
    let cut = ask(&["x-test-body-bytes: 100", "x-test-cut: 10"]);
    assert_eq!((cut.body.len(), cut.complete), (10, false));
    let early = ask(&["x-test-early: 103"]);
    assert_eq!((early.informational[0].0, early.status), (103, 200));
    assert_eq!(ask(&["x-test-sse: 3"]).text().matches("data: event").count(), 3);
    let unread = ask(&["x-test-unread: 1", "Content-Length: 1000"]);
    assert_eq!((unread.status, unread.header("connection")), (200, Some("close")));
    assert_eq!(ask(&["x-test-no-length: 1", "x-test-body: end"]).framing, Framing::Close);
    assert_eq!(ask(&[r"x-test-raw: HTTP/1.1 299 Odd\r\nA: b\r\nContent-Length: 0\r\n\r\n"]).reason, "Odd");

    upstream.set("x-test-status", "418");
    assert_eq!(ask(&[]).status, 418);
    upstream.reset_behaviour();
    assert_eq!(ask(&[]).status, 200);
}

#[test]
fn ends_without_an_answer() {
    let upstream = Upstream::start("one");
    let ask = |field: &str| {
        let mut raw = Raw::connect(upstream.addr());
        raw.send(format!("GET / HTTP/1.1\r\nHost: x\r\n{field}: 1\r\n\r\n"));
        raw.try_response("GET").unwrap_err()
    };
    assert_eq!(ask("x-test-reset").kind(), std::io::ErrorKind::ConnectionReset);
    assert_eq!(ask("x-test-close").to_string(), "closed without an answer");
    assert!(Raw::try_connect(Upstream::refused()).is_err());
    let mut slow = Raw::connect(upstream.addr()).deadline(Duration::from_millis(50));
    slow.send("GET / HTTP/1.1\r\nHost: x\r\nx-test-delay-ms: 5000\r\n\r\n");
    assert_eq!(slow.try_response("GET").unwrap_err().kind(), std::io::ErrorKind::TimedOut);
}

#[test]
fn heads_continues_and_chunks() {
    let upstream = Upstream::start("one");
    let mut raw = Raw::connect(upstream.addr());
    let head = raw.request("HEAD / HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_eq!((head.body.len(), head.framing), (0, Framing::None));
    let response = raw.request(
        "PUT / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nTransfer-Encoding: chunked\r\n\r\n\
         3;a=b\r\nabc\r\n0\r\nx-end: 1\r\n\r\n",
    );
    assert_eq!(response.informational[0].0, 100);
    let seen = response.seen();
    assert_eq!((seen.body_text.as_str(), seen.trailers.len()), ("abc", 1));
    raw.request("GET / HTTP/1.0\r\n\r\n");
    assert!(raw.closes_within(Duration::from_secs(5)));
}

#[test]
fn a_stopped_backend_cuts_its_connections_and_comes_back() {
    let upstream = Upstream::start("one");
    let addr = upstream.addr();
    let mut raw = Raw::connect(addr);
    raw.get("x", "/");
    upstream.stop();
    assert!(raw.closes_within(Duration::from_secs(5)));
    assert!(Raw::try_connect(addr).is_err());
    let again = Upstream::start_at("one", addr);
    assert_eq!(Raw::connect(again.addr()).get("x", "/").status, 200);
}

#[test]
fn tls_shows_names_protocols_and_certificates() {
    let upstream = Upstream::start("one");
    let mut raw = Raw::connect_tls(upstream.tls_addr(), "a.test", &["http/1.1"]);
    assert_eq!(raw.peer().alpn.as_deref(), Some("http/1.1"));
    assert_eq!(&raw.peer().chain[0], upstream.certificate());
    assert_eq!(kit::certs::dns_names(&raw.peer().chain[0]), ["one", "localhost"]);
    let seen = raw.get("a.test", "/").seen();
    assert_eq!((seen.tls, seen.sni.as_deref(), seen.client_cert), (true, Some("a.test"), None));

    let client = Authority::new("kit authority").issue("client", &["client.test"]);
    let tls = Tls { identity: Some(&client), only_tls12: true, ..Tls::default() };
    let mut raw = Raw::try_connect_tls(upstream.tls_addr(), tls).unwrap();
    assert_eq!(raw.peer().version, Some(rustls::ProtocolVersion::TLSv1_2));
    let seen = raw.get("a.test", "/").seen();
    assert_eq!((seen.sni, seen.client_cert.as_deref()), (None, Some("CN=client")));
}

#[test]
fn http2_in_clear_and_over_tls() {
    let upstream = Upstream::start("one");
    let h2 = H2::connect(upstream.addr());
    let slow = h2.start("GET", "x.test", "/slow", &[("x-test-delay-ms", "100")], b"");
    let response = h2.request("POST", "x.test", "/a?b", &[("x-test-header", "x-one: 1")], b"body");
    assert_eq!((response.status, response.header("x-one")), (200, Some("1")));
    let seen = response.seen();
    assert_eq!((seen.version.as_str(), seen.uri.as_str(), seen.host()), ("HTTP/2.0", "/a?b", Some("x.test")));
    assert_eq!(seen.body_text, "body");
    assert_eq!(slow.wait().unwrap().seen().connection, seen.connection);
    assert!(h2.start("GET", "x.test", "/", &[("x-test-reset", "1")], b"").wait().is_err());
    assert_eq!(h2.get("x.test", "/").status, 200);
    assert!(h2.start("GET", "x.test", "/", &[("x-test-close", "1")], b"").wait().is_err());
    assert!(h2.closes_within(Duration::from_secs(5)));

    let h2 = H2::connect_tls(upstream.tls_addr(), "b.test");
    assert_eq!(h2.get("b.test", "/").seen().sni.as_deref(), Some("b.test"));
    let events = h2.request("GET", "b.test", "/", &[("x-test-sse", "2")], b"");
    assert_eq!(events.text(), "id: 1\ndata: event 1\n\nid: 2\ndata: event 2\n\n");
}

#[test]
fn grpc_answers_with_trailers() {
    let upstream = Upstream::start("one");
    let h2 = H2::connect(upstream.addr());
    let response = h2.grpc("x.test", "/pkg.Service/Call", &[("x-test-grpc-status", "14")], b"ask");
    assert_eq!((response.status, response.header("content-type")), (200, Some("application/grpc")));
    assert_eq!(response.trailer("grpc-status"), Some("14"));
    assert_eq!(response.body[0], 0);
    assert_eq!(upstream.last().body_len, 8);
}

#[test]
fn websockets_echo() {
    let upstream = Upstream::start("one");
    let mut raw = Raw::connect(upstream.addr());
    let response = raw.websocket("x.test", "/ws");
    assert_eq!(response.status, 101);
    // The example of RFC 6455, 1.3.
    assert_eq!(response.header("sec-websocket-accept"), Some("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
    for payload in [b"hello".to_vec(), vec![b'y'; 300], vec![b'z'; 70_000]] {
        raw.send_frame(websocket::BINARY, &payload);
        assert_eq!(raw.read_frame().unwrap(), (websocket::BINARY, payload));
    }
    raw.send_frame(websocket::PING, b"p");
    assert_eq!(raw.read_frame().unwrap(), (websocket::PONG, b"p".to_vec()));
    raw.send_frame(websocket::CLOSE, &[]);
    assert_eq!(raw.read_frame().unwrap().0, websocket::CLOSE);
    assert!(raw.closes_within(Duration::from_secs(5)));
}

#[test]
fn manifests_are_yaml() {
    let upstream = Upstream::start("web");
    let manifests = Manifests::new();
    let other = Upstream::start("other");
    manifests
        .service("web", &[upstream.addr(), other.addr()])
        .upstream_tls(&other)
        .tls_secret("cert", &Identity::self_signed(&["a.test"]))
        .secret("auth", &[("auth", "user:$apr1$x\n")])
        .config_map("ingress-nginx", "controller", &[("hsts", "false")])
        .ingress(
            &Ingress::new("web")
                .nginx("rewrite-target", "/$2")
                .rule_of("ImplementationSpecific", "a.test", "/x(/|$)(.*)", "web")
                .rule("", "/", "web")
                .default_backend("web")
                .tls(&["a.test"], Some("cert")),
        );
    let mut kinds = Vec::new();
    for entry in std::fs::read_dir(manifests.path()).unwrap() {
        let text = std::fs::read_to_string(entry.unwrap().path()).unwrap();
        let documents: Vec<serde_json::Value> =
            serde_saphyr::from_multiple(&text).unwrap_or_else(|e| panic!("{e}: {text}"));
        kinds.extend(documents.iter().map(|d| d["kind"].as_str().unwrap().to_owned()));
    }
    kinds.sort();
    let expected =
        "ConfigMap EndpointSlice EndpointSlice EndpointSlice Ingress IngressClass Secret Secret Service Service";
    assert_eq!(kinds.join(" "), expected);
    manifests.remove("service-web.yaml");
}

#[test]
fn a_proxy_that_does_not_start_says_how_it_ended() {
    let Err(error) = Proxy::try_start(Manifests::new(), &["--no-such-flag"], &[]) else { panic!("it started") };
    assert!(error.contains("it ended with exit status"), "{error}");
}

#[test]
fn the_demo_backend_tells_what_reached_it() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap();
    listener.set_nonblocking(true).unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    runtime
        .spawn(async move { demo::backend::serve("shop", tokio::net::TcpListener::from_std(listener).unwrap()).await });

    let response = Raw::connect(addr).get_with("shop.test", "/cart?id=1", &["X-One: 1"]);
    assert_eq!(response.status, 200);
    assert_eq!(response.text(), "backend: shop\n\nGET /cart?id=1 HTTP/1.1\nhost: shop.test\nx-one: 1\n");

    let grpc = H2::connect(addr).grpc("api.test", "/a.B/C", &[], b"ask");
    assert_eq!((grpc.body.as_slice(), grpc.trailer("grpc-status")), (&b"\0\0\0\0\x03ask"[..], Some("0")));

    let mut raw = Raw::connect(addr);
    let response = raw.websocket("shop.test", "/ws");
    assert_eq!(response.header("sec-websocket-accept"), Some("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
    raw.send_frame(websocket::TEXT, &[b'a'; 200]);
    assert_eq!(raw.read_frame().unwrap(), (websocket::TEXT, vec![b'a'; 200]));
    raw.send_frame(websocket::CLOSE, &[]);
    assert_eq!(raw.read_frame().unwrap().0, websocket::CLOSE);

    let mut raw = Raw::connect(addr);
    raw.send("GET /x/stream HTTP/1.1\r\nHost: x\r\n\r\n");
    let first = String::from_utf8(raw.read_some().unwrap()).unwrap();
    assert!(first.contains("text/event-stream"), "{first}");
}
