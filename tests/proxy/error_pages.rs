//! Errors that another Service answers (contract §8.1, §8.2, §21).

use crate::kit::{Authority, Ingress, Manifests, Proxy, Raw, Response, Seen, Upstream};

struct World {
    web: Upstream,
    errors: Upstream,
    manifests: Manifests,
    proxy: Proxy,
}

fn ingress(annotations: &[(&str, &str)]) -> Ingress {
    let ingress = Ingress::new("shop").rule("a.test", "/app", "web");
    annotations.iter().fold(ingress, |ingress, (key, value)| ingress.nginx(key, value))
}

fn start(annotations: &[(&str, &str)], settings: &[(&str, &str)], flags: &[&str]) -> World {
    let (web, errors) = (Upstream::start("web"), Upstream::start("errors"));
    let manifests = Manifests::new();
    manifests.upstream(&web).upstream(&errors).ingress(&ingress(annotations));
    manifests.config_map("default", "config", settings);
    let proxy = Proxy::start(&manifests, &[&["--configmap", "default/config"], flags].concat());
    World { web, errors, manifests, proxy }
}

const OWN: &[(&str, &str)] = &[("custom-http-errors", "404,503"), ("default-backend", "errors")];
const GLOBAL: &[(&str, &str)] = &[("custom-http-errors", "404,503")];
const DEFAULT: &[&str] = &["--default-backend-service", "default/errors"];

fn told(seen: &Seen) -> Vec<Option<&str>> {
    ["x-code", "x-format", "x-original-uri", "x-namespace", "x-ingress-name", "x-service-name", "x-service-port"]
        .map(|name| seen.header(name))
        .to_vec()
}

#[test]
fn the_error_backend_is_told_what_failed() {
    let world = start(OWN, &[], &[]);
    let fields = ["x-test-only: web", "x-test-status: 404", "Accept: application/json", "X-Code: 1", "X-Request-ID: r"];
    let response = world.proxy.get_with("a.test", "/app/a%20b?q=1", &fields);
    assert_eq!((response.status, response.header("x-backend")), (200, Some("errors")));
    let seen = response.seen();
    assert_eq!((seen.method.as_str(), seen.uri.as_str(), seen.host()), ("GET", "/?q=1", Some("a.test")));
    let expected = ["404", "application/json", "/app/a%20b?q=1", "default", "shop", "web", "80"];
    assert_eq!(told(&seen), expected.map(Some));
    assert_eq!(seen.header("x-request-id"), Some("r"));
    assert_eq!(seen.header("x-forwarded-for"), Some("127.0.0.1"));
    assert_eq!(seen.header("x-forwarded-proto"), None);
}

#[test]
fn what_is_set_at_the_location_is_nothing_for_its_error_backend() {
    let (web, errors, auth) = (Upstream::start("web"), Upstream::start("errors"), Upstream::start("auth"));
    auth.set("x-test-header", "X-User: alice");
    let url = format!("http://{}/", auth.addr());
    let annotations = [OWN, &[("auth-url", &*url), ("auth-response-headers", "X-User")]].concat();
    let manifests = Manifests::new();
    manifests.upstream(&web).upstream(&errors).ingress(&ingress(&annotations));
    manifests.config_map("default", "set", &[("X-Set", "1")]);
    manifests.config_map("default", "config", &[("proxy-set-headers", "default/set")]);
    let proxy = Proxy::start(&manifests, &["--configmap", "default/config"]);
    for (status, expected) in [("200", [Some("alice"), Some("1")]), ("404", [None, None])] {
        web.reset_behaviour();
        web.set("x-test-status", status);
        let seen = proxy.get_with("a.test", "/app", &["X-User: forged"]).seen();
        assert_eq!(["x-user", "x-set"].map(|name| seen.header(name)), expected, "{status}");
    }
}

