//! What a client counted, and its one line of JSON.

use std::time::{Duration, Instant};

/// Latencies and failures of one run. Bounded by what a run of some seconds can ask for: four bytes a request.
#[derive(Default)]
pub struct Outcome {
    latencies: Vec<u32>,
    pub errors: u64,
    /// Handshakes that resumed a session.
    pub resumed: u64,
    /// Requests that were due and had no answer in the end.
    pub unanswered: u64,
}

impl Outcome {
    pub fn took(&mut self, time: Duration) {
        self.latencies.push(u32::try_from(time.as_micros()).unwrap_or(u32::MAX));
    }

    pub fn absorb(&mut self, other: Self) {
        self.latencies.extend(other.latencies);
        self.errors += other.errors;
        self.resumed += other.resumed;
    }

    /// Prints requests, seconds since `started`, errors, and latencies in microseconds.
    pub fn print(mut self, started: Instant) {
        self.latencies.sort_unstable();
        let at = |share: f64| {
            let last = self.latencies.len().saturating_sub(1);
            let index = (last as f64 * share).round() as usize;
            self.latencies.get(index).copied().unwrap_or(0)
        };
        println!(
            r#"{{"requests":{},"seconds":{:.6},"errors":{},"resumed":{},"unanswered":{},"p50":{},"p99":{},"p999":{},"max":{}}}"#,
            self.latencies.len(),
            started.elapsed().as_secs_f64(),
            self.errors,
            self.resumed,
            self.unanswered,
            at(0.5),
            at(0.99),
            at(0.999),
            at(1.0),
        );
    }
}
