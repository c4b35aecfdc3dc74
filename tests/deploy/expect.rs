//! A case's expectations: what its rendered objects are held against.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use crate::helm::NAMESPACE;

/// A case of `tests/deploy/cases`: values, and what becomes of them. Objects are named `Kind/name` or
/// `Kind/namespace/name`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Case {
    pub name: String,
    pub values: Value,
    pub expect: Expect,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
pub struct Expect {
    /// Helm refuses the values, with this in its message.
    pub refused: Option<String>,
    /// These objects are there, and no others.
    only: Option<Vec<String>>,
    objects: Vec<String>,
    absent: Vec<String>,
    /// Arguments of the controller: some of them, all of them in their order, the last ones in their order.
    args: Vec<String>,
    all_args: Option<Vec<String>>,
    args_end: Vec<String>,
    /// All permissions of a role, as `group/resource[names] verbs`.
    rules: BTreeMap<String, Vec<String>>,
    /// Some permissions of a role.
    has_rules: BTreeMap<String, Vec<String>>,
    /// Texts that no permission of any role, or of this one, begins with or contains.
    no_rule: Vec<String>,
    no_rule_in: BTreeMap<String, Vec<String>>,
    /// JSON pointer → value of an object's field; null is "not there".
    fields: BTreeMap<String, BTreeMap<String, Value>>,
    /// Texts in the notes.
    notes: Vec<String>,
    /// The notes name no value that has no effect.
    silent: bool,
}

pub fn text<'a>(object: &'a Value, pointer: &str) -> &'a str {
    object.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

pub fn list<'a>(object: &'a Value, pointer: &str) -> &'a [Value] {
    object.pointer(pointer).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

pub fn name(object: &Value) -> String {
    format!("{}/{}", text(object, "/kind"), text(object, "/metadata/name"))
}

fn find<'a>(objects: &'a [Value], wanted: &str) -> Option<&'a Value> {
    let full =
        |o: &Value| format!("{}/{}/{}", text(o, "/kind"), text(o, "/metadata/namespace"), text(o, "/metadata/name"));
    objects.iter().find(|o| name(o) == wanted || full(o) == wanted)
}

/// The arguments of every container of the controller.
pub fn arguments(objects: &[Value]) -> Vec<String> {
    let controllers = objects.iter().filter(|o| {
        ["Deployment", "DaemonSet"].contains(&text(o, "/kind"))
            && text(o, "/metadata/labels/app.kubernetes.io~1component") == "controller"
    });
    controllers
        .flat_map(|o| list(o, "/spec/template/spec/containers/0/args"))
        .map(|a| a.as_str().unwrap().to_owned())
        .collect()
}

/// The permissions of a role, one `group/resource[names] verbs` a resource.
pub fn permissions(role: &Value) -> Vec<String> {
    let words = |v: &Value, key: &str| -> Vec<String> {
        v.get(key).and_then(Value::as_array).into_iter().flatten().map(|w| w.as_str().unwrap().to_owned()).collect()
    };
    let mut all = Vec::new();
    for rule in list(role, "/rules") {
        let (names, verbs) = (words(rule, "resourceNames"), words(rule, "verbs").join(","));
        let names = if names.is_empty() { String::new() } else { format!("[{}]", names.join(",")) };
        for resource in words(rule, "resources") {
            all.extend(words(rule, "apiGroups").iter().map(|group| format!("{group}/{resource}{names} {verbs}")));
        }
    }
    all
}

impl Expect {
    /// What is not as expected.
    pub fn check(&self, objects: &[Value]) -> Vec<String> {
        let mut wrong = Vec::new();
        let notes = find(objects, "Notes/notes").map(|n| text(n, "/text").to_owned()).unwrap_or_default();
        let objects: Vec<Value> = objects.iter().filter(|o| text(o, "/kind") != "Notes").cloned().collect();
        self.objects(&objects, &mut wrong);
        self.arguments(&arguments(&objects), &mut wrong);
        self.permissions(&objects, &mut wrong);
        for (object, fields) in &self.fields {
            let Some(found) = find(&objects, object) else {
                wrong.push(format!("there is no {object}"));
                continue;
            };
            for (pointer, expected) in fields {
                let value = found.pointer(pointer).unwrap_or(&Value::Null);
                if value != expected {
                    wrong.push(format!("{object} {pointer} is {value}, not {expected}"));
                }
            }
        }
        wrong.extend(
            self.notes.iter().filter(|n| !notes.contains(n.as_str())).map(|n| format!("no note of {n:?}: {notes}")),
        );
        if self.silent && notes.contains("no effect") {
            wrong.push(format!("values are called without effect: {notes}"));
        }
        wrong
    }

