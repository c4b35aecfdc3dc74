//! Host names to virtual hosts, in the precedence of contract §3.2.

use std::collections::HashMap;

use regex_automata::meta::Regex;

use super::Index;
use crate::base::hostname::split_wildcard_label;

type Map = HashMap<Box<str>, Index, foldhash::fast::RandomState>;

/// Exact names and aliases, then multi-level alias wildcards, then one-label rule wildcards, then alias regexes,
/// then the default server.
#[derive(Debug, Default)]
pub struct HostTable {
    exact: Map,
    /// `*.x` of `server-alias`, by `x`: any number of labels, the longest `x` first.
    any_depth: Map,
    /// `*.x` of a rule, by `x`: exactly one label.
    one_label: Map,
    regexes: Vec<(Regex, Index)>,
    default: Index,
}

impl HostTable {
    pub fn new(default: Index) -> Self {
        Self { default, ..Self::default() }
    }

    /// Adds the host of a rule, lower-case: a name or `*.` and a name. The first one of a name stays.
    pub fn add_rule(&mut self, host: &str, index: Index) {
        match host.strip_prefix("*.") {
            Some(suffix) => self.one_label.entry(suffix.into()).or_insert(index),
            None => self.exact.entry(host.into()).or_insert(index),
        };
    }

    /// Adds a `server-alias`, lower-case: a name, `*.name` at any depth, or a compiled `~regex`.
    pub fn add_alias(&mut self, alias: &str, index: Index) {
        match alias.strip_prefix("*.") {
            Some(suffix) => self.any_depth.entry(suffix.into()).or_insert(index),
            None => self.exact.entry(alias.into()).or_insert(index),
        };
    }

    pub fn add_alias_regex(&mut self, regex: Regex, index: Index) {
        self.regexes.push((regex, index));
    }

    /// Whether somebody has a name that [`HostTable::add_alias`] would add.
    pub fn has_alias(&self, alias: &str) -> bool {
        match alias.strip_prefix("*.") {
            Some(suffix) => self.any_depth.contains_key(suffix),
            None => self.exact.contains_key(alias),
        }
    }

    /// The virtual host for a lower-case name.
    pub fn find(&self, host: &str) -> Index {
        if let Some(&index) = self.exact.get(host) {
            return index;
        }
        if let Some(index) = self.find_any_depth(host) {
            return index;
        }
        let one_label = split_wildcard_label(host).and_then(|(_, suffix)| self.one_label.get(suffix));
        let regex = || self.regexes.iter().find(|(regex, _)| regex.is_match(host)).map(|(_, index)| *index);
        one_label.copied().or_else(regex).unwrap_or(self.default)
    }

    /// Whether a lower-case name is nobody's.
    pub fn is_default(&self, host: &str) -> bool {
        self.find(host) == self.default
    }

    fn find_any_depth(&self, host: &str) -> Option<Index> {
        if self.any_depth.is_empty() {
            return None;
        }
        let mut rest = host;
        while let Some((_, suffix)) = rest.split_once('.') {
            if let Some(&index) = self.any_depth.get(suffix) {
                return Some(index);
            }
            rest = suffix;
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn precedence() {
        let mut hosts = HostTable::new(0);
        hosts.add_rule("a.test", 1);
        hosts.add_rule("*.test", 2);
        hosts.add_rule("*.a.test", 3);
        hosts.add_alias("alias.other", 4);
        hosts.add_alias("*.wide.test", 5);
        hosts.add_alias_regex(crate::policy::rewrite::build_regex(&["^r[0-9]+\\.re$"]).unwrap(), 6);
        hosts.add_rule("a.test", 9);
        let rows = [
            ("a.test", 1),
            ("b.test", 2),
            ("b.a.test", 3),
            ("c.b.a.test", 0),
            ("alias.other", 4),
            ("x.wide.test", 5),
            ("y.x.wide.test", 5),
            ("wide.test", 2),
            ("r12.re", 6),
            ("unknown", 0),
            ("", 0),
        ];
        for (host, expected) in rows {
            assert_eq!(hosts.find(host), expected, "{host}");
        }
    }
}
