//! TLS Secrets to certificates (contract §12): chain and key are read, checked against each other, and their names listed.

use std::sync::{Arc, LazyLock};

use rustls::crypto::CryptoProvider;
use rustls::sign::CertifiedKey;
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, CertificateRevocationListDer, PrivateKeyDer};
use x509_parser::prelude::{FromDer as _, GeneralName, ParsedExtension, X509Certificate};

use crate::policy::client_certificate::verify::Authorities;
use crate::policy::upstream::PrivateKey;
use crate::snapshot::Secret;
use crate::table::Certificate;

/// The largest `tls.crt` or `ca.crt` that is read, in bytes. The API server's own limit for an object is 1.5 MiB.
const MAX_PEM: usize = 1 << 20;

static PROVIDER: LazyLock<CryptoProvider> = LazyLock::new(rustls::crypto::aws_lc_rs::default_provider);

/// Reads `tls.crt` and `tls.key`. Errors name the key at fault and never quote its content.
pub fn from_secret(secret: &Secret) -> Result<Certificate, String> {
    let chain = chain(secret, "tls.crt")?;
    let key = key(secret)?;
    let names_of = chain.first().cloned().ok_or("tls.crt holds no certificate")?;
    let certified = CertifiedKey::from_der(chain, key, &PROVIDER).map_err(|error| match error {
        rustls::Error::InconsistentKeys(_) => "tls.key does not belong to tls.crt".to_owned(),
        other => format!("tls.key cannot be used: {other}"),
    })?;
    let meta = &secret.metadata;
    from_key(certified, &names_of, Arc::from(format!("{}/{}", meta.namespace, meta.name)))
}

/// Lists what a leaf certificate says of itself.
pub fn from_key(key: CertifiedKey, leaf: &CertificateDer<'_>, secret: Arc<str>) -> Result<Certificate, String> {
    let (_, parsed) = X509Certificate::from_der(leaf).map_err(|e| format!("tls.crt cannot be read: {e}"))?;
    let (names, by_common_name) = names(&parsed);
    Ok(Certificate {
        key: Arc::new(key),
        secret,
        names,
        by_common_name,
        not_after: parsed.validity().not_after.timestamp(),
        serial: parsed.tbs_certificate.serial.to_string(),
    })
}

/// The DNS names a certificate covers; without any, the common name, and that it is that.
fn names(certificate: &X509Certificate<'_>) -> (Vec<String>, bool) {
    let mut names = Vec::new();
    for extension in certificate.extensions() {
        if let ParsedExtension::SubjectAlternativeName(san) = extension.parsed_extension() {
            names.extend(san.general_names.iter().filter_map(|name| match name {
                GeneralName::DNSName(dns) => Some(dns.to_ascii_lowercase()),
                _ => None,
            }));
        }
    }
    let by_common_name = names.is_empty();
    if by_common_name {
        let common = certificate.subject().iter_common_name().filter_map(|cn| cn.as_str().ok());
        names.extend(common.map(str::to_ascii_lowercase));
    }
    (names, by_common_name)
}

/// The certificates under one key of a Secret, in order. An absent key is an error.
pub fn chain(secret: &Secret, key: &str) -> Result<Vec<CertificateDer<'static>>, String> {
    let pem = value(secret, key)?;
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    let chain = chain.map_err(|e| format!("{key} is not PEM: {e}"))?;
    if chain.is_empty() { Err(format!("{key} holds no certificate")) } else { Ok(chain) }
}

/// Whom client certificates must come from: `ca.crt`, and `ca.crl` if it is there.
pub fn authorities(secret: &Secret) -> Result<Authorities, String> {
    let certificates = chain(secret, "ca.crt")?;
    let has_list = secret.data.get("ca.crl").is_some_and(|list| !list.is_empty());
    let revoked: Vec<_> = match has_list || secret.undecodable.iter().any(|k| k == "ca.crl") {
        true => CertificateRevocationListDer::pem_slice_iter(value(secret, "ca.crl")?)
            .collect::<Result<_, _>>()
            .map_err(|e| format!("ca.crl is not PEM: {e}"))?,
        false => Vec::new(),
    };
    if has_list && revoked.is_empty() {
        return Err("ca.crl holds no list".to_owned());
    }
    Authorities::new(certificates, revoked)
}

