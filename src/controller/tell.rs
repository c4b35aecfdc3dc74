//! Diagnostics to the log: each one when it appears, once, and a word when it is gone.

use std::collections::BTreeSet;

use crate::base::diagnostic::{Diagnostic, Severity};

#[derive(Debug, Default)]
pub struct Told {
    known: BTreeSet<Diagnostic>,
}

impl Told {
    pub fn tell(&mut self, diagnostics: &[Diagnostic]) {
        let now: BTreeSet<Diagnostic> = diagnostics.iter().cloned().collect();
        for new in now.difference(&self.known) {
            match new.severity {
                Severity::Note => tracing::info!("{new}"),
                Severity::Warning => tracing::warn!("{new}"),
                Severity::Error => tracing::error!("{new}"),
            }
        }
        for gone in self.known.difference(&now).filter(|d| d.severity == Severity::Error) {
            tracing::info!("mended: {gone}");
        }
        self.known = now;
    }
}
