//! What the parts beside the loop (status, events, admission) know of the world: the newest, never all between.

use std::sync::Arc;

use crate::base::diagnostic::Diagnostic;
use crate::snapshot::Snapshot;

/// The objects as they are compiled now, and what there is to say of them.
#[derive(Clone, Debug, Default)]
pub struct World {
    /// Without EndpointSlices and Secrets, which are many, change often and are nobody's business here.
    pub snapshot: Arc<Snapshot>,
    pub diagnostics: Arc<[Diagnostic]>,
    /// A whole table has been in force since the start.
    pub is_known: bool,
}

/// A copy that is cheap enough for every change: it shares all objects.
pub fn view(snapshot: &Snapshot) -> Arc<Snapshot> {
    Arc::new(Snapshot {
        ingresses: snapshot.ingresses.clone(),
        ingress_classes: snapshot.ingress_classes.clone(),
        services: snapshot.services.clone(),
        endpoint_slices: Default::default(),
        secrets: Default::default(),
        config_maps: snapshot.config_maps.clone(),
        class_source: snapshot.class_source,
        namespaces: snapshot.namespaces.clone(),
        ingress_status: snapshot.ingress_status.clone(),
    })
}
