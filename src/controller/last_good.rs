//! Versions of objects that cannot be taken, held back: the last good version stays in service (contract §9 class A, §12).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::base::diagnostic::Diagnostic;
use crate::compile::ingress::is_owned;
use crate::compile::permissions::Permissions;
use crate::compile::{Memo, Options, admit};
use crate::snapshot::{Ingress, ObjectKey, Secret, Snapshot};

/// What was last taken of the objects that can be refused.
#[derive(Debug, Default)]
pub struct LastGood {
    ingresses: Versions<Ingress>,
    secrets: Versions<Secret>,
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
        memo.permit(Permissions::of(snapshot, options));
        let mut admitted = Arc::clone(snapshot);
        // One that went to another class is gone (contract §1.5), however it comes back.
        let ours = snapshot.ingresses.iter().filter(|(_, ingress)| is_owned(ingress, snapshot, options));
        for (key, good) in self.ingresses.refused(ours, |key, ingress| {
            let problems = admit::ingress(key, ingress, &options.annotations, memo);
            let is_good = problems.is_empty();
            diagnostics.extend(problems);
            is_good
        }) {
            let ingresses = &mut Arc::make_mut(&mut admitted).ingresses;
            match good {
                Some(good) => ingresses.insert(key, good),
                None => ingresses.remove(&key),
            };
        }
        let mut problems = BTreeMap::new();
        let refused = self.secrets.refused(snapshot.secrets.iter(), |key, secret| {
            let problem = admit::secret(key, secret, memo);
            let is_good = problem.is_none();
            problems.extend(problem.map(|problem| (key.clone(), problem)));
            is_good
        });
        // Without a good version compile has its own say: the Secret is nobody's certificate.
        for (key, good) in refused.into_iter().filter_map(|(key, good)| Some((key, good?))) {
            diagnostics.extend(problems.remove(&key));
            Arc::make_mut(&mut admitted).secrets.insert(key, good);
        }
        admitted
    }
}

/// The last good version of each object of a kind.
#[derive(Debug)]
struct Versions<T>(BTreeMap<ObjectKey, Arc<T>>);

impl<T> Default for Versions<T> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

impl<T> Versions<T> {
    /// The objects in a version that is not good, each with its last good one. `is_good` is asked about new versions only.
    fn refused<'a>(
        &mut self,
        objects: impl Iterator<Item = (&'a ObjectKey, &'a Arc<T>)> + Clone,
        mut is_good: impl FnMut(&ObjectKey, &Arc<T>) -> bool,
    ) -> Vec<(ObjectKey, Option<Arc<T>>)>
    where
        T: 'a,
    {
        let mut refused = Vec::new();
        // How many of the known ones are still there; at nearly every change all of them are.
        let mut kept = 0;
        for (key, object) in objects.clone() {
            let known = self.0.get(key);
            kept += usize::from(known.is_some());
            if known.is_some_and(|known| Arc::ptr_eq(known, object)) {
                continue;
            }
            if is_good(key, object) {
                kept += usize::from(self.0.insert(key.clone(), Arc::clone(object)).is_none());
            } else {
                refused.push((key.clone(), known.map(Arc::clone)));
            }
        }
        if self.0.len() != kept {
            let there: BTreeSet<&ObjectKey> = objects.map(|(key, _)| key).collect();
            self.0.retain(|key, _| there.contains(key));
        }
        refused
    }
}

#[cfg(test)]
mod tests;
