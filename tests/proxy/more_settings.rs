//! What more keys of the ConfigMap and annotations do to requests, a row each, as in [`super::settings`].

use std::io::{Read as _, Write as _};
use std::sync::Arc;

use rustls::{ClientConfig, ClientConnection, HandshakeKind};

use super::settings::{Row, Site, all, row};
use crate::kit::certs::{TakeAny, provider};
use crate::kit::raw::Tls;
use crate::kit::stream::{self, TCP_MAP, TcpBackend, connect, exchange, free_port};
use crate::kit::{Authority, DEADLINE, Ingress, Manifests, Proxy, Raw, Response, Upstream, eventually};

const ROWS: &[Row] = &[
    row(&[], &[("temporal-redirect", "https://b.test/"), ("temporal-redirect-code", "307")], |site| {
        let response = site.proxy.get("a.test", "/");
        assert_eq!((response.status, response.header("location")), (307, Some("https://b.test/")));
    }),
    row(&[], &[("enable-cors", "true"), ("cors-allow-headers", "X-Own, X-Other")], |site| {
        assert_eq!(preflight(site).header("access-control-allow-headers"), Some("X-Own, X-Other"));
    }),
    row(&[], &[("enable-cors", "true"), ("cors-allow-methods", "GET, PUT")], |site| {
        assert_eq!(preflight(site).header("access-control-allow-methods"), Some("GET, PUT"));
    }),
    row(&[], &[("enable-cors", "true"), ("cors-max-age", "77")], |site| {
        assert_eq!(preflight(site).header("access-control-max-age"), Some("77"));
    }),
    row(&[], &[("affinity", "cookie"), ("session-cookie-domain", "a.test")], |site| {
        assert_eq!(attribute(site, &[], "Domain").as_deref(), Some("=a.test"));
    }),
    // A century has 36524 days when its last year is no leap year.
    row(&[], &[("affinity", "cookie"), ("session-cookie-expires", "3155673600")], |site| {
        let response = site.proxy.get("a.test", "/");
        let date = response.header("date").expect("a date").to_owned();
        let [day, month, year] = [1, 2, 3].map(|word| date.split(' ').nth(word).expect("a word of the date"));
        let century = format!("{day}-{month}-{} ", year.parse::<u32>().expect("a year") + 100);
        let expires = attribute(site, &[], "Expires").expect("the attribute");
        assert!(expires.contains(&century), "{expires} is not a hundred years after {date}");
    }),
    row(&[], &[("affinity", "cookie"), ("session-cookie-max-age", "77")], |site| {
        assert_eq!(attribute(site, &[], "Max-Age").as_deref(), Some("=77"));
    }),
    row(&[], &[("affinity", "cookie"), ("session-cookie-path", "/deep")], |site| {
        assert_eq!(attribute(site, &[], "Path").as_deref(), Some("=/deep"));
    }),
    row(&[], &[("affinity", "cookie"), ("session-cookie-samesite", "Lax")], |site| {
        assert_eq!(attribute(site, &[], "SameSite").as_deref(), Some("=Lax"));
    }),
    row(&[], &[("affinity", "cookie"), ("session-cookie-secure", "true")], |site| {
        assert_eq!(attribute(site, &[], "Secure").as_deref(), Some(""));
    }),
    row(&[], &[("affinity", "cookie"), ("session-cookie-samesite", "None")], |site| {
        assert_eq!(attribute(site, &["User-Agent: Chrome/50.0"], "SameSite").as_deref(), Some("=None"));
    }),
    row(
        &[],
        &[
            ("affinity", "cookie"),
            ("session-cookie-samesite", "None"),
            ("session-cookie-conditional-samesite-none", "true"),
        ],
        |site| {
            assert_eq!(attribute(site, &["User-Agent: Chrome/50.0"], "SameSite"), None);
            assert_eq!(attribute(site, &["User-Agent: Chrome/120.0"], "SameSite").as_deref(), Some("=None"));
        },
    ),
    row(&[("use-gzip", "true"), ("gzip-level", "9")], &[], |site| {
        smaller_than(site, "gzip", &[("use-gzip", "true"), ("gzip-level", "1")]);
    }),
    row(&[("enable-brotli", "true"), ("brotli-level", "9")], &[], |site| {
        smaller_than(site, "br", &[("enable-brotli", "true"), ("brotli-level", "0")]);
    }),
    row(&[("enable-zstd", "true"), ("zstd-level", "19")], &[], |site| {
        smaller_than(site, "zstd", &[("enable-zstd", "true"), ("zstd-level", "1")]);
    }),
    row(&[("use-gzip", "true"), ("gzip-min-length", "50")], &[], |site| from_length(site, "gzip", 50)),
    row(&[("enable-brotli", "true"), ("brotli-min-length", "50")], &[], |site| from_length(site, "br", 50)),
    row(&[("enable-zstd", "true"), ("zstd-min-length", "50")], &[], |site| from_length(site, "zstd", 50)),
    row(&[("enable-brotli", "true"), ("brotli-types", "image/own")], &[], |site| of_type(site, "br")),
    row(&[("enable-zstd", "true"), ("zstd-types", "image/own")], &[], |site| of_type(site, "zstd")),
    row(&[("disable-http-access-log", "true")], &[], |site| {
        // One connection is one worker's, whose lines are in order.
        let mut client = Raw::connect(site.proxy.http());
        assert_eq!(client.get("a.test", "/silent").status, 200);
        site.manifests.config_map("ingress", "settings", &[]);
        let lines = || site.proxy.stdout().join("\n");
        let loud = || {
            client.get("a.test", "/loud");
            lines().contains("GET /loud ").then_some(())
        };
        assert!(eventually(DEADLINE, loud).is_some(), "there is a log without the key");
        assert!(!lines().contains("GET /silent "), "{}", lines());
    }),
    row(
        &[("log-format-escape-none", "true"), ("log-format-upstream", "$req_id $http_user_agent|$arg_n")],
        &[],
        |site| {
            site.proxy.get_with("a.test", "/", &["X-Request-ID: id-none", "User-Agent: a\"b\\c"]);
            let line = site.proxy.wait_for_stdout("id-none").expect("a line");
            assert_eq!(line, "id-none a\"b\\c|", "as it came, and nothing for what is not there");
        },
    ),
    row(&[("use-forwarded-headers", "true"), ("forwarded-host-header", "X-Public-Host")], &[], |site| {
        let sent = ["X-Public-Host: public.test", "X-Forwarded-Host: other.test"];
        let seen = site.proxy.get_with("a.test", "/", &sent).seen();
        assert_eq!((seen.host(), seen.header("x-forwarded-host")), (Some("public.test"), Some("public.test")));
    }),
    row(
        &[
            ("use-proxy-protocol", "true"),
            ("use-forwarded-headers", "true"),
            ("forwarded-for-proxy-protocol-header", "X-Own-Origin"),
        ],
        &[],
        |site| {
            let line = "PROXY TCP4 203.0.113.7 10.0.0.1 56324 80\r\n";
            let request = "GET / HTTP/1.1\r\nHost: a.test\r\nX-Forwarded-For: 192.0.2.1\r\n\r\n";
            let seen = Raw::connect(site.proxy.http()).request(format!("{line}{request}")).seen();
            let own = seen.header("x-own-origin").is_some();
            assert_eq!((own, seen.header("x-forwarded-for-proxy-protocol")), (true, None), "{seen:?}");
        },
    ),
];

