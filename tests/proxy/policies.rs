//! What annotations and flags do to a request, one row each.

use crate::kit::{Identity, Ingress, Manifests, Proxy, Raw, Upstream, certs};

/// Annotations of `h<i>.test`, whose only path is `path`; what is asked; what comes back or arrives upstream.
struct Row {
    path: (&'static str, &'static str),
    annotations: &'static [(&'static str, &'static str)],
    asked: &'static str,
    expect: Expect,
}

enum Expect {
    /// Status and Location, with `{host}` for the host.
    Redirect(u16, &'static str),
    /// Target upstream and one header there.
    Upstream(&'static str, &'static str, Option<&'static str>),
    Status(u16),
}

use Expect::{Redirect, Status, Upstream as Arrives};

const ROWS: &[Row] = &[
    row(
        ("ImplementationSpecific", "/api(/|$)(.*)"),
        &[("rewrite-target", "/$2"), ("x-forwarded-prefix", "/api")],
        "/API/v1%20x/?q=1",
        Arrives("/v1%20x/?q=1", "x-forwarded-prefix", Some("/api")),
    ),
    row(("Prefix", "/"), &[("x-forwarded-prefix", "/none")], "/", Arrives("/", "x-forwarded-prefix", None)),
    row(
        ("Prefix", "/old"),
        &[("rewrite-target", "https://new.test/x")],
        "/old/1?q",
        Redirect(302, "https://new.test/x?q"),
    ),
    row(("Prefix", "/"), &[("app-root", "/start")], "/?q", Redirect(302, "http://{host}/start")),
    row(("Prefix", "/"), &[("app-root", "/$host/start")], "/", Redirect(302, "http://{host}/{host}/start")),
    row(
        ("ImplementationSpecific", "/a/(.*)"),
        &[("rewrite-target", "/$request_method/$1"), ("x-forwarded-prefix", "/$scheme/$1")],
        "/a/b?q",
        Arrives("/GET/b?q", "x-forwarded-prefix", Some("/http/b")),
    ),
    row(
        ("ImplementationSpecific", "/a/(.*)"),
        &[("rewrite-target", "$scheme://new.test/$1")],
        "/a/b?q",
        Redirect(302, "http://new.test/b?q"),
    ),
    row(("Prefix", "/"), &[("force-ssl-redirect", "true")], "/a/", Redirect(308, "https://{host}/a")),
    row(
        ("Prefix", "/"),
        &[("force-ssl-redirect", "true"), ("preserve-trailing-slash", "true")],
        "/a/",
        Redirect(308, "https://{host}/a/"),
    ),
    row(("Prefix", "/dir/"), &[], "/dir?q=1", Redirect(301, "http://{host}/dir/?q=1")),
    row(("Prefix", "/dir/"), &[], "/dir?", Redirect(301, "http://{host}/dir/")),
    row(("Prefix", "/dir/"), &[("relative-redirects", "true")], "/dir", Redirect(301, "/dir/")),
    row(("Prefix", "/"), &[("upstream-vhost", "inner.test")], "/", Arrives("/", "host", Some("inner.test"))),
    row(("Prefix", "/"), &[("upstream-vhost", "$request_method.test")], "/", Arrives("/", "host", Some("GET.test"))),
    row(("Prefix", "/"), &[("connection-proxy-header", "close")], "/", Arrives("/", "connection", Some("close"))),
    row(("Prefix", "/"), &[("auth-url", "http://$host/")], "/", Status(503)),
    row(("Prefix", "/"), &[("whitelist-source-range", "127.0.0.0/8,")], "/", Status(503)),
    row(("Prefix", "/"), &[("backend-protocol", "FCGI"), ("fastcgi-params-configmap", "none")], "/", Status(503)),
    row(("Prefix", "/"), &[("proxy-ssl-secret", "default/none"), ("backend-protocol", "HTTPS")], "/", Status(503)),
    row(("Exact", "/only"), &[], "/only/", Status(404)),
];

const fn row(
    path: (&'static str, &'static str),
    annotations: &'static [(&'static str, &'static str)],
    asked: &'static str,
    expect: Expect,
) -> Row {
    Row { path, annotations, asked, expect }
}

#[test]
fn annotations() {
    let upstream = Upstream::start("one");
    let manifests = Manifests::new();
    manifests.upstream(&upstream);
    for (number, row) in ROWS.iter().enumerate() {
        let host = format!("h{number}.test");
        let ingress = Ingress::new(&format!("i{number}")).rule_of(row.path.0, &host, row.path.1, "one");
        manifests.ingress(&row.annotations.iter().fold(ingress, |ingress, (key, value)| ingress.nginx(key, value)));
    }
    let proxy = Proxy::start(&manifests, &[]);
    for (number, row) in ROWS.iter().enumerate() {
        let host = format!("h{number}.test");
        let response = proxy.get(&host, row.asked);
        let what = format!("{:?} asked {}", row.annotations, row.asked);
        match row.expect {
            Redirect(status, location) => {
                let location = location.replace("{host}", &host);
                assert_eq!((response.status, response.header("location")), (status, Some(&*location)), "{what}");
            }
            Arrives(target, header, value) => {
                assert_eq!(response.status, 200, "{what}");
                let seen = response.seen();
                assert_eq!((seen.uri.as_str(), seen.header(header)), (target, value), "{what}");
            }
            Status(status) => assert_eq!(response.status, status, "{what}"),
        }
    }
}

#[test]
fn unmatched_requests_go_to_the_default_backend() {
    let (one, fallback) = (Upstream::start("one"), Upstream::start("fallback"));
    let manifests = Manifests::new();
    manifests.upstream(&one).upstream(&fallback).ingress(&Ingress::new("web").rule("a.test", "/x", "one"));
    let proxy = Proxy::start(&manifests, &["--default-backend-service=default/fallback"]);
    for (host, target) in [("unknown.test", "/any?q"), ("a.test", "/y")] {
        let seen = proxy.get(host, target).seen();
        assert_eq!((seen.backend.as_str(), seen.uri.as_str()), ("fallback", target));
    }
    assert_eq!(proxy.get("a.test", "/x").seen().backend, "one");
    manifests.service("fallback", &[]);
    proxy.wait_until("unknown.test", "/", |response| response.status == 404);
    let refused = Proxy::try_start(&manifests, &["--default-backend-service=default/gone"], &[]);
    assert!(refused.is_err_and(|log| log.contains("default/gone")), "as ingress-nginx, it does not start");
}

#[test]
fn the_default_certificate_is_the_flags_one() {
    let manifests = Manifests::new();
    manifests.tls_secret("mine", &Identity::self_signed(&["mine.test"]));
    let proxy = Proxy::start(&manifests, &["--default-ssl-certificate=default/mine"]);
    let client = Raw::connect_tls(proxy.https(), "other.test", &[]);
    assert_eq!(certs::dns_names(client.peer().chain.first().unwrap()), ["mine.test"]);
}

#[test]
fn aliases_lead_to_all_of_the_host() {
    let upstream = Upstream::start("one");
    let manifests = Manifests::new();
    let ingress =
        Ingress::new("web").rule("a.test", "/", "one").nginx("server-alias", "b.test,*.c.test,~^d[0-9]+\\.test$");
    manifests.upstream(&upstream).ingress(&ingress);
    let proxy = Proxy::start(&manifests, &[]);
    for (host, status) in [("b.test", 200), ("x.y.c.test", 200), ("d7.test", 200), ("c.test", 404), ("dx.test", 404)] {
        assert_eq!(proxy.get(host, "/").status, status, "{host}");
    }
}

#[test]
fn external_names_and_cluster_ips_are_endpoints() {
    let upstream = Upstream::start_at("one", "127.0.0.9:0".parse().unwrap());
    let (ip, port) = (upstream.addr().ip(), upstream.addr().port());
    let manifests = Manifests::new();
    let service =
        |name: &str, spec: &str| format!("apiVersion: v1\nkind: Service\nmetadata: {{name: {name}}}\nspec: {spec}\n");
    manifests.write(
        "name.yaml",
        &service("named", &format!("{{type: ExternalName, externalName: {ip}, ports: [{{port: {port}}}]}}")),
    );
    manifests.write(
        "self.yaml",
        &service("self", &format!("{{type: ExternalName, externalName: localhost, ports: [{{port: {port}}}]}}")),
    );
    manifests.write("none.yaml", &service("none", "{type: ExternalName, externalName: none.invalid}"));
    manifests.write("r4.yaml", &Ingress::new("none").rule("none.test", "/", "none").yaml());
    manifests.write("ip.yaml", &service("ip", &format!("{{clusterIP: {ip}, ports: [{{name: http, port: {port}}}]}}")));
    let rule = |host: &str, service: &str| {
        Ingress::new(service).rule(host, "/", service).yaml().replace("number: 80", &format!("number: {port}"))
    };
    manifests.write("r1.yaml", &rule("named.test", "named")).write("r2.yaml", &rule("self.test", "self"));
    let by_ip = Ingress::new("ip").rule("ip.test", "/", "ip").nginx("service-upstream", "true").yaml();
    manifests.write("r3.yaml", &by_ip.replace("number: 80", &format!("number: {port}")));
    let proxy = Proxy::start(&manifests, &[]);
    assert_eq!(proxy.get("named.test", "/").status, 200);
    assert_eq!(proxy.get("self.test", "/").status, 503);
    assert_eq!(proxy.get("none.test", "/").status, 502);
    assert_eq!(proxy.get("ip.test", "/").status, 200);
}

#[test]
fn pools_survive_table_swaps() {
    let (upstream, manifests, proxy) = crate::one(&[]);
    let mut client = Raw::connect(proxy.http());
    for round in 0..10 {
        assert_eq!(client.get("a.test", "/").status, 200);
        let path = format!("/{round}");
        manifests.ingress(&Ingress::new("more").rule("b.test", &path, "one"));
        // Asked over the same connection, so that the same worker's pool answers.
        let served =
            crate::kit::eventually(crate::kit::DEADLINE, || (client.get("b.test", &path).status == 200).then_some(()));
        assert!(served.is_some());
    }
    assert_eq!(upstream.connections(), 1);
}
