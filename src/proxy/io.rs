//! The client's byte stream with an eye on it: that bytes came, and the error page for what hyper refuses.

use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll, ready};

use http::StatusCode;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::respond;

/// What a stream shows of itself. Atomics because an upgraded stream must be `Send`; one thread uses them.
#[derive(Debug, Default)]
pub struct Signs {
    /// Bytes came since this was last cleared.
    pub arrived: AtomicBool,
    /// The last write could not take anything.
    pub blocked: AtomicBool,
    /// Writes that took something.
    pub writes: AtomicU64,
    /// The connection is HTTP/2.
    pub http2: AtomicBool,
    /// This side has said that it ends; the client's end is awaited.
    pub lingering: AtomicBool,
    /// What is written belongs to an answer of ours.
    answering: AtomicBool,
    /// All of that answer was handed over; what is left of it is written before the next flush is done.
    answered: AtomicBool,
}

impl Signs {
    /// A request was read whole, so what is written from now on is no refusal of hyper's.
    pub fn answer_begins(&self) {
        self.answering.store(true, Ordering::Relaxed);
        self.answered.store(false, Ordering::Relaxed);
    }

    /// No request is being answered any more.
    pub fn answer_ends(&self) {
        self.answered.store(true, Ordering::Relaxed);
    }

    fn flushed(&self) {
        if self.answered.swap(false, Ordering::Relaxed) {
            self.answering.store(false, Ordering::Relaxed);
        }
    }

    fn wrote<T>(&self, result: &Poll<io::Result<T>>) {
        self.blocked.store(result.is_pending(), Ordering::Relaxed);
        if result.is_ready() {
            self.writes.store(self.writes.load(Ordering::Relaxed).wrapping_add(1), Ordering::Relaxed);
        }
    }
}

/// A client stream under hyper.
#[derive(Debug)]
pub struct Watched<S> {
    inner: S,
    signs: Arc<Signs>,
    line: RequestLine,
    page: Option<Page>,
}

/// An error page on its way out in place of hyper's empty answer of `stands_for` bytes.
#[derive(Debug)]
struct Page {
    bytes: Vec<u8>,
    written: usize,
    stands_for: usize,
}

impl<S> Watched<S> {
    pub fn new(inner: S, signs: Arc<Signs>) -> Self {
        Self { inner, signs, line: RequestLine::default(), page: None }
    }

