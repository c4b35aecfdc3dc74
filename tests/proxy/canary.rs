//! Canary Ingresses: who is asked, and what an operator sees of it (contract §16).

use std::collections::BTreeMap;

use crate::kit::{DEADLINE, Ingress, Manifests, Proxy, Raw, Upstream, eventually};

/// A main Ingress for `a.test` and one that is its canary.
struct World {
    main: Upstream,
    canary: Upstream,
    manifests: Manifests,
    proxy: Proxy,
}

fn canary(annotations: &[(&str, &str)]) -> Ingress {
    let ingress = Ingress::new("web-canary").created("2026-02-01T00:00:00Z").rule("a.test", "/", "next");
    annotations.iter().fold(ingress.nginx("canary", "true"), |ingress, (key, value)| ingress.nginx(key, value))
}

fn start(annotations: &[(&str, &str)]) -> World {
    let (main, next) = (Upstream::start("main"), Upstream::start("next"));
    let manifests = Manifests::new();
    manifests.upstream(&main).upstream(&next);
    manifests.ingress(&Ingress::new("web").rule("a.test", "/", "main")).ingress(&canary(annotations));
    let proxy = Proxy::start(&manifests, &[]);
    World { main, canary: next, manifests, proxy }
}

/// How many of that many requests each backend answered, over a few connections.
fn spread(proxy: &Proxy, requests: usize) -> BTreeMap<String, usize> {
    let mut answered = BTreeMap::new();
    for _ in 0..requests.div_ceil(500) {
        let mut connection = Raw::connect(proxy.http());
        for _ in 0..requests.min(500) {
            let response = connection.get("a.test", "/");
            assert_eq!(response.status, 200);
            *answered.entry(response.header("x-backend").expect("a backend").to_owned()).or_default() += 1;
        }
    }
    answered
}

/// Whether the canary got its share of 2000 requests. Five standard deviations are at most 5.6 percent of them, so that
/// chance fails this in one of a million runs.
fn has_share(proxy: &Proxy, share: f64) {
    let answered = spread(proxy, 2000).get("next").copied().unwrap_or_default() as f64 / 2000.0;
    assert!((answered - share).abs() < 0.056, "{answered} of all requests, not {share}");
}

#[test]
fn weights_share_requests() {
    let world = start(&[("canary-weight", "20")]);
    has_share(&world.proxy, 0.2);
    world.manifests.ingress(&canary(&[("canary-weight", "150"), ("canary-weight-total", "200")]));
    assert!(eventually(DEADLINE, || table(&world.proxy).contains("weight=150/200").then_some(())).is_some());
    has_share(&world.proxy, 0.75);
}

#[test]
fn nothing_and_everything_are_exact() {
    let world = start(&[]);
    assert_eq!(spread(&world.proxy, 500), BTreeMap::from([("main".to_owned(), 500)]));
    world.manifests.ingress(&canary(&[("canary-weight", "100")]));
    world.proxy.wait_until("a.test", "/", |r| r.header("x-backend") == Some("next"));
    assert_eq!(spread(&world.proxy, 500), BTreeMap::from([("next".to_owned(), 500)]));
}