    fn objects(&self, objects: &[Value], wrong: &mut Vec<String>) {
        wrong.extend(self.objects.iter().filter(|o| find(objects, o).is_none()).map(|o| format!("there is no {o}")));
        wrong.extend(self.absent.iter().filter(|o| find(objects, o).is_some()).map(|o| format!("there is {o}")));
        if let Some(only) = &self.only {
            let mut names: Vec<String> = objects.iter().map(name).collect();
            names.sort();
            if &names != only {
                wrong.push(format!("the objects are {names:?}, not {only:?}"));
            }
        }
    }

    fn arguments(&self, arguments: &[String], wrong: &mut Vec<String>) {
        let missing = self.args.iter().filter(|a| !arguments.contains(a));
        wrong.extend(missing.map(|a| format!("no argument {a} in {arguments:?}")));
        if self.all_args.as_ref().is_some_and(|all| all != arguments) || !arguments.ends_with(&self.args_end) {
            wrong.push(format!("the arguments are {arguments:?}"));
        }
    }

    fn permissions(&self, objects: &[Value], wrong: &mut Vec<String>) {
        for (role, expected) in self.rules.iter().chain(&self.has_rules) {
            let Some(found) = find(objects, role).map(permissions) else {
                wrong.push(format!("there is no {role}"));
                continue;
            };
            let exact = self.rules.contains_key(role);
            if (exact && &found != expected) || expected.iter().any(|e| !found.contains(e)) {
                wrong.push(format!("{role} may {found:?}, not {expected:?}"));
            }
        }
        let refused = |roles: &[&Value], words: &[String], wrong: &mut Vec<String>| {
            for permission in roles.iter().flat_map(|r| permissions(r)) {
                if words.iter().any(|w| permission.contains(w.as_str())) {
                    wrong.push(format!("there is the permission {permission}"));
                }
            }
        };
        let roles: Vec<&Value> = objects.iter().filter(|o| text(o, "/kind").ends_with("Role")).collect();
        refused(&roles, &self.no_rule, wrong);
        for (role, words) in &self.no_rule_in {
            refused(&find(objects, role).into_iter().collect::<Vec<_>>(), words, wrong);
        }
    }
}

/// What holds of every rendering, whatever the values.
pub fn invariants(objects: &[Value]) -> Vec<String> {
    let mut wrong = Vec::new();
    for object in objects.iter().filter(|o| text(o, "/kind") != "Notes") {
        let who = name(object);
        if text(object, "/metadata/labels/app.kubernetes.io~1instance").is_empty() {
            wrong.push(format!("{who} has no labels"));
        }
        for permission in permissions(object) {
            if permission.contains('*') || permission.contains("/endpoints ") {
                wrong.push(format!("{who} may {permission}"));
            }
        }
        if text(object, "/kind").ends_with("RoleBinding") {
            let role = format!("{}/{}", text(object, "/roleRef/kind"), text(object, "/roleRef/name"));
            if find(objects, &role).is_none() {
                wrong.push(format!("{who} names {role}, which is not there"));
            }
        }
        if text(object, "/kind") == "Service" {
            wrong.extend(dangling(object, objects));
        }
    }
    wrong
}

/// A Service's pods exist, and the ports that it names.
fn dangling(service: &Value, objects: &[Value]) -> Vec<String> {
    let who = name(service);
    let selector = service.pointer("/spec/selector").and_then(Value::as_object).unwrap();
    let selects = |o: &&Value| {
        let labels = o.pointer("/spec/template/metadata/labels");
        selector.iter().all(|(k, v)| labels.and_then(|l| l.get(k)) == Some(v))
    };
    let Some(pods) = objects.iter().filter(|o| o.pointer("/spec/template").is_some()).find(selects) else {
        return vec![format!("{who} selects nothing ({NAMESPACE})")];
    };
    let ports = list(pods, "/spec/template/spec/containers/0/ports");
    let named = |port: &&Value| ports.iter().any(|p| p.get("name") == port.get("targetPort"));
    let missing = list(service, "/spec/ports").iter().filter(|p| p.get("targetPort").is_some_and(Value::is_string));
    missing.filter(|p| !named(p)).map(|p| format!("{who} has a target that is no port of the pods: {p}")).collect()
}
