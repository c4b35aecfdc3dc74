//! Answers of the proxy's own: error pages and redirects.

use bytes::Bytes;
use http::header::{self, HeaderValue};
use http::{Response, StatusCode};
use http_body::Body as _;

use super::body::ProxyBody;

/// An answer before headers that every answer gets.
pub type Answer = Response<ProxyBody>;

/// Marks an answer that nginx's `error_page` does not see: one with a text of its own, one for a request that could not be
/// read, one for nginx's own codes 494 to 496.
#[derive(Clone, Copy, Debug)]
struct AsItIs;

pub fn as_it_is(mut answer: Answer) -> Answer {
    answer.extensions_mut().insert(AsItIs);
    answer
}

/// Whether an error backend may write a page in its place.
pub fn is_replaceable(answer: &Answer) -> bool {
    answer.extensions().get::<AsItIs>().is_none()
}

/// The reason phrase as nginx words it (contract §8); RFC 9110's for the others.
fn reason(status: StatusCode) -> &'static str {
    match status.as_u16() {
        302 => "Found",
        401 => "Authorization Required",
        408 => "Request Time-out",
        413 => "Request Entity Too Large",
        414 => "Request-URI Too Large",
        431 => "Request Header Fields Too Large",
        405 => "Not Allowed",
        503 => "Service Temporarily Unavailable",
        504 => "Gateway Time-out",
        _ => status.canonical_reason().unwrap_or("Error"),
    }
}

/// A short page whose heading is the status line.
fn page_text(status: StatusCode, detail: Option<&str>) -> String {
    let heading = format!("{} {}", status.as_str(), reason(status));
    let detail = detail.map(|text| format!("<center>{text}</center>\r\n")).unwrap_or_default();
    format!(
        "<html>\r\n<head><title>{heading}</title></head>\r\n<body>\r\n<center><h1>{heading}</h1></center>\r\n{detail}\
         </body>\r\n</html>\r\n"
    )
}

pub fn page(status: StatusCode) -> Answer {
    html(status, if status == StatusCode::NO_CONTENT { String::new() } else { page_text(status, None) })
}

/// A page that says more than its status.
pub fn detailed_page(status: StatusCode, detail: &str) -> Answer {
    html(status, page_text(status, Some(detail)))
}

fn html(status: StatusCode, text: String) -> Answer {
    let mut answer = Response::new(ProxyBody::full(Bytes::from(text)));
    *answer.status_mut() = status;
    answer.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("text/html"));
    answer
}

/// A redirect. A location that cannot stand in a header is an answer of 500: it was made from a request that hyper
/// accepted, so it does not happen.
pub fn redirect(status: StatusCode, location: &str) -> Answer {
    match HeaderValue::from_bytes(location.as_bytes()) {
        Ok(value) => {
            let mut answer = page(status);
            answer.headers_mut().insert(header::LOCATION, value);
            answer
        }
        Err(_) => page(StatusCode::INTERNAL_SERVER_ERROR),
    }
}

/// `200` with an empty body: the health path on the proxy's own ports.
pub fn healthy() -> Answer {
    Response::new(ProxyBody::full(Bytes::new()))
}

/// A whole HTTP/1.1 message, for a connection that ends before a request could be read.
pub fn raw_page(status: StatusCode) -> Vec<u8> {
    raw(status, &page_text(status, None))
}

/// The answer to plain HTTP on a TLS port, in nginx's words (contract §8).
pub fn plain_on_tls() -> Vec<u8> {
    let status = StatusCode::BAD_REQUEST;
    raw(status, &page_text(status, Some("The plain HTTP request was sent to HTTPS port")))
}

fn raw(status: StatusCode, body: &str) -> Vec<u8> {
    format!(
        "HTTP/1.1 {} {}\r\nContent-Type: text/html\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        status.as_str(),
        reason(status),
        body.len()
    )
    .into_bytes()
}

/// An answer to HEAD has the headers of the answer to GET, and no body (RFC 9110 §9.3.2).
pub fn strip_body(answer: &mut Answer) {
    let length = answer.body().size_hint().exact().filter(|length| *length > 0);
    if let Some(length) = length
        && answer.body().is_full()
    {
        answer.headers_mut().insert(header::CONTENT_LENGTH, HeaderValue::from(length));
        *answer.body_mut() = ProxyBody::full(bytes::Bytes::new());
    }
}
