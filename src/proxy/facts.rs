//! The values of nginx's variables for a request that is being served.

use std::io::Write as _;

use http::Version;
use http::header::{self, HeaderMap, HeaderName};

use super::client_certificate;
use super::exchange::Exchange;
use super::tls::session::Session;
use crate::base::path::escape_component;
use crate::policy::client_certificate::shown::Shown;
use crate::policy::headers::{X_FORWARDED_FOR, joined};
use crate::policy::rewrite::Groups;
use crate::policy::template::Values;
use crate::policy::variable::{Named, Variable};
use crate::table::Route;

/// A request: what is known of it, and its head as the client sent it.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    pub exchange: &'a Exchange,
    pub headers: &'a HeaderMap,
}

impl Values for Facts<'_> {
    fn variable(&self, variable: &Variable, out: &mut Vec<u8>) -> bool {
        match variable {
            Variable::Named(named) => self.named(*named, out),
            Variable::Header(name) => self.header(name, out),
            Variable::Cookie(name) => put(cookie(self.headers, name), out),
            Variable::Argument(name) => put(argument(self.exchange.query().unwrap_or_default(), name), out),
            Variable::SentHeader(_) | Variable::UpstreamHeader(_) => false,
        }
    }
}

/// Groups of a location's rewrite, and variables.
pub struct Captured<'a> {
    pub groups: Groups<'a>,
    pub facts: Facts<'a>,
}

impl Values for Captured<'_> {
    fn capture(&self, group: usize) -> &[u8] {
        self.groups.get(group)
    }

    fn variable(&self, variable: &Variable, out: &mut Vec<u8>) -> bool {
        self.facts.variable(variable, out)
    }
}

impl Facts<'_> {
    fn named(&self, named: Named, out: &mut Vec<u8>) -> bool {
        let exchange = self.exchange;
        let query = exchange.query();
        match named {
            Named::Args => put(query.map(str::as_bytes), out),
            Named::IsArgs => put(Some(if query.is_some_and(|q| !q.is_empty()) { b"?" } else { b"" }), out),
            Named::Uri => put(Some(&exchange.path), out),
            Named::RequestUri => put(Some(exchange.target().as_bytes()), out),
            Named::EscapedRequestUri => {
                let mut text = String::new();
                escape_component(exchange.target().as_bytes(), &mut text);
                put(Some(text.as_bytes()), out)
            }
            Named::RequestMethod => put(Some(exchange.method.as_str().as_bytes()), out),
            Named::RequestLine => {
                // In nearly every line of the access log: no formatting.
                let words = [exchange.method.as_str(), " ", exchange.target(), " ", protocol(exchange.version)];
                words.iter().for_each(|word| out.extend_from_slice(word.as_bytes()));
                true
            }
            Named::ServerProtocol => put(Some(protocol(exchange.version).as_bytes()), out),
            Named::RequestId => put(Some(exchange.request_id.as_bytes()), out),
            Named::Host => put(Some(exchange.host.as_bytes()), out),
            Named::HttpHost => put(exchange.sent_host.as_ref().map(|h| h.as_bytes()), out),
            Named::BestHttpHost => put(exchange.forwarded_host().map(|h| h.as_bytes()), out),
            Named::Scheme => put(Some(exchange.client.scheme().as_bytes()), out),
            Named::PassAccessScheme => put(Some(exchange.scheme().as_bytes()), out),
            Named::PassPort => put(Some(exchange.forwarded_port().as_bytes()), out),
            Named::Https => put(Some(if exchange.client.tls { b"on" } else { b"" }), out),
            Named::ServerPort => display(exchange.client.port, out),
            Named::RemoteAddr => put(Some(exchange.remote_value().as_bytes()), out),
            Named::RemoteUser => put(exchange.remote_user().as_deref(), out),
            // Of who was named by an address alone there is none.
            Named::RemotePort => exchange.remote().port() != 0 && display(exchange.remote().port(), out),
            Named::BinaryRemoteAddr => match exchange.remote().ip() {
                std::net::IpAddr::V4(ip) => put(Some(&ip.octets()), out),
                std::net::IpAddr::V6(ip) => put(Some(&ip.octets()), out),
            },
            Named::RealipRemoteAddr => put(Some(exchange.client.address_value.as_bytes()), out),
            Named::ProxyProtocolAddr => exchange.client.proxied.is_some_and(|(source, _)| display(source.ip(), out)),
            Named::ProxyProtocolPort => exchange.client.proxied.is_some_and(|(source, _)| display(source.port(), out)),
            Named::RealipRemotePort => display(exchange.client.address.port(), out),
            Named::ProxyAddXForwardedFor => {
                if self.header(&X_FORWARDED_FOR, out) {
                    out.extend_from_slice(b", ");
                }
                put(Some(exchange.remote_value().as_bytes()), out)
            }
            Named::ContentType => self.header(&header::CONTENT_TYPE, out),
            Named::ContentLength => self.header(&header::CONTENT_LENGTH, out),
            Named::Msec => put(Some(exchange.worker.clock.borrow().msec().as_bytes()), out),
            Named::TimeLocal => put(Some(exchange.worker.clock.borrow().time_local().as_bytes()), out),
            Named::TimeIso8601 => put(Some(exchange.worker.clock.borrow().time_iso8601().as_bytes()), out),
            Named::Namespace => self.label(|route| &route.labels.namespace, out),
            Named::IngressName => self.label(|route| &route.labels.ingress, out),
            Named::ServiceName => self.label(|route| &route.labels.service, out),
            Named::ServicePort => self.label(|route| &route.labels.service_port, out),
            Named::LocationPath => self.label(|route| &route.labels.path, out),
            Named::ServerName => self.label(|route| &route.labels.host, out),
            Named::ProxyUpstreamName => put(exchange.upstream_name().map(str::as_bytes), out),
            // The one upstream of ingress-nginx's configuration.
            Named::ProxyHost => put(Some(b"upstream_balancer"), out),
            Named::ConnectionRequests => display(exchange.served, out),
            Named::Http2 => put(Some(http2(exchange)), out),
            Named::Pid => display(std::process::id(), out),
            Named::SslProtocol => self.session(|session| Some(session.protocol), out),
            Named::SslCipher => self.session(|session| Some(session.cipher), out),
            Named::SslServerName => self.session(|session| session.server_name.as_deref(), out),
            Named::SslSessionReused => self.session(|session| Some(if session.reused { "r" } else { "." }), out),
            Named::SslClientVerify => match (exchange.certificate, &exchange.client.session) {
                (_, None) => false,
                (None, Some(_)) => put(Some(b"NONE"), out),
                (Some(checked), Some(_)) => put(Some(checked.verdict.text().as_bytes()), out),
            },
            Named::SslClientSubject => self.certificate(|shown| &shown.subject, out),
            Named::SslClientIssuer => self.certificate(|shown| &shown.issuer, out),
            Named::SslClientSerial => self.certificate(|shown| &shown.serial, out),
            Named::SslClientFingerprint => self.certificate(|shown| &shown.fingerprint, out),
            Named::SslClientEscapedCert => self.certificate(|shown| &shown.escaped, out),
            _ => false,
        }
    }

    fn session(&self, value: impl Fn(&Session) -> Option<&str>, out: &mut Vec<u8>) -> bool {
        put(self.exchange.client.session.as_deref().and_then(value).map(str::as_bytes), out)
    }

    fn certificate(&self, value: impl Fn(&Shown) -> &str, out: &mut Vec<u8>) -> bool {
        put(client_certificate::shown(self.exchange).map(|shown| value(shown).as_bytes()), out)
    }

    fn route(&self) -> Option<&Route> {
        self.exchange.live.table().route(self.exchange.route?)
    }

    fn label<'a>(&'a self, label: impl Fn(&'a Route) -> &'a str, out: &mut Vec<u8>) -> bool {
        // ingress-nginx sets them in locations; before one is found they are empty.
        put(Some(self.route().map_or("", label).as_bytes()), out)
    }

    fn header(&self, name: &HeaderName, out: &mut Vec<u8>) -> bool {
        put(joined(self.headers, name).as_ref().map(|value| value.as_bytes()), out)
    }
}

