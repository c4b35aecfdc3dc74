//! External authentication: what is asked, what each answer means, when nobody is asked, and what it may cost.

#[path = "external_auth/oauth.rs"]
mod oauth;

use crate::kit::manifests::service;
use crate::kit::{H2, Identity, Ingress, Manifests, Proxy, Raw, Response, Upstream, eventually};

/// An upstream, an authentication service, and an Ingress for `a.test` that asks it at `/check`.
struct World {
    upstream: Upstream,
    auth: Upstream,
    manifests: Manifests,
    proxy: Proxy,
}

fn world(annotations: &[(&str, &str)]) -> World {
    let (upstream, auth) = (Upstream::start("one"), Upstream::start("auth"));
    let manifests = Manifests::new();
    manifests.upstream(&upstream).ingress(&asking(&auth, annotations));
    let proxy = Proxy::start(&manifests, &[]);
    World { upstream, auth, manifests, proxy }
}

fn asking(auth: &Upstream, annotations: &[(&str, &str)]) -> Ingress {
    let url = format!("http://{}/check?x=$arg_x", auth.addr());
    let ingress = Ingress::new("web").rule("a.test", "/", "one").nginx("auth-url", &url);
    annotations.iter().fold(ingress, |ingress, (key, value)| ingress.nginx(key, value))
}

impl World {
    /// Asks for `/p?x=1`, with what the service is to do.
    fn get(&self, service: &[&str]) -> Response {
        let fields: Vec<&str> = ["x-test-only: auth"].iter().chain(service).copied().collect();
        self.proxy.get_with("a.test", "/p?x=1", &fields)
    }
}

#[test]
fn every_answer_has_its_meaning() {
    let world = world(&[("auth-response-headers", "X-User, X-Absent")]);
    let rows: [(&[&str], u16); 9] = [
        (&["x-test-status: 200"], 200),
        (&["x-test-status: 202"], 200),
        (&["x-test-status: 204"], 200),
        (&["x-test-status: 401", "x-test-header: WWW-Authenticate: Bearer"], 401),
        (&["x-test-status: 403"], 403),
        (&["x-test-status: 302"], 500),
        (&["x-test-status: 404"], 500),
        (&["x-test-status: 503"], 500),
        (&["x-test-close: 1"], 500),
    ];
    for (service, status) in rows {
        world.upstream.forget();
        let response = world.get(service);
        assert_eq!(response.status, status, "{service:?}");
        assert_eq!(world.upstream.requests(), u64::from(status == 200), "{service:?}");
        let challenge = (status == 401).then_some("Bearer");
        assert_eq!(response.header("www-authenticate"), challenge, "{service:?}");
    }
}

#[test]
fn the_question_has_the_clients_head_and_no_body() {
    let world = world(&[]);
    let sent = "PUT /p?x=1 HTTP/1.1\r\nHost: a.test:81\r\nContent-Length: 4\r\nCookie: s=1\r\nX-Forwarded-Proto: ftp\r\n\
                X-Forwarded-For: 9.9.9.9\r\nX-Real-IP: 9.9.9.9\r\nX-Original-URL: forged\r\nTE: trailers\r\n\r\nbody";
    let response = Raw::connect(world.proxy.http()).request(sent);
    assert_eq!((response.status, response.seen().body_text.as_str()), (200, "body"));
    let asked = world.auth.last();
    assert_eq!((asked.method.as_str(), asked.uri.as_str(), asked.body_len), ("GET", "/check?x=1", 0));
    for (name, value) in [
        ("host", Some("127.0.0.1")),
        ("cookie", Some("s=1")),
        ("connection", Some("close")),
        ("x-original-url", Some("http://a.test:81/p?x=1")),
        ("x-original-method", Some("PUT")),
        ("x-original-uri", None),
        ("x-sent-from", Some("nginx-ingress-controller")),
        ("x-auth-request-redirect", Some("/p?x=1")),
        ("x-real-ip", Some("127.0.0.1")),
        ("x-forwarded-for", Some("127.0.0.1")),
        ("x-forwarded-proto", None),
        ("content-length", None),
        ("te", None),
    ] {
        assert_eq!(asked.header(name), value, "{name}");
    }
    assert_eq!(asked.header("x-request-id"), response.seen().header("x-request-id"));
}

