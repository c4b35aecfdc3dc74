//! `ssl-redirect` and `force-ssl-redirect`: who is sent to https, and where to (contract §7).

use http::StatusCode;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Mode {
    #[default]
    Never,
    /// Only where the host has a certificate entry (§7.1).
    WithCertificate,
    Always,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct HttpsRedirect {
    pub mode: Mode,
    /// Keep the one trailing slash that is otherwise cut off (§7.6).
    pub preserve_trailing_slash: bool,
    /// Write the https port into `Location`.
    pub with_port: bool,
}

/// Statuses that ingress-nginx accepts for `http-redirect-code`; others fall back to 308 (§7.5).
pub const ALLOWED_CODES: [StatusCode; 4] =
    [StatusCode::MOVED_PERMANENTLY, StatusCode::FOUND, StatusCode::TEMPORARY_REDIRECT, StatusCode::PERMANENT_REDIRECT];

/// What of a request the decision reads.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// The effective scheme (§7.4); only the exact text `http` redirects (§7.7).
    pub scheme: &'a str,
    /// `Host` as sent.
    pub host: &'a str,
    /// Path and query as sent.
    pub uri: &'a str,
    pub host_has_certificate: bool,
    pub https_port: u16,
}

impl HttpsRedirect {
    /// The `Location` to redirect to, or `None` to go on.
    pub fn location(&self, asked: Asked<'_>) -> Option<String> {
        let redirect = match self.mode {
            Mode::Never => false,
            Mode::WithCertificate => asked.host_has_certificate,
            Mode::Always => true,
        };
        if !redirect || asked.scheme != "http" {
            return None;
        }
        let host = without_port(asked.host);
        let uri = match asked.uri.strip_suffix('/') {
            Some(shorter) if !self.preserve_trailing_slash => shorter,
            _ => asked.uri,
        };
        Some(if self.with_port {
            format!("https://{host}:{}{uri}", asked.https_port)
        } else {
            format!("https://{host}{uri}")
        })
    }
}

/// The host without its port; an IPv6 literal keeps its brackets (ingress-nginx cuts it at the first colon).
pub fn without_port(host: &str) -> &str {
    let end = if host.starts_with('[') { host.find(']').map_or(0, |i| i + 1) } else { 0 };
    let (_, rest) = host.split_at_checked(end).unwrap_or((host, ""));
    match rest.find(':') {
        Some(colon) => host.split_at_checked(end + colon).map_or(host, |(name, _)| name),
        None => host,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn locations() {
        let on = HttpsRedirect { mode: Mode::WithCertificate, ..HttpsRedirect::default() };
        let forced = HttpsRedirect { mode: Mode::Always, ..on };
        let keep = HttpsRedirect { preserve_trailing_slash: true, ..forced };
        let port = HttpsRedirect { with_port: true, ..forced };
        let rows = [
            (on, "http", "a.test", "/", true, Some("https://a.test")),
            (on, "http", "a.test:80", "/a/", true, Some("https://a.test/a")),
            (on, "http", "a.test", "/a/?q=b/", true, Some("https://a.test/a/?q=b")),
            (on, "http", "a.test", "/a", false, None),
            (on, "https", "a.test", "/a", true, None),
            (on, "HTTP", "a.test", "/a", true, None),
            (forced, "http", "A.test", "/a//", false, Some("https://A.test/a/")),
            (forced, "http", "[::1]:80", "/a", false, Some("https://[::1]/a")),
            (keep, "http", "a.test", "/", false, Some("https://a.test/")),
            (port, "http", "a.test:80", "/x", false, Some("https://a.test:8443/x")),
            (HttpsRedirect::default(), "http", "a.test", "/x", true, None),
        ];
        for (redirect, scheme, host, uri, host_has_certificate, expected) in rows {
            let got = redirect.location(Asked { scheme, host, uri, host_has_certificate, https_port: 8443 });
            assert_eq!(got.as_deref(), expected, "{redirect:?} {scheme} {host} {uri}");
        }
    }
}
