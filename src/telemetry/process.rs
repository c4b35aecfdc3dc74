//! The `nginx_process_*` families: connections from the workers' counters, the rest from /proc/self at scrape time.

use std::fs;
use std::sync::{Arc, Mutex};

use prometheus::core::{Collector, Desc};
use prometheus::proto::{Metric, MetricFamily, MetricType};

use super::cell::Cell64;
use super::collect::{counter, family, gauge};
use super::identity::Identity;
use super::names::{self, Family};
use super::requests::lock;

/// Clock ticks per second in /proc: USER_HZ, 100 on every architecture that Rust has a Linux target for.
const TICKS_PER_SECOND: f64 = 100.0;

/// What a connection is doing, in the words of nginx's stub_status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConnectionState {
    /// Reading a request's head.
    Reading,
    /// Answering a request.
    Writing,
    /// Idle between requests.
    Waiting,
}

/// One worker's connections. Written by that worker's thread only.
#[derive(Debug, Default)]
pub struct ConnectionCounters {
    accepted: Cell64,
    handled: Cell64,
    active: Cell64,
    reading: Cell64,
    writing: Cell64,
    waiting: Cell64,
    requests: Cell64,
}

impl ConnectionCounters {
    /// A connection was accepted; one refused for a limit is accepted and never opened, as nginx counts.
    pub fn accepted(&self) {
        self.accepted.add(1);
    }

    /// An accepted connection is served from now on, beginning in `state`.
    pub fn opened(&self, state: ConnectionState) {
        self.handled.add(1);
        self.active.add(1);
        self.state(state).add(1);
    }

    /// A connection went from one state to another.
    pub fn moved(&self, from: ConnectionState, to: ConnectionState) {
        self.state(from).sub(1);
        self.state(to).add(1);
    }

    /// An opened connection ended in `state`.
    pub fn closed(&self, state: ConnectionState) {
        self.active.sub(1);
        self.state(state).sub(1);
    }

    /// A request began; each stream of HTTP/2 counts.
    pub fn request(&self) {
        self.requests.add(1);
    }

    fn state(&self, state: ConnectionState) -> &Cell64 {
        match state {
            ConnectionState::Reading => &self.reading,
            ConnectionState::Writing => &self.writing,
            ConnectionState::Waiting => &self.waiting,
        }
    }
}

/// The workers' connection counters.
#[derive(Debug, Default)]
pub struct ProcessMetrics {
    workers: Mutex<Vec<Arc<ConnectionCounters>>>,
}

impl ProcessMetrics {
    /// The counters for one more worker thread.
    pub fn worker(&self) -> Arc<ConnectionCounters> {
        let counters = Arc::new(ConnectionCounters::default());
        lock(&self.workers).push(Arc::clone(&counters));
        counters
    }

    fn sum(&self, of: fn(&ConnectionCounters) -> &Cell64) -> u64 {
        lock(&self.workers).iter().map(|worker| of(worker).get()).sum()
    }
}

/// The process families as a collector of the registry.
#[derive(Debug)]
pub(super) struct ProcessCollector {
    metrics: Arc<ProcessMetrics>,
    identity: Identity,
    descs: Vec<Desc>,
}

impl ProcessCollector {
    pub fn new(metrics: Arc<ProcessMetrics>, identity: Identity) -> prometheus::Result<Self> {
        let families = [
            names::CONNECTIONS,
            names::CONNECTIONS_TOTAL,
            names::REQUESTS_TOTAL,
            names::CPU_SECONDS,
            names::RESIDENT_MEMORY,
            names::VIRTUAL_MEMORY,
            names::NUM_PROCS,
            names::OLDEST_START_TIME,
            names::READ_BYTES,
            names::WRITE_BYTES,
        ];
        let desc = |f: Family| Desc::new(f.name.into(), f.help.into(), Vec::new(), identity.label_map());
        let descs = families.into_iter().map(desc).collect::<prometheus::Result<_>>()?;
        Ok(Self { metrics, identity, descs })
    }

    fn connections(&self) -> [MetricFamily; 3] {
        let sum = |of| self.metrics.sum(of) as f64;
        let state = |state| self.identity.labels([("state", state)]);
        let current = [
            gauge(state("active"), sum(|c| &c.active)),
            gauge(state("reading"), sum(|c| &c.reading)),
            gauge(state("writing"), sum(|c| &c.writing)),
            gauge(state("waiting"), sum(|c| &c.waiting)),
        ];
        let total = [counter(state("accepted"), sum(|c| &c.accepted)), counter(state("handled"), sum(|c| &c.handled))];
        let requests = vec![counter(self.identity.labels([]), sum(|c| &c.requests))];
        [
            of(names::CONNECTIONS, MetricType::GAUGE, current.to_vec()),
            of(names::CONNECTIONS_TOTAL, MetricType::COUNTER, total.to_vec()),
            of(names::REQUESTS_TOTAL, MetricType::COUNTER, requests),
        ]
    }
}

