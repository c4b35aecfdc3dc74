//! The header set that an upstream sees (contract §10), and what of its answer a client sees.

use http::header::{self, HeaderMap, HeaderName, HeaderValue};

use super::forwarded::TrustPolicy;

macro_rules! names {
    ($($const:ident = $text:literal;)*) => { $(pub const $const: HeaderName = HeaderName::from_static($text);)* };
}

names! {
    X_REQUEST_ID = "x-request-id";
    X_REAL_IP = "x-real-ip";
    X_FORWARDED_FOR = "x-forwarded-for";
    X_FORWARDED_HOST = "x-forwarded-host";
    X_FORWARDED_PORT = "x-forwarded-port";
    X_FORWARDED_PROTO = "x-forwarded-proto";
    X_FORWARDED_SCHEME = "x-forwarded-scheme";
    X_FORWARDED_PREFIX = "x-forwarded-prefix";
    X_SCHEME = "x-scheme";
    X_ORIGINAL_FORWARDED_FOR = "x-original-forwarded-for";
    X_ORIGINAL_FORWARDED_HOST = "x-original-forwarded-host";
}

/// Whether a name speaks about one connection only (RFC 9110 §7.6.1), or is `Proxy` (the httpoxy hole). A match of texts
/// is one look at a length: most requests have none of these, and need not be searched for each of them.
fn is_hop_by_hop(name: &HeaderName) -> bool {
    matches!(
        name.as_str(),
        "connection"
            | "keep-alive"
            | "proxy-connection"
            | "te"
            | "trailer"
            | "transfer-encoding"
            | "upgrade"
            | "expect"
            | "content-length"
            | "proxy"
    )
}

/// Whether a name is nothing for clients: the upstream's connection, its `Date` (the proxy sets its own), `X-Pad`, nginx's
/// instructions.
fn is_between_servers(name: &HeaderName) -> bool {
    match name.as_str() {
        "connection" | "keep-alive" | "proxy-connection" | "te" | "transfer-encoding" | "upgrade" | "date"
        | "x-pad" => true,
        name => name.starts_with("x-accel-"),
    }
}

/// Removes the lines whose names `are_doomed`.
pub fn remove(headers: &mut HeaderMap, are_doomed: impl Fn(&HeaderName) -> bool) {
    if !headers.keys().any(&are_doomed) {
        return;
    }
    let doomed: Vec<HeaderName> = headers.keys().filter(|name| are_doomed(name)).cloned().collect();
    for name in doomed {
        headers.remove(name);
    }
}

/// Lines that an upstream gets from us at most.
const OURS: usize = 12;

/// What the proxy knows of the client's side, already as header values.
#[derive(Debug)]
pub struct Client<'a> {
    /// Address without port.
    pub address: &'a HeaderValue,
    /// `X-Forwarded-For`.
    pub forwarded_for: &'a HeaderValue,
    /// What the address was taken from, where PROXY headers and HTTP headers are believed.
    pub origin: Option<&'a HeaderValue>,
    /// As it was believed: any text.
    pub scheme: &'a str,
    /// The port presented upstream: the listener's, or 443 for any https listener.
    pub port: &'a HeaderValue,
    /// `Host` as sent, or `:authority`.
    pub host: Option<&'a HeaderValue>,
    /// Used when the client sent no `X-Request-ID`, or an empty one; where it is empty, too, none is sent.
    pub request_id: HeaderValue,
}

/// Which names of a request are dropped (`ignore-invalid-headers`, `enable-underscores-in-headers`).
#[derive(Clone, Copy, Debug)]
pub struct NameRules {
    pub drop_invalid: bool,
    pub underscores: bool,
}

