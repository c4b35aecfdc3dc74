//! Compressed answers: to whom, which, and how they come.

use std::io::Read as _;

use super::answers::site;
use crate::kit::{Raw, Response};

const ALL: &[(&str, &str)] = &[("use-gzip", "true"), ("enable-brotli", "true"), ("enable-zstd", "true")];

fn decoded(response: &Response) -> Vec<u8> {
    let (mut out, body) = (Vec::new(), response.body.as_slice());
    let read = match response.header("content-encoding") {
        Some("gzip") => flate2::read::MultiGzDecoder::new(body).read_to_end(&mut out),
        Some("br") => brotli::Decompressor::new(body, 4096).read_to_end(&mut out),
        Some("zstd") => zstd::stream::read::Decoder::new(body).unwrap().read_to_end(&mut out),
        other => Err(std::io::Error::other(format!("{other:?} of {response:?}"))),
    };
    read.unwrap();
    out
}

#[test]
fn codings_that_clients_take() {
    let (_upstream, _manifests, proxy) = site(&[("a.test", &[])], ALL);
    for (accept, coding) in [
        ("gzip", Some("gzip")),
        ("gzip, br", Some("br")),
        ("gzip, br, zstd", Some("zstd")),
        ("br;q=0, gzip;q=0.1", Some("gzip")),
        ("identity", None),
        ("*", None),
    ] {
        let fields = ["X-Test-Body-Bytes: 100000", &format!("Accept-Encoding: {accept}")];
        let response = proxy.get_with("a.test", "/", &fields);
        assert_eq!((response.status, response.header("content-encoding")), (200, coding), "{accept}");
        assert_eq!(response.header("vary"), Some("Accept-Encoding"), "{accept}");
        match coding {
            Some(_) => {
                assert!(response.body.len() < 2000 && response.header("content-length").is_none(), "{accept}");
                assert!(decoded(&response) == vec![b'x'; 100_000], "{accept}");
            }
            None => assert_eq!(response.header("content-length"), Some("100000"), "{accept}"),
        }
    }
}

#[test]
fn answers_that_are_compressed() {
    let (_upstream, _manifests, proxy) = site(&[("a.test", &[])], &[("use-gzip", "true"), ("gzip-disable", "Old")]);
    let long = "X-Test-Body-Bytes: 1000";
    let rows: [(&[&str], bool, Option<&str>); 11] = [
        (&[long], true, None),
        (&["X-Test-Body-Bytes: 255"], false, None),
        (&["X-Test-Body-Bytes: 255", "X-Test-Chunked: 1"], true, None),
        (&[long, "X-Test-Header: Content-Type: image/png"], false, None),
        (&[long, "X-Test-Header: Content-Type: text/HTML; charset=x"], true, None),
        (&[long, "X-Test-Header: Content-Encoding: br"], false, None),
        (&[long, "X-Test-Status: 404"], true, None),
        (&[long, "X-Test-Status: 500"], false, None),
        (&[long, "User-Agent: my old one"], false, None),
        (&[long, "X-Test-Header: ETag: \"a\"", "X-Test-Header: Accept-Ranges: bytes"], true, Some("W/\"a\"")),
        (&[long, "X-Test-Header: Cache-Control: no-transform", "Via: 1.1 proxy"], true, None),
    ];
    for (fields, compressed, etag) in rows {
        let fields = [fields, &["Accept-Encoding: gzip"]].concat();
        let response = proxy.get_with("a.test", "/", &fields);
        assert_eq!(response.header("content-encoding") == Some("gzip"), compressed, "{fields:?}");
        assert_eq!(response.header("etag"), etag, "{fields:?}");
        assert_eq!(response.header("accept-ranges"), None, "{fields:?}");
        if compressed {
            assert!(decoded(&response).iter().all(|b| *b == b'x'), "{fields:?}");
        }
    }
    let fields = "Accept-Encoding: gzip\r\nX-Test-Body-Bytes: 1000\r\n";
    let head = Raw::connect(proxy.http()).request(format!("HEAD / HTTP/1.1\r\nHost: a.test\r\n{fields}\r\n"));
    assert_eq!((head.header("content-encoding"), head.header("content-length")), (Some("gzip"), None));
    let old = Raw::connect(proxy.http()).request(format!("GET / HTTP/1.0\r\nHost: a.test\r\n{fields}\r\n"));
    assert_eq!((old.header("content-encoding"), old.body.len()), (None, 1000));
}

#[test]
fn events_arrive_as_they_are_sent() {
    let types = ("gzip-types", "text/event-stream");
    let (_upstream, _manifests, proxy) = site(&[("a.test", &[])], &[("use-gzip", "true"), types]);
    let mut client = Raw::connect(proxy.http());
    client.send(
        "GET / HTTP/1.1\r\nHost: a.test\r\nAccept-Encoding: gzip\r\nX-Test-Sse: 3\r\nX-Test-Interval-Ms: 400\r\n\r\n",
    );
    let mut pieces = 0;
    let mut all = Vec::new();
    while !all.ends_with(b"0\r\n\r\n") {
        let bytes = client.read_some().unwrap();
        assert!(!bytes.is_empty(), "it closed early");
        pieces += 1;
        all.extend_from_slice(&bytes);
    }
    assert!(pieces >= 3, "the events came together: {pieces}");
    let text = String::from_utf8_lossy(&all).to_ascii_lowercase();
    assert!(text.contains("content-encoding: gzip"), "{text}");
}

#[test]
fn it_is_off_unless_asked_for() {
    let (_upstream, manifests, proxy) = site(&[("a.test", &[])], &[]);
    let fields = ["X-Test-Body-Bytes: 1000", "Accept-Encoding: gzip, br, zstd"];
    let response = proxy.get_with("a.test", "/", &fields);
    assert_eq!((response.header("content-encoding"), response.header("vary")), (None, None));
    manifests.config_map("default", "settings", ALL);
    let on = || proxy.get_with("a.test", "/", &fields).header("content-encoding") == Some("zstd");
    assert!(crate::kit::eventually(crate::kit::DEADLINE, || on().then_some(())).is_some());
}

#[test]
fn over_http2_and_with_broken_upstreams() {
    let (_upstream, _manifests, proxy) = site(&[("a.test", &[])], &[("use-gzip", "true")]);
    let fields = [("accept-encoding", "gzip"), ("x-test-body-bytes", "300000"), ("x-test-trailers", "x-end: 1")];
    let client = proxy.h2();
    let response = client.request("GET", "a.test", "/", &fields, b"");
    assert_eq!((response.status, response.header("content-encoding")), (200, Some("gzip")));
    let mut out = Vec::new();
    flate2::read::MultiGzDecoder::new(response.body.as_slice()).read_to_end(&mut out).unwrap();
    assert_eq!((out.len(), response.trailer("x-end")), (300_000, Some("1")));
    let head = client.request("HEAD", "a.test", "/", &fields, b"");
    assert_eq!((head.header("content-encoding"), head.body.len()), (Some("gzip"), 0));
    // What breaks off upstream does not look whole.
    let cut = ["Accept-Encoding: gzip", "X-Test-Body-Bytes: 300000", "X-Test-Cut: 1000"];
    let response = proxy.get_with("a.test", "/", &cut);
    assert_eq!((response.header("content-encoding"), response.complete), (Some("gzip"), false));
    // The log's two lengths are the client's and the upstream's.
    let line = proxy.wait_for_stdout("\"GET / HTTP/2.0\" 200").unwrap();
    assert!(line.contains(" 300000 ") && !line.contains(" 200 300000 "), "{line}");
}
