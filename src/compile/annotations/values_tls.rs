//! The types of settings about TLS towards clients.

use super::value::{FromAnnotation, or_shape};
use crate::policy::client_certificate::{ErrorPage, SubjectPattern, Verify};
use crate::policy::server_tls::TicketKey;
use crate::policy::server_tls::cipher::CipherList;
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

/// `ssl-ciphers`, with what is not here.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Ciphers(pub CipherList);

impl FromAnnotation for Ciphers {
    const SHAPE: &'static str = "an OpenSSL cipher list";

    fn from_annotation(text: &str) -> Result<Self, String> {
        let allowed = |c: char| c.is_ascii_alphanumeric() || "+:_-!".contains(c);
        if text.trim().chars().all(allowed) { Self::unchecked(text) } else { or_shape(None, text) }
    }

    fn unchecked(text: &str) -> Result<Self, String> {
        Ok(Self(CipherList::parse(text)))
    }
}

/// The same in the ConfigMap, where every text passes.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct AnyCiphers(pub CipherList);

impl FromAnnotation for AnyCiphers {
    const SHAPE: &'static str = Ciphers::SHAPE;

    fn from_annotation(text: &str) -> Result<Self, String> {
        Ok(Self(CipherList::parse(text)))
    }
}

/// `ssl-protocols`, with those that are not here.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct ServerProtocols {
    pub tls12: bool,
    pub tls13: bool,
    pub unknown: Vec<String>,
}

impl FromAnnotation for ServerProtocols {
    const SHAPE: &'static str = "a list, with blanks, of TLSv1.2 and TLSv1.3";

    fn from_annotation(text: &str) -> Result<Self, String> {
        let mut versions = Self::default();
        for word in text.split_whitespace() {
            match word {
                "TLSv1.2" => versions.tls12 = true,
                "TLSv1.3" => versions.tls13 = true,
                "SSLv2" | "SSLv3" | "TLSv1" | "TLSv1.1" => versions.unknown.push(word.to_owned()),
                _ => return or_shape(None, text),
            }
        }
        Ok(versions)
    }
}

/// `ssl-ecdh-curve`, by IANA's numbers, with those that are not here. `auto` is the empty list.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Groups {
    pub numbers: Vec<u16>,
    pub unknown: Vec<String>,
}

impl FromAnnotation for Groups {
    const SHAPE: &'static str = "auto, or a list of curves with colons";

    fn from_annotation(text: &str) -> Result<Self, String> {
        let mut groups = Self::default();
        for word in text.trim().split(':').filter(|word| *word != "auto") {
            match word.to_ascii_lowercase().as_str() {
                "prime256v1" | "secp256r1" | "p-256" => groups.numbers.push(23),
                "secp384r1" | "p-384" => groups.numbers.push(24),
                "x25519" => groups.numbers.push(29),
                "x25519mlkem768" => groups.numbers.push(0x11ec),
                _ => groups.unknown.push(word.to_owned()),
            }
        }
        Ok(groups)
    }
}

/// `ssl-session-ticket-key`: base64 of 48 or 80 bytes, as nginx has it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SharedTicketKey(pub TicketKey);

impl FromAnnotation for SharedTicketKey {
    const SHAPE: &'static str = "base64 of 48 or 80 bytes";

    fn from_annotation(text: &str) -> Result<Self, String> {
        use base64::Engine as _;
        let bytes = base64::engine::general_purpose::STANDARD.decode(text.trim()).unwrap_or_default();
        // It is a secret, so it is not quoted.
        match bytes.len() {
            48 | 80 => Ok(Self(TicketKey(bytes.into()))),
            _ => Err(format!("it is not {}", Self::SHAPE)),
        }
    }
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
