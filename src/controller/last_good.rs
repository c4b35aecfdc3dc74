//! Versions of objects that cannot be taken, held back: the last good version stays in service (contract §9 class A, §12).

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::base::diagnostic::Diagnostic;
use crate::compile::ingress::is_owned;
use crate::compile::{Memo, Options, admit};
use crate::snapshot::{Ingress, ObjectKey, Secret, Snapshot};

/// What was last taken of the objects that can be refused.
#[derive(Debug, Default)]
pub struct LastGood {
    ingresses: BTreeMap<ObjectKey, Arc<Ingress>>,
    secrets: BTreeMap<ObjectKey, Arc<Secret>>,
}

impl LastGood {
    /// The snapshot with every refused version replaced by the last good one, or left out when there was none.
    pub fn admit(
        &mut self,
        snapshot: &Arc<Snapshot>,
        options: &Options,
        memo: &mut Memo,
        diagnostics: &mut Vec<Diagnostic>,
    ) -> Arc<Snapshot> {
        let mut admitted = Arc::clone(snapshot);
        for (key, ingress) in snapshot.ingresses.iter().filter(|(_, i)| is_owned(i, snapshot, options)) {
            let problems = admit::ingress(key, ingress, &options.annotations, memo);
            if problems.is_empty() {
                remember(&mut self.ingresses, key, ingress);
                continue;
            }
            diagnostics.extend(problems);
            let ingresses = &mut Arc::make_mut(&mut admitted).ingresses;
            match self.ingresses.get(key) {
                Some(good) => ingresses.insert(key.clone(), Arc::clone(good)),
                None => ingresses.remove(key),
            };
        }
        for (key, secret) in &snapshot.secrets {
            let Some(problem) = admit::secret(key, secret, memo) else {
                remember(&mut self.secrets, key, secret);
                continue;
            };
            if let Some(good) = self.secrets.get(key) {
                diagnostics.push(problem);
                Arc::make_mut(&mut admitted).secrets.insert(key.clone(), Arc::clone(good));
            }
        }
        // One that went to another class is gone (contract §1.5), however it comes back.
        let ours =
            |key: &ObjectKey| snapshot.ingresses.get(key).is_some_and(|ingress| is_owned(ingress, snapshot, options));
        self.ingresses.retain(|key, _| ours(key));
        self.secrets.retain(|key, _| snapshot.secrets.contains_key(key));
        admitted
    }
}

fn remember<T>(versions: &mut BTreeMap<ObjectKey, Arc<T>>, key: &ObjectKey, version: &Arc<T>) {
    match versions.get_mut(key) {
        // Almost all of them, at every change.
        Some(known) if Arc::ptr_eq(known, version) => {}
        Some(known) => *known = Arc::clone(version),
        None => drop(versions.insert(key.clone(), Arc::clone(version))),
    }
}

#[cfg(test)]
mod tests;
