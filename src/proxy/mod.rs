//! The data plane: accepts connections, and for each request asks the table, runs the phases and forwards.
//!
//! One single-threaded runtime a worker, each with its own listeners and upstream pools; nothing that is shared
//! between workers is written on the request path. It knows nothing of Kubernetes: [`Handle`] is its only door.

pub mod access_log;
mod attempt;
mod body;
mod choose;
mod connection;
mod error_pages;
mod exchange;
mod facts;
mod fastcgi;
mod forward;
mod handle;
mod head;
mod io;
mod l4;
mod listener;
mod live;
mod phases;
mod respond;
mod timer;
mod tls;
mod upgrade;
mod upstream;
mod worker;

pub use handle::{Handle, ProxyOptions};
pub use listener::{Bound, ListenAddresses, bind};
pub use live::Live;
pub use tls::generate_certificate;
