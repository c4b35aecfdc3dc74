//! The head of an answer: where it ends, what it says, how its body is framed (RFC 9112 §4 to §6.3).

use std::mem::MaybeUninit;

use bytes::{Bytes, BytesMut};
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::{StatusCode, Version};

use super::super::Failure;

/// Header lines of an answer.
const MAX_HEADERS: usize = 256;

#[derive(Debug)]
pub struct Head {
    pub status: StatusCode,
    pub version: Version,
    pub headers: HeaderMap,
}

/// How a body ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    Length(u64),
    Chunked,
    /// With the connection.
    Close,
}

/// Takes a whole head from what was read. `None`: it is not whole yet. `seen` is how much was looked through before, and
/// is kept between calls.
pub fn take(read: &mut BytesMut, seen: &mut usize) -> Result<Option<Head>, Failure> {
    let Some(end) = end(read, *seen) else {
        *seen = read.len();
        return Ok(None);
    };
    *seen = 0;
    parse(&read.split_to(end).freeze()).map(Some).ok_or(Failure::Invalid)
}

/// Where the empty line after a head ends.
fn end(read: &[u8], seen: usize) -> Option<usize> {
    let from = seen.saturating_sub(3);
    let new = read.get(from..)?;
    memchr::memchr_iter(b'\n', new).find_map(|at| match new.get(at + 1..)? {
        [b'\n', ..] => Some(from + at + 2),
        [b'\r', b'\n', ..] => Some(from + at + 3),
        _ => None,
    })
}

fn parse(bytes: &Bytes) -> Option<Head> {
    let mut lines = [const { MaybeUninit::uninit() }; MAX_HEADERS];
    let mut response = httparse::Response::new(&mut []);
    let config = httparse::ParserConfig::default();
    let parsed = config.parse_response_with_uninit_headers(&mut response, bytes, &mut lines).ok()?;
    if parsed != httparse::Status::Complete(bytes.len()) {
        return None;
    }
    Some(Head {
        status: StatusCode::from_u16(response.code?).ok()?,
        version: if response.version? == 0 { Version::HTTP_10 } else { Version::HTTP_11 },
        headers: map(bytes, response.headers)?,
    })
}

/// A trailer section with its empty line.
pub fn parse_trailers(bytes: &Bytes) -> Option<HeaderMap> {
    let mut lines = [httparse::EMPTY_HEADER; MAX_HEADERS];
    match httparse::parse_headers(bytes, &mut lines).ok()? {
        httparse::Status::Complete((_, lines)) => map(bytes, lines),
        httparse::Status::Partial => None,
    }
}

