//! TLS towards clients: a handshake with what the table in force has for the name that is asked for.

mod ask;
mod cache;
pub mod configs;
pub mod session;
mod tickets;

use std::rc::Rc;
use std::sync::Arc;

use rustls::crypto::aws_lc_rs;
use rustls::server::Acceptor;
use rustls::sign::CertifiedKey;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio_rustls::LazyConfigAcceptor;
use tokio_rustls::server::TlsStream;

use self::session::{Session, host_name};
use super::connection::Spoken;
use super::respond;
use super::rewound::Rewound;
use super::timer::within;
use super::worker::Worker;
use crate::table::Certificate;

/// The handshake of a client; `None` when it fails or takes too long. Plain HTTP is told what it did wrong.
pub async fn accept(worker: &Rc<Worker>, stream: Rewound) -> Option<(Box<TlsStream<Rewound>>, Session, Spoken)> {
    let live = worker.live();
    let limit = live.table().global.header_timeout;
    within(&worker.timers, limit, async {
        // A TLS record never begins with an upper-case letter, every HTTP/1 request does.
        if stream.first().await.ok()?.is_some_and(|first| first.is_ascii_uppercase()) {
            refuse_plain(stream).await;
            return None;
        }
        let start = LazyConfigAcceptor::new(Acceptor::default(), stream).await.ok()?;
        let name = start.client_hello().server_name().and_then(host_name);
        let host = live.table().hosts.find(name.as_deref().unwrap_or_default());
        let global = &live.table().global.tls;
        if global.reject_unknown && live.table().hosts.is_default(name.as_deref().unwrap_or_default()) {
            refuse_name(start.io).await;
            return None;
        }
        let handshake = live.live().handshakes.of(host)?.clone();
        // What is handed on from future to future is better small: each has room for it more than once.
        let stream = Box::new(start.into_stream(handshake.config).await.ok()?);
        let connection = stream.get_ref().1;
        let spoken = if connection.alpn_protocol() == Some(b"h2") { Spoken::Http2 } else { Spoken::Http1 };
        let session = Session::new(connection, handshake.asks);
        Some((stream, session, spoken))
    })
    .await?
}

/// The alert `unrecognized_name` (RFC 6066 §3), before anything is encrypted.
async fn refuse_name(mut stream: Rewound) {
    const ALERT: [u8; 7] = [21, 3, 3, 0, 2, 2, 112];
    let _ = stream.write_all(&ALERT).await;
    let _ = stream.shutdown().await;
}

async fn refuse_plain(mut stream: Rewound) {
    let _ = stream.write_all(&respond::plain_on_tls()).await;
    let _ = stream.shutdown().await;
    // Reading what was sent lets the answer arrive before the connection is reset.
    let mut rest = [0; 4096];
    for _ in 0..16 {
        if !matches!(stream.read(&mut rest).await, Ok(n) if n > 0) {
            break;
        }
    }
}

/// A certificate for hosts that have none, with the names ingress-nginx gives its own (contract §12).
pub fn generate_certificate() -> Result<CertifiedKey, String> {
    let text = |error: rcgen::Error| error.to_string();
    let mut params = rcgen::CertificateParams::new(vec!["ingress.local".to_owned()]).map_err(text)?;
    let mut name = rcgen::DistinguishedName::new();
    name.push(rcgen::DnType::OrganizationName, "Acme Co");
    name.push(rcgen::DnType::CommonName, "Kubernetes Ingress Controller Fake Certificate");
    params.distinguished_name = name;
    let now = std::time::SystemTime::now();
    params.not_before = now.into();
    params.not_after = (now + std::time::Duration::from_secs(365 * 86_400)).into();
    let key = rcgen::KeyPair::generate().map_err(text)?;
    let certificate = params.self_signed(&key).map_err(text)?;
    let der = rustls_pki_types::PrivatePkcs8KeyDer::from(key.serialize_der());
    CertifiedKey::from_der(vec![certificate.der().clone()], der.into(), &aws_lc_rs::default_provider())
        .map_err(|error| error.to_string())
}

/// The generated certificate as the table holds it.
impl Certificate {
    pub fn generated(key: CertifiedKey) -> Self {
        Self {
            key: Arc::new(key),
            secret: Arc::from(""),
            names: vec!["ingress.local".to_owned()],
            by_common_name: false,
            not_after: 0,
            serial: String::new(),
        }
    }
}
