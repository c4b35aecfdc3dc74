//! Who asks, where a proxy in front of us is believed (contract §7.4, §10): what takes the place of the connection's own.

use std::net::SocketAddr;

use http::HeaderValue;

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
    /// The host that the client asked for, where it is not the request's own.
    pub host: Option<HeaderValue>,
}
