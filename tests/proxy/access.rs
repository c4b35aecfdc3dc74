//! Who may enter: networks, passwords and limits, on real sockets.

#[path = "access_limits.rs"]
mod limits;
#[path = "access_login.rs"]
mod login;

use std::net::{IpAddr, Ipv4Addr};

use crate::kit::{Ingress, Manifests, Proxy, Raw, Response, Upstream};

const SETTINGS: &str = "--configmap=default/settings";

/// Asks from `127.0.0.<last>`.
fn from(proxy: &Proxy, last: u8, host: &str, target: &str, fields: &[&str]) -> Response {
    Raw::connect_from(IpAddr::V4(Ipv4Addr::new(127, 0, 0, last)), proxy.http()).get_with(host, target, fields)
}

/// One upstream, the ConfigMap with these settings, and for each list of annotations the host `h<i>.test`.
fn served(settings: &[(&str, &str)], hosts: &[&[(&str, &str)]]) -> (Upstream, Manifests, Proxy) {
    served_with(settings, hosts, |_| ())
}

/// The same with more manifests.
fn served_with(
    settings: &[(&str, &str)],
    hosts: &[&[(&str, &str)]],
    more: impl Fn(&Manifests),
) -> (Upstream, Manifests, Proxy) {
    let upstream = Upstream::start("one");
    let manifests = Manifests::new();
    manifests.upstream(&upstream).config_map("default", "settings", settings);
    for (number, annotations) in hosts.iter().enumerate() {
        let ingress = Ingress::new(&format!("i{number}")).rule(&format!("h{number}.test"), "/", "one");
        manifests.ingress(&annotations.iter().fold(ingress, |ingress, (key, value)| ingress.nginx(key, value)));
    }
    more(&manifests);
    let proxy = Proxy::start(&manifests, &[SETTINGS]);
    (upstream, manifests, proxy)
}

#[test]
fn networks() {
    let hosts: &[&[(&str, &str)]] = &[
        &[],
        &[("whitelist-source-range", "127.0.0.9, 127.0.0.4")],
        &[("denylist-source-range", "127.0.0.9")],
        &[("whitelist-source-range", "127.0.0.0/29"), ("denylist-source-range", "127.0.0.2")],
        &[("whitelist-source-range", "")],
        &[("whitelist-source-range", "127.0.0.9"), ("allowlist-source-range", "127.0.0.1")],
    ];
    let (_upstream, _manifests, proxy) = served(&[("block-cidrs", "127.0.0.4/32, 127.0.0.5")], hosts);
    let rows = [
        (0, 1, 200),
        (0, 4, 403),
        (0, 5, 403),
        // A location with a list of its own has none of the server's.
        (1, 4, 200),
        (1, 9, 200),
        (1, 1, 403),
        (2, 9, 403),
        (2, 4, 200),
        (3, 1, 200),
        (3, 2, 403),
        (3, 9, 403),
        (4, 9, 200),
        (5, 1, 200),
        (5, 9, 403),
    ];
    for (host, client, status) in rows {
        let answer = from(&proxy, client, &format!("h{host}.test"), "/", &[]);
        assert_eq!(answer.status, status, "{:?} from {client}", hosts[host]);
    }
    assert_eq!(from(&proxy, 4, "unknown.test", "/", &[]).status, 403, "the default server is the server's, too");
    assert_eq!(from(&proxy, 1, "unknown.test", "/", &[]).status, 404);
}

#[test]
fn lists_of_the_controller_are_defaults() {
    let hosts: &[&[(&str, &str)]] = &[&[], &[("whitelist-source-range", "127.0.0.9")]];
    let settings = [("whitelist-source-range", "127.0.0.0/29,"), ("denylist-source-range", "127.0.0.3")];
    let (_upstream, manifests, proxy) = served(&settings, hosts);
    for (host, client, status) in [(0, 1, 200), (0, 9, 403), (0, 3, 403), (1, 9, 200), (1, 1, 403), (1, 3, 403)] {
        assert_eq!(from(&proxy, client, &format!("h{host}.test"), "/", &[]).status, status, "{host} from {client}");
    }
    assert_eq!(from(&proxy, 9, "unknown.test", "/", &[]).status, 404, "they are not about the default server");
    manifests.config_map("default", "settings", &[("whitelist-source-range", "everybody")]);
    proxy.wait_until("h0.test", "/", |answer| answer.status == 503);
    assert!(proxy.wait_for_stderr("whitelist-source-range").is_some());
}

#[test]
fn blocked_agents_and_referers_are_answered_before_anything_else() {
    let settings =
        [("block-user-agents", "~*badbot, exact-bot"), ("block-referers", "~*evil.test"), ("ssl-redirect", "true")];
    let hosts: &[&[(&str, &str)]] = &[&[], &[("app-root", "/start")], &[("force-ssl-redirect", "true")]];
    let (_upstream, _manifests, proxy) = served(&settings, hosts);
    let bad = ["User-Agent: My BadBot 1", "User-Agent: Exact-Bot", "Referer: http://evil.test/x"];
    for host in ["h0.test", "h1.test", "h2.test", "unknown.test"] {
        for field in bad {
            assert_eq!(from(&proxy, 1, host, "/", &[field]).status, 403, "{host} {field}");
        }
    }
    assert_eq!(from(&proxy, 1, "h0.test", "/", &["User-Agent: exact-bot/2", "Referer: http://a.test"]).status, 200);
    assert_eq!(from(&proxy, 1, "unknown.test", "/healthz", &[bad[0]]).status, 403);
}

/// Contract §6, as far as it is about who may enter.
#[test]
fn what_is_answered_first() {
    let nobody = ("whitelist-source-range", "10.0.0.0/8");
    let hosts: &[&[(&str, &str)]] =
        &[&[nobody, ("force-ssl-redirect", "true"), ("proxy-body-size", "4")], &[nobody], &[nobody]];
    let (_upstream, manifests, proxy) = served(&[], hosts);
    let post = "POST / HTTP/1.1\r\nHost: h0.test\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello";
    assert_eq!(Raw::connect(proxy.http()).request(post).status, 413, "413 before all");
    assert_eq!(proxy.get("h0.test", "/").status, 308, "a redirect before the lists");
    let elsewhere = Ingress::new("i2").rule("h2.test", "/x", "one").nginx(nobody.0, nobody.1);
    manifests.ingress(&elsewhere);
    proxy.wait_until("h2.test", "/x", |answer| answer.status == 403);
    assert_eq!(proxy.get("h2.test", "/y").status, 403, "a 404 after the lists");
    manifests.service("one", &[]);
    proxy.wait_until("h1.test", "/", |answer| answer.status == 503);
    assert_eq!(proxy.get("h2.test", "/x").status, 503, "nobody there before the lists");
}
