//! What is answered without an upstream, and what an upstream's answer becomes: redirects, CORS, headers, rewrites, rate.

use std::time::{Duration, Instant};

use crate::kit::{Ingress, Manifests, Proxy, Raw, Response, Upstream};

/// The flag of the controller's ConfigMap in these tests.
const CONFIG: &str = "--configmap=default/settings";

/// One upstream, an Ingress for each host with these annotations, the controller's ConfigMap.
pub fn site(hosts: &[(&str, &[(&str, &str)])], settings: &[(&str, &str)]) -> (Upstream, Manifests, Proxy) {
    let upstream = Upstream::start("one");
    let manifests = Manifests::new();
    manifests.upstream(&upstream).config_map("default", "settings", settings);
    for (host, annotations) in hosts {
        let ingress = Ingress::new(&format!("i-{}", host.replace('.', "-"))).rule(host, "/", "one");
        manifests.ingress(&annotations.iter().fold(ingress, |ingress, (key, value)| ingress.nginx(key, value)));
    }
    let proxy = Proxy::start(&manifests, &[CONFIG]);
    (upstream, manifests, proxy)
}

fn options(proxy: &Proxy, host: &str, fields: &str) -> Response {
    Raw::connect(proxy.http()).request(format!("OPTIONS / HTTP/1.1\r\nHost: {host}\r\n{fields}\r\n"))
}

#[test]
fn redirects_come_before_https_and_rewrites() {
    let force = ("force-ssl-redirect", "true");
    let (upstream, _manifests, proxy) = site(
        &[
            ("permanent.test", &[force, ("permanent-redirect", "https://new.test/x")]),
            ("code.test", &[("permanent-redirect", "https://new.test"), ("permanent-redirect-code", "308")]),
            ("path.test", &[("permanent-redirect", "/new")]),
            ("relative.test", &[("permanent-redirect", "/new"), ("relative-redirects", "true")]),
            ("both.test", &[("permanent-redirect", "https://no.test"), ("temporal-redirect", "https://yes.test")]),
            ("text.test", &[("permanent-redirect", "https://new.test"), ("permanent-redirect-code", "300")]),
            ("ftp.test", &[("temporal-redirect", "ftp://new.test")]),
            ("rewrite.test", &[("permanent-redirect", "https://new.test"), ("rewrite-target", "https://old.test/")]),
            ("cors.test", &[("permanent-redirect", "https://new.test"), ("enable-cors", "true")]),
            ("root.test", &[("permanent-redirect", "https://new.test"), ("app-root", "/app")]),
        ],
        &[("default-type", "text/x-own")],
    );
    let rows = [
        ("permanent.test", "/a?q", 301, Some("https://new.test/x")),
        ("code.test", "/", 308, Some("https://new.test")),
        ("path.test", "/a", 301, Some("http://path.test/new")),
        ("relative.test", "/a", 301, Some("/new")),
        ("both.test", "/", 302, Some("https://yes.test")),
        ("text.test", "/", 300, None),
        ("ftp.test", "/", 200, None),
        ("rewrite.test", "/", 301, Some("https://new.test")),
        ("cors.test", "/", 301, Some("https://new.test")),
        ("root.test", "/", 302, Some("http://root.test/app")),
        ("root.test", "/x", 301, Some("https://new.test")),
    ];
    for (host, target, status, location) in rows {
        let response = proxy.get(host, target);
        assert_eq!((response.status, response.header("location")), (status, location), "{host}{target}");
    }
    let text = proxy.get("text.test", "/");
    assert_eq!((text.text().as_str(), text.header("content-type")), ("https://new.test", Some("text/x-own")));
    assert_eq!(options(&proxy, "cors.test", "").status, 204, "the preflight comes before the redirect");
    assert_eq!(upstream.requests(), 1, "the one whose redirect is none");
}

