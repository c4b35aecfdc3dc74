//! TCP and UDP services: ports of their own that lead to an upstream, whatever their bytes say (contract §18).

use std::fmt;

use super::Index;

/// What a port carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Protocol {
    Tcp,
    Udp,
}

impl Protocol {
    /// As Kubernetes and nginx write it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Tcp => "TCP",
            Self::Udp => "UDP",
        }
    }

    /// As upstreams' names and ports have it.
    pub const fn lower(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
        }
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A port to open while its upstream has endpoints.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct StreamListener {
    pub protocol: Protocol,
    pub port: u16,
    pub upstream: Index,
    /// Every connection begins with a PROXY header, version 1 or 2. TCP only.
    pub accept_proxy: bool,
    /// The endpoint is sent a PROXY header of version 1 first. TCP only.
    pub send_proxy: bool,
}
