//! Snapshot and options to a routing table: a pure function. No I/O, no clock, no randomness (invariant 2).
//!
//! It never fails as a whole: an object that cannot be used costs itself and leaves a diagnostic. What did not
//! change since the last call is taken from [`Memo`], which only ever saves time.

pub mod admit;
pub mod annotations;
pub mod certificate;
pub mod configmap;
pub mod endpoints;
pub mod ingress;
mod intern;
mod listening;
mod login;
mod memo;
pub mod options;
pub mod permissions;
pub mod refs;
mod regexes;
mod report;
mod settings;
pub mod snippet;
mod streams;

use std::collections::BTreeMap;

use crate::base::diagnostic::Diagnostic;
use crate::snapshot::Snapshot;
use crate::table::{RoutingTable, UpstreamKey};

pub use listening::{Listening, listening};
pub use memo::Memo;
pub use options::Options;

/// All that follows from a snapshot.
#[derive(Debug)]
pub struct Compiled {
    pub table: RoutingTable,
    /// The endpoints of every upstream of the table.
    pub endpoints: endpoints::Endpoints,
    /// How to find them again when only EndpointSlices changed.
    pub sources: BTreeMap<UpstreamKey, endpoints::Source>,
    /// Sorted, each once; what is wrong with endpoints is said beside them.
    pub diagnostics: Vec<Diagnostic>,
}

impl Compiled {
    /// What there is to say of objects and of endpoints: sorted, each once.
    pub fn all_diagnostics(&self) -> Vec<Diagnostic> {
        let mut all: Vec<Diagnostic> =
            self.diagnostics.iter().chain(self.endpoints.problems.values()).cloned().collect();
        all.sort();
        all.dedup();
        all
    }
}

/// Compiles everything. Equal input gives equal output, whatever `memo` remembers.
pub fn compile(snapshot: &Snapshot, options: &Options, memo: &mut Memo) -> Compiled {
    let mut report = report::Report::default();
    memo.permit(permissions::Permissions::of(snapshot, options));
    let settings = settings::resolve(snapshot, options, &mut report);
    let mut compiled = ingress::compile(ingress::Input { snapshot, options, settings: &settings }, memo, &mut report);
    streams::compile(snapshot, options, &mut compiled, &mut report);
    memo.forget_unused();
    let ingress::Output { table, endpoints, sources } = compiled;
    Compiled { table, endpoints, sources, diagnostics: report.into_sorted() }
}
