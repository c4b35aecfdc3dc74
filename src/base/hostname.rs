//! Host names as they arrive in `Host`, `:authority` and SNI, and as rules write them.

use std::borrow::Cow;

/// A validated `uri-host [":" port]` (RFC 9110 §7.2): lower-case name without port and without the one trailing
/// dot that is allowed (contract §3.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Authority<'a> {
    pub host: Cow<'a, str>,
    pub port: Option<u16>,
}

/// A `Host` that names nothing: empty, two dots in a row, a character outside RFC 3986's `host`, a port that is no number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a host name with an optional port")]
pub struct BadHost;

impl<'a> Authority<'a> {
    /// Reads an authority without userinfo. Stricter than nginx, which skips anything after the first colon.
    pub fn parse(text: &'a str) -> Result<Self, BadHost> {
        let (host, port) = split_port(text)?;
        let host = if host.starts_with('[') { check_literal(host)? } else { check_name(host)? };
        Ok(Self { host: lower(host), port })
    }
}

fn split_port(text: &str) -> Result<(&str, Option<u16>), BadHost> {
    let end = if text.starts_with('[') { text.find(']').map(|i| i + 1).ok_or(BadHost)? } else { 0 };
    let (_, rest) = text.split_at_checked(end).ok_or(BadHost)?;
    let Some(colon) = rest.find(':') else {
        return if end == 0 || rest.is_empty() { Ok((text, None)) } else { Err(BadHost) };
    };
    let (host, port) = text.split_at_checked(end + colon).ok_or(BadHost)?;
    if end != 0 && colon != 0 {
        return Err(BadHost);
    }
    match port.trim_start_matches(':') {
        // `host:` with an empty port is allowed by RFC 3986 §3.2.3.
        "" if port.len() == 1 => Ok((host, None)),
        digits if port.len() == digits.len() + 1 && digits.bytes().all(|b| b.is_ascii_digit()) => {
            Ok((host, Some(digits.parse().map_err(|_| BadHost)?)))
        }
        _ => Err(BadHost),
    }
}

fn check_literal(host: &str) -> Result<&str, BadHost> {
    let inner = host.strip_prefix('[').and_then(|h| h.strip_suffix(']')).ok_or(BadHost)?;
    inner.parse::<std::net::Ipv6Addr>().map(|_| host).map_err(|_| BadHost)
}

fn check_name(host: &str) -> Result<&str, BadHost> {
    // reg-name = *( unreserved / pct-encoded / sub-delims ); the comma is left out because joined Host lines carry it.
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b"-._~!$&'()*+;=%".contains(&b);
    let host = host.strip_suffix('.').unwrap_or(host);
    if host.is_empty() || host.contains("..") || host.ends_with('.') || !host.bytes().all(allowed) {
        return Err(BadHost);
    }
    Ok(host)
}

fn lower(host: &str) -> Cow<'_, str> {
    if host.bytes().any(|b| b.is_ascii_uppercase()) {
        Cow::Owned(host.to_ascii_lowercase())
    } else {
        Cow::Borrowed(host)
    }
}

/// Splits `a.example.test` into its first label and the rest, when the label may stand for the `*` of a rule host:
/// one or more of `[A-Za-z0-9_-]` (contract §3.2).
pub fn split_wildcard_label(host: &str) -> Option<(&str, &str)> {
    let (label, rest) = host.split_once('.')?;
    let ok = !label.is_empty() && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-');
    ok.then_some((label, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn authorities() {
        let rows = [
            ("a.test", Some(("a.test", None))),
            ("A.Test.", Some(("a.test", None))),
            ("a.test:8080", Some(("a.test", Some(8080)))),
            ("a.test.:80", Some(("a.test", Some(80)))),
            ("a.test:", Some(("a.test", None))),
            ("[::1]:443", Some(("[::1]", Some(443)))),
            ("[::1]", Some(("[::1]", None))),
            ("a_b.test", Some(("a_b.test", None))),
            ("127.0.0.1", Some(("127.0.0.1", None))),
            ("", None),
            (".", None),
            ("a..b", None),
            ("a.test..", None),
            ("a/b", None),
            ("u@a.test", None),
            ("a.test:99999", None),
            ("a.test:8x", None),
            ("a.test::80", None),
            ("[::1]x", None),
            ("[::1]x:1", None),
            ("[zz]", None),
            ("a b", None),
            ("a,b", None),
            ("é.test", None),
        ];
        for (text, expected) in rows {
            let got = Authority::parse(text).ok();
            let got = got.as_ref().map(|a| (&*a.host, a.port));
            assert_eq!(got, expected, "{text:?}");
        }
    }

    #[test]
    fn wildcard_labels() {
        assert_eq!(split_wildcard_label("a.b.test"), Some(("a", "b.test")));
        assert_eq!(split_wildcard_label("a_-9.b"), Some(("a_-9", "b")));
        assert_eq!(split_wildcard_label(".b"), None);
        assert_eq!(split_wildcard_label("a+b.c"), None);
        assert_eq!(split_wildcard_label("localhost"), None);
    }
}