#[test]
fn the_question_has_what_clients_may_not_say_and_odd_paths_as_sent() {
    let world = world(&[]);
    let sent = "GET /\u{e9}?x=1 HTTP/1.1\r\nHost: a.test\r\nssl-client-verify: SUCCESS\r\nssl-client-subject-dn: CN=root\r\n\r\n";
    assert_eq!(Raw::connect(world.proxy.http()).request(sent).status, 200);
    let asked = world.auth.last();
    assert_eq!((asked.header("ssl-client-verify"), asked.header("ssl-client-subject-dn")), (None, None));
    assert_eq!(asked.header("x-original-url"), Some("http://a.test/\u{c3}\u{a9}?x=1"));
}

#[test]
fn the_question_has_the_chain_of_proxies_where_it_is_kept() {
    let (one, auth) = (Upstream::start("one"), Upstream::start("auth"));
    let manifests = Manifests::new();
    let settings = [("use-forwarded-headers", "true"), ("compute-full-forwarded-for", "true")];
    manifests.upstream(&one).config_map("default", "settings", &settings).ingress(&asking(&auth, &[]));
    let proxy = Proxy::start(&manifests, &["--configmap=default/settings"]);
    let response = proxy.get_with("a.test", "/", &["X-Forwarded-For: 9.9.9.9"]);
    let chain = response.seen().header("x-forwarded-for").map(str::to_owned);
    assert_eq!(chain.as_deref(), Some("9.9.9.9, 127.0.0.1"));
    assert_eq!(auth.last().header("x-forwarded-for"), chain.as_deref());
    assert_eq!(auth.last().header("x-real-ip"), Some("9.9.9.9"));
}

#[test]
fn an_answer_for_many_is_asked_for_without_conditions() {
    let fields = ["If-None-Match: \"x\"", "Range: bytes=0-1", "If-Range: \"x\"", "Accept: text/x"];
    for (annotations, expected) in [(&[][..], Some("bytes=0-1")), (&[("auth-cache-key", "$cookie_s")], None)] {
        let world = world(annotations);
        let response = world.get(&fields);
        assert_eq!((response.status, response.seen().header("range")), (200, Some("bytes=0-1")));
        let asked = world.auth.last();
        assert_eq!((asked.header("range"), asked.header("accept")), (expected, Some("text/x")));
        assert_eq!(asked.header("if-none-match").is_some(), expected.is_some());
    }
}

#[test]
fn who_passes_without_a_question_brings_no_headers_of_the_service() {
    let world =
        world(&[("auth-response-headers", "X-User"), ("satisfy", "any"), ("whitelist-source-range", "127.0.0.0/8")]);
    let response = world.get(&["X-User: forged", "X-Other: mine"]);
    assert_eq!((response.status, world.auth.requests()), (200, 0));
    assert_eq!((response.seen().header("x-user"), response.seen().header("x-other")), (None, Some("mine")));
}

/// Snippets are allowed, with these further settings.
fn with_snippets(settings: &[(&str, &str)], ingress: impl Fn(&Upstream) -> Ingress) -> World {
    let (upstream, auth) = (Upstream::start("one"), Upstream::start("auth"));
    let manifests = Manifests::new();
    let allowed = [("allow-snippet-annotations", "true"), ("annotations-risk-level", "Critical")];
    let url = format!("http://{}/global", auth.addr());
    let all = [&allowed[..], &[("global-auth-url", &url)], settings].concat();
    manifests.upstream(&upstream).config_map("default", "settings", &all).ingress(&ingress(&auth));
    let proxy = Proxy::start(&manifests, &["--configmap=default/settings"]);
    World { upstream, auth, manifests, proxy }
}

