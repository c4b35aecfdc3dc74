//! Asking clients for certificates without judging them: whoever shows one must hold its key, and that is all.
//!
//! A refusal must be an answer in HTTP, so the handshake takes any certificate; what it is worth is decided for each
//! request by `policy::client_certificate` against the authorities of the request's host.

use std::sync::LazyLock;

use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::{
    WebPkiSupportedAlgorithms, aws_lc_rs, verify_tls12_signature, verify_tls13_signature,
    verify_tls13_signature_with_raw_key,
};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{CertificateError, DigitallySignedStruct, DistinguishedName, Error, SignatureScheme};
use rustls_pki_types::{CertificateDer, SubjectPublicKeyInfoDer, UnixTime};
use webpki::{EndEntityCert, RawPublicKeyEntity};
use x509_parser::prelude::{FromDer as _, X509Certificate};

/// How certificates and handshakes may be signed.
pub static ALGORITHMS: LazyLock<WebPkiSupportedAlgorithms> =
    LazyLock::new(|| aws_lc_rs::default_provider().signature_verification_algorithms);

const BAD: Error = Error::InvalidCertificate(CertificateError::BadSignature);

/// The key of a certificate that webpki does not read, as those of version 1: its owner has proved it all the same.
fn unread<'c>(certificate: &'c CertificateDer<'_>) -> Option<SubjectPublicKeyInfoDer<'c>> {
    if EndEntityCert::try_from(certificate).is_ok() {
        return None;
    }
    let (_, parsed) = X509Certificate::from_der(certificate).ok()?;
    let key = parsed.tbs_certificate.subject_pki.raw;
    Some(SubjectPublicKeyInfoDer::from(key))
}

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
        verify_tls12_signature(message, certificate, signed, &ALGORITHMS).or_else(|error| {
            let key = unread(certificate).ok_or(error)?;
            let known = ALGORITHMS.mapping.iter().filter(|(scheme, _)| *scheme == signed.scheme);
            let mut algorithms = known.flat_map(|(_, algorithms)| algorithms.iter());
            let entity = RawPublicKeyEntity::try_from(&key).map_err(|_| BAD)?;
            let holds = algorithms.any(|a| entity.verify_signature(*a, message, signed.signature()).is_ok());
            if holds { Ok(HandshakeSignatureValid::assertion()) } else { Err(BAD) }
        })
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signed, &ALGORITHMS).or_else(|error| {
            let key = unread(certificate).ok_or(error)?;
            verify_tls13_signature_with_raw_key(message, &key, signed, &ALGORITHMS)
        })
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        ALGORITHMS.supported_schemes()
    }
}
