//! `log-format-stream`: the access log's line of a TCP connection or UDP session (ngx_stream_log_module).

use std::sync::Arc;

/// A piece of a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Segment {
    Text(Box<str>),
    Variable(Variable),
}

macro_rules! variables {
    ($($(#[$doc:meta])* $name:ident = $text:literal,)*) => {
        /// nginx's variables of streams.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Variable { $($(#[$doc])* $name,)* }

        impl Variable {
            /// By its name, without the dollar.
            fn named(name: &str) -> Option<Self> {
                match name { $($text => Some(Self::$name),)* _ => None }
            }
        }
    };
}

variables! {
    RemoteAddr = "remote_addr",
    RemotePort = "remote_port",
    ServerPort = "server_port",
    Protocol = "protocol",
    Status = "status",
    /// To the client.
    BytesSent = "bytes_sent",
    /// From the client.
    BytesReceived = "bytes_received",
    /// Seconds with three decimals.
    SessionTime = "session_time",
    /// The last endpoint that was tried.
    UpstreamAddr = "upstream_addr",
    ProxyUpstreamName = "proxy_upstream_name",
    TimeLocal = "time_local",
    TimeIso8601 = "time_iso8601",
    Msec = "msec",
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamFormat(Arc<[Segment]>);

/// ingress-nginx's default.
const DEFAULT: &str = "[$remote_addr] [$time_local] $protocol $status $bytes_sent $bytes_received $session_time";

impl StreamFormat {
    /// Reads text with `$name` and `${name}`. The error names what is no variable.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut segments = Vec::new();
        let mut pieces = text.split('$');
        let literal = |text: &str, segments: &mut Vec<Segment>| {
            if !text.is_empty() {
                segments.push(Segment::Text(text.into()));
            }
        };
        literal(pieces.next().unwrap_or_default(), &mut segments);
        for piece in pieces {
            let (name, rest) = match piece.strip_prefix('{') {
                Some(braced) => braced.split_once('}').ok_or("a brace is not closed")?,
                None => {
                    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
                    piece.split_at(piece.find(|c| !is_name(c)).unwrap_or(piece.len()))
                }
            };
            let variable = Variable::named(name).ok_or_else(|| format!("${name} is no variable of streams here"))?;
            segments.push(Segment::Variable(variable));
            literal(rest, &mut segments);
        }
        Ok(Self(segments.into()))
    }

    pub fn segments(&self) -> &[Segment] {
        &self.0
    }
}

impl Default for StreamFormat {
    fn default() -> Self {
        Self::parse(DEFAULT).unwrap_or_else(|_| Self(Arc::from([])))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats() {
        let text = |text: &str| Segment::Text(text.into());
        let variable = Segment::Variable;
        let rows = [
            ("plain", Some(vec![text("plain")])),
            ("", Some(vec![])),
            ("$status", Some(vec![variable(Variable::Status)])),
            (
                "${status}x$msec.",
                Some(vec![variable(Variable::Status), text("x"), variable(Variable::Msec), text(".")]),
            ),
            ("$statusx", None),
            ("${status", None),
            ("100 $", None),
            ("$$status", None),
        ];
        for (format, expected) in rows {
            assert_eq!(StreamFormat::parse(format).ok().map(|f| f.segments().to_vec()), expected, "{format:?}");
        }
        assert_eq!(StreamFormat::default().segments().len(), 14);
    }
}
