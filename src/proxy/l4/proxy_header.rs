//! Takes a PROXY header off a connection, and not a byte more: what follows is whoever comes next's.

use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use tokio::net::TcpStream;

use super::proxy_protocol::{self, MAX_HEADER};
use crate::policy::forwarded::Ends;
use crate::proxy::timer::within;
use crate::proxy::worker::Worker;

/// Reads the header. `Ok(None)`: it speaks for its sender alone, the connection's own addresses hold. Errors: it is none,
/// or not whole within `limit`.
pub async fn take(worker: &Rc<Worker>, client: &TcpStream, limit: Duration) -> io::Result<Option<Ends>> {
    let read = within(&worker.timers, limit, read(client)).await;
    read.unwrap_or_else(|| Err(io::ErrorKind::TimedOut.into()))
}

async fn read(client: &TcpStream) -> io::Result<Option<Ends>> {
    let mut bytes = Vec::with_capacity(256);
    loop {
        let known = bytes.len();
        let mut chunk = [0; 512];
        let room = MAX_HEADER.saturating_sub(known).min(chunk.len());
        let seen = client.peek(chunk.get_mut(..room).unwrap_or_default()).await?;
        if seen == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        bytes.extend_from_slice(chunk.get(..seen).unwrap_or_default());
        let header = proxy_protocol::parse(&bytes);
        // All that was seen belongs to a header that has not ended; of what is none, because bytes that nobody has read
        // would make the end a reset.
        let length = header.ok().flatten().map_or(seen, |header| header.length.saturating_sub(known));
        consume(client, chunk.get_mut(..length).unwrap_or_default()).await?;
        if let Some(header) = header.map_err(io::Error::other)? {
            let canonical = |address: SocketAddr| SocketAddr::new(address.ip().to_canonical(), address.port());
            return Ok(header.addresses.map(|(from, to)| (canonical(from), canonical(to))));
        }
    }
}

/// Reads what was seen before.
async fn consume(client: &TcpStream, mut bytes: &mut [u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        client.readable().await?;
        match client.try_read(bytes) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(read) => bytes = bytes.get_mut(read..).unwrap_or_default(),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