    /// The stream, once nothing of a page is left to write.
    pub fn into_inner(self) -> S {
        self.inner
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        ready!(Pin::new(&mut self.inner).poll_read(cx, buf))?;
        if let Some(new) = buf.filled().get(before..).filter(|new| !new.is_empty()) {
            if !self.signs.arrived.swap(true, Ordering::Relaxed) {
                self.line = RequestLine::default();
            }
            self.line.read(new);
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncRead + Unpin> Watched<S> {
    /// Reads on until the client's end, or its failure. A socket that is closed with something unread takes back
    /// with a reset what the client has not got yet, and an HTTP/2 client that reads always has a WINDOW_UPDATE on its
    /// way (nginx's lingering close; for HTTP/1 only a body can be unread, which the request's own end sees to).
    fn poll_linger(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let mut space = [MaybeUninit::uninit(); 4096];
        // Bounded, so that a client that sends and sends does not hold the worker.
        for _ in 0..16 {
            let mut buf = ReadBuf::uninit(&mut space);
            match ready!(Pin::new(&mut self.inner).poll_read(cx, &mut buf)) {
                Ok(()) if !buf.filled().is_empty() => self.signs.arrived.store(true, Ordering::Relaxed),
                Ok(()) | Err(_) => return Poll::Ready(()),
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

impl<S: AsyncWrite + Unpin> Watched<S> {
    fn poll_page(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        while let Some(page) = &mut self.page {
            let rest = page.bytes.get(page.written..).unwrap_or_default();
            if rest.is_empty() {
                let stands_for = page.stands_for;
                self.page = None;
                return Poll::Ready(Ok(stands_for));
            }
            page.written += ready!(Pin::new(&mut self.inner).poll_write(cx, rest))?;
        }
        Poll::Ready(Ok(0))
    }

    /// hyper answers what it cannot parse by itself, without a body: nginx's clients get a page. An answer of an upstream
    /// may look the same, and must not get longer than its head has said.
    fn replace(&mut self, bytes: &[u8]) -> bool {
        if self.signs.answering.load(Ordering::Relaxed) || self.signs.http2.load(Ordering::Relaxed) {
            return false;
        }
        let Some(mut status) = refusal(bytes) else { return false };
        if self.line.names_other_version() && status == StatusCode::BAD_REQUEST {
            status = StatusCode::HTTP_VERSION_NOT_SUPPORTED;
        }
        if status == StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE {
            // A head that fills its buffer: nginx's 414 while that is the request line, then its 494, seen as 400.
            status = if self.line.complete { StatusCode::BAD_REQUEST } else { StatusCode::URI_TOO_LONG };
        }
        self.page = Some(Page { bytes: respond::raw_page(status), written: 0, stands_for: bytes.len() });
        true
    }
}

/// The end of the line that a head began with: its version says whether what hyper calls a bad request is a 505.
#[derive(Debug, Default)]
struct RequestLine {
    tail: [u8; 16],
    complete: bool,
}

impl RequestLine {
    fn read(&mut self, bytes: &[u8]) {
        if self.complete {
            return;
        }
        let end = bytes.iter().position(|b| *b == b'\n');
        self.complete = end.is_some();
        let line = bytes.get(..end.unwrap_or(bytes.len())).unwrap_or_default();
        let new = line.get(line.len().saturating_sub(self.tail.len())..).unwrap_or_default();
        self.tail.rotate_left(new.len());
        let start = self.tail.len() - new.len();
        if let Some(place) = self.tail.get_mut(start..) {
            place.copy_from_slice(new);
        }
    }

    /// Whether the line ends in `HTTP/` and a digit above 1 (RFC 9110 §15.6.6).
    fn names_other_version(&self) -> bool {
        let version = self.tail.trim_ascii_end().rsplit(|b| *b == b' ').next();
        let major = version.and_then(|v| v.strip_prefix(b"HTTP/")).and_then(|digits| digits.first());
        self.complete && major.is_some_and(|major| (b'2'..=b'9').contains(major))
    }
}

/// The status of an answer that has exactly the headers hyper gives a request it refuses.
fn refusal(bytes: &[u8]) -> Option<StatusCode> {
    const MAX: usize = 160;
    if bytes.len() > MAX || !bytes.starts_with(b"HTTP/1.") || bytes.get(9) != Some(&b'4') {
        return None;
    }
    let text = std::str::from_utf8(bytes).ok()?;
    let (line, rest) = text.split_once("\r\n")?;
    let rest = rest.strip_prefix("connection: close\r\ncontent-length: 0\r\n")?;
    let date = rest.strip_prefix("date: ").is_none_or(|d| d.matches("\r\n").count() == 2);
    (date && rest.ends_with("\r\n")).then_some(())?;
    line.get(9..12)?.parse().ok()
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if self.page.is_some() || self.replace(bytes) {
            return self.poll_page(cx);
        }
        let result = Pin::new(&mut self.inner).poll_write(cx, bytes);
        self.signs.wrote(&result);
        result
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(Pin::new(&mut self.inner).poll_flush(cx))?;
        self.signs.flushed();
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.signs.lingering.load(Ordering::Relaxed) {
            ready!(Pin::new(&mut self.inner).poll_shutdown(cx))?;
            if !self.signs.http2.load(Ordering::Relaxed) {
                return Poll::Ready(Ok(()));
            }
            self.signs.arrived.store(false, Ordering::Relaxed);
            self.signs.lingering.store(true, Ordering::Relaxed);
        }
        self.poll_linger(cx).map(Ok)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let only = match bufs {
            [one] => Some(one),
            _ => None,
        };
        if self.page.is_some() || only.is_some_and(|one| self.replace(one)) {
            return self.poll_page(cx);
        }
        let result = Pin::new(&mut self.inner).poll_write_vectored(cx, bufs);
        self.signs.wrote(&result);
        result
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions() {
        let rows = [
            ("GET / HTTP/1.1\r\n", false),
            ("GET / HTTP/2.0\r\nHost: a\r\n", true),
            ("GET / HTTP/9\n", true),
            ("GET /HTTP/2 HTTP/1.0\r\n", false),
            ("GET / HTTP/2.0", false),
            ("", false),
        ];
        for (text, expected) in rows {
            for size in [1, 7, 100] {
                let mut line = RequestLine::default();
                text.as_bytes().chunks(size).for_each(|chunk| line.read(chunk));
                assert_eq!(line.names_other_version(), expected, "{text:?} by {size}");
            }
        }
    }

    #[test]
    fn only_refusals_are_replaced() {
        let date = "date: Sun, 06 Nov 1994 08:49:37 GMT\r\n";
        let rows = [
            (format!("HTTP/1.1 400 Bad Request\r\nconnection: close\r\ncontent-length: 0\r\n{date}\r\n"), Some(400)),
            (format!("HTTP/1.1 431 R\r\nconnection: close\r\ncontent-length: 0\r\n{date}\r\n"), Some(431)),
            (format!("HTTP/1.1 400 Bad Request\r\nx: y\r\ncontent-length: 0\r\n{date}\r\n"), None),
            (format!("HTTP/1.1 400 R\r\nconnection: close\r\ncontent-length: 0\r\n{date}x: y\r\n\r\n"), None),
            (format!("HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 0\r\n{date}\r\n"), None),
        ];
        for (text, expected) in rows {
            assert_eq!(refusal(text.as_bytes()).map(|s| s.as_u16()), expected, "{text:?}");
        }
    }
}
