//! nginx's variables: the names that templates, logs and conditions may use, once.
//!
//! What a name stands for at request time is the data plane's; here are the names, and from when on each has a value.

use http::HeaderName;

/// From when on a variable has its value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Since {
    /// The request's head is read.
    Request,
    /// The answer's head is known.
    Response,
}

/// A value of a request, by nginx's or ingress-nginx's name.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Variable {
    Named(Named),
    /// `$http_name`: all lines of a request header.
    Header(HeaderName),
    /// `$cookie_name`.
    Cookie(Box<str>),
    /// `$arg_name`, whatever the case of its name.
    Argument(Box<str>),
    /// `$sent_http_name`: a header of the answer as the client gets it.
    SentHeader(HeaderName),
    /// `$upstream_http_name`: a header of the answer as the upstream gave it.
    UpstreamHeader(HeaderName),
}

impl Variable {
    /// The variable of a name without its `$`.
    pub fn parse(name: &str) -> Option<Self> {
        if let Some((_, named, _)) = NAMES.iter().find(|(known, ..)| *known == name) {
            return Some(Self::Named(*named));
        }
        let header = |rest: &str| HeaderName::from_bytes(rest.replace('_', "-").as_bytes()).ok();
        if let Some(rest) = name.strip_prefix("http_") {
            return header(rest).map(Self::Header);
        }
        if let Some(rest) = name.strip_prefix("sent_http_") {
            return header(rest).map(Self::SentHeader);
        }
        if let Some(rest) = name.strip_prefix("upstream_http_") {
            return header(rest).map(Self::UpstreamHeader);
        }
        let word = |prefix| name.strip_prefix(prefix).filter(|rest| !rest.is_empty());
        word("cookie_")
            .map(|rest| Self::Cookie(rest.into()))
            .or_else(|| word("arg_").map(|rest| Self::Argument(rest.to_ascii_lowercase().into())))
    }

    /// From when on it has its value.
    pub fn since(&self) -> Since {
        match self {
            Self::Named(named) => {
                NAMES.iter().find(|(_, known, _)| known == named).map_or(Since::Response, |(.., since)| *since)
            }
            Self::Header(_) | Self::Cookie(_) | Self::Argument(_) => Since::Request,
            Self::SentHeader(_) | Self::UpstreamHeader(_) => Since::Response,
        }
    }
}

macro_rules! names {
    ($($since:ident { $($variant:ident $name:literal $(| $alias:literal)*;)* })*) => {
        /// The variables without a parameter, each under its most common name.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Named { $($($variant,)*)* }

        const NAMES: &[(&str, Named, Since)] = &[
            $($(
                ($name, Named::$variant, Since::$since),
                $(($alias, Named::$variant, Since::$since),)*
            )*)*
        ];
    };
}

names! {
    Request {
        Args "args" | "query_string";
        BestHttpHost "best_http_host";
        BinaryRemoteAddr "binary_remote_addr";
        Connection "connection";
        ConnectionRequests "connection_requests";
        ContentLength "content_length";
        ContentType "content_type";
        DocumentRoot "document_root";
        FastcgiScriptName "fastcgi_script_name";
        EscapedRequestUri "escaped_request_uri";
        Host "host";
        Hostname "hostname";
        Http2 "http2";
        HttpHost "http_host";
        Https "https";
        IngressName "ingress_name";
        IsArgs "is_args";
        LocationPath "location_path";
        Msec "msec";
        Namespace "namespace";
        PassAccessScheme "pass_access_scheme";
        Pid "pid";
        PassPort "pass_port" | "pass_server_port";
        ProxyAddXForwardedFor "proxy_add_x_forwarded_for";
        ProxyHost "proxy_host";
        ProxyProtocolAddr "proxy_protocol_addr";
        ProxyProtocolPort "proxy_protocol_port";
        ProxyUpstreamName "proxy_upstream_name";
        RealipRemoteAddr "realip_remote_addr";
        RealipRemotePort "realip_remote_port";
        RemoteAddr "remote_addr" | "the_real_ip";
        RemotePort "remote_port";
        RemoteUser "remote_user";
        RequestId "req_id" | "request_id";
        RequestLine "request";
        RequestMethod "request_method";
        RequestUri "request_uri";
        Scheme "scheme";
        ServerAddr "server_addr";
        ServerName "server_name";
        ServerPort "server_port";
        ServerProtocol "server_protocol";
        ServiceName "service_name";
        ServicePort "service_port";
        SslCipher "ssl_cipher";
        SslClientEscapedCert "ssl_client_escaped_cert";
        SslClientFingerprint "ssl_client_fingerprint";
        SslClientIssuer "ssl_client_i_dn";
        SslClientSerial "ssl_client_serial";
        SslClientSubject "ssl_client_s_dn";
        SslClientVerify "ssl_client_verify";
        SslProtocol "ssl_protocol";
        SslServerName "ssl_server_name";
        SslSessionReused "ssl_session_reused";
        TimeIso8601 "time_iso8601";
        TimeLocal "time_local";
        Uri "uri" | "document_uri";
    }
    Response {
        Absent "gzip_ratio" | "request_body" | "request_body_file" | "opentelemetry_context_b3"
            | "opentelemetry_context_traceparent" | "tcpinfo_rtt" | "tcpinfo_rttvar" | "tcpinfo_snd_cwnd"
            | "tcpinfo_rcv_space" | "upstream_queue_time";
        BodyBytesSent "body_bytes_sent";
        BytesSent "bytes_sent";
        OpentelemetrySpanId "opentelemetry_span_id";
        OpentelemetryTraceId "opentelemetry_trace_id";
        Pipe "pipe";
        ProxyAlternativeUpstreamName "proxy_alternative_upstream_name";
        RequestLength "request_length";
        RequestTime "request_time";
        Status "status";
        UpstreamAddr "upstream_addr";
        UpstreamBytesReceived "upstream_bytes_received";
        UpstreamBytesSent "upstream_bytes_sent";
        UpstreamCacheStatus "upstream_cache_status";
        UpstreamConnectTime "upstream_connect_time";
        UpstreamHeaderTime "upstream_header_time";
        UpstreamResponseLength "upstream_response_length";
        UpstreamResponseTime "upstream_response_time";
        UpstreamStatus "upstream_status";
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        let header = |name: &'static str| HeaderName::from_static(name);
        let rows = [
            ("host", Some((Variable::Named(Named::Host), Since::Request))),
            ("query_string", Some((Variable::Named(Named::Args), Since::Request))),
            ("http_host", Some((Variable::Named(Named::HttpHost), Since::Request))),
            ("http_x_user_id", Some((Variable::Header(header("x-user-id")), Since::Request))),
            ("cookie_Session", Some((Variable::Cookie("Session".into()), Since::Request))),
            ("arg_Page", Some((Variable::Argument("page".into()), Since::Request))),
            ("sent_http_etag", Some((Variable::SentHeader(header("etag")), Since::Response))),
            ("upstream_http_x_a", Some((Variable::UpstreamHeader(header("x-a")), Since::Response))),
            ("status", Some((Variable::Named(Named::Status), Since::Response))),
            ("cookie_", None),
            ("http_", None),
            ("nope", None),
        ];
        for (name, expected) in rows {
            let parsed = Variable::parse(name);
            assert_eq!(
                parsed.clone().map(|v| {
                    let since = v.since();
                    (v, since)
                }),
                expected,
                "{name}"
            );
        }
    }
}
