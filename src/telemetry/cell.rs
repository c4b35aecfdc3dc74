//! Numbers that one thread writes and any thread reads.
//!
//! A worker owns its cells, so a plain load and store will do where shared counters need a locked `fetch_add`: no
//! cache line ever moves between cores but when the scraper reads. Two writers would lose counts, never more than that.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// A whole number with one writer.
#[derive(Debug, Default)]
pub struct Cell64(AtomicU64);

impl Cell64 {
    pub fn add(&self, n: u64) {
        self.0.store(self.0.load(Relaxed).wrapping_add(n), Relaxed);
    }

    /// Stops at zero, so that a miscounted gauge reads 0 and not 2^64.
    pub fn sub(&self, n: u64) {
        self.0.store(self.0.load(Relaxed).saturating_sub(n), Relaxed);
    }

    pub fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

/// A sum of floating-point observations with one writer, kept as its bits.
#[derive(Debug, Default)]
pub struct SumCell(AtomicU64);

impl SumCell {
    pub fn add(&self, value: f64) {
        self.0.store((self.get() + value).to_bits(), Relaxed);
    }

    pub fn get(&self) -> f64 {
        f64::from_bits(self.0.load(Relaxed))
    }
}
