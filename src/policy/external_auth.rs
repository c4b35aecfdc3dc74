//! External authentication: a service is asked whether a request may pass (contract §13).
//!
//! Whatever is not a clear yes keeps the request out: 401 and 403 are passed on, all else is 500.

mod cache;

use std::sync::Arc;

use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::{Method, StatusCode};

use super::headers::joined;
use super::question::Destination;
use super::snippet::Snippet;
use super::template::Template;

pub use cache::{Cache, Codes, Keeping, may_identify};

/// `auth-url` and what belongs to it, or the ConfigMap's `global-auth-*`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ExternalAuth {
    /// The URL as written, for people.
    pub url: Arc<str>,
    pub destination: Destination,
    /// `Host` of the question: the URL's, without port.
    pub host: HeaderValue,
    /// Path and query of the question.
    pub target: Template,
    /// `auth-method`. Set, it also brings `X-Original-URI` and `X-Scheme`; the method is GET otherwise.
    pub method: Option<Method>,
    /// Where a 401 is sent, with the URL to come back to.
    pub signin: Option<Template>,
    /// Headers of a passing answer that the upstream gets in place of the client's; those it lacks are cleared.
    pub response_headers: Arc<[HeaderName]>,
    /// `X-Auth-Request-Redirect`; the request's target when not set.
    pub request_redirect: Option<Template>,
    /// `auth-proxy-set-headers`, last of all headers of the question.
    pub set_headers: Vec<(HeaderName, Template)>,
    /// Cookies of the answer reach the client whatever its status.
    pub always_set_cookie: bool,
    pub cache: Option<Cache>,
    /// Connections to the service are kept (`auth-keepalive`); otherwise each question has its own, as with nginx.
    pub keep: bool,
    /// `auth-snippet`: what is answered in the service's place, and headers of the question.
    pub snippet: Option<Arc<Snippet>>,
}

/// What an answer of the service means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    Pass,
    Unauthorized,
    Forbidden,
    /// The service does not work: nobody passes.
    Failed,
}

impl Outcome {
    pub fn of(status: StatusCode) -> Self {
        match status {
            StatusCode::UNAUTHORIZED => Self::Unauthorized,
            StatusCode::FORBIDDEN => Self::Forbidden,
            status if status.is_success() => Self::Pass,
            _ => Self::Failed,
        }
    }

    /// The status that a client sees who is kept out.
    pub fn status(self) -> StatusCode {
        match self {
            Self::Unauthorized => StatusCode::UNAUTHORIZED,
            Self::Forbidden => StatusCode::FORBIDDEN,
            Self::Pass | Self::Failed => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }
}

/// What is taken over of an answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Granted {
    /// For the upstream; `None` clears what the client sent.
    pub headers: Vec<(HeaderName, Option<HeaderValue>)>,
    /// `Set-Cookie` for the client, line by line.
    pub cookies: Vec<HeaderValue>,
    pub always_set_cookie: bool,
}

impl Granted {
    pub fn of(auth: &ExternalAuth, answer: &HeaderMap) -> Self {
        let taken = auth.response_headers.iter().map(|name| {
            let value = joined(answer, name).filter(|value| !value.is_empty());
            (name.clone(), value)
        });
        Self { headers: taken.collect(), cookies: cookies(answer), always_set_cookie: auth.always_set_cookie }
    }

    /// The cookies, where an answer of this status takes them: nginx's `add_header`, with or without `always`.
    pub fn cookies_for(&self, status: StatusCode) -> &[HeaderValue] {
        const STATUSES: [u16; 10] = [200, 201, 204, 206, 301, 302, 303, 304, 307, 308];
        if self.always_set_cookie || STATUSES.contains(&status.as_u16()) { &self.cookies } else { &[] }
    }

    /// Takes it from a request for somebody else, who must not take the client's word for it either.
    pub fn forget(&self, headers: &mut HeaderMap) {
        self.headers.iter().for_each(|(name, _)| drop(headers.remove(name)));
    }

    /// Gives a request what it takes to the upstream.
    pub fn apply(&self, headers: &mut HeaderMap) {
        for (name, value) in &self.headers {
            match value {
                Some(value) => headers.insert(name.clone(), value.clone()),
                None => headers.remove(name),
            };
        }
    }
}

