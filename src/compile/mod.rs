//! Pure: objects and settings in, routing table, statuses and diagnostics out. No I/O, clock or randomness.

pub mod annotations;
pub mod configmap;
