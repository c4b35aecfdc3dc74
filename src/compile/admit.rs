//! Whether one version of an object can be taken, or its last good one stays (contract §9 class A, §12).

use std::sync::Arc;

use super::annotations::{Effect, ParseOptions};
use super::{Memo, report};
use crate::base::diagnostic::{Diagnostic, ObjectRef, Reason, Severity};
use crate::snapshot::{Ingress, ObjectKey, Secret};

/// The problems that keep this version of an Ingress out. Empty: it can be taken.
pub fn ingress(key: &ObjectKey, ingress: &Arc<Ingress>, options: &ParseOptions, memo: &mut Memo) -> Vec<Diagnostic> {
    let parsed = memo.annotations(key, ingress, options);
    let rejecting = parsed.problems.iter().filter(|p| p.effect == Effect::Reject);
    rejecting.map(|problem| report::annotation(ingress, problem)).collect()
}

/// Why a TLS Secret's certificate cannot be used, or `None`. Secrets without `tls.crt` have no certificate to check.
pub fn secret(key: &ObjectKey, secret: &Arc<Secret>, memo: &mut Memo) -> Option<Diagnostic> {
    let is_tls = secret.data.contains_key("tls.crt")
        || secret.secret_type == "kubernetes.io/tls"
        || secret.undecodable.iter().any(|k| k == "tls.crt");
    if !is_tls {
        return None;
    }
    let reason = memo.certificate(key, secret).err()?;
    let object = ObjectRef { kind: "Secret", namespace: key.namespace.clone(), name: key.name.clone() };
    Some(Diagnostic {
        severity: Severity::Error,
        reason: Reason::BrokenCertificate,
        object: Some(object),
        key: None,
        message: reason,
        origin: secret.metadata.origin.clone(),
    })
}
