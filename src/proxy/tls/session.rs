//! What is known of a TLS connection once its handshake is done.

use std::cell::{OnceCell, RefCell};
use std::sync::Arc;

use rustls::{HandshakeKind, ProtocolVersion, ServerConnection};
use rustls_pki_types::{CertificateDer, UnixTime};

use super::ask::ALGORITHMS;
use crate::base::hostname::Authority;
use crate::policy::client_certificate::shown::Shown;
use crate::policy::client_certificate::{ClientAuth, Verdict};
use crate::policy::server_tls::cipher;

#[derive(Debug)]
pub struct Session {
    /// The name the client asked for, lower-case; `None` for what is no host name, too.
    pub server_name: Option<String>,
    /// As OpenSSL calls them.
    pub protocol: &'static str,
    pub cipher: &'static str,
    pub reused: bool,
    /// Whether the client was asked for a certificate.
    pub asked: bool,
    chain: Vec<CertificateDer<'static>>,
    shown: OnceCell<Option<Shown>>,
    /// The last verdict, and for whom: nearly always there is but one.
    judged: RefCell<Option<(Arc<ClientAuth>, Verdict)>>,
}

impl Session {
    pub fn new(connection: &ServerConnection, asked: bool) -> Self {
        let chain = connection.peer_certificates().filter(|_| asked).unwrap_or_default();
        Self {
            server_name: connection.server_name().and_then(host_name),
            protocol: match connection.protocol_version() {
                Some(ProtocolVersion::TLSv1_3) => "TLSv1.3",
                _ => "TLSv1.2",
            },
            cipher: connection
                .negotiated_cipher_suite()
                .and_then(|suite| cipher::name(u16::from(suite.suite())))
                .unwrap_or_default(),
            reused: connection.handshake_kind() == Some(HandshakeKind::Resumed),
            asked,
            chain: chain.iter().map(|der| der.clone().into_owned()).collect(),
            shown: OnceCell::new(),
            judged: RefCell::new(None),
        }
    }

    /// What the connection's certificate is worth to a host. It is judged once, and again when the host's settings
    /// have changed since.
    pub fn verdict(&self, auth: &Arc<ClientAuth>) -> Verdict {
        if self.chain.is_empty() {
            return Verdict::Absent;
        }
        let mut judged = self.judged.borrow_mut();
        if let Some((known, verdict)) = &*judged
            && (Arc::ptr_eq(known, auth) || known == auth)
        {
            return *verdict;
        }
        let verified = auth.authorities.verify(&self.chain, auth.depth, UnixTime::now(), ALGORITHMS.all);
        let verdict = verified.map_or_else(Verdict::Failed, |()| Verdict::Verified);
        *judged = Some((Arc::clone(auth), verdict));
        verdict
    }

    /// The certificate in texts.
    pub fn shown(&self) -> Option<&Shown> {
        self.shown.get_or_init(|| Shown::of(self.chain.first()?)).as_ref()
    }
}

/// The server name of a handshake as hosts are looked up.
pub fn host_name(sent: &str) -> Option<String> {
    Authority::parse(sent).ok().map(|name| name.host.into_owned())
}
