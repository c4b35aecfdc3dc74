//! How long an answer of the authentication service may be used again, and for whom.

use std::sync::Arc;
use std::time::Duration;

use http::header::{self, HeaderMap, HeaderName};
use http::{HeaderValue, StatusCode};

use crate::policy::template::{Part, Template};
use crate::policy::variable::{Named, Variable};

/// `auth-cache-key` and `auth-cache-duration`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Cache {
    /// What tells clients apart.
    pub key: Template,
    pub keeping: Keeping,
    /// All of the question's settings as text: an answer to another question is not this one's.
    pub question: Arc<str>,
}

/// How long answers of which status are kept; the first rule that has a status decides.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Keeping(pub Vec<(Codes, Duration)>);

/// Which statuses a rule is for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Codes {
    Any,
    These(Vec<u16>),
}

impl Default for Keeping {
    fn default() -> Self {
        Self(vec![(Codes::These(vec![200, 202, 401]), Duration::from_secs(300))])
    }
}

const X_ACCEL_EXPIRES: HeaderName = HeaderName::from_static("x-accel-expires");

impl Keeping {
    /// How long an answer is kept; zero is not at all. What the service says of itself goes first, as in nginx's cache:
    /// one that sets a cookie, varies or expires is for this request only.
    pub fn of(&self, status: StatusCode, answer: &HeaderMap) -> Duration {
        const FOR_ONE: [HeaderName; 4] = [header::SET_COOKIE, header::VARY, header::EXPIRES, X_ACCEL_EXPIRES];
        if FOR_ONE.iter().any(|name| answer.contains_key(name)) {
            return Duration::ZERO;
        }
        let named = |codes: &Codes| match codes {
            Codes::Any => true,
            Codes::These(list) => list.contains(&status.as_u16()),
        };
        let rule = self.0.iter().find(|(codes, _)| named(codes)).map_or(Duration::ZERO, |(_, time)| *time);
        said(answer).unwrap_or(rule)
    }
}

/// What `Cache-Control` says (RFC 9111 §5.2.2), if anything that counts.
fn said(answer: &HeaderMap) -> Option<Duration> {
    let lines = answer.get_all(header::CACHE_CONTROL).iter().filter_map(|line: &HeaderValue| line.to_str().ok());
    let mut seconds = None;
    for word in lines.flat_map(|line| line.split(',')) {
        let word = word.trim().to_ascii_lowercase();
        let (name, value) = word.split_once('=').unwrap_or((&word, ""));
        match name {
            "no-cache" | "no-store" | "private" => return Some(Duration::ZERO),
            // A shared cache's own limit goes first.
            "s-maxage" => return Some(Duration::from_secs(value.parse().unwrap_or(0))),
            "max-age" => seconds = Some(value.parse().unwrap_or(0)),
            _ => {}
        }
    }
    seconds.map(Duration::from_secs)
}

/// Whether a key tells clients apart by values that a request is sure to have: with a variable that is always empty all
/// clients would be one.
pub fn may_identify(key: &Template) -> Result<(), String> {
    let known = |named: Named| {
        use Named::*;
        matches!(
            named,
            Args | BestHttpHost
                | BinaryRemoteAddr
                | Host
                | HttpHost
                | IngressName
                | LocationPath
                | Namespace
                | PassAccessScheme
                | RealipRemoteAddr
                | RemoteAddr
                | RemoteUser
                | RequestId
                | RequestLine
                | RequestMethod
                | RequestUri
                | Scheme
                | ServerName
                | ServiceName
                | Uri
        )
    };
    for part in key.parts() {
        match part {
            Part::Variable(Variable::Named(named)) if !known(*named) => {
                return Err("one of its variables tells no clients apart".to_owned());
            }
            Part::Capture(group) => return Err(format!("${group} has no value")),
            Part::Literal(_) | Part::Variable(_) => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        let keeping = Keeping(vec![
            (Codes::These(vec![200, 401]), Duration::from_secs(60)),
            (Codes::Any, Duration::from_secs(1)),
        ]);
        type Headers = &'static [(&'static str, &'static str)];
        let rows: [(u16, Headers, u64); 11] = [
            (200, &[], 60),
            (401, &[], 60),
            (403, &[], 1),
            (200, &[("cache-control", "max-age=5")], 5),
            (200, &[("cache-control", "max-age=5, s-maxage=7")], 7),
            (200, &[("cache-control", "public, No-Store")], 0),
            (200, &[("cache-control", "private, max-age=5")], 0),
            (200, &[("cache-control", "max-age=x")], 0),
            (200, &[("set-cookie", "a=1")], 0),
            (200, &[("vary", "cookie")], 0),
            (200, &[("expires", "0")], 0),
        ];
        for (status, headers, expected) in rows {
            let mut answer = HeaderMap::new();
            for (name, value) in headers {
                answer.insert(*name, value.parse().unwrap());
            }
            let kept = keeping.of(StatusCode::from_u16(status).unwrap(), &answer);
            assert_eq!(kept, Duration::from_secs(expected), "{status} {headers:?}");
        }
        assert_eq!(Keeping::default().of(StatusCode::FORBIDDEN, &HeaderMap::new()), Duration::ZERO);
    }

    #[test]
    fn keys() {
        for (text, usable) in [
            ("$remote_user$http_authorization", true),
            ("$cookie_session", true),
            ("one", true),
            ("$ssl_client_s_dn", false),
            ("$connection", false),
            ("$1", false),
        ] {
            assert_eq!(may_identify(&Template::parse(text).unwrap()).is_ok(), usable, "{text}");
        }
    }
}
