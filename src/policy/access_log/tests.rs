//! Formats read, and lines byte for byte.

use std::collections::BTreeMap;

use super::*;

/// Values by name; what is not in the map is absent.
struct Given(BTreeMap<&'static str, &'static [u8]>);

impl Values for Given {
    fn variable(&self, variable: &Variable, out: &mut Vec<u8>) -> bool {
        let found = self.0.iter().find(|(name, _)| Variable::parse(name).as_ref() == Some(variable));
        out.extend(found.iter().flat_map(|(_, value)| value.iter()));
        found.is_some()
    }
}

fn line(format: &str, escape: Escape, values: &[(&'static str, &'static [u8])]) -> String {
    let mut out = Vec::new();
    LogFormat::parse(format, escape).unwrap().write(&Given(values.iter().copied().collect()), &mut out);
    String::from_utf8_lossy(&out).into_owned()
}

const FULL: &[(&str, &[u8])] = &[
    ("remote_addr", b"192.0.2.7"),
    ("remote_user", b"ann"),
    ("time_local", b"10/Oct/2025:13:55:36 +0000"),
    ("request", b"GET /a%20b?x=\"1\" HTTP/2.0"),
    ("status", b"200"),
    ("body_bytes_sent", b"150"),
    ("http_referer", b"https://ref.example/\\"),
    ("http_user_agent", b"curl/8 \xc3\xa9\x01\xff"),
    ("request_length", b"412"),
    ("request_time", b"0.005"),
    ("proxy_upstream_name", b"shop-web-80"),
    ("proxy_alternative_upstream_name", b""),
    ("upstream_addr", b"10.0.0.1:80, [2001:db8::2]:80"),
    ("upstream_response_length", b"0, 12"),
    ("upstream_response_time", b"0.001, 1.004"),
    ("upstream_status", b"502, 200"),
    ("req_id", b"3a1f"),
];

