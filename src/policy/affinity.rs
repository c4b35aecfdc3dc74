//! `affinity: cookie`: keeps a client on one endpoint (contract §17).

use std::sync::Arc;

use http::HeaderValue;
use http::header::{self, HeaderMap};
use sha1::{Digest as _, Sha1};

use crate::base::clock::ClockText;

/// The affinity of one upstream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Affinity {
    pub mode: Mode,
    /// Names the upstream in its cookies, so that a canary's are told from main's.
    pub key: Arc<str>,
    pub cookie: Arc<SessionCookie>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Mode {
    /// The cookie names a place on a ring of endpoints: sessions move when there are more.
    #[default]
    Balanced,
    /// The cookie names an endpoint.
    Persistent,
}

/// What the cookie looks like.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionCookie {
    pub name: Arc<str>,
    /// The path of the location that answers where there is none.
    pub path: Option<Arc<str>>,
    pub domain: Option<Arc<str>>,
    /// Seconds from now.
    pub expires: Option<i64>,
    pub max_age: Option<i64>,
    pub same_site: Option<SameSite>,
    /// Leaves `SameSite=None` out for browsers that do not know it.
    pub conditional_none: bool,
    /// `Secure` on plain http, too.
    pub secure: bool,
    pub change_on_failure: bool,
}

impl Default for SessionCookie {
    fn default() -> Self {
        Self {
            name: "INGRESSCOOKIE".into(),
            path: None,
            domain: None,
            expires: None,
            max_age: None,
            same_site: None,
            conditional_none: false,
            secure: false,
            change_on_failure: false,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SameSite {
    None,
    Lax,
    Strict,
}

impl SameSite {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "None",
            Self::Lax => "Lax",
            Self::Strict => "Strict",
        }
    }
}

/// A cookie as a client sent it: `<session>|<upstream>`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sent {
    pub session: Box<[u8]>,
    pub upstream: Box<[u8]>,
}

/// A text that says nothing of what it stands for and is the same in every replica: 32 hex digits.
pub fn opaque(text: &str) -> String {
    Sha1::digest(text.as_bytes()).iter().take(16).map(|byte| format!("{byte:02x}")).collect()
}

/// What a cookie depends on besides its upstream's settings.
#[derive(Clone, Copy, Debug)]
pub struct Issue<'a> {
    pub session: &'a str,
    /// The path text of the location.
    pub location: &'a str,
    pub tls: bool,
    pub user_agent: Option<&'a HeaderValue>,
    /// Seconds since 1970.
    pub now: u64,
}

impl Affinity {
    /// Whether the request has a cookie of this very upstream.
    pub fn holds(&self, headers: &HeaderMap) -> bool {
        self.sent(headers).is_some_and(|sent| *sent.upstream == *self.key.as_bytes())
    }

    /// The cookie of a request. Of several with the name the last one counts.
    pub fn sent(&self, headers: &HeaderMap) -> Option<Sent> {
        let lines = headers.get_all(header::COOKIE).iter().flat_map(|line| line.as_bytes().split(|b| *b == b';'));
        let mut values = lines.filter_map(|pair| value_of(pair, self.cookie.name.as_bytes()));
        let value = values.next_back()?;
        let mut parts = value.split(|b| *b == b'|');
        let session = parts.next().filter(|session| !session.is_empty())?;
        Some(Sent { session: session.into(), upstream: parts.next().unwrap_or_default().into() })
    }

    /// `Set-Cookie`, its attributes in the order that ingress-nginx has. `None`: a setting cannot stand in a header.
    pub fn issue(&self, issue: Issue<'_>) -> Option<HeaderValue> {
        let cookie = &self.cookie;
        let mut text = format!("{}={}|{}", cookie.name, issue.session, self.key);
        let mut add = |name: &str, value: &str| {
            text.push_str("; ");
            text.push_str(name);
            text.push_str(value);
        };
        if let Some(seconds) = cookie.expires {
            add("Expires=", &expires(issue.now, seconds));
        }
        if let Some(seconds) = cookie.max_age {
            add("Max-Age=", &seconds.to_string());
        }
        if let Some(domain) = &cookie.domain {
            add("Domain=", domain);
        }
        add("Path=", cookie.path.as_deref().unwrap_or(issue.location));
        if cookie.secure || issue.tls {
            add("Secure", "");
        }
        add("HttpOnly", "");
        let left_out = |site| site == SameSite::None && cookie.conditional_none && !knows_none(issue.user_agent);
        if let Some(site) = cookie.same_site.filter(|site| !left_out(*site)) {
            add("SameSite=", site.as_str());
        }
        HeaderValue::from_str(&text).ok()
    }
}

/// The value of a pair of that name, up to the first blank.
fn value_of<'p>(pair: &'p [u8], name: &[u8]) -> Option<&'p [u8]> {
    let rest = pair.trim_ascii().strip_prefix(name)?.trim_ascii_start().strip_prefix(b"=")?;
    rest.trim_ascii_start().split(u8::is_ascii_whitespace).next()
}

/// nginx's form of the date: `Sun, 06-Nov-94 08:49:37 GMT`, with four digits from 2038 on.
fn expires(now: u64, seconds: i64) -> String {
    let at = std::time::Duration::from_secs(now.saturating_add_signed(seconds));
    let clock = std::time::UNIX_EPOCH.checked_add(at).map(ClockText::at);
    let date = clock.as_ref().map_or("", ClockText::http_date);
    let mut words = date.split(' ');
    let mut next = || words.next().unwrap_or_default();
    let (weekday, day, month, year, time) = (next(), next(), next(), next(), next());
    let short = year.parse::<u32>().is_ok_and(|year| year <= 2037);
    let year = if short { year.get(2..).unwrap_or(year) } else { year };
    format!("{weekday} {day}-{month}-{year} {time} GMT")
}

/// Browsers that refuse a cookie with `SameSite=None`, as ingress-nginx tells them by their name.
fn knows_none(user_agent: Option<&HeaderValue>) -> bool {
    let Some(agent) = user_agent.and_then(|value| std::str::from_utf8(value.as_bytes()).ok()) else { return true };
    let old = ["Chrome/4", "Chrome/5", "Chrome/6", "CPU iPhone OS 12", "iPad; CPU OS 12"];
    let mojave = ["Macintosh", "Intel Mac OS X 10_14", "Safari"];
    let is_old_safari = mojave.iter().all(|word| agent.contains(word)) && !agent.contains("Chrome");
    !is_old_safari && !old.iter().any(|word| agent.contains(word))
}

#[cfg(test)]
#[path = "affinity/tests.rs"]
mod tests;
