//! Where diagnostics are collected while compiling.

use std::sync::Arc;

use super::annotations::{AnnotationProblem, Effect};
use crate::base::diagnostic::{Diagnostic, ObjectRef, Reason, Severity};
use crate::snapshot::{Ingress, Meta};

#[derive(Debug, Default)]
pub struct Report {
    diagnostics: Vec<Diagnostic>,
}

impl Report {
    pub fn add(&mut self, diagnostic: Diagnostic) {
        self.diagnostics.push(diagnostic);
    }

    pub fn object(
        &mut self,
        severity: Severity,
        reason: Reason,
        kind: &'static str,
        meta: &Meta,
        key: Option<String>,
        message: impl Into<String>,
    ) {
        self.add(about(severity, reason, kind, meta, key, message.into()));
    }

    pub fn ingress(
        &mut self,
        severity: Severity,
        reason: Reason,
        ingress: &Ingress,
        key: Option<String>,
        message: impl Into<String>,
    ) {
        self.object(severity, reason, "Ingress", &ingress.metadata, key, message);
    }

    /// Sorted, without repetitions.
    pub fn into_sorted(mut self) -> Vec<Diagnostic> {
        self.diagnostics.sort();
        self.diagnostics.dedup();
        self.diagnostics
    }
}

pub fn about(
    severity: Severity,
    reason: Reason,
    kind: &'static str,
    meta: &Meta,
    key: Option<String>,
    message: String,
) -> Diagnostic {
    let object = ObjectRef { kind, namespace: Arc::clone(&meta.namespace), name: Arc::clone(&meta.name) };
    Diagnostic { severity, reason, object: Some(object), key, message, origin: meta.origin.clone() }
}

/// How a problem with one annotation is told.
pub fn annotation(ingress: &Ingress, problem: &AnnotationProblem) -> Diagnostic {
    let (severity, reason) = match problem.effect {
        Effect::Reject if problem.key.starts_with("spec.") => (Severity::Error, Reason::InvalidRule),
        Effect::Reject | Effect::Deny => (Severity::Error, Reason::AnnotationParsingFailed),
        Effect::Default => (Severity::Warning, Reason::AnnotationParsingFailed),
        Effect::Ignored | Effect::Unknown => (Severity::Warning, Reason::UnsupportedAnnotation),
    };
    let key = Some(problem.key.clone());
    about(severity, reason, "Ingress", &ingress.metadata, key, problem.message.clone())
}
