//! Who the client is: proxies in front that are believed, PROXY headers before requests, the size of heads.

use std::net::SocketAddr;
use std::process::Command;
use std::time::Duration;

use crate::kit::raw::Tls;
use crate::kit::{DEADLINE, Ingress, Manifests, Proxy, Raw, Response, Upstream, eventually};

const CONFIG: &str = "--configmap=default/settings";

/// An upstream behind `a.test`, `tls.test` with a certificate entry and `force.test`, under these settings.
fn with(settings: &[(&str, &str)]) -> (Upstream, Manifests, Proxy) {
    let upstream = Upstream::start("one");
    let manifests = Manifests::new();
    manifests.upstream(&upstream).config_map("default", "settings", settings);
    manifests.ingress(&Ingress::new("web").rule("a.test", "/", "one"));
    manifests.ingress(&Ingress::new("tls").rule("tls.test", "/", "one").tls(&["tls.test"], None));
    manifests.ingress(&Ingress::new("force").rule("force.test", "/", "one").nginx("force-ssl-redirect", "true"));
    let proxy = Proxy::start(&manifests, &[CONFIG]);
    (upstream, manifests, proxy)
}

/// Headers that the client sends, and those that the upstream must see; an empty one must be absent.
type Row = (&'static [&'static str], &'static [(&'static str, &'static str)]);

fn check(proxy: &Proxy, rows: &[Row]) {
    for (sent, expected) in rows {
        let response = proxy.get_with("a.test", "/", sent);
        assert_eq!(response.status, 200, "{sent:?}: {}", response.text());
        let seen = response.seen();
        for (name, value) in *expected {
            assert_eq!(seen.header(name).unwrap_or_default(), *value, "{sent:?}: {name}");
        }
    }
}

#[test]
fn forwarded_headers_are_believed_when_asked() {
    let (_upstream, manifests, proxy) = with(&[]);
    const SENT: &[&str] = &[
        "X-Forwarded-For: 203.0.113.7, 198.51.100.9",
        "X-Forwarded-Proto: https",
        "X-Forwarded-Host: public.test, inner.test",
        "X-Forwarded-Port: 444",
    ];
    check(&proxy, &[(SENT, &[("x-real-ip", "127.0.0.1"), ("x-forwarded-proto", "http"), ("host", "a.test")])]);
    let on = ("use-forwarded-headers", "true");
    manifests.config_map("default", "settings", &[on]);
    let marked = |name: &'static str, value: &'static str| {
        move |response: &Response| response.status == 200 && response.seen().header(name) == Some(value)
    };
    let poll = |good: &dyn Fn(&Response) -> bool| {
        eventually(DEADLINE, || good(&proxy.get_with("a.test", "/", SENT)).then_some(())).expect("the new settings")
    };
    poll(&marked("x-real-ip", "203.0.113.7"));
    check(
        &proxy,
        &[
            (
                SENT,
                &[
                    ("host", "public.test"),
                    ("x-real-ip", "203.0.113.7"),
                    ("x-forwarded-for", "203.0.113.7"),
                    ("x-forwarded-host", "public.test"),
                    ("x-forwarded-port", "444"),
                    ("x-forwarded-proto", "https"),
                    ("x-forwarded-scheme", "https"),
                    ("x-scheme", "https"),
                    ("x-original-forwarded-for", "203.0.113.7, 198.51.100.9"),
                    ("x-original-forwarded-host", "public.test, inner.test"),
                ],
            ),
            (&[], &[("host", "a.test"), ("x-real-ip", "127.0.0.1"), ("x-forwarded-proto", "http")]),
            (&["X-Forwarded-Proto:"], &[("x-forwarded-proto", ""), ("x-scheme", "")]),
            (&["X-Forwarded-Host: public.test , x"], &[("x-forwarded-host", "public.test"), ("host", "public.test")]),
        ],
    );
    let line = proxy.wait_for_stdout("203.0.113.7 - - [").expect("a line of the access log");
    assert!(line.contains("\"GET / HTTP/1.1\" 200 "), "{line}");

    let full = ("compute-full-forwarded-for", "true");
    manifests.config_map("default", "settings", &[on, full, ("proxy-real-ip-cidr", "127.0.0.0/8")]);
    const CHAIN: &str = "203.0.113.7, 198.51.100.9, 127.0.0.1";
    poll(&marked("x-forwarded-for", CHAIN));
    check(&proxy, &[(SENT, &[("x-real-ip", "198.51.100.9"), ("x-forwarded-for", CHAIN)])]);

    manifests.config_map("default", "settings", &[on, full, ("proxy-real-ip-cidr", "10.0.0.0/8")]);
    poll(&marked("x-real-ip", "127.0.0.1"));
    // The list is about addresses; the scheme of a load balancer that is not in it still counts.
    const SAID: &[(&str, &str)] =
        &[("x-forwarded-proto", "https"), ("x-forwarded-host", "public.test"), ("x-forwarded-port", "444")];
    check(&proxy, &[(SENT, SAID)]);

    let real_ip = ("enable-real-ip", "true");
    manifests.config_map("default", "settings", &[real_ip, ("forwarded-for-header", "CF-Connecting-IP")]);
    poll(&marked("x-forwarded-for", "127.0.0.1"));
    check(
        &proxy,
        &[(
            &["CF-Connecting-IP: 192.0.2.1", "X-Forwarded-For: 9.9.9.9", "X-Forwarded-Proto: https"],
            &[
                ("x-real-ip", "192.0.2.1"),
                ("x-forwarded-for", "192.0.2.1"),
                ("x-original-forwarded-for", "192.0.2.1"),
                ("x-forwarded-proto", "http"),
            ],
        )],
    );
}

