//! The raw settings of redirects, CORS, headers of answers and compression.

use super::text::{is_basic, is_url, texts, trim_lines};
use super::value::{FromAnnotation, or_shape};
use crate::base::parse;

texts! {
    /// `custom-headers`. Any text of these characters passes: one that names no ConfigMap is one that is not there.
    HeadersConfigMap("namespace/name", |text| text.chars().all(|c| is_basic(c) || c == ' '));
    /// Where a location redirects to, word for word.
    RedirectUrl("a URL or path of letters, digits and -._~/:,?&=", |text| text.chars().all(is_url));
    /// `Access-Control-Allow-Methods`.
    CorsMethods(
        "a comma list of methods",
        |text| is_list(&text.replace(' ', ""), |c| c.is_ascii_alphabetic()),
        always |text| is_list(text.trim(), |c| c.is_ascii_alphabetic())
    );
    /// `Access-Control-Allow-Headers`.
    CorsHeaders(
        "a comma list of header names",
        |text| text.chars().all(is_header_list),
        always |text| text.trim().chars().all(is_header_list)
    );
    /// `Access-Control-Expose-Headers`.
    CorsExposed(
        "a comma list of header names, or *",
        |text| is_list(&text.replace(' ', ""), is_exposed),
        always |text| is_list(text.trim(), is_exposed)
    );
    /// `off`, or what to replace in the `Domain` of cookies, and by what.
    CookieDomain("off, or two names of letters, digits and -._~/:", |text| {
        let words = text.split_ascii_whitespace().count();
        text == "off" || (words == 2 && text.trim() == text && text.chars().all(|c| c.is_ascii_whitespace() || is_basic(c)))
    });
    /// `off`, or what to replace in the `Path` of cookies, and by what.
    CookiePath("off, or two paths of letters, digits and -._~/:,?&=", |text| text.chars().all(is_url_or_blank));
    /// One side of `proxy_redirect`.
    ProxyRedirect("off, default, or a URL of letters, digits and -._~/:,?&=", |text| text.chars().all(is_url_or_blank));
}

fn is_url_or_blank(c: char) -> bool {
    is_url(c) || c == ' '
}

fn is_header_list(c: char) -> bool {
    is_exposed(c) && c != '*' || c == ',' || c == ' '
}

fn is_exposed(c: char) -> bool {
    c.is_ascii_alphanumeric() || "-_*".contains(c)
}

/// Words of these characters, after each at most one comma and one blank.
fn is_list(text: &str, is_word: fn(char) -> bool) -> bool {
    let mut rest = text;
    while !rest.is_empty() {
        let after = rest.trim_start_matches(is_word);
        if after.len() == rest.len() {
            return false;
        }
        let after = after.strip_prefix(',').unwrap_or(after);
        rest = after.strip_prefix(' ').unwrap_or(after);
    }
    !text.is_empty()
}

/// The origins that may read answers. Items without a scheme are left out, so the list may be empty: then there are no
/// CORS headers at all. One `*` lets in everybody.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct CorsOrigins(pub Vec<String>);

impl FromAnnotation for CorsOrigins {
    const SHAPE: &'static str = "a comma list of origins (scheme://[*.]host[:port]), or *";

    fn from_annotation(text: &str) -> Result<Self, String> {
        let compact = text.replace(' ', "");
        if compact == "*" || is_origin_list(&compact) { Self::unchecked(text) } else { or_shape(None, text) }
    }

    fn unchecked(text: &str) -> Result<Self, String> {
        let items: Vec<&str> = parse::comma_list(text).collect();
        if items.contains(&"*") {
            return Ok(Self(vec!["*".to_owned()]));
        }
        Ok(Self(items.into_iter().filter(|item| is_origin(item)).map(str::to_owned).collect()))
    }
}

/// Parts of origins in any order: hosts, commas, `*.`, `:port` and `scheme://`.
fn is_origin_list(text: &str) -> bool {
    let mut before = ' ';
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        rest = rest.strip_prefix(c).unwrap_or_default();
        match c {
            '*' if rest.starts_with('.') => {}
            ':' if rest.starts_with(|c: char| c.is_ascii_digit()) => {}
            ':' if before.is_ascii_lowercase() && rest.starts_with("//") => {
                rest = rest.strip_prefix("//").unwrap_or_default();
            }
            c if c.is_ascii_alphanumeric() || "-.,".contains(c) => {}
            _ => return false,
        }
        before = c;
    }
    true
}

