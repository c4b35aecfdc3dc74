//! The variables of a log line, each a small function that appends its text.
//!
//! Names and spellings are nginx's (ngx_http_log_module, ngx_http_upstream_module) and ingress-nginx's. A format is a
//! list of these and of literal text, so a variable added to [`VARIABLES`] is at once usable in any of them.

use std::fmt::Display;
use std::io::Write;
use std::time::Duration;

use super::record::{Attempt, Record};
use crate::proxy::facts::protocol;

/// How texts from outside are made safe for the line, nginx's `escape=` parameter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Escape {
    /// `"`, `\`, control and non-ASCII bytes as `\xXX`; an absent value as `-`.
    Default,
    /// For the inside of a JSON string, RFC 8259 section 7; an absent value is empty.
    Json,
}

/// Appends one variable's text.
pub type Variable = fn(&Record<'_>, Escape, &mut Vec<u8>);

const VARIABLES: &[(&str, Variable)] = &[
    ("args", args),
    ("body_bytes_sent", body_bytes_sent),
    ("bytes_sent", bytes_sent),
    ("host", host),
    ("http_referer", http_referer),
    ("http_user_agent", http_user_agent),
    ("ingress_name", ingress_name),
    ("location_path", location_path),
    ("msec", msec),
    ("namespace", namespace),
    ("proxy_add_x_forwarded_for", proxy_add_x_forwarded_for),
    ("proxy_alternative_upstream_name", alternative_upstream_name),
    ("proxy_upstream_name", proxy_upstream_name),
    ("query_string", args),
    ("remote_addr", remote_addr),
    ("remote_port", remote_port),
    ("remote_user", remote_user),
    ("req_id", req_id),
    ("request", request),
    ("request_id", req_id),
    ("request_length", request_length),
    ("request_method", request_method),
    ("request_time", request_time),
    ("request_uri", request_uri),
    ("scheme", scheme),
    ("server_protocol", server_protocol),
    ("service_name", service_name),
    ("service_port", service_port),
    ("status", status),
    ("time_iso8601", time_iso8601),
    ("time_local", time_local),
    ("upstream_addr", upstream_addr),
    ("upstream_response_length", upstream_response_length),
    ("upstream_response_time", upstream_response_time),
    ("upstream_status", upstream_status),
    ("uri", uri),
];

/// The variable of a name, without its `$`.
pub fn variable(name: &str) -> Option<Variable> {
    let at = VARIABLES.binary_search_by_key(&name, |(known, _)| known).ok()?;
    VARIABLES.get(at).map(|(_, variable)| *variable)
}

/// A variable whose text is an `Option<&[u8]>` of the record.
macro_rules! texts {
    ($($name:ident = |$record:ident| $value:expr;)*) => {
        $(pub(super) fn $name($record: &Record<'_>, escape: Escape, out: &mut Vec<u8>) {
            text($value, escape, out);
        })*
    };
}

/// A variable whose value displays itself in characters that need no escaping.
macro_rules! values {
    ($($name:ident = |$record:ident| $value:expr;)*) => {
        $(pub(super) fn $name($record: &Record<'_>, _: Escape, out: &mut Vec<u8>) {
            display($value, out);
        })*
    };
}

texts! {
    remote_user = |r| r.remote_user;
    http_referer = |r| r.referer;
    http_user_agent = |r| r.user_agent;
    proxy_add_x_forwarded_for = |r| r.x_forwarded_for;
    uri = |r| Some(r.uri);
    args = |r| r.args;
    request_uri = |r| r.request.map(|line| line.target);
    request_method = |r| r.request.map(|line| line.method.as_str().as_bytes());
    server_protocol = |r| r.request.map(|line| protocol(line.version).as_bytes());
    host = |r| Some(r.host.as_bytes());
    scheme = |r| Some(r.scheme.as_bytes());
    proxy_upstream_name = |r| r.upstream_name.map(str::as_bytes);
    alternative_upstream_name = |r| r.alternative_upstream_name.map(str::as_bytes);
    req_id = |r| Some(r.req_id.as_bytes());
    namespace = |r| r.namespace.map(str::as_bytes);
    ingress_name = |r| r.ingress.map(str::as_bytes);
    service_name = |r| r.service.map(str::as_bytes);
    service_port = |r| r.service_port.map(str::as_bytes);
    location_path = |r| r.location_path.map(str::as_bytes);
}

values! {
    remote_addr = |r| r.remote_addr;
    remote_port = |r| r.remote_port;
    time_local = |r| r.time.time_local();
    time_iso8601 = |r| r.time.time_iso8601();
    msec = |r| r.time.msec();
    body_bytes_sent = |r| r.body_bytes_sent;
    bytes_sent = |r| r.bytes_sent;
    request_length = |r| r.request_length;
}

/// Three digits, as nginx pads it.
pub(super) fn status(record: &Record<'_>, _: Escape, out: &mut Vec<u8>) {
    // Writing to a Vec cannot fail, here and below.
    let _ = write!(out, "{:03}", record.status);
}

pub(super) fn request_time(record: &Record<'_>, _: Escape, out: &mut Vec<u8>) {
    seconds(record.request_time, out);
}

pub(super) fn request(record: &Record<'_>, escape: Escape, out: &mut Vec<u8>) {
    let Some(line) = record.request else { return text(None, escape, out) };
    append(line.method.as_str().as_bytes(), escape, out);
    out.push(b' ');
    append(line.target, escape, out);
    out.push(b' ');
    out.extend_from_slice(protocol(line.version).as_bytes());
}

pub(super) fn upstream_addr(record: &Record<'_>, escape: Escape, out: &mut Vec<u8>) {
    attempts(record, escape, out, |attempt, out| display(attempt.addr, out));
}

pub(super) fn upstream_response_length(record: &Record<'_>, escape: Escape, out: &mut Vec<u8>) {
    attempts(record, escape, out, |attempt, out| display(attempt.response_length.unwrap_or(0), out));
}

pub(super) fn upstream_response_time(record: &Record<'_>, escape: Escape, out: &mut Vec<u8>) {
    attempts(record, escape, out, |attempt, out| seconds(attempt.response_time, out));
}

pub(super) fn upstream_status(record: &Record<'_>, escape: Escape, out: &mut Vec<u8>) {
    attempts(record, escape, out, |attempt, out| match attempt.status {
        Some(status) => display(status, out),
        None => out.push(b'-'),
    });
}

/// One value an attempt, `, ` between them; absent when there was none.
fn attempts(record: &Record<'_>, escape: Escape, out: &mut Vec<u8>, write: impl Fn(&Attempt, &mut Vec<u8>)) {
    if record.attempts.is_empty() {
        return text(None, escape, out);
    }
    for (index, attempt) in record.attempts.iter().enumerate() {
        if index > 0 {
            out.extend_from_slice(b", ");
        }
        write(attempt, out);
    }
}

fn display(value: impl Display, out: &mut Vec<u8>) {
    let _ = write!(out, "{value}");
}

/// Seconds with three decimals, cut off as nginx's millisecond clock does.
fn seconds(time: Duration, out: &mut Vec<u8>) {
    let _ = write!(out, "{}.{:03}", time.as_secs(), time.subsec_millis());
}

fn text(value: Option<&[u8]>, escape: Escape, out: &mut Vec<u8>) {
    match value {
        Some(value) => append(value, escape, out),
        None if escape == Escape::Default => out.push(b'-'),
        None => {}
    }
}

fn append(value: &[u8], escape: Escape, out: &mut Vec<u8>) {
    match escape {
        Escape::Default => append_default(value, out),
        Escape::Json => append_json(value, out),
    }
}

/// ngx_http_log_escape: upper-case hexadecimal, and `"` and `\` no different from the rest.
fn append_default(value: &[u8], out: &mut Vec<u8>) {
    for &byte in value {
        match byte {
            b'"' | b'\\' | ..0x20 | 0x7f.. => {
                let _ = write!(out, "\\x{byte:02X}");
            }
            _ => out.push(byte),
        }
    }
}

/// ngx_escape_json, but a byte that is not UTF-8 becomes U+FFFD: RFC 8259 section 8.1 has no place for it.
fn append_json(value: &[u8], out: &mut Vec<u8>) {
    for chunk in value.utf8_chunks() {
        for &byte in chunk.valid().as_bytes() {
            match byte {
                b'"' => out.extend_from_slice(b"\\\""),
                b'\\' => out.extend_from_slice(b"\\\\"),
                b'\n' => out.extend_from_slice(b"\\n"),
                b'\r' => out.extend_from_slice(b"\\r"),
                b'\t' => out.extend_from_slice(b"\\t"),
                0x08 => out.extend_from_slice(b"\\b"),
                0x0c => out.extend_from_slice(b"\\f"),
                ..0x20 => {
                    let _ = write!(out, "\\u{byte:04X}");
                }
                _ => out.push(byte),
            }
        }
        if !chunk.invalid().is_empty() {
            out.extend_from_slice("\u{fffd}".as_bytes());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_sorted_for_its_search() {
        assert!(VARIABLES.is_sorted_by_key(|(name, _)| name));
        assert!(VARIABLES.iter().all(|(name, _)| variable(name).is_some()));
        assert!(variable("nothing").is_none());
    }
}
