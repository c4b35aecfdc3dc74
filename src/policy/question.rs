//! Whom the proxy asks on its own account: an upstream of the table that a URL of an annotation names.

use std::hash::Hash;

/// Where a question goes. The URL's host and port are an upstream of the table, so that pools and the swap of endpoints
/// are those of all upstreams.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Destination {
    /// Index of the upstream.
    pub upstream: u32,
    /// `https`: index of how TLS towards it is configured.
    pub tls: Option<u32>,
}
