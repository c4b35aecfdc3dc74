//! `spec.tls` to certificates by host (contract §7.1, §12).

use std::collections::HashSet;
use std::sync::Arc;

use super::servers::{DEFAULT_SERVER, Servers};
use super::{Input, Owned};
use crate::base::diagnostic::{Reason, Severity};
use crate::compile::Memo;
use crate::compile::report::Report;
use crate::snapshot::{IngressTls, Meta, ObjectKey};
use crate::table::{Certificate, CertificateTable};

#[derive(Debug)]
pub struct Certificates {
    pub table: CertificateTable,
    /// Hosts of rules that have a TLS entry, whether or not it leads to a usable certificate.
    configured: HashSet<String>,
}

impl Certificates {
    /// Whether plain requests for a rule host are redirected by `ssl-redirect`.
    pub fn covers(&self, host: &str) -> bool {
        let wildcard = || host.split_once('.').is_some_and(|(_, rest)| self.configured.contains(&format!("*.{rest}")));
        host != DEFAULT_SERVER && (self.configured.contains(host) || wildcard())
    }
}

/// Chooses each host's certificate: the first Ingress of the host with a TLS section decides.
pub fn select(
    input: Input<'_>,
    owned: &[Owned],
    servers: &Servers<'_>,
    memo: &mut Memo,
    report: &mut Report,
) -> Certificates {
    let mut table = CertificateTable::default();
    table.default = default_certificate(input, memo, report);
    let mut configured = HashSet::new();
    for (host, server) in servers {
        let first = server.owners.iter().filter_map(|i| owned.get(*i)).find(|o| !o.ingress.spec.tls.is_empty());
        let (Some(item), true) = (first, host != DEFAULT_SERVER) else { continue };
        configured.insert(host.clone());
        let own = certificate_for(host, item, input, memo, report);
        if let Some(certificate) = own.or_else(|| table.default.clone()) {
            table.add(host, certificate);
        }
    }
    Certificates { table, configured }
}

/// `--default-ssl-certificate`, or the generated one.
fn default_certificate(input: Input<'_>, memo: &mut Memo, report: &mut Report) -> Option<Arc<Certificate>> {
    let generated = || input.options.fallback_certificate.clone();
    let Some(key) = &input.options.default_certificate else { return generated() };
    let reason = match input.snapshot.secrets.get(key) {
        Some(secret) => match memo.certificate(key, secret) {
            Ok(certificate) => return Some(certificate),
            Err(reason) => reason,
        },
        None => "it does not exist".to_owned(),
    };
    let message = format!("the default certificate cannot be used: {reason}; a generated one is shown instead");
    report.object(Severity::Error, Reason::BrokenCertificate, "Secret", &Meta::of(key), None, message);
    generated()
}

fn certificate_for(
    host: &str,
    item: &Owned,
    input: Input<'_>,
    memo: &mut Memo,
    report: &mut Report,
) -> Option<Arc<Certificate>> {
    let listed = item.ingress.spec.tls.iter().find(|tls| tls.hosts.iter().any(|h| h.eq_ignore_ascii_case(host)));
    // An entry that lists the host decides, even without a Secret; otherwise one whose certificate covers it.
    let tls = listed.or_else(|| item.ingress.spec.tls.iter().find(|tls| covering(tls, host, item, input, memo)))?;
    if tls.secret_name.is_empty() {
        return None;
    }
    let key = ObjectKey::new(item.key.namespace.clone(), tls.secret_name.as_str());
    let found = match input.snapshot.secrets.get(&key) {
        None => Err((Reason::MissingReference, "the Secret does not exist".to_owned())),
        Some(secret) => match memo.certificate(&key, secret) {
            Err(reason) => Err((Reason::BrokenCertificate, reason)),
            Ok(certificate) if !certificate.covers(host) => {
                Err((Reason::BrokenCertificate, format!("it does not cover the host {host}")))
            }
            Ok(certificate) => Ok(certificate),
        },
    };
    found
        .map_err(|(reason, why)| {
            let message = format!("Secret {key}: {why}; the default certificate is shown for {host}");
            report.ingress(Severity::Warning, reason, &item.ingress, Some("spec.tls".to_owned()), message);
        })
        .ok()
}

fn covering(tls: &IngressTls, host: &str, item: &Owned, input: Input<'_>, memo: &mut Memo) -> bool {
    let key = ObjectKey::new(item.key.namespace.clone(), tls.secret_name.as_str());
    let secret = input.snapshot.secrets.get(&key);
    let certificate = secret.and_then(|s| memo.certificate(&key, s).ok());
    certificate.is_some_and(|certificate| !certificate.by_common_name && certificate.covers(host))
}
