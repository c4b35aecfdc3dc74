//! The chunked coding of an answer (RFC 9112 §7.1), read strictly: what two readers could take differently is refused.

use bytes::{Buf as _, Bytes, BytesMut};
use http::HeaderMap;

use super::head;

/// Bytes of one line with a chunk's size, and of all extensions of a body.
const MAX_LINE: usize = 4096;
const MAX_EXTENSIONS: usize = 16 * 1024;
/// Bytes of a trailer section.
const MAX_TRAILERS: usize = 16 * 1024;

/// What came is not the chunked coding, or exceeds a bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed;

/// Where in a body the reader is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    Size,
    /// Bytes left of a chunk.
    Data(u64),
    /// The end of line after a chunk.
    DataEnd,
    Trailers,
}

#[derive(Debug, Default)]
pub struct Decoder {
    state: State,
    extensions: usize,
}

/// What a body has next.
#[derive(Debug, PartialEq, Eq)]
pub enum Piece {
    Data(Bytes),
    /// The end, with the trailers that came before it.
    End(Option<HeaderMap>),
}

impl Decoder {
    /// The next piece of what was read. `None`: more must be read first.
    pub fn decode(&mut self, read: &mut BytesMut) -> Result<Option<Piece>, Malformed> {
        loop {
            match self.state {
                State::Size => {
                    let Some(line) = line(read)? else { return Ok(None) };
                    let (size, extension) = parse_size(&line)?;
                    self.extensions += extension;
                    if self.extensions > MAX_EXTENSIONS {
                        return Err(Malformed);
                    }
                    self.state = if size == 0 { State::Trailers } else { State::Data(size) };
                }
                State::Data(left) => {
                    if read.is_empty() {
                        return Ok(None);
                    }
                    let now = usize::try_from(left).unwrap_or(usize::MAX).min(read.len());
                    let left = left.saturating_sub(now as u64);
                    self.state = if left == 0 { State::DataEnd } else { State::Data(left) };
                    return Ok(Some(Piece::Data(read.split_to(now).freeze())));
                }
                State::DataEnd => match read.get(..2) {
                    Some(b"\r\n") => {
                        read.advance(2);
                        self.state = State::Size;
                    }
                    Some(_) => return Err(Malformed),
                    None => return Ok(None),
                },
                State::Trailers => return trailers(read),
            }
        }
    }

    /// Bytes that are known to be left of the chunk.
    pub fn left(&self) -> u64 {
        if let State::Data(left) = self.state { left } else { 0 }
    }
}

/// A whole line without its CRLF.
fn line(read: &mut BytesMut) -> Result<Option<BytesMut>, Malformed> {
    let Some(end) = memchr::memchr(b'\n', read) else {
        return if read.len() > MAX_LINE { Err(Malformed) } else { Ok(None) };
    };
    if end > MAX_LINE {
        return Err(Malformed);
    }
    let mut line = read.split_to(end + 1);
    if !line.ends_with(b"\r\n") {
        return Err(Malformed);
    }
    line.truncate(end - 1);
    Ok(Some(line))
}

/// A chunk's size, and how long its extension is.
fn parse_size(line: &[u8]) -> Result<(u64, usize), Malformed> {
    let digits = line.iter().take_while(|b| b.is_ascii_hexdigit()).count();
    let (size, rest) = line.split_at_checked(digits).ok_or(Malformed)?;
    let text = std::str::from_utf8(size).map_err(|_| Malformed)?;
    if !(1..=16).contains(&digits) {
        return Err(Malformed);
    }
    let extension = rest.trim_ascii_start();
    let sound = extension.is_empty() || extension.starts_with(b";");
    if !sound || extension.iter().any(|b| b.is_ascii_control() && *b != b'\t') {
        return Err(Malformed);
    }
    Ok((u64::from_str_radix(text, 16).map_err(|_| Malformed)?, rest.len()))
}