#[test]
fn more_keys_and_annotations_are_obeyed() {
    all(ROWS);
}

fn preflight(site: &Site) -> Response {
    Raw::connect(site.proxy.http()).request("OPTIONS / HTTP/1.1\r\nHost: a.test\r\n\r\n")
}

/// What follows the name of an attribute of the session's cookie; `None` when it has no such attribute.
fn attribute(site: &Site, fields: &[&str], name: &str) -> Option<String> {
    let response = site.proxy.get_with("a.test", "/", fields);
    let cookie = response.header("set-cookie").expect("a cookie");
    let mut parts = cookie.split("; ").skip(1).filter_map(|part| part.strip_prefix(name));
    parts.find(|rest| rest.is_empty() || rest.starts_with('=')).map(str::to_owned)
}

fn compressed(site: &Site, coding: &str, fields: &[&str]) -> (bool, usize) {
    let accept = format!("Accept-Encoding: {coding}");
    let response = site.proxy.get_with("a.test", "/", &[&[accept.as_str()], fields].concat());
    assert_eq!(response.status, 200);
    (response.header("content-encoding") == Some(coding), response.body.len())
}

/// What has some order, as text has, so that effort pays.
fn words() -> String {
    let mut state = 7_u32;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state >> 16
    };
    (0..900).map(|_| format!("word-{}-{} ", next() % 4, next() % 300)).collect()
}

