//! What webpki does not ask of trust anchors and OpenSSL does: whether one may issue, how deep, and when.

use rustls_pki_types::{CertificateDer, TrustAnchor, UnixTime};
use webpki::anchor_from_trusted_cert;
use x509_parser::prelude::{X509Certificate, X509Version};

use super::{Failure, Times};

#[derive(Clone, Debug)]
pub struct Root {
    pub anchor: TrustAnchor<'static>,
    pub times: Times,
    /// Authorities below it, at most.
    longest: Option<u32>,
}

impl Root {
    /// `None`: it may not issue certificates.
    pub fn of(der: &CertificateDer<'_>, parsed: &X509Certificate<'_>) -> Result<Option<Self>, webpki::Error> {
        let Some(longest) = may_issue(parsed) else { return Ok(None) };
        let anchor = anchor_from_trusted_cert(der)?.to_owned();
        Ok(Some(Self { anchor, times: Times::of(parsed), longest }))
    }

    /// Whether it may end a path with so many authorities between.
    pub fn check(&self, between: usize, now: UnixTime) -> Result<(), Failure> {
        self.times.check(now)?;
        match self.longest {
            Some(longest) if between > longest as usize => Err(Failure::InvalidAuthority),
            _ => Ok(()),
        }
    }
}

/// OpenSSL's `X509_check_ca`: the basic constraints say so, or, where there are none, the version or the key's usage.
/// How many authorities may be below.
fn may_issue(parsed: &X509Certificate<'_>) -> Option<Option<u32>> {
    let usage = parsed.key_usage().ok()?;
    if usage.as_ref().is_some_and(|usage| !usage.value.key_cert_sign()) {
        return None;
    }
    match parsed.basic_constraints().ok()? {
        Some(constraints) => constraints.value.ca.then_some(constraints.value.path_len_constraint),
        None => (usage.is_some() || parsed.version() == X509Version::V1).then_some(None),
    }
}
