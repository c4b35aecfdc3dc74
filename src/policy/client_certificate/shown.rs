//! What logs and upstreams are told of a client's certificate (contract §10).

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha1::{Digest as _, Sha1};
use x509_parser::prelude::{FromDer as _, X509Certificate};

use super::name;

/// A client's certificate in texts, all of them ASCII without control characters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shown {
    pub subject: String,
    pub issuer: String,
    /// Hex digits, upper-case.
    pub serial: String,
    /// SHA-1 of the DER, hex digits, lower-case.
    pub fingerprint: String,
    /// PEM, percent-encoded.
    pub escaped: String,
}

impl Shown {
    /// `None` for what is no certificate.
    pub fn of(der: &[u8]) -> Option<Self> {
        let (_, parsed) = X509Certificate::from_der(der).ok()?;
        let hex = |bytes: &[u8], upper: bool| {
            bytes.iter().fold(String::new(), |mut out, byte| {
                // Writing to a String cannot fail.
                let _ = if upper { write!(out, "{byte:02X}") } else { write!(out, "{byte:02x}") };
                out
            })
        };
        let serial = parsed.raw_serial();
        let serial = serial.strip_prefix(&[0]).filter(|rest| !rest.is_empty()).unwrap_or(serial);
        Some(Self {
            subject: name::text(parsed.subject()),
            issuer: name::text(parsed.issuer()),
            serial: hex(serial, true),
            fingerprint: hex(&Sha1::digest(der), false),
            escaped: escape(&pem(der)),
        })
    }
}

fn pem(der: &[u8]) -> String {
    const LINE: usize = 64;
    let mut out = "-----BEGIN CERTIFICATE-----\n".to_owned();
    let text = STANDARD.encode(der);
    for line in text.as_bytes().chunks(LINE) {
        out.extend(line.iter().map(|byte| char::from(*byte)));
        out.push('\n');
    }
    out.push_str("-----END CERTIFICATE-----\n");
    out
}

/// All but RFC 3986's unreserved characters, as nginx's `$ssl_client_escaped_cert` has it.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + text.len() / 8);
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            // Writing to a String cannot fail.
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts() {
        let mut params = rcgen::CertificateParams::new(Vec::new()).unwrap();
        params.serial_number = Some(rcgen::SerialNumber::from(vec![0xab, 0x01]));
        params.distinguished_name.push(rcgen::DnType::CommonName, "a");
        let certificate = params.self_signed(&rcgen::KeyPair::generate().unwrap()).unwrap();
        let shown = Shown::of(certificate.der()).unwrap();
        assert_eq!((shown.subject.as_str(), shown.serial.as_str()), ("CN=a", "AB01"));
        assert_eq!(shown.fingerprint.len(), 40);
        assert_eq!(pem(certificate.der()), certificate.pem().replace("\r\n", "\n"));
        assert!(shown.escaped.starts_with("-----BEGIN%20CERTIFICATE-----%0AMI"), "{}", shown.escaped);
        assert!(shown.escaped.ends_with("%0A-----END%20CERTIFICATE-----%0A"), "{}", shown.escaped);
        assert_eq!(Shown::of(b"x"), None);
    }
}
