//! Copies of requests: what they have, and that nobody waits or fails for them.

use std::time::{Duration, Instant};

use crate::kit::upstream::sha1_hex;
use crate::kit::{Ingress, Manifests, Proxy, Raw, Upstream, eventually};

fn world(annotations: &[(&str, &str)]) -> (Upstream, Upstream, Manifests, Proxy) {
    let (upstream, copies) = (Upstream::start("one"), Upstream::start("copies"));
    let manifests = Manifests::new();
    let url = format!("http://{}/copy$request_uri", copies.addr());
    let ingress = Ingress::new("web").rule("a.test", "/", "one").nginx("mirror-target", &url);
    let ingress = annotations.iter().fold(ingress, |ingress, (key, value)| ingress.nginx(key, value));
    manifests.upstream(&upstream).ingress(&ingress);
    let proxy = Proxy::start(&manifests, &[]);
    (upstream, copies, manifests, proxy)
}

fn post(body: &[u8]) -> Vec<u8> {
    let head = format!("POST /p?x=1 HTTP/1.1\r\nHost: a.test\r\nX-A: 1\r\nContent-Length: {}\r\n\r\n", body.len());
    [head.as_bytes(), body].concat()
}

#[test]
fn a_copy_is_the_request_as_the_client_sent_it() {
    type Annotations = &'static [(&'static str, &'static str)];
    let rows: [(Annotations, &str, usize); 3] = [
        (&[], "127.0.0.1", 5),
        (&[("mirror-host", "shadow.test")], "shadow.test", 5),
        (&[("mirror-request-body", "off")], "127.0.0.1", 0),
    ];
    for (annotations, host, body) in rows {
        let (_upstream, copies, _manifests, proxy) = world(annotations);
        let response = Raw::connect(proxy.http()).request(post(b"hello"));
        assert_eq!((response.status, response.seen().body_text.as_str()), (200, "hello"), "{annotations:?}");
        let copy = copies.wait_for(1).remove(0);
        assert_eq!((copy.method.as_str(), copy.uri.as_str()), ("POST", "/copy/p?x=1"), "{annotations:?}");
        assert_eq!((copy.host(), copy.header("x-a"), copy.body_len), (Some(host), Some("1"), body), "{annotations:?}");
        assert_eq!(copy.header("x-forwarded-for"), None, "{annotations:?}");
    }
}

#[test]
fn a_literal_path_gets_the_requests_query() {
    let (_upstream, copies, manifests, proxy) = world(&[]);
    let url = format!("http://{}/fixed", copies.addr());
    manifests.ingress(&Ingress::new("fixed").rule("b.test", "/", "one").nginx("mirror-target", &url));
    proxy.wait_until("b.test", "/p?x=1", |r| r.status == 200);
    assert_eq!(copies.wait_for(1).remove(0).uri, "/fixed?x=1");
}

#[test]
fn a_copy_has_no_certificate_that_a_client_claims() {
    let (_upstream, copies, _manifests, proxy) = world(&[]);
    assert_eq!(proxy.get_with("a.test", "/", &["ssl-client-verify: SUCCESS", "ssl-client-cert: forged"]).status, 200);
    let copy = copies.wait_for(1).remove(0);
    assert_eq!((copy.header("ssl-client-verify"), copy.header("ssl-client-cert")), (None, None));
}

#[test]
fn bodies_are_copied_while_they_stream() {
    let body: Vec<u8> = (0..3_000_000_u32).map(|n| (n / 7) as u8).collect();
    for annotations in
        [&[("proxy-body-size", "0")][..], &[("proxy-body-size", "0"), ("proxy-request-buffering", "off")]]
    {
        let (upstream, copies, _manifests, proxy) = world(annotations);
        assert_eq!(Raw::connect(proxy.http()).request(post(&body)).status, 200);
        assert_eq!(upstream.last().body_sha1, sha1_hex(&body));
        let copy = copies.wait_for(1).remove(0);
        assert_eq!((copy.body_len, copy.body_sha1), (body.len(), sha1_hex(&body)), "{annotations:?}");
    }
}

#[test]
fn chunks_are_copied() {
    let (_upstream, copies, _manifests, proxy) = world(&[("proxy-request-buffering", "off")]);
    let sent = "POST / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n";
    assert_eq!(Raw::connect(proxy.http()).request(sent).status, 200);
    let copy = copies.wait_for(1).remove(0);
    assert_eq!((copy.body_text.as_str(), copy.header("transfer-encoding")), ("abcde", Some("chunked")));
}

#[test]
fn nobody_waits_for_a_listener() {
    let (_upstream, copies, manifests, proxy) = world(&[]);
    copies.set("x-test-delay-ms", "20000");
    let began = Instant::now();
    let mut client = Raw::connect(proxy.http());
    // More than a worker has under way at once.
    for _ in 0..600 {
        assert_eq!(client.get("a.test", "/").status, 200);
    }
    assert!(began.elapsed() < Duration::from_secs(15), "the copies held requests up");
    let dropped = || {
        let text = proxy.metrics();
        let line = text.lines().find(|line| line.starts_with("portcullis_mirror_copies_dropped_total{"))?;
        line.rsplit(' ').next()?.parse::<f64>().ok().filter(|n| *n >= 344.0)
    };
    assert!(eventually(crate::kit::DEADLINE, dropped).is_some(), "what is not copied is counted");
    assert!(copies.requests() <= 256);
    // Nobody there at all.
    let url = format!("http://{}/", Upstream::refused());
    manifests.ingress(&Ingress::new("dead").rule("b.test", "/", "one").nginx("mirror-target", &url));
    proxy.wait_until("b.test", "/", |r| r.status == 200);
}

#[test]
fn a_listener_that_does_not_read_loses_its_copy_only() {
    // It takes connections and reads nothing.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let upstream = Upstream::start("one");
    let manifests = Manifests::new();
    let url = format!("http://{}/", silent.local_addr().unwrap());
    let ingress = Ingress::new("web").rule("a.test", "/", "one").nginx("mirror-target", &url);
    manifests.upstream(&upstream).ingress(&ingress.nginx("proxy-body-size", "0"));
    let proxy = Proxy::start(&manifests, &[]);
    let body = vec![b'x'; 20_000_000];
    assert_eq!(Raw::connect(proxy.http()).request(post(&body)).status, 200);
    assert_eq!(upstream.last().body_len, body.len());
}
