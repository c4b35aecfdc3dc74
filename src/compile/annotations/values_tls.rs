//! The types of settings about TLS towards clients.

use super::value::{FromAnnotation, or_shape};
use crate::policy::client_certificate::{ErrorPage, SubjectPattern, Verify};
use crate::snapshot::ObjectKey;

/// `auth-tls-secret`, unread: a text that names no Secret forbids its hosts rather than denying its own paths.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct AuthoritySecret(String);

impl AuthoritySecret {
    /// Errors say what is wrong with the text.
    pub fn key(&self) -> Result<ObjectKey, String> {
        ObjectKey::from_annotation(&self.0)
    }
}

impl FromAnnotation for AuthoritySecret {
    const SHAPE: &'static str = ObjectKey::SHAPE;

    fn from_annotation(text: &str) -> Result<Self, String> {
        Ok(Self(text.to_owned()))
    }
}

impl FromAnnotation for Verify {
    const SHAPE: &'static str = "on, off, optional or optional_no_ca";

    fn from_annotation(text: &str) -> Result<Self, String> {
        let value = match text.trim() {
            "on" => Some(Self::Required),
            "off" => Some(Self::Off),
            "optional" => Some(Self::Optional),
            "optional_no_ca" => Some(Self::OptionalNoCa),
            _ => None,
        };
        or_shape(value, text)
    }
}

/// `auth-tls-match-cn`. With validation switched off any text is taken, and the resolving stage finds those that are no
/// regex.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct MatchSubject(String);

impl MatchSubject {
    pub fn pattern(&self) -> Result<SubjectPattern, String> {
        SubjectPattern::parse(&self.0)
    }
}

impl FromAnnotation for MatchSubject {
    const SHAPE: &'static str = "CN= and a regex";

    fn from_annotation(text: &str) -> Result<Self, String> {
        let trimmed = text.trim();
        if !trimmed.starts_with("CN=") {
            return or_shape(None, text);
        }
        SubjectPattern::parse(trimmed)
            .map_err(|reason| format!("{trimmed:?} is no regex that can be used: {reason}"))?;
        Self::unchecked(text)
    }

    fn unchecked(text: &str) -> Result<Self, String> {
        Ok(Self(text.trim().to_owned()))
    }
}

impl FromAnnotation for ErrorPage {
    const SHAPE: &'static str = "a URL without a query, a path or @name";

    fn from_annotation(text: &str) -> Result<Self, String> {
        if is_error_page(text.trim()) { Self::unchecked(text) } else { or_shape(None, text) }
    }

    fn unchecked(text: &str) -> Result<Self, String> {
        let text = text.trim();
        Ok(match text.as_bytes().first() {
            Some(b'/') => Self::Path(text.into()),
            Some(b'@') => Self::Nowhere,
            _ => Self::Redirect(text.into()),
        })
    }
}

/// `@name`, or a host with a path, with or without a scheme, as ingress-nginx's regex has it.
fn is_error_page(text: &str) -> bool {
    let all = |text: &str, extra: &[u8]| text.bytes().all(|b| b.is_ascii_alphanumeric() || extra.contains(&b));
    if let Some(name) = text.strip_prefix('@') {
        return !name.is_empty() && all(name, b"_-");
    }
    let bare = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://")).unwrap_or(text);
    let (authority, path) = match bare.find('/').and_then(|at| bare.split_at_checked(at)) {
        Some((authority, path)) => (authority, path),
        None => (bare, ""),
    };
    let (host, port) = authority.split_once(':').unwrap_or((authority, "0"));
    let named = !host.is_empty() && all(host, b"-.") && !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit());
    let absent = authority.is_empty() && bare.len() == text.len();
    (named || absent) && !path.contains("//") && all(path, b"-_./")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn error_pages() {
        let redirect = |text: &str| Some(ErrorPage::Redirect(text.into()));
        let rows = [
            ("https://errors.test/cert", redirect("https://errors.test/cert")),
            (" errors.test:8443/a/b/ ", redirect("errors.test:8443/a/b/")),
            ("https://errors.test", redirect("https://errors.test")),
            ("/no-cert.html", Some(ErrorPage::Path("/no-cert.html".into()))),
            ("@fallback", Some(ErrorPage::Nowhere)),
            ("https://errors.test/?a=b", None),
            ("https://errors.test/a//b", None),
            ("https://", None),
            ("https://errors.test:x/", None),
            ("https://$host/", None),
            ("@a b", None),
            ("a;return 200", None),
        ];
        for (text, expected) in rows {
            assert_eq!(ErrorPage::from_annotation(text).ok(), expected, "{text}");
        }
    }

    #[test]
    fn subjects() {
        for (text, good) in [("CN=a", true), ("CN=(a|b).*", true), ("a", false), ("CN=(", false), ("O=a", false)] {
            assert_eq!(MatchSubject::from_annotation(text).is_ok(), good, "{text}");
        }
        assert!(MatchSubject::unchecked("CN=(").unwrap().pattern().is_err());
    }
}
