//! The values of nginx's variables for a request that is over.

use std::io::Write as _;
use std::time::Duration;

use http::header::{self, HeaderMap, HeaderName};

use super::target::HOSTNAME;
use crate::policy::access_log::Keep;
use crate::policy::headers::joined;
use crate::policy::template::Values;
use crate::policy::variable::{Named, Variable};
use crate::proxy::exchange::Exchange;
use crate::proxy::facts::Facts;
use crate::proxy::tried::Tried;

/// Headers that the format in force names, kept until the line is written.
#[derive(Debug, Default)]
pub struct Kept {
    request: HeaderMap,
    upstream: HeaderMap,
    sent: HeaderMap,
}

impl Kept {
    /// Those of the request, `None` when it has none of them and no answer's are asked for.
    pub fn of_request(keep: &Keep, headers: &HeaderMap) -> Option<Box<Self>> {
        let is_needed = !keep.upstream.is_empty() || !keep.sent.is_empty();
        let request = some(&keep.request, headers);
        (is_needed || request.is_some())
            .then(|| Box::new(Self { request: request.unwrap_or_default(), ..Self::default() }))
    }

    /// Those of the answer as the upstream gave it.
    pub fn upstream(&mut self, keep: &Keep, headers: &HeaderMap) {
        self.upstream = some(&keep.upstream, headers).unwrap_or_default();
    }

    /// Those of the answer as the client gets it.
    pub fn sent(&mut self, keep: &Keep, headers: &HeaderMap) {
        self.sent = some(&keep.sent, headers).unwrap_or_default();
    }
}

/// The headers of these names, if there are any.
fn some(names: &[HeaderName], headers: &HeaderMap) -> Option<HeaderMap> {
    let mut kept = None;
    for name in names {
        for value in headers.get_all(name) {
            kept.get_or_insert_with(HeaderMap::new).append(name.clone(), value.clone());
        }
    }
    kept
}

/// A finished request, for its line.
#[derive(Clone, Copy, Debug)]
pub struct LogValues<'a>(pub &'a Exchange);

impl Values for LogValues<'_> {
    fn variable(&self, variable: &Variable, out: &mut Vec<u8>) -> bool {
        let exchange = self.0;
        let kept = exchange.kept.as_deref();
        match variable {
            Variable::Header(name) if *name == header::REFERER => put(exchange.referer.as_ref(), out),
            Variable::Header(name) if *name == header::USER_AGENT => put(exchange.user_agent.as_ref(), out),
            Variable::SentHeader(name) => put(kept.and_then(|kept| joined(&kept.sent, name)).as_ref(), out),
            Variable::UpstreamHeader(name) => put(kept.and_then(|kept| joined(&kept.upstream, name)).as_ref(), out),
            Variable::Named(named) if let Some(is_there) = self.named(*named, out) => is_there,
            other => {
                let none = HeaderMap::new();
                Facts { exchange, headers: kept.map_or(&none, |kept| &kept.request) }.variable(other, out)
            }
        }
    }
}

impl LogValues<'_> {
    /// What is known once the request is over; `None` for what was known before.
    pub fn named(&self, named: Named, out: &mut Vec<u8>) -> Option<bool> {
        let exchange = self.0;
        // Writing to a Vec cannot fail.
        let is_there = match named {
            Named::Status => write!(out, "{:03}", exchange.status).is_ok(),
            Named::BodyBytesSent => number(exchange.body_bytes, out),
            Named::BytesSent => number(exchange.response_head + exchange.body_bytes, out),
            Named::RequestLength => number(exchange.request_length(), out),
            Named::RequestTime => seconds(Some(exchange.elapsed()), out),
            Named::ProxyAlternativeUpstreamName => {
                out.extend_from_slice(exchange.alternative_name().map_or("", |name| name).as_bytes());
                true
            }
            Named::ProxyUpstreamName => {
                // ingress-nginx's servers begin with setting it.
                let unknown = if exchange.has_server { "-" } else { "" };
                out.extend_from_slice(exchange.upstream_name().unwrap_or(unknown).as_bytes());
                true
            }
            Named::Hostname => out.write_all(HOSTNAME.as_bytes()).is_ok(),
            Named::Pipe => out.write_all(b".").is_ok(),
            other => return of_tries(other, &exchange.tried, (exchange.received(), exchange.upstream_bytes), out),
        };
        Some(is_there)
    }
}

/// What the variables `$upstream_*` say of tries at endpoints, one text a try as nginx lists them; absent when none was
/// asked. `bodies` are the bytes that the last try sent and received besides heads.
pub(super) fn of_tries(named: Named, tries: &[Tried], bodies: (u64, u64), out: &mut Vec<u8>) -> Option<bool> {
    if !is_of_tries(named) {
        return None;
    }
    let last = tries.len().saturating_sub(1);
    for (index, tried) in tries.iter().enumerate() {
        // nginx has `0` for a try without an answer.
        let (sent, received) = if index == last { bodies } else { (0, 0) };
        let received = if tried.failed_after.is_none() { received } else { 0 };
        if index > 0 {
            out.extend_from_slice(b", ");
        }
        match named {
            Named::UpstreamAddr => write!(out, "{}", tried.address).is_ok(),
            Named::UpstreamStatus => match tried.status {
                Some(status) => write!(out, "{status}").is_ok(),
                None => out.write_all(b"-").is_ok(),
            },
            Named::UpstreamResponseLength => number(received, out),
            Named::UpstreamResponseTime => {
                seconds(Some(tried.failed_after.unwrap_or_else(|| tried.began.elapsed())), out)
            }
            Named::UpstreamConnectTime => seconds(tried.connect, out),
            Named::UpstreamHeaderTime => seconds(tried.header, out),
            Named::UpstreamBytesReceived => number(tried.head_bytes.1 + received, out),
            Named::UpstreamBytesSent => number(tried.head_bytes.0 + sent, out),
            _ => false,
        };
    }
    Some(!tries.is_empty())
}

fn is_of_tries(named: Named) -> bool {
    matches!(
        named,
        Named::UpstreamAddr
            | Named::UpstreamStatus
            | Named::UpstreamResponseLength
            | Named::UpstreamResponseTime
            | Named::UpstreamConnectTime
            | Named::UpstreamHeaderTime
            | Named::UpstreamBytesReceived
            | Named::UpstreamBytesSent
    )
}

pub(super) fn put(value: Option<&http::HeaderValue>, out: &mut Vec<u8>) -> bool {
    out.extend_from_slice(value.map_or(b"", |value| value.as_bytes()));
    value.is_some()
}

pub(super) fn number(value: u64, out: &mut Vec<u8>) -> bool {
    out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
    true
}

/// Seconds with three decimals, cut off as nginx's millisecond clock does; `-` within a list for what never came.
pub(super) fn seconds(time: Option<Duration>, out: &mut Vec<u8>) -> bool {
    match time {
        Some(time) => write!(out, "{}.{:03}", time.as_secs(), time.subsec_millis()).is_ok(),
        None => out.write_all(b"-").is_ok(),
    }
}
