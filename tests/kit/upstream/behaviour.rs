//! What a backend does instead of a plain echo, told by `x-test-*` fields of the request or by `Upstream::set`.

use std::time::Duration;

use super::super::{Headers, header, header_all};

/// One answer's manners. Every field is a control of that name: `status` is `x-test-status: 503`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Behaviour {
    /// `x-test-status: 503`; 200 without.
    pub status: u16,
    /// `x-test-header: Name: value`, repeatable.
    pub headers: Headers,
    /// `x-test-delay-ms: 50`: before the answer's head.
    pub delay: Duration,
    /// `x-test-body-delay-ms: 50`: between the head and the body.
    pub body_delay: Duration,
    /// `x-test-body-bytes: 1000`: that many `x` rather than the echo.
    pub body_bytes: Option<usize>,
    /// `x-test-body: text`: that text rather than the echo.
    pub body: Option<String>,
    /// `x-test-echo-body: 1`: the request's body rather than the echo.
    pub echo_body: bool,
    /// `x-test-chunked: 1`: HTTP/1 only.
    pub chunked: bool,
    /// `x-test-no-length: 1`: neither length nor chunks; the close ends the body. HTTP/1 only.
    pub no_length: bool,
    /// `x-test-trailers: name: value`, repeatable; implies chunks.
    pub trailers: Headers,
    /// `x-test-close: 1`: closes the connection without an answer.
    pub close: bool,
    /// `x-test-reset: 1`: resets the connection (HTTP/2: the stream) without an answer.
    pub reset: bool,
    /// `x-test-cut: 10`: sends that many bytes of the body, then closes. HTTP/1 only.
    pub cut: Option<usize>,
    /// `x-test-close-after: 1`: `Connection: close` after the answer. HTTP/1 only.
    pub close_after: bool,
    /// `x-test-drop-after: 1`: closes after the answer without having said so. HTTP/1 only.
    pub drop_after: bool,
    /// `x-test-early: 103`: an interim answer first, with a Link field. HTTP/1 only.
    pub early: Option<u16>,
    /// `x-test-unread: 1`: answers before the request's body was read, then closes. HTTP/1 only.
    pub unread: bool,
    /// `x-test-raw: HTTP/1.1 200 OK\r\n\r\n`: these bytes (`\r`, `\n` and `\0` escaped), then closes. HTTP/1 only.
    pub raw: Option<Vec<u8>>,
    /// `x-test-sse: 3`: that many server-sent events.
    pub sse: Option<usize>,
    /// `x-test-interval-ms: 100`: the time between two events.
    pub interval: Duration,
    /// `x-test-grpc-status: 14`; 0 without.
    pub grpc_status: u32,
}

impl Behaviour {
    /// Reads the controls of a request. `x-test-only: a,b` keeps them from other backends than those.
    pub fn read(backend: &str, request: &Headers, defaults: &Headers) -> Self {
        let only = header(request, "x-test-only").or_else(|| header(defaults, "x-test-only"));
        if only.is_some_and(|only| !only.split(',').any(|name| name.trim() == backend)) {
            return Self { status: 200, ..Self::default() };
        }
        let one = |name: &str| header(request, name).or_else(|| header(defaults, name));
        let many = |name: &str| {
            let own = header_all(request, name);
            if own.is_empty() { header_all(defaults, name) } else { own }
        };
        let millis = |name| Duration::from_millis(one(name).and_then(|v| v.parse().ok()).unwrap_or_default());
        let number = |name| one(name).and_then(|v| v.parse().ok());
        Self {
            status: one("x-test-status").and_then(|v| v.parse().ok()).unwrap_or(200),
            headers: pairs(&many("x-test-header")),
            delay: millis("x-test-delay-ms"),
            body_delay: millis("x-test-body-delay-ms"),
            body_bytes: number("x-test-body-bytes"),
            body: one("x-test-body").map(str::to_owned),
            echo_body: one("x-test-echo-body").is_some(),
            chunked: one("x-test-chunked").is_some(),
            no_length: one("x-test-no-length").is_some(),
            trailers: pairs(&many("x-test-trailers")),
            close: one("x-test-close").is_some(),
            reset: one("x-test-reset").is_some(),
            cut: number("x-test-cut"),
            close_after: one("x-test-close-after").is_some(),
            drop_after: one("x-test-drop-after").is_some(),
            early: one("x-test-early").and_then(|v| v.parse().ok()),
            unread: one("x-test-unread").is_some(),
            raw: one("x-test-raw").map(unescape),
            sse: number("x-test-sse"),
            interval: millis("x-test-interval-ms"),
            grpc_status: one("x-test-grpc-status").and_then(|v| v.parse().ok()).unwrap_or_default(),
        }
    }

    /// The body of the answer and its media type; `echo` is the JSON of what was seen.
    pub fn body(&self, echo: Vec<u8>, request_body: &[u8]) -> (Vec<u8>, &'static str) {
        match (&self.body, self.body_bytes) {
            (Some(text), _) => (text.clone().into_bytes(), "text/plain"),
            (None, Some(n)) => (vec![b'x'; n], "text/plain"),
            (None, None) if self.echo_body => (request_body.to_vec(), "application/octet-stream"),
            (None, None) => (echo, "application/json"),
        }
    }
}

/// The n-th server-sent event, counted from 1.
pub fn event(n: usize) -> String {
    format!("id: {n}\ndata: event {n}\n\n")
}

fn pairs(lines: &[&str]) -> Headers {
    lines
        .iter()
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.trim().to_owned(), value.trim().to_owned()))
        .collect()
}

fn unescape(text: &str) -> Vec<u8> {
    text.replace("\\r", "\r").replace("\\n", "\n").replace("\\0", "\0").into_bytes()
}
