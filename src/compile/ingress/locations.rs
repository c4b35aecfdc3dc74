//! Locations to routes, and the path table of a host: literal paths, or regexes for all when one asks for it.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::sync::Arc;

use super::questions::Questions;
use super::servers::{Location, Server};
use super::{Input, Owned, policy, snippets};
use crate::base::diagnostic::{Reason, Severity};
use crate::compile::intern::Interner;
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
        texts: &'a mut Interner<str>,
        report: &'a mut Report,
    ) -> Self {
        Self { input, owned, questions, texts, report, policies: Interner::default(), list: Vec::new() }
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

    pub fn tell(&mut self, item: &Owned, severity: Severity, reason: Reason, key: Option<String>, message: String) {
        self.report.ingress(severity, reason, &item.ingress, key, message);
    }

    pub fn finish(self) -> (Vec<Route>, Vec<Arc<UpstreamTls>>) {
        (self.list, self.questions.upstream_tls.into_list())
    }

    /// The path table of a host.
    pub fn paths(&mut self, name: &str, server: &Server<'_>) -> PathTable {
        let host = Host { name, server };
        let (table, refused) = match self.regex_entries(server) {
            Some(entries) => self.regex(host, &entries),
            None => return self.literal(host),
        };
        if refused.is_empty() {
            return table;
        }
        let mut locations: Vec<&Location<'_>> = server.locations.iter().collect();
        locations.sort_by(|a, b| nginx_order(a, b));
        for (path, reason) in refused {
            let location = locations.iter().find(|l| l.path == path || path.strip_suffix('/') == Some(l.path));
            if let Some(item) = location.and_then(|l| self.owner(l)) {
                let message = format!("the path {path:?} of host {name} cannot be served: {reason}");
                self.tell(item, Severity::Error, Reason::InvalidRule, Some("spec.rules".to_owned()), message);
            }
        }
        table
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

    fn regex(&mut self, host: Host<'_>, entries: &[Entry<'_>]) -> (PathTable, Vec<(String, String)>) {
        let mut list = Vec::with_capacity(entries.len());
        for entry in entries {
            let index = self.add(host, entry.location, &entry.path);
            list.push((entry.path.to_string(), index));
        }
        RegexPaths::build(&list)
    }

    fn add(&mut self, host: Host<'_>, location: &Location<'_>, path: &str) -> Index {
        let owner = self.owner(location);
        let mut resolved = policy::resolve(self.input, location, path, owner, self.report);
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
