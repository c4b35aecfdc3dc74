//! Who may enter: how often, and how many at once, on real sockets.

use super::{from, served};
use crate::kit::{DEADLINE, H2, Proxy, Raw, eventually};

fn passed(proxy: &Proxy, client: u8, host: &str, count: usize, refusal: u16) -> usize {
    let statuses: Vec<u16> = (0..count).map(|_| from(proxy, client, host, "/", &[]).status).collect();
    assert!(statuses.iter().all(|status| [200, refusal].contains(status)), "{statuses:?}");
    statuses.iter().filter(|status| **status == 200).count()
}

#[test]
fn rates() {
    let hosts: &[&[(&str, &str)]] = &[
        &[("limit-rpm", "1"), ("limit-burst-multiplier", "3")],
        &[("limit-rpm", "1")],
        &[("limit-rpm", "1"), ("limit-whitelist", "127.0.0.9")],
        &[("limit-rps", "1000"), ("limit-rpm", "1"), ("limit-burst-multiplier", "1")],
    ];
    let (_upstream, manifests, proxy) = served(&[], hosts);
    assert_eq!(passed(&proxy, 1, "h0.test", 8, 503), 4, "the first, and three more");
    assert_eq!(passed(&proxy, 2, "h0.test", 8, 503), 4, "another client");
    assert_eq!(passed(&proxy, 1, "h1.test", 8, 503), 6, "another Ingress, with the usual multiplier");
    assert_eq!(passed(&proxy, 9, "h2.test", 20, 503), 20, "who is not limited");
    assert_eq!(passed(&proxy, 1, "h3.test", 8, 503), 2, "the narrower one decides");
    // What was counted outlives the table.
    let settings = [("limit-req-status-code", "429"), ("ssl-redirect", "false")];
    manifests.config_map("default", "settings", &settings);
    proxy.wait_until("h0.test", "/", |answer| answer.status == 429);
    assert_eq!(passed(&proxy, 1, "h0.test", 4, 429), 0);
}

#[test]
fn clients_are_told_apart_by_a_variable() {
    let hosts: &[&[(&str, &str)]] = &[&[("limit-rpm", "1"), ("limit-burst-multiplier", "1")]];
    let (_upstream, _manifests, proxy) = served(&[("limit-conn-zone-variable", "$http_x_client")], hosts);
    let statuses =
        |field: &[&str]| -> Vec<u16> { (0..3).map(|_| from(&proxy, 1, "h0.test", "/", field).status).collect() };
    assert_eq!(statuses(&["X-Client: a"]), [200, 200, 503]);
    assert_eq!(statuses(&["X-Client: b"]), [200, 200, 503]);
    assert_eq!(statuses(&[]), [200, 200, 200], "who has no key is not counted");
}

#[test]
fn connections_are_requests_under_way() {
    let hosts: &[&[(&str, &str)]] = &[&[("limit-connections", "1")]];
    let (_upstream, _manifests, proxy) = served(&[("limit-conn-status-code", "429")], hosts);
    // An upgraded connection is a request until it ends.
    let mut long = Raw::connect(proxy.http());
    assert_eq!(long.websocket("h0.test", "/").status, 101);
    assert_eq!(proxy.get("h0.test", "/").status, 429);
    assert_eq!(from(&proxy, 2, "h0.test", "/", &[]).status, 200);
    drop(long);
    proxy.wait_until("h0.test", "/", |answer| answer.status == 200);
    let h2 = H2::connect(proxy.http());
    let slow = |number: usize| {
        h2.start("GET", "h0.test", "/", &[("x-test-delay-ms", "300"), ("x-n", &number.to_string())], b"")
    };
    let pending: Vec<_> = (0..3).map(slow).collect();
    let mut statuses: Vec<u16> = pending.into_iter().map(|p| p.wait().unwrap().status).collect();
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 429, 429], "each stream counts");
    assert!(eventually(DEADLINE, || (h2.get("h0.test", "/").status == 200).then_some(())).is_some());
}

#[test]
fn limits_come_before_lists_and_after_who_is_not_there() {
    let nobody = ("whitelist-source-range", "10.0.0.0/8");
    let hosts: &[&[(&str, &str)]] = &[
        &[("limit-rpm", "1"), ("limit-burst-multiplier", "1"), nobody],
        &[("limit-rpm", "1"), ("limit-burst-multiplier", "1"), ("force-ssl-redirect", "true")],
    ];
    let (_upstream, manifests, proxy) = served(&[("limit-req-status-code", "429")], hosts);
    let statuses = |host| -> Vec<u16> { (0..4).map(|_| proxy.get(host, "/").status).collect() };
    assert_eq!(statuses("h0.test"), [403, 403, 429, 429]);
    assert_eq!(statuses("h1.test"), [308; 4], "a redirect is not counted");
    manifests.service("one", &[]);
    proxy.wait_until("h0.test", "/", |answer| answer.status == 503);
}
