//! What keys of the ConfigMap do to requests, a row each: the keys, annotations of `a.test`, and what is seen.

use std::io::{Read as _, Write as _};
use std::time::{Duration, Instant};

use crate::kit::stream::Deaf;
use crate::kit::{DEADLINE, H2, Identity, Ingress, Manifests, Proxy, Raw, Upstream, eventually};

pub struct Site {
    pub upstream: Upstream,
    pub manifests: Manifests,
    pub proxy: Proxy,
}

pub struct Row {
    keys: &'static [(&'static str, &'static str)],
    annotations: &'static [(&'static str, &'static str)],
    check: fn(&Site),
}

pub const fn row(
    keys: &'static [(&'static str, &'static str)],
    annotations: &'static [(&'static str, &'static str)],
    check: fn(&Site),
) -> Row {
    Row { keys, annotations, check }
}

const ROWS: &[Row] = &[
    row(&[("http-redirect-code", "301"), ("force-ssl-redirect", "true")], &[], |site| {
        let response = site.proxy.get("a.test", "/x");
        assert_eq!((response.status, response.header("location")), (301, Some("https://a.test/x")));
    }),
    row(&[("force-ssl-redirect", "true"), ("no-tls-redirect-locations", "/a,/")], &[], |site| {
        assert_eq!(site.proxy.get("a.test", "/x").status, 200);
    }),
    row(&[("force-ssl-redirect", "true"), ("use-port-in-redirects", "true")], &[], |site| {
        let location = format!("https://a.test:{}/x", site.proxy.https().port());
        assert_eq!(site.proxy.get("a.test", "/x").header("location"), Some(&*location));
    }),
    row(&[("hsts-max-age", "60"), ("hsts-include-subdomains", "false"), ("hsts-preload", "true")], &[], |site| {
        let response = site.proxy.get_tls("a.test", "/");
        assert_eq!(response.header("strict-transport-security"), Some("max-age=60; preload"));
    }),
    row(&[("hsts", "false")], &[], |site| {
        assert_eq!(site.proxy.get_tls("a.test", "/").header("strict-transport-security"), None);
    }),
    row(&[("hide-headers", "X-Secret, X-Other")], &[], |site| {
        let asked = ["x-test-header: X-Secret: 1", "x-test-header: X-Shown: 2"];
        let response = site.proxy.get_with("a.test", "/", &asked);
        assert_eq!((response.header("x-secret"), response.header("x-shown")), (None, Some("2")));
    }),
    row(&[("enable-underscores-in-headers", "true")], &[], |site| {
        let seen = site.proxy.get_with("a.test", "/", &["X_Own: 1", "X.Dot: 2"]).seen();
        assert_eq!((seen.header("x_own"), seen.header("x.dot")), (Some("1"), None));
    }),
    row(&[("ignore-invalid-headers", "false")], &[], |site| {
        let response = site.proxy.get_with("a.test", "/", &["X.Dot: 2"]);
        assert_eq!((response.status, response.seen().header("x.dot")), (200, Some("2")));
    }),
    row(&[("client-header-timeout", "1")], &[], |site| {
        let mut client = Raw::connect(site.proxy.http());
        client.send("GET / HTTP/1.1\r\nHost: a.te");
        // As nginx does it, without a word.
        assert!(client.closes_within(DEADLINE));
    }),
    row(&[("client-body-timeout", "1")], &[], |site| {
        let mut client = Raw::connect(site.proxy.http());
        client.send("POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 9\r\n\r\nhalf");
        assert_eq!(client.response().status, 408);
    }),
    row(&[("keep-alive", "1")], &[], |site| {
        let mut client = Raw::connect(site.proxy.http());
        assert_eq!(client.get("a.test", "/").status, 200);
        assert!(client.closes_within(DEADLINE));
    }),
    row(&[("keep-alive-requests", "2")], &[], |site| {
        let mut client = Raw::connect(site.proxy.http());
        assert_eq!(client.get("a.test", "/").header("connection"), None);
        assert_eq!(client.get("a.test", "/").header("connection"), Some("close"));
    }),
    row(&[("keep-alive-requests", "2")], &[], |site| {
        let client = H2::connect(site.proxy.http());
        assert_eq!(client.get("a.test", "/").status, 200);
        assert_eq!(client.get("a.test", "/").status, 200, "the last one is answered");
        assert!(client.closes_within(DEADLINE), "GOAWAY, as nginx does");
    }),
    row(&[("http2-max-concurrent-streams", "1")], &[], |site| {
        let client = H2::connect(site.proxy.http());
        // The second one waits for the first, on the client's side, because it was told so.
        assert_eq!(client.get("a.test", "/").status, 200);
        let began = Instant::now();
        let slow = [("x-test-delay-ms", "300")];
        let both = [0, 1].map(|_| client.start("GET", "a.test", "/", &slow, b""));
        assert!(both.into_iter().all(|pending| pending.wait().unwrap().status == 200));
        assert!(began.elapsed() >= Duration::from_millis(600), "{:?}", began.elapsed());
    }),
    row(&[("upstream-keepalive-connections", "0")], &[], |site| second_connections(site, 4)),
    row(&[("upstream-keepalive-requests", "2")], &[], |site| second_connections(site, 2)),
    row(&[("upstream-keepalive-timeout", "1")], &[], |site| {
        site.proxy.get("a.test", "/");
        eventually(DEADLINE, || (site.upstream.open_connections() == 0).then_some(())).expect("it is closed");
    }),
    row(&[("upstream-keepalive-time", "1ms")], &[], |site| {
        site.proxy.get("a.test", "/");
        eventually(DEADLINE, || {
            let before = site.upstream.connections();
            site.proxy.get("a.test", "/");
            (site.upstream.connections() > before).then_some(())
        })
        .expect("a connection that is too old is not used");
    }),
    row(&[("disable-access-log", "true")], &[], |site| no_line(site, "a.test")),
    row(&[], &[("enable-access-log", "false")], |site| no_line(site, "a.test")),
    row(&[("skip-access-log-urls", "/quiet,~^/silent")], &[], |site| {
        for path in ["/quiet", "/silent/x", "/quiet/x"] {
            site.proxy.get("a.test", path);
        }
        assert!(site.proxy.wait_for_stdout("GET /quiet/x ").is_some());
        let lines = site.proxy.stdout().join("\n");
        assert!(!lines.contains("GET /quiet ") && !lines.contains("/silent"), "{lines}");
    }),
    row(&[("enable-access-log-for-default-backend", "true")], &[], |site| {
        site.proxy.get("unknown.test", "/nobody");
        assert!(site.proxy.wait_for_stdout("GET /nobody ").is_some());
    }),
    row(&[("proxy-http-version", "1.0")], &[], |site| {
        assert_eq!(site.proxy.get("a.test", "/").seen().version, "HTTP/1.0");
    }),
    row(&[("proxy-buffer-size", "1k")], &[], |site| {
        let long = format!("x-test-header: X-Long: {}", "x".repeat(2000));
        assert_eq!(site.proxy.get_with("a.test", "/", &[&long]).status, 502);
    }),
    row(&[("grpc-buffer-size-kb", "16")], &[("backend-protocol", "GRPC")], |site| {
        assert_eq!(grpc_with_a_long_head(site), 200);
    }),
    row(&[("grpc-buffer-size-kb", "2")], &[("backend-protocol", "GRPC")], |site| {
        assert_eq!(grpc_with_a_long_head(site), 502);
    }),
    row(&[("proxy-body-size", "3")], &[], |site| {
        assert_eq!(post(site).status, 413);
    }),
    row(&[("proxy-read-timeout", "1"), ("proxy-next-upstream-tries", "1")], &[], |site| {
        assert_eq!(site.proxy.get_with("a.test", "/", &["x-test-delay-ms: 9000"]).status, 504);
    }),
    row(&[("retry-non-idempotent", "true")], &[], |site| {
        site.upstream.set("x-test-close", "1");
        assert_eq!((post(site).status, site.upstream.requests()), (502, 3));
    }),
    row(&[("proxy-next-upstream-timeout", "1"), ("proxy-next-upstream-tries", "9")], &[], |site| {
        site.upstream.set("x-test-close", "1");
        site.upstream.set("x-test-delay-ms", "700");
        assert_eq!(site.proxy.get("a.test", "/").status, 502);
        assert_eq!(site.upstream.requests(), 2, "no more once a second is over");
    }),
    row(&[], &[("proxy-next-upstream-timeout", "1"), ("proxy-next-upstream-tries", "9")], |site| {
        site.upstream.set("x-test-close", "1");
        site.upstream.set("x-test-delay-ms", "700");
        assert_eq!((site.proxy.get("a.test", "/").status, site.upstream.requests()), (502, 2));
    }),
    row(&[("proxy-send-timeout", "1"), ("proxy-request-buffering", "off"), ("proxy-body-size", "0")], &[], |site| {
        send_stalls(site, &[]);
    }),
    row(&[], &[], |site| {
        let stalls = [("proxy-send-timeout", "1"), ("proxy-request-buffering", "off"), ("proxy-body-size", "0")];
        send_stalls(site, &stalls);
    }),
    row(&[], &[("use-regex", "true")], |site| {
        let ingress = Ingress::new("re").rule_of("ImplementationSpecific", "re.test", "/a/[0-9]+$", "one");
        site.manifests.ingress(&ingress.nginx("use-regex", "true"));
        site.proxy.wait_until("re.test", "/A/12", |response| response.status == 200);
        assert_eq!(site.proxy.get("re.test", "/a/x").status, 404);
    }),
    row(&[], &[("client-body-buffer-size", "lots")], |site| {
        assert_eq!(site.proxy.get("a.test", "/").status, 404, "such an Ingress is not accepted");
    }),
];

