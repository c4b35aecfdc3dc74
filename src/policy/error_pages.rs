//! `custom-http-errors`: which answers another Service writes in place of the one that was asked (contract §8.1).

use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::{Method, StatusCode};

macro_rules! names {
    ($($const:ident = $text:literal;)*) => { $(const $const: HeaderName = HeaderName::from_static($text);)* };
}

names! {
    X_CODE = "x-code";
    X_FORMAT = "x-format";
    X_ORIGINAL_URI = "x-original-uri";
    X_NAMESPACE = "x-namespace";
    X_INGRESS_NAME = "x-ingress-name";
    X_SERVICE_NAME = "x-service-name";
    X_SERVICE_PORT = "x-service-port";
}

/// The codes of one location.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct ErrorPages {
    /// Sorted.
    codes: Vec<u16>,
    /// They are the location's own, not the ConfigMap's: its own error backend is asked.
    pub own: bool,
    /// Whether answers of the upstream are replaced, too, and not only those that the proxy makes itself.
    pub intercept: bool,
}

impl ErrorPages {
    pub fn new(mut codes: Vec<u16>, own: bool, intercept: bool) -> Self {
        codes.sort_unstable();
        codes.dedup();
        Self { codes, own, intercept }
    }

    pub fn codes(&self) -> &[u16] {
        &self.codes
    }

    pub fn has(&self, status: StatusCode) -> bool {
        self.codes.binary_search(&status.as_u16()).is_ok()
    }
}

/// What an error backend is told of the request that failed.
#[derive(Clone, Copy, Debug)]
pub struct Told<'a> {
    pub code: StatusCode,
    pub accept: Option<&'a HeaderValue>,
    /// The target as the client sent it; `None` for a Service that stands in for another.
    pub original_uri: Option<&'a str>,
    pub namespace: &'a str,
    pub ingress: &'a str,
    pub service: &'a str,
    pub port: &'a str,
}

impl Told<'_> {
    /// Puts it in, whatever the client sent under these names. Empty values are left out, as nginx does.
    pub fn write(&self, headers: &mut HeaderMap) {
        let text = |text: &str| HeaderValue::from_bytes(text.as_bytes()).ok();
        let values = [
            (X_CODE, text(self.code.as_str())),
            (X_FORMAT, self.accept.cloned()),
            (X_ORIGINAL_URI, self.original_uri.and_then(text)),
            (X_NAMESPACE, text(self.namespace)),
            (X_INGRESS_NAME, text(self.ingress)),
            (X_SERVICE_NAME, text(self.service)),
            (X_SERVICE_PORT, text(self.port)),
        ];
        for (name, value) in values {
            match value.filter(|value| !value.is_empty()) {
                Some(value) => headers.insert(name, value),
                None => headers.remove(name),
            };
        }
    }
}

/// Error backends are asked with GET, or HEAD where the client asked so: the request's body is not theirs.
pub fn method(of_client: &Method) -> Method {
    if of_client == Method::HEAD { Method::HEAD } else { Method::GET }
}

/// What speaks of a body or of a part of an answer, and means nothing to an error backend.
pub fn without_body(headers: &mut HeaderMap) {
    for name in [
        header::CONTENT_LENGTH,
        header::CONTENT_TYPE,
        header::CONTENT_ENCODING,
        header::TRANSFER_ENCODING,
        header::EXPECT,
        header::UPGRADE,
    ] {
        headers.remove(name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_found() {
        let pages = ErrorPages::new(vec![503, 404, 503], true, true);
        assert_eq!(pages.codes(), [404, 503]);
        assert!(pages.has(StatusCode::NOT_FOUND) && !pages.has(StatusCode::BAD_GATEWAY));
    }

    #[test]
    fn headers_are_ours_alone() {
        let accept = HeaderValue::from_static("text/html");
        let mut told = Told {
            code: StatusCode::NOT_FOUND,
            accept: Some(&accept),
            original_uri: Some("/a?b"),
            namespace: "ns",
            ingress: "web",
            service: "svc",
            port: "80",
        };
        let mut headers = HeaderMap::new();
        headers.append(X_CODE, HeaderValue::from_static("200"));
        headers.append(X_CODE, HeaderValue::from_static("201"));
        told.write(&mut headers);
        assert_eq!(headers.get_all(X_CODE).iter().collect::<Vec<_>>(), ["404"]);
        assert_eq!(headers[X_ORIGINAL_URI], "/a?b");
        assert_eq!(headers.len(), 7);
        (told.accept, told.original_uri, told.service) = (None, None, "");
        told.write(&mut headers);
        assert_eq!(headers.len(), 4);
    }

    #[test]
    fn methods() {
        let rows = [(Method::GET, Method::GET), (Method::POST, Method::GET), (Method::HEAD, Method::HEAD)];
        for (client, expected) in rows {
            assert_eq!(method(&client), expected);
        }
    }
}
