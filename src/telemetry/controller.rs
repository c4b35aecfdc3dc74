//! The controller's families: what configuration runs, since when, with which certificates and which problems.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use prometheus::core::{Collector, Desc};
use prometheus::proto::{LabelPair, Metric, MetricFamily, MetricType};
use prometheus::{
    Gauge, GaugeVec, Histogram, HistogramOpts, IntCounter, IntGauge, IntGaugeVec, Opts, Registry, Result,
};

use super::certificates::CertificateCollector;
pub use super::certificates::{CertificateLabels, Certificates};
use super::collect::{family, gauge};
use super::identity::Identity;
use super::names::{self, Family};
use super::orphans::OrphanCollector;
pub use super::orphans::{Orphan, OrphanState, Orphans};
use super::requests::lock;
use crate::base::diagnostic::{Diagnostic, Reason, Severity};

/// The controller's numbers; every setter may be called from any thread.
#[derive(Debug)]
pub struct ControllerMetrics {
    identity: Identity,
    config_hash: Gauge,
    config_successful: IntGauge,
    config_timestamp: Gauge,
    success: IntCounter,
    leader: IntGaugeVec,
    build_info: GaugeVec,
    files_broken: IntGauge,
    config_apply: Histogram,
    endpoints_swaps: IntCounter,
    access_log_dropped: IntCounter,
    mirrors_dropped: IntCounter,
    certificates: CertificateCollector,
    orphans: OrphanCollector,
    diagnostics: Exchanged,
}

impl ControllerMetrics {
    /// Registers the families. Errors if one of their names is taken.
    pub(super) fn new(identity: &Identity, registry: &Registry) -> Result<Self> {
        let opts = |of: Family| Opts::new(of.name, of.help).const_labels(identity.label_map());
        let counter = |of| register(registry, IntCounter::with_opts(opts(of))?);
        let gauge = |of| register(registry, Gauge::with_opts(opts(of))?);
        let int_gauge = |of| register(registry, IntGauge::with_opts(opts(of))?);
        let apply = HistogramOpts::from(opts(names::CONFIG_APPLY)).buckets(names::APPLY_BUCKETS.to_vec());
        let exchanged = |of, labels| register(registry, Exchanged::new(of, labels)?);
        Ok(Self {
            identity: identity.clone(),
            config_hash: gauge(names::CONFIG_HASH)?,
            config_successful: int_gauge(names::CONFIG_SUCCESSFUL)?,
            config_timestamp: gauge(names::CONFIG_SUCCESSFUL_TIMESTAMP)?,
            success: counter(names::SUCCESS)?,
            leader: register(registry, IntGaugeVec::new(opts(names::LEADER_ELECTION), &["name"])?)?,
            build_info: register(
                registry,
                GaugeVec::new(opts(names::BUILD_INFO), &["release", "build", "repository"])?,
            )?,
            files_broken: int_gauge(names::FILES_BROKEN)?,
            config_apply: register(registry, Histogram::with_opts(apply)?)?,
            endpoints_swaps: counter(names::ENDPOINTS_SWAPS)?,
            access_log_dropped: counter(names::ACCESS_LOG_DROPPED)?,
            mirrors_dropped: counter(names::MIRRORS_DROPPED)?,
            certificates: register(registry, CertificateCollector::new(&identity.class)?)?,
            orphans: register(registry, OrphanCollector::new(identity)?)?,
            diagnostics: exchanged(names::DIAGNOSTICS, identity.label_map())?,
        })
    }

    /// A configuration was installed: `took` from its snapshot, at `at`.
    pub fn config_applied(&self, hash: u64, took: Duration, at: SystemTime) {
        self.config_hash.set(hash as f64);
        self.config_successful.set(1);
        self.config_timestamp.set(at.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs() as f64);
        self.success.inc();
        self.config_apply.observe(took.as_secs_f64());
    }

    /// Endpoints changed without a new table.
    pub fn endpoints_swapped(&self) {
        self.endpoints_swaps.inc();
    }