/// Turns a client's headers into an upstream's. Framing (`Content-Length`) and `Host` are left to the caller,
/// `Connection` and `Upgrade` too: what a client says about its own connection never passes.
pub fn to_upstream(headers: &mut HeaderMap, client: Client<'_>, rules: NameRules, trust: &TrustPolicy) {
    strip(headers, rules);
    headers.reserve(OURS);
    let is_told = |name: &HeaderName| {
        name.as_str().starts_with("x-") || *name == trust.forwarded_for || *name == trust.forwarded_host
    };
    // Clients that no proxy stands before say nothing of all this.
    let speaks_of_itself = headers.keys().any(is_told);
    if speaks_of_itself {
        move_original(headers, &trust.forwarded_for, X_ORIGINAL_FORWARDED_FOR);
        move_original(headers, &trust.forwarded_host, X_ORIGINAL_FORWARDED_HOST);
    }
    if let Some(origin) = client.origin {
        put(headers, trust.forwarded_for_proxy_protocol.clone(), origin.clone());
    }
    let scheme = scheme_value(client.scheme);
    headers.insert(X_REAL_IP, client.address.clone());
    headers.insert(X_FORWARDED_FOR, client.forwarded_for.clone());
    put(headers, X_FORWARDED_PORT, client.port.clone());
    put(headers, X_FORWARDED_PROTO, scheme.clone());
    put(headers, X_FORWARDED_SCHEME, scheme.clone());
    put(headers, X_SCHEME, scheme);
    match client.host {
        Some(host) => headers.insert(X_FORWARDED_HOST, trimmed(host)),
        None => headers.remove(X_FORWARDED_HOST),
    };
    if !speaks_of_itself || headers.get(X_REQUEST_ID).is_none_or(HeaderValue::is_empty) {
        match client.request_id.is_empty() {
            true if !speaks_of_itself => None,
            true => headers.remove(X_REQUEST_ID),
            false => headers.insert(X_REQUEST_ID, client.request_id),
        };
    }
}

/// Removes what no upstream is to see of a client's headers: names that are not allowed, and what is about its connection.
pub fn strip(headers: &mut HeaderMap, rules: NameRules) {
    remove(headers, |name| is_hop_by_hop(name) || (rules.drop_invalid && !is_valid(name, rules.underscores)));
}

/// An empty value is none (nginx's `proxy_set_header`).
pub fn put(headers: &mut HeaderMap, name: HeaderName, value: HeaderValue) {
    if value.is_empty() {
        headers.remove(name);
    } else {
        headers.insert(name, value);
    }
}

/// The value without the blanks around it, which only HTTP/1 could carry.
pub fn trimmed(value: &HeaderValue) -> HeaderValue {
    let text = value.as_bytes().trim_ascii();
    if text.len() == value.len() { value.clone() } else { HeaderValue::from_bytes(text).unwrap_or(value.clone()) }
}

pub fn scheme_value(scheme: &str) -> HeaderValue {
    match scheme {
        "http" => HeaderValue::from_static("http"),
        "https" => HeaderValue::from_static("https"),
        other => HeaderValue::from_str(other).unwrap_or(HeaderValue::from_static("http")),
    }
}

/// Keeps what the client sent under another name; the other name never comes from the client.
fn move_original(headers: &mut HeaderMap, from: &HeaderName, to: HeaderName) {
    match joined(headers, from) {
        Some(value) if !value.is_empty() => headers.insert(to, value),
        _ => headers.remove(to),
    };
}

/// Several lines of one header as one value, joined as nginx joins them.
pub fn joined(headers: &HeaderMap, name: &HeaderName) -> Option<HeaderValue> {
    let mut lines = headers.get_all(name).iter();
    let first = lines.next()?;
    let Some(second) = lines.next() else { return Some(first.clone()) };
    let mut all = first.as_bytes().to_vec();
    for line in std::iter::once(second).chain(lines) {
        all.extend_from_slice(b", ");
        all.extend_from_slice(line.as_bytes());
    }
    HeaderValue::from_bytes(&all).ok()
}

fn is_valid(name: &HeaderName, underscores: bool) -> bool {
    name.as_str().bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || (underscores && b == b'_'))
}

/// HTTP/2 splits `Cookie` into crumbs; HTTP/1 allows one line (RFC 9113 §8.2.3).
pub fn join_cookies(headers: &mut HeaderMap) {
    let mut crumbs = headers.get_all(header::COOKIE).iter();
    let (Some(first), Some(second)) = (crumbs.next(), crumbs.next()) else { return };
    let mut all = first.as_bytes().to_vec();
    for crumb in std::iter::once(second).chain(crumbs) {
        all.extend_from_slice(b"; ");
        all.extend_from_slice(crumb.as_bytes());
    }
    if let Ok(value) = HeaderValue::from_bytes(&all) {
        headers.insert(header::COOKIE, value);
    }
}