#[test]
fn https_redirects_follow_the_forwarded_scheme_and_host() {
    let (_upstream, _manifests, proxy) = with(&[("use-forwarded-headers", "true")]);
    const PUBLIC: &str = "X-Forwarded-Host: pub.test:99, other.test";
    let rows: &[(&str, &[&str], Option<&str>)] = &[
        ("tls.test", &[], Some("https://tls.test/x")),
        ("tls.test", &["X-Forwarded-Proto: http"], Some("https://tls.test/x")),
        ("tls.test", &["X-Forwarded-Proto: https"], None),
        ("tls.test", &["X-Forwarded-Proto: HTTP"], None),
        ("tls.test", &["X-Forwarded-Proto: http,https"], None),
        ("tls.test", &[PUBLIC], Some("https://pub.test/x")),
        ("tls.test", &["X-Forwarded-Host: pub.test , o.test"], Some("https://pub.test /x")),
        ("a.test", &["X-Forwarded-Host: tls.test"], None),
        ("force.test", &[], Some("https://force.test/x")),
        ("force.test", &["X-Forwarded-Proto: https"], None),
    ];
    for (host, sent, location) in rows {
        let response = proxy.get_with(host, "/x", sent);
        let expected = (if location.is_some() { 308 } else { 200 }, *location, None);
        let hsts = response.header("strict-transport-security");
        assert_eq!((response.status, response.header("location"), hsts), expected, "{host} {sent:?}");
    }
    let mut tls = Raw::connect_tls(proxy.https(), "tls.test", &["http/1.1"]);
    let response = tls.get_with("tls.test", "/x", &["X-Forwarded-Proto: http"]);
    assert_eq!((response.status, response.header("location")), (308, Some("https://tls.test/x")));
    assert!(response.header("strict-transport-security").is_some(), "it speaks of the connection");
}

fn plain(proxy: &Proxy, header: &[u8], request: &str) -> Response {
    let mut client = Raw::connect(proxy.http());
    // In two pieces, the second with the end of the header.
    let (first, rest) = header.split_at(header.len() / 2);
    client.send(first);
    client.request([rest, request.as_bytes()].concat())
}

const GET: &str = "GET / HTTP/1.1\r\nHost: a.test\r\n\r\n";

