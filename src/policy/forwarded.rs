//! Who asks, where a proxy in front of us is believed (contract §7.4, §10): what takes the place of the connection's own.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use http::header::{HeaderMap, HeaderName, HeaderValue};
use ipnet::{IpNet, Ipv4Net, Ipv6Net};

use super::headers::{X_FORWARDED_FOR, X_FORWARDED_HOST, X_FORWARDED_PORT, X_FORWARDED_PROTO, joined};
use crate::base::hostname::Authority;

/// Which proxies are believed, and what they say it with. The keys are the ConfigMap's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrustPolicy {
    /// `use-forwarded-headers`: address, scheme, host and port.
    pub forwarded_headers: bool,
    /// `enable-real-ip`: the address alone.
    pub real_ip: bool,
    /// `compute-full-forwarded-for`: `X-Forwarded-For` is added to, not replaced.
    pub full_forwarded_for: bool,
    pub forwarded_for: HeaderName,
    pub forwarded_host: HeaderName,
    /// Tells upstreams what the address was taken from where both a PROXY header and HTTP headers are believed.
    pub forwarded_for_proxy_protocol: HeaderName,
    /// `proxy-real-ip-cidr`: whose word counts.
    pub proxies: Arc<[IpNet]>,
    /// `use-proxy-protocol`: every connection begins with a PROXY header, or is closed.
    pub proxy_protocol: bool,
    /// The time that header has to come.
    pub proxy_header_timeout: Duration,
}

/// Everybody, as in ingress-nginx; there IPv6 is left out, by an oversight.
pub fn everybody() -> Arc<[IpNet]> {
    Arc::from([IpNet::V4(Ipv4Net::default()), IpNet::V6(Ipv6Net::default())])
}

impl Default for TrustPolicy {
    fn default() -> Self {
        Self {
            forwarded_headers: false,
            real_ip: false,
            full_forwarded_for: false,
            forwarded_for: X_FORWARDED_FOR,
            forwarded_host: X_FORWARDED_HOST,
            forwarded_for_proxy_protocol: HeaderName::from_static("x-forwarded-for-proxy-protocol"),
            proxies: everybody(),
            proxy_protocol: false,
            proxy_header_timeout: Duration::from_secs(5),
        }
    }
}

/// What was believed of one request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Forwarded {
    /// The client; port 0 where only its address is known.
    pub address: SocketAddr,
    /// The address without port.
    pub address_value: HeaderValue,
    /// The scheme that the client used, as the proxy in front spells it.
    pub scheme: Box<str>,
    /// The port that the client used, as upstreams are told.
    pub port: HeaderValue,
    /// The host that the client asked for, where it is not the request's own; blanks behind it are as they were sent.
    pub host: Option<HeaderValue>,
    /// `X-Forwarded-For` for upstreams, where it is not the address alone.
    pub chain: Option<HeaderValue>,
    /// What the address was taken from, where there were a PROXY header and HTTP headers; empty when neither had it.
    pub origin: Option<HeaderValue>,
}

/// Source and destination, as a PROXY header has them.
pub type Ends = (SocketAddr, SocketAddr);

/// A connection's own side of the story.
#[derive(Clone, Copy, Debug)]
pub struct Connection<'a> {
    pub peer: SocketAddr,
    pub scheme: &'static str,
    /// The port that upstreams are told.
    pub port: &'a HeaderValue,
    /// Source and destination of its PROXY header.
    pub proxied: Option<Ends>,
    /// The port of the TLS listeners, which upstreams know as 443.
    pub https_port: u16,
}

impl TrustPolicy {
    /// Whether a proxy's word counts.
    pub fn trusts(&self, ip: IpAddr) -> bool {
        self.proxies.iter().any(|network| network.contains(&ip))
    }

    /// What a PROXY header said, if its sender may speak for others: else nothing of it holds.
    pub fn heard(&self, peer: SocketAddr, proxied: Option<Ends>) -> Option<Ends> {
        proxied.filter(|_| self.trusts(peer.ip()))
    }

    /// The client of a connection as its PROXY header has it, if that is believed.
    pub fn source(&self, peer: SocketAddr, proxied: Option<Ends>) -> SocketAddr {
        self.heard(peer, proxied).map_or(peer, |(source, _)| source)
    }