fn trailers(read: &mut BytesMut) -> Result<Option<Piece>, Malformed> {
    match read.get(..2) {
        Some(b"\r\n") => {
            read.advance(2);
            return Ok(Some(Piece::End(None)));
        }
        Some(_) => {}
        None => return Ok(None),
    }
    let Some(end) = memchr::memmem::find(read, b"\r\n\r\n") else {
        return if read.len() > MAX_TRAILERS { Err(Malformed) } else { Ok(None) };
    };
    let section = read.split_to(end + 4).freeze();
    let trailers = head::parse_trailers(&section).filter(|_| section.len() <= MAX_TRAILERS);
    Ok(Some(Piece::End(Some(trailers.ok_or(Malformed)?))))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The body of `text` when it comes in pieces of `step` bytes, and what is left.
    fn decode(text: &str, step: usize) -> Result<(String, Vec<String>, usize), Option<Malformed>> {
        let (mut decoder, mut read) = (Decoder::default(), BytesMut::new());
        let mut data = String::new();
        let mut rest = text.as_bytes();
        loop {
            match decoder.decode(&mut read).map_err(Some)? {
                Some(Piece::Data(bytes)) => data.push_str(std::str::from_utf8(&bytes).unwrap()),
                Some(Piece::End(trailers)) => {
                    let lines = trailers.iter().flatten();
                    let lines = lines.map(|(name, value)| format!("{name:?}={value:?}")).collect();
                    return Ok((data, lines, read.len() + rest.len()));
                }
                None if rest.is_empty() => return Err(None),
                None => {
                    let (now, later) = rest.split_at(step.min(rest.len()));
                    read.extend_from_slice(now);
                    rest = later;
                }
            }
        }
    }

    #[test]
    fn bodies() {
        // the body, the number of trailers, what is left unread; `None` wants more
        type Decoded = Result<(&'static str, usize, usize), Option<Malformed>>;
        let rows: [(&str, Decoded); 20] = [
            ("0\r\n\r\n", Ok(("", 0, 0))),
            ("3\r\nabc\r\n0\r\n\r\n", Ok(("abc", 0, 0))),
            ("3\r\nabc\r\n00A\r\n0123456789\r\n0\r\n\r\nHTTP", Ok(("abc0123456789", 0, 4))),
            ("3;a=b\r\nabc\r\n0 ; c\r\n\r\n", Ok(("abc", 0, 0))),
            ("1\r\na\r\n0\r\nX: y\r\nZ: \r\n\r\n", Ok(("a", 2, 0))),
            ("3\r\nabc", Err(None)),
            ("0\r\n", Err(None)),
            ("0\r\nX: y\r\n", Err(None)),
            ("\r\n", Err(Some(Malformed))),
            ("x\r\n", Err(Some(Malformed))),
            ("-1\r\n", Err(Some(Malformed))),
            ("0x1\r\na\r\n0\r\n\r\n", Err(Some(Malformed))),
            ("1 a\r\na\r\n0\r\n\r\n", Err(Some(Malformed))),
            ("1\na\r\n0\r\n\r\n", Err(Some(Malformed))),
            ("1\r\nab\r\n0\r\n\r\n", Err(Some(Malformed))),
            ("1\r\na\n0\r\n\r\n", Err(Some(Malformed))),
            ("1;\rx\r\na\r\n0\r\n\r\n", Err(Some(Malformed))),
            ("10000000000000000\r\na", Err(Some(Malformed))),
            ("0\r\nX y\r\n\r\n", Err(Some(Malformed))),
            ("ffffffffffffffff\r\nabc", Err(None)),
        ];
        for (text, expected) in rows {
            for step in [1, 2, 3, 100] {
                let decoded = decode(text, step);
                let seen =
                    decoded.as_ref().map(|(data, trailers, left)| (&**data, trailers.len(), *left)).map_err(|e| *e);
                assert_eq!(seen, expected, "{text:?} by {step}");
            }
        }
    }

    #[test]
    fn bounds() {
        let endless = "1".to_owned() + &";a".repeat(MAX_LINE);
        assert_eq!(decode(&endless, 512).unwrap_err(), Some(Malformed));
        let many = format!("1;{}\r\na\r\n", "a".repeat(1000)).repeat(20);
        assert_eq!(decode(&many, 512).unwrap_err(), Some(Malformed));
        let trailers = "0\r\n".to_owned() + &"A: b\r\n".repeat(MAX_TRAILERS);
        assert_eq!(decode(&trailers, 512).unwrap_err(), Some(Malformed));
    }
}