/// A body is smaller than under these other keys.
fn smaller_than(site: &Site, coding: &str, less_effort: &[(&str, &str)]) {
    site.upstream.set("x-test-body", &words());
    let (is_compressed, small) = compressed(site, coding, &[]);
    assert!(is_compressed);
    site.manifests.config_map("ingress", "settings", less_effort);
    let larger = eventually(DEADLINE, || (compressed(site, coding, &[]) > (true, small)).then_some(()));
    assert!(larger.is_some(), "{small} bytes with either");
}

/// Bodies are compressed from that many bytes on.
fn from_length(site: &Site, coding: &str, length: usize) {
    for (bytes, expected) in [(length - 1, false), (length, true)] {
        let fields = format!("X-Test-Body-Bytes: {bytes}");
        assert_eq!(compressed(site, coding, &[&fields]).0, expected, "{bytes} bytes");
    }
}

/// The configured type is compressed, and one that is by default is not.
fn of_type(site: &Site, coding: &str) {
    for (media, expected) in [("image/own", true), ("application/json", false)] {
        let fields = format!("X-Test-Header: Content-Type: {media}");
        let seen = compressed(site, coding, &["X-Test-Body-Bytes: 1000", &fields]).0;
        assert_eq!(seen, expected, "{media}");
    }
}

