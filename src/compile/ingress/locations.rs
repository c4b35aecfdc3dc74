//! Locations to routes, and the path table of a host: literal paths, or regexes for all when one asks for it.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::sync::Arc;

use super::budget::{self, Refused, Wanted};
use super::hosts::alias_pattern;
use super::questions::Questions;
use super::servers::{Location, Server, Servers};
use super::{Input, Owned, policy, snippets};
use crate::base::diagnostic::{Reason, Severity};
use crate::compile::intern::Interner;
use crate::compile::regexes::Regexes;
use crate::compile::report::Report;
use crate::compile::snippet::Level;
use crate::policy::RoutePolicy;
use crate::policy::upstream::UpstreamTls;
use crate::table::path::{LiteralPaths, RegexPaths};
use crate::table::{Index, PathTable, Route, RouteLabels};

/// The order in which nginx meets the locations of a server before any splitting: longest path text first, equal
/// lengths in descending text (contract §4.3).
pub fn nginx_order(a: &Location<'_>, b: &Location<'_>) -> Ordering {
    b.path.len().cmp(&a.path.len()).then_with(|| b.path.cmp(a.path))
}

/// The routes of the table while they are made.
#[derive(Debug)]
pub struct Routes<'a> {
    input: Input<'a>,
    owned: &'a [Owned],
    questions: Questions<'a>,
    texts: &'a mut Interner<str>,
    regexes: &'a mut Regexes,
    /// What [`Routes::admit`] found to be too much.
    too_much: Refused,
    report: &'a mut Report,
    policies: Interner<RoutePolicy>,
    list: Vec<Route>,
}

/// The host whose routes are made.
#[derive(Clone, Copy)]
struct Host<'h> {
    name: &'h str,
    server: &'h Server<'h>,
}

/// A location as nginx has it: a prefix is a directory and, beside it, an exact path (contract §4.2).
struct Entry<'l> {
    path: Cow<'l, str>,
    location: &'l Location<'l>,
}

impl<'a> Routes<'a> {
    pub fn new(
        input: Input<'a>,
        owned: &'a [Owned],
        questions: Questions<'a>,
        (texts, regexes): (&'a mut Interner<str>, &'a mut Regexes),
        report: &'a mut Report,
    ) -> Self {
        let too_much = Refused::default();
        Self {
            input,
            owned,
            questions,
            texts,
            regexes,
            too_much,
            report,
            policies: Interner::default(),
            list: Vec::new(),
        }
    }

    /// The server level of a host's snippets.
    pub fn host_snippet(&mut self, name: &str, server: &Server<'_>) -> Option<Level> {
        snippets::host_level(self.input, name, server, self.owned, self.report)
    }