fn key(secret: &Secret) -> Result<PrivateKeyDer<'static>, String> {
    let pem = value(secret, "tls.key")?;
    PrivateKeyDer::from_pem_slice(pem).map_err(|_| {
        // Of PKCS #8 (`ENCRYPTED PRIVATE KEY`) as of RFC 1421 (`Proc-Type: 4,ENCRYPTED`).
        match pem.windows(b"ENCRYPTED".len()).any(|part| part == b"ENCRYPTED") {
            true => "tls.key is encrypted: the key must need no passphrase".to_owned(),
            false => "tls.key holds no PEM private key".to_owned(),
        }
    })
}

fn value<'a>(secret: &'a Secret, key: &str) -> Result<&'a [u8], String> {
    if secret.undecodable.iter().any(|k| k == key) {
        return Err(format!("{key} is not base64"));
    }
    match secret.data.get(key) {
        Some(bytes) if bytes.len() > MAX_PEM => Err(format!("{key} is larger than {MAX_PEM} bytes")),
        Some(bytes) => Ok(bytes),
        None => Err(format!("it has no {key}")),
    }
}

/// A chain (DER, leaf first) and its key.
pub type ClientIdentity = (Vec<Vec<u8>>, PrivateKey);

/// What TLS towards upstreams may take of a Secret, read once; what is not asked for may be wrong.
pub struct UpstreamSecret {
    /// `ca.crt` (DER); `None`: there is none.
    pub trusted: Option<Result<Arc<[Vec<u8>]>, String>>,
    pub client: Result<Option<Arc<ClientIdentity>>, String>,
}

impl UpstreamSecret {
    pub fn of(secret: &Secret) -> Self {
        let trusted = || chain(secret, "ca.crt").map(|chain| chain.iter().map(|der| der.to_vec()).collect());
        Self {
            trusted: secret.data.contains_key("ca.crt").then(trusted),
            client: client(secret).map(|client| client.map(Arc::new)),
        }
    }
}

/// Keys are secrets: it is shown what there is.
impl std::fmt::Debug for UpstreamSecret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let client = self.client.as_ref().map(Option::is_some);
        f.debug_struct("UpstreamSecret").field("client", &client).finish_non_exhaustive()
    }
}

/// Certificate chain and key to show to an upstream, or `None` when the Secret has neither.
fn client(secret: &Secret) -> Result<Option<ClientIdentity>, String> {
    if !secret.data.contains_key("tls.crt") && !secret.data.contains_key("tls.key") {
        return Ok(None);
    }
    let checked = from_secret(secret)?;
    let chain = checked.key.cert.iter().map(|der| der.to_vec()).collect();
    let key = match key(secret)? {
        PrivateKeyDer::Pkcs8(der) => PrivateKey::Pkcs8(der.secret_pkcs8_der().to_vec()),
        PrivateKeyDer::Pkcs1(der) => PrivateKey::Pkcs1(der.secret_pkcs1_der().to_vec()),
        PrivateKeyDer::Sec1(der) => PrivateKey::Sec1(der.secret_sec1_der().to_vec()),
        _ => return Err("tls.key has an unknown form".to_owned()),
    };
    Ok(Some((chain, key)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_that_cannot_be_used() {
        let rows = [
            ("", "tls.key holds no PEM private key"),
            (
                "-----BEGIN ENCRYPTED PRIVATE KEY-----\nMAA=\n-----END ENCRYPTED PRIVATE KEY-----\n",
                "tls.key is encrypted",
            ),
            (
                "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-256-CBC,00\n\nMAA=\n\
                 -----END RSA PRIVATE KEY-----\n",
                "tls.key is encrypted",
            ),
        ];
        for (pem, expected) in rows {
            let mut secret = Secret::default();
            secret.data.insert("tls.key".into(), pem.as_bytes().to_vec());
            let message = key(&secret).map(|_| ()).unwrap_err();
            assert!(message.starts_with(expected), "{pem}: {message}");
        }
    }
}
