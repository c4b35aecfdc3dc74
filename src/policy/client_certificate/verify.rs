//! A client's chain against the authorities of a host, as nginx with OpenSSL judges it, by webpki.
//!
//! Stricter in two points: webpki wants certificates of version 3 that are no authorities themselves, but for one that
//! is listed as an authority byte for byte.

use rustls_pki_types::{
    CertificateDer, CertificateRevocationListDer, SignatureVerificationAlgorithm, TrustAnchor, UnixTime,
};
use webpki::{
    CertRevocationList, EndEntityCert, Error, ExpirationPolicy, KeyUsage, OwnedCertRevocationList,
    RevocationCheckDepth, RevocationOptions, RevocationOptionsBuilder, UnknownStatusPolicy, VerifiedPath,
    anchor_from_trusted_cert,
};
use x509_parser::prelude::{FromDer as _, X509Certificate};

/// Whom a host's clients must be certified by: `ca.crt` and `ca.crl` of a Secret.
#[derive(Debug, Default)]
pub struct Authorities {
    /// As they were written, which decides whether two are equal.
    certificates: Vec<CertificateDer<'static>>,
    revoked: Vec<CertificateRevocationListDer<'static>>,
    /// Those that issued themselves: OpenSSL trusts no others.
    anchors: Vec<TrustAnchor<'static>>,
    /// The others, which help to build chains.
    between: Vec<CertificateDer<'static>>,
    lists: Vec<CertRevocationList<'static>>,
    subjects: Vec<Vec<u8>>,
}

impl PartialEq for Authorities {
    fn eq(&self, other: &Self) -> bool {
        self.certificates == other.certificates && self.revoked == other.revoked
    }
}

impl Eq for Authorities {}

impl std::hash::Hash for Authorities {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.subjects.hash(state);
    }
}

impl Authorities {
    /// Errors name the key of the Secret at fault.
    pub fn new(
        certificates: Vec<CertificateDer<'static>>,
        revoked: Vec<CertificateRevocationListDer<'static>>,
    ) -> Result<Self, String> {
        let mut this = Self { certificates, revoked, ..Self::default() };
        for der in &this.certificates {
            let (_, parsed) = X509Certificate::from_der(der).map_err(|e| format!("ca.crt cannot be read: {e}"))?;
            this.subjects.push(parsed.subject().as_raw().to_vec());
            if is_self_issued(&parsed) {
                let anchor = anchor_from_trusted_cert(der).map_err(|e| format!("ca.crt cannot be used: {e}"))?;
                this.anchors.push(anchor.to_owned());
            } else {
                this.between.push(der.clone());
            }
        }
        for der in &this.revoked {
            let list = OwnedCertRevocationList::from_der(der).map_err(|e| format!("ca.crl cannot be used: {e}"))?;
            this.lists.push(CertRevocationList::Owned(list));
        }
        Ok(this)
    }

    /// The subjects (DER) that clients are told to choose from.
    pub fn subjects(&self) -> &[Vec<u8>] {
        &self.subjects
    }

    /// Judges a chain, leaf first, with at most `depth` certificates between it and an authority.
    pub fn verify(
        &self,
        chain: &[CertificateDer<'_>],
        depth: u32,
        now: UnixTime,
        algorithms: &[&dyn SignatureVerificationAlgorithm],
    ) -> Result<(), Failure> {
        let (leaf, sent) = chain.split_first().ok_or(Failure::Malformed)?;
        if self.lists.is_empty() && self.is_listed(leaf) {
            return self_issued(leaf, now);
        }
        let between: Vec<CertificateDer<'_>> = sent.iter().chain(&self.between).cloned().collect();
        let parsed = EndEntityCert::try_from(leaf).map_err(|_| Failure::Malformed)?;
        let lists: Vec<&CertRevocationList<'_>> = self.lists.iter().collect();
        let short = |path: &VerifiedPath<'_>| {
            let fits = path.intermediate_certificates().count() <= depth as usize;
            if fits { Ok(()) } else { Err(Error::MaximumPathDepthExceeded) }
        };
        let usage = KeyUsage::client_auth();
        let revocation = revocation(&lists);
        parsed
            .verify_for_usage(algorithms, &self.anchors, &between, now, usage, revocation, Some(&short))
            .map(|_| ())
            .map_err(|error| failure(&error, chain, now))
    }

    fn is_listed(&self, leaf: &CertificateDer<'_>) -> bool {
        self.certificates.iter().any(|der| der.as_ref() == leaf.as_ref())
            && X509Certificate::from_der(leaf).is_ok_and(|(_, parsed)| is_self_issued(&parsed))
    }
}

/// With a list, each certificate of a chain must be on the good side of one that is still in force (`ssl_crl`).
fn revocation<'a>(lists: &'a [&'a CertRevocationList<'a>]) -> Option<RevocationOptions<'a>> {
    let builder = RevocationOptionsBuilder::new(lists).ok()?;
    let builder = builder.with_depth(RevocationCheckDepth::Chain).with_status_policy(UnknownStatusPolicy::Deny);
    Some(builder.with_expiration_policy(ExpirationPolicy::Enforce).build())
}

