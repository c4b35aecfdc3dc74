//! The access log: one line a request, formatted on the worker's thread and written by one thread of its own.
//!
//! A slow output never slows a request: lines that do not fit the queue are dropped and counted. What a line says is
//! `policy::access_log`'s, what is logged at all the exchange's.

mod asked;
mod output;
mod target;
mod values;

pub use asked::Asked;
pub use output::{AccessLog, LogEnds, WorkerLog};
pub use values::{Kept, LogValues};

#[cfg(test)]
mod tests;
