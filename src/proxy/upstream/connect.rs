//! New connections to endpoints.

use std::cell::Cell;
use std::future::poll_fn;
use std::net::SocketAddr;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use hyper::client::conn::http2;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::task::spawn_local;

use super::Failure;
use super::h1::{Connection, Stream};
use super::pool::{MAX_STREAMS, Sender};
use super::tls::ClientTls;
use crate::proxy::body::RequestBody;
use crate::proxy::fastcgi::{self, Params};
use crate::proxy::timer::within;
use crate::proxy::worker::{LocalExecutor, Worker};

/// The most a response's head may take in memory, whatever `proxy-buffer-size` says.
const MAX_HEAD: u32 = 128 * 1024;
/// Bytes that one stream may have in flight. The connection has room for all of them, so that no client that stops
/// reading stops the others.
const STREAM_WINDOW: u32 = 256 * 1024;

/// How an endpoint is to be spoken to.
#[derive(Clone, Debug)]
pub struct Transport {
    pub http2: bool,
    /// FastCGI in place of HTTP, with what the one request of the connection is about.
    pub fastcgi: Option<Rc<Params>>,
    pub tls: Option<Arc<ClientTls>>,
}

/// Connects within `limit`, the TLS handshake included.
pub async fn connect(
    worker: &Rc<Worker>,
    address: SocketAddr,
    transport: &Transport,
    limit: Duration,
) -> Result<Sender, Failure> {
    let connecting = async {
        let stream = TcpStream::connect(address).await.map_err(|_| Failure::Connect)?;
        let _ = stream.set_nodelay(true);
        if let Some(params) = &transport.fastcgi {
            return speak(Stream::Pipe(fastcgi::http(stream, Rc::clone(params))), false).await;
        }
        match &transport.tls {
            None => speak(Stream::Plain(stream), transport.http2).await,
            Some(tls) => {
                let connector = tls.connector.as_ref().ok_or(Failure::Tls)?;
                let stream = connector.connect(tls.name.clone(), stream).await.map_err(|_| Failure::Tls)?;
                speak(Stream::Tls(Box::new(stream)), transport.http2).await
            }
        }
    };
    within(&worker.timers, limit, connecting).await.unwrap_or(Err(Failure::ConnectTimeout))
}

async fn speak(stream: Stream, http2: bool) -> Result<Sender, Failure> {
    if !http2 {
        return Ok(Sender::Http1(Connection::new(stream)));
    }
    let mut builder = http2::Builder::new(LocalExecutor);
    builder
        .max_header_list_size(MAX_HEAD)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(STREAM_WINDOW * MAX_STREAMS);
    let handshake = builder.handshake::<_, RequestBody>(TokioIo::new(stream));
    let (sender, mut connection) = handshake.await.map_err(|_| Failure::Connect)?;
    let allowed = Rc::new(Cell::new(connection.current_max_send_streams()));
    let current = Rc::clone(&allowed);
    spawn_local(poll_fn(move |cx| {
        let polled = Pin::new(&mut connection).poll(cx).map(drop);
        current.set(connection.current_max_send_streams());
        polled
    }));
    Ok(Sender::Http2 { sender, allowed })
}
