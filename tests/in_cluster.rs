//! In a real Kubernetes cluster, on this machine: see `tests/cluster`. Where none can run, every test says so.

#![allow(clippy::expect_used, clippy::unwrap_used, reason = "a test's helpers may end it, too")]

mod kit;

#[path = "in_cluster/faults.rs"]
mod faults;
#[path = "in_cluster/kit_self.rs"]
mod kit_self;
#[path = "in_cluster/pods.rs"]
mod pods;