#[test]
fn what_is_intercepted() {
    const OFF: (&str, &str) = ("disable-proxy-intercept-errors", "true");
    // Annotations, ConfigMap, the upstream's status, whether the error backend answers.
    type Row<'a> = (Vec<(&'a str, &'a str)>, Vec<(&'a str, &'a str)>, &'a str, bool);
    let own = OWN.to_vec();
    let service = Upstream::start("auth");
    let auth = format!("http://{}/", service.addr());
    let global = GLOBAL.to_vec();
    let signin = [("auth-url", auth.as_str()), ("auth-signin", "http://sign.test/")];
    let rows: [Row<'_>; 11] = [
        (own.clone(), vec![], "404", true),
        (own.clone(), vec![], "500", false),
        (own.clone(), vec![], "200", false),
        ([own.clone(), vec![OFF]].concat(), vec![], "404", false),
        (vec![], global.clone(), "404", true),
        (vec![OFF], global.clone(), "404", true),
        (vec![], [global.clone(), vec![OFF]].concat(), "404", false),
        (vec![("custom-http-errors", "500")], global.clone(), "404", false),
        (vec![("custom-http-errors", "500")], global.clone(), "500", true),
        (signin.to_vec(), global, "404", false),
        ([own, signin.to_vec()].concat(), vec![], "404", true),
    ];
    for (annotations, settings, status, expected) in rows {
        let world = start(&annotations, &settings, DEFAULT);
        let fields = ["x-test-only: web", &format!("x-test-status: {status}")];
        let response = world.proxy.get_with("a.test", "/app", &fields);
        let expected = if expected { "errors" } else { "web" };
        assert_eq!(response.header("x-backend"), Some(expected), "{annotations:?} {settings:?} {status}");
    }
}

#[test]
fn errors_of_the_proxy_itself_count_too() {
    let world =
        start(&[("custom-http-errors", "413,502"), ("default-backend", "errors"), ("proxy-body-size", "1")], &[], &[]);
    let mut connection = Raw::connect(world.proxy.http());
    let response = connection.request("POST /app HTTP/1.1\r\nHost: a.test\r\nContent-Length: 2\r\n\r\nhi");
    assert_eq!(response.seen().header("x-code"), Some("413"));
    assert_eq!((response.seen().method.as_str(), response.seen().body_len), ("GET", 0));
    world.web.set("x-test-close", "1");
    assert_eq!(world.proxy.get("a.test", "/app").seen().header("x-code"), Some("502"));
    world.manifests.service("web", &[]);
    let response = world.proxy.wait_until("a.test", "/app", |r| r.seen().header("x-code") == Some("503"));
    assert_eq!(response.seen().uri, "/app");
}

#[test]
fn a_service_stands_in_for_one_without_endpoints() {
    let world = start(&[("default-backend", "errors")], &[], &[]);
    assert_eq!(world.proxy.get("a.test", "/app").header("x-backend"), Some("web"));
    world.manifests.service("web", &[]);
    let asks = |r: &Response| r.header("x-backend") == Some("errors");
    world.proxy.wait_until("a.test", "/app", asks);
    let mut connection = Raw::connect(world.proxy.http());
    let response = connection.request("POST /app/x?y HTTP/1.1\r\nHost: a.test\r\nContent-Length: 2\r\n\r\nhi");
    let seen = response.seen();
    assert_eq!((seen.method.as_str(), seen.uri.as_str(), seen.body_len), ("POST", "/app/x?y", 2));
    let expected = [Some("503"), None, None, Some("default"), Some("shop"), Some("web"), Some("80")];
    assert_eq!(told(&seen), expected);
    assert!(seen.header("x-forwarded-proto").is_some());
    world.manifests.service("errors", &[]);
    world.proxy.wait_until("a.test", "/app", |r| r.status == 503);
    world.manifests.service("web", &[world.web.addr()]);
    world.proxy.wait_until("a.test", "/app", |r| r.header("x-backend") == Some("web"));
}

#[test]
fn head_stays_head_and_posts_are_not_repeated() {
    let world = start(OWN, &[], &[]);
    world.web.set("x-test-status", "503");
    let mut connection = Raw::connect(world.proxy.http());
    let response = connection.request("HEAD /app HTTP/1.1\r\nHost: a.test\r\n\r\n");
    assert!(response.body.is_empty());
    assert_eq!(world.errors.last().method, "HEAD");
    connection.request("POST /app HTTP/1.1\r\nHost: a.test\r\nContent-Length: 2\r\n\r\nhi");
    let last = world.errors.last();
    assert_eq!((last.method.as_str(), last.body_len, last.header("content-length")), ("GET", 0, None));
}

