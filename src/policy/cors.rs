//! Cross-origin resource sharing (contract §14): who may read answers, and the headers that say so.

use http::header::{self, HeaderMap, HeaderValue};

/// `enable-cors` and its settings.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Cors {
    pub origins: Origins,
    pub credentials: bool,
    pub methods: HeaderValue,
    pub headers: HeaderValue,
    pub expose: Option<HeaderValue>,
    pub max_age: HeaderValue,
}

/// Never an empty list: without an origin there is no CORS.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Origins {
    /// `*` is sent as it is, with credentials too, and to requests without an origin.
    Any,
    Listed(Vec<Origin>),
}

/// `scheme://host[:port]`, with one label of any text where a `*` stood; or `null`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Origin {
    before: String,
    /// What follows the `*`.
    after: Option<String>,
}

impl Origin {
    pub fn new(text: &str) -> Self {
        match text.split_once('*') {
            Some((before, after)) => Self { before: before.to_owned(), after: Some(after.to_owned()) },
            None => Self { before: text.to_owned(), after: None },
        }
    }

    /// Case does not matter. The whole origin must match: ingress-nginx looks at its end only, which lets
    /// `https://evil.test/https://a.test` in.
    fn matches(&self, origin: &[u8]) -> bool {
        let Some(after) = &self.after else { return origin.eq_ignore_ascii_case(self.before.as_bytes()) };
        let Some((start, rest)) = origin.split_at_checked(self.before.len()) else { return false };
        let Some((label, end)) = rest.len().checked_sub(after.len()).and_then(|at| rest.split_at_checked(at)) else {
            return false;
        };
        start.eq_ignore_ascii_case(self.before.as_bytes())
            && end.eq_ignore_ascii_case(after.as_bytes())
            && !label.is_empty()
            && label.iter().all(|b| b.is_ascii_alphanumeric() || *b == b'-')
    }
}

impl std::fmt::Display for Origin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.before)?;
        self.after.as_ref().map_or(Ok(()), |after| write!(f, "*{after}"))
    }
}

impl Cors {
    /// `Access-Control-Allow-Origin` for a request; `None`: its origin is not let in, and it is treated as any other.
    pub fn allow(&self, origin: Option<&HeaderValue>) -> Option<HeaderValue> {
        match &self.origins {
            Origins::Any => Some(HeaderValue::from_static("*")),
            Origins::Listed(list) => {
                let origin = origin?;
                list.iter().any(|known| known.matches(origin.as_bytes())).then(|| origin.clone())
            }
        }
    }

    /// Puts the headers in place of those of the same names.
    pub fn write(&self, origin: HeaderValue, headers: &mut HeaderMap) {
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        if self.credentials {
            headers.insert(header::ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
        }
        headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, self.methods.clone());
        headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, self.headers.clone());
        if let Some(expose) = &self.expose {
            headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, expose.clone());
        }
        headers.insert(header::ACCESS_CONTROL_MAX_AGE, self.max_age.clone());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origins() {
        let rows = [
            ("https://a.test", "https://a.test", true),
            ("https://a.test", "HTTPS://A.test", true),
            ("https://a.test", "https://a.test:8443", false),
            ("https://a.test", "https://evil.test/https://a.test", false),
            ("https://a.test", "https://axtest", false),
            ("https://*.a.test:80", "https://x-1.a.test:80", true),
            ("https://*.a.test", "https://.a.test", false),
            ("https://*.a.test", "https://a.test", false),
            ("https://*.a.test", "https://x.y.a.test", false),
            ("https://*.a.test", "https://evil.test/https://x.a.test", false),
            ("null", "null", true),
        ];
        for (known, asked, expected) in rows {
            assert_eq!(Origin::new(known).matches(asked.as_bytes()), expected, "{known} {asked}");
        }
    }
}
