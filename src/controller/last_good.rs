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
        // How many of the known ones are still there; at nearly every change all of them are.
        let mut kept = (0, 0);
        for (key, ingress) in snapshot.ingresses.iter().filter(|(_, i)| is_owned(i, snapshot, options)) {
            let known = self.ingresses.get(key);
            kept.0 += usize::from(known.is_some());
            if known.is_some_and(|known| Arc::ptr_eq(known, ingress)) {
                continue;
            }
            let problems = admit::ingress(key, ingress, &options.annotations, memo);
            if problems.is_empty() {
                kept.0 += usize::from(self.ingresses.insert(key.clone(), Arc::clone(ingress)).is_none());
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
            let known = self.secrets.get(key);
            kept.1 += usize::from(known.is_some());
            if known.is_some_and(|known| Arc::ptr_eq(known, secret)) {
                continue;
            }
            let Some(problem) = admit::secret(key, secret, memo) else {
                kept.1 += usize::from(self.secrets.insert(key.clone(), Arc::clone(secret)).is_none());
                continue;
            };
            if let Some(good) = self.secrets.get(key) {
                diagnostics.push(problem);
                Arc::make_mut(&mut admitted).secrets.insert(key.clone(), Arc::clone(good));
            }
        }
        if self.ingresses.len() != kept.0 {
            // One that went to another class is gone (contract §1.5), however it comes back.
            let ours = |key: &ObjectKey| {
                snapshot.ingresses.get(key).is_some_and(|ingress| is_owned(ingress, snapshot, options))
            };
            self.ingresses.retain(|key, _| ours(key));
        }
        if self.secrets.len() != kept.1 {
            self.secrets.retain(|key, _| snapshot.secrets.contains_key(key));
        }
        admitted
    }
}

#[cfg(test)]
mod tests;
