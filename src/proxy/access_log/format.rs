//! The shapes of a line. Each is a list of literals and variables, the built-in ones as much as a custom one.

use std::borrow::Cow;

use super::record::Record;
use super::variables::{self as v, Escape, Variable};

/// A piece of a line.
#[derive(Clone, Debug)]
pub enum Segment {
    Literal(Cow<'static, str>),
    Variable(Variable),
}

/// How a request becomes a line.
#[derive(Clone, Debug, Default)]
pub enum Format {
    /// ingress-nginx's default `log-format-upstream`, byte by byte: parsers in the field match exactly this.
    #[default]
    Upstreaminfo,
    /// One JSON object with the field names of ingress-nginx's documentation.
    Json,
}

impl Format {
    /// Appends the line without its end. Allocates only if `out` has to grow.
    pub fn write(&self, record: &Record<'_>, out: &mut Vec<u8>) {
        match self {
            Self::Upstreaminfo => segments(UPSTREAMINFO, Escape::Default, record, out),
            Self::Json => segments(JSON, Escape::Json, record, out),
        }
    }
}

fn segments(segments: &[Segment], escape: Escape, record: &Record<'_>, out: &mut Vec<u8>) {
    for segment in segments {
        match segment {
            Segment::Literal(text) => out.extend_from_slice(text.as_bytes()),
            Segment::Variable(variable) => variable(record, escape, out),
        }
    }
}

const fn lit(text: &'static str) -> Segment {
    Segment::Literal(Cow::Borrowed(text))
}

const fn var(variable: Variable) -> Segment {
    Segment::Variable(variable)
}

static UPSTREAMINFO: &[Segment] = &[
    var(v::remote_addr),
    lit(" - "),
    var(v::remote_user),
    lit(" ["),
    var(v::time_local),
    lit("] \""),
    var(v::request),
    lit("\" "),
    var(v::status),
    lit(" "),
    var(v::body_bytes_sent),
    lit(" \""),
    var(v::http_referer),
    lit("\" \""),
    var(v::http_user_agent),
    lit("\" "),
    var(v::request_length),
    lit(" "),
    var(v::request_time),
    lit(" ["),
    var(v::proxy_upstream_name),
    lit("] ["),
    var(v::alternative_upstream_name),
    lit("] "),
    var(v::upstream_addr),
    lit(" "),
    var(v::upstream_response_length),
    lit(" "),
    var(v::upstream_response_time),
    lit(" "),
    var(v::upstream_status),
    lit(" "),
    var(v::req_id),
];

static JSON: &[Segment] = &[
    lit("{\"time\":\""),
    var(v::time_iso8601),
    lit("\",\"remote_addr\":\""),
    var(v::remote_addr),
    lit("\",\"x_forwarded_for\":\""),
    var(v::proxy_add_x_forwarded_for),
    lit("\",\"request_id\":\""),
    var(v::req_id),
    lit("\",\"remote_user\":\""),
    var(v::remote_user),
    lit("\",\"bytes_sent\":"),
    var(v::bytes_sent),
    lit(",\"body_bytes_sent\":"),
    var(v::body_bytes_sent),
    lit(",\"request_time\":"),
    var(v::request_time),
    lit(",\"status\":"),
    var(v::status),
    lit(",\"vhost\":\""),
    var(v::host),
    lit("\",\"request_proto\":\""),
    var(v::server_protocol),
    lit("\",\"scheme\":\""),
    var(v::scheme),
    lit("\",\"path\":\""),
    var(v::uri),
    lit("\",\"request_query\":\""),
    var(v::args),
    lit("\",\"request_length\":"),
    var(v::request_length),
    lit(",\"duration\":"),
    var(v::request_time),
    lit(",\"method\":\""),
    var(v::request_method),
    lit("\",\"http_referrer\":\""),
    var(v::http_referer),
    lit("\",\"http_user_agent\":\""),
    var(v::http_user_agent),
    lit("\",\"proxy_upstream_name\":\""),
    var(v::proxy_upstream_name),
    lit("\",\"proxy_alternative_upstream_name\":\""),
    var(v::alternative_upstream_name),
    lit("\",\"upstream_addr\":\""),
    var(v::upstream_addr),
    lit("\",\"upstream_response_length\":\""),
    var(v::upstream_response_length),
    lit("\",\"upstream_response_time\":\""),
    var(v::upstream_response_time),
    lit("\",\"upstream_status\":\""),
    var(v::upstream_status),
    lit("\",\"namespace\":\""),
    var(v::namespace),
    lit("\",\"ingress_name\":\""),
    var(v::ingress_name),
    lit("\",\"service_name\":\""),
    var(v::service_name),
    lit("\",\"service_port\":\""),
    var(v::service_port),
    lit("\"}"),
];
