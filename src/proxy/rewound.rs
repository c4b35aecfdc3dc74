//! A connection of which some bytes were read already: they come again, before the others.

use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf as _, Bytes};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

/// Bytes that are read ahead at once.
const AHEAD: usize = 4096;

#[derive(Debug)]
pub struct Rewound<S = TcpStream> {
    read: Bytes,
    stream: S,
}

impl<S> Rewound<S> {
    pub fn new(read: impl Into<Bytes>, stream: S) -> Self {
        Self { read: read.into(), stream }
    }
}

impl<S: AsyncRead + Unpin> Rewound<S> {
    /// What was read ahead.
    pub fn ahead(&self) -> &[u8] {
        &self.read
    }

    /// Lets `read` come again, before what is read ahead already.
    pub fn rewind(&mut self, read: Bytes) {
        if !read.is_empty() {
            self.read =
                if self.read.is_empty() { read } else { [read, std::mem::take(&mut self.read)].concat().into() };
        }
    }

    /// Reads more ahead; 0 is the end. No memory is held while nothing comes.
    pub fn poll_ahead(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let mut space = [MaybeUninit::uninit(); AHEAD];
        let mut buf = ReadBuf::uninit(&mut space);
        ready!(Pin::new(&mut self.stream).poll_read(cx, &mut buf))?;
        let before = std::mem::replace(&mut self.read, Bytes::copy_from_slice(buf.filled()));
        self.rewind(before);
        Poll::Ready(Ok(buf.filled().len()))
    }
}

impl Rewound {
    /// The first byte, which stays; `None` at the end.
    pub async fn first(&self) -> io::Result<Option<u8>> {
        if let Some(first) = self.read.first() {
            return Ok(Some(*first));
        }
        let mut first = [0; 1];
        let seen = self.stream.peek(&mut first).await?;
        Ok(first.first().copied().filter(|_| seen > 0))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Rewound<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.read.is_empty() {
            return Pin::new(&mut self.stream).poll_read(cx, buf);
        }
        let next = self.read.len().min(buf.remaining());
        buf.put_slice(self.read.get(..next).unwrap_or_default());
        self.read.advance(next);
        if self.read.is_empty() {
            // What was read ahead is not held for the life of the connection.
            self.read = Bytes::new();
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Rewound<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}
