//! A connection or session in the counters and in the access log, where it is written when it ends, however it ends.

use std::cell::Cell;
use std::io::Write as _;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;

use tokio::time::Instant;

use super::relay::Counts;
use crate::policy::stream_log::{Segment, StreamFormat, Variable};
use crate::proxy::worker::{LocalLive, Worker};
use crate::table::{Protocol, StreamListener};
use crate::telemetry::process::ConnectionState;

/// One connection or UDP session, until it is dropped.
#[derive(Debug)]
pub struct Session {
    worker: Rc<Worker>,
    protocol: Protocol,
    /// The port of the service.
    port: u16,
    client: SocketAddr,
    upstream_name: Arc<str>,
    endpoint: Cell<Option<SocketAddr>>,
    began: Instant,
    status: Cell<u16>,
    format: Option<StreamFormat>,
    pub counts: Counts,
}

impl Session {
    /// Begins with the client's address, in its own family.
    pub fn begin(worker: &Rc<Worker>, live: &LocalLive, stream: &StreamListener, client: SocketAddr) -> Self {
        let StreamListener { protocol, port, upstream, .. } = *stream;
        let policy = &live.table().global.streams;
        if protocol == Protocol::Tcp {
            worker.counters.opened(ConnectionState::Writing);
        }
        Self {
            worker: Rc::clone(worker),
            protocol,
            port,
            client,
            upstream_name: live.table().upstream(upstream).map_or_else(|| Arc::from("-"), |u| Arc::clone(&u.name)),
            endpoint: Cell::new(None),
            began: Instant::now(),
            status: Cell::new(200),
            format: policy.access_log.then(|| policy.log_format.clone()),
            counts: Counts::default(),
        }
    }

    pub fn worker(&self) -> &Rc<Worker> {
        &self.worker
    }

    /// The address that a PROXY header gave.
    pub fn client(&mut self, client: SocketAddr) {
        self.client = client;
    }

    /// An endpoint that is tried.
    pub fn endpoint(&self, endpoint: SocketAddr) {
        self.endpoint.set(Some(endpoint));
    }

    /// Appends one piece of the line. Nothing in it needs escaping.
    fn write(&self, segment: &Segment, out: &mut Vec<u8>) {
        let clock = self.worker.clock.borrow();
        // Writing to a Vec cannot fail.
        let _ = match segment {
            Segment::Text(text) => out.write_all(text.as_bytes()),
            Segment::Variable(variable) => match variable {
                Variable::RemoteAddr => write!(out, "{}", self.client.ip()),
                Variable::RemotePort => write!(out, "{}", self.client.port()),
                Variable::ServerPort => write!(out, "{}", self.port),
                Variable::Protocol => write!(out, "{}", self.protocol),
                Variable::Status => write!(out, "{:03}", self.status.get()),
                Variable::BytesSent => write!(out, "{}", self.counts.down.get()),
                Variable::BytesReceived => write!(out, "{}", self.counts.up.get()),
                Variable::SessionTime => {
                    let time = self.began.elapsed();
                    write!(out, "{}.{:03}", time.as_secs(), time.subsec_millis())
                }
                Variable::UpstreamAddr => match self.endpoint.get() {
                    Some(endpoint) => write!(out, "{endpoint}"),
                    None => out.write_all(b"-"),
                },
                Variable::ProxyUpstreamName => out.write_all(self.upstream_name.as_bytes()),
                Variable::TimeLocal => write!(out, "{}", clock.time_local()),
                Variable::TimeIso8601 => write!(out, "{}", clock.time_iso8601()),
                Variable::Msec => write!(out, "{}", clock.msec()),
            },
        };
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
        if let Some(format) = &self.format {
            self.worker.log.line(|out| format.segments().iter().for_each(|segment| self.write(segment, out)));
        }
    }
}