#[test]
fn the_default_line() {
    assert_eq!(
        line(DEFAULT, Escape::Default, FULL),
        concat!(
            r#"192.0.2.7 - ann [10/Oct/2025:13:55:36 +0000] "GET /a%20b?x=\x221\x22 HTTP/2.0" 200 150 "#,
            r#""https://ref.example/\x5C" "curl/8 \xC3\xA9\x01\xFF" 412 0.005 [shop-web-80] [] "#,
            r#"10.0.0.1:80, [2001:db8::2]:80 0, 12 0.001, 1.004 502, 200 3a1f"#
        )
    );
    assert_eq!(line(DEFAULT, Escape::Default, &[]), r#"- - - [-] "-" - - "-" "-" - - [-] [-] - - - - -"#);
}

#[test]
fn escapes() {
    let rows: [(Escape, &[u8], &str); 8] = [
        (Escape::Default, b"a\"b\\c\x7f", r"a\x22b\x5Cc\x7F"),
        (Escape::Json, b"a\"b\\c\x7f", "a\\\"b\\\\c\x7f"),
        (Escape::Json, b"\n\r\t\x08\x0c\x1f", r"\n\r\t\b\f\u001F"),
        (Escape::Json, b"\xc3\xa9\xff", "é\u{fffd}"),
        (Escape::None, b"a\"b\\c", "a\"b\\c"),
        (Escape::Default, b"", ""),
        (Escape::Json, b"plain", "plain"),
        (Escape::None, b"plain", "plain"),
    ];
    for (escape, value, expected) in rows {
        let value: &'static [u8] = value.to_vec().leak();
        assert_eq!(line("$uri", escape, &[("uri", value)]), expected, "{escape:?} {value:?}");
    }
    let absent = [(Escape::Default, "<->"), (Escape::Json, "<>"), (Escape::None, "<>")];
    for (escape, expected) in absent {
        assert_eq!(line("<$uri>", escape, &[]), expected, "{escape:?}");
    }
}

/// The template of ingress-nginx's documentation.
const DOCUMENTED: &str = r#"{"time": "$time_iso8601", "remote_addr": "$proxy_protocol_addr", "x_forwarded_for": "$proxy_add_x_forwarded_for", "request_id": "$req_id", "remote_user": "$remote_user", "bytes_sent": $bytes_sent, "request_time": $request_time, "status": $status, "vhost": "$host", "request_proto": "$server_protocol", "path": "$uri", "request_query": "$args", "request_length": $request_length, "duration": $request_time,"method": "$request_method", "http_referrer": "$http_referer", "http_user_agent": "$http_user_agent" }"#;

#[test]
fn the_documented_json_is_json() {
    let numbers: &[(&str, &[u8])] = &[("bytes_sent", b"300"), ("uri", b"/a \"b\"\n")];
    let values: Vec<_> = FULL.iter().chain(numbers).copied().collect();
    let parsed: serde_json::Value = serde_json::from_str(&line(DOCUMENTED, Escape::Json, &values)).unwrap();
    assert_eq!(parsed["path"], "/a \"b\"\n");
    assert_eq!(parsed["http_user_agent"], "curl/8 é\u{1}\u{fffd}");
    assert_eq!(
        (&parsed["status"], &parsed["bytes_sent"], &parsed["duration"]),
        (&200.into(), &300.into(), &0.005.into())
    );
    assert_eq!((&parsed["remote_addr"], &parsed["x_forwarded_for"]), (&"".into(), &"".into()));
}

#[test]
fn formats() {
    let rows = [
        ("plain", Ok("plain")),
        ("${uri}x$uri.", Ok("UxU.")),
        (r"a\tb\'c\\d\e", Ok("a\tb'c\\d\\e")),
        ("$uri,'\n  '$uri", Ok("U,U")),
        ("$nope", Err("the variable $nope is not known")),
        ("$1", Err("the variable $1 is not known")),
        ("100 $", Err("a $ has no name")),
        ("$$uri", Err("a $ has no name")),
        ("${uri", Err("a brace after $ is not closed")),
        ("it's", Err("a single quote is not escaped")),
    ];
    for (format, expected) in rows {
        let parsed = LogFormat::parse(format, Escape::Default);
        match (parsed, expected) {
            (Ok(_), Ok(text)) => {
                assert_eq!(line(format, Escape::Default, &[("uri", b"U")]), text, "{format:?}");
            }
            (parsed, expected) => assert_eq!(parsed.map(|_| ""), expected.map_err(str::to_owned)),
        }
    }
}

#[test]
fn what_is_kept() {
    let keep = |format| LogFormat::parse(format, Escape::Default).unwrap().keep;
    let default = keep(DEFAULT);
    assert_eq!((default.referer, default.user_agent, default.request.len()), (true, true, 1));
    assert_eq!(keep("$uri $arg_a $status $http_host"), Keep { path: true, ..Keep::default() });
    let all =
        keep("$cookie_a $cookie_b $http_x_a $sent_http_etag $upstream_http_etag $content_type $upstream_bytes_sent");
    let names = |list: &[HeaderName]| list.iter().map(HeaderName::as_str).collect::<Vec<_>>().join(" ");
    assert_eq!(
        (names(&all.request), names(&all.sent), names(&all.upstream), all.upstream_bytes),
        ("cookie x-a content-type".to_owned(), "etag".to_owned(), "etag".to_owned(), true)
    );
}

/// Expressions after those by which collectors in the field take the default line apart.
#[test]
fn parsers_in_the_field_read_the_default_line() {
    let parsers = [
        // Fluent Bit, parser k8s-nginx-ingress.
        r#"^(?<host>[^ ]*) - (?<user>[^ ]*) \[(?<time>[^\]]*)\] "(?<method>\S+)(?: +(?<path>[^\"]*?)(?: +\S*)?)?" (?<code>[^ ]*) (?<size>[^ ]*) "(?<referer>[^\"]*)" "(?<agent>[^\"]*)" (?<request_length>[^ ]*) (?<request_time>[^ ]*) \[(?<proxy_upstream_name>[^ ]*)\] (\[(?<proxy_alternative_upstream_name>[^ ]*)\] )?(?<upstream_addr>[^ ]*) (?<upstream_response_length>[^ ]*) (?<upstream_response_time>[^ ]*) (?<upstream_status>[^ ]*) (?<reg_id>[^ ]*).*$"#,
        // Vector, parse_nginx_log with the format ingress_upstreaminfo.
        r#"^\s*(?<remote_addr>\S+)\s+-\s+(?:-|(?<remote_user>\S+))\s+\[(?<timestamp>.+)\]\s+"(?<request>(?<method>\w+)\s+(?<path>\S+)\s+(?<protocol>\S+)|[^"]*)"\s+(?<status>\d+)\s+(?<body_bytes_size>\d+)\s+"(?:-|(?<http_referer>.+))"\s+"(?:-|(?<http_user_agent>.+))"\s+(?<request_length>\d+)\s+(?<request_time>\d+\.\d+)\s+\[(?:-|(?<proxy_upstream_name>[^\]]*))\]\s+\[(?:-|(?<proxy_alternative_upstream_name>[^\]]*))?\]\s+(?:-|(?<upstream_addr>\S+(?:,\s\S+)*))\s+(?:-|(?<upstream_response_length>\d+(?:,\s\d+)*))\s+(?:-|(?<upstream_response_time>\d+\.\d+(?:,\s\d+\.\d+)*))\s+(?:-|(?<upstream_status>\d+(?:,\s\d+)*))\s+(?<req_id>\S*)\s*$"#,
        // promtail and Loki's examples.
        r#"^(?P<remote_addr>[\w\.:]+) - (?P<remote_user>[^ ]*) \[(?P<time_local>.*)\] "(?P<method>[^ ]*) (?P<request>[^ ]*) (?P<protocol>[^ ]*)" (?P<status>[\d]+) (?P<body_bytes_sent>[\d]+) "(?P<http_referer>[^"]*)" "(?P<http_user_agent>[^"]*)" (?P<request_length>[\d]+) (?P<request_time>[^ ]+) \[(?P<proxy_upstream_name>.*)\] \[(?P<proxy_alternative_upstream_name>.*)\] (?P<upstream_addr>.*) (?P<upstream_response_length>.*) (?P<upstream_response_time>.*) (?P<upstream_status>.*) (?P<req_id>[\w]*)$"#,
    ];
    let once: &[(&str, &[u8])] = &[
        ("upstream_addr", b"10.0.0.1:80"),
        ("upstream_response_length", b"12"),
        ("upstream_response_time", b"0.004"),
        ("upstream_status", b"200"),
    ];
    let values: Vec<_> = FULL.iter().chain(once).copied().collect();
    let line = line(DEFAULT, Escape::Default, &values);
    for parser in parsers {
        let regex = regex_automata::meta::Regex::new(parser).unwrap();
        let mut groups = regex.create_captures();
        regex.captures(&line, &mut groups);
        assert!(groups.is_match(), "{parser}\n{line}");
        let group = |name: &str| groups.get_group_by_name(name).and_then(|span| line.get(span.range()));
        assert_eq!(group("upstream_status"), Some("200"), "{parser}");
        assert_eq!(group("request_time"), Some("0.005"), "{parser}");
        assert_eq!(group("proxy_upstream_name"), Some("shop-web-80"), "{parser}");
    }
}
