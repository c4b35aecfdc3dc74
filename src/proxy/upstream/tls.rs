//! TLS towards upstreams, built once for each distinct `proxy-ssl-*` setting.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use rustls::client::Resumption;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs, verify_tls12_signature, verify_tls13_signature};
use rustls::{ClientConfig, DigitallySignedStruct, SignatureScheme};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use tokio_rustls::TlsConnector;

use super::trusting::Trusting;
use crate::policy::upstream::{PrivateKey, UpstreamTls};
use crate::proxy::tls::configs::limit;

/// What nginx verifies against when `proxy-ssl-name` does not say: the name of its one upstream block, which no
/// certificate has.
const NO_NAME: &str = "upstream-balancer.invalid";

/// A connector with an identity: pooled connections are only shared within one (hardening 1c).
pub struct ClientTls {
    pub id: u64,
    /// `None`: the settings lead to nothing that can connect; every attempt fails.
    pub connector: Option<TlsConnector>,
    pub name: ServerName<'static>,
}

impl std::fmt::Debug for ClientTls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ClientTls").field("id", &self.id).field("name", &self.name).finish_non_exhaustive()
    }
}

impl ClientTls {
    pub fn new(settings: &UpstreamTls) -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        let text = settings.name.as_deref().unwrap_or(NO_NAME).to_owned();
        let no_name = || ServerName::try_from(NO_NAME).map_err(|_| ()).ok();
        let name = ServerName::try_from(text).ok().or_else(no_name);
        let connector = config(settings).map(|config| TlsConnector::from(Arc::new(config)));
        if let Err(error) = &connector {
            tracing::error!(%error, "TLS towards an upstream cannot be set up: its requests answer 502");
        }
        let fallback = ServerName::IpAddress(std::net::Ipv4Addr::UNSPECIFIED.into());
        Self {
            id: NEXT.fetch_add(1, Ordering::Relaxed),
            connector: connector.ok().filter(|_| name.is_some()),
            name: name.unwrap_or(fallback),
        }
    }
}

fn config(settings: &UpstreamTls) -> Result<ClientConfig, rustls::Error> {
    let mut provider = aws_lc_rs::default_provider();
    if let Some(ciphers) = &settings.ciphers {
        limit(&mut provider, ciphers);
    }
    let provider = Arc::new(provider);
    let mut versions: Vec<&'static rustls::SupportedProtocolVersion> = Vec::new();
    if settings.tls13 {
        versions.push(&rustls::version::TLS13);
    }
    if settings.tls12 {
        versions.push(&rustls::version::TLS12);
    }
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider)).with_protocol_versions(&versions)?;
    let verifier = verifier(settings, &provider)?;
    let builder = builder.dangerous().with_custom_certificate_verifier(verifier);
    let mut config = match &settings.client {
        Some(client) => {
            let chain = client.0.iter().map(|der| CertificateDer::from(der.clone())).collect();
            builder.with_client_auth_cert(chain, key(&client.1))?
        }
        None => builder.with_no_client_auth(),
    };
    config.enable_sni = settings.send_name && settings.name.is_some();
    config.resumption = Resumption::in_memory_sessions(256);
    if settings.http2 {
        config.alpn_protocols = vec![b"h2".to_vec()];
    }
    Ok(config)
}

fn key(key: &PrivateKey) -> PrivateKeyDer<'static> {
    match key {
        PrivateKey::Pkcs8(der) => PrivateKeyDer::Pkcs8(der.clone().into()),
        PrivateKey::Pkcs1(der) => PrivateKeyDer::Pkcs1(der.clone().into()),
        PrivateKey::Sec1(der) => PrivateKeyDer::Sec1(der.clone().into()),
    }
}

fn verifier(
    settings: &UpstreamTls,
    provider: &Arc<CryptoProvider>,
) -> Result<Arc<dyn ServerCertVerifier>, rustls::Error> {
    let Some(trusted) = &settings.verify else { return Ok(Arc::new(TakeAny(Arc::clone(provider)))) };
    Ok(Arc::new(Trusting::new(trusted, settings.depth, provider)?))
}

/// `proxy-ssl-verify: off`: any certificate, as long as its owner proves the key.
#[derive(Debug)]
struct TakeAny(Arc<CryptoProvider>);

impl ServerCertVerifier for TakeAny {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signed, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signed, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ciphers_and_versions() {
        let of = |ciphers: Option<&[u16]>, tls12, tls13| {
            let settings = UpstreamTls { ciphers: ciphers.map(Into::into), tls12, tls13, ..UpstreamTls::default() };
            let config = config(&settings).unwrap();
            config.crypto_provider().cipher_suites.iter().map(|s| u16::from(s.suite())).collect::<Vec<_>>()
        };
        assert_eq!(of(Some(&[0xc030, 0xc02f]), true, true), [0x1301, 0x1302, 0x1303, 0xc030, 0xc02f]);
        assert_eq!(of(None, true, false).len(), 9);
    }
}
