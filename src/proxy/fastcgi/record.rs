//! Records of FastCGI 1.0: a header of eight bytes, then content.

use bytes::{BufMut as _, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt as _};

use super::Fault;

const VERSION: u8 = 1;
/// There is one request on a connection.
const REQUEST: u16 = 1;
const BEGIN_REQUEST: u8 = 1;
const END_REQUEST: u8 = 3;
const PARAMS: u8 = 4;
const STDIN: u8 = 5;
const STDOUT: u8 = 6;
const STDERR: u8 = 7;
const RESPONDER: u16 = 1;
/// The most content of one record that is written, a multiple of eight: there is no padding then.
const MOST: usize = 0xfff8;
const HEADER: usize = 8;
/// Read at once.
const READ: usize = 16 * 1024;

fn header(out: &mut BytesMut, kind: u8, length: usize) {
    out.put_u8(VERSION);
    out.put_u8(kind);
    out.put_u16(REQUEST);
    out.put_u16(u16::try_from(length).unwrap_or(u16::MAX));
    out.put_u16(0);
}

fn stream(out: &mut BytesMut, kind: u8, content: &[u8]) {
    for piece in content.chunks(MOST) {
        header(out, kind, piece.len());
        out.put_slice(piece);
    }
}

/// Begins a request whose connection ends with it, and tells its parameters.
pub fn begin<'a>(params: impl Iterator<Item = (&'a [u8], &'a [u8])>) -> Bytes {
    let mut out = BytesMut::new();
    header(&mut out, BEGIN_REQUEST, 8);
    out.put_u16(RESPONDER);
    out.put_slice(&[0; 6]);
    let mut pairs = BytesMut::new();
    for (name, value) in params {
        length(&mut pairs, name.len());
        length(&mut pairs, value.len());
        pairs.put_slice(name);
        pairs.put_slice(value);
    }
    stream(&mut out, PARAMS, &pairs);
    header(&mut out, PARAMS, 0);
    out.freeze()
}

/// One byte, or four with the highest bit set.
fn length(out: &mut BytesMut, length: usize) {
    match u8::try_from(length).ok().filter(|short| *short < 128) {
        Some(short) => out.put_u8(short),
        None => out.put_u32(u32::try_from(length).unwrap_or(u32::MAX) | 1 << 31),
    }
}

/// A piece of the request's body; the empty piece is its end.
pub fn stdin(piece: &[u8]) -> Bytes {
    let mut out = BytesMut::with_capacity(piece.len() + 2 * HEADER);
    match piece {
        [] => header(&mut out, STDIN, 0),
        piece => stream(&mut out, STDIN, piece),
    }
    out.freeze()
}

/// Reads what a responder writes.
#[derive(Debug)]
pub struct Reader<R> {
    io: R,
    buffer: BytesMut,
    kind: u8,
    /// Of the record's content, and of its padding.
    content: usize,
    padding: usize,
    ended: bool,
}

impl<R: AsyncRead + Unpin> Reader<R> {
    pub fn new(io: R) -> Self {
        Self { io, buffer: BytesMut::new(), kind: 0, content: 0, padding: 0, ended: false }
    }

    /// The next piece of the answer; `None` at its end.
    pub async fn stdout(&mut self) -> Result<Option<Bytes>, Fault> {
        while !self.ended {
            if self.content == 0 {
                self.next_record().await?;
                continue;
            }
            self.fill(1).await?;
            let piece = self.buffer.split_to(self.content.min(self.buffer.len())).freeze();
            self.content -= piece.len();
            match self.kind {
                STDOUT => return Ok(Some(piece)),
                STDERR => {
                    let text = String::from_utf8_lossy(&piece);
                    tracing::debug!(text = text.trim_end(), "a FastCGI responder wrote an error");
                }
                _ => {}
            }
        }
        Ok(None)
    }

    async fn next_record(&mut self) -> Result<(), Fault> {
        while self.padding > 0 {
            self.fill(1).await?;
            let skipped = self.buffer.split_to(self.padding.min(self.buffer.len())).len();
            self.padding -= skipped;
        }
        self.fill(HEADER).await?;
        let header = self.buffer.split_to(HEADER);
        let &[version, kind, _, _, high, low, padding, _] = &*header else { return Err(Fault::Record) };
        if version != VERSION {
            return Err(Fault::Record);
        }
        (self.kind, self.content, self.padding) = (kind, u16::from_be_bytes([high, low]).into(), padding.into());
        if kind == END_REQUEST {
            self.end().await?;
        }
        Ok(())
    }

    /// The last record says whether the request was taken at all.
    async fn end(&mut self) -> Result<(), Fault> {
        self.fill(self.content).await?;
        self.ended = true;
        // FCGI_REQUEST_COMPLETE; others say that the responder is overloaded or no responder.
        match self.buffer.get(4) {
            Some(0) if self.content == 8 => Ok(()),
            _ => Err(Fault::Refused),
        }
    }

    async fn fill(&mut self, least: usize) -> Result<(), Fault> {
        while self.buffer.len() < least {
            self.buffer.reserve(READ);
            if self.io.read_buf(&mut self.buffer).await.map_err(|_| Fault::Broken)? == 0 {
                return Err(Fault::Broken);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
#[path = "record_tests.rs"]
mod tests;