impl Collector for ProcessCollector {
    fn desc(&self) -> Vec<&Desc> {
        self.descs.iter().collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let stats = ProcessStats::read();
        let labels = self.identity.labels([]);
        let single = |family: Family, kind, value: Option<f64>| {
            let sample = if kind == MetricType::COUNTER { counter } else { gauge };
            value.map(|value| of(family, kind, vec![sample(labels.clone(), value)]))
        };
        let own = [
            single(names::CPU_SECONDS, MetricType::COUNTER, stats.cpu_seconds),
            single(names::RESIDENT_MEMORY, MetricType::GAUGE, stats.resident_bytes),
            single(names::VIRTUAL_MEMORY, MetricType::GAUGE, stats.virtual_bytes),
            single(names::NUM_PROCS, MetricType::GAUGE, Some(1.0)),
            single(names::OLDEST_START_TIME, MetricType::GAUGE, stats.start_time),
            single(names::READ_BYTES, MetricType::COUNTER, stats.read_bytes),
            single(names::WRITE_BYTES, MetricType::COUNTER, stats.write_bytes),
        ];
        self.connections().into_iter().chain(own.into_iter().flatten()).collect()
    }
}

fn of(of: Family, kind: MetricType, metrics: Vec<Metric>) -> MetricFamily {
    family(of.name, of.help, kind, metrics)
}

/// What /proc says (proc(5)); a value that cannot be read is absent, and so is its family.
#[derive(Debug, Default, PartialEq)]
struct ProcessStats {
    cpu_seconds: Option<f64>,
    start_time: Option<f64>,
    resident_bytes: Option<f64>,
    virtual_bytes: Option<f64>,
    read_bytes: Option<f64>,
    write_bytes: Option<f64>,
}

impl ProcessStats {
    fn read() -> Self {
        let text = |path| fs::read_to_string(path).unwrap_or_default();
        Self::parse(&text("/proc/self/stat"), &text("/proc/self/status"), &text("/proc/self/io"), &text("/proc/stat"))
    }

    fn parse(stat: &str, status: &str, io: &str, system: &str) -> Self {
        // The command in parentheses may hold blanks; fields are counted after it, from `state`, which is field 3.
        let after = stat.rsplit_once(") ").map_or("", |(_, rest)| rest);
        let ticks = |field: usize| after.split(' ').nth(field - 3)?.parse::<f64>().ok();
        let kilobytes = |key| number(status, key).map(|value| value * 1024.0);
        Self {
            cpu_seconds: ticks(14).zip(ticks(15)).map(|(user, system)| (user + system) / TICKS_PER_SECOND),
            start_time: ticks(22).zip(number(system, "btime")).map(|(start, boot)| boot + start / TICKS_PER_SECOND),
            resident_bytes: kilobytes("VmRSS:"),
            virtual_bytes: kilobytes("VmSize:"),
            read_bytes: number(io, "read_bytes:"),
            write_bytes: number(io, "write_bytes:"),
        }
    }
}

/// The number after `key` at the start of a line.
fn number(text: &str, key: &str) -> Option<f64> {
    let rest = text.lines().find_map(|line| line.strip_prefix(key))?;
    rest.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_proc_says() {
        let stat = "42 (a ) b) S 1 42 42 0 -1 4194560 1 0 0 0 150 50 0 0 20 0 3 0 1234 1 1";
        let stats = ProcessStats::parse(
            stat,
            "Name:\ta\nVmSize:\t  100 kB\nVmRSS:\t   10 kB\n",
            "rchar: 9\nread_bytes: 7\nwrite_bytes: 8\n",
            "cpu 1\nbtime 1000\n",
        );
        let expected = ProcessStats {
            cpu_seconds: Some(2.0),
            start_time: Some(1012.34),
            resident_bytes: Some(10_240.0),
            virtual_bytes: Some(102_400.0),
            read_bytes: Some(7.0),
            write_bytes: Some(8.0),
        };
        assert_eq!(stats, expected);
        assert_eq!(ProcessStats::parse("", "", "", ""), ProcessStats::default());
    }

    #[test]
    fn counts_a_connections_states() {
        let counters = ConnectionCounters::default();
        counters.accepted();
        counters.opened(ConnectionState::Reading);
        counters.moved(ConnectionState::Reading, ConnectionState::Writing);
        assert_eq!((counters.reading.get(), counters.writing.get(), counters.active.get()), (0, 1, 1));
        counters.closed(ConnectionState::Writing);
        assert_eq!((counters.writing.get(), counters.active.get(), counters.handled.get()), (0, 0, 1));
    }
}
