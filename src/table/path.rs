//! Paths of one host to routes. Owns the path semantics of contract §4; matchit serves exact and segment-prefix
//! paths, one multi-pattern automaton serves a host whose paths are regexes.

use std::borrow::Cow;
use std::collections::BTreeMap;

use regex_automata::meta::Regex;
use regex_automata::{Input, PatternSet};

use super::Index;
use crate::policy::rewrite::{build_overlapping, build_regex, escape_braces};

/// What a path leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    Route(Index),
    /// Redirect to the same path with a slash; the route is the one that has it (contract §4.2).
    AddSlash(Index),
    Nothing,
}

#[derive(Debug, Default)]
pub struct PathTable {
    /// `Exact /`.
    root_exact: Option<Index>,
    /// `Prefix /`: everything that no other path has.
    root: Option<Index>,
    tree: Option<Box<matchit::Router<Found>>>,
    regex: Option<Box<RegexPaths>>,
    /// What was put in, for people: `= /exact`, `/prefix`, `~ regex`.
    listing: Vec<(Box<str>, Index)>,
}

impl PathTable {
    /// The route for a normalised path.
    pub fn find(&self, path: &[u8]) -> Found {
        if let Some(regex) = &self.regex {
            return regex.find(path);
        }
        if let (Some(index), b"/") = (self.root_exact, path) {
            return Found::Route(index);
        }
        let found = self.tree.as_ref().and_then(|tree| {
            // A path that is not UTF-8 meets rules, which are, only through its readable prefix.
            let text: Cow<'_, str> = String::from_utf8_lossy(path);
            tree.at(&text).ok().map(|at| *at.value)
        });
        found.or(self.root.map(Found::Route)).unwrap_or(Found::Nothing)
    }

    /// The patterns with their routes, in the order in which they were added or are tried.
    pub fn routes(&self) -> impl Iterator<Item = (String, Index)> {
        self.listing.iter().map(|(pattern, index)| (pattern.to_string(), *index))
    }

    pub fn is_regex(&self) -> bool {
        self.regex.is_some()
    }
}

/// How strongly a claim on one literal path holds, strongest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Claim {
    Exact,
    /// A prefix that is written exactly so.
    Prefix,
    /// `Prefix /foo` on `/foo/`, unless `Prefix /foo/` exists (deviation: ingress-nginx fails to load that pair).
    Implied,
    AddSlash,
}

/// Collects the literal paths of one host. The first claim of a kind on a path stays, so callers add the oldest first.
#[derive(Debug, Default)]
pub struct LiteralPaths {
    root_exact: Option<Index>,
    root: Option<Index>,
    points: BTreeMap<String, (Claim, Found)>,
    below: BTreeMap<String, (Claim, Index)>,
    listing: Vec<(Box<str>, Index)>,
}

impl LiteralPaths {
    pub fn exact(&mut self, path: &str, index: Index) {
        self.listing.push((format!("= {path}").into(), index));
        if path == "/" {
            self.root_exact.get_or_insert(index);
            return;
        }
        self.point(path, Claim::Exact, Found::Route(index));
        self.add_slash(path, index);
    }

    pub fn prefix(&mut self, path: &str, index: Index) {
        self.listing.push((path.into(), index));
        if path == "/" {
            self.root.get_or_insert(index);
            return;
        }
        self.point(path, Claim::Prefix, Found::Route(index));
        self.add_slash(path, index);
        match path.strip_suffix('/') {
            Some(_) => self.under(path.to_owned(), Claim::Prefix, index),
            None => {
                let directory = format!("{path}/");
                self.point(&directory, Claim::Implied, Found::Route(index));
                self.under(directory, Claim::Implied, index);
            }
        }
    }

    fn add_slash(&mut self, path: &str, index: Index) {
        if let Some(bare) = path.strip_suffix('/').filter(|bare| !bare.is_empty()) {
            self.point(bare, Claim::AddSlash, Found::AddSlash(index));
        }
    }

