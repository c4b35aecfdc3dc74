//! Tables against a model: what a random set of rules gives must be what a plain reading of the contract gives.

// Helpers of a test may end it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, clippy::string_slice)]

#[path = "routing_model/model.rs"]
mod model;

use std::collections::BTreeMap;
use std::sync::Arc;

use model::{Answer, Model, Rule};
use portcullis::compile::{Memo, Options, compile};
use portcullis::snapshot::{
    HttpIngressPath, HttpIngressRuleValue, Ingress, IngressBackend, IngressRule, IngressServiceBackend, Object,
    PathType, ServiceBackendPort, Snapshot,
};
use portcullis::table::{Found, RoutingTable};
use proptest::prelude::*;

const RULE_HOSTS: [&str; 4] = ["a.test", "*.a.test", "x.a.test", ""];
const ASKED_HOSTS: [&str; 6] = ["a.test", "x.a.test", "y.a.test", "y.x.a.test", "test", "b.test"];
const REGEXES: [&str; 12] =
    ["/", "/a", "/A/b", "/[ab]", "/a.*", "/b/[a-c]+", "/.*/c$", "/a|/b/c", "/(a|b)/c", "/a/{b}", "/ab?/c", "/b/"];

/// Paths of few segments, so that they meet each other.
fn path() -> impl Strategy<Value = String> {
    let segments = prop::collection::vec(prop::sample::select(vec!["a", "b", "ab", "c"]), 0..4);
    (segments, any::<bool>()).prop_map(|(segments, slash)| {
        let path = format!("/{}", segments.join("/"));
        if slash && path != "/" { path + "/" } else { path }
    })
}

fn rule(path: impl Strategy<Value = String>, regex: impl Strategy<Value = bool>) -> impl Strategy<Value = Rule> {
    let host = prop::sample::select(RULE_HOSTS.to_vec());
    (host, path, any::<bool>(), 0..4i64, regex).prop_map(|(host, path, exact, created, use_regex)| Rule {
        host,
        path,
        exact,
        created,
        use_regex,
        service: String::new(),
    })
}

/// Each rule has an Ingress and a Service of its own, named by its number.
fn ingress(rule: &Rule) -> Object {
    let mut ingress = Ingress::default();
    ingress.metadata.name = rule.service.as_str().into();
    ingress.metadata.namespace = "default".into();
    ingress.metadata.created = rule.created;
    if rule.use_regex {
        let key = "nginx.ingress.kubernetes.io/use-regex".to_owned();
        ingress.metadata.annotations.insert(key, "true".to_owned());
    }
    ingress.spec.ingress_class_name = Some("nginx".into());
    let port = ServiceBackendPort { name: None, number: Some(80) };
    let service = IngressServiceBackend { name: rule.service.as_str().into(), port };
    let path = HttpIngressPath {
        path: rule.path.clone(),
        path_type: if rule.exact { PathType::Exact } else { PathType::Prefix },
        backend: IngressBackend { service: Some(service), resource: false },
    };
    let http = Some(HttpIngressRuleValue { paths: vec![path] });
    ingress.spec.rules = vec![IngressRule { host: rule.host.to_owned(), http }];
    Object::Ingress(Arc::new(ingress))
}

fn table(rules: &[Rule]) -> RoutingTable {
    let mut snapshot = Snapshot::default();
    for rule in rules {
        snapshot.insert(ingress(rule));
    }
    compile(&snapshot, &Options::default(), &mut Memo::default()).table
}

fn find(table: &RoutingTable, host: &str, path: &str) -> Answer {
    let host = table.virtual_host(host).unwrap();
    let labels = |index| table.route(index).unwrap().labels.clone();
    match host.paths.find(path.as_bytes()) {
        Found::Route(index) => Answer::Service(labels(index).service.to_string()),
        Found::AddSlash(index) => Answer::AddSlash(labels(index).path.to_string()),
        Found::Nothing => Answer::Nothing,
    }
}

fn check(mut rules: Vec<Rule>, paths: &[String]) -> Result<(), TestCaseError> {
    for (number, rule) in rules.iter_mut().enumerate() {
        rule.service = format!("s{number}");
    }
    let table = table(&rules);
    let model = Model::new(&rules);
    for host in ASKED_HOSTS {
        for path in paths {
            prop_assert_eq!(find(&table, host, path), model.find(host, path), "{}{} in {:#?}", host, path, rules);
        }
    }
    Ok(())
}

/// matchit, a radix tree, with the three patterns of each prefix: another way to the same answer.
fn radix_tree(rules: &[Rule]) -> matchit::Router<String> {
    let mut patterns = BTreeMap::new();
    let mut sorted: Vec<&Rule> = rules.iter().collect();
    sorted.sort_by(|a, b| (a.created, &b.service).cmp(&(b.created, &a.service)));
    for rule in sorted {
        let bare = rule.path.trim_end_matches('/');
        for pattern in [bare.to_owned(), format!("{bare}/"), format!("{bare}/{{*below}}")] {
            if !pattern.is_empty() {
                patterns.entry(pattern).or_insert_with(|| rule.service.clone());
            }
        }
    }
    let mut router = matchit::Router::new();
    for (pattern, service) in patterns {
        router.insert(pattern, service).unwrap();
    }
    router
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(256) })]

    #[test]
    fn literal_paths_are_found_as_the_contract_says(
        rules in prop::collection::vec(rule(path(), Just(false)), 0..16),
        paths in prop::collection::vec(path(), 1..24),
    ) {
        check(rules, &paths)?;
    }

    #[test]
    fn a_radix_tree_finds_the_same_prefixes(
        paths in prop::collection::vec((path(), 0..4i64), 1..24),
        asked in prop::collection::vec(path(), 1..24),
    ) {
        let prefix = |(number, (path, created)): (usize, (String, i64))| Rule {
            host: "a.test",
            // Without its last slash: the redirect to it is not the tree's.
            path: if path == "/" { path } else { path.trim_end_matches('/').to_owned() },
            exact: false,
            created,
            use_regex: false,
            service: format!("s{number}"),
        };
        let rules: Vec<Rule> = paths.into_iter().enumerate().map(prefix).collect();
        let (table, tree) = (table(&rules), radix_tree(&rules));
        for path in asked {
            let expected = tree.at(&path).map_or(Answer::Service(String::new()), |at| Answer::Service(at.value.clone()));
            prop_assert_eq!(find(&table, "a.test", &path), expected, "{} in {:#?}", path, rules);
        }
    }

    #[test]
    fn regex_paths_are_tried_in_order(
        rules in prop::collection::vec(
            rule(prop_oneof![prop::sample::select(&REGEXES[..]).prop_map(str::to_owned), path()], any::<bool>()),
            1..12,
        ),
        paths in prop::collection::vec(path(), 1..24),
    ) {
        check(rules, &paths)?;
    }
}