/// Keys of the ConfigMap besides `global-auth-url`, and what is seen of the service and the client's answers.
type Question = (&'static [(&'static str, &'static str)], fn(&Asked));

/// A service that is asked about all requests of `a.test`.
struct Asked {
    one: Upstream,
    auth: Upstream,
    proxy: Proxy,
}

const QUESTIONS: &[Question] = &[
    (&[("global-auth-method", "POST")], |Asked { auth, proxy, .. }| {
        assert_eq!((proxy.get("a.test", "/").status, auth.last().method.as_str()), (200, "POST"));
    }),
    (&[("global-auth-request-redirect", "https://back.test/")], |Asked { auth, proxy, .. }| {
        assert_eq!(proxy.get("a.test", "/").status, 200);
        assert_eq!(auth.last().header("x-auth-request-redirect"), Some("https://back.test/"));
    }),
    (&[("global-auth-response-headers", "X-User, X-Absent")], |Asked { auth, proxy, .. }| {
        auth.set("x-test-header", "X-User: alice");
        let seen = proxy.get_with("a.test", "/", &["X-User: forged", "X-Absent: forged"]).seen();
        assert_eq!((seen.header("x-user"), seen.header("x-absent")), (Some("alice"), None));
    }),
    (&[("global-auth-signin", "https://s.test/in")], |Asked { auth, proxy, .. }| {
        auth.set("x-test-status", "401");
        let response = proxy.get("a.test", "/p");
        let location = Some("https://s.test/in?rd=http://a.test%2Fp");
        assert_eq!((response.status, response.header("location")), (302, location));
    }),
    (
        &[("global-auth-signin", "https://s.test/in"), ("global-auth-signin-redirect-param", "back")],
        |Asked { auth, proxy, .. }| {
            auth.set("x-test-status", "401");
            let response = proxy.get("a.test", "/p");
            let location = Some("https://s.test/in?back=http://a.test%2Fp");
            assert_eq!((response.status, response.header("location")), (302, location));
        },
    ),
    (&[("global-auth-always-set-cookie", "false")], |asked| {
        assert_eq!(cookie_of_a_failure(asked), None);
    }),
    (&[("global-auth-always-set-cookie", "true")], |asked| {
        assert_eq!(cookie_of_a_failure(asked).as_deref(), Some("s=1"));
    }),
    (&[("global-auth-cache-key", "$cookie_s")], |Asked { auth, proxy, .. }| {
        assert_eq!(questions(auth, proxy, "200"), [1, 1, 2], "those of a cookie are one question");
        assert_eq!(questions(auth, proxy, "403"), [1, 2, 3], "which is kept for 200, 202 and 401");
    }),
    (
        &[("global-auth-cache-key", "$cookie_s"), ("global-auth-cache-duration", "403 1h")],
        |Asked { auth, proxy, .. }| {
            assert_eq!(questions(auth, proxy, "403"), [1, 1, 2]);
            assert_eq!(questions(auth, proxy, "401"), [1, 2, 3]);
        },
    ),
];

/// The cookie of the service on an answer of 404.
fn cookie_of_a_failure(Asked { one, auth, proxy }: &Asked) -> Option<String> {
    auth.set("x-test-header", "Set-Cookie: s=1");
    one.set("x-test-status", "404");
    let response = proxy.get("a.test", "/");
    assert_eq!((response.status, auth.requests()), (404, 1));
    response.header("set-cookie").map(str::to_owned)
}

/// How often the service was asked after each of three requests, two with one cookie and one with another.
fn questions(auth: &Upstream, proxy: &Proxy, status: &str) -> [u64; 3] {
    auth.forget();
    auth.reset_behaviour();
    auth.set("x-test-status", status);
    // Each worker keeps answers of its own.
    let mut client = Raw::connect(proxy.http());
    [1, 1, 2].map(|number| {
        let cookie = format!("Cookie: s={status}-{number}");
        assert_eq!(client.get_with("a.test", "/", &[&cookie]).status.to_string(), status);
        auth.requests()
    })
}

#[test]
fn keys_of_the_global_service_are_obeyed() {
    for (keys, check) in QUESTIONS {
        eprintln!("{keys:?}");
        let (one, auth, manifests) = (Upstream::start("one"), Upstream::start("auth"), Manifests::new());
        let url = format!("http://{}/", auth.addr());
        manifests.config_map("ingress", "settings", &[*keys, &[("global-auth-url", &url)]].concat());
        manifests.upstream(&one).ingress(&Ingress::new("web").rule("a.test", "/", "one"));
        let proxy = Proxy::start(&manifests, &["--configmap=ingress/settings"]);
        check(&Asked { one, auth, proxy });
    }
}

/// Whether connections to the service are kept; a value that cannot be read is the default, which keeps them.
#[test]
fn connections_to_the_service_are_kept_unless_0_says_otherwise() {
    for (key, value, connections) in [
        ("auth-keepalive-requests", "10", 1),
        ("auth-keepalive-requests", "many", 1),
        ("auth-keepalive-requests", "0", 3),
        ("auth-keepalive-timeout", "10", 1),
        ("auth-keepalive-timeout", "long", 1),
        ("auth-keepalive-timeout", "0", 3),
    ] {
        let (one, auth, manifests) = (Upstream::start("one"), Upstream::start("auth"), Manifests::new());
        let ingress = Ingress::new("web").rule("a.test", "/", "one").nginx("auth-keepalive", "8");
        let url = format!("http://{}/", auth.addr());
        manifests.upstream(&one).ingress(&ingress.nginx("auth-url", &url).nginx(key, value));
        let proxy = Proxy::start(&manifests, &[]);
        let mut client = Raw::connect(proxy.http());
        for _ in 0..3 {
            assert_eq!(client.get("a.test", "/").status, 200, "{key}: {value}");
        }
        assert_eq!((auth.requests(), auth.connections()), (3, connections), "{key}: {value}");
    }
}

#[test]
fn client_chains_have_a_longest_length() {
    let authority = Authority::new("root");
    let (first, upstream, manifests) = (authority.intermediate("first"), Upstream::start("one"), Manifests::new());
    let second = first.intermediate("second");
    let mut client = second.issue("client", &[]);
    client.cert_pem += &[second.pem(), first.pem()].concat();
    manifests.upstream(&upstream).secret("ca", &[("ca.crt", &authority.pem())]);
    let rows = [("one.test", "1", 400), ("two.test", "2", 200)];
    for (host, depth, _) in rows {
        let ingress = Ingress::new(&host.replace('.', "-")).rule(host, "/", "one").tls(&[host], None);
        manifests.ingress(&ingress.nginx("auth-tls-secret", "default/ca").nginx("auth-tls-verify-depth", depth));
    }
    let proxy = Proxy::start(&manifests, &[]);
    for (sni, depth, status) in rows {
        let tls = Tls { sni, identity: Some(&client), alpn: &["http/1.1"], ..Tls::default() };
        let response = Raw::try_connect_tls(proxy.https(), tls).expect("the handshake succeeds").get(sni, "/");
        assert_eq!(response.status, status, "auth-tls-verify-depth: {depth}: {}", response.text());
    }
}

#[test]
fn streams_have_a_log_of_their_own() {
    let (backend, port, manifests) = (TcpBackend::start("one"), free_port(), Manifests::new());
    stream::service(&manifests, "echo", "TCP", &[backend.addr()]);
    stream::ports(&manifests, "tcp", &[(port, "default/echo:7")]);
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("stream.log");
    manifests.config_map("ingress", "settings", &[("stream-access-log-path", path.to_str().unwrap())]);
    let proxy = Proxy::start(&manifests, &[TCP_MAP, "--configmap=ingress/settings"]);
    exchange(connect(port), b"");
    let written = || std::fs::read_to_string(&path).is_ok_and(|text| text.contains("] TCP 200 "));
    assert!(eventually(DEADLINE, || written().then_some(())).is_some(), "{:?}", proxy.stdout());
    assert!(!proxy.stdout().join("\n").contains("] TCP "), "not on standard output as well");
}

/// How a second handshake is made after a first one, each with a request.
fn second_handshake(proxy: &Proxy, config: &Arc<ClientConfig>) -> Option<HandshakeKind> {
    let [_, second] = [0, 1].map(|_| {
        let mut tls = ClientConnection::new(Arc::clone(config), "a.test".try_into().unwrap()).unwrap();
        let mut tcp = std::net::TcpStream::connect(proxy.https()).unwrap();
        tcp.set_read_timeout(Some(DEADLINE)).unwrap();
        let mut stream = rustls::Stream::new(&mut tls, &mut tcp);
        stream.write_all(b"GET / HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n").unwrap();
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        assert!(answer.starts_with(b"HTTP/1.1 200 "), "{}", String::from_utf8_lossy(&answer));
        tls.handshake_kind()
    });
    second
}

#[test]
fn sessions_of_tls_end() {
    for (timeout, expected) in [("10m", HandshakeKind::Resumed), ("1ms", HandshakeKind::Full)] {
        let (upstream, manifests) = (Upstream::start("one"), Manifests::new());
        manifests.config_map("ingress", "settings", &[("ssl-session-timeout", timeout)]).upstream(&upstream);
        manifests.ingress(&Ingress::new("web").rule("a.test", "/", "one"));
        let proxy = Proxy::start(&manifests, &["--configmap=ingress/settings"]);
        let config = ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .unwrap()
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(TakeAny(provider())))
            .with_no_client_auth();
        let config = Arc::new(config);
        // A millisecond may be longer than what is between two handshakes, but not every time.
        let met = eventually(DEADLINE, || (second_handshake(&proxy, &config) == Some(expected)).then_some(()));
        assert!(met.is_some(), "ssl-session-timeout: {timeout}");
    }
}

