//! TLS towards clients: which certificate, its replacement, redirects, HSTS.

use crate::kit::certs::{dns_names, subject};
use crate::kit::{Identity, Ingress, Manifests, Proxy, Raw, Upstream};

fn names(proxy: &Proxy, sni: &str) -> Vec<String> {
    let client = Raw::connect_tls(proxy.https(), sni, &["h2", "http/1.1"]);
    dns_names(client.peer().chain.first().expect("a certificate"))
}

#[test]
fn certificates_by_name_and_replaced_live() {
    let upstream = Upstream::start("one");
    let manifests = Manifests::new();
    let ingress = Ingress::new("web").rule("a.test", "/", "one").rule("*.w.test", "/", "one");
    let ingress = ingress.tls(&["a.test"], Some("exact")).tls(&["*.w.test"], Some("wild"));
    manifests.upstream(&upstream).tls_secret("exact", &Identity::self_signed(&["a.test"]));
    manifests.tls_secret("wild", &Identity::self_signed(&["*.w.test"])).ingress(&ingress);
    let proxy = Proxy::start(&manifests, &[]);
    assert_eq!(names(&proxy, "a.test"), ["a.test"]);
    assert_eq!(names(&proxy, "x.w.test"), ["*.w.test"]);
    assert_eq!(names(&proxy, "y.x.w.test"), ["ingress.local"]);
    assert_eq!(names(&proxy, "unknown.test"), ["ingress.local"]);
    let fake = Raw::connect_tls(proxy.https(), "", &[]);
    let dn = subject(fake.peer().chain.first().unwrap()).unwrap();
    assert!(dn.contains("Kubernetes Ingress Controller Fake Certificate") && dn.contains("Acme Co"), "{dn}");

    let mut open = Raw::connect_tls(proxy.https(), "a.test", &["http/1.1"]);
    manifests.tls_secret("exact", &Identity::self_signed(&["a.test", "new.test"]));
    let replaced = crate::kit::eventually(crate::kit::DEADLINE, || (names(&proxy, "a.test").len() == 2).then_some(()));
    assert!(replaced.is_some(), "the new certificate was not served");
    assert_eq!(open.get("a.test", "/").status, 200, "an open connection lives on");

    manifests.secret("exact", &[("tls.crt", "garbage"), ("tls.key", "garbage")]);
    assert!(proxy.wait_for_stderr("tls.crt").is_some(), "a broken Secret is told");
    assert_eq!(names(&proxy, "a.test"), ["a.test", "new.test"], "the last good certificate stays");
    assert_eq!(names(&proxy, "x.w.test"), ["*.w.test"]);
}

#[test]
fn tls_hosts_redirect_and_say_hsts() {
    let upstream = Upstream::start("one");
    let manifests = Manifests::new();
    let ingress = Ingress::new("web").rule("a.test", "/", "one").tls(&["a.test"], None);
    manifests.upstream(&upstream).ingress(&ingress);
    let proxy = Proxy::start(&manifests, &[]);
    let redirect = proxy.get("a.test", "/x/?q=1");
    assert_eq!((redirect.status, redirect.header("location")), (308, Some("https://a.test/x/?q=1")));
    assert_eq!(redirect.header("strict-transport-security"), None);
    let hsts = Some("max-age=31536000; includeSubDomains");
    assert_eq!(proxy.get_tls("a.test", "/").header("strict-transport-security"), hsts);
    assert_eq!(proxy.get_tls("unknown.test", "/").header("strict-transport-security"), hsts);
}

#[test]
fn plain_http_on_the_tls_port_is_told_so() {
    let manifests = Manifests::new();
    let proxy = Proxy::start(&manifests, &[]);
    let response = Raw::connect(proxy.https()).get("a.test", "/");
    assert_eq!(response.status, 400);
    assert!(response.text().contains("The plain HTTP request was sent to HTTPS port"));
}
