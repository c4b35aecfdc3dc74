//! Directives of nginx's rewrite module.

use super::lexer::Directive;
use super::{Context, Level, Reader};
use crate::policy::snippet::{Condition, Pattern, Return, Rewrite, Step, Then};
use crate::policy::variable::Variable;

impl Reader<'_> {
    pub(super) fn step(self, directive: &Directive) -> Result<Step, String> {
        match (directive.name(), directive.arguments()) {
            ("set", [name, value]) => Ok(Step::Set(own_name(name)?.into(), self.text(value)?)),
            ("break", []) => Ok(Step::Break),
            ("return", [url]) if ["http://", "https://", "$scheme"].iter().any(|start| url.starts_with(start)) => {
                Ok(Step::Return(Return { status: 302, text: Some(self.text(url)?) }))
            }
            ("return", [status]) => Ok(Step::Return(Return { status: code(status)?, text: None })),
            ("return", [status, text]) => {
                Ok(Step::Return(Return { status: code(status)?, text: Some(self.text(text)?) }))
            }
            ("rewrite", [pattern, replacement]) => self.rewrite(pattern, replacement, Then::Continue),
            ("rewrite", [pattern, replacement, flag]) => {
                let then = match flag.as_str() {
                    "last" => Then::Last,
                    "break" => Then::Break,
                    "redirect" => Then::Redirect(302),
                    "permanent" => Then::Redirect(301),
                    _ => return Err(format!("{flag:?} is none of last, break, redirect and permanent")),
                };
                self.rewrite(pattern, replacement, then)
            }
            _ => Err("it has too few arguments or too many".to_owned()),
        }
    }

    fn rewrite(self, pattern: &str, replacement: &str, then: Then) -> Result<Step, String> {
        let drops_query = replacement.ends_with('?');
        let (path, query) = match replacement.trim_end_matches('?').split_once('?') {
            Some((path, query)) => (path, Some(query)),
            None => (replacement.trim_end_matches('?'), None),
        };
        let path = self.text(path)?;
        let then = match then {
            Then::Redirect(_) => then,
            _ if path.starts_with_scheme() => Then::Redirect(302),
            _ => then,
        };
        let query = query.map(|query| self.text(query)).transpose()?;
        Ok(Step::Rewrite(Rewrite { pattern: Pattern::new(pattern, false)?, path, query, drops_query, then }))
    }

    /// `if`: its condition, and its block, whose headers are in force once it was entered.
    pub(super) fn condition(self, words: &[String], block: &[Directive], level: &mut Level) -> Result<(), String> {
        let condition = self.read_condition(words)?;
        let context = match self.context {
            Context::Server => Context::ServerIf,
            Context::Question => Context::QuestionIf,
            _ => Context::If,
        };
        let mut inner = Level::default();
        self.within(context).all(block, &mut inner)?;
        // The `if` of a server or of a question has no headers.
        let block = (context == Context::If).then_some(level.ifs.len());
        if context == Context::If {
            level.ifs.push(inner.edits);
        }
        level.steps.push(Step::If { condition, steps: inner.steps.into(), block });
        Ok(())
    }

    fn read_condition(self, words: &[String]) -> Result<Condition, String> {
        let joined: Vec<&str> = words.iter().map(String::as_str).collect();
        let [first, .., last] = joined.as_slice() else {
            let [one] = joined.as_slice() else { return Err("it has no condition".to_owned()) };
            let inner = one.strip_prefix('(').and_then(|one| one.strip_suffix(')'));
            return self.is_true(inner.ok_or("its condition is not in parentheses")?);
        };
        let (Some(first), Some(last)) = (first.strip_prefix('('), last.strip_suffix(')')) else {
            return Err("its condition is not in parentheses".to_owned());
        };
        let middle = joined.get(1..joined.len().saturating_sub(1)).unwrap_or_default();
        let parts: Vec<&str> = [&[first], middle, &[last]].concat();
        // A blank beside a parenthesis makes an empty word; an empty value between quotes is one, too.
        let parts = match parts.as_slice() {
            ["", rest @ ..] => rest,
            all => all,
        };
        let parts = match parts {
            [rest @ .., ""] if rest.len() == 1 || rest.len() == 3 => rest,
            all => all,
        };
        match parts {
            [variable] => self.is_true(variable),
            [test, _] if test.starts_with(['-', '!']) => Err("files are not asked for here".to_owned()),
            [variable, operator, value] => self.compared(variable, operator, value),
            _ => Err("its condition is not understood".to_owned()),
        }
    }

    fn is_true(self, variable: &str) -> Result<Condition, String> {
        one_variable(variable)?;
        self.text(variable).map(Condition::IsTrue)
    }

    fn compared(self, variable: &str, operator: &str, value: &str) -> Result<Condition, String> {
        one_variable(variable)?;
        let text = self.text(variable)?;
        let matches = |folds, negated| {
            Ok(Condition::Matches { value: text.clone(), pattern: Pattern::new(value, folds)?, negated })
        };
        match operator {
            "=" | "!=" => Ok(Condition::Equals { value: text, other: self.text(value)?, negated: operator == "!=" }),
            "~" => matches(false, false),
            "~*" => matches(true, false),
            "!~" => matches(false, true),
            "!~*" => matches(true, true),
            _ => Err(format!("{operator:?} is none of =, !=, ~, ~*, !~ and !~*")),
        }
    }
}

fn one_variable(text: &str) -> Result<(), String> {
    match text.strip_prefix('$').is_some_and(|name| !name.is_empty()) {
        true => Ok(()),
        false => Err(format!("{text:?} is no variable")),
    }
}

/// The name of a variable that a snippet may set: one that stands for nothing else.
pub(super) fn own_name(text: &str) -> Result<&str, String> {
    let name = text.strip_prefix('$').unwrap_or_default();
    let is_name = !name.is_empty()
        && !name.starts_with(|c: char| c.is_ascii_digit())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    match is_name {
        false => Err(format!("{text:?} is no name of a variable")),
        true if Variable::parse(name).is_some() => Err(format!("the variable ${name} cannot be set")),
        true => Ok(name),
    }
}

fn code(text: &str) -> Result<u16, String> {
    match text.parse() {
        Ok(444) => Err("a connection is not closed without an answer here".to_owned()),
        Ok(code @ 200..=599) => Ok(code),
        _ => Err(format!("{text:?} is no status from 200 to 599")),
    }
}