#[test]
fn a_snippet_changes_the_question_or_answers_it() {
    let snippet = "
        proxy_set_header Content-Length \"\";
        proxy_set_header X-Sent-From us; proxy_set_header X-Path $request_uri$mine; proxy_set_header Cookie '';
        if ($request_method = OPTIONS) { return 200; }
        if ($request_uri ~ ^/public/) { set $free 1; }
        if ($free) { return 204; }
        if ($arg_n) { return 403; }
        if ($arg_r) { return 302 /elsewhere; }";
    let annotations =
        [("auth-snippet", snippet), ("configuration-snippet", "set $mine !;"), ("auth-response-headers", "X-User")];
    let world = with_snippets(&[], |auth| asking(auth, &annotations));
    world.auth.set("x-test-status", "401");
    let rows = [
        ("GET", "/p", 401, 1),
        ("OPTIONS", "/p", 200, 0),
        ("GET", "/public/x", 200, 0),
        ("GET", "/p?n=1", 403, 0),
        ("GET", "/p?r=1", 500, 0),
    ];
    for (method, target, status, questions) in rows {
        let (before, mut client) = (world.auth.requests(), Raw::connect(world.proxy.http()));
        let answer = client
            .request(format!("{method} {target} HTTP/1.1\r\nHost: a.test\r\nX-User: forged\r\nCookie: a=1\r\n\r\n"));
        assert_eq!((answer.status, world.auth.requests() - before), (status, questions), "{method} {target}");
        if status == 200 {
            assert_eq!(answer.seen().header("x-user"), None, "what the service did not say is nobody's to say");
        }
    }
    let asked = world.auth.last();
    assert_eq!((asked.header("x-sent-from"), asked.header("x-path")), (Some("us"), Some("/p!")));
    assert_eq!(asked.header("cookie"), None);
}

#[test]
fn the_global_question_has_a_snippet_too() {
    let ingress = |_: &Upstream| Ingress::new("web").rule("a.test", "/", "one").nginx("auth-snippet", "proxy_pass /;");
    let world = with_snippets(&[("global-auth-snippet", "proxy_set_header X-Mine $host;")], ingress);
    assert_eq!(world.proxy.get("a.test", "/").status, 200, "an Ingress that does not ask has no snippet of a question");
    assert_eq!(world.auth.last().header("x-mine"), Some("a.test"));
    let url = format!("http://{}/", world.auth.addr());
    let broken = [
        ("annotations-risk-level", "Critical"),
        ("global-auth-url", url.as_str()),
        ("global-auth-snippet", "proxy_pass http://elsewhere;"),
    ];
    world.manifests.config_map("default", "settings", &broken);
    world.proxy.wait_until("a.test", "/", |r| r.status == 503);
}

#[test]
fn networks_of_a_snippet_and_the_service_are_alternatives() {
    for (satisfy, network, service, status) in [
        ("any", "deny all;", "200", 200),
        ("any", "deny all;", "401", 401),
        ("any", "allow 127.0.0.0/8; deny all;", "401", 200),
        ("any", "limit_except POST { deny all; }", "200", 200),
        ("all", "deny all;", "200", 403),
        ("all", "allow 127.0.0.0/8; deny all;", "401", 401),
    ] {
        let annotations = [("satisfy", satisfy), ("configuration-snippet", network)];
        let world = with_snippets(&[], |auth| asking(auth, &annotations));
        world.auth.set("x-test-status", service);
        assert_eq!(world.proxy.get("a.test", "/").status, status, "{satisfy} {network} {service}");
    }
}

#[test]
fn the_question_is_what_annotations_say() {
    let manifests = Manifests::new();
    let (one, auth) = (Upstream::start("one"), Upstream::start("auth"));
    manifests.config_map(
        "default",
        "headers",
        &[("X-Var", "$request_method"), ("X-Sent-From", "us"), ("X-None", "$arg_n")],
    );
    let annotations = [
        ("auth-method", "POST"),
        ("auth-request-redirect", "https://back.test/"),
        ("auth-proxy-set-headers", "default/headers"),
    ];
    manifests.upstream(&one).ingress(&asking(&auth, &annotations));
    let proxy = Proxy::start(&manifests, &[]);
    assert_eq!(proxy.get_with("a.test", "/p", &["X-None: client"]).status, 200);
    let asked = auth.last();
    assert_eq!((asked.method.as_str(), asked.header("content-length")), ("POST", None));
    for (name, value) in [
        ("x-original-uri", Some("/p")),
        ("x-scheme", Some("http")),
        ("x-auth-request-redirect", Some("https://back.test/")),
        ("x-var", Some("GET")),
        ("x-sent-from", Some("us")),
        ("x-none", None),
    ] {
        assert_eq!(asked.header(name), value, "{name}");
    }
    manifests.config_map("default", "headers", &[("X-Var", "changed")]);
    let changed = eventually(crate::kit::DEADLINE, || {
        proxy.get("a.test", "/");
        (auth.last().header("x-var") == Some("changed")).then_some(())
    });
    assert!(changed.is_some(), "the ConfigMap is followed");
}