/// Names under `localhost` have an address of either family, without any server of names (RFC 6761 section 6.3).
#[test]
fn names_have_addresses_of_both_families_unless_told_otherwise() {
    for (address, off, status) in [("127.0.0.1:0", "true", 200), ("[::1]:0", "false", 200), ("[::1]:0", "true", 502)] {
        let (upstream, manifests) = (Upstream::start_at("one", address.parse().unwrap()), Manifests::new());
        let port = upstream.addr().port();
        let spec = format!("{{type: ExternalName, externalName: kit.localhost, ports: [{{port: {port}}}]}}");
        manifests
            .config_map("ingress", "settings", &[("disable-ipv6-dns", off)])
            .write("name.yaml", &format!("apiVersion: v1\nkind: Service\nmetadata: {{name: named}}\nspec: {spec}\n"));
        let ingress = Ingress::new("web").rule("a.test", "/", "named").yaml();
        manifests.write("web.yaml", &ingress.replace("number: 80", &format!("number: {port}")));
        let proxy = Proxy::start(&manifests, &["--configmap=ingress/settings"]);
        // Nobody is there until the name is resolved.
        let response = proxy.wait_until("a.test", "/", |response| response.status != 503);
        assert_eq!(response.status, status, "disable-ipv6-dns: {off}, {address}");
    }
}