/// A certificate that is itself listed as an authority: its owner is trusted while it is valid, for what it is valid.
fn self_issued(leaf: &CertificateDer<'_>, now: UnixTime) -> Result<(), Failure> {
    let (_, parsed) = X509Certificate::from_der(leaf).map_err(|_| Failure::Malformed)?;
    validity(&parsed, now)?;
    let extended = parsed.extended_key_usage().map_err(|_| Failure::Malformed)?;
    let usage = parsed.key_usage().map_err(|_| Failure::Malformed)?;
    let fits = extended.is_none_or(|e| e.value.client_auth || e.value.any)
        && usage.is_none_or(|u| u.value.digital_signature() || u.value.key_agreement());
    if fits { Ok(()) } else { Err(Failure::Purpose) }
}

fn is_self_issued(certificate: &X509Certificate<'_>) -> bool {
    certificate.subject().as_raw() == certificate.issuer().as_raw()
}

fn validity(certificate: &X509Certificate<'_>, now: UnixTime) -> Result<(), Failure> {
    let now = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
    let validity = certificate.validity();
    if now < validity.not_before.timestamp() {
        return Err(Failure::NotYetValid);
    }
    if now > validity.not_after.timestamp() { Err(Failure::Expired) } else { Ok(()) }
}

/// Why a chain is not good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    Expired,
    NotYetValid,
    Revoked,
    /// No list says whether it is revoked.
    NoList,
    ListExpired,
    Purpose,
    TooLong,
    Signature,
    SelfSigned,
    SelfSignedInChain,
    /// Nobody who is known issued the last of several certificates.
    UnknownIssuer,
    /// Nobody who is known issued the one certificate.
    UnknownIssuerOfLeaf,
    InvalidAuthority,
    /// A certificate that cannot be read, or of another version than 3.
    Malformed,
    Other,
}

impl Failure {
    /// What OpenSSL calls it (`X509_verify_cert_error_string`).
    pub const fn reason(self) -> &'static str {
        match self {
            Self::Expired => "certificate has expired",
            Self::NotYetValid => "certificate is not yet valid",
            Self::Revoked => "certificate revoked",
            Self::NoList => "unable to get certificate CRL",
            Self::ListExpired => "CRL has expired",
            Self::Purpose => "unsuitable certificate purpose",
            Self::TooLong => "certificate chain too long",
            Self::Signature => "certificate signature failure",
            Self::SelfSigned => "self-signed certificate",
            Self::SelfSignedInChain => "self-signed certificate in certificate chain",
            Self::UnknownIssuer => "unable to get local issuer certificate",
            Self::UnknownIssuerOfLeaf => "unable to verify the first certificate",
            Self::InvalidAuthority => "invalid CA certificate",
            Self::Malformed => "certificate cannot be read",
            Self::Other => "unspecified certificate verification error",
        }
    }

    /// Whether only trust is missing, which `optional_no_ca` does not ask for.
    pub const fn is_untrusted(self) -> bool {
        matches!(self, Self::SelfSigned | Self::SelfSignedInChain | Self::UnknownIssuer | Self::UnknownIssuerOfLeaf)
    }
}

fn failure(error: &Error, chain: &[CertificateDer<'_>], now: UnixTime) -> Failure {
    match error {
        Error::CertExpired { .. } => Failure::Expired,
        Error::CertNotValidYet { .. } => Failure::NotYetValid,
        Error::CertRevoked => Failure::Revoked,
        Error::CrlExpired { .. } => Failure::ListExpired,
        Error::UnknownRevocationStatus => Failure::NoList,
        Error::RequiredEkuNotFoundContext(_) => Failure::Purpose,
        Error::MaximumPathDepthExceeded => Failure::TooLong,
        Error::InvalidSignatureForPublicKey => Failure::Signature,
        Error::EndEntityUsedAsCa | Error::PathLenConstraintViolated => Failure::InvalidAuthority,
        Error::UnknownIssuer | Error::CaUsedAsEndEntity => untrusted(chain, now),
        _ => Failure::Other,
    }
}

/// How a chain ends that leads to no authority. OpenSSL says the same of a chain whose times are wrong only as long as
/// those are right.
fn untrusted(chain: &[CertificateDer<'_>], now: UnixTime) -> Failure {
    let parsed: Option<Vec<X509Certificate<'_>>> =
        chain.iter().map(|der| X509Certificate::from_der(der).ok().map(|(_, parsed)| parsed)).collect();
    let Some((leaf, mut rest)) = parsed.as_deref().and_then(<[_]>::split_first).map(|(l, r)| (l, r.to_vec())) else {
        return Failure::Malformed;
    };
    let mut last = leaf.clone();
    let mut length = 1;
    loop {
        if let Err(failure) = validity(&last, now) {
            return failure;
        }
        if is_self_issued(&last) {
            return if length == 1 { Failure::SelfSigned } else { Failure::SelfSignedInChain };
        }
        let Some(next) = rest.iter().position(|c| c.subject().as_raw() == last.issuer().as_raw()) else { break };
        last = rest.swap_remove(next);
        length += 1;
    }
    if length == 1 { Failure::UnknownIssuerOfLeaf } else { Failure::UnknownIssuer }
}

#[cfg(test)]
mod tests;
