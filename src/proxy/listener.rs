//! Sockets to accept on: one for each worker and address, sharing the port.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, UdpSocket};

use socket2::{Domain, Protocol, Socket, Type};

/// Where to listen. No address means every one, IPv6 and IPv4 in one socket.
#[derive(Clone, Debug, Default)]
pub struct ListenAddresses {
    pub http: Vec<IpAddr>,
    pub https: Vec<IpAddr>,
    /// 0 takes any free port.
    pub http_port: u16,
    pub https_port: u16,
}

/// Bound sockets: for each worker its own plain and TLS listeners.
#[derive(Debug)]
pub struct Bound {
    pub http: Vec<SocketAddr>,
    pub https: Vec<SocketAddr>,
    /// What was asked for on behalf of plain connections; empty is every address.
    pub(super) addresses: Vec<IpAddr>,
    pub(super) workers: Vec<Sockets>,
}

#[derive(Debug)]
pub(super) struct Sockets {
    pub plain: Vec<TcpListener>,
    pub tls: Vec<TcpListener>,
}

const BACKLOG: i32 = 4096;

impl Bound {
    /// Binds every address once for each worker. Errors name the address.
    pub fn bind(addresses: &ListenAddresses, workers: usize) -> io::Result<Self> {
        let (http, plain) = bind_each(&addresses.http, addresses.http_port, workers.max(1))?;
        let (https, tls) = bind_each(&addresses.https, addresses.https_port, workers.max(1))?;
        let workers = plain.into_iter().zip(tls).map(|(plain, tls)| Sockets { plain, tls }).collect();
        Ok(Self { http, https, addresses: addresses.http.clone(), workers })
    }
}

/// The addresses that were bound, and for each worker its sockets, one an address.
fn bind_each(list: &[IpAddr], port: u16, workers: usize) -> io::Result<(Vec<SocketAddr>, Vec<Vec<TcpListener>>)> {
    let mut bound = Vec::new();
    let mut sockets = Vec::new();
    sockets.resize_with(workers, Vec::new);
    for address in or_any(list) {
        let (actual, shared) = bind_all(SocketAddr::new(address, port), workers)?;
        bound.push(actual);
        sockets.iter_mut().zip(shared).for_each(|(worker, socket)| worker.push(socket));
    }
    Ok((bound, sockets))
}

fn or_any(list: &[IpAddr]) -> Vec<IpAddr> {
    if list.is_empty() { vec![IpAddr::V6(Ipv6Addr::UNSPECIFIED)] } else { list.to_vec() }
}

/// One socket an address; no address means every one. Errors name the address.
pub fn bind(addresses: &[IpAddr], port: u16) -> io::Result<Vec<TcpListener>> {
    let (_, sockets) = bind_each(addresses, port, 1)?;
    Ok(sockets.into_iter().flatten().collect())
}

fn bind_all(address: SocketAddr, workers: usize) -> io::Result<(SocketAddr, Vec<TcpListener>)> {
    let first = with_fallback(address, |address| check_free(address, Protocol::TCP).and_then(|()| listen(address)))?;
    // With port 0 the others take the port that the first was given.
    let actual = first.local_addr()?;
    let mut sockets = vec![first];
    for _ in 1..workers {
        sockets.push(listen(actual).map_err(|error| named(actual, &error))?);
    }
    Ok((actual, sockets))
}

fn named(address: SocketAddr, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{address}: {error}"))
}

/// A host without IPv6 still has every address. Errors name the one that was tried last.
fn with_fallback<T>(address: SocketAddr, open: impl Fn(SocketAddr) -> io::Result<T>) -> io::Result<T> {
    match open(address) {
        Err(error) if error.kind() != io::ErrorKind::AddrInUse && address.ip() == IpAddr::V6(Ipv6Addr::UNSPECIFIED) => {
            let v4 = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), address.port());
            open(v4).map_err(|error| named(v4, &error))
        }
        other => other.map_err(|error| named(address, &error)),
    }
}

/// A socket of one worker for a TCP port. Unless another worker of this process is there already, the port must be
/// free. Errors name the address.
pub(super) fn bind_tcp(address: SocketAddr, shared: bool) -> io::Result<TcpListener> {
    with_fallback(address, |address| {
        if !shared {
            check_free(address, Protocol::TCP)?;
        }
        listen(address)
    })
}

/// The same for a UDP port.
pub(super) fn bind_udp(address: SocketAddr, shared: bool) -> io::Result<UdpSocket> {
    with_fallback(address, |address| {
        if !shared {
            check_free(address, Protocol::UDP)?;
        }
        let socket = socket(address, Protocol::UDP)?;
        socket.set_reuse_port(true)?;
        socket.set_nonblocking(true)?;
        socket.bind(&address.into())?;
        Ok(socket.into())
    })
}

/// A socket whose port this process's other workers may share.
fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = socket(address, Protocol::TCP)?;
    socket.set_reuse_port(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

/// Whether a port is free. Sharing would let a second proxy take half of the first one's connections unnoticed.
fn check_free(address: SocketAddr, protocol: Protocol) -> io::Result<()> {
    socket(address, protocol)?.bind(&address.into())
}

fn socket(address: SocketAddr, protocol: Protocol) -> io::Result<Socket> {
    let kind = if protocol == Protocol::UDP { Type::DGRAM } else { Type::STREAM };
    let socket = Socket::new(Domain::for_address(address), kind, Some(protocol))?;
    if address.is_ipv6() {
        socket.set_only_v6(!address.ip().is_unspecified())?;
    }
    // For UDP it would let anybody share the port.
    socket.set_reuse_address(protocol == Protocol::TCP)?;
    Ok(socket)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn workers_share_a_port_and_others_do_not() {
        let localhost = ListenAddresses { http: vec![Ipv4Addr::LOCALHOST.into()], ..ListenAddresses::default() };
        let addresses = ListenAddresses { https: localhost.http.clone(), ..localhost };
        let bound = Bound::bind(&addresses, 3).unwrap();
        let ports: Vec<u16> = bound.workers.iter().map(|w| w.plain[0].local_addr().unwrap().port()).collect();
        assert_eq!(ports, [bound.http[0].port(); 3]);
        let taken = ListenAddresses { http_port: bound.http[0].port(), ..addresses };
        let error = Bound::bind(&taken, 1).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
        assert!(error.to_string().starts_with(&bound.http[0].to_string()), "{error}");
    }
}