    /// A request was not mirrored.
    pub fn mirror_dropped(&self) {
        self.mirrors_dropped.inc();
    }

    /// Whether this process leads; `name` is the Lease's.
    pub fn set_leader(&self, name: &str, leads: bool) {
        self.leader.with_label_values(&[name]).set(i64::from(leads));
    }

    pub fn set_build_info(&self, release: &str, build: &str, repository: &str) {
        self.build_info.with_label_values(&[release, build, repository]).set(1.0);
    }

    pub fn set_files_broken(&self, count: usize) {
        self.files_broken.set(i64::try_from(count).unwrap_or(i64::MAX));
    }

    /// The counter that the access log counts its dropped lines in.
    pub fn access_log_dropped(&self) -> IntCounter {
        self.access_log_dropped.clone()
    }

    /// The certificates in use, in the place of those before. Only the leader reports their expiry, so that an alert
    /// fires once: the others leave `expiry` false, as does a leader that stops leading.
    pub fn set_certificates(&self, certificates: Certificates, expiry: bool) {
        self.certificates.set(certificates, expiry);
    }

    /// Which Ingresses cannot serve, in the place of those before.
    pub fn set_orphans(&self, orphans: Orphans) {
        self.orphans.set(orphans);
    }

    /// The running configuration's problems, in the place of those before, counted by severity and reason.
    pub fn set_diagnostics<'a>(&self, diagnostics: impl IntoIterator<Item = &'a Diagnostic>) {
        let mut counts: BTreeMap<(Severity, Reason), f64> = BTreeMap::new();
        for diagnostic in diagnostics {
            *counts.entry((diagnostic.severity, diagnostic.reason)).or_default() += 1.0;
        }
        let samples = counts.into_iter().map(|((severity, reason), count)| {
            (self.with_identity([("severity", &severity.to_string()), ("reason", reason.as_str())]), count)
        });
        self.diagnostics.exchange(samples.collect());
    }

    fn with_identity<const N: usize>(&self, own: [(&'static str, &str); N]) -> Labels {
        let pairs = self.identity.labels(own);
        pairs.into_iter().map(|pair| (pair.name().to_owned(), pair.value().to_owned())).collect()
    }
}

fn register<C: Collector + Clone + 'static>(registry: &Registry, collector: C) -> Result<C> {
    registry.register(Box::new(collector.clone()))?;
    Ok(collector)
}

/// Names and values, sorted by name.
pub(super) type Labels = Vec<(String, String)>;
/// Samples by labels, each once: two of the same labels would make the whole scrape fail.
pub(super) type Samples = BTreeMap<Labels, f64>;

pub(super) fn pairs<'a>(own: impl IntoIterator<Item = (&'a str, &'a str)>) -> Labels {
    let mut pairs: Labels = own.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    pairs.sort_unstable();
    pairs
}

/// A gauge family whose samples are exchanged as a whole, so that what is gone vanishes and no scrape sees half.
#[derive(Clone, Debug)]
struct Exchanged {
    of: Family,
    desc: Desc,
    samples: Arc<Mutex<Samples>>,
}

impl Exchanged {
    fn new(of: Family, constant: HashMap<String, String>) -> Result<Self> {
        let desc = Desc::new(of.name.into(), of.help.into(), Vec::new(), constant)?;
        Ok(Self { of, desc, samples: Arc::default() })
    }

    fn exchange(&self, samples: Samples) {
        *lock(&self.samples) = samples;
    }
}

impl Collector for Exchanged {
    fn desc(&self) -> Vec<&Desc> {
        vec![&self.desc]
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let samples = lock(&self.samples);
        vec![family(self.of.name, self.of.help, MetricType::GAUGE, gauges(&samples))]
    }
}

pub(super) fn gauges(samples: &Samples) -> Vec<Metric> {
    let label = |(name, value): &(String, String)| {
        let mut pair = LabelPair::default();
        pair.set_name(name.clone());
        pair.set_value(value.clone());
        pair
    };
    samples.iter().map(|(labels, value)| gauge(labels.iter().map(label).collect(), *value)).collect()
}
