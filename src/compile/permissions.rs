//! What Ingresses may do: `annotations-risk-level`, `annotation-value-word-blocklist`, `allow-snippet-annotations` and
//! `--deep-inspect` (contract §4.6, §9). What they may not keeps that version of the Ingress out.

use std::collections::BTreeSet;

use super::Options;
use super::annotations::row::{Effect, SettingProblem};
use super::annotations::{Annotations, ParseOptions, Risk};
use super::configmap::ConfigMapSettings;
use super::snippet::{self, Context, Level};
use crate::snapshot::{Ingress, Snapshot};

/// The ConfigMap's keys and the flag, resolved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Permissions {
    max_risk: Risk,
    /// None of them is empty, which every value would contain.
    words: Vec<String>,
    pub allows_snippets: bool,
    deep_inspect: bool,
}

impl Default for Permissions {
    fn default() -> Self {
        Self { max_risk: Risk::High, words: Vec::new(), allows_snippets: false, deep_inspect: true }
    }
}

impl Permissions {
    /// Those of the controller's ConfigMap.
    pub fn of(snapshot: &Snapshot, options: &Options) -> Self {
        let map = options.config_map.as_ref().and_then(|key| snapshot.config_maps.get(key));
        let raw = map.map_or_else(ConfigMapSettings::default, |map| ConfigMapSettings::parse(&map.data).0);
        let words = raw.annotation_value_word_blocklist.map_or_else(Vec::new, |list| list.0);
        Self {
            max_risk: raw.annotations_risk_level.unwrap_or(Risk::High),
            words: words.into_iter().filter(|word| !word.is_empty()).collect(),
            allows_snippets: raw.allow_snippet_annotations.unwrap_or(false),
            deep_inspect: options.deep_inspect,
        }
    }

    /// What of an Ingress is not permitted. An annotation counts even if its value is empty or not acted on.
    pub fn problems(&self, ingress: &Ingress, options: &ParseOptions) -> Vec<SettingProblem> {
        let mut problems = Vec::new();
        let mut refuse = |key: &str, message: String| {
            let message = format!("{message}; the object is not accepted");
            problems.push(SettingProblem { key: key.to_owned(), effect: Effect::Reject, message });
        };
        for (key, value) in &ingress.metadata.annotations {
            if !key.strip_prefix(options.prefix.as_str()).is_some_and(|name| name.starts_with('/')) {
                continue;
            }
            if let Some(row) = Annotations::row(key, options).filter(|row| row.risk > self.max_risk) {
                let (risk, most) = (row.risk, self.max_risk);
                refuse(key, format!("its risk is {risk:?}, and annotations-risk-level allows {most:?} at most"));
            }
            if let Some(word) = self.words.iter().find(|word| value.contains(word.as_str())) {
                refuse(key, format!("its value has {word:?}, which annotation-value-word-blocklist does not allow"));
            }
        }
        if self.deep_inspect {
            for (key, text) in texts(ingress) {
                if let Some(found) = suspicious(text) {
                    refuse(&key, format!("{text:?} has {found}, which --deep-inspect does not allow"));
                }
            }
        }
        problems
    }
}

/// The snippets of an Ingress, read.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Snippets {
    pub location: Option<Level>,
    pub server: Option<Level>,
    /// Of the question of external authentication.
    pub question: Option<Level>,
}

impl Permissions {
    /// Reads the snippets of an Ingress. One that is not understood keeps that version out, even where annotations are
    /// not validated: half of a configuration may be the half that lets everybody in.
    pub fn snippets(
        &self,
        annotations: &Annotations,
        options: &ParseOptions,
        problems: &mut Vec<SettingProblem>,
    ) -> Option<Box<Snippets>> {
        let mut snippets = Snippets::default();
        // Without a service of its own an Ingress asks nothing that it could change.
        let question = if annotations.auth_url.is_some() { &annotations.auth_snippet } else { &None };
        let texts = [
            ("server-snippet", &annotations.server_snippet, Context::Server, &mut snippets.server),
            ("configuration-snippet", &annotations.configuration_snippet, Context::Location, &mut snippets.location),
            ("auth-snippet", question, Context::Question, &mut snippets.question),
        ];
        let mut own = BTreeSet::new();
        for (key, text, context, level) in texts {
            let Some(text) = text.as_deref().filter(|text| !text.trim().is_empty()) else { continue };
            let mut tell = |effect, message| {
                problems.push(SettingProblem { key: format!("{}/{key}", options.prefix), effect, message });
            };
            if !self.allows_snippets {
                tell(Effect::Ignored, "allow-snippet-annotations does not allow snippets: ignored".to_owned());
                continue;
            }
            match snippet::read_after(text, context, &mut own) {
                Ok(read) => *level = Some(read),
                Err(error) => tell(Effect::Reject, format!("{error}; the object is not accepted")),
            }
        }
        (snippets != Snippets::default()).then(|| Box::new(snippets))
    }
}

/// What becomes nginx configuration in ingress-nginx, with where it stands.
fn texts(ingress: &Ingress) -> impl Iterator<Item = (String, &str)> {
    let rules = ingress.spec.rules.iter().enumerate();
    let rules = rules.flat_map(|(number, rule)| {
        let paths = rule.http.iter().flat_map(|http| &http.paths).enumerate();
        let paths = paths
            .map(move |(position, path)| (format!("spec.rules[{number}].http.paths[{position}]"), path.path.as_str()));
        std::iter::once((format!("spec.rules[{number}].host"), rule.host.as_str())).chain(paths)
    });
    let tls = ingress.spec.tls.iter().enumerate().flat_map(|(number, tls)| {
        let secret = (format!("spec.tls[{number}].secretName"), tls.secret_name.as_str());
        let hosts = tls.hosts.iter().map(move |host| (format!("spec.tls[{number}].hosts"), host.as_str()));
        std::iter::once(secret).chain(hosts)
    });
    rules.chain(tls)
}

/// What ingress-nginx's inspector looks for.
fn suspicious(text: &str) -> Option<&'static str> {
    let directive = |name: &str| text.split_once(name).is_some_and(|(_, rest)| rest.contains(';'));
    let etc = ["passwd", "shadow", "group", "nginx", "ingress-controller"];
    let is_etc = |rest: &str| etc.iter().any(|name| rest.starts_with(name));
    match () {
        () if directive("alias") => Some("an alias directive"),
        () if directive("root") => Some("a root directive"),
        () if text.split("/etc/").skip(1).any(is_etc) => Some("a file below /etc"),
        () if text.contains("/var/run/secrets") => Some("the directory of secrets"),
        () if text.contains("_by_lua") => Some("a Lua directive"),
        () => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn suspicious_texts() {
        let rows = [
            ("/a", false),
            ("/alias", false),
            ("/alias/;", true),
            ("/x\nroot /;", true),
            ("/etc/passwd", true),
            ("/a/etc/nginx/x", true),
            ("/etc/other", false),
            ("/var/run/secrets/kubernetes.io", true),
            ("/content_by_lua_block", true),
        ];
        for (text, expected) in rows {
            assert_eq!(suspicious(text).is_some(), expected, "{text:?}");
        }
    }
}
