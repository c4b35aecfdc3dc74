//! TCP and UDP services: ports that are open while their upstream has endpoints (contract §18).
//!
//! Each worker follows the table in force and opens its own sockets; [`ports`] keeps the workers from taking each other
//! for somebody else. Connections and sessions that are open outlive a change of the table.

mod log;
pub mod passthrough;
mod ports;
pub mod proxy_header;
pub mod proxy_protocol;
mod relay;
mod sessions;
mod tcp;
mod udp;

use std::cell::RefCell;
use std::collections::{HashMap, HashSet};
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::UdpSocket;
use tokio::task::{JoinHandle, spawn_local};

pub use ports::Ports;
use ports::{Port, Socket};

use super::live::UpstreamState;
use super::worker::{LocalLive, Worker};
use crate::table::{Protocol, StreamListener};

/// The most that is read at once: no datagram is longer.
const READ: usize = 64 * 1024;
/// When a port that could not be opened is tried again, if no change comes first.
const RETRY: Duration = Duration::from_secs(5);

/// One worker's share.
#[derive(Debug)]
pub struct Local {
    /// What is read passes through it within one poll, so that a connection that waits holds no buffer.
    scratch: RefCell<Box<[u8]>>,
    sessions: RefCell<udp::Sessions>,
    /// Sockets through which the last answers go while the proxy drains.
    draining: RefCell<Vec<Rc<UdpSocket>>>,
}

impl Default for Local {
    fn default() -> Self {
        Self {
            scratch: RefCell::new(vec![0; READ].into()),
            sessions: RefCell::new(udp::Sessions::new(udp::SESSIONS)),
            draining: RefCell::default(),
        }
    }
}

impl Local {
    /// Ends what is left of sessions, for the end of the worker. They hold it, so that it would not be dropped otherwise.
    pub fn close(&self) {
        let ended = self.sessions.borrow_mut().remove_all(|_| true);
        drop(ended);
        self.draining.borrow_mut().clear();
    }
}

/// A port that this worker has open; it closes when this is dropped.
#[derive(Debug)]
struct Open(JoinHandle<()>);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Opens and closes ports as tables and endpoints change, until it is dropped.
pub async fn follow(worker: Rc<Worker>) {
    let mut changes = worker.handle.changes.subscribe();
    let mut open: HashMap<Port, Open> = HashMap::new();
    loop {
        changes.mark_unchanged();
        let wanted = wanted(&worker);
        worker.handle.ports.forget_failures(|port| wanted.contains(port));
        open.retain(|port, task| wanted.contains(port) && !task.0.is_finished());
        let mut failed = false;
        for port in wanted {
            if open.contains_key(&port) {
                continue;
            }
            match ports::open(&worker.handle, port) {
                Some((Socket::Tcp(listener), held)) => {
                    let task = tcp::accept(Rc::clone(&worker), listener, port.address.port(), held);
                    open.insert(port, Open(spawn_local(task)));
                }
                Some((Socket::Udp(socket), held)) => {
                    let task = udp::receive(Rc::clone(&worker), socket, port.address.port(), held);
                    open.insert(port, Open(spawn_local(task)));
                }
                None => failed = true,
            }
        }
        // The sender lives as long as the handle, which the worker holds.
        let changed = changes.changed();
        let _ = if failed { tokio::time::timeout(RETRY, changed).await } else { Ok(changed.await) };
    }
}

/// The ports that are to be open: those whose upstream has an endpoint, on every address.
fn wanted(worker: &Worker) -> HashSet<Port> {
    const ANY: &[IpAddr] = &[IpAddr::V6(Ipv6Addr::UNSPECIFIED)];
    let live = worker.live();
    let addresses = worker.handle.stream_addresses();
    let addresses = if addresses.is_empty() { ANY } else { addresses };
    let served =
        live.table().streams.iter().filter(|s| upstream(&live, s).is_some_and(|u| !u.endpoints.load().is_empty()));
    let port = |stream: &StreamListener, address: &IpAddr| Port {
        protocol: stream.protocol,
        address: SocketAddr::new(*address, stream.port),
    };
    served.flat_map(|stream| addresses.iter().map(move |address| port(stream, address))).collect()
}

/// What a port leads to in the table in force; `None` when it has just been taken away.
fn listener(live: &LocalLive, protocol: Protocol, port: u16) -> Option<(StreamListener, Arc<UpstreamState>)> {
    let stream = live.table().stream(protocol, port)?;
    Some((*stream, Arc::clone(upstream(live, stream)?)))
}

fn upstream<'a>(live: &'a LocalLive, stream: &StreamListener) -> Option<&'a Arc<UpstreamState>> {
    live.live().upstreams.get(stream.upstream as usize)
}
