//! Asking clients for certificates without judging them: whoever shows one must hold its key, and that is all.
//!
//! A refusal must be an answer in HTTP, so the handshake takes any certificate; what it is worth is decided for each
//! request by `policy::client_certificate` against the authorities of the request's host.

use std::sync::LazyLock;

use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::{WebPkiSupportedAlgorithms, aws_lc_rs, verify_tls12_signature, verify_tls13_signature};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{DigitallySignedStruct, DistinguishedName, Error, SignatureScheme};
use rustls_pki_types::{CertificateDer, UnixTime};

/// How certificates and handshakes may be signed.
pub static ALGORITHMS: LazyLock<WebPkiSupportedAlgorithms> =
    LazyLock::new(|| aws_lc_rs::default_provider().signature_verification_algorithms);

#[derive(Debug)]
pub struct Ask {
    subjects: Vec<DistinguishedName>,
}

impl Ask {
    /// `subjects` (DER) are the authorities that clients are told to choose from.
    pub fn new(subjects: &[Vec<u8>]) -> Self {
        /// Bytes of subjects in one message; more could not be sent (RFC 8446 §4.2.4).
        const MOST: usize = 32 * 1024;
        let size: usize = subjects.iter().map(|subject| subject.len() + 2).sum();
        let subjects = if size <= MOST { subjects } else { &[] };
        Self { subjects: subjects.iter().map(|subject| subject.clone().into()).collect() }
    }
}

impl ClientCertVerifier for Ask {
    fn client_auth_mandatory(&self) -> bool {
        false
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &self.subjects
    }

    fn verify_client_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signed, &ALGORITHMS)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signed, &ALGORITHMS)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        ALGORITHMS.supported_schemes()
    }
}
