//! Host names to virtual hosts, in the precedence of contract §3.2.

use std::collections::HashMap;

use super::Index;
use crate::base::hostname::split_wildcard_label;
use crate::policy::regex::Regex;

type Map = HashMap<Box<str>, Index, foldhash::fast::RandomState>;

/// Exact names and aliases, then multi-level alias wildcards, those at their beginning before those at their end, then
/// one-label rule wildcards, then alias regexes, then the default server.
#[derive(Debug, Default)]
pub struct HostTable {
    exact: Map,
    /// `*.x` of `server-alias`, by `x`: any number of labels, the longest `x` first.
    any_depth: Map,
    /// `x.*` of `server-alias`, by `x`: any number of labels, the longest `x` first.
    any_end: Map,
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

    /// Adds a `server-alias`, lower-case: a name, `*.name` at any depth, `.name` for both, or `name.*`.
    pub fn add_alias(&mut self, alias: &str, index: Index) {
        match AliasForm::of(alias) {
            AliasForm::Exact(name) => self.exact.entry(name.into()).or_insert(index),
            AliasForm::Below(suffix) => self.any_depth.entry(suffix.into()).or_insert(index),
            AliasForm::With(name) => {
                self.exact.entry(name.into()).or_insert(index);
                self.any_depth.entry(name.into()).or_insert(index)
            }
            AliasForm::Any(prefix) => self.any_end.entry(prefix.into()).or_insert(index),
        };
    }

    pub fn add_alias_regex(&mut self, regex: Regex, index: Index) {
        self.regexes.push((regex, index));
    }

    /// Whether somebody has a name that [`HostTable::add_alias`] would add.
    pub fn has_alias(&self, alias: &str) -> bool {
        match AliasForm::of(alias) {
            AliasForm::Exact(name) => self.exact.contains_key(name),
            AliasForm::Below(suffix) | AliasForm::With(suffix) => self.any_depth.contains_key(suffix),
            AliasForm::Any(prefix) => self.any_end.contains_key(prefix),
        }
    }

    /// The virtual host for a lower-case name.
    pub fn find(&self, host: &str) -> Index {
        if let Some(&index) = self.exact.get(host) {
            return index;
        }
        if let Some(index) = self.find_any_depth(host).or_else(|| self.find_any_end(host)) {
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

    fn find_any_end(&self, host: &str) -> Option<Index> {
        if self.any_end.is_empty() {
            return None;
        }
        let mut rest = host;
        while let Some((prefix, _)) = rest.rsplit_once('.') {
            if let Some(&index) = self.any_end.get(prefix) {
                return Some(index);
            }
            rest = prefix;
        }
        None
    }
}

/// How a `server-alias` that is no regex names hosts (nginx's `server_name`).
enum AliasForm<'a> {
    /// `a.test`
    Exact(&'a str),
    /// `*.a.test`: what is below it.
    Below(&'a str),
    /// `.a.test`: it and what is below it.
    With(&'a str),
    /// `a.*`: whatever follows it.
    Any(&'a str),
}

impl<'a> AliasForm<'a> {
    fn of(alias: &'a str) -> Self {
        if let Some(suffix) = alias.strip_prefix("*.") {
            return Self::Below(suffix);
        }
        if let Some(name) = alias.strip_prefix('.') {
            return Self::With(name);
        }
        alias.strip_suffix(".*").map_or(Self::Exact(alias), Self::Any)
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
        hosts.add_alias_regex(Regex::new("^r[0-9]+\\.re$").unwrap(), 6);
        hosts.add_rule("a.test", 9);
        hosts.add_alias(".with.test", 7);
        hosts.add_alias(".a.test", 10);
        hosts.add_alias("mail.*", 8);
        hosts.add_alias("mail.inner.*", 11);
        hosts.add_rule("*.one", 12);
        let rows = [
            ("a.test", 1),
            ("b.test", 2),
            ("b.a.test", 10),
            ("c.b.a.test", 10),
            ("with.test", 7),
            ("x.y.with.test", 7),
            ("mail.one", 8),
            ("mail.b.c.d", 8),
            ("mail.inner.d", 11),
            ("mail.with.test", 7),
            ("mail", 0),
            ("www.mail.one", 0),
            ("x.one", 12),
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