#[test]
fn headers_and_cookies_of_the_answer_are_taken_over() {
    let world = world(&[("auth-response-headers", "X-User, X-Absent")]);
    let service =
        ["x-test-header: X-User: alice", "x-test-header: Set-Cookie: s=1", "X-User: forged", "X-Absent: forged"];
    let response = world.get(&service);
    let seen = response.seen();
    assert_eq!((seen.header("x-user"), seen.header("x-absent")), (Some("alice"), None));
    assert_eq!(response.header("set-cookie"), Some("s=1"));
    world.auth.set("x-test-header", "Set-Cookie: s=1");
    for (always, status, expected) in [("false", 404, None), ("false", 302, Some("s=1")), ("true", 404, Some("s=1"))] {
        world.manifests.ingress(&asking(&world.auth, &[("auth-always-set-cookie", always)]));
        world.upstream.set("x-test-status", &status.to_string());
        let cookie = || {
            let response = world.proxy.get_with("a.test", "/", &["x-cookie: s=1"]);
            (response.status == status).then(|| response.header("set-cookie").map(str::to_owned))
        };
        let got = eventually(crate::kit::DEADLINE, || cookie().filter(|cookie| cookie.as_deref() == expected));
        assert!(got.is_some(), "{always} {status}: {:?}", cookie());
        world.upstream.reset_behaviour();
    }
    world.upstream.reset_behaviour();
    let refused = world.get(&["x-test-status: 401"]);
    assert_eq!((refused.status, refused.header("set-cookie")), (401, Some("s=1")), "always is for refusals, too");
}

#[test]
fn a_401_is_sent_to_sign_in() {
    let rows: [(&[(&str, &str)], &str); 4] = [
        (&[("auth-signin", "https://s.test/in")], "https://s.test/in?rd=http://a.test%2Fp%3Fx%3D1"),
        (
            &[("auth-signin", "https://s.test/in?a=b"), ("auth-signin-redirect-param", "back")],
            "https://s.test/in?a=b&back=http://a.test%2Fp%3Fx%3D1",
        ),
        (
            &[("auth-signin", "https://s.test/in?rd=$scheme://$host$escaped_request_uri")],
            "https://s.test/in?rd=http://a.test%2Fp%3Fx%3D1",
        ),
        (&[("auth-signin", "/in")], "http://a.test/in?rd=http://a.test%2Fp%3Fx%3D1"),
    ];
    let world = world(&[]);
    assert_eq!(world.get(&["x-test-status: 401"]).status, 401);
    for (annotations, location) in rows {
        world.manifests.ingress(&asking(&world.auth, annotations));
        let sent = || Some(world.get(&["x-test-status: 401"])).filter(|r| r.status == 302);
        let response = eventually(crate::kit::DEADLINE, || sent().filter(|r| r.header("location") == Some(location)));
        assert!(response.is_some(), "{location}: {:?}", sent().map(|r| r.headers));
        let challenged = world.get(&["x-test-status: 401", "x-test-header: WWW-Authenticate: Bearer"]);
        assert_eq!((challenged.status, challenged.header("www-authenticate")), (302, Some("Bearer")), "{location}");
        assert_eq!(world.get(&["x-test-status: 403"]).status, 403, "{location}");
    }
}

#[test]
fn what_comes_first_is_answered_first() {
    let world = world(&[("proxy-body-size", "1k"), ("force-ssl-redirect", "true")]);
    world.auth.set("x-test-status", "401");
    let large = "POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 2000\r\n\r\n";
    assert_eq!(Raw::connect(world.proxy.http()).request(large).status, 413);
    assert_eq!(world.proxy.get("a.test", "/").status, 308, "https first (contract 6)");
    assert_eq!(world.auth.requests(), 0);
    assert_eq!(world.proxy.get_tls("a.test", "/").status, 401);
    world.manifests.service("one", &[]);
    let gone = eventually(crate::kit::DEADLINE, || (world.proxy.get_tls("a.test", "/").status == 503).then_some(()));
    assert!(gone.is_some(), "nobody there comes before authentication");
}