fn post(site: &Site) -> crate::kit::Response {
    Raw::connect(site.proxy.http()).request("POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 5\r\n\r\nhello")
}

/// Four requests of one client take so many connections to the upstream.
fn second_connections(site: &Site, expected: u64) {
    let mut client = Raw::connect(site.proxy.http());
    for _ in 0..4 {
        assert_eq!(client.get("a.test", "/").status, 200);
    }
    assert_eq!(site.upstream.connections(), expected);
}

/// A request to this host leaves no line, while one to another host does.
fn no_line(site: &Site, host: &str) {
    site.proxy.get(host, "/silent");
    let loud = Ingress::new("loud").rule("loud.test", "/", "one");
    site.manifests.ingress(&loud);
    site.proxy.wait_until("loud.test", "/loud", |response| response.status == 200);
    let lines = || site.proxy.stdout().join("\n");
    if site.proxy.wait_for_stdout("GET /loud ").is_none() {
        assert_eq!(lines(), "", "then there is no log at all");
    }
    assert!(!lines().contains("/silent"), "{}", lines());
}

/// The status of a gRPC answer with a head of some 6 KB.
fn grpc_with_a_long_head(site: &Site) -> u16 {
    let long = format!("X-Long: {}", "x".repeat(6000));
    let client = H2::connect_tls(site.proxy.https(), "a.test");
    client.grpc("a.test", "/pkg.Service/Method", &[("x-test-header", &long)], b"ping").status
}

