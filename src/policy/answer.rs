//! What of an upstream's answer is rewritten: `proxy_cookie_domain`, `proxy_cookie_path` and `proxy_redirect` of nginx.

use std::hash::{Hash, Hasher};

use regex_automata::util::captures::Captures;

use super::regex::Regex;
use super::template::{Template, Values};
use super::variable::Variable;

/// The rewrites of a location; at least one is there.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct AnswerRewrites {
    pub cookie_domain: Option<Replacement>,
    pub cookie_path: Option<Replacement>,
    /// Of `Location` and `Refresh`.
    pub redirect: Option<Replacement>,
}

/// What is looked for, and what is put in its place.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Replacement {
    from: Pattern,
    to: Template,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Pattern {
    /// The beginning of the value; the rest stays.
    Prefix(Template),
    /// The whole value but for a dot before it, whatever the case.
    Domain(Template),
    /// Found anywhere; the whole value is replaced.
    Regex(Matcher),
}

/// A regex that is equal to others by its text.
#[derive(Clone, Debug)]
struct Matcher {
    text: String,
    regex: Regex,
}

impl PartialEq for Matcher {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for Matcher {}

impl Hash for Matcher {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.text.hash(state);
    }
}

impl Matcher {
    /// `~regex`, or `~*regex` where case does not matter.
    fn parse(text: &str, folds: bool) -> Result<Self, String> {
        let pattern = text.strip_prefix('~').unwrap_or(text);
        let (pattern, folds) = pattern.strip_prefix('*').map_or((pattern, folds), |pattern| (pattern, true));
        let regex = if folds { Regex::new(pattern) } else { Regex::of_case(pattern) };
        Ok(Self { text: text.to_owned(), regex: regex? })
    }
}

/// Two words of a setting, or `None` for `off`.
fn two(text: &str) -> Result<Option<(&str, &str)>, String> {
    let mut words = text.split_ascii_whitespace();
    match (words.next(), words.next(), words.next()) {
        (Some("off"), None, None) | (None, ..) => Ok(None),
        (Some(from), Some(to), None) => Ok(Some((from, to))),
        _ => Err(format!("{text:?} is neither off nor two texts")),
    }
}

impl Replacement {
    /// `proxy-cookie-path`: a prefix or a regex.
    pub fn path(text: &str) -> Result<Option<Self>, String> {
        two(text)?.map(|(from, to)| Self::prefix(from, to)).transpose()
    }

    /// `proxy-cookie-domain`; dots at the beginning count for nothing.
    pub fn domain(text: &str) -> Result<Option<Self>, String> {
        let Some((from, to)) = two(text)? else { return Ok(None) };
        let from = match from.starts_with('~') {
            true => {
                return Ok(Some(Self { from: Pattern::Regex(Matcher::parse(from, true)?), to: Template::parse(to)? }));
            }
            false => Pattern::Domain(Template::parse(from.strip_prefix('.').unwrap_or(from))?),
        };
        Ok(Some(Self { from, to: Template::parse(to.strip_prefix('.').unwrap_or(to))? }))
    }

    /// A prefix or, from `~` on, a regex; and what replaces it.
    pub fn prefix(from: &str, to: &str) -> Result<Self, String> {
        let from = match from.starts_with('~') {
            true => Pattern::Regex(Matcher::parse(from, false)?),
            false => Pattern::Prefix(Template::parse(from)?),
        };
        Ok(Self { from, to: Template::parse(to)? })
    }

    /// The value after the replacement; `None` where nothing was found.
    pub fn apply(&self, value: &[u8], values: &impl Values) -> Option<Vec<u8>> {
        match &self.from {
            Pattern::Prefix(prefix) => {
                let rest = value.strip_prefix(prefix.fill(values).as_slice())?;
                Some([self.to.fill(values).as_slice(), rest].concat())
            }
            Pattern::Domain(domain) => {
                let (dot, name): (&[u8], _) = value.strip_prefix(b".").map_or((b"", value), |name| (b".", name));
                let found = name.eq_ignore_ascii_case(&domain.fill(values));
                found.then(|| [dot, self.to.fill(values).as_slice()].concat())
            }
            Pattern::Regex(matcher) => {
                let captures = matcher.regex.captures(value)?;
                Some(self.to.fill(&Captured { values, captures: &captures, value }))
            }
        }
    }
}

/// Variables of the request, and groups of the regex.
struct Captured<'a, V> {
    values: &'a V,
    captures: &'a Captures,
    value: &'a [u8],
}

impl<V: Values> Values for Captured<'_, V> {
    fn capture(&self, group: usize) -> &[u8] {
        self.captures.get_group(group).and_then(|span| self.value.get(span.start..span.end)).unwrap_or_default()
    }

    fn variable(&self, variable: &Variable, out: &mut Vec<u8>) -> bool {
        self.values.variable(variable, out)
    }
}

impl AnswerRewrites {
    pub fn is_empty(&self) -> bool {
        self.cookie_domain.is_none() && self.cookie_path.is_none() && self.redirect.is_none()
    }

