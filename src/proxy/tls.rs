//! TLS towards clients: the certificate of the table in force, for each handshake.

use std::rc::Rc;
use std::sync::Arc;

use arc_swap::ArcSwap;
use rustls::ServerConfig;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::connection::Spoken;
use super::live::Live;
use super::respond;
use super::rewound::Rewound;
use super::timer::within;
use super::worker::Worker;
use crate::base::hostname::Authority;
use crate::table::Certificate;

/// The provider with its suites in the order we prefer: AES-128-GCM first, whose SHA-256 transcript has hardware help
/// where SHA-384 has none.
fn provider() -> CryptoProvider {
    let mut provider = aws_lc_rs::default_provider();
    provider.cipher_suites.sort_by_key(|suite| {
        use rustls::CipherSuite::{
            TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256 as E128, TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256 as R128,
        };
        let first = [rustls::CipherSuite::TLS13_AES_128_GCM_SHA256, E128, R128];
        !first.contains(&suite.suite())
    });
    provider
}

#[derive(Debug)]
struct Resolver {
    live: Arc<ArcSwap<Live>>,
}

impl ResolvesServerCert for Resolver {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let live = self.live.load();
        let certificates = &live.table.certificates;
        let named = hello.server_name().and_then(|name| Authority::parse(name).ok());
        let certificate = match &named {
            Some(name) => certificates.find(&name.host),
            None => certificates.default.as_ref(),
        };
        certificate.map(|c| Arc::clone(&c.key))
    }
}

/// Accepts TLS connections, with one set of ticket keys for all listeners and workers.
#[derive(Clone)]
pub struct Acceptor {
    http2: TlsAcceptor,
    http1: TlsAcceptor,
}

impl std::fmt::Debug for Acceptor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Acceptor")
    }
}

impl Acceptor {
    pub fn new(live: &Arc<ArcSwap<Live>>) -> Self {
        let ticketer = aws_lc_rs::Ticketer::new();
        if let Err(error) = &ticketer {
            tracing::warn!(%error, "no session tickets");
        }
        let config = |protocols: &[&[u8]]| {
            let builder = ServerConfig::builder_with_provider(Arc::new(provider()))
                .with_safe_default_protocol_versions()
                .map(|b| b.with_no_client_auth().with_cert_resolver(Arc::new(Resolver { live: Arc::clone(live) })));
            // The provider has suites for both versions, so this cannot fail.
            let mut config = match builder {
                Ok(config) => config,
                Err(error) => unreachable!("the TLS provider supports TLS 1.2 and 1.3: {error}"),
            };
            config.alpn_protocols = protocols.iter().map(|p| p.to_vec()).collect();
            config.ignore_client_order = true;
            if let Ok(ticketer) = &ticketer {
                config.ticketer = Arc::clone(ticketer);
            }
            TlsAcceptor::from(Arc::new(config))
        };
        Self { http2: config(&[b"h2", b"http/1.1"]), http1: config(&[b"http/1.1"]) }
    }

    /// The handshake; `None` when it fails or takes too long. Plain HTTP is told what it did wrong.
    pub async fn accept(&self, worker: &Rc<Worker>, stream: Rewound) -> Option<(TlsStream<Rewound>, Spoken)> {
        let (http2, limit) = {
            let live = worker.live();
            (live.table().global.http2, live.table().global.header_timeout)
        };
        let acceptor = if http2 { &self.http2 } else { &self.http1 };
        within(&worker.timers, limit, async {
            // A TLS record never begins with an upper-case letter, every HTTP/1 request does.
            if stream.first().await.ok()?.is_some_and(|first| first.is_ascii_uppercase()) {
                refuse_plain(stream).await;
                return None;
            }
            let stream = acceptor.accept(stream).await.ok()?;
            let spoken = if stream.get_ref().1.alpn_protocol() == Some(b"h2") { Spoken::Http2 } else { Spoken::Http1 };
            Some((stream, spoken))
        })
        .await?
    }
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
            not_after: 0,
            serial: String::new(),
        }
    }
}
