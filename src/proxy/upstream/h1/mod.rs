//! HTTP/1 with endpoints: one connection, one request at a time, its answer read by whoever takes the body.
//!
//! A codec of our own in place of hyper's client, whose connections are tasks: here a request costs no message to
//! another task and back, an idle connection holds no buffer, and what could be read in two ways is refused as nginx
//! refuses it. hyper's client is what its tests compare it with.

mod body;
mod chunked;
mod head;
mod outgoing;
mod stream;
#[cfg(test)]
mod tests;

use std::cell::RefCell;
use std::future::poll_fn;
use std::mem::MaybeUninit;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll, Waker, ready};

use bytes::{Bytes, BytesMut};
use http::{Method, Response, StatusCode, header, request};
use tokio::io::{AsyncRead as _, AsyncReadExt as _, ReadBuf};
use tokio::task::spawn_local;

use self::chunked::{Decoder, Piece};
use self::head::{Framing, Head};
use self::outgoing::{Fault, Outgoing};
use super::Failure;
use crate::proxy::body::RequestBody;

pub use self::body::Body;
pub use self::stream::Stream;

/// Bytes that one read takes: of a head and what comes with it, and of a body that is known to be longer.
const READ: usize = 8 * 1024;
const READ_MORE: usize = 64 * 1024;
/// The most a head may take in memory, whatever `proxy-buffer-size` says.
const MAX_HEAD: usize = 128 * 1024;
/// Interim answers before the final one.
const MAX_INTERIM: u32 = 32;

/// What is left to read of an answer.
#[derive(Debug)]
enum Reading {
    /// Its head, or nothing is asked.
    Head,
    Length(u64),
    Chunked(Decoder),
    /// Until the connection ends.
    Close,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Another request may be sent.
    Idle,
    Busy,
    /// The request or its answer broke off, or was the last one.
    Ended,
}

/// A connection to an endpoint. Whoever holds its lease and whoever reads its answer share it.
#[derive(Debug)]
pub struct Connection {
    /// `None` once it has ended or was taken.
    io: Option<Stream>,
    state: State,
    read: BytesMut,
    /// Bytes of `read` that were looked through for the end of a head.
    seen: usize,
    out: Outgoing,
    reading: Reading,
    to_head: bool,
    /// Another request may follow this one.
    persists: bool,
    interim: u32,
    /// The task that writes what is left of a request whose answer has come already.
    writer: Option<Waker>,
}

pub type Shared = Rc<RefCell<Connection>>;

impl Connection {
    pub fn new(io: Stream) -> Shared {
        Rc::new(RefCell::new(Self {
            io: Some(io),
            state: State::Idle,
            read: BytesMut::new(),
            seen: 0,
            out: Outgoing::default(),
            reading: Reading::Head,
            to_head: false,
            persists: true,
            interim: 0,
            writer: None,
        }))
    }

    /// Whether a request may be sent: nothing came that nobody asked for, not even an end.
    pub fn is_idle(&mut self) -> bool {
        let Some(io) = self.io.as_mut().filter(|_| self.state == State::Idle) else { return false };
        let mut space = [0; 1];
        let mut unasked = ReadBuf::new(&mut space);
        Pin::new(io).poll_read(&mut Context::from_waker(Waker::noop()), &mut unasked).is_pending()
    }

    /// Ends the connection, whoever still holds it.
    pub fn end(&mut self) {
        self.state = State::Ended;
        self.io = None;
        self.read = BytesMut::new();
        self.out = Outgoing::default();
        if let Some(writer) = self.writer.take() {
            writer.wake();
        }
    }

    /// The stream after a switch of protocols, and what was read of it already.
    pub fn take(&mut self) -> Option<(Bytes, Stream)> {
        let stream = self.io.take()?;
        let read = std::mem::take(&mut self.read).freeze();
        self.end();
        Some((read, stream))
    }

    fn begin(&mut self, parts: &request::Parts, body: RequestBody) {
        self.state = State::Busy;
        self.reading = Reading::Head;
        self.to_head = parts.method == Method::HEAD;
        self.persists = !head::has_token(&parts.headers, header::CONNECTION, "close");
        self.interim = 0;
        self.out.begin(parts, body);
    }

    /// Reads up to `size` bytes more. 0 is the end.
    fn poll_read(&mut self, size: usize, cx: &mut Context<'_>) -> Poll<std::io::Result<usize>> {
        let Some(io) = &mut self.io else { return Poll::Ready(Ok(0)) };
        if size <= READ {
            // Most answers are small: they get as much memory as they have bytes.
            let mut space = [MaybeUninit::uninit(); READ];
            let mut buf = ReadBuf::uninit(&mut space);
            ready!(Pin::new(io).poll_read(cx, &mut buf))?;
            self.read.extend_from_slice(buf.filled());
            return Poll::Ready(Ok(buf.filled().len()));
        }
        self.read.reserve(size);
        let mut limited = bytes::BufMut::limit(&mut self.read, size);
        pin!(io.read_buf(&mut limited)).poll(cx)
    }