    /// What is believed of a request; `None` when the connection speaks for itself. `headers` are as they were sent.
    pub fn believe(&self, connection: Connection<'_>, headers: &HeaderMap) -> Option<Box<Forwarded>> {
        if !self.forwarded_headers && !self.real_ip && connection.proxied.is_none() {
            return None;
        }
        let has_proxy_headers = self.proxy_protocol || connection.proxied.is_some();
        let connection = Connection { proxied: self.heard(connection.peer, connection.proxied), ..connection };
        let near = connection.proxied.map_or(connection.peer, |(source, _)| source);
        // With PROXY headers alone `enable-real-ip` adds nothing: they are where the address comes from.
        let reads_headers = self.forwarded_headers || (self.real_ip && !self.proxy_protocol);
        let address = if reads_headers { self.walk(near, headers) } else { near };
        // Behind PROXY headers whoever is not trusted with the address is trusted with nothing else. Without them the list
        // is about the address alone, as in ingress-nginx, or a load balancer that is not in it would be redirected to
        // https for ever.
        let believed = self.forwarded_headers && (!has_proxy_headers || self.trusts(near.ip()));
        let said = |name: &HeaderName| joined(headers, name).filter(|_| believed);
        let host = said(&self.forwarded_host).and_then(|value| first_host(&value));
        Some(Box::new(Forwarded {
            address,
            address_value: ip_value(address),
            scheme: scheme(connection, said(&X_FORWARDED_PROTO)),
            port: port(connection, said(&X_FORWARDED_PORT)),
            host,
            chain: self.chain(near, headers),
            origin: self.origin(near, headers),
        }))
    }

    /// From the nearest proxy towards the client for as long as whoever speaks is trusted (ngx_http_realip_module with
    /// `real_ip_recursive`): a name or a broken address ends it.
    fn walk(&self, near: SocketAddr, headers: &HeaderMap) -> SocketAddr {
        let mut address = near;
        for line in headers.get_all(&self.forwarded_for).iter().rev() {
            let items = line.as_bytes().rsplit(|b| matches!(b, b' ' | b',')).filter(|item| !item.is_empty());
            for item in items {
                let Some(before) = self.trusts(address.ip()).then(|| parse_address(item)).flatten() else {
                    return address;
                };
                address = before;
            }
        }
        address
    }

    fn chain(&self, near: SocketAddr, headers: &HeaderMap) -> Option<HeaderValue> {
        if !self.forwarded_headers || !self.full_forwarded_for {
            return None;
        }
        let near = ip_value(near);
        let Some(sent) = joined(headers, &X_FORWARDED_FOR).filter(|sent| !sent.is_empty()) else { return Some(near) };
        HeaderValue::from_bytes(&[sent.as_bytes(), b", ", near.as_bytes()].concat()).ok()
    }

    fn origin(&self, near: SocketAddr, headers: &HeaderMap) -> Option<HeaderValue> {
        (self.forwarded_headers && self.proxy_protocol).then(|| match self.trusts(near.ip()) {
            true => joined(headers, &self.forwarded_for).unwrap_or(HeaderValue::from_static("")),
            false => ip_value(near),
        })
    }
}

/// The PROXY header's word goes before the HTTP header's: its 443 is https whatever was said.
fn scheme(connection: Connection<'_>, said: Option<HeaderValue>) -> Box<str> {
    if connection.proxied.is_some_and(|(_, destination)| destination.port() == 443) {
        return "https".into();
    }
    said.as_ref().and_then(|value| value.to_str().ok()).unwrap_or(connection.scheme).into()
}

fn port(connection: Connection<'_>, said: Option<HeaderValue>) -> HeaderValue {
    let proxied = connection.proxied.map(|(_, destination)| HeaderValue::from(destination.port()));
    let port = said.or(proxied).unwrap_or_else(|| connection.port.clone());
    let is_own = port == HeaderValue::from(connection.https_port);
    if is_own { HeaderValue::from_static("443") } else { port }
}

/// The first item of a list of hosts, if it is one: what upstreams and redirects are told must be a host (ingress-nginx
/// takes any text).
fn first_host(value: &HeaderValue) -> Option<HeaderValue> {
    let first = value.to_str().ok()?.split(',').next()?;
    Authority::parse(first.trim()).ok()?;
    HeaderValue::from_str(first).ok()
}

/// An address, with a port or without: `1.2.3.4`, `1.2.3.4:5`, `2001:db8::1`, `[2001:db8::1]`, `[2001:db8::1]:5`.
fn parse_address(item: &[u8]) -> Option<SocketAddr> {
    let text = std::str::from_utf8(item).ok()?;
    let bare = |text: &str| text.parse::<IpAddr>().ok().map(|ip| SocketAddr::new(ip, 0));
    let bracketed = || text.strip_prefix('[')?.strip_suffix(']').and_then(bare).filter(SocketAddr::is_ipv6);
    let address = text.parse::<SocketAddr>().ok().or_else(|| bare(text)).or_else(bracketed)?;
    Some(SocketAddr::new(address.ip().to_canonical(), address.port()))
}

fn ip_value(address: SocketAddr) -> HeaderValue {
    HeaderValue::from_maybe_shared(address.ip().to_string()).unwrap_or(HeaderValue::from_static("-"))
}

#[cfg(test)]
#[path = "forwarded/tests.rs"]
mod tests;