fn put(value: Option<&[u8]>, out: &mut Vec<u8>) -> bool {
    out.extend_from_slice(value.unwrap_or_default());
    value.is_some()
}

fn display(value: impl std::fmt::Display, out: &mut Vec<u8>) -> bool {
    // Writing to a Vec cannot fail.
    write!(out, "{value}").is_ok()
}

/// nginx's `$http2`.
fn http2(exchange: &Exchange) -> &'static [u8] {
    match exchange.version {
        Version::HTTP_2 if exchange.client.tls => b"h2",
        Version::HTTP_2 => b"h2c",
        _ => b"",
    }
}

/// The first cookie of a name, as nginx finds it: the name's case does not matter.
pub fn cookie<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h [u8]> {
    let pairs = headers.get_all(header::COOKIE).iter().flat_map(|line| line.as_bytes().split(|b| *b == b';'));
    pairs
        .filter_map(|pair| {
            let pair = pair.trim_ascii();
            let at = pair.iter().position(|b| *b == b'=')?;
            let (key, value) = pair.split_at_checked(at)?;
            key.trim_ascii()
                .eq_ignore_ascii_case(name.as_bytes())
                .then(|| value.get(1..).unwrap_or_default().trim_ascii())
        })
        .next()
}

/// The first argument of a name in a query, undecoded; the name's case does not matter.
fn argument<'q>(query: &'q str, name: &str) -> Option<&'q [u8]> {
    let mut pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    pairs.find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_bytes())
}

pub fn protocol(version: Version) -> &'static str {
    match version {
        Version::HTTP_09 => "HTTP/0.9",
        Version::HTTP_10 => "HTTP/1.0",
        Version::HTTP_2 => "HTTP/2.0",
        Version::HTTP_3 => "HTTP/3.0",
        _ => "HTTP/1.1",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cookies_and_arguments() {
        let mut headers = HeaderMap::new();
        headers.append(header::COOKIE, "a=1; Session = x=y ;b".parse().unwrap());
        headers.append(header::COOKIE, "c=3".parse().unwrap());
        let rows = [("a", Some("1")), ("session", Some("x=y")), ("c", Some("3")), ("b", None), ("d", None)];
        for (name, expected) in rows {
            assert_eq!(cookie(&headers, name), expected.map(str::as_bytes), "{name}");
        }
        let rows = [("a", Some("1")), ("b", Some("")), ("c", None), ("d", Some("%20"))];
        for (name, expected) in rows {
            assert_eq!(argument("A=1&b=&c&d=%20&a=2", name), expected.map(str::as_bytes), "{name}");
        }
    }
}
