//! The head of a CGI answer (RFC 3875 §6) as HTTP.

use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::{Response, StatusCode};

use super::Fault;

/// The most a head may take; what a client gets of it is bounded by `proxy-buffer-size` besides.
pub const MAX_HEAD: usize = 64 * 1024;

/// Names that are the server's to set.
const OURS: [HeaderName; 4] =
    [header::CONNECTION, header::TRANSFER_ENCODING, HeaderName::from_static("keep-alive"), header::UPGRADE];

/// Where the head of `bytes` ends and the body begins, if all of the head is there.
pub fn end_of_head(bytes: &[u8]) -> Option<(usize, usize)> {
    let mut start = 0;
    for (at, _) in bytes.iter().enumerate().filter(|(_, byte)| **byte == b'\n') {
        let line = bytes.get(start..at)?;
        if matches!(line, b"" | b"\r") {
            return Some((start, at + 1));
        }
        start = at + 1;
    }
    None
}

/// The status and headers of a head. A `Location` without a status is a redirect (nginx: 302).
pub fn parse(head: &[u8]) -> Result<Response<()>, Fault> {
    let mut headers = HeaderMap::new();
    let mut status = None;
    for line in head.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii_end).filter(|line| !line.is_empty()) {
        let at = line.iter().position(|byte| *byte == b':').ok_or(Fault::Head)?;
        let (name, value) = line.split_at_checked(at).ok_or(Fault::Head)?;
        let value = value.get(1..).unwrap_or_default().trim_ascii();
        if name.eq_ignore_ascii_case(b"status") {
            status = Some(status_of(value).ok_or(Fault::Head)?);
            continue;
        }
        let name = HeaderName::from_bytes(name).map_err(|_| Fault::Head)?;
        let value = HeaderValue::from_bytes(value).map_err(|_| Fault::Head)?;
        if !OURS.contains(&name) {
            headers.append(name, value);
        }
    }
    let default = if headers.contains_key(header::LOCATION) { StatusCode::FOUND } else { StatusCode::OK };
    let mut response = Response::new(());
    *response.status_mut() = status.unwrap_or(default);
    *response.headers_mut() = headers;
    Ok(response)
}

/// `404 Not Found`, or the number alone.
fn status_of(value: &[u8]) -> Option<StatusCode> {
    let status = StatusCode::from_bytes(value.split(|byte| *byte == b' ').next()?).ok()?;
    (status.as_u16() >= 200).then_some(status)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heads() {
        type Expected = Option<(u16, &'static [(&'static str, &'static str)])>;
        let rows: [(&str, Expected); 8] = [
            ("Content-Type: text/html\r\n", Some((200, &[("content-type", "text/html")]))),
            ("Status: 404 Not Found\nX-A: 1\nX-A: 2\n", Some((404, &[("x-a", "1"), ("x-a", "2")]))),
            ("Status: 201\n", Some((201, &[]))),
            ("Location: /x\n", Some((302, &[("location", "/x")]))),
            ("Status: 301 Gone\nLocation: /x\nConnection: close\n", Some((301, &[("location", "/x")]))),
            ("Status: 100 Continue\n", None),
            ("no colon\n", None),
            ("Bad Name: x\n", None),
        ];
        for (head, expected) in rows {
            let parsed = parse(head.as_bytes()).ok();
            let parsed = parsed.as_ref().map(|response| {
                let headers = response.headers().iter().map(|(name, value)| (name.as_str(), value.to_str().unwrap()));
                (response.status().as_u16(), headers.collect::<Vec<_>>())
            });
            assert_eq!(parsed, expected.map(|(status, headers)| (status, headers.to_vec())), "{head:?}");
        }
    }

    #[test]
    fn ends() {
        let rows = [
            ("A: b\r\n\r\nbody", Some((6, 8))),
            ("A: b\n\nbody", Some((5, 6))),
            ("\n", Some((0, 1))),
            ("A: b\r\n\r", None),
            ("A: b", None),
        ];
        for (text, expected) in rows {
            assert_eq!(end_of_head(text.as_bytes()), expected, "{text:?}");
        }
    }
}
