//! `proxy-ssl-verify`: whether an upstream's certificate leads to a trusted one, and is for the expected name.

use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::{CertificateError, DigitallySignedStruct, Error, SignatureScheme};
use rustls_pki_types::{CertificateDer, ServerName, TrustAnchor, UnixTime};
use webpki::{EndEntityCert, KeyUsage, VerifiedPath, anchor_from_trusted_cert};

use crate::policy::client_certificate::verify::is_in_time;

/// What webpki says, as far as it is told apart in logs.
fn told(error: webpki::Error) -> Error {
    Error::InvalidCertificate(match error {
        webpki::Error::UnknownIssuer => CertificateError::UnknownIssuer,
        webpki::Error::CertExpired { .. } => CertificateError::Expired,
        webpki::Error::CertNotValidYet { .. } => CertificateError::NotValidYet,
        webpki::Error::CertNotValidForName(_) => CertificateError::NotValidForName,
        webpki::Error::RequiredEkuNotFoundContext(_) => CertificateError::InvalidPurpose,
        _ => CertificateError::ApplicationVerificationFailure,
    })
}

#[derive(Debug)]
pub struct Trusting {
    listed: Vec<CertificateDer<'static>>,
    anchors: Vec<TrustAnchor<'static>>,
    depth: usize,
    provider: Arc<CryptoProvider>,
}

impl Trusting {
    /// Trusts certificates (DER), with at most `depth` others between one of them and an upstream's.
    pub fn new(trusted: &[Vec<u8>], depth: u32, provider: &Arc<CryptoProvider>) -> Result<Self, Error> {
        let listed: Vec<CertificateDer<'static>> = trusted.iter().map(|der| der.clone().into()).collect();
        let anchors = listed.iter().map(|der| anchor_from_trusted_cert(der).map(|anchor| anchor.to_owned()));
        let anchors = anchors.collect::<Result<_, _>>().map_err(told)?;
        Ok(Self { listed, anchors, depth: depth as usize, provider: Arc::clone(provider) })
    }
}

impl ServerCertVerifier for Trusting {
    fn verify_server_cert(
        &self,
        leaf: &CertificateDer<'_>,
        between: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        _: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let parsed = EndEntityCert::try_from(leaf).map_err(told)?;
        // One that is listed itself needs nobody's word, and may call itself an authority, as self-signed ones do.
        let is_listed = self.listed.iter().any(|der| der.as_ref() == leaf.as_ref()) && is_in_time(leaf, now);
        if !is_listed {
            let short = |path: &VerifiedPath<'_>| {
                let fits = path.intermediate_certificates().count() <= self.depth;
                if fits { Ok(()) } else { Err(webpki::Error::MaximumPathDepthExceeded) }
            };
            let algorithms = self.provider.signature_verification_algorithms.all;
            let usage = KeyUsage::server_auth();
            parsed
                .verify_for_usage(algorithms, &self.anchors, between, now, usage, None, Some(&short))
                .map_err(told)?;
        }
        parsed.verify_is_valid_for_subject_name(name).map_err(told)?;
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signed, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signed, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
