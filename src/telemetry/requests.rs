//! The request families of ingress-nginx, counted by each worker for itself.
//!
//! [`RequestMetrics`] gives a route's labels a [`RouteMetricsId`] when a table is installed, and each worker a
//! [`WorkerMetrics`]. A request then costs an index, a scan of the few series of its route, and plain stores to memory
//! that no other worker writes. A worker's lock is taken for a new series only; nobody but the scraper contends for it.

use std::cell::RefCell;
use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::cell::Cell64;
use super::labels::{MethodLabel, StatusLabel};
use super::names::{self, Family};
use super::routes::{RouteLabels, RouteMetricsId, Routes};
use super::series::{HistogramFamily, Layout, Series};

/// Series of one worker, at about a kilobyte each; what comes after goes to `portcullis_series_dropped_total`.
pub const MAX_SERIES_PER_WORKER: usize = 200_000;

/// What the flags say about request metrics; the default is the flags' defaults with `--enable-metrics`.
#[derive(Clone, Debug)]
pub struct RequestOptions {
    /// `--enable-metrics`; when off, nothing is recorded.
    pub enabled: bool,
    /// `--metrics-per-host`; when off, series have no `host` label.
    pub per_host: bool,
    /// `--report-status-classes`: `2xx` for 200.
    pub status_classes: bool,
    /// `--time-buckets`, seconds, ascending.
    pub time_buckets: Vec<f64>,
    /// `--length-buckets`, bytes, ascending.
    pub length_buckets: Vec<f64>,
    /// `--size-buckets`, bytes, ascending.
    pub size_buckets: Vec<f64>,
    /// `--exclude-socket-metrics`, with or without `nginx_ingress_controller_`.
    pub excluded: Vec<String>,
    pub max_series_per_worker: usize,
}

impl Default for RequestOptions {
    fn default() -> Self {
        Self {
            enabled: true,
            per_host: true,
            status_classes: false,
            time_buckets: names::TIME_BUCKETS.to_vec(),
            length_buckets: names::LENGTH_BUCKETS.to_vec(),
            size_buckets: names::SIZE_BUCKETS.to_vec(),
            excluded: Vec::new(),
            max_series_per_worker: MAX_SERIES_PER_WORKER,
        }
    }
}

/// Seconds at the one upstream attempt of a request. A part is absent when the attempt did not get that far, as nginx
/// writes `-`; a connection taken from the pool connects in 0 seconds.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct UpstreamTimes {
    pub connect: Option<f64>,
    pub header: Option<f64>,
    pub response: f64,
}

/// One finished request.
#[derive(Clone, Copy, Debug)]
pub struct Observation<'a> {
    pub method: &'a http::Method,
    pub status: u16,
    /// The alternative upstream's name, when the canary served the request.
    pub canary: Option<&'a Arc<str>>,
    pub request_seconds: f64,
    /// Present if there was exactly one attempt: nginx's comma lists of retries are no numbers, and are left out.
    pub upstream: Option<UpstreamTimes>,
    /// Request line, headers and body.
    pub request_bytes: u64,
    /// Sent to the client, headers included.
    pub response_bytes: u64,
}

/// The label values of a series that a request chooses, all bounded.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct SeriesKey {
    pub method: MethodLabel,
    pub status: StatusLabel,
    pub canary: Option<Arc<str>>,
}

impl SeriesKey {
    fn is(&self, method: MethodLabel, status: StatusLabel, canary: Option<&Arc<str>>) -> bool {
        let same_canary = match (&self.canary, canary) {
            (None, None) => true,
            (Some(ours), Some(theirs)) => Arc::ptr_eq(ours, theirs) || ours == theirs,
            _ => false,
        };
        same_canary && self.method == method && self.status == status
    }
}

/// The routes' labels and the workers' series; shared by the table's installer, the workers and the scraper.
#[derive(Debug)]
pub struct RequestMetrics {
    pub(super) options: RequestOptions,
    pub(super) layout: Layout,
    routes: Mutex<Routes>,
    workers: Mutex<Vec<Arc<WorkerSeries>>>,
}

/// What the scraper sees of one worker.
#[derive(Debug, Default)]
pub(super) struct WorkerSeries {
    pub series: Mutex<Vec<(RouteMetricsId, SeriesKey, Arc<Series>)>>,
    pub dropped: Cell64,
}

impl RequestMetrics {
    pub fn new(options: RequestOptions) -> Self {
        let layout = layout(&options);
        Self { options, layout, routes: Mutex::default(), workers: Mutex::default() }
    }

    /// The id for a route's labels: the same one for equal labels, until [`Self::retain`] leaves it out. Without
    /// `per_host`, labels that differ only in the host are equal.
    pub fn route(&self, labels: Arc<RouteLabels>) -> RouteMetricsId {
        let labels = if self.options.per_host || labels.host.is_empty() {
            labels
        } else {
            Arc::new(RouteLabels { host: Arc::from(""), ..(*labels).clone() })
        };
        lock(&self.routes).add(labels)
    }

