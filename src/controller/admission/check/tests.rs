//! Ingresses against a small world: what is refused, what is warned of.

use super::*;
use crate::source::manifest::{self, Format};

const WORLD: &str = r"
apiVersion: v1
kind: Service
metadata: {name: web, namespace: shop}
spec: {ports: [{port: 80}]}
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: first, namespace: shop, creationTimestamp: 2030-01-01T00:00:00Z}
spec:
  ingressClassName: nginx
  rules: [{host: Web.test, http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: web, port: {number: 80}}}}]}}]
";

fn ingress(class: &str, annotations: &str, host: &str, path: &str, path_type: &str, service: &str) -> Ingress {
    let text = format!(
        "apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {{name: candidate, namespace: shop, annotations: {{{annotations}}}}}
spec:
  ingressClassName: {class}
  rules: [{{host: {host:?}, http: {{paths: [{{path: {path:?}, pathType: {path_type}, backend: {{service: {{name: {service}, port: {{number: 80}}}}}}}}]}}}}]
"
    );
    match objects(&text).ingresses.into_values().next() {
        Some(ingress) => Arc::unwrap_or_clone(ingress),
        None => panic!("{text}"),
    }
}

fn objects(text: &str) -> Snapshot {
    let mut snapshot = Snapshot::default();
    for object in manifest::parse(text.as_bytes(), Format::Yaml, &"world".into()).unwrap().objects {
        snapshot.insert(object);
    }
    snapshot
}

fn known() -> Known {
    let mut known = Known::default();
    known.update(Arc::new(objects(WORLD)));
    known
}

#[test]
fn verdicts() {
    let known = known();
    let options = Options::default();
    let prefix = "nginx.ingress.kubernetes.io";
    let rows = [
        (ingress("nginx", "", "other.test", "/", "Prefix", "web"), "", ""),
        (ingress("nginx", "", "web.test", "/a", "Prefix", "web"), "", ""),
        (
            ingress("nginx", "", "web.test", "/", "Prefix", "web"),
            "host \"web.test\" and path \"/\" is already defined in ingress shop/first",
            "",
        ),
        // Another controller's.
        (ingress("other", "", "web.test", "/", "Prefix", "web"), "", ""),
        // The Secrets may well be there, or yet come.
        (
            ingress(
                "nginx",
                &format!("{prefix}/auth-type: basic, {prefix}/auth-secret: users"),
                "other.test",
                "/",
                "Prefix",
                "web",
            ),
            "",
            "",
        ),
        (
            ingress("nginx", &format!("{prefix}/proxy-ssl-secret: default/tls"), "other.test", "/", "Prefix", "web"),
            "",
            "",
        ),
        (ingress("nginx", "", "other.test", "/a(.*)", "Prefix", "web"), "cannot be used with pathType Prefix", ""),
        (ingress("nginx", "", "other.test", "/a(.*)", "ImplementationSpecific", "web"), "", ""),
        (ingress("nginx", "", "other.test", "/", "Prefix", "gone"), "", "the Service does not exist"),
        (
            ingress("nginx", &format!("{prefix}/relative-redirects: maybe"), "other.test", "/", "Prefix", "web"),
            "nginx.ingress.kubernetes.io/relative-redirects: ",
            "",
        ),
        (
            ingress("nginx", &format!("{prefix}/proxy-body-size: 8 apples"), "other.test", "/", "Prefix", "web"),
            "",
            "nginx.ingress.kubernetes.io/proxy-body-size: ",
        ),
        (
            ingress("nginx", &format!("{prefix}/proxy-bodysize: 8m"), "other.test", "/", "Prefix", "web"),
            "",
            "did you mean proxy-body-size?",
        ),
        (
            ingress("nginx", "other.example/a-snippet: x", "other.test", "/", "Prefix", "web"),
            "other.example/a-snippet: allow-snippet-annotations",
            "",
        ),
        (
            ingress(
                "nginx",
                &format!("{prefix}/configuration-snippet: 'return 200;'"),
                "other.test",
                "/",
                "Prefix",
                "web",
            ),
            "its risk is Critical",
            "does not allow snippets: ignored",
        ),
        // Class B: its paths answer 503, and it may be written.
        (
            ingress("nginx", &format!("{prefix}/proxy-ssl-secret: one/two/three"), "other.test", "/", "Prefix", "web"),
            "",
            "its paths answer 503",
        ),
        (
            ingress(
                "nginx",
                &format!("{prefix}/use-regex: 'true'"),
                "other.test",
                "/a(b",
                "ImplementationSpecific",
                "web",
            ),
            "",
            "cannot be served",
        ),
        (
            ingress("nginx", &format!("{prefix}/upstream-vhost: \"a\\nb\""), "other.test", "/", "Prefix", "web"),
            "upstream-vhost: ",
            "",
        ),
        (
            ingress("nginx", "", "other.test", "/;root /;", "ImplementationSpecific", "web"),
            "which --deep-inspect does not allow",
            "",
        ),
    ];
    for (candidate, refusal, warning) in rows {
        let text = format!("{:?} {:?}", candidate.metadata.annotations, candidate.spec.rules);
        let verdict = known.check(candidate, &options);
        for (said, expected) in [(&verdict.refusals, refusal), (&verdict.warnings, warning)] {
            let said = said.join("; ");
            assert!(
                said.contains(expected) && said.is_empty() == expected.is_empty(),
                "{text}: {said:?}, {expected:?}"
            );
        }
    }
}

/// Flagger keeps a copy of the Ingress, first with `canary: "false"`, then with a weight (contract §2.3).
#[test]
fn what_flagger_writes_is_no_conflict() {
    let known = known();
    let prefix = "nginx.ingress.kubernetes.io";
    for annotations in
        [format!("{prefix}/canary: 'false'"), format!("{prefix}/canary: 'true', {prefix}/canary-weight: '10'")]
    {
        let candidate = ingress("nginx", &annotations, "web.test", "/", "Prefix", "web");
        assert!(known.check(candidate, &Options::default()).refusals.is_empty(), "{annotations}");
    }
}

#[test]
fn a_newer_version_of_itself_is_no_conflict() {
    let known = known();
    let mut same = ingress("nginx", "", "web.test", "/", "Prefix", "web");
    same.metadata.name = "first".into();
    assert_eq!(known.check(same, &Options::default()), Verdict::default());
}

#[test]
fn a_catch_all_is_refused_where_the_flag_says_so() {
    let mut candidate = ingress("nginx", "", "other.test", "/", "Prefix", "web");
    candidate.spec.default_backend = Some(Default::default());
    let options = Options { disable_catch_all: true, ..Options::default() };
    assert!(known().check(candidate, &options).refusals[0].contains("--disable-catch-all"));
}

#[test]
fn hosts_are_followed() {
    let mut known = known();
    known.update(Arc::new(Snapshot::default()));
    assert!(known.hosts.is_empty());
    known.update(Arc::new(objects(WORLD)));
    assert!(known.hosts.contains_key("web.test"));
}
