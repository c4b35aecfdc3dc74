//! The whole binary on a directory: real sockets, real clients, one file changed while it serves.

#![allow(clippy::expect_used, clippy::unwrap_used, reason = "a test's helpers may end it, too")]

mod kit;

#[path = "proxy/access.rs"]
mod access;
#[path = "proxy/answers.rs"]
mod answers;
#[path = "proxy/balance.rs"]
mod balance;
#[path = "proxy/bodies.rs"]
mod bodies;
#[path = "proxy/canary.rs"]
mod canary;
#[path = "proxy/changes.rs"]
mod changes;
#[path = "proxy/client_certificates.rs"]
mod client_certificates;
#[path = "proxy/compression.rs"]
mod compression;
#[path = "proxy/drain.rs"]
mod drain;
#[path = "proxy/error_pages.rs"]
mod error_pages;
#[path = "proxy/external_auth.rs"]
mod external_auth;
#[path = "proxy/fastcgi.rs"]
mod fastcgi;
#[path = "proxy/faults.rs"]
mod faults;
#[path = "proxy/identity.rs"]
mod identity;
#[path = "proxy/logs.rs"]
mod logs;
#[path = "proxy/mirror.rs"]
mod mirror;
#[path = "proxy/more_settings.rs"]
mod more_settings;
#[path = "proxy/observe.rs"]
mod observe;
#[path = "proxy/passthrough.rs"]
mod passthrough;
#[path = "proxy/permissions.rs"]
mod permissions;
#[path = "proxy/policies.rs"]
mod policies;
#[path = "proxy/protocols.rs"]
mod protocols;
#[path = "proxy/retries.rs"]
mod retries;
#[path = "proxy/settings.rs"]
mod settings;
#[path = "proxy/snippets.rs"]
mod snippets;
#[path = "proxy/streams.rs"]
mod streams;
#[path = "proxy/strictness.rs"]
mod strictness;
#[path = "proxy/tls.rs"]
mod tls;
#[path = "proxy/upstream_tls.rs"]
mod upstream_tls;

use kit::{Ingress, Manifests, Proxy, Upstream};

/// One upstream, one Ingress for `a.test` with these annotations, and the proxy.
fn one(annotations: &[(&str, &str)]) -> (Upstream, Manifests, Proxy) {
    let upstream = Upstream::start("one");
    let manifests = Manifests::new();
    let ingress = Ingress::new("web").rule("a.test", "/", "one");
    let ingress = annotations.iter().fold(ingress, |ingress, (key, value)| ingress.nginx(key, value));
    manifests.upstream(&upstream).ingress(&ingress);
    let proxy = Proxy::start(&manifests, &[]);
    (upstream, manifests, proxy)
}
