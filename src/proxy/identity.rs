//! POST_READ: who asks, as far as the connection and the proxies in front of it are believed.

use http::header::HeaderMap;

use super::exchange::Exchange;
use crate::policy::forwarded::{Connection, Forwarded};

/// What takes the place of the connection's own; `headers` are as they were sent.
pub fn believed(exchange: &Exchange, headers: &HeaderMap) -> Option<Box<Forwarded>> {
    let client = &exchange.client;
    let connection = Connection {
        peer: client.address,
        scheme: client.scheme(),
        port: &client.port_value,
        proxied: client.proxied,
        https_port: exchange.worker.handle.https_port(),
    };
    exchange.live.table().global.trust.believe(connection, headers)
}
