//! Text with nginx variables, parsed once: `upstream-vhost`, `x-forwarded-prefix`, rewrite targets, header values.

use super::variable::{Since, Variable};

/// One piece of a template.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Part {
    Literal(String),
    /// `$1` to `$9`: a group of the location's regex; empty when it did not take part.
    Capture(usize),
    Variable(Variable),
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Template {
    parts: Vec<Part>,
}

/// Where the values come from when a template is filled in.
pub trait Values {
    /// A group of the location's regex.
    fn capture(&self, _group: usize) -> &[u8] {
        b""
    }

    /// Appends the value of a variable. `false`: it has none, which is not the same as an empty one in a log.
    fn variable(&self, variable: &Variable, out: &mut Vec<u8>) -> bool;
}

impl Template {
    /// Reads text with `$name`, `${name}` and `$1`. Errors name the variable that is unknown, or that a request has not
    /// yet.
    pub fn parse(text: &str) -> Result<Self, String> {
        Self::parse_for(text, Since::Request)
    }

    /// The same for a text that is filled in once these variables have their values.
    pub fn parse_for(text: &str, when: Since) -> Result<Self, String> {
        Self::read(text, |name| part(name, when).map(Some))
    }

    /// The same for a text in which the groups of a regex have names, too, besides variables.
    pub fn parse_with(text: &str, group_of: impl Fn(&str) -> Option<usize>) -> Result<Self, String> {
        Self::read(text, |name| match group_of(name) {
            Some(group) => Ok(Some(Part::Capture(group))),
            None => part(name, Since::Request).map(Some),
        })
    }

    /// The same with nothing in place of variables that [`Template::parse`] refuses, and what is wrong with them.
    pub fn parse_leniently(text: &str) -> (Self, Vec<String>) {
        let mut problems = Vec::new();
        let known = |name: &str| Ok(part(name, Since::Request).map_err(|problem| problems.push(problem)).ok());
        let template = Self::read(text, known).unwrap_or_default();
        (template, problems)
    }

    fn read(text: &str, mut resolve: impl FnMut(&str) -> Result<Option<Part>, String>) -> Result<Self, String> {
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some(at) = rest.find('$') {
            let (before, after) = rest.split_at_checked(at).unwrap_or((rest, ""));
            push_literal(&mut parts, before);
            let after = after.strip_prefix('$').unwrap_or(after);
            let (name, tail) = take_name(after);
            match name {
                "" => push_literal(&mut parts, "$"),
                name => parts.extend(resolve(name)?),
            }
            rest = tail;
        }
        push_literal(&mut parts, rest);
        Ok(Self { parts })
    }

    pub fn parts(&self) -> &[Part] {
        &self.parts
    }

    /// Fills the template in. Captures are bytes of the request path, so the result may be any bytes.
    pub fn fill(&self, values: &impl Values) -> Vec<u8> {
        let mut out = Vec::new();
        for part in &self.parts {
            match part {
                Part::Literal(text) => out.extend_from_slice(text.as_bytes()),
                Part::Capture(group) => out.extend_from_slice(values.capture(*group)),
                Part::Variable(variable) => {
                    values.variable(variable, &mut out);
                }
            }
        }
        out
    }
}

/// Splits a variable's name off: braces, one digit, or a run of word characters.
pub(super) fn take_name(text: &str) -> (&str, &str) {
    if let Some((name, tail)) = text.strip_prefix('{').and_then(|t| t.split_once('}')) {
        return (name, tail);
    }
    let end = match text.bytes().next() {
        Some(b) if b.is_ascii_digit() => 1,
        _ => text.bytes().take_while(|b| b.is_ascii_alphanumeric() || *b == b'_').count(),
    };
    text.split_at_checked(end).unwrap_or((text, ""))
}

fn part(name: &str, when: Since) -> Result<Part, String> {
    if let Ok(group) = name.parse::<usize>() {
        return Ok(Part::Capture(group));
    }
    let variable = Variable::parse(name).ok_or_else(|| format!("the variable ${name} is not known"))?;
    match variable.since() > when {
        true => Err(format!("the variable ${name} has no value before the answer")),
        false => Ok(Part::Variable(variable)),
    }
}

fn push_literal(parts: &mut Vec<Part>, text: &str) {
    match parts.last_mut() {
        _ if text.is_empty() => {}
        Some(Part::Literal(last)) => last.push_str(text),
        _ => parts.push(Part::Literal(text.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::variable::Named;

    #[test]
    fn parses() {
        let literal = |t: &str| Part::Literal(t.to_owned());
        let named = |n| Part::Variable(Variable::Named(n));
        let rows: [(&str, Result<Vec<Part>, ()>); 8] = [
            ("plain", Ok(vec![literal("plain")])),
            ("/$1/$2x", Ok(vec![literal("/"), Part::Capture(1), literal("/"), Part::Capture(2), literal("x")])),
            ("$host:80", Ok(vec![named(Named::Host), literal(":80")])),
            ("${scheme}s", Ok(vec![named(Named::Scheme), literal("s")])),
            ("a$", Ok(vec![literal("a$")])),
            ("", Ok(vec![])),
            ("$nope", Err(())),
            ("$status", Err(())),
        ];
        for (text, expected) in rows {
            assert_eq!(Template::parse(text).map(|t| t.parts).map_err(|_| ()), expected, "{text:?}");
        }
        let (template, problems) = Template::parse_leniently("a$nope$host$status");
        assert_eq!((template.parts, problems.len()), (vec![literal("a"), named(Named::Host)], 2));
    }
}
