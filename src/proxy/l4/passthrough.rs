//! TLS that is not ended here: a connection whose SNI names such a host becomes bytes both ways (contract §12).

use std::io;
use std::net::SocketAddr;
use std::rc::Rc;

use rustls::server::Acceptor;
use tokio::net::TcpStream;

use super::log::Session;
use super::tcp;
use crate::base::hostname::Authority;
use crate::proxy::rewound::Rewound;
use crate::proxy::timer::within;
use crate::proxy::worker::Worker;
use crate::table::{Protocol, StreamListener};

/// The most that is read for a ClientHello: one TLS record (RFC 8446 §5.1), as ingress-nginx does.
const MAX_HELLO: usize = 16 * 1024 + 5;

/// Joins a connection of a host that is passed through with its Service, to its end. Any other is given back with what
/// was read of it, to be served as always; `None`: there is nothing left to serve.
pub async fn divert(worker: &Rc<Worker>, stream: TcpStream, client: SocketAddr, port: u16) -> Option<Rewound> {
    let limit = {
        let live = worker.live();
        if live.table().passthrough.is_empty() {
            return Some(Rewound::new([].as_slice(), stream));
        }
        live.table().global.header_timeout
    };
    let (name, read) = within(&worker.timers, limit, read_hello(&stream)).await?.ok()?;
    let live = worker.live();
    let host = name.as_deref().and_then(|name| Authority::parse(name).ok());
    let upstream = host.and_then(|host| live.table().passthrough.get(&*host.host).copied());
    let Some(upstream) = upstream else { return Some(Rewound::new(read, stream)) };
    let listener = StreamListener { protocol: Protocol::Tcp, port, upstream, accept_proxy: false, send_proxy: false };
    let session = Session::begin(worker, &live, &listener, client);
    tcp::join(live, listener, session, stream, tcp::First { header: String::new(), early: read }).await;
    None
}

/// The server name of a ClientHello, and all that was read for it. No name: none is asked for, or it is no ClientHello,
/// which is for whoever serves the connection to say.
async fn read_hello(stream: &TcpStream) -> io::Result<(Option<String>, Vec<u8>)> {
    let mut acceptor = Acceptor::default();
    let mut bytes = Vec::new();
    while bytes.len() < MAX_HELLO {
        stream.readable().await?;
        let mut chunk = [0; 2048];
        let room = MAX_HELLO.saturating_sub(bytes.len()).min(chunk.len());
        let read = match stream.try_read(chunk.get_mut(..room).unwrap_or_default()) {
            Ok(0) => break,
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => continue,
            Err(error) => return Err(error),
        };
        let mut new = chunk.get(..read).unwrap_or_default();
        bytes.extend_from_slice(new);
        while !new.is_empty() {
            if acceptor.read_tls(&mut new).is_err() {
                return Ok((None, bytes));
            }
        }
        match acceptor.accept() {
            Ok(None) => {}
            Ok(Some(accepted)) => return Ok((accepted.client_hello().server_name().map(str::to_owned), bytes)),
            Err(_) => break,
        }
    }
    Ok((None, bytes))
}
