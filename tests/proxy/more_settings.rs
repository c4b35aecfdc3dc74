//! What more keys of the ConfigMap and annotations do to requests, a row each, as in [`super::settings`].

use super::settings::{Row, Site, all, no_line, row};
use crate::kit::{DEADLINE, Raw, Response, eventually};

const ROWS: &[Row] = &[
    row(&[], &[("temporal-redirect", "https://b.test/"), ("temporal-redirect-code", "307")], |site| {
        let response = site.proxy.get("a.test", "/");
        assert_eq!((response.status, response.header("location")), (307, Some("https://b.test/")));
    }),
    row(&[], &[("enable-cors", "true"), ("cors-allow-headers", "X-Own, X-Other")], |site| {
        assert_eq!(preflight(site).header("access-control-allow-headers"), Some("X-Own, X-Other"));
    }),
    row(&[], &[("enable-cors", "true"), ("cors-allow-methods", "GET, PUT")], |site| {
        assert_eq!(preflight(site).header("access-control-allow-methods"), Some("GET, PUT"));
    }),
    row(&[], &[("enable-cors", "true"), ("cors-max-age", "77")], |site| {
        assert_eq!(preflight(site).header("access-control-max-age"), Some("77"));
    }),
    row(&[], &[("affinity", "cookie"), ("session-cookie-domain", "a.test")], |site| {
        assert_eq!(attribute(site, &[], "Domain").as_deref(), Some("=a.test"));
    }),
    // A century has 36524 days when its last year is no leap year.
    row(&[], &[("affinity", "cookie"), ("session-cookie-expires", "3155673600")], |site| {
        let response = site.proxy.get("a.test", "/");
        let date = response.header("date").expect("a date").to_owned();
        let [day, month, year] = [1, 2, 3].map(|word| date.split(' ').nth(word).expect("a word of the date"));
        let century = format!("{day}-{month}-{} ", year.parse::<u32>().expect("a year") + 100);
        let expires = attribute(site, &[], "Expires").expect("the attribute");
        assert!(expires.contains(&century), "{expires} is not a hundred years after {date}");
    }),
    row(&[], &[("affinity", "cookie"), ("session-cookie-max-age", "77")], |site| {
        assert_eq!(attribute(site, &[], "Max-Age").as_deref(), Some("=77"));
    }),
    row(&[], &[("affinity", "cookie"), ("session-cookie-path", "/deep")], |site| {
        assert_eq!(attribute(site, &[], "Path").as_deref(), Some("=/deep"));
    }),
    row(&[], &[("affinity", "cookie"), ("session-cookie-samesite", "Lax")], |site| {
        assert_eq!(attribute(site, &[], "SameSite").as_deref(), Some("=Lax"));
    }),
    row(&[], &[("affinity", "cookie"), ("session-cookie-secure", "true")], |site| {
        assert_eq!(attribute(site, &[], "Secure").as_deref(), Some(""));
    }),
    row(&[], &[("affinity", "cookie"), ("session-cookie-samesite", "None")], |site| {
        assert_eq!(attribute(site, &["User-Agent: Chrome/50.0"], "SameSite").as_deref(), Some("=None"));
    }),
    row(
        &[],
        &[
            ("affinity", "cookie"),
            ("session-cookie-samesite", "None"),
            ("session-cookie-conditional-samesite-none", "true"),
        ],
        |site| {
            assert_eq!(attribute(site, &["User-Agent: Chrome/50.0"], "SameSite"), None);
            assert_eq!(attribute(site, &["User-Agent: Chrome/120.0"], "SameSite").as_deref(), Some("=None"));
        },
    ),
    row(&[("use-gzip", "true"), ("gzip-level", "9")], &[], |site| {
        smaller_than(site, "gzip", &[("use-gzip", "true"), ("gzip-level", "1")]);
    }),
    row(&[("enable-brotli", "true"), ("brotli-level", "9")], &[], |site| {
        smaller_than(site, "br", &[("enable-brotli", "true"), ("brotli-level", "0")]);
    }),
    row(&[("enable-zstd", "true"), ("zstd-level", "19")], &[], |site| {
        smaller_than(site, "zstd", &[("enable-zstd", "true"), ("zstd-level", "1")]);
    }),
    row(&[("use-gzip", "true"), ("gzip-min-length", "50")], &[], |site| from_length(site, "gzip", 50)),
    row(&[("enable-brotli", "true"), ("brotli-min-length", "50")], &[], |site| from_length(site, "br", 50)),
    row(&[("enable-zstd", "true"), ("zstd-min-length", "50")], &[], |site| from_length(site, "zstd", 50)),
    row(&[("enable-brotli", "true"), ("brotli-types", "image/own")], &[], |site| of_type(site, "br")),
    row(&[("enable-zstd", "true"), ("zstd-types", "image/own")], &[], |site| of_type(site, "zstd")),
    row(&[("disable-http-access-log", "true")], &[], |site| no_line(site, "a.test")),
    row(
        &[("log-format-escape-none", "true"), ("log-format-upstream", "$req_id $http_user_agent|$arg_n")],
        &[],
        |site| {
            site.proxy.get_with("a.test", "/", &["X-Request-ID: id-none", "User-Agent: a\"b\\c"]);
            let line = site.proxy.wait_for_stdout("id-none").expect("a line");
            assert_eq!(line, "id-none a\"b\\c|", "as it came, and nothing for what is not there");
        },
    ),
    row(&[("use-forwarded-headers", "true"), ("forwarded-host-header", "X-Public-Host")], &[], |site| {
        let sent = ["X-Public-Host: public.test", "X-Forwarded-Host: other.test"];
        let seen = site.proxy.get_with("a.test", "/", &sent).seen();
        assert_eq!((seen.host(), seen.header("x-forwarded-host")), (Some("public.test"), Some("public.test")));
    }),
    row(
        &[
            ("use-proxy-protocol", "true"),
            ("use-forwarded-headers", "true"),
            ("forwarded-for-proxy-protocol-header", "X-Own-Origin"),
        ],
        &[],
        |site| {
            let line = "PROXY TCP4 203.0.113.7 10.0.0.1 56324 80\r\n";
            let request = "GET / HTTP/1.1\r\nHost: a.test\r\nX-Forwarded-For: 192.0.2.1\r\n\r\n";
            let seen = Raw::connect(site.proxy.http()).request(format!("{line}{request}")).seen();
            let own = seen.header("x-own-origin").is_some();
            assert_eq!((own, seen.header("x-forwarded-for-proxy-protocol")), (true, None), "{seen:?}");
        },
    ),
];

