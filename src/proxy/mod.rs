//! The data plane.

pub mod access_log;
