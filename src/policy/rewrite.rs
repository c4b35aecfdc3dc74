//! `rewrite-target`: the request's new URI, or a redirect (contract §5).

use std::hash::{Hash, Hasher};

use regex_automata::util::captures::Captures;

use super::regex::Regex;
use super::template::{Part, Template, Values};
use crate::base::path::{escape_argument, escape_path, escape_unsafe};

/// Substitutes the whole path by a target. The pattern is searched anywhere in the path (§5.1).
#[derive(Clone, Debug)]
pub struct Rewrite {
    pattern: String,
    regex: Regex,
    target: String,
    path: Template,
    /// What follows `?` in the target; original arguments are appended after it.
    arguments: Option<Template>,
    /// A target that ends in `?` drops the original arguments.
    drop_arguments: bool,
    redirect: bool,
}

impl PartialEq for Rewrite {
    fn eq(&self, other: &Self) -> bool {
        self.pattern == other.pattern && self.target == other.target
    }
}

impl Eq for Rewrite {}

impl Hash for Rewrite {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.pattern.hash(state);
        self.target.hash(state);
    }
}

/// What became of a request.
#[derive(Debug, PartialEq, Eq)]
pub enum Rewritten {
    /// Path and query to send upstream.
    Uri(String),
    /// 302 to this `Location` (§5.3: a target that starts with `http://` or `https://`).
    Redirect(String),
    /// The pattern does not match the path: it goes on as it is.
    Unchanged,
}

/// The groups of the last rewrite, for `X-Forwarded-Prefix: $1`.
pub struct Groups<'p> {
    path: &'p [u8],
    captures: Option<Captures>,
}

impl Groups<'_> {
    pub fn get(&self, group: usize) -> &[u8] {
        let span = self.captures.as_ref().and_then(|c| c.get_group(group));
        span.and_then(|s| self.path.get(s.start..s.end)).unwrap_or_default()
    }
}

impl Rewrite {
    /// `pattern` is the Ingress path, `target` the annotation. Errors say what the pattern or target uses that is unknown.
    pub fn new(pattern: &str, target: &str) -> Result<Self, String> {
        Self::with(Regex::new(pattern)?, pattern, target)
    }

    /// The same with the regex of the pattern at hand.
    pub fn with(regex: Regex, pattern: &str, target: &str) -> Result<Self, String> {
        let redirect = ["http://", "https://", "$scheme"].iter().any(|start| target.starts_with(start));
        let (path, arguments) = match target.split_once('?') {
            Some((path, arguments)) => (path, Some(arguments)),
            None => (target, None),
        };
        let template = |text| Template::parse_with(text, |name| regex.group_of(name));
        Ok(Self {
            redirect,
            path: template(path)?,
            drop_arguments: arguments.is_some_and(|a| a.is_empty()),
            arguments: arguments.filter(|a| !a.is_empty()).map(template).transpose()?,
            regex,
            pattern: pattern.to_owned(),
            target: target.to_owned(),
        })
    }

    pub fn target(&self) -> &str {
        &self.target
    }

    /// Applies the rewrite to a normalised path and the raw query; `values` has the variables of the target.
    pub fn apply<'p>(&self, path: &'p [u8], query: Option<&str>, values: &impl Values) -> (Rewritten, Groups<'p>) {
        let captures = self.regex.captures(path);
        let matched = captures.is_some();
        let groups = Groups { path, captures };
        if !matched {
            return (Rewritten::Unchanged, groups);
        }
        let mut out = String::with_capacity(path.len() + self.target.len());
        fill(&self.path, (&groups, values), escape_path, self.redirect, &mut out);
        let mut joint = '?';
        if let Some(arguments) = &self.arguments {
            out.push('?');
            fill(arguments, (&groups, values), escape_argument, true, &mut out);
            joint = '&';
        }
        if let Some(query) = query.filter(|q| !q.is_empty() && !self.drop_arguments) {
            out.push(joint);
            out.push_str(query);
        }
        let rewritten = if self.redirect { Rewritten::Redirect(out) } else { Rewritten::Uri(out) };
        (rewritten, groups)
    }
}

