//! Files into one snapshot: which of two equal names wins, and what there is to say.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::base::diagnostic::{Diagnostic, ObjectRef, Origin, Reason, Severity};
use crate::snapshot::{Object, Snapshot};

use super::{Scan, Tracked};

/// Joins files in path order. Of an object that is there twice the first serves.
pub(super) fn assemble<'f>(files: impl Iterator<Item = &'f Tracked>, problems: Vec<Diagnostic>) -> Scan {
    let mut scan = Scan { diagnostics: problems, changed: true, ..Scan::default() };
    let mut snapshot = Snapshot::default();
    for file in files {
        scan.files += 1;
        scan.broken_files += usize::from(file.error.is_some());
        scan.diagnostics.extend(about(file));
        for object in &file.good.objects {
            let Some(first) = snapshot.insert(object.clone()) else { continue };
            scan.diagnostics.push(conflict(object, &first));
            snapshot.insert(first);
        }
    }
    scan.snapshot = Arc::new(snapshot);
    scan
}

/// What a file itself has to say: its error, and the kinds that are not read.
fn about(file: &Tracked) -> impl Iterator<Item = Diagnostic> {
    let origin = |line| Some(Arc::new(Origin { file: file.name.clone(), line }));
    let broken = file.error.as_ref().map(|error| Diagnostic {
        severity: Severity::Error,
        reason: Reason::BrokenFile,
        object: error.object.clone(),
        key: error.field.clone(),
        message: error.message.clone(),
        origin: origin(error.line),
    });
    let notes = file.good.ignored.iter().map(move |ignored| Diagnostic {
        severity: Severity::Note,
        reason: Reason::IgnoredKind,
        object: None,
        key: None,
        message: ignored.to_string(),
        origin: origin(ignored.line),
    });
    broken.into_iter().chain(notes)
}

fn conflict(second: &Object, first: &Object) -> Diagnostic {
    let place = |object: &Object| object.meta().origin.as_ref().map(Arc::to_string).unwrap_or_default();
    Diagnostic {
        severity: Severity::Warning,
        reason: Reason::Conflict,
        object: Some(second.reference()),
        key: None,
        message: format!("is in {} and in {}: the first one serves", place(first), place(second)),
        origin: second.meta().origin.clone(),
    }
}

/// Replaces each of `new` that equals the old one of its name by the old `Arc`.
pub(super) fn reuse(old: &[Object], new: &mut [Object]) {
    let by_name: BTreeMap<ObjectRef, &Object> = old.iter().map(|object| (object.reference(), object)).collect();
    for object in new {
        match by_name.get(&object.reference()) {
            Some(before) if **before == *object => *object = (*before).clone(),
            _ => {}
        }
    }
}