#[test]
fn redirects_with_variables() {
    let (_upstream, manifests, _validating) = site(
        &[("a.test", &[("permanent-redirect", "https://new.test$request_uri"), ("permanent-redirect-code", "307")])],
        &[],
    );
    let proxy = Proxy::start(&manifests, &["--enable-annotation-validation=false"]);
    let response = proxy.get("a.test", "/x?q");
    assert_eq!((response.status, response.header("location")), (307, Some("https://new.test/x?q")));
}

#[test]
fn the_other_name_of_a_host_redirects_to_it() {
    let (_upstream, _manifests, proxy) = site(
        &[
            ("a.test", &[("from-to-www-redirect", "true"), ("whitelist-source-range", "192.0.2.0/24")]),
            ("www.b.test", &[("from-to-www-redirect", "true")]),
        ],
        &[("http-redirect-code", "301")],
    );
    let (http, https) = (proxy.http().port(), proxy.https().port());
    for (host, target, location) in [
        ("www.a.test", "/x/?q", format!("http://a.test:{http}/x/?q")),
        ("www.a.test:80", "/x/", format!("http://a.test:{http}/x")),
        ("b.test", "/", format!("http://www.b.test:{http}")),
    ] {
        let response = proxy.get(host, target);
        assert_eq!((response.status, response.header("location")), (301, Some(&*location)), "{host}{target}");
    }
    let response = proxy.get_tls("b.test", "/y");
    assert_eq!(response.header("location"), Some(&*format!("https://www.b.test:{https}/y")));
    assert_eq!(response.header("strict-transport-security"), None);
}

#[test]
fn the_configmaps_root_is_the_hosts() {
    let (_upstream, _manifests, proxy) = site(&[("a.test", &[])], &[("app-root", "/start")]);
    assert_eq!(proxy.get("a.test", "/?q").header("location"), Some("http://a.test/start"));
    assert_eq!(proxy.get("a.test", "/x").status, 200);
}

#[test]
fn cross_origin_requests() {
    let list = ("cors-allow-origin", "https://ok.test, http://*.ok.test:8080");
    let on = ("enable-cors", "true");
    let (upstream, _manifests, proxy) = site(
        &[
            ("any.test", &[on]),
            ("list.test", &[on, list, ("cors-allow-credentials", "false"), ("cors-expose-headers", "X-B")]),
            ("nobody.test", &[on, ("cors-allow-origin", "ok.test")]),
            ("https.test", &[on, ("force-ssl-redirect", "true")]),
            ("denied.test", &[on, ("whitelist-source-range", "192.0.2.0/24")]),
        ],
        &[],
    );
    let origin = |host: &str, origin: &str| {
        let response = proxy.get_with(host, "/", &[&format!("Origin: {origin}")]);
        assert_eq!(response.status, 200);
        response.header("access-control-allow-origin").map(str::to_owned)
    };
    let rows = [
        ("any.test", "https://who.test", Some("*")),
        ("list.test", "https://OK.test", Some("https://OK.test")),
        ("list.test", "http://a.ok.test:8080", Some("http://a.ok.test:8080")),
        ("list.test", "https://evil.test/https://ok.test", None),
        ("list.test", "https://evil.test", None),
        ("nobody.test", "https://ok.test", None),
    ];
    for (host, asked, expected) in rows {
        assert_eq!(origin(host, asked).as_deref(), expected, "{host} {asked}");
    }
    // The upstream's own headers are replaced, on answers of any status.
    let fields = ["Origin: https://ok.test", "X-Test-Status: 500", "X-Test-Header: Access-Control-Allow-Origin: x"];
    let response = proxy.get_with("list.test", "/", &fields);
    assert_eq!(response.header_all("access-control-allow-origin"), ["https://ok.test"]);
    assert_eq!(response.header("access-control-expose-headers"), Some("X-B"));
    assert_eq!(response.header("access-control-allow-credentials"), None);
    assert_eq!(response.header("access-control-max-age"), Some("1728000"));
    let seen = upstream.requests();
    let response = options(&proxy, "any.test", "");
    assert_eq!((response.status, response.header("access-control-allow-credentials")), (204, Some("true")));
    assert_eq!((response.header("content-type"), response.body.len()), (None, 0));
    assert_eq!(options(&proxy, "https.test", "").status, 204, "before the redirect to https");
    assert_eq!(proxy.get("https.test", "/").header("access-control-allow-origin"), Some("*"), "on it, too");
    assert_eq!(options(&proxy, "denied.test", "").status, 503, "a denied location answers nothing else");
    assert_eq!(upstream.requests(), seen);
    assert_eq!(options(&proxy, "list.test", "Origin: https://evil.test\r\n").status, 200, "goes upstream");
}