    /// `Set-Cookie` with its domain and path rewritten; `None` where nothing changes.
    pub fn cookie(&self, value: &[u8], values: &impl Values) -> Option<Vec<u8>> {
        let mut changed = false;
        let mut out = Vec::with_capacity(value.len());
        for (number, part) in value.split(|b| *b == b';').enumerate() {
            let part = part.trim_ascii();
            if number > 0 {
                out.extend_from_slice(b"; ");
            }
            let at = part.iter().position(|b| *b == b'=').unwrap_or(part.len());
            let (key, text) = part.split_at_checked(at).unwrap_or((part, b""));
            let rule = match key.trim_ascii_end().to_ascii_lowercase().as_slice() {
                b"domain" if number > 0 => self.cookie_domain.as_ref(),
                b"path" if number > 0 => self.cookie_path.as_ref(),
                _ => None,
            };
            let text = text.strip_prefix(b"=").map(<[u8]>::trim_ascii_start).unwrap_or_default();
            match rule.and_then(|rule| rule.apply(text, values)) {
                Some(new) => {
                    changed = true;
                    out.extend_from_slice(key.trim_ascii_end());
                    out.push(b'=');
                    out.extend_from_slice(&new);
                }
                None => out.extend_from_slice(part),
            }
        }
        changed.then_some(out)
    }

    /// `Location` after `proxy_redirect`.
    pub fn location(&self, value: &[u8], values: &impl Values) -> Option<Vec<u8>> {
        self.redirect.as_ref()?.apply(value, values)
    }

    /// `Refresh` after it: what follows `url=`.
    pub fn refresh(&self, value: &[u8], values: &impl Values) -> Option<Vec<u8>> {
        let at = value.windows(4).position(|w| w.eq_ignore_ascii_case(b"url="))?;
        let (before, url) = value.split_at_checked(at + 4)?;
        Some([before, self.location(url, values)?.as_slice()].concat())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::header_text::NoValues;

    fn text(value: Option<Vec<u8>>) -> Option<String> {
        value.map(|v| String::from_utf8(v).unwrap())
    }

    #[test]
    fn cookies() {
        let rows = [
            ("/one/ /", "off", "a=1; Path=/one/two; Secure", Some("a=1; Path=/two; Secure")),
            ("/one/ /", "off", "a=1;path = /one/;HttpOnly", Some("a=1; path=/; HttpOnly")),
            ("/one/ /", "off", "path=/one/; Path=/other", None),
            ("~*^/User/([^/]+) /u/$1", "off", "a=1; Path=/user/x/y", Some("a=1; Path=/u/x")),
            ("~^/User /u", "off", "a=1; Path=/user", None),
            ("off", "inner.test outer.test", "a=1; Domain=INNER.test", Some("a=1; Domain=outer.test")),
            ("off", ".inner.test .outer.test", "a=1; Domain=.inner.test", Some("a=1; Domain=.outer.test")),
            ("off", "inner.test outer.test", "a=1; Domain=x.inner.test", None),
            ("off", "~^(.*)\\.inner$ $1.outer", "a=1; Domain=x.INNER", Some("a=1; Domain=x.outer")),
            ("/ /p/", "a b", "x=y; Path=/; Domain=a", Some("x=y; Path=/p/; Domain=b")),
        ];
        for (path, domain, cookie, expected) in rows {
            let cookie_path = Replacement::path(path).unwrap();
            let cookie_domain = Replacement::domain(domain).unwrap();
            let rewrites = AnswerRewrites { cookie_path, cookie_domain, redirect: None };
            let got = text(rewrites.cookie(cookie.as_bytes(), &NoValues));
            assert_eq!(got.as_deref(), expected, "{path} {domain} {cookie}");
        }
        assert!(Replacement::path("/one").is_err() && Replacement::domain("a b c").is_err());
    }

    proptest::proptest! {
        /// What is not an attribute that a rule finds stays byte by byte.
        #[test]
        fn other_cookies_stay(cookie in "[ -~]{0,40}", value in "[a-z/.]{0,8}") {
            let rewrites = AnswerRewrites {
                cookie_path: Replacement::path("/never-there /x").unwrap(),
                cookie_domain: Replacement::domain("never.there x").unwrap(),
                redirect: None,
            };
            proptest::prop_assert_eq!(rewrites.cookie(cookie.as_bytes(), &NoValues), None);
            let found = format!("a=b; pATH=/never-there{value}; z");
            let expected = format!("a=b; pATH=/x{value}; z");
            proptest::prop_assert_eq!(text(rewrites.cookie(found.as_bytes(), &NoValues)), Some(expected));
        }
    }

    #[test]
    fn redirects() {
        let rows = [
            ("http://inner/", "https://outer/", "http://inner/p?q", Some("https://outer/p?q")),
            ("http://inner/", "https://outer/", "http://else/", None),
            ("http://inner/", "https://outer/", "HTTP://inner/", None),
            ("~^http://([a-z]+)/(.*)$", "/$1/$2", "http://in/x", Some("/in/x")),
        ];
        for (from, to, location, expected) in rows {
            let redirect = Some(Replacement::prefix(from, to).unwrap());
            let rewrites = AnswerRewrites { redirect, ..AnswerRewrites::default() };
            assert_eq!(
                text(rewrites.location(location.as_bytes(), &NoValues)).as_deref(),
                expected,
                "{from} {location}"
            );
            let refresh = format!("3; URL={location}");
            let expected = expected.map(|e| format!("3; URL={e}"));
            assert_eq!(text(rewrites.refresh(refresh.as_bytes(), &NoValues)), expected);
        }
    }
}
