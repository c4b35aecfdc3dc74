//! What is known about a request when it is over.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use crate::base::clock::ClockText;

/// The request line as it arrived.
#[derive(Clone, Copy, Debug)]
pub struct RequestLine<'a> {
    pub method: &'a http::Method,
    /// As sent, undecoded; of HTTP/2 the `:path`.
    pub target: &'a [u8],
    pub version: http::Version,
}

/// One try at an endpoint.
#[derive(Clone, Copy, Debug)]
pub struct Attempt {
    pub addr: SocketAddr,
    /// Body bytes received. `None` is written `0`, as nginx does for an attempt without a response.
    pub response_length: Option<u64>,
    pub response_time: Duration,
    /// `None` is written `-`. For an attempt that failed this is what nginx made of it: 502 or 504.
    pub status: Option<u16>,
}

/// A finished request. Texts are bytes as they arrived, escaped when written; `None` is an absent value, which nginx
/// writes `-` in plain lines and as an empty string in JSON, unlike a value that is there and empty.
#[derive(Clone, Copy, Debug)]
pub struct Record<'a> {
    /// The client's address, after the real-ip settings.
    pub remote_addr: IpAddr,
    pub remote_port: u16,
    /// The name of basic authentication.
    pub remote_user: Option<&'a [u8]>,
    /// The time at the end of the request.
    pub time: &'a ClockText,
    /// `None` when no request line could be read.
    pub request: Option<RequestLine<'a>>,
    /// The decoded and normalised path, before rewriting.
    pub uri: &'a [u8],
    /// What follows `?`.
    pub args: Option<&'a [u8]>,
    /// Lower case, without the port.
    pub host: &'a str,
    pub scheme: &'a str,
    pub status: u16,
    pub body_bytes_sent: u64,
    /// With the head.
    pub bytes_sent: u64,
    pub referer: Option<&'a [u8]>,
    pub user_agent: Option<&'a [u8]>,
    /// The client's X-Forwarded-For with its address added, `$proxy_add_x_forwarded_for`.
    pub x_forwarded_for: Option<&'a [u8]>,
    /// Request line, headers and body, in bytes.
    pub request_length: u64,
    pub request_time: Duration,
    /// `<namespace>-<service>-<port>`.
    pub upstream_name: Option<&'a str>,
    /// The canary's upstream, `Some("")` for a location without one.
    pub alternative_upstream_name: Option<&'a str>,
    /// In order; empty when no endpoint was asked.
    pub attempts: &'a [Attempt],
    pub req_id: &'a str,
    pub namespace: Option<&'a str>,
    pub ingress: Option<&'a str>,
    pub service: Option<&'a str>,
    pub service_port: Option<&'a str>,
    /// The rule's path.
    pub location_path: Option<&'a str>,
}
