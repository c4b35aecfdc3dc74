//! TLS towards upstreams: whose certificate is believed, which is shown, and which paths of a host it holds for.

use std::net::{Ipv4Addr, SocketAddr};

use crate::kit::{Authority, Identity, Ingress, Manifests, Proxy, Upstream};

fn upstream(identity: &Identity) -> Upstream {
    Upstream::start_with("one", SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), identity)
}

/// A chain that is sent whole.
fn with(leaf: Identity, between: &[&Authority]) -> Identity {
    let cert_pem = between.iter().fold(leaf.cert_pem.clone(), |pem, authority| pem + &authority.pem());
    Identity { cert_pem, ..leaf }
}

#[test]
fn whose_certificate_is_believed() {
    let (root, other) = (Authority::new("Root"), Authority::new("Other"));
    let one = root.intermediate("One");
    let two = one.intermediate("Two");
    let names = &["inner.test"];
    let good = root.issue("inner.test", names);
    let deep = with(one.issue("inner.test", names), &[&one]);
    let deeper = with(two.issue("inner.test", names), &[&two, &one]);
    let own = Identity::self_signed(names);
    let rows = [
        ("good", &good, root.pem(), &[][..], 200),
        ("another name", &good, root.pem(), &[("proxy-ssl-name", "outer.test")], 502),
        ("another authority", &good, other.pem(), &[], 502),
        ("one between", &deep, root.pem(), &[], 200),
        ("two between", &deeper, root.pem(), &[], 502),
        ("two between, and allowed", &deeper, root.pem(), &[("proxy-ssl-verify-depth", "2")], 200),
        ("0 is 1", &deep, root.pem(), &[("proxy-ssl-verify-depth", "0")], 200),
        ("listed itself", &own, own.cert_pem.clone(), &[], 200),
        ("listed itself under another name", &own, own.cert_pem.clone(), &[("proxy-ssl-name", "outer.test")], 502),
        ("not verified", &good, other.pem(), &[("proxy-ssl-verify", "off")], 200),
        ("with ciphers", &good, root.pem(), &[("proxy-ssl-ciphers", "ECDHE+AES256")], 200),
    ];
    for (what, identity, ca, more, status) in rows {
        let upstream = upstream(identity);
        let manifests = Manifests::new();
        manifests.upstream_tls(&upstream).secret("ca", &[("ca.crt", &ca)]);
        let settings = [
            ("backend-protocol", "HTTPS"),
            ("proxy-ssl-secret", "default/ca"),
            ("proxy-ssl-verify", "on"),
            ("proxy-ssl-name", "inner.test"),
        ];
        let kept = settings.iter().filter(|(key, _)| !more.iter().any(|(other, _)| other == key));
        let ingress = Ingress::new("web").rule("a.test", "/", "one");
        manifests.ingress(&kept.chain(more).fold(ingress, |ingress, (key, value)| ingress.nginx(key, value)));
        let proxy = Proxy::start(&manifests, &[]);
        let answer = proxy.get("a.test", "/");
        assert_eq!(answer.status, status, "{what}: {}", answer.text());
    }
}

#[test]
fn a_host_shares_its_secret() {
    let ca = Authority::new("Root");
    let upstream = upstream(&ca.issue("one", &["one"]));
    let client = ca.issue("client", &[]);
    for (map, shared) in [(&[][..], Some("CN=client")), (&[("proxy-ssl-location-only", "true")], None)] {
        let manifests = Manifests::new();
        manifests.upstream_tls(&upstream).tls_secret("client", &client).config_map("ns", "config", map);
        let https = |name: &str, host: &str, path: &str| {
            Ingress::new(name).rule(host, path, "one").nginx("backend-protocol", "HTTPS")
        };
        manifests.ingress(&https("with", "a.test", "/with").nginx("proxy-ssl-secret", "default/client"));
        manifests.ingress(&https("without", "a.test", "/without")).ingress(&https("other", "b.test", "/"));
        let proxy = Proxy::start(&manifests, &["--configmap=ns/config"]);
        let rows = [("a.test", "/with", Some("CN=client")), ("a.test", "/without", shared), ("b.test", "/", None)];
        for (host, path, expected) in rows {
            assert_eq!(proxy.get(host, path).seen().client_cert.as_deref(), expected, "{map:?} {host}{path}");
        }
    }
}
