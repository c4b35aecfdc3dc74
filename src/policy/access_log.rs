//! `log-format-upstream`: the access log's line of a request, parsed once (ngx_http_log_module).

use std::borrow::Cow;
use std::io::Write as _;

use http::header::{self, HeaderName};

use super::headers::X_FORWARDED_FOR;
use super::template::Values;
use super::variable::{Named, Variable};

/// ingress-nginx's default, byte by byte: parsers in the field match exactly this (metrics contract §6).
pub const DEFAULT: &str = "$remote_addr - $remote_user [$time_local] \"$request\" $status $body_bytes_sent \
    \"$http_referer\" \"$http_user_agent\" $request_length $request_time [$proxy_upstream_name] \
    [$proxy_alternative_upstream_name] $upstream_addr $upstream_response_length $upstream_response_time \
    $upstream_status $req_id";

/// How texts from outside are made safe for the line, nginx's `escape=` parameter.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Escape {
    /// `"`, `\`, control and non-ASCII bytes as `\xXX`; an absent value as `-`.
    #[default]
    Default,
    /// For the inside of a JSON string, RFC 8259 section 7; an absent value is empty.
    Json,
    /// As they are; an absent value is empty. A client can then write lines of its own.
    None,
}

/// A piece of a line.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Segment {
    Text(Box<str>),
    Variable(Variable),
}

/// What a request must keep until its line is written, beyond what it has anyway.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Keep {
    pub referer: bool,
    pub user_agent: bool,
    /// Other headers of the request.
    pub request: Vec<HeaderName>,
    /// Headers of the answer, as the upstream gave it and as the client gets it.
    pub upstream: Vec<HeaderName>,
    pub sent: Vec<HeaderName>,
    /// Bytes to and from the upstream.
    pub upstream_bytes: bool,
    /// The path as rewrites have left it, which nothing else asks for.
    pub path: bool,
}

/// How a request becomes a line.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct LogFormat {
    segments: Vec<Segment>,
    escape: Escape,
    pub keep: Keep,
}

impl Default for LogFormat {
    fn default() -> Self {
        Self::standard(Escape::Default)
    }
}

impl LogFormat {
    /// The default line.
    pub fn standard(escape: Escape) -> Self {
        Self::parse(DEFAULT, escape).unwrap_or_else(|_| Self { segments: Vec::new(), escape, keep: Keep::default() })
    }

    /// Reads a format as it stands between the single quotes of nginx's configuration. The error names what is wrong.
    pub fn parse(text: &str, escape: Escape) -> Result<Self, String> {
        let text = unquoted(text)?;
        let mut segments = Vec::new();
        let mut rest = &*text;
        while let Some((before, after)) = rest.split_once('$') {
            push(&mut segments, before);
            let (name, tail) = take_name(after)?;
            let variable = Variable::parse(name).ok_or_else(|| format!("the variable ${name} is not known"))?;
            segments.push(Segment::Variable(variable));
            rest = tail;
        }
        push(&mut segments, rest);
        let keep = Keep::of(&segments);
        Ok(Self { segments, escape, keep })
    }

    pub fn segments(&self) -> &[Segment] {
        &self.segments
    }

    /// Appends the line without its end. Allocates only if `out` has to grow.
    pub fn write(&self, values: &impl Values, out: &mut Vec<u8>) {
        for segment in &self.segments {
            match segment {
                Segment::Text(text) => out.extend_from_slice(text.as_bytes()),
                Segment::Variable(variable) => {
                    let start = out.len();
                    if values.variable(variable, out) {
                        self.escape.from(start, out);
                    } else if self.escape == Escape::Default {
                        out.push(b'-');
                    }
                }
            }
        }
    }
}

