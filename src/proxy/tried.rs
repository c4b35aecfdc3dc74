//! What the access log and metrics say of one try at one endpoint.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use http::StatusCode;

/// One try at one endpoint.
#[derive(Clone, Copy, Debug)]
pub struct Tried {
    pub address: SocketAddr,
    pub connect: Option<Duration>,
    pub header: Option<Duration>,
    pub began: Instant,
    /// How long a failed try took; an answer lasts as long as its body.
    pub failed_after: Option<Duration>,
    pub status: Option<u16>,
    /// Bytes of the heads that were sent and received, where the access log asks for them.
    pub head_bytes: (u64, u64),
}

impl Tried {
    /// A try that begins; `sent` are the bytes of the request's head.
    pub fn begin(address: SocketAddr, sent: u64) -> Self {
        let (connect, header, failed_after, status) = (None, None, None, None);
        Self { address, connect, header, began: Instant::now(), failed_after, status, head_bytes: (sent, 0) }
    }

    /// Notes an answer; `received` are the bytes of its head.
    pub fn answered(&mut self, status: StatusCode, received: u64) {
        self.header = Some(self.began.elapsed());
        self.status = Some(status.as_u16());
        self.head_bytes.1 = received;
    }

    /// Notes a failure, with the status that stands for it.
    pub fn failed(&mut self, status: StatusCode) {
        self.status = Some(status.as_u16());
        self.failed_after = Some(self.began.elapsed());
    }
}
