//! HTTP/1 as bytes: lines, fields and bodies, for the upstream and the raw client alike. It keeps order and spelling
//! and judges nothing; a library would normalise exactly what the tests look for.

use std::io;

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::Headers;

/// Heads past this size end the connection: no test needs more, and a bug must not eat the machine.
const MAX_LINE: usize = 1 << 20;

/// Anything that carries bytes both ways.
pub trait Io: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Io for T {}

/// A connection and what was read from it too early. Reads that are cut off by a deadline lose only the body at hand.
pub struct Wire {
    io: Box<dyn Io>,
    buffer: BytesMut,
}

/// How the end of a body was told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    None,
    Length(u64),
    Chunked,
    Close,
}

/// A body as it arrived; `complete` is false when the connection ended before the framing said so.
#[derive(Clone, Debug, Default)]
pub struct Body {
    pub bytes: Vec<u8>,
    pub trailers: Headers,
    pub complete: bool,
}

impl Wire {
    pub fn new(io: impl Io + 'static) -> Self {
        Self { io: Box::new(io), buffer: BytesMut::with_capacity(8192) }
    }

    pub async fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.io.write_all(bytes).await?;
        self.io.flush().await
    }

    pub async fn shutdown(&mut self) -> io::Result<()> {
        self.io.shutdown().await
    }

    /// Reads more into the buffer; 0 at the end.
    async fn fill(&mut self) -> io::Result<usize> {
        self.io.read_buf(&mut self.buffer).await
    }

    /// Whatever comes next, at least one byte; empty at the end.
    pub async fn some(&mut self) -> io::Result<Vec<u8>> {
        if self.buffer.is_empty() {
            self.fill().await?;
        }
        Ok(self.buffer.split().to_vec())
    }

    /// Everything until the end; a reset counts as an end.
    pub async fn rest(&mut self) -> Vec<u8> {
        while matches!(self.fill().await, Ok(n) if n > 0) {}
        self.buffer.split().to_vec()
    }

    pub async fn exact(&mut self, length: usize) -> io::Result<Vec<u8>> {
        while self.buffer.len() < length {
            if self.fill().await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        Ok(self.buffer.split_to(length).to_vec())
    }

    /// One line without its end; `None` when the peer closed before a byte of it.
    pub async fn line(&mut self) -> io::Result<Option<String>> {
        let mut searched = 0;
        loop {
            if let Some(at) = self.buffer[searched..].iter().position(|b| *b == b'\n') {
                let line = self.buffer.split_to(searched + at);
                self.buffer.advance(1);
                let line = line.strip_suffix(b"\r").unwrap_or(&line);
                return Ok(Some(latin1(line)));
            }
            searched = self.buffer.len();
            if searched > MAX_LINE {
                return Err(io::Error::other("endless line"));
            }
            if self.fill().await? == 0 {
                return if searched == 0 { Ok(None) } else { Err(io::ErrorKind::UnexpectedEof.into()) };
            }
        }
    }

    /// Fields up to the empty line.
    pub async fn fields(&mut self) -> io::Result<Headers> {
        let mut fields = Headers::new();
        loop {
            let line = self.line().await?.ok_or(io::ErrorKind::UnexpectedEof)?;
            if line.is_empty() {
                return Ok(fields);
            }
            let (name, value) = line.split_once(':').unwrap_or((&line, ""));
            fields.push((name.to_owned(), value.trim_matches([' ', '\t']).to_owned()));
        }
    }

    /// A body by its framing. A connection that ends early gives what there was, marked as incomplete.
    pub async fn body(&mut self, framing: Framing) -> Body {
        let mut body = Body::default();
        body.complete = match framing {
            Framing::None => true,
            Framing::Length(length) => self.counted(length, &mut body.bytes).await,
            Framing::Chunked => self.chunked(&mut body).await.is_ok(),
            Framing::Close => {
                body.bytes = self.rest().await;
                true
            }
        };
        body
    }

    async fn counted(&mut self, length: u64, into: &mut Vec<u8>) -> bool {
        let mut left = length;
        while left > 0 {
            if self.buffer.is_empty() && !matches!(self.fill().await, Ok(n) if n > 0) {
                return false;
            }
            let n = self.buffer.len().min(usize::try_from(left).unwrap_or(usize::MAX));
            into.extend_from_slice(&self.buffer.split_to(n));
            left -= n as u64;
        }
        true
    }

    async fn chunked(&mut self, body: &mut Body) -> io::Result<()> {
        loop {
            let line = self.line().await?.ok_or(io::ErrorKind::UnexpectedEof)?;
            let size = line.split(';').next().unwrap_or_default().trim();
            let size = u64::from_str_radix(size, 16).map_err(|_| io::Error::other("bad chunk size"))?;
            if size == 0 {
                body.trailers = self.fields().await?;
                return Ok(());
            }
            if !self.counted(size, &mut body.bytes).await || self.exact(2).await? != b"\r\n" {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
    }
}

/// The framing that the fields declare: chunked before length, `otherwise` without either.
pub fn framing(headers: &Headers, otherwise: Framing) -> Framing {
    let chunked = super::header_all(headers, "transfer-encoding");
    if chunked.iter().any(|v| v.to_ascii_lowercase().contains("chunked")) {
        return Framing::Chunked;
    }
    super::header(headers, "content-length").and_then(|v| v.parse().ok()).map_or(otherwise, Framing::Length)
}

/// One character a byte, so that no byte is lost and none is an error.
fn latin1(bytes: &[u8]) -> String {
    bytes.iter().map(|b| char::from(*b)).collect()
}