    fn point(&mut self, path: &str, claim: Claim, found: Found) {
        let slot = self.points.entry(path.to_owned()).or_insert((claim, found));
        if claim < slot.0 {
            *slot = (claim, found);
        }
    }

    fn under(&mut self, directory: String, claim: Claim, index: Index) {
        let slot = self.below.entry(directory).or_insert((claim, index));
        if claim < slot.0 {
            *slot = (claim, index);
        }
    }

    /// Builds the table. A path that matchit cannot hold is returned with its reason; the others are served.
    pub fn build(self) -> (PathTable, Vec<(String, String)>) {
        let mut refused = Vec::new();
        let mut table =
            PathTable { root_exact: self.root_exact, root: self.root, listing: self.listing, ..PathTable::default() };
        if self.points.is_empty() && self.below.is_empty() {
            return (table, refused);
        }
        let mut tree = matchit::Router::new();
        for (path, (_, found)) in self.points {
            if let Err(error) = tree.insert(escape(&path), found) {
                refused.push((path, error.to_string()));
            }
        }
        for (path, (_, index)) in self.below {
            if let Err(error) = tree.insert(format!("{}{{*below}}", escape(&path)), Found::Route(index)) {
                refused.push((path, error.to_string()));
            }
        }
        table.tree = Some(Box::new(tree));
        (table, refused)
    }
}

/// matchit reads braces as parameters; doubled they are literal.
fn escape(path: &str) -> String {
    path.replace('{', "{{").replace('}', "}}")
}

/// The regex paths of one host in the order in which they are tried (contract §4.3).
#[derive(Debug)]
pub struct RegexPaths {
    patterns: Patterns,
    routes: Vec<Index>,
}

#[derive(Debug)]
enum Patterns {
    /// All in one automaton. `anchored`: every pattern can only match at the start, so that the automaton's own
    /// leftmost-first order is the order of the list.
    Together { regex: Regex, anchored: bool },
    /// Together they would be too large.
    Apart(Vec<Regex>),
}

impl RegexPaths {
    /// Compiles patterns in order. A pattern that cannot be compiled is returned with its reason and left out.
    pub fn build(paths: &[(String, Index)]) -> (PathTable, Vec<(String, String)>) {
        let mut refused = Vec::new();
        let mut patterns = Vec::new();
        let mut routes = Vec::new();
        let mut singles = Vec::new();
        for (path, index) in paths {
            let pattern = format!("^{path}");
            match build_regex(&[&pattern]) {
                Ok(regex) => {
                    patterns.push(pattern);
                    routes.push(*index);
                    singles.push(regex);
                }
                Err(reason) => refused.push((path.clone(), reason)),
            }
        }
        let all: Vec<&str> = patterns.iter().map(String::as_str).collect();
        let anchored = all.iter().all(|p| is_anchored(p));
        let together = if anchored { build_regex(&all) } else { build_overlapping(&all) };
        let patterns = match together {
            Ok(regex) => Patterns::Together { regex, anchored },
            Err(_) => Patterns::Apart(singles),
        };
        let listing = all.iter().zip(&routes).map(|(p, i)| (format!("~ {p}").into(), *i)).collect();
        let regex = Some(Box::new(RegexPaths { patterns, routes }));
        let table = PathTable { regex, listing, ..PathTable::default() };
        (table, refused)
    }

    fn find(&self, path: &[u8]) -> Found {
        let first = match &self.patterns {
            Patterns::Together { regex, anchored: true } => regex.find(path).map(|m| m.pattern().as_usize()),
            Patterns::Together { regex, anchored: false } => {
                let mut set = PatternSet::new(regex.pattern_len());
                regex.which_overlapping_matches(&Input::new(path), &mut set);
                set.iter().next().map(|pattern| pattern.as_usize())
            }
            Patterns::Apart(list) => list.iter().position(|regex| regex.is_match(path)),
        };
        first.and_then(|i| self.routes.get(i)).map_or(Found::Nothing, |&index| Found::Route(index))
    }
}