/// Undoes what a single-quoted string of nginx's configuration escapes, and joins strings that follow each other.
fn unquoted(text: &str) -> Result<Cow<'_, str>, String> {
    if !text.contains(['\\', '\'']) {
        return Ok(Cow::Borrowed(text));
    }
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        let escaped = match (c, chars.peek()) {
            ('\\', Some(next @ ('"' | '\'' | '\\'))) => Some(*next),
            ('\\', Some('t')) => Some('\t'),
            ('\\', Some('r')) => Some('\r'),
            ('\\', Some('n')) => Some('\n'),
            ('\'', _) => {
                while chars.next_if(|c| c.is_ascii_whitespace()).is_some() {}
                if chars.next_if_eq(&'\'').is_none() {
                    return Err("a single quote is not escaped".to_owned());
                }
                continue;
            }
            _ => None,
        };
        if escaped.is_some() {
            chars.next();
        }
        out.push(escaped.unwrap_or(c));
    }
    Ok(Cow::Owned(out))
}

/// Splits a variable's name off what follows its `$`.
fn take_name(text: &str) -> Result<(&str, &str), String> {
    if let Some(braced) = text.strip_prefix('{') {
        return braced.split_once('}').ok_or_else(|| "a brace after $ is not closed".to_owned());
    }
    let end = text.bytes().take_while(|b| b.is_ascii_alphanumeric() || *b == b'_').count();
    match text.split_at_checked(end) {
        Some((name, tail)) if !name.is_empty() => Ok((name, tail)),
        _ => Err("a $ has no name".to_owned()),
    }
}

fn push(segments: &mut Vec<Segment>, text: &str) {
    if !text.is_empty() {
        segments.push(Segment::Text(text.into()));
    }
}

impl Keep {
    fn of(segments: &[Segment]) -> Self {
        let mut keep = Self::default();
        for segment in segments {
            let Segment::Variable(variable) = segment else { continue };
            match variable {
                Variable::Header(name) if *name == header::REFERER => keep.referer = true,
                Variable::Header(name) if *name == header::USER_AGENT => keep.user_agent = true,
                Variable::Header(name) => add(&mut keep.request, name.clone()),
                Variable::Cookie(_) => add(&mut keep.request, header::COOKIE),
                Variable::SentHeader(name) => add(&mut keep.sent, name.clone()),
                Variable::UpstreamHeader(name) => add(&mut keep.upstream, name.clone()),
                Variable::Named(Named::ContentType) => add(&mut keep.request, header::CONTENT_TYPE),
                Variable::Named(Named::ContentLength) => add(&mut keep.request, header::CONTENT_LENGTH),
                Variable::Named(Named::RemoteUser) => add(&mut keep.request, header::AUTHORIZATION),
                Variable::Named(Named::ProxyAddXForwardedFor) => add(&mut keep.request, X_FORWARDED_FOR),
                Variable::Named(Named::UpstreamBytesSent | Named::UpstreamBytesReceived) => keep.upstream_bytes = true,
                Variable::Named(Named::Uri) => keep.path = true,
                Variable::Named(_) | Variable::Argument(_) => {}
            }
        }
        keep
    }
}

fn add(names: &mut Vec<HeaderName>, name: HeaderName) {
    if !names.contains(&name) {
        names.push(name);
    }
}

impl Escape {
    /// Escapes what was appended since `start`.
    fn from(self, start: usize, out: &mut Vec<u8>) {
        let is_plain = |byte: &u8| !matches!(byte, b'"' | b'\\' | ..0x20 | 0x7f..);
        let Some(value) = out.get(start..).filter(|value| self != Self::None && !value.iter().all(is_plain)) else {
            return;
        };
        let value = value.to_vec();
        out.truncate(start);
        match self {
            Self::Default => append_default(&value, out),
            Self::Json => append_json(&value, out),
            Self::None => out.extend_from_slice(&value),
        }
    }
}

/// ngx_http_log_escape: upper-case hexadecimal, and `"` and `\` no different from the rest.
fn append_default(value: &[u8], out: &mut Vec<u8>) {
    for &byte in value {
        match byte {
            b'"' | b'\\' | ..0x20 | 0x7f.. => {
                // Writing to a Vec cannot fail, here and below.
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
mod tests;
