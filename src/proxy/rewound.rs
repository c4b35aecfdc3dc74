//! A connection of which some bytes were read already: they come again, before the others.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Buf as _, Bytes};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

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
