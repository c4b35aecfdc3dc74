//! Snippets of nginx configuration on real requests, in the order of nginx's phases.

use crate::kit::{Ingress, Manifests, Proxy, Raw, Upstream};

const FLAG: &[&str] = &["--configmap=ingress-nginx/controller"];

/// An Ingress for `a.test` with these annotations, under these further settings.
fn start(settings: &[(&str, &str)], annotations: &[(&str, &str)]) -> (Upstream, Manifests, Proxy) {
    let upstream = Upstream::start("one");
    let manifests = Manifests::new();
    let allowed = [("allow-snippet-annotations", "true"), ("annotations-risk-level", "Critical")];
    manifests.config_map("ingress-nginx", "controller", &[&allowed, settings].concat());
    let ingress = Ingress::new("web").rule("a.test", "/", "one").rule("a.test", "/new", "one");
    let ingress = annotations.iter().fold(ingress, |ingress, (key, value)| ingress.nginx(key, value));
    manifests.upstream(&upstream).ingress(&ingress);
    let proxy = Proxy::start(&manifests, FLAG);
    (upstream, manifests, proxy)
}

/// The snippet, the request's line and fields, its status, and a field of the answer with its value.
type Row = (&'static str, &'static str, &'static [&'static str], u16, &'static str, &'static str);

fn check(key: &str, rows: &[Row]) {
    for (snippet, line, fields, status, name, value) in rows {
        let (_upstream, _manifests, proxy) = start(&[], &[(key, snippet)]);
        let fields: String = fields.iter().map(|field| format!("{field}\r\n")).collect();
        let response = Raw::connect(proxy.http()).request(format!("{line} HTTP/1.1\r\nHost: a.test\r\n{fields}\r\n"));
        let text = proxy.stderr().join("\n");
        assert_eq!(response.status, *status, "{snippet}: {line}\n{text}");
        assert_eq!(response.header_all(name).join("|"), *value, "{snippet}: {line}: {name}\n{text}");
    }
}

#[test]
fn locations() {
    check(
        "configuration-snippet",
        &[
            ("return 403;", "GET /x", &[], 403, "x-none", ""),
            ("return 200 \"hello $host\";", "GET /x", &[], 200, "content-length", "12"),
            ("return 301 https://b.test$request_uri;", "GET /x?y=1", &[], 301, "location", "https://b.test/x?y=1"),
            ("return 302 /login;", "GET /x", &[], 302, "location", "http://a.test/login"),
            ("if ($request_method = POST) { return 405; }", "GET /x", &[], 200, "x-none", ""),
            ("if ($request_method = POST) { return 405; }", "POST /x", &["Content-Length: 0"], 405, "x-none", ""),
            (
                "if ($http_user_agent ~* \"bad(bot)\") { return 302 /$1; }",
                "GET /x",
                &["User-Agent: BADBOT"],
                302,
                "location",
                "http://a.test/BOT",
            ),
            ("if ($arg_a) { add_header X-If $arg_a; }", "GET /x?a=7", &[], 200, "x-if", "7"),
            ("add_header X-A 1; if ($arg_a) { add_header X-If 2; }", "GET /x?a=7", &[], 200, "x-a", ""),
            ("add_header X-A \"$host,$uri\";", "GET /%41", &[], 200, "x-a", "a.test,/A"),
            ("add_header X-A 1; return 404;", "GET /x", &[], 404, "x-a", ""),
            ("add_header X-A 1 always; return 404;", "GET /x", &[], 404, "x-a", "1"),
            ("more_set_headers 'X-A: 1'; return 404;", "GET /x", &[], 404, "x-a", "1"),
            ("more_set_headers -s 404 'X-A: 1';", "GET /x", &[], 200, "x-a", ""),
            (
                "more_clear_headers Content-Ty*; add_header Content-Type text/x;",
                "GET /x",
                &[],
                200,
                "content-type",
                "text/x",
            ),
            ("set $v one; set $v \"${v}two\"; add_header X-V $v;", "GET /x", &[], 200, "x-v", "onetwo"),
            (
                "rewrite ^/old/(.*)$ /new/$1 permanent;",
                "GET /old/a%20b?q=1",
                &[],
                301,
                "location",
                "http://a.test/new/a%20b?q=1",
            ),
            ("rewrite ^/old https://b.test/? redirect;", "GET /old?q=1", &[], 302, "location", "https://b.test/"),
            ("rewrite ^ /x last;", "GET /x", &[], 500, "x-none", ""),
            ("deny all;", "GET /x", &[], 403, "x-none", ""),
            ("allow 127.0.0.0/8; deny all;", "GET /x", &[], 200, "x-none", ""),
            ("limit_except GET { deny all; }", "POST /x", &["Content-Length: 0"], 403, "x-none", ""),
            ("limit_except GET { deny all; }", "GET /x", &[], 200, "x-none", ""),
            ("expires epoch;", "GET /x", &[], 200, "cache-control", "no-cache"),
            ("client_max_body_size 1;", "POST /x", &["Content-Length: 2"], 413, "x-none", ""),
            ("add_header X-S $sent_http_nothing$status;", "GET /x", &[], 200, "x-s", "200"),
            (
                "add_header X-S \"$upstream_http_content_type $sent_http_content_type\";",
                "GET /x",
                &[],
                200,
                "x-s",
                "application/json application/json",
            ),
            // Rewrites come before access, whatever the order of directives.
            ("deny all; return 204;", "GET /x", &[], 204, "x-none", ""),
        ],
    );
}

