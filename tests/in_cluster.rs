//! In a real Kubernetes cluster, on this machine: see `tests/cluster`. Where none can run, every test says so.

// Helpers of a test may end it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, clippy::string_slice)]
// The figures of a proof are printed.
#![allow(clippy::print_stdout)]

mod kit;

#[path = "in_cluster/chart.rs"]
mod chart;
#[path = "in_cluster/churn.rs"]
mod churn;
#[path = "in_cluster/faults.rs"]
mod faults;
#[path = "in_cluster/kit_self.rs"]
mod kit_self;
#[path = "in_cluster/leader.rs"]
mod leader;
#[path = "in_cluster/outage.rs"]
mod outage;
#[path = "in_cluster/pods.rs"]
mod pods;
#[path = "in_cluster/policy.rs"]
mod policy;
#[path = "in_cluster/rollouts.rs"]
mod rollouts;
#[path = "in_cluster/serve.rs"]
mod serve;
#[path = "in_cluster/site.rs"]
mod site;
