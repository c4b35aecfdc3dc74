//! `portcullis validate`: the same compile, its diagnostics, an exit code.

use super::last_good::LastGood;
use crate::base::diagnostic::{Diagnostic, Severity};
use crate::compile::{Memo, Options};
use crate::source::{Scan, Update};

/// What compiling a directory, a file or standard input had to say.
#[derive(Debug)]
pub struct Report {
    /// Sorted, each once.
    pub diagnostics: Vec<Diagnostic>,
    pub ingresses: usize,
    pub hosts: usize,
    pub routes: usize,
}

impl Report {
    /// The diagnostics, one a line, and what there is.
    pub fn text(&self) -> String {
        let mut text: String = self.diagnostics.iter().map(|diagnostic| format!("{diagnostic}\n")).collect();
        let count = |severity| self.diagnostics.iter().filter(|d| d.severity == severity).count();
        text.push_str(&format!(
            "{} Ingresses, {} hosts, {} routes: {} errors, {} warnings\n",
            self.ingresses,
            self.hosts,
            self.routes,
            count(Severity::Error),
            count(Severity::Warning),
        ));
        text
    }

    /// 0: nothing to mend; 1: something is not served as written; 2: something is not served at all.
    pub fn exit_code(&self) -> u8 {
        match self.diagnostics.iter().map(|d| d.severity).max() {
            Some(Severity::Error) => 2,
            Some(Severity::Warning) => 1,
            Some(Severity::Note) | None => 0,
        }
    }
}

/// Compiles a scan as a fresh start of the proxy would.
pub fn validate(scan: Scan, options: &Options) -> Report {
    let update = Update::from(scan);
    let (compiled, mut diagnostics) = super::judge(&update, options, &mut Memo::default(), &mut LastGood::default());
    diagnostics.extend(compiled.endpoints.problems.into_values());
    diagnostics
        .sort_by(|a, b| (&a.origin, b.severity, &a.key, &a.message).cmp(&(&b.origin, a.severity, &b.key, &b.message)));
    diagnostics.dedup();
    Report {
        diagnostics,
        ingresses: update.snapshot.ingresses.len(),
        hosts: compiled.table.virtual_hosts.len(),
        routes: compiled.table.routes.len(),
    }
}
