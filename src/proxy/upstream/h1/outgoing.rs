//! A request on its way out: its head and what of its body is at hand in one write, the rest as it comes.

use std::io::{self, IoSlice, Write as _};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf as _, Bytes};
use http::header::{self, HeaderMap};
use http::{Version, request};
use http_body::{Body as _, Frame};
use tokio::io::AsyncWrite;

use super::super::Failure;
use super::stream::Stream;
use crate::proxy::body::RequestBody;

/// Pieces of a body up to this size are copied to the bytes before them; larger ones are written from where they are.
const SMALL: usize = 8 * 1024;
/// As much is gathered before it is written.
const GATHERED: usize = 16 * 1024;

/// How a request's body is framed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Framing {
    /// Bytes that are promised and were not gathered yet.
    Length(u64),
    Chunked,
}

#[derive(Debug)]
pub struct Outgoing {
    /// What is written first: the head, chunk sizes, small pieces.
    bytes: Vec<u8>,
    written: usize,
    /// What is written then.
    piece: Bytes,
    /// The end of line after a chunk in `piece`.
    end: &'static [u8],
    framing: Framing,
    /// What is still to come of the body.
    body: Option<RequestBody>,
    /// Something was handed to the stream that it may hold back.
    unflushed: bool,
}

/// Why writing ended early.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The body's source failed, or was not as long as it said.
    Body,
    /// The connection did.
    Connection,
}

impl From<Fault> for Failure {
    fn from(_: Fault) -> Self {
        Self::Broken
    }
}

impl Default for Outgoing {
    fn default() -> Self {
        Self {
            bytes: Vec::new(),
            written: 0,
            piece: Bytes::new(),
            end: b"",
            framing: Framing::Length(0),
            body: None,
            unflushed: false,
        }
    }
}

impl Outgoing {
    /// Begins a request. Its framing is what its headers say, and what its body knows of itself if they say nothing.
    pub fn begin(&mut self, parts: &request::Parts, body: RequestBody) {
        self.bytes.clear();
        self.written = 0;
        write_head(&mut self.bytes, parts);
        self.framing = match stated(&parts.headers) {
            Some(framing) => framing,
            None => match body.size_hint().exact() {
                _ if body.is_end_stream() => Framing::Length(0),
                Some(length) => {
                    // Writing to memory does not fail.
                    let _ = write!(self.bytes, "content-length: {length}\r\n");
                    Framing::Length(length)
                }
                None => {
                    self.bytes.extend_from_slice(b"transfer-encoding: chunked\r\n");
                    Framing::Chunked
                }
            },
        };
        self.bytes.extend_from_slice(b"\r\n");
        self.body = Some(body);
    }

    /// Whether all of the request was written.
    pub fn is_done(&self) -> bool {
        self.body.is_none() && self.is_written() && !self.unflushed
    }

    fn is_written(&self) -> bool {
        self.bytes.len() == self.written && self.piece.is_empty() && self.end.is_empty()
    }

    /// Forgets the request. Its memory stays for the next one, unless it is much.
    pub fn clear(&mut self) {
        let mut bytes = std::mem::take(&mut self.bytes);
        bytes.clear();
        bytes.shrink_to(SMALL);
        *self = Self { bytes, ..Self::default() };
    }

    /// Writes until all is written, or until the stream or the body has to be waited for.
    pub fn poll(&mut self, io: &mut Stream, cx: &mut Context<'_>) -> Poll<Result<(), Fault>> {
        loop {
            let waits = self.gather(cx)?;
            while !self.is_written() {
                let written = ready!(self.poll_write(io, cx)).map_err(|_| Fault::Connection)?;
                self.advance(written);
                self.unflushed = true;
            }
            self.bytes.clear();
            self.written = 0;
            if self.unflushed {
                ready!(Pin::new(&mut *io).poll_flush(cx)).map_err(|_| Fault::Connection)?;
                self.unflushed = false;
            }
            if self.body.is_none() {
                return Poll::Ready(Ok(()));
            }
            if waits {
                return Poll::Pending;
            }
        }
    }