#[test]
fn redirects_and_denials_come_first() {
    let world = start(&[OWN, &[("force-ssl-redirect", "true")]].concat(), &[], &[]);
    world.manifests.service("web", &[]);
    assert_eq!(world.proxy.get("a.test", "/app").status, 308);
    let denied = start(&[OWN, &[("proxy-ssl-secret", "default/none")]].concat(), &[], &[]);
    assert_eq!((denied.proxy.get("a.test", "/app").status, denied.errors.requests()), (503, 0));
}

#[test]
fn refusals_count_too() {
    let annotations =
        [("custom-http-errors", "401,403"), ("default-backend", "errors"), ("whitelist-source-range", "10.0.0.0/8")];
    let world = start(&annotations, &[], &[]);
    let response = world.proxy.get("a.test", "/app");
    assert_eq!((response.header("x-backend"), response.seen().header("x-code")), (Some("errors"), Some("403")));
    assert_eq!(world.web.requests(), 0);
    let login = [("auth-type", "basic"), ("auth-secret", "users")];
    world.manifests.secret("users", &[("auth", "user:{PLAIN}secret")]);
    world.manifests.ingress(&ingress(&[&annotations[..2], &login[..]].concat()));
    let response = world.proxy.wait_until("a.test", "/app", |r| r.seen().header("x-code") == Some("401"));
    assert!(response.header("www-authenticate").is_some_and(|challenge| challenge.starts_with("Basic")));
    let wrong = world.proxy.get_with("a.test", "/app", &["Authorization: Basic eDp5"]);
    assert_eq!((wrong.seen().header("x-code"), wrong.seen().header("authorization")), (Some("401"), None));
}

#[test]
fn challenges_are_kept() {
    let world = start(&[("custom-http-errors", "401"), ("default-backend", "errors")], &[], &[]);
    let fields = ["x-test-only: web", "x-test-status: 401", "x-test-header: WWW-Authenticate: Basic realm=x"];
    let response = world.proxy.get_with("a.test", "/app", &fields);
    assert_eq!(response.header("x-backend"), Some("errors"));
    assert_eq!(response.header("www-authenticate"), Some("Basic realm=x"));
}

#[test]
fn the_built_in_page_answers_without_an_error_backend() {
    let world = start(&[("custom-http-errors", "503")], &[], &[]);
    world.web.set("x-test-status", "503");
    assert_eq!(world.proxy.get("a.test", "/app").status, 404);
}

#[test]
fn an_error_backend_that_fails_is_not_asked_again() {
    let world = start(OWN, &[], &[]);
    world.web.set("x-test-status", "503");
    world.errors.set("x-test-status", "503");
    let response = world.proxy.get("a.test", "/app");
    assert_eq!((response.status, response.header("x-backend")), (503, Some("errors")));
    assert_eq!(world.errors.requests(), 1);
    world.errors.set("x-test-close", "1");
    let response = world.proxy.get("a.test", "/app");
    assert_eq!((response.status, response.header("content-type")), (502, Some("text/html")));
}

/// The error backend is asked from a location of the server's own, which has none of the first one's headers.
#[test]
fn what_a_location_puts_into_answers_is_not_in_error_pages() {
    let location = [
        ("enable-cors", "true"),
        ("custom-headers", "default/custom"),
        ("configuration-snippet", "add_header X-Location 1 always; more_set_headers 'X-More: 1';"),
    ];
    let settings = [
        ("allow-snippet-annotations", "true"),
        ("annotations-risk-level", "Critical"),
        ("global-allowed-response-headers", "X-Custom"),
        ("add-headers", "default/added"),
        ("http-snippet", "more_set_headers 'X-Http: 1';"),
    ];
    let world = start(&[OWN, &location].concat(), &settings, &[]);
    world.manifests.config_map("default", "custom", &[("X-Custom", "1")]);
    world.manifests.config_map("default", "added", &[("X-Added", "1")]);
    world.proxy.wait_until("a.test", "/app", |r| r.header("x-custom").is_some() && r.header("x-added").is_some());
    for (status, backend, has_own) in [("500", "web", true), ("404", "errors", false)] {
        let fields = ["x-test-only: web", &format!("x-test-status: {status}")];
        let response = world.proxy.get_with("a.test", "/app", &fields);
        assert_eq!(response.header("x-backend"), Some(backend));
        for name in ["access-control-allow-origin", "x-custom", "x-location", "x-more"] {
            assert_eq!(response.header(name).is_some(), has_own, "{status}: {name}");
        }
        assert!(response.header("x-added").is_some() && response.header("x-http").is_some(), "{status}");
    }
}

