//! Who of this process has a port open: the first worker must find it free, the others share it with the first.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::net::{TcpListener, UdpSocket};

use crate::proxy::handle::Handle;
use crate::proxy::listener::{bind_tcp, bind_udp};
use crate::table::Protocol;

/// A port on one address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Port {
    pub protocol: Protocol,
    pub address: SocketAddr,
}

/// The ports of TCP and UDP services that are open, or that could not be opened.
#[derive(Debug, Default)]
pub struct Ports(Mutex<HashMap<Port, State>>);

#[derive(Debug)]
enum State {
    /// By that many workers.
    Held(usize),
    /// For this reason, which has been told.
    Failed(String),
}

/// A worker's share in an open port. It must be dropped after the socket.
#[derive(Debug)]
pub struct Held {
    handle: Arc<Handle>,
    port: Port,
}

#[derive(Debug)]
pub enum Socket {
    Tcp(TcpListener),
    Udp(UdpSocket),
}

/// Opens a port for the worker that calls, on its runtime. `None`: it cannot be opened now; the log says why, once.
pub fn open(handle: &Arc<Handle>, port: Port) -> Option<(Socket, Held)> {
    let mut states = handle.ports.lock();
    let held = match states.get(&port) {
        Some(State::Held(held)) => *held,
        Some(State::Failed(_)) | None => 0,
    };
    let error = match bind(port, held > 0) {
        Ok(socket) => {
            states.insert(port, State::Held(held + 1));
            if held == 0 {
                tracing::info!(protocol = %port.protocol, address = %port.address, "port opened");
            }
            return Some((socket, Held { handle: Arc::clone(handle), port }));
        }
        Err(error) => error.to_string(),
    };
    let told = matches!(states.get(&port), Some(State::Failed(before)) if *before == error);
    if !told {
        tracing::error!(protocol = %port.protocol, "a port cannot be opened, it is tried again: {error}");
    }
    if held == 0 {
        states.insert(port, State::Failed(error));
    }
    None
}

fn bind(port: Port, shared: bool) -> io::Result<Socket> {
    Ok(match port.protocol {
        Protocol::Tcp => Socket::Tcp(TcpListener::from_std(bind_tcp(port.address, shared)?)?),
        Protocol::Udp => Socket::Udp(UdpSocket::from_std(bind_udp(port.address, shared)?)?),
    })
}

impl Ports {
    fn lock(&self) -> MutexGuard<'_, HashMap<Port, State>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Forgets the failures of ports that nobody wants any more.
    pub fn forget_failures(&self, wanted: impl Fn(&Port) -> bool) {
        self.lock().retain(|port, state| matches!(state, State::Held(_)) || wanted(port));
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let mut states = self.handle.ports.lock();
        match states.get_mut(&self.port) {
            Some(State::Held(held)) if *held > 1 => *held -= 1,
            _ => {
                states.remove(&self.port);
                tracing::info!(protocol = %self.port.protocol, address = %self.port.address, "port closed");
            }
        }
    }
}
