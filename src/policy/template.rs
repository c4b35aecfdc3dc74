//! Text with nginx variables, parsed once: `upstream-vhost`, `x-forwarded-prefix`, rewrite targets.

/// One piece of a template.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Part {
    Literal(String),
    /// `$1` to `$9`: a group of the location's regex; empty when it did not take part.
    Capture(usize),
    Variable(Variable),
}

/// The variables that a template may name. Others are refused where the template is parsed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Variable {
    Host,
    HttpHost,
    RequestUri,
    Uri,
    Args,
    Scheme,
    RequestMethod,
    RemoteAddr,
}

const VARIABLES: [(&str, Variable); 10] = [
    ("host", Variable::Host),
    ("http_host", Variable::HttpHost),
    ("best_http_host", Variable::HttpHost),
    ("request_uri", Variable::RequestUri),
    ("uri", Variable::Uri),
    ("args", Variable::Args),
    ("query_string", Variable::Args),
    ("scheme", Variable::Scheme),
    ("request_method", Variable::RequestMethod),
    ("remote_addr", Variable::RemoteAddr),
];

#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Template {
    parts: Vec<Part>,
}

/// Where the values come from when a template is filled in.
pub trait Values {
    fn capture(&self, group: usize) -> &[u8];
    fn variable(&self, variable: Variable) -> &str;
}

impl Template {
    /// Reads text with `$name`, `${name}` and `$1`. Errors name the variable that is unknown.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some(at) = rest.find('$') {
            let (before, after) = rest.split_at_checked(at).unwrap_or((rest, ""));
            push_literal(&mut parts, before);
            let after = after.strip_prefix('$').unwrap_or(after);
            let (name, tail) = take_name(after);
            match name {
                "" => push_literal(&mut parts, "$"),
                name => parts.push(part(name)?),
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
                Part::Variable(variable) => out.extend_from_slice(values.variable(*variable).as_bytes()),
            }
        }
        out
    }
}

/// Splits a variable's name off: braces, one digit, or a run of word characters.
fn take_name(text: &str) -> (&str, &str) {
    if let Some((name, tail)) = text.strip_prefix('{').and_then(|t| t.split_once('}')) {
        return (name, tail);
    }
    let end = match text.bytes().next() {
        Some(b) if b.is_ascii_digit() => 1,
        _ => text.bytes().take_while(|b| b.is_ascii_alphanumeric() || *b == b'_').count(),
    };
    text.split_at_checked(end).unwrap_or((text, ""))
}

fn part(name: &str) -> Result<Part, String> {
    if let Ok(group) = name.parse::<usize>() {
        return Ok(Part::Capture(group));
    }
    VARIABLES
        .iter()
        .find(|(known, _)| *known == name)
        .map(|(_, variable)| Part::Variable(*variable))
        .ok_or_else(|| format!("the variable ${name} is not known"))
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

    #[test]
    fn parses() {
        let literal = |t: &str| Part::Literal(t.to_owned());
        let rows: [(&str, Result<Vec<Part>, ()>); 7] = [
            ("plain", Ok(vec![literal("plain")])),
            ("/$1/$2x", Ok(vec![literal("/"), Part::Capture(1), literal("/"), Part::Capture(2), literal("x")])),
            ("$host:80", Ok(vec![Part::Variable(Variable::Host), literal(":80")])),
            ("${scheme}s", Ok(vec![Part::Variable(Variable::Scheme), literal("s")])),
            ("a$", Ok(vec![literal("a$")])),
            ("", Ok(vec![])),
            ("$nope", Err(())),
        ];
        for (text, expected) in rows {
            assert_eq!(Template::parse(text).map(|t| t.parts).map_err(|_| ()), expected, "{text:?}");
        }
    }
}
