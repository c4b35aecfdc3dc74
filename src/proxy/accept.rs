//! From a listener to a connection that is served: the PROXY header, whose connection it is, TLS.

use std::net::SocketAddr;
use std::rc::Rc;

use tokio::net::{TcpListener, TcpStream};

use super::connection::{self, Client, Spoken};
use super::l4;
use super::tls;
use super::worker::{ACCEPT_PAUSE, Worker};

/// Accepts until it is dropped; what was accepted goes on.
pub async fn accept(worker: Rc<Worker>, listener: TcpListener, tls: bool) {
    let port = listener.local_addr().map_or(0, |address| address.port());
    loop {
        match listener.accept().await {
            Ok((stream, address)) => {
                worker.counters.accepted();
                worker.serve(serve(Rc::clone(&worker), stream, address, port, tls));
            }
            Err(error) => {
                tracing::warn!(%error, "accepting failed");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn serve(worker: Rc<Worker>, stream: TcpStream, address: SocketAddr, port: u16, tls: bool) {
    // Without it small answers may wait for the client's acknowledgement.
    let _ = stream.set_nodelay(true);
    let wanted = {
        let live = worker.live();
        let trust = &live.table().global.trust;
        trust.proxy_protocol.then_some(trust.proxy_header_timeout)
    };
    let proxied = match wanted {
        None => None,
        Some(limit) => match Box::pin(l4::proxy_header::take(&worker, &stream, limit)).await {
            Ok(ends) => ends,
            Err(error) => {
                tracing::debug!(client = %address, port, %error, "no PROXY header came");
                return;
            }
        },
    };
    let client = Client::new(address, tls, port, proxied);
    if !tls {
        return connection::serve(worker, stream, client, Spoken::Either).await;
    }
    Box::pin(serve_tls(worker, stream, client)).await;
}

/// What takes much memory is in a box of its own: first the handshake, then the session.
async fn serve_tls(worker: Rc<Worker>, stream: TcpStream, mut client: Client) {
    let port = client.port;
    let source = worker.live().table().global.trust.source(client.address, client.proxied);
    let Some(stream) = Box::pin(l4::passthrough::divert(&worker, stream, source, port)).await else { return };
    if let Some((stream, session, spoken)) = Box::pin(tls::accept(&worker, stream)).await {
        client.session = Some(Box::new(session));
        Box::pin(connection::serve(worker, stream, client, spoken)).await;
    }
}
