//! Snippets of nginx configuration as data: the rewrite module's directives in their order, and what holds for the
//! answers. Nothing of a snippet's text survives its parser but these values.

mod access;
mod run;
mod text;

use std::hash::{Hash, Hasher};
use std::sync::Arc;

pub use access::{Access, LimitExcept, Net, Rule};
pub use run::{Flow, Returned, run};
pub use text::{Env, Place, State, Text};

use super::edits::Edits;
use super::regex::Regex;

/// An expression of `if`, `rewrite` or `location`; it takes linear time.
#[derive(Clone, Debug)]
pub struct Pattern {
    text: Box<str>,
    folds: bool,
    regex: Regex,
}

impl Pattern {
    /// Errors say what the expression uses that is unknown.
    pub fn new(text: &str, folds: bool) -> Result<Self, String> {
        let regex = if folds { Regex::new(text)? } else { Regex::of_case(text)? };
        if regex.has_names() {
            return Err("groups with names are not in this version".to_owned());
        }
        Ok(Self { text: text.into(), folds, regex })
    }

    pub fn is_match(&self, text: &[u8]) -> bool {
        self.regex.is_match(text)
    }

    /// The groups of the first match, the whole of it first.
    pub fn groups(&self, text: &[u8]) -> Option<Vec<Vec<u8>>> {
        let captures = self.regex.captures(text)?;
        let group = |span: Option<regex_automata::Span>| {
            span.and_then(|span| text.get(span.range())).unwrap_or_default().to_vec()
        };
        Some(captures.iter().map(group).collect())
    }
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        (&self.text, self.folds) == (&other.text, other.folds)
    }
}

impl Eq for Pattern {}

impl Hash for Pattern {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (&self.text, self.folds).hash(state);
    }
}

/// A directive of the rewrite module.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Step {
    Set(Box<str>, Text),
    If {
        condition: Condition,
        steps: Box<[Step]>,
        /// The headers that count from then on.
        block: Option<usize>,
    },
    Return(Return),
    Rewrite(Rewrite),
    Break,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Condition {
    /// Neither empty nor `0`.
    IsTrue(Text),
    Equals {
        value: Text,
        other: Text,
        negated: bool,
    },
    Matches {
        value: Text,
        pattern: Pattern,
        negated: bool,
    },
}

/// `return`: a redirect where the status is one and there is a text.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Return {
    pub status: u16,
    pub text: Option<Text>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Rewrite {
    pub pattern: Pattern,
    pub path: Text,
    /// What follows `?` in the replacement.
    pub query: Option<Text>,
    /// A replacement that ends in `?` drops the arguments.
    pub drops_query: bool,
    pub then: Then,
}

/// What happens once a rewrite has matched.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Then {
    /// The directives after it, then the location of the new URI.
    Continue,
    /// The location of the new URI.
    Last,
    /// The same location goes on.
    Break,
    Redirect(u16),
}

/// What a location's snippets amount to, those of its server and of http merged into it as nginx merges levels.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Snippet {
    /// The directives as a person reads them.
    pub source: Vec<Box<str>>,
    pub steps: Vec<Step>,
    pub edits: Edits,
    /// What holds once an `if` was entered.
    pub blocks: Vec<Edits>,
    pub access: Access,
}

impl Snippet {
    /// The edits in force.
    pub fn edits(&self, state: Option<&State>) -> &Edits {
        state.and_then(|state| self.blocks.get(state.block?)).unwrap_or(&self.edits)
    }
}

/// What a server's snippets amount to beside its locations' share of them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct ServerSnippet {
    pub steps: Vec<Step>,
    /// In force where no location is found.
    pub own: Arc<Snippet>,
    pub locations: Vec<OwnLocation>,
}

/// A `location` of a server snippet. It has no upstream: who is let through finds nothing.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct OwnLocation {
    pub path: OwnPath,
    pub snippet: Arc<Snippet>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum OwnPath {
    Exact(Box<str>),
    /// `true` for `^~`, before which no expression is tried.
    Prefix(Box<str>, bool),
    Regex(Pattern),
}

impl ServerSnippet {
    /// The location for a path, in nginx's order: exact, the longest prefix if it is `^~`, expressions, prefixes.
    /// `found` is the path text of the Ingress's location and whether it is exact, `None` where expressions have found it.
    pub fn location(&self, path: &[u8], found: Found<'_>) -> Option<&OwnLocation> {
        let exact = self.locations.iter().find(|l| matches!(&l.path, OwnPath::Exact(own) if own.as_bytes() == path));
        if exact.is_some() {
            return exact;
        }
        if let Found::Exact = found {
            return None;
        }
        let length = if let Found::Prefix(prefix) = found { prefix.len() } else { 0 };
        let prefix = self.locations.iter().filter_map(|location| match &location.path {
            OwnPath::Prefix(own, first) if path.starts_with(own.as_bytes()) => Some((own.len(), *first, location)),
            _ => None,
        });
        let prefix = prefix.max_by_key(|(length, ..)| *length).filter(|(own, ..)| *own > length || length == 0);
        if let Some((_, true, location)) = prefix {
            return Some(location);
        }
        let regex = self.locations.iter().find(|l| matches!(&l.path, OwnPath::Regex(own) if own.is_match(path)));
        match (regex, found) {
            (Some(_), _) => regex,
            (None, Found::Regex) => None,
            (None, _) => prefix.map(|(.., location)| location),
        }
    }
}

/// What the Ingresses of a host have for a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found<'p> {
    Exact,
    Prefix(&'p str),
    Regex,
    Nothing,
}

#[cfg(test)]
pub(crate) mod tests;