#[test]
fn unmatched_requests_have_the_global_codes() {
    let world = start(&[], GLOBAL, DEFAULT);
    world.errors.set("x-test-status", "404");
    let response = world.proxy.get("unknown.test", "/x");
    assert_eq!(response.status, 404);
    let seen = response.seen();
    assert_eq!(
        (seen.uri.as_str(), seen.header("x-code"), seen.header("x-original-uri")),
        ("/", Some("404"), Some("/x"))
    );
}

#[test]
fn the_connection_of_an_answer_that_was_dropped_goes_on() {
    let world = start(OWN, &[], &[]);
    world.web.set("x-test-status", "404").set("x-test-body-bytes", "3000");
    let mut connection = Raw::connect(world.proxy.http());
    for _ in 0..10 {
        assert_eq!(connection.get("a.test", "/app").header("x-backend"), Some("errors"));
    }
    assert!(world.web.connections() < 4, "{}", world.web.connections());
}

#[test]
fn what_the_server_itself_refuses_counts_too() {
    let settings = [("custom-http-errors", "400,403,405,414"), ("block-user-agents", "bad")];
    let world = start(&[], &settings, DEFAULT);
    let long = format!("GET /{} HTTP/1.1\r\nHost: a.test\r\n\r\n", "a".repeat(40_000));
    let rows = [
        ("GET /app?q HTTP/1.1\r\nHost: a.test\r\nUser-Agent: bad\r\nAuthorization: Basic YQ==\r\n\r\n", Some("403")),
        ("GET /app HTTP/1.1\r\n\r\n", Some("400")),
        ("GET /app HTTP/1.1\r\nHost: a.test\r\nHost: b.test\r\n\r\n", Some("400")),
        ("TRACE /app HTTP/1.1\r\nHost: a.test\r\n\r\n", Some("405")),
        // nginx has no URI to take to an error page.
        ("GET /../app HTTP/1.1\r\nHost: a.test\r\n\r\n", None),
        (long.as_str(), None),
    ];
    for (sent, code) in rows {
        let response = Raw::connect(world.proxy.http()).request(sent);
        let Some(code) = code else {
            assert!(
                response.status >= 400 && response.header("x-backend").is_none(),
                "{sent:.60}: {}",
                response.status
            );
            continue;
        };
        assert_eq!((response.status, response.header("x-backend")), (200, Some("errors")), "{sent:.60}");
        let seen = response.seen();
        assert_eq!(seen.method, "GET");
        assert_eq!(told(&seen)[0], Some(code), "{sent:.60}");
        assert_eq!(told(&seen)[3..], [None; 4], "nobody's Ingress");
        assert_eq!(seen.header("authorization"), None);
        assert!(seen.header("host").is_none_or(|host| host == "a.test"), "{sent:.60}");
    }
    assert_eq!(world.web.requests(), 0);
}

#[test]
fn servers_and_snippets_that_refuse() {
    let snippets = [("allow-snippet-annotations", "true"), ("annotations-risk-level", "Critical")];
    let settings = [&snippets[..], &[("custom-http-errors", "403,404")]].concat();
    let page = "https://errors.test/";
    /// Annotations, and the code that the error backend is told, or the status without it.
    type Row<'a> = (&'a [(&'a str, &'a str)], Result<&'a str, u16>);
    let rows: [Row<'_>; 5] = [
        (&[("auth-tls-secret", "default/gone")], Ok("403")),
        (&[("server-snippet", "return 403;")], Ok("403")),
        (&[("server-snippet", "return 403 \"no\";")], Err(403)),
        (&[("configuration-snippet", "return 404 \"no\";")], Err(404)),
        (
            &[("auth-tls-secret", "default/ca"), ("auth-tls-error-page", page), ("denylist-source-range", "127.0.0.1")],
            Err(403),
        ),
    ];
    let ca = Authority::new("Ours");
    for (annotations, expected) in rows {
        let world = start(annotations, &settings, DEFAULT);
        world.manifests.secret("ca", &[("ca.crt", &ca.pem())]);
        let told = |r: &Response| match expected {
            Ok(code) => r.status == 200 && r.seen().header("x-code") == Some(code),
            Err(status) => r.status == status && r.header("x-backend").is_none(),
        };
        world.proxy.wait_until("a.test", "/app", told);
    }
}
