//! Upgraded connections (RFC 9110 §7.8): asked for by the client, granted by the upstream, then bytes both ways.

use std::cell::Cell;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use http::header::{self, HeaderMap, HeaderValue};
use http::{Version, request};
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf, copy_bidirectional_with_sizes};

use super::exchange::Tunnel;
use super::rewound::Rewound;
use super::timer::{Deadline, Timers};
use super::upstream::h1::Stream;
use super::worker::Worker;
use crate::policy::headers::asks_upgrade;

/// Bytes in flight each way of one tunnel.
const BUFFER: usize = 16 * 1024;

/// An upgrade that a client asked for.
#[derive(Debug)]
pub struct Upgrade {
    /// `Upgrade` as sent.
    pub protocol: HeaderValue,
    on: OnUpgrade,
}

/// The client's wish to switch, if it has one that HTTP/1.1 allows.
pub fn asked<B>(request: &mut http::Request<B>) -> Option<Upgrade> {
    if request.version() != Version::HTTP_11 || !asks_upgrade(request.headers()) {
        return None;
    }
    let protocol = request.headers().get(header::UPGRADE)?.clone();
    Some(Upgrade { protocol, on: hyper::upgrade::on(request) })
}

impl Upgrade {
    /// Tells the upstream. Its `Connection` names nothing else of the client's.
    pub fn announce(&self, parts: &mut request::Parts) {
        parts.headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
        parts.headers.insert(header::UPGRADE, self.protocol.clone());
    }

    /// Whether an answer of 101 is the switch that was asked for. HTTP/2 is refused: a tunnel of it would carry requests
    /// past every rule (h2c smuggling).
    pub fn is_granted_by(&self, headers: &HeaderMap) -> bool {
        let token = |value: &HeaderValue| value.to_str().map(|v| v.trim().to_ascii_lowercase()).unwrap_or_default();
        let granted = headers.get(header::UPGRADE).map(token).unwrap_or_default();
        let asked = token(&self.protocol);
        !granted.is_empty() && asked.split(',').any(|a| a.trim() == granted) && !matches!(&*granted, "h2c" | "h2")
    }

    /// Joins both sides once both have switched, until one ends or nothing moves for `idle`.
    pub async fn tunnel(self, worker: Rc<Worker>, upstream: Rewound<Stream>, idle: Duration, exchange: Tunnel) {
        let _tracked = worker.track();
        let Ok(client) = self.on.await else { return };
        let (moved, sent, got) = (Cell::new(false), Cell::new(0), Cell::new(0));
        let mut client = Moving { inner: TokioIo::new(client), moved: &moved, bytes: &got };
        let mut upstream = Moving { inner: upstream, moved: &moved, bytes: &sent };
        let copying = copy_bidirectional_with_sizes(&mut client, &mut upstream, BUFFER, BUFFER);
        tokio::select! {
            _ = copying => {}
            () = idled(&worker.timers, idle, &moved) => {}
        }
        if let Some(mut exchange) = exchange.take() {
            exchange.tunnelled(got.get(), sent.get());
        }
    }
}

/// Comes back once nothing has moved for `idle`: looked at once in that time, so after at most twice as long.
async fn idled(timers: &Rc<Timers>, idle: Duration, moved: &Cell<bool>) {
    let deadline = Deadline::after(timers, idle);
    loop {
        deadline.expired().await;
        if !moved.replace(false) {
            return;
        }
        deadline.reset(idle);
    }
}

/// Notes that bytes moved, and how many were read.
struct Moving<'a, S> {
    inner: S,
    moved: &'a Cell<bool>,
    bytes: &'a Cell<u64>,
}

impl<S: AsyncRead + Unpin> AsyncRead for Moving<'_, S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let result = Pin::new(&mut self.inner).poll_read(cx, buf);
        let read = buf.filled().len().saturating_sub(before);
        if read > 0 {
            self.moved.set(true);
            self.bytes.set(self.bytes.get() + read as u64);
        }
        result
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Moving<'_, S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}
