//! Types of the settings that name others to ask: external authentication and mirrors.

use std::time::Duration;

use http::{HeaderName, Method};

use super::text::{is_server_name, is_url};
use super::value::{FromAnnotation, or_shape};
use crate::base::parse;
use crate::policy::external_auth::{Codes, Keeping};

/// Checked texts, trimmed; blanks inside do not count for the check, as in ingress-nginx.
macro_rules! texts {
    ($($(#[$doc:meta])* $name:ident($shape:literal, $valid:expr);)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, Hash)]
        pub struct $name(String);

        impl $name {
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromAnnotation for $name {
            const SHAPE: &'static str = $shape;

            fn from_annotation(text: &str) -> Result<Self, String> {
                let valid: fn(char) -> bool = $valid;
                if text.trim().chars().all(valid) { Self::unchecked(text) } else { or_shape(None, text) }
            }

            fn unchecked(text: &str) -> Result<Self, String> {
                Ok(Self(text.trim().to_owned()))
            }
        }
    )*};
}

texts! {
    /// A URL whose path and query may have variables.
    UrlWithVariables("an http or https URL, with nginx variables", |c| is_url(c) || " $".contains(c));
    /// The name of a query parameter.
    UrlText("letters, digits and -._~/:,?&=", |c| is_url(c) || c == ' ');
    /// What cached answers are found by.
    CacheKey("letters, digits, -_ and nginx variables", |c| c.is_ascii_alphanumeric() || "-_${} ".contains(c));
    /// Where copies of requests go.
    MirrorTarget("an http or https URL, with nginx variables", is_server_name);
}

/// The method of a question. CONNECT, which ingress-nginx lets through, asks nobody anything.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct AuthMethod(pub Method);

impl FromAnnotation for AuthMethod {
    const SHAPE: &'static str = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS or TRACE";

    fn from_annotation(text: &str) -> Result<Self, String> {
        let method = match text.trim() {
            "GET" => Some(Method::GET),
            "HEAD" => Some(Method::HEAD),
            "POST" => Some(Method::POST),
            "PUT" => Some(Method::PUT),
            "PATCH" => Some(Method::PATCH),
            "DELETE" => Some(Method::DELETE),
            "OPTIONS" => Some(Method::OPTIONS),
            "TRACE" => Some(Method::TRACE),
            _ => None,
        };
        or_shape(method.map(Self), text)
    }
}

/// A comma list of header names.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct HeaderNames(pub Vec<HeaderName>);

impl FromAnnotation for HeaderNames {
    const SHAPE: &'static str = "a comma list of header names";

    fn from_annotation(text: &str) -> Result<Self, String> {
        let names: Option<Vec<_>> = parse::comma_list(text).map(header_name).collect();
        or_shape(names.map(Self), text)
    }
}

/// A header name of letters, digits, `-` and `_`.
pub fn header_name(text: &str) -> Option<HeaderName> {
    let valid = text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
    HeaderName::from_bytes(text.as_bytes()).ok().filter(|_| valid)
}

/// How long answers are kept: a comma list of statuses with a time, as in `proxy_cache_valid`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct CacheDurations(pub Keeping);

impl FromAnnotation for CacheDurations {
    const SHAPE: &'static str = "a comma list of statuses and a time, like 200 202 401 5m";

    fn from_annotation(text: &str) -> Result<Self, String> {
        let rules: Option<Vec<_>> = parse::comma_list(text).map(rule).collect();
        or_shape(rules.filter(|rules| !rules.is_empty()).map(|rules| Self(Keeping(rules))), text)
    }
}

/// `200 401 5m`, `any 1m`; a time alone is for 200, 301 and 302 (nginx's `proxy_cache_valid`).
fn rule(text: &str) -> Option<(Codes, Duration)> {
    let mut codes = Codes::These(Vec::new());
    let mut words = text.split_ascii_whitespace().peekable();
    while let Some(word) = words.peek().copied() {
        let code = word.parse::<u16>().ok().filter(|_| word.len() == 3);
        match (word, code, &mut codes) {
            ("any", ..) => codes = Codes::Any,
            (_, Some(code), Codes::These(list)) => list.push(code),
            (_, Some(_), Codes::Any) => {}
            _ => break,
        }
        words.next();
    }
    let mut time = None;
    for word in words {
        // A number without a unit is a status that comes too late.
        let part = parse::nginx_time(word).filter(|_| word.ends_with(|c: char| c.is_ascii_alphabetic()))?;
        time = Some(time.unwrap_or(Duration::ZERO) + part);
    }
    if matches!(&codes, Codes::These(list) if list.is_empty()) {
        codes = Codes::These(vec![200, 301, 302]);
    }
    time.map(|time| (codes, time))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cache_durations() {
        let seconds = Duration::from_secs;
        let these = |list: &[u16]| Codes::These(list.to_vec());
        type Rules = Option<Vec<(Codes, Duration)>>;
        let rows: [(&str, Rules); 9] = [
            ("200 202 401 5m", Some(vec![(these(&[200, 202, 401]), seconds(300))])),
            ("200 1m, 401 30s", Some(vec![(these(&[200]), seconds(60)), (these(&[401]), seconds(30))])),
            ("10m", Some(vec![(these(&[200, 301, 302]), seconds(600))])),
            ("any 1s", Some(vec![(Codes::Any, seconds(1))])),
            ("200 1h 30m", Some(vec![(these(&[200]), seconds(5400))])),
            ("200", None),
            ("5m 200", None),
            ("200 soon", None),
            (",", None),
        ];
        for (text, expected) in rows {
            let parsed = CacheDurations::from_annotation(text).ok().map(|d| d.0.0);
            assert_eq!(parsed, expected, "{text:?}");
        }
    }

    #[test]
    fn texts() {
        let url = |text| UrlWithVariables::from_annotation(text).is_ok();
        let rows = [("http://a.test/x?y=$arg_y&z=1", true), ("http://a.test/{x}", false), ("http://a.test/\nx", false)];
        for (text, expected) in rows {
            assert_eq!(url(text), expected, "{text:?}");
        }
        let names = |text| HeaderNames::from_annotation(text).ok().map(|n| n.0.len());
        assert_eq!([names("X-A, x_b,,"), names("bad header!"), names("a b")], [Some(2), None, None]);
        assert_eq!(AuthMethod::from_annotation("FETCH").ok(), None);
    }
}