    /// Sends what can be sent, and reads until the head of the final answer is there.
    fn poll_head(&mut self, cx: &mut Context<'_>) -> Poll<Result<Head, Failure>> {
        let mut broken = false;
        if !self.out.is_done()
            && let Some(io) = &mut self.io
        {
            match self.out.poll(io, cx) {
                Poll::Ready(Err(Fault::Body)) => return Poll::Ready(Err(Fault::Body.into())),
                // An endpoint may refuse a body, and say why: what it said is read.
                Poll::Ready(Err(Fault::Connection)) => {
                    broken = true;
                    self.out = Outgoing::default();
                    self.persists = false;
                }
                Poll::Ready(Ok(())) | Poll::Pending => {}
            }
        }
        loop {
            while let Some(head) = head::take(&mut self.read, &mut self.seen)? {
                if head.status == StatusCode::SWITCHING_PROTOCOLS || !head.status.is_informational() {
                    return Poll::Ready(Ok(head));
                }
                self.interim += 1;
                if self.interim > MAX_INTERIM {
                    return Poll::Ready(Err(Failure::Invalid));
                }
            }
            if self.read.len() > MAX_HEAD {
                return Poll::Ready(Err(Failure::HeadTooLarge));
            }
            match self.poll_read(READ, cx) {
                Poll::Ready(Ok(1..)) => {}
                Poll::Ready(Ok(0) | Err(_)) => return Poll::Ready(Err(Failure::Broken)),
                Poll::Pending if broken => return Poll::Ready(Err(Failure::Broken)),
                Poll::Pending => return Poll::Pending,
            }
        }
    }

    /// Notes how the body of an answer is to be read. Its length, if it is known.
    fn answered(&mut self, head: &Head) -> Result<Option<u64>, Failure> {
        if head.status == StatusCode::SWITCHING_PROTOCOLS {
            self.persists = false;
            self.reading = Reading::Close;
            return Ok(None);
        }
        self.persists &= head::persists(head.version, &head.headers);
        let (reading, length) = match head::framing(head, self.to_head)? {
            Framing::Length(length) => (Reading::Length(length), Some(length)),
            Framing::Chunked => (Reading::Chunked(Decoder::default()), None),
            Framing::Close => (Reading::Close, None),
        };
        self.reading = reading;
        if length == Some(0) {
            self.finish();
        }
        Ok(length)
    }

    /// The answer has been read.
    fn finish(&mut self) {
        let whole = self.out.is_done() && self.read.is_empty();
        let to_the_end = matches!(self.reading, Reading::Close);
        if !(self.persists && whole) || to_the_end {
            return self.end();
        }
        self.state = State::Idle;
        self.reading = Reading::Head;
        self.read = BytesMut::new();
        self.out.clear();
    }

    /// The next piece of the answer's body; `None` says that it broke off.
    fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Option<Piece>> {
        let piece = ready!(self.poll_next(cx));
        match &piece {
            None => self.end(),
            Some(Piece::End(_)) => self.finish(),
            Some(Piece::Data(_)) if matches!(self.reading, Reading::Length(0)) => self.finish(),
            Some(Piece::Data(_)) => {}
        }
        Poll::Ready(piece)
    }

    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Piece>> {
        loop {
            let more = match &mut self.reading {
                Reading::Head | Reading::Length(0) => return Poll::Ready(Some(Piece::End(None))),
                Reading::Length(left) => {
                    if !self.read.is_empty() {
                        let now = usize::try_from(*left).unwrap_or(usize::MAX).min(self.read.len());
                        *left -= now as u64;
                        return Poll::Ready(Some(Piece::Data(self.read.split_to(now).freeze())));
                    }
                    *left
                }
                Reading::Chunked(decoder) => match decoder.decode(&mut self.read) {
                    Ok(Some(piece)) => return Poll::Ready(Some(piece)),
                    Ok(None) => decoder.left(),
                    Err(_) => return Poll::Ready(None),
                },
                Reading::Close if !self.read.is_empty() => {
                    return Poll::Ready(Some(Piece::Data(self.read.split().freeze())));
                }
                Reading::Close => READ_MORE as u64,
            };
            let size = usize::try_from(more).unwrap_or(READ_MORE).clamp(READ, READ_MORE);
            match ready!(self.poll_read(size, cx)) {
                Ok(1..) => {}
                Ok(_) if matches!(self.reading, Reading::Close) => return Poll::Ready(Some(Piece::End(None))),
                Ok(_) | Err(_) => return Poll::Ready(None),
            }
        }
    }

    /// Writes what is left of a request whose answer has begun. Over when nothing is left, or the connection ended.
    fn poll_rest(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(io) = &mut self.io else { return Poll::Ready(()) };
        match self.out.poll(io, cx) {
            Poll::Ready(Ok(())) => Poll::Ready(()),
            // The endpoint takes no more of it; the answer goes on.
            Poll::Ready(Err(_)) => {
                self.out = Outgoing::default();
                self.persists = false;
                Poll::Ready(())
            }
            Poll::Pending => {
                self.writer = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }
}

/// Sends a request, and comes back with the head of its answer. Nothing may be asked on the connection before the body
/// was read to its end; one that is dropped earlier leaves the connection unusable.
pub async fn send(connection: &Shared, parts: &request::Parts, body: RequestBody) -> Result<Response<Body>, Failure> {
    connection.borrow_mut().begin(parts, body);
    let answered = poll_fn(|cx| connection.borrow_mut().poll_head(cx)).await;
    let mut this = connection.borrow_mut();
    let answered = answered.and_then(|head| this.answered(&head).map(|length| (head, length)));
    let (head, length) = match answered {
        Ok(answered) => answered,
        Err(failure) => {
            this.end();
            return Err(failure);
        }
    };
    if this.state == State::Busy && !this.out.is_done() {
        spawn_local(write_rest(Rc::clone(connection)));
    }
    let body = Body::new((this.state == State::Busy).then(|| Rc::clone(connection)), length);
    let mut response = Response::new(body);
    *response.status_mut() = head.status;
    *response.version_mut() = head.version;
    *response.headers_mut() = head.headers;
    Ok(response)
}

async fn write_rest(connection: Shared) {
    poll_fn(|cx| connection.borrow_mut().poll_rest(cx)).await;
}