/// nginx knows the cookies of an answer as one variable, so it makes one line of several. What follows the first `;` is
/// lost on clients then, and with it the second half of a session that is split over cookies: lines with attributes stay
/// lines (RFC 6265 §3).
fn cookies(answer: &HeaderMap) -> Vec<HeaderValue> {
    let lines = || answer.get_all(header::SET_COOKIE).iter().filter(|line| !line.is_empty());
    if lines().any(|line| line.as_bytes().contains(&b';')) {
        return lines().cloned().collect();
    }
    joined(answer, &header::SET_COOKIE).filter(|line| !line.is_empty()).into_iter().collect()
}

/// Whether a header of an answer may stand in a request that has its own framing, host and connection.
pub fn may_be_copied(name: &HeaderName) -> bool {
    const OURS: [HeaderName; 7] = [
        header::CONNECTION,
        header::CONTENT_LENGTH,
        header::HOST,
        header::TE,
        header::TRAILER,
        header::TRANSFER_ENCODING,
        header::UPGRADE,
    ];
    !OURS.contains(name)
}

/// The text of a sign-in redirect: `url` with the parameter `param` that holds where to come back to, unless the URL has
/// one of that name already.
pub fn signin_text(url: &str, param: &str) -> String {
    const BACK: &str = "$pass_access_scheme://$http_host$escaped_request_uri";
    let query = url.split_once('?').map_or("", |(_, query)| query);
    let pairs = || query.split('&').filter(|pair| !pair.is_empty());
    let has_own =
        pairs().filter_map(|pair| pair.split_once('=')).any(|(name, value)| name == param && !value.is_empty());
    match (pairs().next(), has_own) {
        (None, _) => format!("{url}?{param}={BACK}"),
        (Some(_), true) => url.to_owned(),
        (Some(_), false) => format!("{url}&{param}={BACK}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outcomes() {
        let rows = [
            (200, Outcome::Pass),
            (202, Outcome::Pass),
            (204, Outcome::Pass),
            (401, Outcome::Unauthorized),
            (403, Outcome::Forbidden),
            (101, Outcome::Failed),
            (302, Outcome::Failed),
            (400, Outcome::Failed),
            (404, Outcome::Failed),
            (500, Outcome::Failed),
        ];
        for (status, expected) in rows {
            assert_eq!(Outcome::of(StatusCode::from_u16(status).unwrap()), expected, "{status}");
        }
        assert_eq!(Outcome::Failed.status(), 500);
    }

    #[test]
    fn sign_in_redirects() {
        let back = "$pass_access_scheme://$http_host$escaped_request_uri";
        let rows = [
            ("https://s.test/in", "rd", format!("https://s.test/in?rd={back}")),
            ("https://s.test/in?a=b", "rd", format!("https://s.test/in?a=b&rd={back}")),
            ("https://s.test/in?rd=/x", "rd", "https://s.test/in?rd=/x".to_owned()),
            ("https://s.test/in?rd=", "rd", format!("https://s.test/in?rd=&rd={back}")),
            ("https://s.test/in?rd=/x", "back", format!("https://s.test/in?rd=/x&back={back}")),
        ];
        for (url, param, expected) in rows {
            assert_eq!(signin_text(url, param), expected, "{url} {param}");
        }
    }

    #[test]
    fn cookies_by_status() {
        let usual = Granted { cookies: vec![HeaderValue::from_static("a=1")], ..Granted::default() };
        let always = Granted { always_set_cookie: true, ..usual.clone() };
        for (status, expected) in [(200, true), (202, false), (302, true), (404, false), (500, false)] {
            let status = StatusCode::from_u16(status).unwrap();
            assert_eq!(!usual.cookies_for(status).is_empty(), expected, "{status}");
            assert!(!always.cookies_for(status).is_empty(), "{status}");
        }
    }

    #[test]
    fn lines_of_cookies() {
        let rows: [(&[&str], &[&str]); 4] = [
            (&[], &[]),
            (&["a=1; Path=/"], &["a=1; Path=/"]),
            (&["a=1", "b=2"], &["a=1, b=2"]),
            (
                &["a_0=1; Path=/; Expires=Sat, 22 Nov 2036 07:00:00 GMT", "a_1=2; Path=/"],
                &["a_0=1; Path=/; Expires=Sat, 22 Nov 2036 07:00:00 GMT", "a_1=2; Path=/"],
            ),
        ];
        for (lines, expected) in rows {
            let mut answer = HeaderMap::new();
            for line in lines {
                answer.append(header::SET_COOKIE, HeaderValue::from_static(line));
            }
            assert_eq!(cookies(&answer), expected, "{lines:?}");
        }
    }
}
