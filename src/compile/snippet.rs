//! Snippets of nginx configuration to typed directives: a closed list. What is not on it refuses the whole snippet.

mod directives;
mod headers;
mod lexer;
mod merge;
mod rewrite;

use std::collections::BTreeSet;
use std::time::Duration;

use crate::policy::edits::Edits;
use crate::policy::snippet::{Access, OwnPath, Step, Text};
use lexer::Directive;

pub use merge::{location, server};

/// Where a snippet stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Context {
    Http,
    Server,
    Location,
    /// A `location` within a server snippet, which has no upstream.
    OwnLocation,
    /// `if` within one of these.
    If,
    ServerIf,
    /// The question of external authentication.
    Question,
    QuestionIf,
}

impl Context {
    fn name(self) -> &'static str {
        match self {
            Self::Http => "an http snippet",
            Self::Server => "a server snippet",
            Self::Location => "a location's snippet",
            Self::OwnLocation => "a location of a server snippet",
            Self::If => "if",
            Self::ServerIf => "if of a server snippet",
            Self::Question => "a snippet of authentication",
            Self::QuestionIf => "if of a snippet of authentication",
        }
    }
}

/// One snippet, read. It knows nothing of those it is merged with.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Level {
    pub source: Vec<Box<str>>,
    pub steps: Vec<Step>,
    pub edits: Edits,
    /// The edits of `if` blocks, by themselves.
    pub ifs: Vec<Edits>,
    pub access: Access,
    pub locations: Vec<(OwnPath, Level)>,
    /// `client_max_body_size` in bytes; 0 is no limit.
    pub body_limit: Option<u64>,
    pub timeouts: Timeouts,
}

/// `proxy_connect_timeout` and the like.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Timeouts {
    pub connect: Option<Duration>,
    pub send: Option<Duration>,
    pub read: Option<Duration>,
}

/// Reads a snippet. The error names the line and the directive that cannot be used.
pub fn read(text: &str, context: Context) -> Result<Level, String> {
    read_after(text, context, &mut BTreeSet::new())
}

/// The same after snippets that have set these variables; its own are added.
pub fn read_after(text: &str, context: Context, own: &mut BTreeSet<String>) -> Result<Level, String> {
    let directives = lexer::read(text)?;
    variables(&directives, own)?;
    let mut level = Level { source: directives.iter().map(source).collect(), ..Level::default() };
    Reader { context, own }.all(&directives, &mut level)?;
    Ok(level)
}

/// The variables that `set` makes anywhere in a snippet.
fn variables(directives: &[Directive], own: &mut BTreeSet<String>) -> Result<(), String> {
    for directive in directives {
        if let ("set", [name, _]) = (directive.name(), directive.arguments()) {
            own.insert(rewrite::own_name(name).map_err(|error| at(directive, &error))?.to_owned());
        }
        variables(directive.block.as_deref().unwrap_or_default(), own)?;
    }
    Ok(())
}

/// A directive in one line.
fn source(directive: &Directive) -> Box<str> {
    let block = directive.block.as_ref().map(|block| block.iter().map(source).collect::<Vec<_>>().join("; "));
    let block = block.map(|block| format!(" {{ {block} }}")).unwrap_or_default();
    format!("{}{block}", directive.words.join(" ")).into()
}

fn at(directive: &Directive, error: &str) -> String {
    format!("line {}: {}: {error}", directive.line, directive.name())
}

/// Reads the directives of one context.
#[derive(Clone, Copy)]
struct Reader<'o> {
    context: Context,
    own: &'o BTreeSet<String>,
}

impl Reader<'_> {
    fn all(self, directives: &[Directive], level: &mut Level) -> Result<(), String> {
        directives.iter().try_for_each(|one| self.directive(one, level).map_err(|error| at(one, &error)))
    }

    fn within(self, context: Context) -> Self {
        Self { context, ..self }
    }

    fn text(self, text: &str) -> Result<Text, String> {
        Text::parse(text, &|name| self.own.contains(name))
    }
}

#[cfg(test)]
mod tests;
