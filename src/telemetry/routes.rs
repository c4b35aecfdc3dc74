//! The routes that have series: labels registered when a table is installed, known by a small number on the path.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

/// The labels that a route gives to every series of its requests. `path` is the rule's text, never the URL; `host` the
/// rule's host or its alias, never the request's, which keeps the number of series in the hands of who writes the objects.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RouteLabels {
    pub namespace: Arc<str>,
    pub ingress: Arc<str>,
    pub service: Arc<str>,
    pub path: Arc<str>,
    pub host: Arc<str>,
}

/// A route's place in the workers' tables. Places are used again after [`RequestMetrics::retain`]; the generation keeps
/// a request that still runs on an old table from counting for the place's new owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RouteMetricsId {
    pub(super) index: u32,
    pub(super) generation: u32,
}

/// Labels to ids, one to one.
#[derive(Debug, Default)]
pub(super) struct Routes {
    ids: HashMap<Arc<RouteLabels>, RouteMetricsId>,
    /// By index: the generation and, unless the place is free, its labels.
    places: Vec<(u32, Option<Arc<RouteLabels>>)>,
    free: Vec<u32>,
}

impl Routes {
    /// The id of these labels, a new one if they have none.
    pub fn add(&mut self, labels: Arc<RouteLabels>) -> RouteMetricsId {
        if let Some(id) = self.ids.get(&labels) {
            return *id;
        }
        let index = self.free.pop().unwrap_or_else(|| {
            self.places.push((0, None));
            u32::try_from(self.places.len() - 1).unwrap_or(u32::MAX)
        });
        let mut id = RouteMetricsId { index, generation: 0 };
        if let Some((generation, place)) = self.places.get_mut(index as usize) {
            *generation += 1;
            *place = Some(Arc::clone(&labels));
            id.generation = *generation;
        }
        self.ids.insert(labels, id);
        id
    }

    /// Frees the places of all ids but these.
    pub fn retain(&mut self, kept: &BTreeSet<RouteMetricsId>) {
        let Self { ids, places, free } = self;
        ids.retain(|_, id| {
            let keep = kept.contains(id);
            if !keep && let Some((_, place)) = places.get_mut(id.index as usize) {
                *place = None;
                free.push(id.index);
            }
            keep
        });
    }

    /// The labels of every id in use.
    pub fn labels(&self) -> HashMap<RouteMetricsId, Arc<RouteLabels>> {
        self.ids.iter().map(|(labels, id)| (*id, Arc::clone(labels))).collect()
    }
}