#[test]
fn a_page_that_is_not_there_is_kept_from_strangers() {
    let (one, auth) = (Upstream::start("one"), Upstream::start("auth"));
    let manifests = Manifests::new();
    let url = format!("http://{}/", auth.addr());
    manifests.upstream(&one).ingress(&Ingress::new("web").rule("a.test", "/x", "one").nginx("auth-url", &url));
    let proxy = Proxy::start(&manifests, &[]);
    assert_eq!(proxy.get("a.test", "/nothing").status, 404);
    auth.set("x-test-status", "401");
    assert_eq!(proxy.get("a.test", "/nothing").status, 401, "the host's root has its oldest Ingress's annotations");
    assert_eq!(proxy.get("b.test", "/nothing").status, 404);
}

#[test]
fn a_service_that_is_dead_or_slow_lets_nobody_pass_and_comes_back() {
    let world = world(&[("proxy-read-timeout", "1"), ("proxy-connect-timeout", "1")]);
    assert_eq!(world.get(&["x-test-delay-ms: 1500"]).status, 200, "the location's time to read is not the question's");
    let World { upstream, auth, manifests, proxy } = world;
    let address = auth.addr();
    auth.stop();
    for _ in 0..3 {
        assert_eq!(proxy.get("a.test", "/").status, 500);
    }
    assert!(proxy.wait_for_stderr("the authentication service lets nobody pass").is_some());
    let _again = Upstream::start_at("auth", address);
    assert_eq!(proxy.get("a.test", "/").status, 200);
    drop((upstream, manifests));
}

#[test]
fn a_service_of_the_cluster_is_followed_by_its_endpoints() {
    let (one, first, second) = (Upstream::start("one"), Upstream::start("first"), Upstream::start("second"));
    let manifests = Manifests::new();
    manifests.upstream(&one).service("auth", &[first.addr()]);
    let ingress = Ingress::new("web").rule("a.test", "/", "one").nginx("auth-url", "http://auth.default.svc/check");
    manifests.ingress(&ingress);
    let proxy = Proxy::start(&manifests, &[]);
    assert_eq!(proxy.get("a.test", "/").status, 200);
    assert_eq!(first.last().host(), Some("auth.default.svc"));
    manifests.service("auth", &[second.addr(), Upstream::refused()]);
    let moved = eventually(crate::kit::DEADLINE, || {
        assert_eq!(proxy.get("a.test", "/").status, 200);
        (second.requests() > 0).then_some(())
    });
    assert!(moved.is_some());
    for _ in 0..10 {
        assert_eq!(proxy.get("a.test", "/").status, 200, "an endpoint that is not there is passed over");
    }
    manifests.write("service-auth.yaml", &service("default", "auth"));
    proxy.wait_until("a.test", "/", |r| r.status == 500);
}

#[test]
fn https_is_spoken_with_the_hosts_name() {
    let one = Upstream::start("one");
    let auth = Upstream::start_with("auth", "127.0.0.1:0".parse().unwrap(), &Identity::self_signed(&["other.test"]));
    let manifests = Manifests::new();
    manifests.upstream(&one).upstream_tls(&auth);
    let url = "https://auth.default.svc:80/check";
    manifests.ingress(&Ingress::new("web").rule("a.test", "/", "one").nginx("auth-url", url));
    let proxy = Proxy::start(&manifests, &[]);
    assert_eq!(proxy.get("a.test", "/").status, 200, "the certificate is not verified, as with nginx");
    let asked = auth.last();
    assert_eq!((asked.tls, asked.sni.as_deref()), (true, Some("auth.default.svc")));
}

#[test]
fn connections_are_kept_when_asked_for() {
    for (keep, connections) in [("0", 5), ("8", 1)] {
        let world = world(&[("auth-keepalive", keep)]);
        let mut client = Raw::connect(world.proxy.http());
        for _ in 0..5 {
            assert_eq!(client.get("a.test", "/").status, 200);
        }
        assert_eq!(world.auth.connections(), connections, "auth-keepalive: {keep}");
        // A kept connection that the service ends is not held against it.
        world.auth.set("x-test-drop-after", "1");
        for _ in 0..5 {
            assert_eq!(client.get("a.test", "/").status, 200);
        }
    }
}

