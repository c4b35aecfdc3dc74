//! `permanent-redirect`, `temporal-redirect`, `from-to-www-redirect`, `app-root`: where requests are sent instead of upstream.

use http::StatusCode;

use super::template::Template;

/// The answer to every request of a location, or to those of a host's root.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Redirect {
    pub status: StatusCode,
    /// A URL or a path, as it was written.
    pub location: String,
    /// The same with nginx's variables, where it has any: validation of annotations lets them into an `app-root` alone.
    pub template: Option<Template>,
}

impl Redirect {
    /// Errors name the variable that is unknown.
    pub fn new(status: StatusCode, location: &str) -> Result<Self, String> {
        let template = location.contains('$').then(|| Template::parse(location)).transpose()?;
        Ok(Self { status, location: location.to_owned(), template })
    }

    /// nginx's `return` sends its text as `Location` with these statuses; with others it is the body.
    pub fn has_location(&self) -> bool {
        matches!(self.status.as_u16(), 301 | 302 | 303 | 307 | 308)
    }
}

/// Whether a redirect's target is a URL that ingress-nginx takes: its scheme begins with `http`, its port is a number.
pub fn is_http_url(text: &str) -> bool {
    let Some((scheme, rest)) = text.split_once(':') else { return false };
    let named = scheme.bytes().all(|b| b.is_ascii_alphanumeric() || b"+-.".contains(&b));
    let authority = rest.strip_prefix("//").unwrap_or_default();
    let authority = authority.split(['/', '?']).next().unwrap_or_default();
    let port = authority.rsplit_once(':').map_or("", |(_, port)| port);
    named && scheme.to_ascii_lowercase().starts_with("http") && port.bytes().all(|b| b.is_ascii_digit())
}

/// The other name of a host: without `www.`, or with it. Wildcards have none.
pub fn counterpart(host: &str) -> Option<String> {
    if host.contains('*') || host == "_" {
        return None;
    }
    Some(host.strip_prefix("www.").map_or_else(|| format!("www.{host}"), str::to_owned))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls() {
        let rows = [
            ("http://a.test", true),
            ("HTTPS://a.test:80/x?y=z:1", true),
            ("httpx://a", true),
            ("http:a", true),
            ("http://a:b/", false),
            ("ftp://a.test", false),
            ("/a", false),
            ("a.test/http:", false),
            ("", false),
        ];
        for (text, expected) in rows {
            assert_eq!(is_http_url(text), expected, "{text}");
        }
    }

    #[test]
    fn counterparts() {
        let rows = [("a.test", Some("www.a.test")), ("www.a.test", Some("a.test")), ("*.a.test", None), ("_", None)];
        for (host, expected) in rows {
            assert_eq!(counterpart(host).as_deref(), expected, "{host}");
        }
    }
}