    pub fn owned(&self, index: usize) -> Option<&'a Owned> {
        self.owned.get(index)
    }

    pub fn owner(&self, location: &Location<'_>) -> Option<&'a Owned> {
        self.owned(location.owner?)
    }

    pub fn text(&mut self, text: &str) -> Arc<str> {
        self.texts.text(text)
    }

    pub fn report(&mut self) -> &mut Report {
        self.report
    }

    pub fn regexes(&mut self) -> &mut Regexes {
        self.regexes
    }

    /// The first Ingress of a host with aliases, and its position.
    pub fn aliasing(&self, server: &Server<'_>) -> Option<(usize, &'a Owned)> {
        let mut owners = server.owners.iter().filter_map(|position| Some((*position, self.owned(*position)?)));
        owners.find(|(_, owner)| owner.annotations().server_alias.is_some())
    }

    /// Finds the regexes that are too much, before any is built.
    pub fn admit(&mut self, servers: &Servers<'_>) {
        let mut wanted = Vec::new();
        for (host, server) in servers {
            let mut want = |owner, text: &str, bytes| {
                wanted.push((Wanted { owner, host: host.clone(), text: text.to_owned() }, bytes));
            };
            for entry in self.regex_entries(server).iter().flatten() {
                let Some(owner) = entry.location.owner else { continue };
                let Ok(bytes) = self.regexes.size(&RegexPaths::pattern(&entry.path)) else { continue };
                // A rewrite has its own automata, one forwards and one backwards.
                let times = if self.rewrites(entry.location, &entry.path) { 3 } else { 1 };
                want(owner, &entry.path, bytes.saturating_mul(times));
            }
            let Some((owner, item)) = self.aliasing(server) else { continue };
            for alias in item.annotations().server_alias.iter().flat_map(|aliases| &aliases.0) {
                let bytes = alias_pattern(alias).and_then(|pattern| self.regexes.size(pattern).ok());
                if let Some(bytes) = bytes {
                    want(owner, alias, bytes.saturating_mul(2));
                }
            }
        }
        self.too_much = budget::refused(wanted);
    }

    /// Whether [`Routes::admit`] let a regex pass, or why not.
    pub fn admitted(&self, owner: usize, host: &str, text: &str) -> Result<(), String> {
        if self.too_much.is_empty() {
            return Ok(());
        }
        let wanted = Wanted { owner, host: host.to_owned(), text: text.to_owned() };
        self.too_much.get(&wanted).map_or(Ok(()), |reason| Err(reason.clone()))
    }

    pub fn tell(&mut self, item: &Owned, severity: Severity, reason: Reason, key: Option<String>, message: String) {
        self.report.ingress(severity, reason, &item.ingress, key, message);
    }

    pub fn finish(self) -> (Vec<Route>, Vec<Arc<UpstreamTls>>) {
        (self.list, self.questions.upstream_tls.into_list())
    }

    /// The path table of a host.
    pub fn paths(&mut self, name: &str, server: &Server<'_>) -> PathTable {
        let host = Host { name, server };
        match self.regex_entries(server) {
            Some(entries) => self.regex(host, entries),
            None => self.literal(host),
        }
    }

    /// The locations of a host in the order in which its regexes are tried, or `None` when its paths are literal.
    fn regex_entries<'l>(&self, server: &'l Server<'l>) -> Option<Vec<Entry<'l>>> {
        // Nearly every host: no annotation that could make a regex of a path.
        if !server.locations.iter().any(|l| self.uses_regex(l) || self.target(l).is_some()) {
            return None;
        }
        let mut locations: Vec<&Location<'_>> = server.locations.iter().collect();
        locations.sort_by(|a, b| nginx_order(a, b));
        let entries: Vec<Entry<'_>> = locations.iter().flat_map(|l| self.split(l, server)).collect();
        entries.iter().any(|e| self.wants_regex(e)).then_some(entries)
    }

    fn split<'l>(&self, location: &'l Location<'l>, server: &Server<'_>) -> Vec<Entry<'l>> {
        let entry = |path| Entry { path, location };
        let whole = || entry(Cow::Borrowed(location.path));
        let plain = !self.uses_regex(location) && !self.rewrites(location, location.path);
        if location.exact || location.path == "/" || !plain {
            return vec![whole()];
        }
        let directory = entry(Cow::Owned(format!("{}/", location.path.trim_end_matches('/'))));
        if server.get(location.path, true).is_some() {
            return vec![directory];
        }
        vec![directory, whole()]
    }

    fn uses_regex(&self, location: &Location<'_>) -> bool {
        !location.is_catch_all && self.owner(location).and_then(|o| o.annotations().use_regex) == Some(true)
    }

    /// A target equal to the path is no rewrite (contract §5.3) — of that very path; its directory differs.
    fn rewrites(&self, location: &Location<'_>, path: &str) -> bool {
        self.target(location).is_some_and(|target| target != path)
    }

    fn target(&self, location: &Location<'_>) -> Option<&'a str> {
        let owner = self.owner(location).filter(|_| !location.is_catch_all)?;
        owner.annotations().rewrite_target.as_ref().map(|t| t.as_str())
    }

    fn wants_regex(&self, entry: &Entry<'_>) -> bool {
        self.uses_regex(entry.location) || self.rewrites(entry.location, &entry.path)
    }

    fn literal(&mut self, host: Host<'_>) -> PathTable {
        let mut paths = LiteralPaths::default();
        for location in &host.server.locations {
            let index = self.add(host, location, location.path);
            match location.exact {
                true => paths.exact(location.path, index),
                false => paths.prefix(location.path, index),
            }
        }
        paths.build()
    }

    fn regex(&mut self, host: Host<'_>, mut entries: Vec<Entry<'_>>) -> PathTable {
        entries.retain(|entry| {
            let admitted = entry.location.owner.map_or(Ok(()), |owner| self.admitted(owner, host.name, &entry.path));
            admitted.map_err(|reason| self.tell_refused(host, entry, &reason)).is_ok()
        });
        let mut list = Vec::with_capacity(entries.len());
        for entry in &entries {
            let index = self.add(host, entry.location, &entry.path);
            list.push((entry.path.to_string(), index));
        }
        let patterns: Vec<String> = entries.iter().map(|entry| RegexPaths::pattern(&entry.path)).collect();
        let patterns = self.regexes.set(&patterns);
        for (position, reason) in patterns.refused() {
            if let Some(entry) = entries.get(*position) {
                self.tell_refused(host, entry, reason);
            }
        }
        RegexPaths::build(&list, patterns)
    }

    fn tell_refused(&mut self, host: Host<'_>, entry: &Entry<'_>, reason: &str) {
        if let Some(item) = self.owner(entry.location) {
            let message = format!("the path {:?} of host {} cannot be served: {reason}", entry.path, host.name);
            self.tell(item, Severity::Error, Reason::InvalidRule, Some("spec.rules".to_owned()), message);
        }
    }

    fn add(&mut self, host: Host<'_>, location: &Location<'_>, path: &str) -> Index {
        let owner = self.owner(location);
        let mut resolved = policy::resolve(self.input, location, path, owner, (self.regexes, self.report));
        resolved.denied = resolved.denied.or_else(|| host.server.denied.clone());
        snippets::apply(&mut resolved, self.input, owner, host.server);
        policy::upstream_tls::inherit(self.input, self.owned, host.server, owner, &mut resolved);
        self.questions.apply(location, &mut resolved);
        resolved.error_pages = resolved.error_pages.filter(|pages| pages.own || !host.server.has_error_page);
        let tls = resolved.upstream.tls.take().map(|tls| self.questions.upstream_tls.index(tls));
        let item = owner.map(|o| &o.key);
        let labels = RouteLabels {
            namespace: item.map_or_else(|| self.texts.text(""), |k| k.namespace.clone()),
            ingress: item.map_or_else(|| self.texts.text(""), |k| k.name.clone()),
            service: Arc::clone(&location.service),
            service_port: Arc::clone(&location.port),
            path: self.texts.text(location.path),
            host: self.texts.text(host.name),
        };
        let index = Index::try_from(self.list.len()).unwrap_or(Index::MAX);
        self.list.push(Route {
            labels: Arc::new(labels),
            policy: self.policies.intern(resolved),
            target: location.target,
            is_default_backend: location.owner.is_none(),
            tls,
            default_backend: location.stand_in,
        });
        index
    }
}
