//! The whole binary on a directory: real sockets, real clients, one file changed while it serves.

#![allow(clippy::expect_used, clippy::unwrap_used, reason = "a test's helpers may end it, too")]

mod kit;

#[path = "proxy/bodies.rs"]
mod bodies;
#[path = "proxy/changes.rs"]
mod changes;
#[path = "proxy/drain.rs"]
mod drain;
#[path = "proxy/faults.rs"]
mod faults;
#[path = "proxy/observe.rs"]
mod observe;
#[path = "proxy/protocols.rs"]
mod protocols;
#[path = "proxy/retries.rs"]
mod retries;
#[path = "proxy/strictness.rs"]
mod strictness;
#[path = "proxy/tls.rs"]
mod tls;