#[test]
fn servers() {
    check(
        "server-snippet",
        &[
            ("return 410;", "GET /x", &[], 410, "x-none", ""),
            (
                "if ($host = a.test) { return 301 https://b.test$request_uri; }",
                "GET /x",
                &[],
                301,
                "location",
                "https://b.test/x",
            ),
            ("location = /robots.txt { return 200 \"none\"; }", "GET /robots.txt", &[], 200, "content-length", "4"),
            ("location /internal { deny all; }", "GET /internal/x", &[], 403, "x-none", ""),
            ("location /internal { add_header X 1; }", "GET /internal/x", &[], 404, "x-none", ""),
            ("location ~ \\.php$ { return 404; }", "GET /a.php", &[], 404, "x-none", ""),
            ("location ~ \\.php$ { return 404; }", "GET /a.txt", &[], 200, "x-none", ""),
            ("location ~ ^/go/(.*)$ { rewrite ^/go/(.*)$ /new/$1 last; }", "GET /go/1", &[], 200, "x-none", ""),
            ("add_header X-S 1;", "GET /x", &[], 200, "x-s", "1"),
            ("rewrite ^/a$ /b break; return 302 $uri;", "GET /a", &[], 200, "x-none", ""),
        ],
    );
}

#[test]
fn what_upstreams_see() {
    let rows = [
        ("rewrite ^/old/(.*)$ /new/$1 break;", "/old/a%20b?q=1", "target", "/new/a%20b?q=1"),
        ("rewrite ^/old/(.*)$ /new/$1?p=2 break;", "/old/x?q=1", "target", "/new/x?p=2&q=1"),
        ("rewrite ^/old /new? last;", "/old?q=1", "target", "/new"),
        ("proxy_set_header X-A \"$remote_addr-$arg_q\";", "/x?q=1", "x-a", "127.0.0.1-1"),
        ("more_set_input_headers 'X-B: new';", "/x", "x-b", "new"),
        ("more_clear_input_headers 'X-B';", "/x", "x-b", ""),
        ("more_set_input_headers -r 'X-C: new';", "/x", "x-c", ""),
        ("more_set_input_headers 'X-B: new'; proxy_set_header X-D $http_x_b;", "/x", "x-d", "new"),
    ];
    for (snippet, target, what, expected) in rows {
        let (upstream, _manifests, proxy) = start(&[], &[("configuration-snippet", snippet)]);
        assert_eq!(proxy.get_with("a.test", target, &["X-B: old"]).status, 200, "{snippet}");
        let seen = upstream.last();
        let found = if what == "target" { seen.uri.clone() } else { seen.header(what).unwrap_or_default().to_owned() };
        assert_eq!(found, expected, "{snippet}");
    }
}

