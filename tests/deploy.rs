//! What is deployed: the chart as a real helm renders it, case by case (`tests/deploy/cases`), and what is generated
//! from it. `HELM` names the binary; nothing here needs a cluster.

// Helpers of a test may end it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, clippy::string_slice)]

mod kit;

#[path = "deploy/expect.rs"]
mod expect;
#[path = "deploy/helm.rs"]
mod helm;

use std::path::Path;
use std::process::Command;

use expect::{Case, arguments, invariants, name};
use helm::{chart, documents, read, root};
use serde_json::{Value, json};

fn cases() -> Vec<Case> {
    let mut files: Vec<_> =
        std::fs::read_dir(root().join("tests/deploy/cases")).unwrap().map(|e| e.unwrap().path()).collect();
    files.sort();
    let parse = |file: &std::path::PathBuf| -> Vec<Case> {
        documents(&read(file))
            .into_iter()
            .map(|case| serde_json::from_value(case).unwrap_or_else(|e| panic!("{}: {e}", file.display())))
            .collect()
    };
    files.iter().flat_map(parse).collect()
}

#[test]
fn the_chart_renders_what_each_case_expects() {
    let Some(helm) = helm::helm() else { return };
    let mut wrong = Vec::new();
    for case in cases() {
        let found = match (helm::template(&helm, &case.values), &case.expect.refused) {
            (Ok(objects), None) => [case.expect.check(&objects), invariants(&objects)].concat(),
            (Err(said), Some(word)) if said.contains(word.as_str()) => Vec::new(),
            (Err(said), _) => vec![said],
            (Ok(_), Some(_)) => vec!["it was accepted".to_owned()],
        };
        wrong.extend(found.iter().map(|what| format!("{}: {what}", case.name)));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn helm_lint_is_content() {
    let Some(helm) = helm::helm() else { return };
    assert_eq!(helm::lint(&helm, &json!({})), "");
}

#[test]
fn the_arguments_are_flags_that_exist() {
    let Some(helm) = helm::helm() else { return };
    let flags = read("docs/flags.md");
    let known = |flag: &str| flags.contains(&format!("| `--{flag}` |"));
    for case in cases().into_iter().filter(|c| c.expect.refused.is_none()) {
        for argument in arguments(&helm::template(&helm, &case.values).unwrap()) {
            let flag = argument.trim_start_matches("--").split('=').next().unwrap();
            let fine = argument == "run" || known(flag);
            assert!(fine, "{}: there is no flag {argument}", case.name);
        }
    }
}

/// A key with nothing behind it, as in a file whose lines are commented out, takes the default away.
#[test]
fn what_is_empty_may_be_nothing() {
    let Some(helm) = helm::helm() else { return };
    let mut values = documents(&read(chart().join("values.yaml"))).remove(0);
    nothing_for_empty(&mut values);
    for section in [
        "/controller/metrics",
        "/controller/metrics/serviceMonitor",
        "/controller/metrics/prometheusRule",
        "/controller/metrics/grafanaDashboard",
        "/controller/admissionWebhooks",
        "/controller/networkPolicy",
        "/controller/hostPort",
        "/controller/service/internal",
        "/controller/autoscaling",
        "/defaultBackend",
        "/defaultBackend/networkPolicy",
    ] {
        values.pointer_mut(section).unwrap()["enabled"] = json!(true);
    }
    values["controller"]["service"]["internal"]["type"] = json!("NodePort");
    let objects = helm::template(&helm, &values).unwrap();
    assert_eq!(invariants(&objects), Vec::<String>::new());
    assert!(objects.len() > 20, "{}", objects.len());
}

fn nothing_for_empty(at: &mut Value) {
    match at {
        Value::Object(map) if !map.is_empty() => map.values_mut().for_each(nothing_for_empty),
        Value::Object(_) => *at = Value::Null,
        Value::Array(list) if list.is_empty() => *at = Value::Null,
        _ => {}
    }
}

/// Whether the schema has a place for the path: its own, or inside of an object that takes anything.
fn accepted(schema: &Value, path: &str) -> bool {
    let mut at = schema;
    for key in path.split('.') {
        match at.get("properties").and_then(|p| p.get(key)) {
            Some(next) => at = next,
            None => return at.get("additionalProperties") != Some(&Value::Bool(false)),
        }
    }
    true
}

#[test]
fn every_value_of_ingress_nginx_has_a_place() {
    let schema: Value = serde_json::from_str(&read(chart().join("values.schema.json"))).unwrap();
    let paths = read("tests/deploy/paths.txt");
    let ignored = documents(&read(chart().join("files/ignored.yaml")));
    let ignored =
        ignored.iter().flat_map(|list| list.as_array().unwrap()).flat_map(|entry| expect::list(entry, "/paths"));
    let all = paths.lines().filter(|l| !l.starts_with('#')).chain(ignored.map(|p| p.as_str().unwrap()));
    let missing: Vec<&str> = all.filter(|path| !accepted(&schema, path)).collect();
    assert!(missing.is_empty(), "no place for {missing:?}");
    assert!(!accepted(&schema, "controller.replicaCont"), "this test cannot fail");
}

#[test]
fn what_is_generated_is_fresh() {
    let Some(helm) = helm::helm() else { return };
    let out = tempfile::tempdir().unwrap();
    let deploy = root().join("deploy");
    let run = Command::new(deploy.join("generate")).arg(out.path()).env("HELM", &helm).output().unwrap();
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    let mut files = Vec::new();
    walk(out.path(), &mut files);
    assert_eq!(files.len(), 8, "{files:?}");
    for file in files {
        let path = file.strip_prefix(out.path()).unwrap();
        let fresh = std::fs::read_to_string(&file).unwrap() == std::fs::read_to_string(deploy.join(path)).unwrap();
        assert!(fresh, "deploy/{} is not what deploy/generate writes: run it", path.display());
    }
}

fn walk(directory: &Path, into: &mut Vec<std::path::PathBuf>) {
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { walk(&path, into) } else { into.push(path) }
    }
}

#[test]
fn static_manifests_are_whole() {
    for provider in ["aws", "baremetal", "cloud", "kind"] {
        let objects = documents(&read(format!("deploy/static/provider/{provider}/deploy.yaml")));
        assert_eq!(name(&objects[0]), "Namespace/portcullis", "{provider}");
        assert_eq!(invariants(&objects), Vec::<String>::new(), "{provider}");
    }
}

/// The overlays name what they change by its place, and check that it is there.
#[test]
fn overlays_build() {
    for (overlay, argument) in [("hostport", None), ("kind", Some("--publish-status-address=localhost"))] {
        let overlay = root().join("deploy/kustomize/overlays").join(overlay);
        let Some(kubectl) = helm::tool("kubectl") else { return };
        let built = Command::new(kubectl).arg("kustomize").arg(&overlay).output().unwrap();
        assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
        let objects = documents(&String::from_utf8(built.stdout).unwrap());
        let arguments = arguments(&objects);
        assert!(!arguments.iter().any(|a| a.starts_with("--publish-service")), "{arguments:?}");
        assert!(argument.is_none_or(|a| arguments.iter().any(|b| a == b)), "{arguments:?}");
        let deployment = objects.iter().find(|o| name(o).starts_with("Deployment/")).unwrap();
        for (at, port) in [(0, 80), (1, 443)] {
            let pointer = format!("/spec/template/spec/containers/0/ports/{at}/hostPort");
            assert_eq!(deployment.pointer(&pointer), Some(&json!(port)));
        }
    }
}

/// Rules and dashboard ask for series that exist.
#[test]
fn every_metric_is_one_of_ours() {
    let names = read("src/telemetry/names.rs");
    for file in ["rules.yaml", "portcullis.json"] {
        let text = read(chart().join("files").join(file));
        let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
        let mut seen = 0;
        for word in words {
            let Some(metric) =
                word.strip_prefix("nginx_ingress_controller_").or_else(|| word.strip_prefix("portcullis_"))
            else {
                continue;
            };
            let family = ["_bucket", "_sum", "_count"].iter().find_map(|s| metric.strip_suffix(s)).unwrap_or(metric);
            let known = |m: &str| names.contains(&format!("= \"{m}\""));
            assert!(known(family) || known(metric), "{file}: there is no metric {word}");
            seen += 1;
        }
        assert!(seen > 5, "{file}: found {seen}");
    }
}

/// The lists in the admission policy are those of docs/annotations.md.
#[test]
fn the_policy_knows_every_switch_and_number() {
    let policy = documents(&read("deploy/policy/policy.yaml")).remove(0);
    let docs = read("docs/annotations.md");
    for (variable, values) in [("booleans", "true or false"), ("integers", "a whole number")] {
        let variables = expect::list(&policy, "/spec/variables");
        let found = variables.iter().find(|v| v["name"] == *variable).unwrap()["expression"].as_str().unwrap();
        let list = found.split_once(']').unwrap().0;
        let mut listed: Vec<&str> = list.split('\'').skip(1).step_by(2).collect();
        let rows = docs.lines().map(|l| l.split(" | ").collect::<Vec<_>>()).filter(|c| c.len() > 5);
        let mut rows: Vec<String> = rows
            .filter(|c| c[2].starts_with(values))
            .map(|c| c[0].trim_matches(|x| x == '|' || x == ' ' || x == '`').to_owned())
            .collect();
        rows.sort();
        listed.sort_unstable();
        assert_eq!(listed, rows, "{variable}");
    }
}