#[test]
fn more_keys_and_annotations_are_obeyed() {
    all(ROWS);
}

fn preflight(site: &Site) -> Response {
    Raw::connect(site.proxy.http()).request("OPTIONS / HTTP/1.1\r\nHost: a.test\r\n\r\n")
}

/// What follows the name of an attribute of the session's cookie; `None` when it has no such attribute.
fn attribute(site: &Site, fields: &[&str], name: &str) -> Option<String> {
    let response = site.proxy.get_with("a.test", "/", fields);
    let cookie = response.header("set-cookie").expect("a cookie");
    let mut parts = cookie.split("; ").skip(1).filter_map(|part| part.strip_prefix(name));
    parts.find(|rest| rest.is_empty() || rest.starts_with('=')).map(str::to_owned)
}

fn compressed(site: &Site, coding: &str, fields: &[&str]) -> (bool, usize) {
    let accept = format!("Accept-Encoding: {coding}");
    let response = site.proxy.get_with("a.test", "/", &[&[accept.as_str()], fields].concat());
    assert_eq!(response.status, 200);
    (response.header("content-encoding") == Some(coding), response.body.len())
}

/// What has some order, as text has, so that effort pays.
fn words() -> String {
    let mut state = 7_u32;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state >> 16
    };
    (0..900).map(|_| format!("{}{} ", ["in", "gre", "port", "cull"][next() as usize % 4], next() % 300)).collect()
}

/// A body is smaller than under these other keys.
fn smaller_than(site: &Site, coding: &str, less_effort: &[(&str, &str)]) {
    site.upstream.set("x-test-body", &words());
    let (is_compressed, small) = compressed(site, coding, &[]);
    assert!(is_compressed);
    site.manifests.config_map("ingress", "settings", less_effort);
    let larger = eventually(DEADLINE, || (compressed(site, coding, &[]) > (true, small)).then_some(()));
    assert!(larger.is_some(), "{small} bytes with either");
}

/// Bodies are compressed from that many bytes on.
fn from_length(site: &Site, coding: &str, length: usize) {
    for (bytes, expected) in [(length - 1, false), (length, true)] {
        let fields = format!("X-Test-Body-Bytes: {bytes}");
        assert_eq!(compressed(site, coding, &[&fields]).0, expected, "{bytes} bytes");
    }
}

/// The configured type is compressed, and one that is by default is not.
fn of_type(site: &Site, coding: &str) {
    for (media, expected) in [("image/own", true), ("application/json", false)] {
        let fields = format!("X-Test-Header: Content-Type: {media}");
        let seen = compressed(site, coding, &["X-Test-Body-Bytes: 1000", &fields]).0;
        assert_eq!(seen, expected, "{media}");
    }
}
