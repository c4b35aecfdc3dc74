//! One worker's numbers for one set of label values, and the scraper's sums over workers.

use std::sync::{Arc, OnceLock};

use super::cell::{Cell64, SumCell};
use super::requests::Observation;

/// A histogram family of requests: its name, bounds and what it takes from a request, `None` for "not this one".
#[derive(Clone, Debug)]
pub(super) struct HistogramFamily {
    pub name: &'static str,
    pub help: &'static str,
    /// Upper bounds, inclusive and ascending, `+Inf` left out.
    pub bounds: Arc<[f64]>,
    pub value: fn(&Observation<'_>) -> Option<f64>,
}

/// Which families are kept, after exclusions. The upstream ones are apart because many requests never reach one: their
/// numbers are allocated, and their series exposed, with the first value.
#[derive(Clone, Debug, Default)]
pub(super) struct Layout {
    pub requests: bool,
    pub client: Vec<HistogramFamily>,
    pub upstream: Vec<HistogramFamily>,
}

/// Counts of one bucket each (not cumulative), the last for `+Inf`, and the sum of the values.
#[derive(Debug)]
struct Histogram {
    buckets: Box<[Cell64]>,
    sum: SumCell,
}

impl Histogram {
    fn new(bounds: &[f64]) -> Self {
        Self { buckets: (0..=bounds.len()).map(|_| Cell64::default()).collect(), sum: SumCell::default() }
    }

    fn observe(&self, bounds: &[f64], value: f64) {
        if let Some(bucket) = self.buckets.get(bounds.partition_point(|bound| *bound < value)) {
            bucket.add(1);
            self.sum.add(value);
        }
    }
}

/// The numbers of one series of one worker: written by that worker alone.
#[derive(Debug)]
pub(super) struct Series {
    requests: Cell64,
    client: Box<[Histogram]>,
    upstream: OnceLock<Box<[Histogram]>>,
}

impl Series {
    pub fn new(layout: &Layout) -> Self {
        Self { requests: Cell64::default(), client: histograms(&layout.client), upstream: OnceLock::new() }
    }

    pub fn record(&self, layout: &Layout, observation: &Observation<'_>) {
        self.requests.add(1);
        observe(&self.client, &layout.client, observation);
        if observation.upstream.is_some() {
            let upstream = self.upstream.get_or_init(|| histograms(&layout.upstream));
            observe(upstream, &layout.upstream, observation);
        }
    }
}

fn histograms(families: &[HistogramFamily]) -> Box<[Histogram]> {
    families.iter().map(|family| Histogram::new(&family.bounds)).collect()
}

fn observe(histograms: &[Histogram], families: &[HistogramFamily], observation: &Observation<'_>) {
    for (histogram, family) in histograms.iter().zip(families) {
        if let Some(value) = (family.value)(observation) {
            histogram.observe(&family.bounds, value);
        }
    }
}

/// The sum of one histogram over workers.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct HistogramTotal {
    pub buckets: Vec<u64>,
    pub sum: f64,
}

impl HistogramTotal {
    fn add(&mut self, histogram: &Histogram) {
        self.buckets.resize(histogram.buckets.len(), 0);
        for (total, bucket) in self.buckets.iter_mut().zip(&histogram.buckets) {
            *total += bucket.get();
        }
        self.sum += histogram.sum.get();
    }

    /// Counted from the buckets, so that `_count` and `+Inf` agree even when a worker writes between two reads.
    pub fn count(&self) -> u64 {
        self.buckets.iter().sum()
    }
}

/// The sum of one series over workers; a histogram without a value has no buckets.
#[derive(Clone, Debug, Default)]
pub(super) struct Total {
    pub requests: u64,
    pub client: Vec<HistogramTotal>,
    pub upstream: Vec<HistogramTotal>,
}

impl Total {
    pub fn add(&mut self, series: &Series) {
        self.requests += series.requests.get();
        add_all(&mut self.client, &series.client);
        if let Some(upstream) = series.upstream.get() {
            add_all(&mut self.upstream, upstream);
        }
    }
}

fn add_all(totals: &mut Vec<HistogramTotal>, histograms: &[Histogram]) {
    totals.resize_with(histograms.len(), HistogramTotal::default);
    for (total, histogram) in totals.iter_mut().zip(histograms) {
        total.add(histogram);
    }
}