#[test]
fn what_comes_after_a_snippet() {
    /// A snippet, another setting of its location, the target, the status, and the upstream's target or the `Location`.
    type Row<'a> = (&'a str, (&'a str, &'a str), &'a str, u16, &'a str);
    let moved = "rewrite ^/a(.*)$ /b$1 break;";
    let rows: [Row<'_>; 8] = [
        (moved, ("rewrite-target", "/z"), "/a1", 200, "/b1"),
        (moved, ("rewrite-target", "/z"), "/c", 200, "/z"),
        ("break;", ("rewrite-target", "/z"), "/c", 200, "/c"),
        (moved, ("permanent-redirect", "https://b.test/x,y"), "/a1", 200, "/b1"),
        (moved, ("permanent-redirect", "https://b.test/x,y"), "/c", 301, "https://b.test/x,y"),
        ("return 302 /in;", ("relative-redirects", "false"), "/", 302, "http://a.test/in"),
        ("return 302 /in;", ("relative-redirects", "true"), "/", 302, "/in"),
        ("rewrite ^/a /in redirect;", ("relative-redirects", "true"), "/a", 302, "/in"),
    ];
    for (snippet, setting, target, status, expected) in rows {
        let (upstream, _manifests, proxy) = start(&[], &[("configuration-snippet", snippet), setting]);
        let response = proxy.get("a.test", target);
        assert_eq!(response.status, status, "{snippet} {setting:?} {target}");
        let found = response.header("location").map_or_else(|| upstream.last().uri, str::to_owned);
        assert_eq!(found, expected, "{snippet} {setting:?} {target}");
    }
}

#[test]
fn snippets_of_the_config_map() {
    let settings = [
        ("http-snippet", "add_header X-H 1; more_set_headers 'X-M: h';"),
        ("server-snippet", "location = /ping { return 200 pong; }"),
        ("location-snippet", "add_header X-L 1;"),
    ];
    let (_upstream, manifests, proxy) = start(&settings, &[]);
    let response = proxy.get("a.test", "/x");
    let field = |name| response.header(name).map(str::to_owned);
    // A location's own add_header leaves out those around it; headers-more keeps all.
    assert_eq!((field("x-h"), field("x-l"), field("x-m")), (None, Some("1".into()), Some("h".into())));
    let ping = proxy.get("a.test", "/ping");
    assert_eq!((ping.status, ping.text().as_str(), ping.header("x-h")), (200, "pong", Some("1")));
    // What may keep somebody out and cannot be read keeps all out.
    manifests.config_map("ingress-nginx", "controller", &[("location-snippet", "auth_request /check;")]);
    let said = crate::kit::eventually(crate::kit::DEADLINE, || (proxy.get("a.test", "/x").status == 503).then_some(()));
    assert!(said.is_some(), "{:?}", proxy.stderr());
}

#[test]
fn a_snippet_that_is_not_understood_leaves_the_last_good_version() {
    let (_upstream, manifests, proxy) = start(&[], &[("configuration-snippet", "add_header X-A 1;")]);
    assert_eq!(proxy.get("a.test", "/x").header("x-a"), Some("1"));
    let bad =
        Ingress::new("web").rule("a.test", "/", "one").nginx("configuration-snippet", "add_header X-A 2;\nlua_x y;");
    manifests.ingress(&bad);
    let told = || proxy.stderr().iter().any(|line| line.contains("line 2: lua_x: it is not on the list")).then_some(());
    assert!(crate::kit::eventually(crate::kit::DEADLINE, told).is_some(), "{:?}", proxy.stderr());
    assert_eq!(proxy.get("a.test", "/x").header("x-a"), Some("1"));
    // Off again: at once, and for all.
    manifests.config_map("ingress-nginx", "controller", &[("annotations-risk-level", "Critical")]);
    let off = || proxy.get("a.test", "/x").header("x-a").is_none().then_some(());
    assert!(crate::kit::eventually(crate::kit::DEADLINE, off).is_some());
}
