//! The kit of the integration tests: what stands around the proxy, written so that it shows what was on the wire.
//!
//! - [`upstream`]: a backend that echoes what it saw and misbehaves on request;
//! - [`raw`]: a client that sends exact bytes and reads answers without interpreting them away;
//! - [`h2`]: an HTTP/2 client; [`websocket`]: frames by hand, for both sides;
//! - [`cluster`]: a real Kubernetes API server with Pods that are local processes;
//! - [`proxy`]: the real binary over a directory of manifests; [`manifests`]: that directory; [`certs`]: its certificates.
//!
//! Every call is synchronous with a deadline, so that a test is a plain `#[test]` read from top to bottom. The work
//! happens on a runtime of the kit's own, which makes the calls safe inside `#[tokio::test]` as well.

// Each test binary compiles the whole kit and uses a part of it.
#![allow(dead_code, unused_imports)]
// A helper that cannot do its part ends the test, with the reason in the message.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, clippy::string_slice)]

pub mod certs;
pub mod cluster;
pub mod h2;
pub mod manifests;
pub mod proxy;
pub mod raw;
pub mod stream;
pub mod upstream;
pub mod websocket;
pub mod wire;

use std::future::Future;
use std::io;
use std::sync::{LazyLock, mpsc};
use std::time::Duration;

use tokio::runtime::Runtime;

pub use certs::{Authority, Identity};
pub use cluster::Cluster;
pub use h2::{H2, H2Response};
pub use manifests::{Ingress, Manifests};
pub use proxy::Proxy;
pub use raw::{Raw, Response};
pub use upstream::{Seen, Upstream};

/// How long anything may take before the test is called failed: generous, since builds share the machine.
pub const DEADLINE: Duration = Duration::from_secs(15);

/// Ordered header fields, names spelled as on the wire.
pub type Headers = Vec<(String, String)>;

/// The first value of a field, whatever the case of its name.
pub fn header<'a>(headers: &'a [(String, String)], name: &str) -> Option<&'a str> {
    headers.iter().find(|(k, _)| k.eq_ignore_ascii_case(name)).map(|(_, v)| v.as_str())
}

/// All values of a field, in order.
pub fn header_all<'a>(headers: &'a [(String, String)], name: &str) -> Vec<&'a str> {
    headers.iter().filter(|(k, _)| k.eq_ignore_ascii_case(name)).map(|(_, v)| v.as_str()).collect()
}

/// Calls `check` until it gives a value or the time is over; for what happens soon but not at once.
pub fn eventually<T>(within: Duration, mut check: impl FnMut() -> Option<T>) -> Option<T> {
    let end = std::time::Instant::now() + within;
    loop {
        match check() {
            Some(value) => return Some(value),
            None if std::time::Instant::now() >= end => return None,
            None => std::thread::sleep(Duration::from_millis(10)),
        }
    }
}

static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .thread_name("kit")
        .build()
        .expect("the kit's runtime")
});

/// Runs a future on the kit's runtime and waits for it. Not `block_on`, which panics inside another runtime.
fn run<T: Send + 'static>(
    within: Duration,
    future: impl Future<Output = io::Result<T>> + Send + 'static,
) -> io::Result<T> {
    let (sender, receiver) = mpsc::sync_channel(1);
    RUNTIME.spawn(async move {
        let outcome = tokio::time::timeout(within, future).await;
        let _ = sender.send(outcome.unwrap_or_else(|_| Err(io::Error::new(io::ErrorKind::TimedOut, "deadline"))));
    });
    receiver.recv().unwrap_or_else(|_| Err(io::Error::other("the kit's task panicked")))
}
