//! What is refused at the door, and what an upstream never sees.

use crate::kit::{DEADLINE, H2, Raw};
use crate::one;

#[test]
fn malformed_requests_are_refused_with_a_page() {
    let (upstream, _manifests, proxy) = one(&[]);
    let rows = [
        ("no Host", "GET / HTTP/1.1\r\n\r\n", 400),
        ("two Hosts", "GET / HTTP/1.1\r\nHost: a.test\r\nHost: b.test\r\n\r\n", 400),
        ("Host with userinfo", "GET / HTTP/1.1\r\nHost: u@a.test\r\n\r\n", 400),
        ("Host with a path", "GET / HTTP/1.1\r\nHost: a.test/x\r\n\r\n", 400),
        ("two dots", "GET / HTTP/1.1\r\nHost: a..test\r\n\r\n", 400),
        ("folded header", "GET / HTTP/1.1\r\nHost: a.test\r\nX: a\r\n b\r\n\r\n", 400),
        ("blank before the colon", "GET / HTTP/1.1\r\nHost: a.test\r\nX : a\r\n\r\n", 400),
        ("version 2", "GET / HTTP/2.0\r\nHost: a.test\r\n\r\n", 505),
        ("lower-case method", "get / HTTP/1.1\r\nHost: a.test\r\n\r\n", 400),
        ("TRACE", "TRACE / HTTP/1.1\r\nHost: a.test\r\n\r\n", 405),
        ("CONNECT", "CONNECT a.test:443 HTTP/1.1\r\nHost: a.test:443\r\n\r\n", 405),
        ("above the root", "GET /../x HTTP/1.1\r\nHost: a.test\r\n\r\n", 400),
        ("a NUL", "GET /%00 HTTP/1.1\r\nHost: a.test\r\n\r\n", 400),
        ("two lengths", "POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab", 400),
        ("a signed length", "POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: +1\r\n\r\na", 400),
    ];
    for (what, request, status) in rows {
        let response = Raw::connect(proxy.http()).request(request);
        assert_eq!(response.status, status, "{what}");
        assert!(response.text().contains(&format!("<h1>{status} ")), "{what}: {:?}", response.text());
    }
    let long = format!("GET / HTTP/1.1\r\nHost: a.test\r\nX: {}\r\n\r\n", "x".repeat(64 * 1024));
    assert_eq!(Raw::connect(proxy.http()).request(long).status, 400);
    assert_eq!(upstream.requests(), 0);
}

#[test]
fn old_clients_without_a_host_meet_the_default_server() {
    let (_upstream, _manifests, proxy) = one(&[]);
    assert_eq!(Raw::connect(proxy.http()).request("GET / HTTP/1.0\r\n\r\n").status, 404);
    let response = Raw::connect(proxy.http()).request("GET / HTTP/1.0\r\nHost: a.test\r\n\r\n");
    assert_eq!((response.status, response.seen().version.as_str()), (200, "HTTP/1.1"));
}

#[test]
fn an_absolute_target_replaces_the_host() {
    let (_upstream, _manifests, proxy) = one(&[]);
    let response = Raw::connect(proxy.http()).request("GET http://a.test/x?y HTTP/1.1\r\nHost: evil.test\r\n\r\n");
    let seen = response.seen();
    assert_eq!(
        (seen.uri.as_str(), seen.host(), seen.header("x-forwarded-host")),
        ("/x?y", Some("a.test"), Some("a.test"))
    );
}

#[test]
fn http2_with_another_host_header_is_refused() {
    let (upstream, _manifests, proxy) = one(&[]);
    let client = H2::connect(proxy.http());
    assert_eq!(client.request("GET", "a.test", "/", &[("host", "b.test")], b"").status, 400);
    assert_eq!(upstream.requests(), 0);
    assert_eq!(client.request("GET", "a.test", "/", &[("host", "a.test")], b"").status, 200);
}

#[test]
fn a_length_beside_chunks_ends_the_connection() {
    let (_upstream, _manifests, proxy) = one(&[]);
    let (length, chunked) = ("Content-Length: 3\r\n", "Transfer-Encoding: chunked\r\n");
    for fields in [[length, chunked], [chunked, length]].map(|fields| fields.concat()) {
        let mut client = Raw::connect(proxy.http());
        let sent = format!("POST / HTTP/1.1\r\nHost: a.test\r\n{fields}\r\n3\r\nabc\r\n0\r\n\r\n");
        let response = client.request(sent);
        assert_eq!((response.status, response.header("connection")), (200, Some("close")), "{fields}");
        assert_eq!(response.seen().body_text, "abc", "{fields}");
        assert!(client.closes_within(DEADLINE), "{fields}");
    }
}

#[test]
fn paths_beyond_ascii_stay_as_they_were_sent() {
    let (_upstream, _manifests, proxy) = one(&[("force-ssl-redirect", "true")]);
    let response = Raw::connect(proxy.http()).request("GET /\u{e9} HTTP/1.1\r\nHost: a.test\r\n\r\n");
    // Bytes, which the client of the tests reads as Latin-1.
    assert_eq!((response.status, response.header("location")), (308, Some("https://a.test/\u{c3}\u{a9}")));
}

#[test]
fn a_second_request_in_a_body_is_never_one() {
    let (upstream, _manifests, proxy) = one(&[]);
    let inner = "GET /smuggled HTTP/1.1\r\nHost: a.test\r\n\r\n";
    let rows = [
        format!(
            "POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: {}\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n{inner}",
            5 + inner.len()
        ),
        format!(
            "POST / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: xchunked\r\nContent-Length: 3\r\n\r\nabc{inner}"
        ),
        format!("POST / HTTP/1.0\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n{inner}"),
    ];
    for request in rows {
        let mut client = Raw::connect(proxy.http());
        let response = client.request(&request);
        assert!(response.status == 400 || response.status == 200, "{request:?}: {}", response.status);
        let _ = client.try_response("GET");
    }
    // Pipelined requests are requests of their own; what rode inside a body must not show up with its framing.
    for seen in upstream.seen() {
        assert!(seen.header("content-length").is_none() || seen.header("transfer-encoding").is_none(), "{seen:?}");
    }
}