#[test]
fn headers_of_answers() {
    let (_upstream, manifests, proxy) = site(
        &[
            ("custom.test", &[("custom-headers", "default/custom"), ("enable-cors", "true")]),
            ("plain.test", &[]),
            ("none.test", &[("custom-headers", "default/none")]),
        ],
        &[("add-headers", "default/add"), ("global-allowed-response-headers", "X-Custom,X-Both")],
    );
    manifests.config_map("default", "add", &[("X-Host", "$host-${request_method}"), ("X-Both", "add"), ("X-Gone", "")]);
    manifests.config_map("default", "custom", &[("X-Custom", "$host"), ("X-Both", "custom")]);
    let response = proxy.wait_until("custom.test", "/", |r| r.status == 200 && r.header("x-host").is_some());
    assert_eq!(response.header("x-host"), Some("custom.test-GET"));
    assert_eq!(response.header("x-custom"), Some("$host"));
    assert_eq!(response.header_all("x-both"), ["custom"]);
    let fields = ["X-Test-Status: 500", "X-Test-Header: X-Both: upstream", "X-Test-Header: X-Gone: 1"];
    let response = proxy.get_with("plain.test", "/", &fields);
    assert_eq!((response.header_all("x-both"), response.header("x-gone")), (vec!["add"], None));
    assert_eq!(proxy.get("unknown.test", "/").header("x-both"), Some("add"));
    let denied = proxy.get("none.test", "/");
    assert_eq!((denied.status, denied.header("x-both")), (503, Some("add")));
    // ConfigMaps that are named are followed.
    manifests.config_map("default", "none", &[("X-Custom", "now")]);
    proxy.wait_until("none.test", "/", |r| r.header("x-custom") == Some("now"));
    manifests.config_map("default", "none", &[("X-Other", "now")]);
    proxy.wait_until("none.test", "/", |r| r.status == 503);
}

#[test]
fn the_server_header() {
    let own = concat!("portcullis/", env!("CARGO_PKG_VERSION"));
    let (tokens, allow) = (("server-tokens", "true"), ("allow-backend-server-header", "true"));
    let rows = [
        (&[][..], None, None),
        (&[allow], None, None),
        (&[tokens], Some(own), Some(own)),
        (&[tokens, allow], Some("up"), Some(own)),
    ];
    let (_upstream, manifests, proxy) = site(&[("a.test", &[])], &[]);
    for (settings, upstream, page) in rows {
        manifests.config_map("default", "settings", settings);
        let said = ["X-Test-Header: Server: up"];
        let same = || proxy.get_with("a.test", "/", &said).header("server") == upstream;
        assert!(crate::kit::eventually(crate::kit::DEADLINE, || same().then_some(())).is_some(), "{settings:?}");
        assert_eq!(proxy.get("b.test", "/").header("server"), page, "{settings:?}");
    }
}