/// Literals and variables of a path are escaped, too, because nginx escapes the whole new URI; those of a query or a URL
/// are as written.
fn fill(
    template: &Template,
    (groups, values): (&Groups<'_>, &impl Values),
    escape: impl Fn(&[u8], &mut String),
    verbatim: bool,
    out: &mut String,
) {
    for part in template.parts() {
        match part {
            Part::Literal(text) if verbatim => out.push_str(text),
            Part::Literal(text) => escape(text.as_bytes(), out),
            Part::Capture(group) => escape(groups.get(*group), out),
            Part::Variable(variable) => {
                let mut value = Vec::new();
                values.variable(variable, &mut value);
                if verbatim { escape_unsafe(&value, out) } else { escape(&value, out) }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::policy::header_text::NoValues;
    use crate::policy::variable::{Named, Variable};

    struct Known;

    impl Values for Known {
        fn variable(&self, variable: &Variable, out: &mut Vec<u8>) -> bool {
            out.extend_from_slice(if *variable == Variable::Named(Named::Scheme) { b"http" } else { b"a ?%b" });
            true
        }
    }

    #[test]
    fn rewrites() {
        let uri = |t: &str| Rewritten::Uri(t.to_owned());
        let there = |t: &str| Rewritten::Redirect(t.to_owned());
        let rows = [
            ("/api(/|$)(.*)", "/$2", "/api/v1/x", None, uri("/v1/x")),
            ("/api(/|$)(.*)", "/$2", "/api", Some("a=b"), uri("/?a=b")),
            ("/API/(.*)", "/new/$1", "/api/a b", None, uri("/new/a%20b")),
            ("/a", "/b", "/zzz/a/tail", None, uri("/b")),
            ("/a|/b/(.*)", "/$1", "/pre/b/c", None, uri("/c")),
            ("/a/(.*)", "/x?p=$1", "/a/1&2", Some("q=1"), uri("/x?p=1%262&q=1")),
            ("/a/(.*)", "/x?", "/a/1", Some("q=1"), uri("/x")),
            ("/a", "/b", "/a", Some(""), uri("/b")),
            ("/a/(.*)", "https://o.test/$1", "/a/z", Some("q"), there("https://o.test/z?q")),
            ("/a/(.*)", "/$host/$1", "/a/z", None, uri("/a%20%3F%25b/z")),
            ("/a/(.*)", "/x?h=$host&p=$1", "/a/z", None, uri("/x?h=a%20?%b&p=z")),
            ("/a/(.*)", "$scheme://$host/$1", "/a/z", Some("q"), there("http://a%20?%b/z?q")),
            ("/(?<app>[a-z]+)/(?P<id>[0-9]+)", "/$id/${app}x/$host", "/shop/7", None, uri("/7/shopx/a%20%3F%25b")),
            ("/nope", "/b", "/a", None, Rewritten::Unchanged),
        ];
        for (pattern, target, path, query, expected) in rows {
            let rewrite = Rewrite::new(pattern, target).unwrap();
            assert_eq!(rewrite.apply(path.as_bytes(), query, &Known).0, expected, "{pattern} {target} {path}");
        }
    }

    #[test]
    fn refuses_what_cannot_run_in_linear_time() {
        assert!(Rewrite::new("/a(?!b)", "/x").is_err());
        assert!(Rewrite::new(r"/(a)\1", "/x").is_err());
        assert!(Rewrite::new("/((a{100}){100}){100}", "/x").is_err());
        assert!(Rewrite::new("/p([a-z0-9]{1,4000}x)", "/x").is_err());
        assert!(Rewrite::new("/p([a-z0-9]{1,500}x)", "/x").is_ok());
    }

    /// Patterns in which a backtracking engine would be lost in for years; the tests end.
    fn nested() -> impl Strategy<Value = String> {
        let leaf = prop::sample::select(vec!["a", "[a-b]", ".", "a?", "(a|a)", "(a|ab)"]).prop_map(str::to_owned);
        leaf.prop_recursive(4, 16, 3, |inner| {
            let repeat = (inner.clone(), prop::sample::select(vec!["*", "+", "{1,3}"]));
            prop_oneof![
                repeat.prop_map(|(inner, times)| format!("({inner}){times}")),
                (inner.clone(), inner).prop_map(|(left, right)| format!("{left}{right}")),
            ]
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

        #[test]
        fn rewrites_end_in_linear_time(pattern in nested()) {
            let path = format!("/{}!", "a".repeat(20_000));
            for pattern in [format!("^/{pattern}$"), format!("{pattern}x"), format!("({pattern})*$")] {
                if let Ok(rewrite) = Rewrite::new(&pattern, "/$1") {
                    rewrite.apply(path.as_bytes(), None, &NoValues);
                }
            }
        }
    }
}