    /// Drops the series of all routes but these, as ingress-nginx does for Ingresses and hosts that are gone. What is
    /// dropped starts again at zero if it returns.
    pub fn retain(&self, ids: impl IntoIterator<Item = RouteMetricsId>) {
        let kept: BTreeSet<RouteMetricsId> = ids.into_iter().collect();
        lock(&self.routes).retain(&kept);
        for worker in lock(&self.workers).iter() {
            lock(&worker.series).retain(|(id, _, _)| kept.contains(id));
        }
    }

    /// The recording end for one more worker thread.
    pub fn worker(self: &Arc<Self>) -> WorkerMetrics {
        let registry = Arc::new(WorkerSeries::default());
        lock(&self.workers).push(Arc::clone(&registry));
        WorkerMetrics { shared: Arc::clone(self), registry, routes: RefCell::default() }
    }

    pub(super) fn workers(&self) -> Vec<Arc<WorkerSeries>> {
        lock(&self.workers).clone()
    }

    /// The labels of every route in use; a series whose id is not in it belongs to a route that is gone.
    pub(super) fn labels(&self) -> HashMap<RouteMetricsId, Arc<RouteLabels>> {
        lock(&self.routes).labels()
    }
}

/// One worker's recording end. It may move to its thread and be shared by that thread's tasks; it is not `Sync`.
#[derive(Debug)]
pub struct WorkerMetrics {
    shared: Arc<RequestMetrics>,
    registry: Arc<WorkerSeries>,
    routes: RefCell<Vec<RouteSeries>>,
}

/// The series of one place, few enough for a scan: methods × statuses that the route has seen.
#[derive(Debug, Default)]
struct RouteSeries {
    generation: u32,
    series: Vec<(SeriesKey, Arc<Series>)>,
}

impl WorkerMetrics {
    /// Counts one finished request for a route. A request of a route that is gone, and one that would need a series
    /// beyond the bound, is not counted.
    pub fn record(&self, id: RouteMetricsId, observation: &Observation<'_>) {
        if !self.shared.options.enabled {
            return;
        }
        let method = MethodLabel::of(observation.method);
        let status = StatusLabel::of(observation.status, self.shared.options.status_classes);
        let mut routes = self.routes.borrow_mut();
        let Some(route) = place(&mut routes, id) else { return };
        let known = route.series.iter().find(|(key, _)| key.is(method, status, observation.canary));
        if let Some((_, series)) = known {
            return series.record(&self.shared.layout, observation);
        }
        let key = SeriesKey { method, status, canary: observation.canary.cloned() };
        if let Some(series) = self.add(id, &key) {
            series.record(&self.shared.layout, observation);
            route.series.push((key, series));
        }
    }

    fn add(&self, id: RouteMetricsId, key: &SeriesKey) -> Option<Arc<Series>> {
        let mut registered = lock(&self.registry.series);
        if registered.len() >= self.shared.options.max_series_per_worker {
            self.registry.dropped.add(1);
            return None;
        }
        let series = Arc::new(Series::new(&self.shared.layout));
        registered.push((id, key.clone(), Arc::clone(&series)));
        Some(series)
    }
}

/// The place's series if the id is the newest that this worker has seen there, emptied when it is a new one.
fn place(routes: &mut Vec<RouteSeries>, id: RouteMetricsId) -> Option<&mut RouteSeries> {
    let index = id.index as usize;
    if routes.len() <= index {
        routes.resize_with(index + 1, RouteSeries::default);
    }
    let route = routes.get_mut(index)?;
    if route.generation > id.generation {
        return None;
    }
    if route.generation < id.generation {
        *route = RouteSeries { generation: id.generation, series: Vec::new() };
    }
    Some(route)
}

fn layout(options: &RequestOptions) -> Layout {
    let excluded = |family: Family| {
        let short = family.name.strip_prefix(names::PREFIX);
        options.excluded.iter().any(|name| name == family.name || Some(name.as_str()) == short)
    };
    let family = |family: Family, bounds: &[f64], value: fn(&Observation<'_>) -> Option<f64>| {
        let Family { name, help } = family;
        (!excluded(family)).then(|| HistogramFamily { name, help, bounds: bounds.into(), value })
    };
    let (time, length) = (&options.time_buckets, &options.length_buckets);
    let client = [
        family(names::REQUEST_DURATION, time, |o| Some(o.request_seconds)),
        family(names::REQUEST_SIZE, length, |o| Some(o.request_bytes as f64)),
        family(names::RESPONSE_SIZE, length, |o| Some(o.response_bytes as f64)),
        family(names::BYTES_SENT, &options.size_buckets, |o| Some(o.response_bytes as f64)),
    ];
    let upstream = [
        family(names::CONNECT_DURATION, time, |o| o.upstream?.connect),
        family(names::HEADER_DURATION, time, |o| o.upstream?.header),
        family(names::RESPONSE_DURATION, time, |o| Some(o.upstream?.response)),
    ];
    Layout {
        requests: !excluded(names::REQUESTS),
        client: client.into_iter().flatten().collect(),
        upstream: upstream.into_iter().flatten().collect(),
    }
}

/// The data under a lock is whole between any two statements here, so a poisoned one is still good.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