/// An upstream that does not read: the buffers between fill up, then nothing moves.
fn send_stalls(site: &Site, annotations: &[(&str, &str)]) {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    site.manifests.service("deaf", &[listener.local_addr().unwrap()]);
    let ingress = Ingress::new("deaf").rule("deaf.test", "/", "deaf").nginx("proxy-next-upstream", "off");
    site.manifests.ingress(&annotations.iter().fold(ingress, |ingress, (key, value)| ingress.nginx(key, value)));
    let table = || Raw::connect(site.proxy.health()).get("h", "/debug/table").text();
    eventually(DEADLINE, || table().contains("host deaf.test").then_some(())).expect("the Ingress is served");
    let mut client = std::net::TcpStream::connect(site.proxy.http()).unwrap();
    client.set_write_timeout(Some(DEADLINE)).unwrap();
    client.set_read_timeout(Some(DEADLINE)).unwrap();
    let mut writer = client.try_clone().unwrap();
    let writing = std::thread::spawn(move || {
        writer.write_all(b"POST / HTTP/1.1\r\nHost: deaf.test\r\nContent-Length: 99999999\r\n\r\n").unwrap();
        // Until the answer is there, or nothing moves any more.
        while writer.write_all(&[b'x'; 1 << 16]).is_ok() {}
    });
    let mut head = [0; 12];
    client.read_exact(&mut head).unwrap();
    client.shutdown(std::net::Shutdown::Both).unwrap();
    writing.join().unwrap();
    assert_eq!(&head, b"HTTP/1.1 504");
}

#[test]
fn keys_and_annotations_are_obeyed() {
    all(ROWS);
}

/// Every row on a proxy of its own. Many wait for a time limit: they wait together.
pub fn all(rows: &'static [Row]) {
    std::thread::scope(|scope| {
        for rows in rows.chunks(rows.len().div_ceil(8)) {
            scope.spawn(move || rows.iter().for_each(check));
        }
    });
}

fn check(row: &Row) {
    let (upstream, manifests) = (Upstream::start("one"), Manifests::new());
    manifests.config_map("ingress", "settings", row.keys).upstream(&upstream);
    let ingress = Ingress::new("web").rule("a.test", "/", "one");
    manifests.ingress(&row.annotations.iter().fold(ingress, |ingress, (key, value)| ingress.nginx(key, value)));
    let proxy = Proxy::start(&manifests, &["--configmap=ingress/settings"]);
    eprintln!("{:?} {:?}", row.keys, row.annotations);
    (row.check)(&Site { upstream, manifests, proxy });
}

