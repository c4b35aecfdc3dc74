//! How TLS connections of clients are made: versions, ciphers, key exchange, resumption (contract §12).

pub mod cipher;

use std::sync::Arc;
use std::time::Duration;

/// What holds for all handshakes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TlsPolicy {
    /// Of hosts that have none of their own.
    pub common: ServerTls,
    /// A handshake for a name that is nobody's, or for none, is refused.
    pub reject_unknown: bool,
}

/// What a host's handshakes are made with.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ServerTls {
    /// At least one of the two.
    pub tls12: bool,
    pub tls13: bool,
    /// The suites of TLS 1.2, by number, the preferred first; those of TLS 1.3 are always all there.
    pub ciphers: Arc<[u16]>,
    /// Our order of ciphers goes before the client's.
    pub prefer_server: bool,
    /// Groups for the key exchange, by IANA's number, the preferred first; `None`: all that are usual.
    pub groups: Option<Arc<[u16]>>,
    pub sessions: Sessions,
}

/// How sessions are resumed.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Sessions {
    /// Bytes of sessions that are remembered; `None` remembers none.
    pub cache: Option<usize>,
    pub tickets: Option<Tickets>,
    pub lifetime: Duration,
}

/// Sessions that clients keep, encrypted.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Tickets {
    /// With a key of this process, renewed again and again.
    Own,
    /// With a key that several replicas have.
    Shared(TicketKey),
}

/// A secret of 48 or 80 bytes; it never reaches a log.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct TicketKey(pub Arc<[u8]>);

impl std::fmt::Debug for TicketKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("TicketKey")
    }
}

impl Default for ServerTls {
    fn default() -> Self {
        Self {
            tls12: true,
            tls13: true,
            ciphers: cipher::all().collect(),
            prefer_server: true,
            groups: None,
            sessions: Sessions { cache: Some(10 << 20), tickets: None, lifetime: Duration::from_secs(600) },
        }
    }
}