fn is_origin(item: &str) -> bool {
    if item == "null" {
        return true;
    }
    let Some((scheme, rest)) = item.split_once("://") else { return false };
    let host = rest.strip_prefix("*.").unwrap_or(rest);
    let (host, port) = host.split_once(':').map_or((host, None), |(host, port)| (host, Some(port)));
    !scheme.is_empty()
        && scheme.bytes().all(|b| b.is_ascii_lowercase())
        && host.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'.')
        && port.is_none_or(|port| !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit()))
}

/// What Go's `Atoi` takes: the sign is looked at where the number is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Int(pub i64);

impl FromAnnotation for Int {
    const SHAPE: &'static str = "a whole number";

    fn from_annotation(text: &str) -> Result<Self, String> {
        or_shape(parse::int(text).map(Self), text)
    }
}

/// Efforts of compression, each with the range that its library takes.
macro_rules! levels {
    ($($name:ident($shape:literal, $range:expr);)*) => {$(
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub struct $name(pub u32);

        impl FromAnnotation for $name {
            const SHAPE: &'static str = $shape;

            fn from_annotation(text: &str) -> Result<Self, String> {
                let level = parse::int(text).and_then(|n| u32::try_from(n).ok()).filter(|n| $range.contains(n));
                or_shape(level.map(Self), text)
            }
        }
    )*};
}

levels! {
    GzipLevel("a whole number from 1 to 9", (1..=9));
    BrotliLevel("a whole number from 0 to 11", (0..=11));
    ZstdLevel("a whole number from 1 to 19", (1..=19));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origins() {
        let rows: [(&str, Option<&[&str]>); 9] = [
            ("*", Some(&["*"])),
            ("https://a.test, http://*.b.test:8080,", Some(&["https://a.test", "http://*.b.test:8080"])),
            ("https://a.test, *", None),
            ("null,app://x", Some(&["null", "app://x"])),
            ("a.test,https://b.test", Some(&["https://b.test"])),
            ("a.test", Some(&[])),
            ("https://a.test/", None),
            ("https://a_b.test", None),
            ("https://a.test:x", None),
        ];
        for (text, expected) in rows {
            let expected = expected.map(|list| list.iter().map(|s| (*s).to_owned()).collect::<Vec<_>>());
            assert_eq!(CorsOrigins::from_annotation(text).ok().map(|o| o.0), expected, "{text:?}");
        }
        assert_eq!(CorsOrigins::unchecked("https://a.test, *").unwrap().0, ["*"]);
    }

    #[test]
    fn urls() {
        for (text, expected) in [("https://a.test/x,y?a=b&c=d", true), ("/x", true), ("/x y", false), ("/$host", false)]
        {
            assert_eq!(RedirectUrl::from_annotation(text).is_ok(), expected, "{text:?}");
        }
        assert!(CookiePath::from_annotation("/a,b /c").is_ok() && ProxyRedirect::from_annotation("/a,b").is_ok());
    }

    #[test]
    fn lists() {
        let rows = [
            ("GET, PUT", true),
            ("GET,PUT,", true),
            ("GET PUT", true),
            ("GET,  PUT", false),
            ("GET;PUT", false),
            (",GET", false),
        ];
        for (text, expected) in rows {
            assert_eq!(CorsMethods::from_annotation(text).is_ok(), expected, "{text:?}");
        }
        for (text, expected) in [("*", true), ("X-A, x_b", true), ("X-A;", false)] {
            assert_eq!(CorsExposed::from_annotation(text).is_ok(), expected, "{text:?}");
        }
        for (text, expected) in [("off", true), ("a.test b.test", true), ("a.test", false), ("~^a b", false)] {
            assert_eq!(CookieDomain::from_annotation(text).is_ok(), expected, "{text:?}");
        }
    }

    #[test]
    fn numbers() {
        assert_eq!(Int::from_annotation("-1"), Ok(Int(-1)));
        assert!(Int::from_annotation("1k").is_err());
        assert!(GzipLevel::from_annotation("0").is_err() && GzipLevel::from_annotation("9").is_ok());
        assert!(BrotliLevel::from_annotation("12").is_err() && ZstdLevel::from_annotation("20").is_err());
    }
}
