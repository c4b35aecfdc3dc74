//! In a real Kubernetes cluster, on this machine: see `tests/cluster`. Where none can run, every test says so.

#![allow(clippy::expect_used, clippy::unwrap_used, reason = "a test's helpers may end it, too")]

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
#[path = "in_cluster/serve.rs"]
mod serve;
#[path = "in_cluster/site.rs"]
mod site;