/// Whether a pattern can only match at the start: an alternative such as `^/one|/two` matches anywhere (as in nginx).
fn is_anchored(pattern: &str) -> bool {
    use regex_syntax::hir::Look;
    let parsed = regex_syntax::ParserBuilder::new().unicode(false).utf8(false).build().parse(&escape_braces(pattern));
    parsed.is_ok_and(|hir| hir.properties().look_set_prefix().contains(Look::Start))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn literal(paths: &[(&str, &str)]) -> PathTable {
        let mut all = LiteralPaths::default();
        for (i, (kind, path)) in paths.iter().enumerate() {
            match *kind {
                "exact" => all.exact(path, i as Index),
                _ => all.prefix(path, i as Index),
            }
        }
        let (table, refused) = all.build();
        assert!(refused.is_empty(), "{refused:?}");
        table
    }

    #[test]
    fn literal_paths() {
        use Found::{AddSlash, Nothing, Route};
        let table = literal(&[
            ("prefix", "/"),
            ("prefix", "/foo"),
            ("exact", "/foo"),
            ("prefix", "/foo/bar"),
            ("prefix", "/dir/"),
            ("exact", "/only/"),
            ("prefix", "/{id}/x"),
            ("prefix", "/pair"),
            ("prefix", "/pair/"),
            ("prefix", "/foo"),
        ]);
        let rows = [
            ("/", Route(0)),
            ("/x", Route(0)),
            ("/foo", Route(2)),
            ("/foo/", Route(1)),
            ("/foo/x", Route(1)),
            ("/foobar", Route(0)),
            ("/foo/bar", Route(3)),
            ("/foo/bar/baz", Route(3)),
            ("/foo/barbaz", Route(1)),
            ("/dir", AddSlash(4)),
            ("/dir/", Route(4)),
            ("/dir/x", Route(4)),
            ("/dirx", Route(0)),
            ("/only", AddSlash(5)),
            ("/only/", Route(5)),
            ("/only/x", Route(0)),
            ("/{id}/x/y", Route(6)),
            ("/7/x/y", Route(0)),
            ("/pair", Route(7)),
            ("/pair/", Route(8)),
            ("/pair/x", Route(8)),
            ("/FOO", Route(0)),
        ];
        for (path, expected) in rows {
            assert_eq!(table.find(path.as_bytes()), expected, "{path}");
        }
        assert_eq!(literal(&[("exact", "/")]).find(b"/x"), Nothing);
        assert_eq!(literal(&[("prefix", "/a")]).find(b"/a\xff"), Nothing);
        assert_eq!(literal(&[("prefix", "/a")]).find(b"/a/\xff"), Route(0));
    }

    #[test]
    fn regex_paths() {
        let paths: Vec<(String, Index)> = ["/abc/def", "/a.{1,5}z?", "/one|/two", "/abc", "/"]
            .iter()
            .enumerate()
            .map(|(i, p)| ((*p).to_owned(), i as Index))
            .collect();
        let (table, refused) = RegexPaths::build(&paths);
        assert!(refused.is_empty());
        let rows = [("/abc/defg", 0), ("/ABC", 1), ("/x/two", 2), ("/one", 2), ("/b", 4), ("/abc/two", 1)];
        for (path, expected) in rows {
            assert_eq!(table.find(path.as_bytes()), Found::Route(expected), "{path}");
        }
        let (_, refused) = RegexPaths::build(&[("/a(?=b)".to_owned(), 0), ("/b".to_owned(), 1)]);
        assert_eq!(refused.len(), 1);
        let (table, refused) = RegexPaths::build(&[("/a".to_owned(), 0), ("/a/b".to_owned(), 1)]);
        assert_eq!((table.find(b"/a/b"), refused.len()), (Found::Route(0), 0));
    }
}
