//! The scraper's side of the request families: workers' series summed and given their labels.

use std::collections::HashMap;
use std::sync::Arc;

use prometheus::core::{Collector, Desc};
use prometheus::proto::{Bucket, Counter, Gauge, Histogram, LabelPair, Metric, MetricFamily, MetricType};

use super::identity::Identity;
use super::names;
use super::requests::{RequestMetrics, SeriesKey, lock};
use super::routes::{RouteLabels, RouteMetricsId};
use super::series::{HistogramFamily, HistogramTotal, Total};

/// The request families as a collector of the registry.
#[derive(Debug)]
pub(super) struct RequestCollector {
    metrics: Arc<RequestMetrics>,
    identity: Identity,
    descs: Vec<Desc>,
}

impl RequestCollector {
    /// Errors if the identity cannot be used as labels.
    pub fn new(metrics: Arc<RequestMetrics>, identity: Identity) -> prometheus::Result<Self> {
        let layout = &metrics.layout;
        let histograms = layout.client.iter().chain(&layout.upstream).map(|family| (family.name, family.help));
        let requests = layout.requests.then_some((names::REQUESTS.name, names::REQUESTS.help));
        let dropped = (names::SERIES_DROPPED.name, names::SERIES_DROPPED.help);
        let descs = requests
            .into_iter()
            .chain(histograms)
            .chain([dropped])
            .map(|(name, help)| Desc::new(name.into(), help.into(), Vec::new(), identity.label_map()))
            .collect::<prometheus::Result<Vec<Desc>>>()?;
        Ok(Self { metrics, identity, descs })
    }

    /// The sums over workers, with the labels of each; series of routes that are gone are left out.
    fn totals(&self) -> Vec<(Vec<LabelPair>, Total)> {
        let routes = self.metrics.labels();
        let mut totals: HashMap<(RouteMetricsId, SeriesKey), Total> = HashMap::new();
        for worker in self.metrics.workers() {
            for (id, key, series) in lock(&worker.series).iter().filter(|(id, _, _)| routes.contains_key(id)) {
                totals.entry((*id, key.clone())).or_default().add(series);
            }
        }
        let labelled = |((id, key), total)| {
            let route = routes.get(&id)?;
            Some((self.labels(route, &key), total))
        };
        totals.into_iter().filter_map(labelled).collect()
    }

    fn labels(&self, route: &RouteLabels, key: &SeriesKey) -> Vec<LabelPair> {
        let status = key.status.text();
        let host = self.metrics.options.per_host.then_some(("host", &*route.host));
        let own = [
            ("canary", key.canary.as_deref().unwrap_or_default()),
            ("ingress", &*route.ingress),
            ("method", key.method.as_str()),
            ("namespace", &*route.namespace),
            ("path", &*route.path),
            ("service", &*route.service),
            ("status", &status),
        ];
        self.identity.labels(own.into_iter().chain(host))
    }

    fn dropped(&self) -> MetricFamily {
        let dropped: u64 = self.metrics.workers().iter().map(|worker| worker.dropped.get()).sum();
        let metric = counter(self.identity.labels([]), dropped as f64);
        family(names::SERIES_DROPPED.name, names::SERIES_DROPPED.help, MetricType::COUNTER, vec![metric])
    }
}

impl Collector for RequestCollector {
    fn desc(&self) -> Vec<&Desc> {
        self.descs.iter().collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let totals = self.totals();
        let layout = &self.metrics.layout;
        let mut families = vec![self.dropped()];
        if layout.requests {
            let metrics = totals.iter().map(|(labels, total)| counter(labels.clone(), total.requests as f64)).collect();
            families.push(family(names::REQUESTS.name, names::REQUESTS.help, MetricType::COUNTER, metrics));
        }
        let client = layout.client.iter().enumerate();
        families.extend(client.map(|(at, family)| histograms(family, &totals, |total| total.client.get(at))));
        let upstream = layout.upstream.iter().enumerate();
        families.extend(upstream.map(|(at, family)| histograms(family, &totals, |total| total.upstream.get(at))));
        families
    }
}

fn histograms<'a>(
    of: &HistogramFamily,
    totals: &'a [(Vec<LabelPair>, Total)],
    pick: impl Fn(&'a Total) -> Option<&'a HistogramTotal>,
) -> MetricFamily {
    let metrics = totals.iter().filter_map(|(labels, total)| {
        let total = pick(total).filter(|total| total.count() > 0)?;
        let mut metric = Metric::from_label(labels.clone());
        metric.set_histogram(histogram(&of.bounds, total));
        Some(metric)
    });
    family(of.name, of.help, MetricType::HISTOGRAM, metrics.collect())
}

fn histogram(bounds: &[f64], total: &HistogramTotal) -> Histogram {
    let mut cumulative = 0;
    let buckets = bounds.iter().zip(&total.buckets).map(|(bound, count)| {
        cumulative += count;
        let mut bucket = Bucket::default();
        bucket.set_upper_bound(*bound);
        bucket.set_cumulative_count(cumulative);
        bucket
    });
    let mut histogram = Histogram::default();
    histogram.set_bucket(buckets.collect());
    histogram.set_sample_count(total.count());
    histogram.set_sample_sum(total.sum);
    histogram
}

/// A gauge's sample.
pub(super) fn gauge(labels: Vec<LabelPair>, value: f64) -> Metric {
    let mut gauge = Gauge::default();
    gauge.set_value(value);
    let mut metric = Metric::from_label(labels);
    metric.set_gauge(gauge);
    metric
}

/// A counter's sample.
pub(super) fn counter(labels: Vec<LabelPair>, value: f64) -> Metric {
    let mut counter = Counter::default();
    counter.set_value(value);
    let mut metric = Metric::from_label(labels);
    metric.set_counter(counter);
    metric
}

/// A family of samples.
pub(super) fn family(name: &str, help: &str, kind: MetricType, metrics: Vec<Metric>) -> MetricFamily {
    let mut family = MetricFamily::default();
    family.set_name(name.into());
    family.set_help(help.into());
    family.set_field_type(kind);
    family.set_metric(metrics);
    family
}
