//! Routing as the contract's words have it: lists that are scanned, nothing clever.

use std::collections::BTreeMap;

use regex_automata::meta::Regex;
use regex_automata::util::syntax;

#[derive(Clone, Debug)]
pub struct Rule {
    pub host: &'static str,
    pub path: String,
    pub exact: bool,
    pub created: i64,
    pub use_regex: bool,
    /// Also the name of its Ingress.
    pub service: String,
}

#[derive(Debug, PartialEq, Eq)]
pub enum Answer {
    /// Empty for the location `/` that exists without a rule.
    Service(String),
    /// The path that a redirect leads to.
    AddSlash(String),
    Nothing,
}

/// The rules of each host that won, in the order in which nginx would get them; the root first.
pub struct Model {
    hosts: BTreeMap<&'static str, Vec<Rule>>,
}

impl Model {
    pub fn new(rules: &[Rule]) -> Self {
        let mut rules = rules.to_vec();
        // Oldest first, ties by name descending.
        rules.sort_by(|a, b| (a.created, &b.service).cmp(&(b.created, &a.service)));
        let mut hosts = BTreeMap::new();
        let root = |rule: &Rule| Rule { path: "/".into(), exact: false, service: String::new(), ..rule.clone() };
        let nobody =
            Rule { host: "", path: "/".into(), exact: false, created: 0, use_regex: false, service: String::new() };
        hosts.insert("", vec![nobody]);
        for rule in rules {
            let list = hosts.entry(rule.host).or_insert_with(|| vec![root(&rule)]);
            match list.iter_mut().find(|other| other.path == rule.path && other.exact == rule.exact) {
                Some(unclaimed) if unclaimed.service.is_empty() => *unclaimed = rule,
                Some(_) => {}
                None => list.push(rule),
            }
        }
        Self { hosts }
    }

    pub fn find(&self, host: &str, path: &str) -> Answer {
        let wildcard = host.split_once('.').and_then(|(_, rest)| self.hosts.get(format!("*.{rest}").as_str()));
        let list = self.hosts.get(host).or(wildcard).unwrap_or(&self.hosts[""]);
        if list.iter().any(|rule| rule.use_regex) { by_regex(list, path) } else { by_text(list, path) }
    }
}

/// Exact, then Prefix, of the very text; then a redirect to the text with a slash; then the longest Prefix by segments.
fn by_text(list: &[Rule], path: &str) -> Answer {
    let service = |rule: &Rule| Answer::Service(rule.service.clone());
    let same = |exact: bool| list.iter().find(|rule| rule.exact == exact && rule.path == path);
    if let Some(rule) = same(true).or_else(|| same(false)) {
        return service(rule);
    }
    let slashed = format!("{path}/");
    // Only a location of nginx's that ends in a slash redirects; that of `Prefix /foo` has its bare text beside it.
    if list.iter().any(|rule| rule.path == slashed) {
        return Answer::AddSlash(slashed);
    }
    let directory = |rule: &Rule| format!("{}/", rule.path.trim_end_matches('/'));
    let above = list.iter().filter(|rule| !rule.exact && path.starts_with(&directory(rule)));
    // Of `/foo` and `/foo/`, the one with the slash has what is below.
    above.max_by_key(|rule| (directory(rule).len(), rule.path.len())).map_or(Answer::Nothing, service)
}

/// Longest text first, equal lengths in descending text; the first that matches, anchored at its start, any case.
fn by_regex(list: &[Rule], path: &str) -> Answer {
    let mut sorted: Vec<&Rule> = list.iter().collect();
    sorted.sort_by(|a, b| b.path.cmp(&a.path));
    sorted.sort_by_key(|rule| std::cmp::Reverse(rule.path.len()));
    for rule in sorted {
        if texts(rule, list).iter().any(|text| matches(text, path)) {
            return Answer::Service(rule.service.clone());
        }
    }
    Answer::Nothing
}

/// A Prefix of an Ingress without regexes is a directory, and its bare text unless an Exact has that.
fn texts(rule: &Rule, list: &[Rule]) -> Vec<String> {
    let plain = !rule.exact && !rule.use_regex && rule.path != "/";
    let taken = || list.iter().any(|other| other.exact && other.path == rule.path);
    let directory = format!("{}/", rule.path.trim_end_matches('/'));
    match plain {
        true if taken() => vec![directory],
        true => vec![directory, rule.path.clone()],
        false => vec![rule.path.clone()],
    }
}

fn matches(text: &str, path: &str) -> bool {
    // The only braces of these tests count nothing.
    let pattern = format!("^{}", text.replace('{', r"\{"));
    let syntax = syntax::Config::new().case_insensitive(true);
    Regex::builder().syntax(syntax).build(&pattern).unwrap().is_match(path)
}
