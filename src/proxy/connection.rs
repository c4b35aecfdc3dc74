//! One client connection: who is at its other end, which protocol it speaks, and who answers its requests.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use http::{HeaderValue, Version};
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};

use super::activity::{Activity, Limits};
use super::ending::{CLOSING, Ending, Ran};
use super::io::Watched;
use super::phases;
use super::rewound::Rewound;
use super::tls::session::Session;
use super::worker::{LocalExecutor, Worker};
use crate::policy::forwarded::Ends;

/// Header lines of a request.
const MAX_HEADERS: usize = 256;
/// Bytes of one HTTP/2 stream's answer that wait for a client that takes nothing; a connection has many streams.
const SEND_BUFFER: usize = 64 * 1024;

/// What a connection is to its requests.
#[derive(Debug)]
pub struct Client {
    pub address: SocketAddr,
    /// The address without port, as a header value.
    pub address_value: HeaderValue,
    pub tls: bool,
    /// The listener's port.
    pub port: u16,
    /// The port presented upstream: the listener's, 443 for TLS.
    pub port_value: HeaderValue,
    /// Source and destination that its PROXY header gave, which is believed only from who may speak for others.
    pub proxied: Option<Ends>,
    /// What the handshake of a TLS connection came to.
    pub session: Option<Box<Session>>,
}

impl Client {
    pub fn new(address: SocketAddr, tls: bool, port: u16, proxied: Option<Ends>) -> Self {
        let canonical = SocketAddr::new(address.ip().to_canonical(), address.port());
        let text = |text: String| HeaderValue::from_maybe_shared(text).unwrap_or(HeaderValue::from_static("-"));
        Self {
            address: canonical,
            address_value: text(canonical.ip().to_string()),
            tls,
            port,
            port_value: text(if tls { 443 } else { port }.to_string()),
            proxied,
            session: None,
        }
    }

    pub fn scheme(&self) -> &'static str {
        if self.tls { "https" } else { "http" }
    }
}

/// Which protocols a connection may speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spoken {
    /// HTTP/1, or HTTP/2 with prior knowledge.
    Either,
    Http1,
    Http2,
}

/// What an HTTP/2 client with prior knowledge begins with (RFC 9113 §3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Which protocol a client speaks that began with `bytes`; `None` while that could be either.
fn speaks(bytes: &[u8]) -> Option<Spoken> {
    let length = bytes.len().min(PREFACE.len());
    match bytes.get(..length) == PREFACE.get(..length) {
        true => (length == PREFACE.len()).then_some(Spoken::Http2),
        false => Some(Spoken::Http1),
    }
}

/// Serves a connection to its end.
pub async fn serve<S>(worker: Rc<Worker>, stream: S, client: Client, spoken: Spoken)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let settings = Settings::of(&worker);
    let activity = Activity::new(&worker);
    let mut ending = Ending::new(&worker, &activity, settings.limits);
    let mut stream = Rewound::new(Bytes::new(), stream);
    let spoken = match spoken {
        Spoken::Either if settings.http2 => match ending.first(&mut stream, speaks).await {
            Some(spoken) => spoken,
            None => return,
        },
        Spoken::Either => Spoken::Http1,
        known => known,
    };
    let service = {
        let (activity, client) = (Rc::clone(&activity), Rc::new(client));
        service_fn(move |request: http::Request<Incoming>| {
            let (worker, client, activity) = (Rc::clone(&worker), Rc::clone(&client), Rc::clone(&activity));
            activity.signs.http2.store(request.version() == Version::HTTP_2, Ordering::Relaxed);
            async move { Ok::<_, Infallible>(phases::respond(worker, client, activity, request).await) }
        })
    };
    if spoken == Spoken::Http2 {
        let io = TokioIo::new(Watched::new(stream, Arc::clone(&activity.signs)));
        let mut connection = Box::pin(settings.http2().serve_connection(io, service));
        ending.run(connection.as_mut(), false).await;
        return;
    }
    // A connection that nothing happens on is its stream, and no more: hyper holds buffers for it.
    while ending.first(&mut stream, |bytes| (!bytes.is_empty()).then_some(())).await.is_some() {
        let io = TokioIo::new(Watched::new(stream, Arc::clone(&activity.signs)));
        let mut connection = Box::new(settings.http1().serve_connection(io, &service).with_upgrades());
        if ending.run(Pin::new(&mut *connection), true).await == Ran::Over {
            return;
        }
        let Some(parts) = connection.into_parts() else { return };
        stream = parts.io.into_inner().into_inner();
        stream.rewind(parts.read_buf);
    }
}

/// What of the table in force when a connection begins holds for all of it.
struct Settings {
    limits: Limits,
    keep_alive: bool,
    http2: bool,
    streams: u32,
    /// The largest head, in bytes.
    head: usize,
}

impl Settings {
    fn of(worker: &Worker) -> Self {
        let live = worker.live();
        let global = &live.table().global;
        Self {
            // hyper itself ends a connection that must not be kept; the limit is for those that it keeps.
            limits: Limits { head: global.header_timeout, idle: global.keep_alive.max(CLOSING) },
            keep_alive: !global.keep_alive.is_zero(),
            http2: global.http2,
            streams: global.http2_max_streams.max(1),
            head: global.head.buffer(),
        }
    }

    fn header_list(&self) -> u32 {
        u32::try_from(self.head).unwrap_or(u32::MAX)
    }

    fn http1(&self) -> http1::Builder {
        let mut builder = http1::Builder::new();
        builder.keep_alive(self.keep_alive).max_buf_size(self.head).max_headers(MAX_HEADERS);
        builder
    }

    fn http2(&self) -> http2::Builder<LocalExecutor> {
        let mut builder = http2::Builder::new(LocalExecutor);
        builder.max_concurrent_streams(self.streams).max_header_list_size(self.header_list());
        builder.max_send_buf_size(SEND_BUFFER);
        builder
    }
}