/// The values share the memory of what was read.
fn map(bytes: &Bytes, lines: &[httparse::Header<'_>]) -> Option<HeaderMap> {
    let mut map = HeaderMap::with_capacity(lines.len());
    for line in lines {
        let name = HeaderName::from_bytes(line.name.as_bytes()).ok()?;
        let value = HeaderValue::from_maybe_shared(bytes.slice_ref(line.value)).ok()?;
        map.try_append(name, value).ok()?;
    }
    Some(map)
}

/// How the body of an answer is framed. What readers could take differently is refused, as nginx refuses it: both a length
/// and a coding, either of them twice, a coding that is not `chunked`.
pub fn framing(head: &Head, to_head: bool) -> Result<Framing, Failure> {
    let mut lengths = head.headers.get_all(header::CONTENT_LENGTH).iter();
    let mut codings = head.headers.get_all(header::TRANSFER_ENCODING).iter();
    let bodiless = to_head
        || head.status.is_informational()
        || head.status == StatusCode::NO_CONTENT
        || head.status == StatusCode::NOT_MODIFIED;
    if bodiless {
        return Ok(Framing::Length(0));
    }
    let framing = match (lengths.next(), codings.next()) {
        (None, None) => Framing::Close,
        (Some(length), None) => Framing::Length(parse_length(length).ok_or(Failure::Invalid)?),
        (None, Some(coding))
            if head.version == Version::HTTP_11 && coding.as_bytes().eq_ignore_ascii_case(b"chunked") =>
        {
            Framing::Chunked
        }
        _ => return Err(Failure::Invalid),
    };
    match (lengths.next(), codings.next()) {
        (None, None) => Ok(framing),
        _ => Err(Failure::Invalid),
    }
}

/// Digits only: `parse` alone would take a sign.
fn parse_length(value: &HeaderValue) -> Option<u64> {
    let text = value.to_str().ok().filter(|text| text.bytes().all(|b| b.is_ascii_digit()))?;
    text.parse().ok()
}

/// Whether a list header has a token.
pub fn has_token(headers: &HeaderMap, name: HeaderName, token: &str) -> bool {
    let tokens = headers.get_all(name).into_iter().flat_map(|value| value.as_bytes().split(|b| *b == b','));
    tokens.into_iter().any(|t| t.trim_ascii().eq_ignore_ascii_case(token.as_bytes()))
}

/// Whether the connection may be used once more after an answer (RFC 9112 §9.3).
pub fn persists(version: Version, headers: &HeaderMap) -> bool {
    match version {
        Version::HTTP_11 => !has_token(headers, header::CONNECTION, "close"),
        _ => has_token(headers, header::CONNECTION, "keep-alive"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(text: &str, step: usize) -> Option<Result<(Head, usize), Failure>> {
        let (mut read, mut seen) = (BytesMut::new(), 0);
        for piece in text.as_bytes().chunks(step) {
            read.extend_from_slice(piece);
            match take(&mut read, &mut seen) {
                Ok(None) => {}
                Ok(Some(head)) => return Some(Ok((head, read.len()))),
                Err(failure) => return Some(Err(failure)),
            }
        }
        None
    }

    #[test]
    fn framings() {
        use Framing::{Chunked, Close, Length};
        let invalid = Err(Failure::Invalid);
        let rows = [
            ("HTTP/1.1 200 OK\r\n\r\n", Ok(Close)),
            ("HTTP/1.1 200\r\nContent-Length: 5\r\n\r\n", Ok(Length(5))),
            ("HTTP/1.0 200 OK\nContent-Length: 0\n\n", Ok(Length(0))),
            ("HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n", Ok(Chunked)),
            ("HTTP/1.1 204 OK\r\nTransfer-Encoding: chunked\r\n\r\n", Ok(Length(0))),
            ("HTTP/1.1 304 OK\r\nContent-Length: 7\r\n\r\n", Ok(Length(0))),
            ("HTTP/1.1 100 Continue\r\n\r\n", Ok(Length(0))),
            ("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n", invalid),
            ("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\n", invalid),
            ("HTTP/1.1 200 OK\r\nContent-Length: 5, 5\r\n\r\n", invalid),
            ("HTTP/1.1 200 OK\r\nContent-Length: +5\r\n\r\n", invalid),
            ("HTTP/1.1 200 OK\r\nContent-Length:\r\n\r\n", invalid),
            ("HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\n", invalid),
            ("HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", invalid),
            ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n", invalid),
            ("HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", invalid),
            ("HTTP/1.1 200 OK\r\nA : b\r\n\r\n", invalid),
            ("HTTP/1.1 200 OK\r\nA: b\r\n c\r\n\r\n", invalid),
            ("HTTP/1.1 200 OK\r\nA: b\rc\r\n\r\n", invalid),
            ("HTTP/1.1 20 OK\r\n\r\n", invalid),
            ("HTTP/2 200 OK\r\n\r\n", invalid),
            ("\r\n\r\nHTTP/1.1 200 OK\r\n\r\n", invalid),
            ("<html>\n\n", invalid),
        ];
        for (text, expected) in rows {
            for step in [1, 2, 7, 1000] {
                let seen = head(text, step).unwrap().and_then(|(head, _)| framing(&head, false));
                assert_eq!(seen, expected, "{text:?} by {step}");
            }
        }
        let (answer, left) = head("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nabc", 1000).unwrap().unwrap();
        assert_eq!((framing(&answer, true), left), (Ok(Length(0)), 3));
        assert!(head("HTTP/1.1 200 OK\r\nA: b\r\n", 3).is_none());
    }

    #[test]
    fn persistence() {
        let rows = [
            ("HTTP/1.1 200 OK\r\n\r\n", true),
            ("HTTP/1.1 200 OK\r\nConnection: x, Close\r\n\r\n", false),
            ("HTTP/1.0 200 OK\r\n\r\n", false),
            ("HTTP/1.0 200 OK\r\nConnection: keep-alive\r\n\r\n", true),
        ];
        for (text, expected) in rows {
            let (head, _) = head(text, 1000).unwrap().unwrap();
            assert_eq!(persists(head.version, &head.headers), expected, "{text:?}");
        }
    }
}
