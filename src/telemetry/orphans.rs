//! `orphan_ingress`: the Ingresses whose backends have no Service or no endpoint. Who scrapes pays for the samples.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex};

use prometheus::Result;
use prometheus::core::{Collector, Desc};
use prometheus::proto::{MetricFamily, MetricType};

use super::collect::family;
use super::controller::{Labels, Samples, gauges};
use super::identity::Identity;
use super::names::ORPHAN_INGRESS;
use super::requests::lock;

/// Why an Ingress cannot serve.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Orphan {
    NoService,
    NoEndpoint,
}

impl Orphan {
    const fn as_str(self) -> &'static str {
        match self {
            Orphan::NoService => "no-service",
            Orphan::NoEndpoint => "no-endpoint",
        }
    }
}

/// Of an Ingress (namespace, name): whether it is an orphan in this way.
pub type OrphanState = (Arc<str>, Arc<str>, Orphan, bool);

/// Tells them whenever somebody asks. An Ingress may be told several times: any orphaned backend makes it one.
pub type Orphans = Arc<dyn Fn() -> Vec<OrphanState> + Send + Sync>;

#[derive(Clone)]
pub(super) struct OrphanCollector {
    identity: Identity,
    desc: Desc,
    source: Arc<Mutex<Option<Orphans>>>,
}

impl fmt::Debug for OrphanCollector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OrphanCollector")
    }
}

impl OrphanCollector {
    pub fn new(identity: &Identity) -> Result<Self> {
        let desc = Desc::new(ORPHAN_INGRESS.name.into(), ORPHAN_INGRESS.help.into(), Vec::new(), HashMap::new())?;
        Ok(Self { identity: identity.clone(), desc, source: Arc::default() })
    }

    pub fn set(&self, orphans: Orphans) {
        *lock(&self.source) = Some(orphans);
    }

    fn samples(&self) -> Samples {
        let mut samples = Samples::new();
        let Some(orphans) = lock(&self.source).clone() else { return samples };
        for (namespace, ingress, orphan, holds) in orphans() {
            let own = [("namespace", &*namespace), ("ingress", &*ingress), ("type", orphan.as_str())];
            let labels = self.identity.labels(own).into_iter();
            let labels: Labels = labels.map(|pair| (pair.name().to_owned(), pair.value().to_owned())).collect();
            let value = samples.entry(labels).or_insert(0.0);
            *value = f64::max(*value, if holds { 1.0 } else { 0.0 });
        }
        samples
    }
}

impl Collector for OrphanCollector {
    fn desc(&self) -> Vec<&Desc> {
        vec![&self.desc]
    }

    fn collect(&self) -> Vec<MetricFamily> {
        vec![family(ORPHAN_INGRESS.name, ORPHAN_INGRESS.help, MetricType::GAUGE, gauges(&self.samples()))]
    }
}
