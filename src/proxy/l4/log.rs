//! A connection or session in the counters and in the access log, where it is written when it ends, however it ends.

use std::cell::Cell;
use std::io::Write as _;
use std::net::SocketAddr;
use std::rc::Rc;

use tokio::time::Instant;

use super::relay::Counts;
use crate::proxy::worker::Worker;
use crate::table::Protocol;
use crate::telemetry::process::ConnectionState;

/// One connection or UDP session, until it is dropped.
#[derive(Debug)]
pub struct Session {
    worker: Rc<Worker>,
    protocol: Protocol,
    client: SocketAddr,
    began: Instant,
    status: Cell<u16>,
    logged: bool,
    pub counts: Counts,
}

impl Session {
    pub fn begin(worker: &Rc<Worker>, protocol: Protocol, client: SocketAddr, logged: bool) -> Self {
        if protocol == Protocol::Tcp {
            worker.counters.accepted();
            worker.counters.opened(ConnectionState::Writing);
        }
        Self {
            worker: Rc::clone(worker),
            protocol,
            client,
            began: Instant::now(),
            status: Cell::new(200),
            logged,
            counts: Counts::default(),
        }
    }

    /// The address that a PROXY header gave.
    pub fn client(&mut self, client: SocketAddr) {
        self.client = client;
    }

    /// nginx's `$status` of streams: 200, 400 for a bad PROXY header, 502 for no endpoint.
    pub fn status(&self, status: u16) {
        self.status.set(status);
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        if self.protocol == Protocol::Tcp {
            self.worker.counters.closed(ConnectionState::Writing);
        }
        if !self.logged {
            return;
        }
        let time = self.began.elapsed();
        let clock = self.worker.clock.borrow();
        // ingress-nginx's default `log-format-stream`. Writing to a Vec cannot fail.
        self.worker.log.line(|out| {
            let _ = write!(
                out,
                "[{}] [{}] {} {:03} {} {} {}.{:03}",
                self.client.ip(),
                clock.time_local(),
                self.protocol,
                self.status.get(),
                self.counts.down.get(),
                self.counts.up.get(),
                time.as_secs(),
                time.subsec_millis(),
            );
        });
    }
}
