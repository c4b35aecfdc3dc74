//! TCP services: a connection to an endpoint for each of the client's, PROXY headers in and out.

use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};

use super::log::Session;
use super::ports::Held;
use super::{proxy_header, proxy_protocol, relay};
use crate::policy::stream::StreamPolicy;
use crate::proxy::live::UpstreamState;
use crate::proxy::timer::within;
use crate::proxy::upstream::balance;
use crate::proxy::worker::{ACCEPT_PAUSE, LocalLive, Worker};
use crate::table::{Protocol, StreamListener};

/// For one endpoint to take a connection.
const CONNECT: Duration = Duration::from_secs(5);
/// For a client's PROXY header to be there whole.
const HEADER: Duration = Duration::from_secs(5);

/// Accepts until it is dropped, which closes the port; what was accepted goes on.
pub async fn accept(worker: Rc<Worker>, listener: TcpListener, port: u16, held: Held) {
    // In this order they are dropped: the port is given back when it is closed.
    let (_held, listener) = (held, listener);
    loop {
        match listener.accept().await {
            Ok((stream, address)) => {
                worker.counters.accepted();
                worker.serve(serve(Rc::clone(&worker), stream, address, port));
            }
            Err(error) => {
                tracing::warn!(%error, port, "accepting failed");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn serve(worker: Rc<Worker>, client: TcpStream, address: SocketAddr, port: u16) {
    let live = worker.live();
    let Some((listener, _)) = super::listener(&live, Protocol::Tcp, port) else { return };
    let source = canonical(address);
    let mut session = Session::begin(&worker, &live, &listener, source);
    let _ = client.set_nodelay(true);
    let own = client.local_addr().map_or(source, canonical);
    let proxied = match listener.accept_proxy {
        true => proxy_header::take(&worker, &client, HEADER).await,
        false => Ok(None),
    };
    let ends = match proxied {
        Ok(proxied) => live.table().global.trust.heard(source, proxied).unwrap_or((source, own)),
        Err(error) => {
            tracing::debug!(client = %address, port, %error, "no PROXY header came");
            session.status(400);
            return;
        }
    };
    session.client(ends.0);
    let header = match listener.send_proxy {
        true => proxy_protocol::version1_line(ends.0, ends.1),
        false => String::new(),
    };
    join(live, listener, session, client, First { header, early: Vec::new() }).await;
}

/// What an endpoint is sent before the client's further bytes.
#[derive(Debug)]
pub struct First {
    /// The proxy's own word.
    pub header: String,
    /// What the client has sent already.
    pub early: Vec<u8>,
}

/// Joins a client with an endpoint of the listener's upstream, until both have ended.
pub async fn join(
    live: Rc<LocalLive>,
    listener: StreamListener,
    session: Session,
    client: TcpStream,
    First { header, early }: First,
) {
    let worker = Rc::clone(session.worker());
    let policy = live.table().global.streams.clone();
    let Some(upstream) = super::upstream(&live, &listener).map(Arc::clone) else { return };
    let Some(connection) = connect(&live, &listener, &upstream, &policy, &session).await else {
        session.status(502);
        return;
    };
    // The table may be long gone before the connection is.
    drop((live, upstream));
    let first = [header.as_bytes(), &early].concat();
    let sent = within(&worker.timers, policy.idle, relay::write_all(&connection, &first, |_| {})).await;
    if !matches!(sent, Some(Ok(()))) {
        session.status(502);
        return;
    }
    session.counts.up.set(early.len() as u64);
    drop((header, early, first));
    relay::relay(&worker, client, connection, policy.idle, &session.counts).await;
}

/// Connects to an endpoint, or to the next one, as often as the settings say.
async fn connect(
    live: &LocalLive,
    listener: &StreamListener,
    upstream: &Arc<UpstreamState>,
    policy: &StreamPolicy,
    session: &Session,
) -> Option<TcpStream> {
    let worker = session.worker();
    let began = worker.timers.now();
    let mut tried = Vec::new();
    loop {
        let endpoints = Arc::clone(&upstream.endpoints.load());
        let position = live.next(listener.upstream, || worker.random() as u32);
        let address = balance::pick(&endpoints, position, |address| tried.contains(&address))?;
        session.endpoint(address);
        let error = match within(&worker.timers, CONNECT, TcpStream::connect(address)).await {
            Some(Ok(stream)) => {
                let _ = stream.set_nodelay(true);
                return Some(stream);
            }
            Some(Err(error)) => error.to_string(),
            None => "it took too long".to_owned(),
        };
        tracing::warn!(port = listener.port, endpoint = %address, %error, "an endpoint cannot be reached");
        tried.push(address);
        let attempts = u32::try_from(tried.len()).unwrap_or(u32::MAX);
        let elapsed = worker.timers.now().saturating_duration_since(began);
        if !policy.again(attempts, elapsed, endpoints.len()) {
            return None;
        }
    }
}

/// One socket may take both families; a client of IPv4 is one.
fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}
