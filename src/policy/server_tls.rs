//! How TLS connections of clients are made: versions, ciphers, key exchange, resumption (contract §12).

use std::sync::Arc;
use std::time::Duration;

/// A cipher suite: OpenSSL's name, IANA's number, and whether it is one of TLS 1.3.
#[derive(Clone, Copy, Debug)]
pub struct Cipher {
    pub name: &'static str,
    pub number: u16,
    pub tls13: bool,
}

/// The suites there are, in the order we prefer: AES-128-GCM first, whose SHA-256 transcript has hardware help where
/// SHA-384 has none.
pub const CIPHERS: &[Cipher] = &[
    Cipher { name: "TLS_AES_128_GCM_SHA256", number: 0x1301, tls13: true },
    Cipher { name: "TLS_AES_256_GCM_SHA384", number: 0x1302, tls13: true },
    Cipher { name: "TLS_CHACHA20_POLY1305_SHA256", number: 0x1303, tls13: true },
    Cipher { name: "ECDHE-ECDSA-AES128-GCM-SHA256", number: 0xc02b, tls13: false },
    Cipher { name: "ECDHE-RSA-AES128-GCM-SHA256", number: 0xc02f, tls13: false },
    Cipher { name: "ECDHE-ECDSA-AES256-GCM-SHA384", number: 0xc02c, tls13: false },
    Cipher { name: "ECDHE-RSA-AES256-GCM-SHA384", number: 0xc030, tls13: false },
    Cipher { name: "ECDHE-ECDSA-CHACHA20-POLY1305", number: 0xcca9, tls13: false },
    Cipher { name: "ECDHE-RSA-CHACHA20-POLY1305", number: 0xcca8, tls13: false },
];

/// OpenSSL's name of a suite's number.
pub fn cipher_name(number: u16) -> Option<&'static str> {
    CIPHERS.iter().find(|cipher| cipher.number == number).map(|cipher| cipher.name)
}

/// What one host or the whole controller says of handshakes.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ServerTls {
    pub tls12: bool,
    pub tls13: bool,
    /// The suites of TLS 1.2, by number, the preferred first; those of TLS 1.3 are always all there.
    pub ciphers: Arc<[u16]>,
    /// Our order of ciphers goes before the client's.
    pub prefer_server: bool,
    /// Groups for the key exchange, by number, the preferred first; `None`: all there are.
    pub groups: Option<Arc<[u16]>>,
    pub sessions: Sessions,
}

/// How sessions are resumed.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Sessions {
    /// Bytes of sessions that are remembered; `None` remembers none.
    pub cache: Option<usize>,
    /// Sessions are given to clients, encrypted.
    pub tickets: bool,
    pub lifetime: Duration,
}

impl Default for ServerTls {
    fn default() -> Self {
        Self {
            tls12: true,
            tls13: true,
            ciphers: CIPHERS.iter().filter(|cipher| !cipher.tls13).map(|cipher| cipher.number).collect(),
            prefer_server: true,
            groups: None,
            sessions: Sessions { cache: Some(10 << 20), tickets: false, lifetime: Duration::from_secs(600) },
        }
    }
}
