//! Which endpoint is asked: schemes, hashes and sessions (contract §17), and what a canary does with sessions (§16).

use std::collections::BTreeMap;
use std::net::SocketAddr;

use crate::kit::{DEADLINE, Ingress, Manifests, Proxy, Raw, Response, Upstream, eventually};

/// One Service with these endpoints behind `a.test`, and an Ingress with these annotations. There is one worker, since
/// each learns of load on its own.
fn start(addresses: &[SocketAddr], annotations: &[(&str, &str)]) -> (Manifests, Proxy) {
    let manifests = Manifests::new();
    manifests.service("web", addresses).ingress(&ingress("web", annotations).rule("a.test", "/app", "web"));
    let proxy = Proxy::start(&manifests, &["--workers", "1"]);
    (manifests, proxy)
}

fn ingress(name: &str, annotations: &[(&str, &str)]) -> Ingress {
    annotations.iter().fold(Ingress::new(name), |ingress, (key, value)| ingress.nginx(key, value))
}

fn upstreams(names: &[&str]) -> Vec<Upstream> {
    names.iter().map(|name| Upstream::start(name)).collect()
}

fn addresses(upstreams: &[Upstream]) -> Vec<SocketAddr> {
    upstreams.iter().map(Upstream::addr).collect()
}

fn backend(response: &Response) -> String {
    response.header("x-backend").expect("a backend answered").to_owned()
}

/// Who answered how many of the requests for these targets.
fn spread(proxy: &Proxy, targets: impl Iterator<Item = String>) -> BTreeMap<String, u32> {
    let mut connection = Raw::connect(proxy.http());
    let mut answered = BTreeMap::new();
    for target in targets {
        *answered.entry(backend(&connection.get("a.test", &target))).or_default() += 1;
    }
    answered
}

fn same(count: usize) -> impl Iterator<Item = String> {
    std::iter::repeat_n("/app".to_owned(), count)
}

fn different(count: usize) -> impl Iterator<Item = String> {
    (0..count).map(|number| format!("/app/{number}"))
}