/// Removes from an upstream's answer what is about its connection, its `Server` unless `keep_server`, its `Date` (the
/// proxy sets its own), `X-Pad`, nginx's `X-Accel-*` instructions, and `hidden`.
pub fn to_client(headers: &mut HeaderMap, hidden: &[HeaderName], keep_server: bool) {
    remove(headers, is_between_servers);
    if !keep_server {
        headers.remove(header::SERVER);
    }
    for name in hidden {
        headers.remove(name);
    }
}

/// Whether `Connection` names the token `upgrade` (RFC 9110 §7.8).
pub fn asks_upgrade(headers: &HeaderMap) -> bool {
    let tokens = headers.get_all(header::CONNECTION);
    let named = tokens.iter().filter_map(|v| v.to_str().ok()).flat_map(|v| v.split(','));
    headers.contains_key(header::UPGRADE) && named.into_iter().any(|token| token.trim().eq_ignore_ascii_case("upgrade"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(sent: &[(&str, &str)], rules: NameRules) -> Vec<(String, String)> {
        let mut headers = HeaderMap::new();
        for (name, value) in sent {
            headers.append(HeaderName::from_bytes(name.as_bytes()).unwrap(), HeaderValue::from_str(value).unwrap());
        }
        let (address, port) = (HeaderValue::from_static("192.0.2.1"), HeaderValue::from_static("80"));
        let host = HeaderValue::from_static("a.test");
        let request_id = HeaderValue::from_static("0123");
        let (forwarded_for, origin) = (&address, None);
        let (address, port, host) = (&address, &port, Some(&host));
        let client = Client { address, forwarded_for, origin, scheme: "http", port, host, request_id };
        to_upstream(&mut headers, client, rules, &TrustPolicy::default());
        let mut seen: Vec<_> = headers.iter().map(|(k, v)| (k.to_string(), v.to_str().unwrap().to_owned())).collect();
        seen.sort();
        seen
    }

    const NGINX: NameRules = NameRules { drop_invalid: true, underscores: false };

    #[test]
    fn identity_is_replaced_never_trusted() {
        let sent = [
            ("x-forwarded-for", "9.9.9.9"),
            ("x-forwarded-for", "8.8.8.8"),
            ("x-forwarded-proto", "https"),
            ("x-real-ip", "9.9.9.9"),
            ("x-original-forwarded-host", "forged"),
            ("x-request-id", ""),
            ("proxy", "http://evil"),
            ("connection", "close"),
            ("te", "trailers"),
            ("x_real_ip", "1"),
            ("x-dot.ted", "1"),
            ("x-own", "kept"),
        ];
        let expected = [
            ("x-forwarded-for", "192.0.2.1"),
            ("x-forwarded-host", "a.test"),
            ("x-forwarded-port", "80"),
            ("x-forwarded-proto", "http"),
            ("x-forwarded-scheme", "http"),
            ("x-original-forwarded-for", "9.9.9.9, 8.8.8.8"),
            ("x-own", "kept"),
            ("x-real-ip", "192.0.2.1"),
            ("x-request-id", "0123"),
            ("x-scheme", "http"),
        ];
        assert_eq!(run(&sent, NGINX), expected.map(|(k, v)| (k.to_owned(), v.to_owned())));
    }

    #[test]
    fn odd_names_pass_when_asked() {
        let seen = run(&[("x_a", "1"), ("x.b", "2")], NameRules { drop_invalid: false, underscores: false });
        assert!(seen.contains(&("x_a".into(), "1".into())) && seen.contains(&("x.b".into(), "2".into())));
        let seen = run(&[("x_a", "1"), ("x.b", "2")], NameRules { drop_invalid: true, underscores: true });
        assert!(seen.contains(&("x_a".into(), "1".into())) && !seen.iter().any(|(k, _)| k == "x.b"));
    }

    #[test]
    fn upgrades() {
        let rows = [
            (&[("connection", "Upgrade"), ("upgrade", "websocket")][..], true),
            (&[("connection", "keep-alive, upgrade"), ("upgrade", "foo")], true),
            (&[("connection", "close"), ("upgrade", "websocket")], false),
            (&[("connection", "upgrade")], false),
        ];
        for (sent, expected) in rows {
            let headers: HeaderMap = sent
                .iter()
                .map(|(k, v)| (k.parse::<HeaderName>().unwrap(), v.parse::<HeaderValue>().unwrap()))
                .collect();
            assert_eq!(asks_upgrade(&headers), expected, "{sent:?}");
        }
    }
}
