//! POST_READ: what a request's head must be before anything is done with it.

use http::header::{self, HeaderValue};
use http::{Method, StatusCode, Version};
use hyper::body::Incoming;

use crate::base::hostname::Authority;

type Request = http::Request<Incoming>;

/// TRACE and CONNECT are nginx's 405; a method has capital letters, `-` and `_` (nginx's parser).
pub fn check_method(method: &Method) -> Result<(), StatusCode> {
    if *method == Method::TRACE || *method == Method::CONNECT {
        return Err(StatusCode::METHOD_NOT_ALLOWED);
    }
    let well_formed = method.as_str().bytes().all(|b| b.is_ascii_uppercase() || b == b'-' || b == b'_');
    if well_formed { Ok(()) } else { Err(StatusCode::BAD_REQUEST) }
}

/// What hyper leaves to us: a transfer coding is `chunked`, once, and not of HTTP/1.0.
pub fn check_framing(request: &Request) -> Result<(), StatusCode> {
    let mut codings = request.headers().get_all(header::TRANSFER_ENCODING).iter();
    if let Some(coding) = codings.next() {
        let chunked = coding.as_bytes().trim_ascii().eq_ignore_ascii_case(b"chunked");
        if codings.next().is_some() || request.version() < Version::HTTP_11 {
            return Err(StatusCode::BAD_REQUEST);
        }
        if !chunked {
            return Err(StatusCode::NOT_IMPLEMENTED);
        }
    }
    Ok(())
}

pub struct RequestedHost {
    /// Lower-case, without port: what is looked up.
    pub name: String,
    /// As sent: what redirects and upstreams are told.
    pub value: Option<HeaderValue>,
}

/// The one host of a request. `:authority` or an absolute target wins over `Host` (RFC 9112 §3.2.2), and replaces it.
pub fn requested_host(request: &Request) -> Result<RequestedHost, StatusCode> {
    const BAD: StatusCode = StatusCode::BAD_REQUEST;
    let mut lines = request.headers().get_all(header::HOST).iter();
    let line = lines.next();
    if lines.next().is_some() {
        return Err(BAD);
    }
    let field = line;
    let line = line.map(|value| value.to_str().map_err(|_| BAD)).transpose()?;
    let authority = request.uri().authority().map(|a| a.as_str());
    if request.version() == Version::HTTP_2
        && let (Some(a), Some(b)) = (authority, line)
        && !a.eq_ignore_ascii_case(b)
    {
        return Err(BAD);
    }
    let Some(sent) = authority.or(line) else {
        // Only HTTP/1.0 may do without; it meets the default server.
        let old = request.version() <= Version::HTTP_10;
        return if old { Ok(RequestedHost { name: String::new(), value: None }) } else { Err(BAD) };
    };
    let parsed = Authority::parse(sent).map_err(|_| BAD)?;
    let value = match (authority, field) {
        (None, Some(field)) => field.clone(),
        _ => HeaderValue::from_str(sent).map_err(|_| BAD)?,
    };
    Ok(RequestedHost { name: parsed.host.into_owned(), value: Some(value) })
}

pub fn sent_target(request: &Request) -> &str {
    request.uri().path_and_query().map_or("/", |target| target.as_str())
}
