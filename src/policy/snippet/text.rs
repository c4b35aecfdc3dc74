//! Values of directives: text with variables, of nginx's and of the snippet's own.

use crate::policy::template::{Values, take_name};
use crate::policy::variable::{Named, Variable};

/// The largest value of a variable or header, in bytes; what is longer is cut. Doubling a variable ends here.
const MAX_VALUE: usize = 8 * 1024;

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Piece {
    Literal(Box<str>),
    /// `$1` to `$9`: a group of the last expression that matched.
    Group(usize),
    Variable(Variable),
    /// A variable that `set` makes.
    Own(Box<str>),
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Text(Vec<Piece>);

/// What a snippet's directives leave behind for those after them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct State {
    own: Vec<(Box<str>, Vec<u8>)>,
    /// The whole match first.
    groups: Vec<Vec<u8>>,
    /// The `if` block that was entered last, whose headers count.
    pub block: Option<usize>,
}

impl State {
    pub fn set(&mut self, name: &str, value: Vec<u8>) {
        match self.own.iter_mut().find(|(known, _)| **known == *name) {
            Some((_, old)) => *old = value,
            None => self.own.push((name.into(), value)),
        }
    }

    pub fn set_groups(&mut self, groups: Vec<Vec<u8>>) {
        self.groups = groups;
    }

    fn own(&self, name: &str) -> &[u8] {
        self.own.iter().find(|(known, _)| **known == *name).map_or(&[], |(_, value)| value)
    }
}

/// The request's URI, which `rewrite` changes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// Decoded.
    pub path: Vec<u8>,
    pub query: Option<String>,
}

/// Where values come from while directives run.
pub struct Env<'a, V> {
    pub values: &'a V,
    pub state: &'a State,
    pub place: &'a Place,
}

impl Text {
    /// Reads text with `$name`, `${name}` and `$1`; `is_own` knows the variables of the snippet. The error names a
    /// variable that is unknown.
    pub fn parse(text: &str, is_own: &dyn Fn(&str) -> bool) -> Result<Self, String> {
        let mut pieces = Vec::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('$') {
            literal(&mut pieces, before);
            let (name, tail) = take_name(after);
            pieces.push(match name {
                // nginx takes a dollar at the end for itself.
                "" => Piece::Literal("$".into()),
                name if is_own(name) => Piece::Own(name.into()),
                name => match (name.parse::<usize>(), Variable::parse(name)) {
                    (Ok(group), _) => Piece::Group(group),
                    (_, Some(variable)) => Piece::Variable(variable),
                    (_, None) => return Err(format!("the variable ${name} is not known")),
                },
            });
            rest = tail;
        }
        literal(&mut pieces, rest);
        Ok(Self(pieces))
    }

    /// Whether it begins with this, or with a variable that may hold it.
    pub fn starts_with(&self, prefix: &str) -> bool {
        matches!(self.0.first(), Some(Piece::Literal(text)) if text.starts_with(prefix))
    }

    /// `$scheme` at the beginning makes a replacement a redirect.
    pub fn starts_with_scheme(&self) -> bool {
        self.0.first() == Some(&Piece::Variable(Variable::Named(Named::Scheme)))
            || ["http://", "https://"].iter().any(|scheme| self.starts_with(scheme))
    }

    /// The value, with `escape` for groups: those come from the request's decoded path.
    pub fn fill<V: Values>(&self, env: &Env<'_, V>, escape: Option<fn(&[u8], &mut String)>) -> Vec<u8> {
        let mut out = Vec::new();
        for piece in &self.0 {
            match piece {
                Piece::Literal(text) => out.extend_from_slice(text.as_bytes()),
                Piece::Own(name) => out.extend_from_slice(env.state.own(name)),
                Piece::Group(group) => {
                    let value = env.state.groups.get(*group).map_or(&[][..], Vec::as_slice);
                    match escape {
                        Some(escape) => {
                            let mut escaped = String::new();
                            escape(value, &mut escaped);
                            out.extend_from_slice(escaped.as_bytes());
                        }
                        None => out.extend_from_slice(value),
                    }
                }
                Piece::Variable(variable) => variable_of(env, variable, &mut out),
            }
            out.truncate(MAX_VALUE);
        }
        out
    }
}

/// Those of the URI as it is by now; all others as the request has them.
fn variable_of<V: Values>(env: &Env<'_, V>, variable: &Variable, out: &mut Vec<u8>) {
    let Place { path, query } = env.place;
    match variable {
        Variable::Named(Named::Uri) => out.extend_from_slice(path),
        Variable::Named(Named::Args) => out.extend_from_slice(query.as_deref().unwrap_or_default().as_bytes()),
        Variable::Named(Named::IsArgs) => {
            out.extend_from_slice(if query.as_ref().is_some_and(|query| !query.is_empty()) { b"?" } else { b"" });
        }
        other => {
            env.values.variable(other, out);
        }
    }
}

fn literal(pieces: &mut Vec<Piece>, text: &str) {
    if !text.is_empty() {
        pieces.push(Piece::Literal(text.into()));
    }
}