/// Annotations, how many answer one URI, how many answer many.
type Row = (&'static [(&'static str, &'static str)], usize, usize);

#[test]
fn schemes_spread_as_they_say() {
    let all = upstreams(&["one", "two", "three"]);
    let rows: [Row; 9] = [
        (&[], 3, 3),
        (&[("load-balance", "round_robin")], 3, 3),
        (&[("load-balance", "least_connections")], 3, 3),
        (&[("load-balance", "sticky_persistent")], 3, 3),
        (&[("load-balance", "chash")], 1, 1),
        (&[("upstream-hash-by", "$request_uri")], 1, 3),
        (&[("upstream-hash-by", "$host-$http_x_nothing")], 1, 1),
        (&[("upstream-hash-by", "$request_uri"), ("load-balance", "ewma")], 1, 3),
        (
            &[
                ("upstream-hash-by", "$request_uri"),
                ("upstream-hash-by-subset", "true"),
                ("upstream-hash-by-subset-size", "2"),
            ],
            2,
            3,
        ),
    ];
    let manifests = Manifests::new();
    for (number, (annotations, ..)) in rows.iter().enumerate() {
        let service = format!("web{number}");
        manifests.service(&service, &addresses(&all));
        let rule = ingress(&service, annotations).rule(&format!("h{number}.test"), "/", &service);
        manifests.ingress(&rule);
    }
    let proxy = Proxy::start(&manifests, &[]);
    for (number, (annotations, one, many)) in rows.iter().enumerate() {
        let mut connection = Raw::connect(proxy.http());
        let mut answering = |targets: &mut dyn Iterator<Item = String>| {
            let names: std::collections::BTreeSet<String> =
                targets.map(|target| backend(&connection.get(&format!("h{number}.test"), &target))).collect();
            names.len()
        };
        assert_eq!(answering(&mut same(60)), *one, "{annotations:?} with one URI");
        assert_eq!(answering(&mut different(60)), *many, "{annotations:?} with many");
    }
}

#[test]
fn the_first_ingress_of_a_service_decides() {
    let all = upstreams(&["one", "two", "three"]);
    let manifests = Manifests::new();
    manifests.service("web", &addresses(&all));
    let first = ingress("z-first", &[("upstream-hash-by", "$host")]).created("2026-01-01T00:00:00Z");
    let second = ingress("a-second", &[("upstream-hash-by", "$request_uri")]).created("2026-01-02T00:00:00Z");
    manifests.ingress(&first.rule("b.test", "/", "web")).ingress(&second.rule("a.test", "/", "web"));
    let proxy = Proxy::start(&manifests, &[]);
    assert_eq!(spread(&proxy, different(20)).len(), 1);
}

#[test]
fn ewma_prefers_the_fast_one() {
    let all = upstreams(&["fast", "slow"]);
    all[1].set("x-test-delay-ms", "60");
    let (_manifests, proxy) = start(&addresses(&all), &[("load-balance", "ewma")]);
    let answered = spread(&proxy, same(150));
    let slow = answered.get("slow").copied().unwrap_or_default();
    assert!(slow < 40, "{answered:?}");
}

#[test]
fn least_connections_keeps_away_from_who_is_busy() {
    let all = upstreams(&["busy", "idle"]);
    all[0].set("x-test-delay-ms", "3000");
    let (_manifests, proxy) = start(&addresses(&all), &[("load-balance", "least_connections")]);
    let mut waiting = Vec::new();
    for number in 1..=24 {
        let mut connection = Raw::connect(proxy.http());
        connection.send("GET /app HTTP/1.1\r\nHost: a.test\r\n\r\n");
        waiting.push(connection);
        let seen = || all.iter().map(Upstream::requests).sum::<u64>();
        assert!(eventually(DEADLINE, || (seen() >= number).then_some(())).is_some());
    }
    let answered: Vec<String> = waiting.iter_mut().map(|connection| backend(&connection.response())).collect();
    let busy = answered.iter().filter(|name| *name == "busy").count();
    // A request that is just being answered still counts, so a few more than one may meet the busy one.
    assert!((1..=8).contains(&busy), "{answered:?}");
}

#[test]
fn tries_go_to_others() {
    let good = Upstream::start("good");
    for annotation in [
        ("load-balance", "ewma"),
        ("load-balance", "least_connections"),
        ("load-balance", "sticky_balanced"),
        ("upstream-hash-by", "$request_uri"),
        ("affinity", "cookie"),
    ] {
        let (_manifests, proxy) = start(&[Upstream::refused(), good.addr()], &[annotation]);
        let statuses: Vec<u16> = (0..12).map(|n| proxy.get("a.test", &format!("/app/{n}")).status).collect();
        assert_eq!(statuses, [200; 12], "{annotation:?}");
    }
}

#[test]
fn who_leaves_moves_only_its_own_keys() {
    let all = upstreams(&["a", "b", "c", "d", "e"]);
    let (manifests, proxy) = start(&addresses(&all), &[("upstream-hash-by", "$request_uri")]);
    let owners = || -> Vec<String> {
        let mut connection = Raw::connect(proxy.http());
        different(100).map(|target| backend(&connection.get("a.test", &target))).collect()
    };
    let before = owners();
    assert_eq!(owners(), before);
    manifests.service("web", &addresses(&all[1..]));
    let gone = before.iter().position(|name| name == "a").expect("a key of the first endpoint");
    proxy.wait_until("a.test", &format!("/app/{gone}"), |response| backend(response) != "a");
    for (old, new) in before.iter().zip(owners()) {
        assert!(*old == new || old == "a", "a key went from {old} to {new}");
    }
}

#[test]
fn affinity_goes_before_a_hash() {
    let all = upstreams(&["one", "two", "three"]);
    let (_manifests, proxy) = start(
        &addresses(&all),
        &[("affinity", "cookie"), ("upstream-hash-by", "$request_uri"), ("load-balance", "ewma")],
    );
    assert_eq!(spread(&proxy, same(60)).len(), 3);
    let first = proxy.get("a.test", "/app");
    for target in different(8) {
        assert_eq!(backend(&with_cookie(&proxy, "a.test", &target, &cookie(&first))), backend(&first));
    }
}

/// `name=value` of the one cookie that a response sets.
fn cookie(response: &Response) -> String {
    let cookies = response.header_all("set-cookie");
    assert_eq!(cookies.len(), 1, "{cookies:?}");
    cookies.concat().split(';').next().unwrap_or_default().to_owned()
}

fn with_cookie(proxy: &Proxy, host: &str, target: &str, cookie: &str) -> Response {
    proxy.get_with(host, target, &[&format!("Cookie: {cookie}")])
}

#[test]
fn sessions_stay_and_cookies_come_once() {
    let all = upstreams(&["one", "two", "three"]);
    for mode in ["balanced", "persistent"] {
        let (_manifests, proxy) = start(&addresses(&all), &[("affinity", "cookie"), ("affinity-mode", mode)]);
        let first = proxy.get("a.test", "/app");
        let session = cookie(&first);
        let whole = first.header("set-cookie").unwrap_or_default();
        assert!(whole.ends_with("; Path=/app; HttpOnly"), "{whole}");
        for _ in 0..6 {
            let again = with_cookie(&proxy, "a.test", "/app/deep", &session);
            assert_eq!(backend(&again), backend(&first), "{mode}");
            assert_eq!(again.header("set-cookie"), None, "{mode}");
        }
        assert_eq!(spread(&proxy, same(60)).len(), 3, "{mode}: new clients spread");
        // Any text is a place on the ring; only names of endpoints are names.
        let foreign = with_cookie(&proxy, "a.test", "/app", "INGRESSCOOKIE=garbage");
        assert_eq!(foreign.header("set-cookie").is_some(), mode == "persistent");
        let failed = proxy.get_with("a.test", "/app", &["x-test-status: 500"]);
        assert!(failed.status == 500 && failed.header("set-cookie").is_some());
    }
}

#[test]
fn sessions_end_with_their_endpoint_in_persistent_mode() {
    let all = upstreams(&["one", "two"]);
    let (manifests, proxy) = start(&addresses(&all), &[("affinity", "cookie"), ("affinity-mode", "persistent")]);
    let first = proxy.get("a.test", "/app");
    let session = cookie(&first);
    let left: Vec<SocketAddr> =
        all.iter().filter(|upstream| upstream.name() != backend(&first)).map(Upstream::addr).collect();
    manifests.service("web", &left);
    let gone = || {
        let table = Raw::connect(proxy.health()).get("localhost", "/debug/table").text();
        table.contains(&format!("upstream default/web:80 {} affinity", left[0])).then_some(())
    };
    assert!(eventually(DEADLINE, gone).is_some());
    let moved = with_cookie(&proxy, "a.test", "/app", &session);
    assert_ne!(backend(&moved), backend(&first));
    assert_ne!(cookie(&moved), session);
}

#[test]
fn failures_change_a_session_only_when_asked() {
    let (good, bad) = (Upstream::start("good"), Upstream::start("bad"));
    for (change, expected) in [("true", 200), ("false", 502)] {
        let annotations =
            [("affinity", "cookie"), ("session-cookie-change-on-failure", change), ("affinity-mode", "persistent")];
        let (_manifests, proxy) = start(&[bad.addr(), good.addr()], &annotations);
        let session = (0..100).map(|_| proxy.get("a.test", "/app")).find(|response| backend(response) == "bad");
        let session = cookie(&session.expect("a session with the bad one"));
        bad.set("x-test-close", "1");
        let response = with_cookie(&proxy, "a.test", "/app", &session);
        assert_eq!(response.status, expected, "{change}");
        assert_eq!(response.header("set-cookie").is_some(), change == "true");
        bad.reset_behaviour();
    }
}

#[test]
fn cookies_are_given_only_where_the_ingress_asks() {
    let all = upstreams(&["one", "two"]);
    let manifests = Manifests::new();
    manifests.service("web", &addresses(&all));
    let with = ingress("b", &[("affinity", "cookie"), ("session-cookie-name", "s")]);
    manifests
        .ingress(&with.rule("a.test", "/with", "web"))
        .ingress(&ingress("a", &[]).rule("a.test", "/without", "web"));
    let proxy = Proxy::start(&manifests, &[]);
    let session = cookie(&proxy.get("a.test", "/with"));
    assert_eq!(proxy.get("a.test", "/without").header("set-cookie"), None);
    let who: Vec<String> = (0..8).map(|_| backend(&with_cookie(&proxy, "a.test", "/without", &session))).collect();
    assert!(who.iter().all(|name| *name == who[0]), "{who:?}");
}

#[test]
fn sessions_go_before_the_rules_of_a_canary() {
    for (behaviour, stays) in [("sticky", true), ("legacy", false)] {
        let (main, next) = (Upstream::start("main"), Upstream::start("next"));
        let manifests = Manifests::new();
        manifests.upstream(&main).upstream(&next);
        manifests.ingress(&ingress("web", &[("affinity", "cookie")]).rule("a.test", "/", "main"));
        let canary = ingress(
            "canary",
            &[("canary", "true"), ("canary-by-header", "X-Canary"), ("affinity-canary-behavior", behaviour)],
        );
        manifests.ingress(&canary.created("2026-02-01T00:00:00Z").rule("a.test", "/", "next"));
        let proxy = Proxy::start(&manifests, &[]);
        let on_main = cookie(&proxy.get("a.test", "/"));
        let fields = |session: &str, rule: &str| {
            let (cookie, header) = (format!("Cookie: {session}"), format!("X-Canary: {rule}"));
            backend(&proxy.get_with("a.test", "/", &[&cookie, &header]))
        };
        assert_eq!(fields(&on_main, "always"), "main", "{behaviour}: a session of main stays there");
        let chosen = proxy.get_with("a.test", "/", &["X-Canary: always"]);
        assert_eq!(backend(&chosen), "next");
        assert_eq!(chosen.header("set-cookie").is_some(), stays);
        if stays {
            assert_eq!(fields(&cookie(&chosen), "never"), "next", "a session of the canary stays there");
        }
        assert_eq!(fields("INGRESSCOOKIE=x|y", "always"), "next", "{behaviour}: a foreign cookie decides nothing");
    }
}
