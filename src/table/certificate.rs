//! Certificates by server name.

use std::collections::HashMap;
use std::sync::Arc;

use rustls::sign::CertifiedKey;

/// A certificate that passed its checks: chain and key belong together and can be used by the TLS provider.
pub struct Certificate {
    pub key: Arc<CertifiedKey>,
    /// `namespace/name` of the Secret; empty for the generated one.
    pub secret: Arc<str>,
    /// DNS names it covers, lower-case; the common name when there are none among the subject alternative names.
    pub names: Vec<String>,
    /// The name is the common name, which counts only for hosts that a TLS entry lists.
    pub by_common_name: bool,
    /// Seconds since the Unix epoch.
    pub not_after: i64,
    /// Serial number, decimal.
    pub serial: String,
}

impl std::fmt::Debug for Certificate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Certificate").field("secret", &self.secret).field("names", &self.names).finish_non_exhaustive()
    }
}

impl Certificate {
    /// Whether one of its names is `host`, or a wildcard for exactly its first label (RFC 6125 §6.4.3).
    pub fn covers(&self, host: &str) -> bool {
        self.names.iter().any(|name| match name.strip_prefix("*.") {
            Some(suffix) => host.split_once('.').is_some_and(|(label, rest)| !label.is_empty() && rest == suffix),
            None => name == host,
        })
    }
}

type Map = HashMap<Box<str>, Arc<Certificate>, foldhash::fast::RandomState>;

/// SNI to certificate: exact host, one-level wildcard, the default certificate (contract §12).
#[derive(Debug, Default)]
pub struct CertificateTable {
    exact: Map,
    wildcard: Map,
    pub default: Option<Arc<Certificate>>,
}

impl CertificateTable {
    /// Adds the certificate of a rule host, lower-case. The first one stays.
    pub fn add(&mut self, host: &str, certificate: Arc<Certificate>) {
        match host.strip_prefix("*.") {
            Some(suffix) => self.wildcard.entry(suffix.into()).or_insert(certificate),
            None => self.exact.entry(host.into()).or_insert(certificate),
        };
    }

    /// The certificate of a rule host or alias itself, written as there.
    pub fn of_host(&self, host: &str) -> Option<&Arc<Certificate>> {
        match host.strip_prefix("*.") {
            Some(suffix) => self.wildcard.get(suffix),
            None => self.exact.get(host),
        }
    }

    pub fn find(&self, server_name: &str) -> Option<&Arc<Certificate>> {
        let wildcard = || server_name.split_once('.').and_then(|(_, suffix)| self.wildcard.get(suffix));
        self.exact.get(server_name).or_else(wildcard).or(self.default.as_ref())
    }

    /// Hosts and their certificates, sorted by host; wildcards with their `*.`.
    pub fn entries(&self) -> Vec<(String, &Arc<Certificate>)> {
        let wildcards = self.wildcard.iter().map(|(suffix, c)| (format!("*.{suffix}"), c));
        let mut all: Vec<_> = self.exact.iter().map(|(host, c)| (host.to_string(), c)).chain(wildcards).collect();
        all.sort_by(|a, b| a.0.cmp(&b.0));
        all
    }
}