/// Annotations, fields of the request, who answers.
type Row = (&'static [(&'static str, &'static str)], &'static [&'static str], &'static str);

const HEADER: (&str, &str) = ("canary-by-header", "X-Canary");
const COOKIE: (&str, &str) = ("canary-by-cookie", "kanarie");
const ALL: (&str, &str) = ("canary-weight", "100");

const ROWS: &[Row] = &[
    (&[HEADER], &["X-Canary: always"], "next"),
    (&[HEADER], &["X-Canary: never"], "main"),
    (&[HEADER], &["X-Canary: foo"], "main"),
    (&[HEADER], &["x-canary: always", "x-canary: always"], "main"),
    (&[HEADER, ALL], &["X-Canary: never"], "main"),
    (&[HEADER, ALL], &["X-Canary: foo"], "next"),
    (&[("canary-by-header", "X_Canary")], &["X-Canary: always"], "next"),
    (&[("canary-by-header", "X_Canary")], &["X_Canary: always"], "main"),
    (&[HEADER, ("canary-by-header-value", "DoCanary")], &["X-Canary: DoCanary"], "next"),
    (&[HEADER, ("canary-by-header-value", "DoCanary")], &["X-Canary: docanary"], "main"),
    (&[HEADER, ("canary-by-header-value", "DoCanary")], &["X-Canary: always"], "main"),
    (&[HEADER, ("canary-by-header-pattern", "^v[0-9]+$")], &["X-Canary: v12"], "next"),
    (&[HEADER, ("canary-by-header-pattern", "^v[0-9]+$")], &["X-Canary: V12"], "main"),
    (&[HEADER, ("canary-by-header-pattern", "^v[0-9]+$")], &["X-Canary: always"], "main"),
    (&[HEADER, ("canary-by-header-pattern", "^v"), ("canary-by-header-value", "x")], &["X-Canary: v1"], "main"),
    (&[HEADER, ("canary-by-header-pattern", "(v)\\1"), ALL], &["X-Canary: vv"], "main"),
    (&[HEADER, ("canary-by-header-pattern", "(v)\\1"), ALL], &[], "next"),
    (&[COOKIE], &["Cookie: a=b; kanarie=always"], "next"),
    (&[COOKIE], &["Cookie: kanarie=maybe"], "main"),
    (&[COOKIE, ALL], &["Cookie: kanarie=never"], "main"),
    (&[HEADER, COOKIE], &["X-Canary: never", "Cookie: kanarie=always"], "main"),
    (&[HEADER, COOKIE], &["X-Canary: foo", "Cookie: kanarie=always"], "next"),
    // Location annotations of a canary do nothing.
    (&[ALL, ("rewrite-target", "/x"), ("whitelist-source-range", "10.0.0.0/8")], &[], "next"),
];

#[test]
fn headers_and_cookies_choose() {
    let (main, next) = (Upstream::start("main"), Upstream::start("next"));
    let manifests = Manifests::new();
    for (number, (annotations, _, _)) in ROWS.iter().enumerate() {
        let (host, service) = (format!("h{number}.test"), format!("main{number}"));
        let canary = format!("next{number}");
        manifests.service(&service, &[main.addr()]).service(&canary, &[next.addr()]);
        manifests.ingress(&Ingress::new(&format!("m{number}")).rule(&host, "/", &service));
        let ingress = Ingress::new(&format!("c{number}")).rule(&host, "/", &canary).nginx("canary", "true");
        manifests.ingress(&annotations.iter().fold(ingress, |ingress, (key, value)| ingress.nginx(key, value)));
    }
    let proxy = Proxy::start(&manifests, &[]);
    for (number, (annotations, fields, expected)) in ROWS.iter().enumerate() {
        let response = proxy.get_with(&format!("h{number}.test"), "/path", fields);
        assert_eq!(response.header("x-backend"), Some(*expected), "{annotations:?} asked with {fields:?}");
        assert_eq!(response.seen().uri, "/path");
    }
}

#[test]
fn who_has_no_endpoints() {
    let World { main, canary, manifests, proxy } = start(&[ALL]);
    assert_eq!(proxy.get("a.test", "/").header("x-backend"), Some("next"));
    manifests.service("next", &[]);
    proxy.wait_until("a.test", "/", |r| r.header("x-backend") == Some("main"));
    manifests.service("next", &[canary.addr()]);
    proxy.wait_until("a.test", "/", |r| r.header("x-backend") == Some("next"));
    manifests.service("main", &[]);
    proxy.wait_until("a.test", "/", |r| r.status == 503);
    manifests.service("main", &[main.addr()]).remove("ingress-default-web.yaml");
    proxy.wait_until("a.test", "/", |r| r.status == 404);
}

#[test]
fn a_canary_acts_wherever_the_upstream_is_used_and_leaves_its_own_service_alone() {
    let (main, next) = (Upstream::start("main"), Upstream::start("next"));
    let manifests = Manifests::new();
    manifests.upstream(&main).upstream(&next);
    let older = "2025-01-01T00:00:00Z";
    manifests
        .ingress(&Ingress::new("web").rule("a.test", "/", "main").rule("b.test", "/deep", "main"))
        .ingress(&Ingress::new("direct").rule("c.test", "/", "next"))
        .ingress(&canary(&[ALL]).created(older));
    let proxy = Proxy::start(&manifests, &[]);
    for (host, path) in [("a.test", "/"), ("b.test", "/deep"), ("c.test", "/")] {
        assert_eq!(proxy.get(host, path).header("x-backend"), Some("next"), "{host}");
    }
}

#[test]
fn a_try_that_fails_stays_on_its_side() {
    let World { canary, manifests, proxy, .. } = start(&[ALL]);
    manifests.service("next", &[Upstream::refused(), canary.addr()]);
    let both = |proxy: &Proxy| {
        table(proxy).lines().any(|l| l.starts_with("upstream default/next") && l.matches(':').count() == 3)
    };
    assert!(eventually(DEADLINE, || both(&proxy).then_some(())).is_some(), "{}", table(&proxy));
    for _ in 0..12 {
        assert_eq!(proxy.get("a.test", "/").header("x-backend"), Some("next"));
    }
    manifests.service("next", &[Upstream::refused()]);
    proxy.wait_until("a.test", "/", |r| r.status == 502);
}

/// The Ingress that Argo Rollouts keeps beside the stable one: `<rollout>-<stable>-canary`, the whole rule with the
/// stable Service replaced, the weight as its only setting.
fn argo(weight: u32, total: Option<u32>) -> String {
    let total = total.map(|n| format!("    nginx.ingress.kubernetes.io/canary-weight-total: \"{n}\"\n"));
    format!(
        "apiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata:\n  name: shop-web-canary\n  namespace: default\n  \
         annotations:\n    kubernetes.io/ingress.class: nginx\n    nginx.ingress.kubernetes.io/canary: \"true\"\n    \
         nginx.ingress.kubernetes.io/canary-weight: \"{weight}\"\n{}  ownerReferences:\n  - apiVersion: \
         argoproj.io/v1alpha1\n    kind: Rollout\n    name: shop\n    uid: 0\n    controller: true\n    \
         blockOwnerDeletion: true\nspec:\n  rules:\n  - host: a.test\n    http:\n      paths:\n      - path: /\n        \
         pathType: Prefix\n        backend: {{service: {{name: next, port: {{number: 80}}}}}}\n      - path: /other\n        \
         pathType: Prefix\n        backend: {{service: {{name: other, port: {{number: 80}}}}}}\n",
        total.unwrap_or_default()
    )
}

#[test]
fn argo_rollouts_steps_through_weights() {
    let (main, next, other) = (Upstream::start("main"), Upstream::start("next"), Upstream::start("other"));
    let manifests = Manifests::new();
    manifests.upstream(&main).upstream(&next).upstream(&other);
    manifests.ingress(&Ingress::new("web").rule("a.test", "/", "main").rule("a.test", "/other", "other"));
    manifests.write("argo.yaml", &argo(0, None));
    let proxy = Proxy::start(&manifests, &[]);
    assert_eq!(spread(&proxy, 200), BTreeMap::from([("main".to_owned(), 200)]));
    for (weight, total) in [(30, None), (300, Some(1000)), (100, None), (0, None)] {
        manifests.write("argo.yaml", &argo(weight, total));
        let line = format!("canary default/next:80 weight={weight}/{}\n", total.unwrap_or(100));
        assert!(eventually(DEADLINE, || table(&proxy).contains(&line).then_some(())).is_some(), "{line}");
        match weight {
            0 => assert_eq!(spread(&proxy, 100), BTreeMap::from([("main".to_owned(), 100)])),
            100 => assert_eq!(spread(&proxy, 100), BTreeMap::from([("next".to_owned(), 100)])),
            _ => has_share(&proxy, 0.3),
        }
        assert_eq!(proxy.get("a.test", "/other").header("x-backend"), Some("other"));
    }
    manifests.remove("argo.yaml");
    assert!(eventually(DEADLINE, || (!table(&proxy).contains("canary")).then_some(())).is_some());
}

/// The Ingress that Flagger keeps beside the one it was given: a copy with its annotations, the target's Service
/// replaced, and the annotations of the moment.
fn flagger(annotations: &[(&str, &str)]) -> Ingress {
    let copy = Ingress::new("web-canary").rule("a.test", "/", "podinfo-canary").created("2026-02-01T00:00:00Z");
    let copy = copy.nginx("proxy-read-timeout", "30");
    annotations.iter().fold(copy, |ingress, (key, value)| ingress.nginx(key, value))
}

/// The queries of Flagger's built-in checks: `requests` by `status`, and the sum and count of durations, all with
/// `canary!=""`, of the namespace and the Ingress it was given.
fn flagger_sees(proxy: &Proxy, family: &str) -> f64 {
    let text = proxy.metrics();
    let start = format!("nginx_ingress_controller_{family}{{");
    let ours = ["namespace=\"default\"", "ingress=\"web\"", "canary=\"default-podinfo-canary-80\""];
    let lines = text.lines().filter(|line| line.starts_with(&start) && ours.iter().all(|label| line.contains(label)));
    lines.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum()
}

#[test]
fn flagger_analyses_and_promotes() {
    let (main, next) = (Upstream::start("podinfo"), Upstream::start("podinfo-canary"));
    let manifests = Manifests::new();
    manifests.upstream(&main).upstream(&next);
    manifests.ingress(&Ingress::new("web").rule("a.test", "/", "podinfo").nginx("proxy-read-timeout", "30"));
    let off = [("canary", "false")];
    manifests.ingress(&flagger(&off));
    let proxy = Proxy::start(&manifests, &[]);
    let backend = |name: &'static str| move |r: &crate::kit::Response| r.header("x-backend") == Some(name);
    assert_eq!(spread(&proxy, 100), BTreeMap::from([("podinfo".to_owned(), 100)]));
    assert_eq!(flagger_sees(&proxy, "requests"), 0.0);

    manifests.ingress(&flagger(&[("canary", "true"), ("canary-weight", "50")]));
    assert!(eventually(DEADLINE, || table(&proxy).contains("weight=50/100").then_some(())).is_some());
    let asked = spread(&proxy, 400).get("podinfo-canary").copied().unwrap_or_default() as f64;
    assert!(asked > 0.0);
    for family in ["requests", "response_duration_seconds_count"] {
        let seen = eventually(DEADLINE, || Some(flagger_sees(&proxy, family)).filter(|seen| *seen >= asked));
        assert_eq!(seen, Some(asked), "{family}");
    }
    assert!(flagger_sees(&proxy, "response_duration_seconds_sum") > 0.0);

    // A/B testing: a header or a cookie, no weight.
    let by = [("canary", "true"), ("canary-by-header", "x-user"), ("canary-by-cookie", "ab")];
    manifests.ingress(&flagger(&[&by[..], &[("canary-by-header-value", "insider")]].concat()));
    assert!(eventually(DEADLINE, || table(&proxy).contains("x-user=\"insider\"").then_some(())).is_some());
    assert!(backend("podinfo-canary")(&proxy.get_with("a.test", "/", &["X-User: insider"])));
    assert!(backend("podinfo-canary")(&proxy.get_with("a.test", "/", &["Cookie: ab=always"])));
    assert_eq!(spread(&proxy, 100), BTreeMap::from([("podinfo".to_owned(), 100)]));

    manifests.ingress(&flagger(&off));
    assert!(eventually(DEADLINE, || (!table(&proxy).contains("canary default")).then_some(())).is_some());
    assert!(backend("podinfo")(&proxy.get_with("a.test", "/", &["X-User: insider"])));
}

#[test]
fn the_access_log_names_the_alternative() {
    let World { main, canary, proxy, .. } = start(&[HEADER]);
    for (id, value, expected) in [
        ("id-main", "never", format!("[default-main-80] [] {} ", main.addr())),
        ("id-next", "always", format!("[default-main-80] [default-next-80] {} ", canary.addr())),
    ] {
        proxy.get_with("a.test", "/", &[&format!("X-Request-ID: {id}"), &format!("X-Canary: {value}")]);
        let line = proxy.wait_for_stdout(id).expect("a log line");
        assert!(line.contains(&expected), "{line}");
    }
}

fn table(proxy: &Proxy) -> String {
    Raw::connect(proxy.health()).get("localhost", "/debug/table").text()
}