#[test]
fn connecting_has_a_limit() {
    let deaf = Deaf::listen();
    for (keys, annotations) in
        [(&[("proxy-connect-timeout", "1")][..], &[][..]), (&[], &[("proxy-connect-timeout", "1")])]
    {
        let manifests = Manifests::new();
        manifests.config_map("ingress", "settings", keys).service("full", &[deaf.addr]);
        let ingress = Ingress::new("web").rule("a.test", "/", "full").nginx("proxy-next-upstream", "off");
        manifests.ingress(&annotations.iter().fold(ingress, |ingress, (key, value)| ingress.nginx(key, value)));
        let proxy = Proxy::start(&manifests, &["--configmap=ingress/settings"]);
        let began = Instant::now();
        assert_eq!(proxy.get("a.test", "/").status, 504);
        assert!(began.elapsed() < Duration::from_secs(4), "{:?}", began.elapsed());
    }
}

#[test]
fn secrets_of_other_namespaces_need_leave() {
    let upstream = Upstream::start("one");
    let authority = crate::kit::certs::Authority::new("authority");
    for (allowed, status) in [("false", 503), ("true", 200)] {
        let manifests = Manifests::new();
        manifests.config_map("ingress", "settings", &[("allow-cross-namespace-resources", allowed)]);
        let secret = crate::kit::manifests::secret("vault", "tls", "Opaque", &[("ca.crt", &authority.pem())]);
        manifests.upstream_tls(&upstream).write("secret.yaml", &secret);
        let ingress = Ingress::new("web").rule("a.test", "/", "one").nginx("backend-protocol", "HTTPS");
        manifests.ingress(&ingress.nginx("proxy-ssl-secret", "vault/tls"));
        let proxy = Proxy::start(&manifests, &["--configmap=ingress/settings"]);
        assert_eq!(proxy.get("a.test", "/").status, status, "{allowed}");
    }
}

/// Annotations besides `proxy-ssl-secret`, and whether the upstream is spoken to, with which SNI.
#[test]
fn upstreams_are_verified() {
    let authority = crate::kit::certs::Authority::new("authority");
    let identity = authority.issue("inner.test", &["inner.test"]);
    let upstream = Upstream::start_with("one", "127.0.0.1:0".parse().unwrap(), &identity);
    type Case = (&'static [(&'static str, &'static str)], Result<Option<&'static str>, u16>);
    let rows: [Case; 5] = [
        (&[], Ok(None)),
        (&[("proxy-ssl-verify", "on")], Err(502)),
        (&[("proxy-ssl-verify", "on"), ("proxy-ssl-name", "inner.test")], Ok(None)),
        (&[("proxy-ssl-verify", "on"), ("proxy-ssl-name", "other.test")], Err(502)),
        (
            &[
                ("proxy-ssl-verify", "on"),
                ("proxy-ssl-name", "inner.test"),
                ("proxy-ssl-server-name", "on"),
                ("proxy-ssl-protocols", "TLSv1.3"),
            ],
            Ok(Some("inner.test")),
        ),
    ];
    let manifests = Manifests::new();
    let secret = crate::kit::manifests::secret("default", "ca", "Opaque", &[("ca.crt", &authority.pem())]);
    manifests.upstream_tls(&upstream).write("secret.yaml", &secret);
    for (number, (annotations, _)) in rows.iter().enumerate() {
        let ingress = Ingress::new(&format!("i{number}")).rule(&format!("h{number}.test"), "/", "one");
        let ingress = ingress.nginx("backend-protocol", "HTTPS").nginx("proxy-ssl-secret", "default/ca");
        manifests.ingress(&annotations.iter().fold(ingress, |ingress, (key, value)| ingress.nginx(key, value)));
    }
    let proxy = Proxy::start(&manifests, &[]);
    for (number, (annotations, expected)) in rows.iter().enumerate() {
        let response = proxy.get(&format!("h{number}.test"), "/");
        match expected {
            Ok(sni) => assert_eq!(response.seen().sni.as_deref(), *sni, "{annotations:?}"),
            Err(status) => assert_eq!(response.status, *status, "{annotations:?}"),
        }
    }
}

#[test]
fn https_hosts_keep_their_certificate() {
    // `use-http2: "false"` leaves TLS clients HTTP/1.1 alone.
    let (upstream, manifests) = (Upstream::start("one"), Manifests::new());
    manifests.config_map("ingress", "settings", &[("use-http2", "false")]).upstream(&upstream);
    let identity = Identity::self_signed(&["a.test"]);
    manifests.tls_secret("cert", &identity);
    manifests.ingress(&Ingress::new("web").rule("a.test", "/", "one").tls(&["a.test"], Some("cert")));
    let proxy = Proxy::start(&manifests, &["--configmap=ingress/settings"]);
    let mut client = Raw::connect_tls(proxy.https(), "a.test", &["h2", "http/1.1"]);
    assert_eq!(client.get("a.test", "/").status, 200);
}
