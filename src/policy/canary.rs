//! Canaries: which requests go to the alternative of their upstream (contract §16).

use std::sync::Arc;

use http::header::{self, HeaderMap, HeaderName};

use super::headers::joined;
use super::regex::Regex;

/// Who serves a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    Main,
    Alternative,
}

/// The rules of one canary. Header, then cookie, then weight: the first that has an answer decides.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Canary {
    pub header: Option<HeaderRule>,
    /// A cookie whose value `always` or `never` decides. The case of its name does not matter, as in nginx.
    pub cookie: Option<Arc<str>>,
    pub weight: Weight,
}

/// `canary-by-header`. Several lines of the header are one value, as nginx joins them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeaderRule {
    /// Spellings of the name; the first that a request has counts.
    pub names: Vec<HeaderName>,
    pub wanted: Wanted,
}

/// Which value of the header chooses a side; others leave the choice to the cookie.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// `always` is the canary, `never` is main.
    Word,
    /// `canary-by-header-value`, case-sensitive; the words mean nothing then.
    Value(Arc<str>),
    /// `canary-by-header-pattern`, found anywhere in the value.
    Pattern(Pattern),
    /// A pattern that cannot be used: who sends the header stays with main.
    Unusable,
}

/// A case-sensitive regex over bytes, in linear time.
#[derive(Clone, Debug)]
pub struct Pattern {
    text: String,
    regex: Regex,
}

impl Pattern {
    /// Errors say what the regex uses that is unknown.
    pub fn new(text: &str) -> Result<Self, String> {
        Ok(Self { text: text.to_owned(), regex: Regex::of_case(text)? })
    }

    /// The same with the regex at hand.
    pub fn with(text: &str, regex: Regex) -> Self {
        Self { text: text.to_owned(), regex }
    }

    pub fn text(&self) -> &str {
        &self.text
    }
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for Pattern {}

/// A share of requests: `share` of `total`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Weight {
    share: u32,
    total: u32,
}

impl Default for Weight {
    fn default() -> Self {
        Self::new(0, Self::LEAST_TOTAL)
    }
}

impl Weight {
    /// A smaller total counts as this one (contract §16).
    pub const LEAST_TOTAL: u32 = 100;

    pub fn new(share: u32, total: u32) -> Self {
        Self { share, total: total.max(Self::LEAST_TOTAL) }
    }

    /// Share and total.
    pub fn parts(self) -> (u32, u32) {
        (self.share, self.total)
    }

    /// Uniform over the total: the upper half of the number, scaled (the lower bits of a xorshift are its weak ones).
    fn decide(self, random: u64) -> Side {
        let drawn = ((random >> 32) * u64::from(self.total)) >> 32;
        if drawn < u64::from(self.share) { Side::Alternative } else { Side::Main }
    }
}

impl Canary {
    /// The side of a request with these headers; `random` is uniform over all of its values.
    pub fn decide(&self, headers: &HeaderMap, random: u64) -> Side {
        let by_header = self.header.as_ref().and_then(|rule| rule.decide(headers));
        let by_cookie = || word(cookie(headers, self.cookie.as_deref()?)?);
        by_header.or_else(by_cookie).unwrap_or_else(|| self.weight.decide(random))
    }
}

impl HeaderRule {
    fn decide(&self, headers: &HeaderMap) -> Option<Side> {
        let value = self.names.iter().find_map(|name| joined(headers, name))?;
        let value = value.as_bytes();
        let chosen = match &self.wanted {
            Wanted::Word => return word(value),
            Wanted::Unusable => return Some(Side::Main),
            Wanted::Value(wanted) => value == wanted.as_bytes(),
            Wanted::Pattern(pattern) => pattern.regex.is_match(value),
        };
        chosen.then_some(Side::Alternative)
    }
}

fn word(value: &[u8]) -> Option<Side> {
    match value {
        b"always" => Some(Side::Alternative),
        b"never" => Some(Side::Main),
        _ => None,
    }
}

/// The first value of a cookie as nginx's `$cookie_name` reads it: a comma separates cookies like a semicolon, but
/// only a semicolon ends a value.
fn cookie<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h [u8]> {
    let mut lines = headers.get_all(header::COOKIE).iter();
    lines.find_map(|line| cookie_of_line(line.as_bytes(), name.as_bytes()))
}

fn cookie_of_line<'h>(mut rest: &'h [u8], name: &[u8]) -> Option<&'h [u8]> {
    loop {
        rest = skip_blanks(rest);
        if let Some((start, after)) = rest.split_at_checked(name.len())
            && start.eq_ignore_ascii_case(name)
            && let Some((b'=', value)) = skip_blanks(after).split_first()
        {
            return skip_blanks(value).split(|byte| *byte == b';').next();
        }
        let end = rest.iter().position(|byte| matches!(byte, b';' | b','))?;
        rest = rest.get(end + 1..)?;
    }
}

fn skip_blanks(text: &[u8]) -> &[u8] {
    let blanks = text.iter().take_while(|byte| **byte == b' ').count();
    text.get(blanks..).unwrap_or_default()
}

#[cfg(test)]
#[path = "canary/tests.rs"]
mod tests;