    /// Takes what the body has at hand, as much as one write should have. Whether the body must be waited for.
    fn gather(&mut self, cx: &mut Context<'_>) -> Result<bool, Fault> {
        while self.piece.is_empty() && self.end.is_empty() && self.bytes.len() < GATHERED {
            let Some(body) = &mut self.body else { return Ok(false) };
            match Pin::new(body).poll_frame(cx) {
                Poll::Ready(Some(Ok(frame))) => self.take(frame)?,
                Poll::Ready(Some(Err(_))) => return Err(Fault::Body),
                Poll::Ready(None) => self.finish()?,
                Poll::Pending => return Ok(true),
            }
        }
        Ok(false)
    }

    fn take(&mut self, frame: Frame<Bytes>) -> Result<(), Fault> {
        // HTTP/1 upstreams get no trailers: they could be taken for headers that we set.
        let Ok(data) = frame.into_data() else { return Ok(()) };
        if data.is_empty() {
            return Ok(());
        }
        if let Framing::Length(left) = &mut self.framing {
            *left = left.checked_sub(data.len() as u64).ok_or(Fault::Body)?;
        }
        if self.framing == Framing::Chunked {
            let _ = write!(self.bytes, "{:x}\r\n", data.len());
        }
        let end: &'static [u8] = if self.framing == Framing::Chunked { b"\r\n" } else { b"" };
        if data.len() <= SMALL {
            self.bytes.extend_from_slice(&data);
            self.bytes.extend_from_slice(end);
        } else {
            self.piece = data;
            self.end = end;
        }
        // A declared length that is reached is the end: the source may have no other way to say so.
        if self.framing == Framing::Length(0) { self.finish() } else { Ok(()) }
    }

    fn finish(&mut self) -> Result<(), Fault> {
        match self.framing {
            Framing::Length(0) => {}
            Framing::Length(_) => return Err(Fault::Body),
            Framing::Chunked => self.bytes.extend_from_slice(b"0\r\n\r\n"),
        }
        self.body = None;
        Ok(())
    }

    fn poll_write(&self, io: &mut Stream, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let first = self.bytes.get(self.written..).unwrap_or_default();
        let polled = if self.piece.is_empty() && self.end.is_empty() {
            Pin::new(io).poll_write(cx, first)
        } else {
            let parts = [IoSlice::new(first), IoSlice::new(&self.piece), IoSlice::new(self.end)];
            Pin::new(io).poll_write_vectored(cx, &parts)
        };
        match ready!(polled)? {
            0 => Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
            written => Poll::Ready(Ok(written)),
        }
    }

    fn advance(&mut self, written: usize) {
        let first = written.min(self.bytes.len().saturating_sub(self.written));
        self.written += first;
        let piece = (written - first).min(self.piece.len());
        self.piece.advance(piece);
        self.end = self.end.get(written - first - piece..).unwrap_or_default();
    }
}

/// The framing that a request's headers name.
fn stated(headers: &HeaderMap) -> Option<Framing> {
    if headers.contains_key(header::TRANSFER_ENCODING) {
        return Some(Framing::Chunked);
    }
    let length = headers.get(header::CONTENT_LENGTH)?.to_str().ok()?;
    length.parse().ok().map(Framing::Length)
}

/// Request line and header lines, without the empty line after them.
fn write_head(out: &mut Vec<u8>, parts: &request::Parts) {
    out.extend_from_slice(parts.method.as_str().as_bytes());
    out.push(b' ');
    let target = parts.uri.path_and_query().map_or("/", |target| target.as_str());
    out.extend_from_slice(target.as_bytes());
    let version: &[u8] = if parts.version == Version::HTTP_10 { b" HTTP/1.0\r\n" } else { b" HTTP/1.1\r\n" };
    out.extend_from_slice(version);
    for (name, value) in &parts.headers {
        out.extend_from_slice(name.as_str().as_bytes());
        out.extend_from_slice(b": ");
        out.extend_from_slice(value.as_bytes());
        out.extend_from_slice(b"\r\n");
    }
}