#[test]
fn proxy_headers_come_first_when_asked() {
    let (_upstream, manifests, proxy) = with(&[("use-proxy-protocol", "true")]);
    let identity = |response: Response| {
        let seen = response.seen();
        ["x-real-ip", "x-forwarded-port", "x-forwarded-proto"]
            .map(|name| seen.header(name).unwrap_or_default().to_owned())
    };
    let own = proxy.http().port().to_string();
    let v2 = [&b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c"[..], &[203, 0, 113, 9, 10, 0, 0, 1], &[0, 80, 1, 187]].concat();
    let rows: [(&[u8], [&str; 3]); 6] = [
        (b"PROXY TCP4 203.0.113.7 10.0.0.1 56324 80\r\n", ["203.0.113.7", "80", "http"]),
        (b"PROXY TCP4 203.0.113.7 10.0.0.1 56324 443\r\n", ["203.0.113.7", "443", "https"]),
        (b"PROXY TCP6 2001:db8::7 2001:db8::1 56324 8080\r\n", ["2001:db8::7", "8080", "http"]),
        (b"PROXY UNKNOWN\r\n", ["127.0.0.1", &own, "http"]),
        (&v2, ["203.0.113.9", "443", "https"]),
        (b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0", ["127.0.0.1", &own, "http"]),
    ];
    for (header, expected) in rows {
        assert_eq!(identity(plain(&proxy, header, GET)), expected, "{:?}", String::from_utf8_lossy(header));
    }
    let tls = Tls { sni: "a.test", alpn: &["http/1.1"], ..Tls::default() };
    let line = b"PROXY TCP4 203.0.113.8 10.0.0.1 56324 8443\r\n";
    let mut client = Raw::try_connect_tls_after(proxy.https(), line, tls).unwrap();
    assert_eq!(identity(client.get("a.test", "/")), ["203.0.113.8", "8443", "https"]);
    assert!(Raw::try_connect_tls(proxy.https(), tls).is_err(), "TLS without a PROXY header");
    let mut without = Raw::connect(proxy.http());
    without.send(GET);
    assert_eq!(without.read_to_end().unwrap_or_default(), b"", "plain HTTP without a PROXY header");
    let redirect = "GET /x HTTP/1.1\r\nHost: tls.test\r\n\r\n";
    assert_eq!(plain(&proxy, rows[1].0, redirect).status, 200, "the destination port says that it was https");
    assert_eq!(plain(&proxy, rows[0].0, redirect).status, 308);

    let narrow = ("proxy-real-ip-cidr", "10.0.0.0/8");
    manifests.config_map("default", "settings", &[("use-proxy-protocol", "true"), narrow]);
    let expected = ["127.0.0.1", &own, "http"];
    let got = eventually(DEADLINE, || (identity(plain(&proxy, rows[1].0, GET)) == expected).then_some(()));
    assert!(got.is_some(), "nothing is believed of who is not trusted");
    assert_eq!(plain(&proxy, rows[1].0, redirect).status, 308, "nor that it was https");

    manifests.config_map("default", "settings", &[]);
    let unwrapped = eventually(DEADLINE, || {
        let mut client = Raw::connect(proxy.http());
        client.send(GET).try_response("GET").ok().filter(|response| response.status == 200)
    });
    assert!(unwrapped.is_some(), "new connections need none any more");
    assert_eq!(plain(&proxy, rows[0].0, GET).status, 400, "it is no request");
}

#[test]
fn a_proxy_header_has_its_time() {
    let settings = [("use-proxy-protocol", "true"), ("proxy-protocol-header-timeout", "300ms")];
    let (_upstream, _manifests, proxy) = with(&settings);
    for address in [proxy.http(), proxy.https()] {
        let mut slow = Raw::connect(address);
        slow.send("PROXY TCP4 203.0");
        assert!(slow.closes_within(Duration::from_secs(4)), "{address}");
    }
}

#[test]
fn curl_speaks_proxy_protocol() {
    let (_upstream, _manifests, proxy) = with(&[("use-proxy-protocol", "true")]);
    let ask = |url: String, address: SocketAddr| {
        let connect = format!("::{address}");
        let mut curl = Command::new("curl");
        curl.args(["-sSk", "--max-time", "15", "--haproxy-protocol", "--connect-to", &connect, &url]);
        let output = curl.output().expect("curl is installed");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    for (scheme, address) in [("http", proxy.http()), ("https", proxy.https())] {
        let answer = ask(format!("{scheme}://a.test/curl"), address);
        assert!(answer.contains("\"127.0.0.1\"") && answer.contains("/curl"), "{scheme}: {answer}");
    }
}

#[test]
fn heads_have_the_configured_size() {
    let settings = [("large-client-header-buffers", "2 2k"), ("client-header-buffer-size", "1k")];
    let (upstream, _manifests, proxy) = with(&settings);
    let target = |size: usize| format!("/{}", "t".repeat(size - 1));
    let field = |size: usize| format!("X-Long: {}", "v".repeat(size));
    let rows: &[(usize, &[usize], u16)] = &[
        (2033, &[], 200),
        (2034, &[], 414),
        (10, &[2037], 200),
        (10, &[2039], 400),
        (10, &[1900, 1900], 200),
        (10, &[1500, 1500, 1500], 400),
        (60_000, &[], 414),
        (10, &[60_000], 400),
    ];
    for (size, fields, status) in rows {
        let fields: Vec<String> = fields.iter().map(|size| field(*size)).collect();
        let lines: Vec<&str> = fields.iter().map(String::as_str).collect();
        let response = proxy.get_with("a.test", &target(*size), &lines);
        assert_eq!(response.status, *status, "a target of {size} bytes, {} fields", lines.len());
    }
    assert_eq!(upstream.requests(), 3);
}

#[test]
fn the_config_map_says_where_to_listen_and_with_how_many_workers() {
    let settings = [("bind-address", "127.0.0.3,127.0.0.2"), ("disable-ipv6", "true"), ("worker-processes", "3")];
    let manifests = Manifests::new();
    manifests.config_map("default", "settings", &settings);
    let start = |args: &[&str], expected: usize| {
        let proxy = Proxy::start(&manifests, &[&[CONFIG], args].concat());
        // A thread has its name a moment after it was made.
        let count = eventually(DEADLINE, || (workers(&proxy) == expected).then_some(()));
        assert!(count.is_some(), "{args:?}: {} workers", workers(&proxy));
        let listening = proxy.ready().http.iter().chain(&proxy.ready().https);
        listening.map(|address| address.ip().to_string()).collect::<Vec<_>>()
    };
    let by_config = start(&["--http-address=", "--https-address="], 3);
    assert_eq!(by_config, ["127.0.0.2", "127.0.0.3", "127.0.0.2", "127.0.0.3"]);
    assert_eq!(start(&["--workers=2"], 2), ["127.0.0.1", "127.0.0.1"], "flags go first");
}

/// The threads that serve requests.
fn workers(proxy: &Proxy) -> usize {
    let tasks = std::fs::read_dir(format!("/proc/{}/task", proxy.pid())).unwrap();
    let names = tasks.filter_map(|task| std::fs::read_to_string(task.ok()?.path().join("comm")).ok());
    names.filter(|name| name.starts_with("worker-")).count()
}
