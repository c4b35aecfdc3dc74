//! Client certificates of version 1, which `openssl x509 -req` makes of requests without extensions and webpki does not
//! read: good when an authority of the list has signed them itself.

use rustls_pki_types::{CertificateDer, SignatureVerificationAlgorithm, SubjectPublicKeyInfoDer, UnixTime};
use webpki::RawPublicKeyEntity;
use x509_parser::prelude::{FromDer as _, X509Certificate, X509Version};

use super::root::Root;
use super::{Failure, Times};

/// The certificate, if it is one of version 1.
pub fn read<'c>(leaf: &'c CertificateDer<'_>) -> Option<X509Certificate<'c>> {
    let (rest, parsed) = X509Certificate::from_der(leaf).ok()?;
    (rest.is_empty() && parsed.version() == X509Version::V1 && parsed.extensions().is_empty()).then_some(parsed)
}

/// `listed`: the certificates of the list with their roots, for their keys.
pub fn verify(
    leaf: &X509Certificate<'_>,
    roots: &[(Vec<u8>, Root)],
    now: UnixTime,
    algorithms: &[&dyn SignatureVerificationAlgorithm],
) -> Result<(), Failure> {
    let mut issuers = roots.iter().filter(|(subject, _)| subject.as_slice() == leaf.issuer().as_raw()).peekable();
    if issuers.peek().is_none() {
        return Err(Failure::UnknownIssuerOfLeaf);
    }
    let signed = |root: &Root| {
        let key = spki(root);
        let key = SubjectPublicKeyInfoDer::from(key.as_slice());
        let Ok(key) = RawPublicKeyEntity::try_from(&key) else { return false };
        let (message, signature) = (leaf.tbs_certificate.as_ref(), leaf.signature_value.data.as_ref());
        // The authority's key decides which of them can hold; each of them is strong.
        algorithms.iter().any(|algorithm| key.verify_signature(*algorithm, message, signature).is_ok())
    };
    let (_, root) = issuers.find(|(_, root)| signed(root)).ok_or(Failure::Signature)?;
    Times::of(leaf).check(now)?;
    root.check(0, now)
}

/// A trust anchor has the inside of its SubjectPublicKeyInfo; this is the whole of it, in DER.
fn spki(root: &Root) -> Vec<u8> {
    let inside = root.anchor.subject_public_key_info.as_ref();
    let length = inside.len().to_be_bytes();
    let length = length.iter().copied().skip_while(|byte| *byte == 0);
    let mut der = vec![0x30];
    if inside.len() < 0x80 {
        der.extend(length);
    } else {
        let length: Vec<u8> = length.collect();
        der.push(0x80 | u8::try_from(length.len()).unwrap_or(0));
        der.extend(length);
    }
    der.extend_from_slice(inside);
    der
}