#[test]
fn answers_are_cached_by_key_and_status() {
    let world = world(&[("auth-cache-key", "$cookie_s"), ("auth-cache-duration", "200 401 1h")]);
    let mut client = Raw::connect(world.proxy.http());
    let mut ask = |cookie: &str, service: &str| client.get_with("a.test", "/", &[cookie, "x-test-only: auth", service]);
    let rows = [
        ("cookie: s=a", "x-test-status: 200", 200, 1),
        ("cookie: s=a", "x-test-status: 401", 200, 1),
        ("cookie: s=b", "x-test-status: 401", 401, 2),
        ("cookie: s=b", "x-test-status: 200", 401, 2),
        ("cookie: s=c", "x-test-status: 403", 403, 3),
        ("cookie: s=c", "x-test-status: 403", 403, 4),
        ("cookie: s=d", "x-test-header: Set-Cookie: x=1", 200, 5),
        ("cookie: s=d", "x-test-header: Cache-Control: no-store", 200, 6),
        ("cookie: s=d", "x-test-status: 200", 200, 7),
        ("cookie: s=d", "x-test-status: 401", 200, 7),
    ];
    for (cookie, service, status, questions) in rows {
        assert_eq!(ask(cookie, service).status, status, "{cookie} {service}");
        assert_eq!(world.auth.requests(), questions, "{cookie} {service}");
    }
    // Another question has answers of its own.
    world.manifests.ingress(&asking(&world.auth, &[("auth-cache-key", "$cookie_s"), ("auth-method", "POST")]));
    let again =
        eventually(crate::kit::DEADLINE, || (ask("cookie: s=b", "x-test-status: 200").status == 200).then_some(()));
    assert!(again.is_some());
}

#[test]
fn the_basic_user_tells_clients_apart() {
    let world = world(&[("auth-cache-key", "$remote_user")]);
    let mut client = Raw::connect(world.proxy.http());
    // a:x and b:x
    for (user, questions) in [("Basic YTp4", 1), ("Basic YTp4", 1), ("Basic Yjp4", 2), ("Basic YTp4", 2)] {
        let field = format!("Authorization: {user}");
        assert_eq!(client.get_with("a.test", "/", &[&field]).status, 200);
        assert_eq!(world.auth.requests(), questions, "{user}");
    }
}

#[test]
fn the_global_service_is_asked_where_no_other_is() {
    let (one, global, own) = (Upstream::start("one"), Upstream::start("global"), Upstream::start("own"));
    global.set("x-test-status", "403");
    own.set("x-test-status", "401");
    let manifests = Manifests::new();
    let url = format!("http://{}/global", global.addr());
    manifests.upstream(&one).config_map(
        "default",
        "settings",
        &[("global-auth-url", &url), ("no-auth-locations", "/free,/.well-known")],
    );
    let ingress = |name: &str| Ingress::new(name).rule(&format!("{name}.test"), "/", "one");
    manifests
        .ingress(&ingress("plain").rule("plain.test", "/free", "one"))
        .ingress(&ingress("own").nginx("auth-url", &format!("http://{}/own", own.addr())))
        .ingress(&ingress("declines").nginx("enable-global-auth", "false"));
    let proxy = Proxy::start(&manifests, &["--configmap=default/settings"]);
    for (host, target, status) in [
        ("plain.test", "/", 403),
        ("plain.test", "/free/x", 200),
        ("plain.test", "/x/../free", 200),
        ("own.test", "/", 401),
        ("own.test", "/free", 401),
        ("declines.test", "/", 200),
        ("unknown.test", "/", 404),
    ] {
        assert_eq!(proxy.get(host, target).status, status, "{host}{target}");
    }
    assert_eq!(global.last().uri, "/global");
    manifests.config_map("default", "settings", &[("global-auth-url", "nowhere")]);
    proxy.wait_until("plain.test", "/", |r| r.status == 503);
    assert_eq!(proxy.get("own.test", "/").status, 401);
}

#[test]
fn http2_clients_are_asked_about_too() {
    let world = world(&[("ssl-redirect", "false"), ("auth-response-headers", "X-User")]);
    world.auth.set("x-test-header", "X-User: alice");
    let client = H2::connect(world.proxy.http());
    let response = client.request("POST", "a.test", "/p", &[("cookie", "a=1"), ("cookie", "b=2")], b"body");
    assert_eq!((response.status, response.seen().header("x-user")), (200, Some("alice")));
    let asked = world.auth.last();
    assert_eq!(
        (asked.header("x-original-url"), asked.header_all("cookie")),
        (Some("http://a.test/p"), vec!["a=1; b=2"])
    );
    world.auth.set("x-test-status", "401");
    let refused = client.request("POST", "a.test", "/p", &[], &[b'x'; 200_000]);
    assert_eq!(refused.status, 401);
}