#[test]
fn headers_of_requests() {
    let (_upstream, manifests, proxy) = site(
        &[("a.test", &[])],
        &[
            ("proxy-set-headers", "default/set"),
            ("proxy-add-original-uri-header", "true"),
            ("generate-request-id", "false"),
        ],
    );
    let set = [
        ("X-Scheme", "own"),
        ("X-Request-Start", "t=${msec}"),
        ("X-Agent", "$http_x_agent"),
        ("X-Real-Ip", ""),
        ("Host", "inner.$host"),
        ("Connection", "close"),
    ];
    manifests.config_map("default", "set", &set);
    let done = |r: &Response| r.seen().header("x-scheme") == Some("own");
    let seen = proxy.wait_until("a.test", "/a?b", done).seen();
    assert_eq!((seen.header("host"), seen.header("x-original-uri")), (Some("inner.a.test"), Some("/a?b")));
    let started = seen.header("x-request-start").unwrap().to_owned();
    assert!(started.starts_with("t=1") && started.contains('.'), "{started}");
    for absent in ["x-agent", "x-real-ip", "connection", "x-request-id"] {
        assert_eq!(seen.header(absent), None, "{absent}");
    }
    let seen = proxy.get_with("a.test", "/", &["X-Agent: me", "X-Request-Id: mine"]).seen();
    assert_eq!((seen.header_all("x-agent"), seen.header("x-request-id")), (vec!["me"], Some("mine")));
}

#[test]
fn cookies_and_places_of_upstreams() {
    let (_upstream, _manifests, proxy) = site(
        &[
            ("ft.test", &[("proxy-redirect-from", "http://in.test/"), ("proxy-redirect-to", "https://out.test/")]),
            ("path.test", &[("proxy-redirect-from", "http://in.test/"), ("proxy-redirect-to", "/p/")]),
            ("default.test", &[("proxy-redirect-from", "default")]),
            ("half.test", &[("proxy-redirect-from", "http://in.test/")]),
            ("off.test", &[("proxy-redirect-from", "off"), ("proxy-redirect-to", "https://out.test/")]),
            ("cookie.test", &[("proxy-cookie-path", "/one/ /"), ("proxy-cookie-domain", "in.test out.test")]),
        ],
        &[],
    );
    let rows = [
        ("ft.test", "Location: http://in.test/p?q", "https://out.test/p?q"),
        ("ft.test", "Location: http://else.test/p", "http://else.test/p"),
        ("ft.test", "Refresh: 3; url=http://in.test/p", "3; url=https://out.test/p"),
        ("path.test", "Location: http://in.test/x", "http://path.test/p/x"),
        ("default.test", "Location: http://upstream_balancer/p", "http://default.test/p"),
        ("default.test", "Location: /p", "/p"),
        ("half.test", "Location: http://in.test/p", "http://in.test/p"),
        ("off.test", "Location: http://in.test/p", "http://in.test/p"),
        ("cookie.test", "Set-Cookie: a=1; Path=/one/two; Domain=.in.test", "a=1; Path=/two; Domain=.out.test"),
        ("cookie.test", "Set-Cookie: a=1;Path=/two", "a=1;Path=/two"),
    ];
    for (host, header, expected) in rows {
        let response = proxy.get_with(host, "/", &["X-Test-Status: 302", &format!("X-Test-Header: {header}")]);
        let name = header.split_once(':').unwrap().0;
        assert_eq!(response.header(name), Some(expected), "{host} {header}");
    }
}

#[test]
fn the_rate_of_answers() {
    let limit = [("limit-rate", "10"), ("limit-rate-after", "10")];
    let buffered = [limit[0], limit[1], ("proxy-buffering", "on")];
    let (_upstream, _manifests, proxy) = site(&[("slow.test", &buffered), ("fast.test", &limit)], &[]);
    let timed = |host: &str| {
        let began = Instant::now();
        let response = proxy.get_with(host, "/", &["X-Test-Body-Bytes: 40960"]);
        assert_eq!((response.status, response.body.len(), response.complete), (200, 40_960, true));
        began.elapsed()
    };
    let slow = timed("slow.test");
    // 10 KiB free, 10 KiB in advance, and 20 KiB at 10 KiB a second.
    assert!(slow >= Duration::from_millis(1800) && slow < Duration::from_secs(10), "{slow:?}");
    assert!(timed("fast.test") < slow, "nginx limits buffered answers only");
}
