//! The access log: one line a request, formatted on the worker's thread and written by one thread of its own.
//!
//! A slow output never slows a request: lines that do not fit the queue are dropped and counted. This module knows the
//! spelling of a line; what is logged at all is the caller's decision.

mod format;
mod output;
mod record;
mod variables;

pub use format::{Format, Segment};
pub use output::{AccessLog, LogEnds, WorkerLog};
pub use record::{Attempt, Record, RequestLine};
pub use variables::{Escape, Variable, variable};

#[cfg(test)]
mod tests;
