//! What the process says about itself in numbers: ingress-nginx's metric families and ours, on one registry.
//!
//! The proxy writes through [`requests::WorkerMetrics`] and [`process::ConnectionCounters`], the controller through
//! [`controller::ControllerMetrics`]; nobody needs to know a metric's name but [`names`].

mod cell;
mod certificates;
mod collect;
pub mod controller;
mod identity;
mod labels;
pub mod names;
mod orphans;
pub mod process;
pub mod requests;
mod routes;
mod series;
mod text;

use std::sync::Arc;

use prometheus::Registry;

pub use cell::Cell64;
pub use controller::ControllerMetrics;
pub use identity::Identity;
pub use process::{ConnectionCounters, ProcessMetrics};
pub use requests::{Observation, RequestMetrics, RequestOptions, UpstreamTimes, WorkerMetrics};
pub use routes::{RouteLabels, RouteMetricsId};

/// The content type of [`Telemetry::render`].
pub const TEXT_FORMAT: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Every metric of the process.
#[derive(Debug)]
pub struct Telemetry {
    pub requests: Arc<RequestMetrics>,
    pub process: Arc<ProcessMetrics>,
    pub controller: Arc<ControllerMetrics>,
    registry: Registry,
}

impl Telemetry {
    /// Errors if two families have the same name, which no input can bring about.
    pub fn new(identity: Identity, options: RequestOptions) -> prometheus::Result<Self> {
        let registry = Registry::new();
        let requests = Arc::new(RequestMetrics::new(options));
        let process = Arc::new(ProcessMetrics::default());
        let collector = collect::RequestCollector::new(Arc::clone(&requests), identity.clone())?;
        registry.register(Box::new(collector))?;
        registry.register(Box::new(process::ProcessCollector::new(Arc::clone(&process), identity.clone())?))?;
        let controller = Arc::new(ControllerMetrics::new(&identity, &registry)?);
        Ok(Self { requests, process, controller, registry })
    }

    /// All families in the text format 0.0.4, sorted by name and labels. Reads /proc; not for a worker's thread.
    pub fn render(&self) -> Vec<u8> {
        text::encode(&self.registry.gather())
    }
}

#[cfg(test)]
mod tests;
