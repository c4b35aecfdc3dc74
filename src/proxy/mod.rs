//! The data plane: accepts connections, and for each request asks the table, runs the phases and forwards.
//!
//! One single-threaded runtime a worker, each with its own listeners and upstream pools; nothing that is shared
//! between workers is written on the request path. It knows nothing of Kubernetes: [`Handle`] is its only door.

mod accept;
mod access;
pub mod access_log;
mod activity;
mod answer;
mod attempt;
mod body;
mod choose;
mod client_certificate;
mod connection;
mod ending;
mod error_pages;
mod exchange;
mod external_auth;
mod facts;
mod fastcgi;
mod filters;
mod forward;
mod handle;
mod head;
mod identity;
mod io;
mod l4;
mod listener;
mod live;
mod login;
mod mirror;
mod outgoing;
mod phases;
mod pieces;
mod progress;
mod question;
mod redirects;
mod request_headers;
mod respond;
mod rewound;
mod snippets;
mod tap;
mod timer;
mod tls;
mod tried;
mod upgrade;
mod upstream;
mod worker;
mod zone;

pub use handle::{Handle, ProxyOptions};
pub use listener::{Bound, ListenAddresses, bind};
pub use live::Live;
pub use tls::generate_certificate;
