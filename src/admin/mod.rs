//! The health port: probes, metrics and the table's text over HTTP/1.1.
//!
//! It runs on the control runtime, apart from the workers, and knows the rest of the process through [`Inspect`] alone.

mod accept;
mod answer;
mod server;

pub use accept::{accept, run};
pub use server::serve;

/// What the health port may ask the process.
pub trait Inspect: Send + Sync {
    /// Whether requests can be served, or the reason why not yet.
    fn ready(&self) -> Result<(), String>;
    /// Whether nothing can be served yet, and whoever waits for that asks the health path.
    fn starting(&self) -> bool {
        false
    }
    /// Whether the process is ending; load balancers are to look elsewhere.
    fn shutting_down(&self) -> bool;
    /// All metrics in the text format 0.0.4. May take a while: it is called where blocking is allowed.
    fn metrics(&self) -> Vec<u8>;
    /// The routing table as text. May take a while, as above.
    fn table_text(&self) -> String;
}

#[cfg(test)]
mod tests;
