//! Paths of one host to routes. Owns the path semantics of contract §4: a hash map of whole segments serves exact
//! and prefix paths, one multi-pattern automaton serves a host whose paths are regexes.
//!
//! A radix tree (matchit) was measured first: prefixes end at slashes here, so a look-up needs one probe for each
//! depth that a rule of the host has, against a few scattered nodes for each step down a tree.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::Index;
use crate::policy::regex::RegexSet;

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
    literal: Option<Box<Literal>>,
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
        let found = self.literal.as_ref().and_then(|literal| literal.find(path));
        found.or(self.root.map(Found::Route)).unwrap_or(Found::Nothing)
    }

    /// The patterns with their routes, in the order in which they were added or are tried.
    pub fn routes(&self) -> impl Iterator<Item = (&str, Index)> {
        self.listing.iter().map(|(pattern, index)| (&**pattern, *index))
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

/// What holds for one path: with a final slash, without, and for all that is below it.
#[derive(Clone, Copy, Debug, Default)]
struct Place {
    bare: Option<(Claim, Found)>,
    slash: Option<(Claim, Found)>,
    below: Option<(Claim, Index)>,
}

/// The paths of a host that are no regexes, by their text without its last slash.
#[derive(Debug, Default)]
struct Literal {
    places: HashMap<Box<[u8]>, Place, foldhash::fast::RandomState>,
    /// One bit for each number of slashes in a text with something below it; the last bit is for all larger numbers.
    depths: u64,
    /// The longest text with something below it.
    longest: usize,
}

impl Literal {
    fn find(&self, path: &[u8]) -> Option<Found> {
        let (bare, has_slash) = without_slash(path);
        if let Some(place) = self.places.get(bare)
            && let Some((_, found)) = if has_slash { place.slash } else { place.bare }
        {
            return Some(found);
        }
        let mut last = None;
        // The path itself is not below itself, so its own last slash is not looked at.
        let slashes = bare.iter().enumerate().filter(|(_, b)| **b == b'/');
        for (depth, (end, _)) in slashes.enumerate() {
            if end > self.longest || self.depths >> depth.min(DEEPEST) == 0 {
                break;
            }
            if self.depths & depth_bit(depth) != 0
                && let Some(place) = path.get(..end).and_then(|above| self.places.get(above))
                && let Some((_, index)) = place.below
            {
                last = Some(Found::Route(index));
            }
        }
        last
    }

    fn place(&mut self, bare: &[u8]) -> &mut Place {
        self.places.entry(bare.into()).or_default()
    }

    /// Sets what holds for a path itself, unless a claim at least as strong is there.
    fn point(&mut self, path: &str, claim: Claim, found: Found) {
        let (bare, has_slash) = without_slash(path.as_bytes());
        let place = self.place(bare);
        let slot = if has_slash { &mut place.slash } else { &mut place.bare };
        if slot.is_none_or(|(holder, _)| claim < holder) {
            *slot = Some((claim, found));
        }
    }

    /// Sets what holds below a directory, whose text is given without its last slash.
    fn under(&mut self, bare: &str, claim: Claim, index: Index) {
        self.depths |= depth_bit(bare.bytes().filter(|b| *b == b'/').count());
        self.longest = self.longest.max(bare.len());
        let slot = &mut self.place(bare.as_bytes()).below;
        if slot.is_none_or(|(holder, _)| claim < holder) {
            *slot = Some((claim, index));
        }
    }
}

const DEEPEST: usize = 63;

fn depth_bit(slashes: usize) -> u64 {
    1 << slashes.min(DEEPEST)
}

/// A path without its last character if that is a slash, and whether it was.
fn without_slash(path: &[u8]) -> (&[u8], bool) {
    path.strip_suffix(b"/").map_or((path, false), |bare| (bare, true))
}

/// Collects the literal paths of one host. The first claim of a kind on a path stays, so callers add the oldest first.
#[derive(Debug, Default)]
pub struct LiteralPaths {
    root_exact: Option<Index>,
    root: Option<Index>,
    literal: Literal,
    listing: Vec<(Box<str>, Index)>,
}

impl LiteralPaths {
    pub fn exact(&mut self, path: &str, index: Index) {
        self.listing.push((format!("= {path}").into(), index));
        if path == "/" {
            self.root_exact.get_or_insert(index);
            return;
        }
        self.literal.point(path, Claim::Exact, Found::Route(index));
        self.add_slash(path, index);
    }

    pub fn prefix(&mut self, path: &str, index: Index) {
        self.listing.push((path.into(), index));
        if path == "/" {
            self.root.get_or_insert(index);
            return;
        }
        self.literal.point(path, Claim::Prefix, Found::Route(index));
        self.add_slash(path, index);
        match path.strip_suffix('/') {
            Some(bare) => self.literal.under(bare, Claim::Prefix, index),
            None => {
                self.literal.point(&format!("{path}/"), Claim::Implied, Found::Route(index));
                self.literal.under(path, Claim::Implied, index);
            }
        }
    }

    fn add_slash(&mut self, path: &str, index: Index) {
        if let Some(bare) = path.strip_suffix('/').filter(|bare| !bare.is_empty()) {
            self.literal.point(bare, Claim::AddSlash, Found::AddSlash(index));
        }
    }

    pub fn build(self) -> PathTable {
        let Self { root_exact, root, mut literal, mut listing } = self;
        literal.places.shrink_to_fit();
        listing.shrink_to_fit();
        let literal = (!literal.places.is_empty()).then(|| Box::new(literal));
        PathTable { root_exact, root, literal, listing, regex: None }
    }
}

/// The regex paths of one host in the order in which they are tried (contract §4.3).
#[derive(Debug)]
pub struct RegexPaths {
    patterns: Arc<RegexSet>,
    routes: Vec<Index>,
}

impl RegexPaths {
    /// The pattern of a path.
    pub fn pattern(path: &str) -> String {
        format!("^{path}")
    }

    /// `patterns` are those of the paths, in order. Those it refuses are left out.
    pub fn build(paths: &[(String, Index)], patterns: Arc<RegexSet>) -> PathTable {
        let refused: HashSet<usize> = patterns.refused().iter().map(|(position, _)| *position).collect();
        let listed = paths.iter().enumerate().filter(|(position, _)| !refused.contains(position));
        let listing = listed.map(|(_, (path, index))| (format!("~ {}", Self::pattern(path)).into(), *index)).collect();
        let routes = paths.iter().map(|(_, index)| *index).collect();
        let regex = Some(Box::new(RegexPaths { patterns, routes }));
        PathTable { regex, listing, ..PathTable::default() }
    }

    fn find(&self, path: &[u8]) -> Found {
        let route = self.patterns.find(path).and_then(|position| self.routes.get(position));
        route.map_or(Found::Nothing, |&index| Found::Route(index))
    }
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
        all.build()
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

    /// The same rules, each tried on its own.
    fn naive(rules: &[(bool, String)], path: &str) -> Found {
        let numbered = || rules.iter().zip(0..);
        let text_is = |exact: bool, wanted: &str| {
            numbered().find(|((e, text), _)| *e == exact && text == wanted).map(|(_, index)| Found::Route(index))
        };
        let implied = || path.strip_suffix('/').filter(|p| !p.is_empty()).and_then(|p| text_is(false, p));
        let directory = format!("{path}/");
        let add_slash = || numbered().find(|((_, text), _)| *text == directory).map(|(_, i)| Found::AddSlash(i));
        let below = || {
            let above = numbered().filter(|((exact, text), _)| {
                !exact && path.strip_prefix(text.trim_end_matches('/')).is_some_and(|rest| rest.starts_with('/'))
            });
            let strength = |text: &str| (text.trim_end_matches('/').len(), text.ends_with('/'));
            above.min_by_key(|((_, text), _)| std::cmp::Reverse(strength(text))).map(|(_, index)| Found::Route(index))
        };
        let own = text_is(true, path).or_else(|| text_is(false, path)).or_else(implied).or_else(add_slash);
        own.or_else(below).unwrap_or(Found::Nothing)
    }

    proptest::proptest! {
        #[test]
        fn a_look_up_is_the_rules_tried_one_by_one(
            rules in proptest::collection::vec((proptest::bool::ANY, "(/[ab]{1,2}){0,3}/?"), 0..8),
            paths in proptest::collection::vec("(/[ab]{1,2}){1,5}/?|/", 1..8),
        ) {
            let rules: Vec<_> = rules.into_iter().filter(|(_, text)| !text.is_empty()).collect();
            let mut all = LiteralPaths::default();
            for ((exact, text), index) in rules.iter().zip(0..) {
                if *exact { all.exact(text, index) } else { all.prefix(text, index) }
            }
            let table = all.build();
            for path in paths {
                proptest::prop_assert_eq!(table.find(path.as_bytes()), naive(&rules, &path), "{:?} {}", rules, path);
            }
        }
    }

    #[test]
    fn regex_paths() {
        let paths: Vec<(String, Index)> = ["/abc/def", "/a.{1,5}z?", "/x(?=b)", "/one|/two", "/abc", "/"]
            .iter()
            .enumerate()
            .map(|(i, p)| ((*p).to_owned(), i as Index))
            .collect();
        let patterns: Vec<String> = paths.iter().map(|(path, _)| RegexPaths::pattern(path)).collect();
        let table = RegexPaths::build(&paths, Arc::new(RegexSet::new(&patterns)));
        assert_eq!(table.routes().map(|(_, index)| index).collect::<Vec<_>>(), [0, 1, 3, 4, 5]);
        let rows = [("/abc/defg", 0), ("/ABC", 1), ("/x/two", 3), ("/one", 3), ("/b", 5), ("/abc/two", 1)];
        for (path, expected) in rows {
            assert_eq!(table.find(path.as_bytes()), Found::Route(expected), "{path}");
        }
    }
}
