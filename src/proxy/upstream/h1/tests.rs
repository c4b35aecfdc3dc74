//! The codec against rows of bytes, and against hyper's client.

use std::collections::VecDeque;
use std::time::Duration;

use http::{HeaderMap, Request};
use http_body_util::BodyExt as _;
use hyper_util::rt::TokioIo;
use proptest::prelude::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::task::LocalSet;

use super::*;
use crate::proxy::progress::Progress;
use crate::proxy::timer::Timers;

fn body(pieces: &[&str], length: Option<u64>) -> RequestBody {
    let timers = Rc::new(Timers::default());
    let pieces = pieces.iter().map(|piece| Bytes::copy_from_slice(piece.as_bytes()));
    RequestBody::new(pieces.collect::<VecDeque<_>>(), None, length, Progress::new(&timers))
}

fn request(method: &str, headers: &[(&'static str, &str)], body: RequestBody) -> Request<RequestBody> {
    let mut request = Request::builder().method(method).uri("/a?b=c");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(body).unwrap()
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
    LocalSet::new().block_on(&runtime, future)
}

/// What a client makes of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Seen {
    status: u16,
    /// `Err`: what came before it broke off.
    body: Result<Vec<u8>, Vec<u8>>,
    trailers: usize,
}

async fn ask(connection: &Shared, request: Request<RequestBody>) -> Result<Response<Body>, Failure> {
    let (parts, body) = request.into_parts();
    send(connection, &parts, body).await
}

async fn read<B>(response: Response<B>) -> (Seen, HeaderMap)
where
    B: http_body::Body<Data = Bytes> + Unpin,
{
    let (head, mut body) = response.into_parts();
    let (mut all, mut trailers) = (Vec::new(), 0);
    let status = head.status.as_u16();
    while let Some(frame) = body.frame().await {
        let Ok(frame) = frame else { return (Seen { status, body: Err(all), trailers }, head.headers) };
        match frame.into_data() {
            Ok(data) => all.extend_from_slice(&data),
            Err(frame) => trailers = frame.into_trailers().map_or(0, |trailers| trailers.len()),
        }
    }
    (Seen { status, body: Ok(all), trailers }, head.headers)
}

/// Answers whatever comes with `text`, in writes of `step` bytes, and ends if it is told to.
async fn answer(mut peer: DuplexStream, text: Vec<u8>, step: usize, ends: bool) -> Option<DuplexStream> {
    let mut space = [0; 4096];
    let _ = peer.read(&mut space).await;
    for piece in text.chunks(step.max(1)) {
        let _ = peer.write_all(piece).await;
        tokio::task::yield_now().await;
    }
    (!ends).then_some(peer)
}

/// What our codec makes of an answer, and whether the connection can be used again.
fn ours(method: &str, text: &[u8], step: usize, ends: bool) -> (Result<Seen, Failure>, bool) {
    block_on(async {
        let (near, far) = tokio::io::duplex(1 << 20);
        let peer = spawn_local(answer(far, text.to_vec(), step, ends));
        let connection = Connection::new(Stream::Pipe(near));
        let limited = tokio::time::timeout(Duration::from_secs(9), async {
            Ok(read(ask(&connection, request(method, &[], body(&[], Some(0)))).await?).await.0)
        });
        let seen = limited.await.unwrap_or(Err(Failure::Timeout));
        let _open = peer.await.unwrap();
        let idle = connection.borrow_mut().is_idle();
        (seen, idle)
    })
}

fn hypers(method: &str, text: &[u8], step: usize, ends: bool) -> Option<Seen> {
    block_on(async {
        let (near, far) = tokio::io::duplex(1 << 20);
        let peer = spawn_local(answer(far, text.to_vec(), step, ends));
        let handshake = hyper::client::conn::http1::handshake::<_, RequestBody>(TokioIo::new(near));
        let (mut sender, connection) = handshake.await.unwrap();
        let connection = spawn_local(connection);
        let limited = tokio::time::timeout(Duration::from_secs(9), async {
            Some(read(sender.send_request(request(method, &[], body(&[], Some(0)))).await.ok()?).await.0)
        });
        let seen = limited.await.ok().flatten();
        let _open = peer.await.unwrap();
        connection.abort();
        seen
    })
}

#[test]
fn answers() {
    let whole = |status, body: &str| Ok(Seen { status, body: Ok(body.into()), trailers: 0 });
    let broken = |status, body: &str| Ok(Seen { status, body: Err(body.into()), trailers: 0 });
    // method, answer, whether the connection ends then, what is seen, whether it can be used again
    let rows = [
        ("GET", "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc", false, whole(200, "abc"), true),
        ("GET", "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabcd", false, whole(200, "abc"), false),
        ("GET", "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nab", true, broken(200, "ab"), false),
        ("GET", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", false, whole(200, ""), true),
        ("GET", "HTTP/1.1 204 No\r\nContent-Length: 3\r\n\r\n", false, whole(204, ""), true),
        ("HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n", false, whole(200, ""), true),
        ("HEAD", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", false, whole(200, ""), true),
        ("GET", "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 1\r\n\r\na", false, whole(200, "a"), false),
        ("GET", "HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\na", false, whole(200, "a"), false),
        ("GET", "HTTP/1.0 200 OK\r\n\r\nabc", true, whole(200, "abc"), false),
        ("GET", "HTTP/1.1 200 OK\r\n\r\n", true, whole(200, ""), false),
        (
            "GET",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
            false,
            whole(200, "abc"),
            true,
        ),
        ("GET", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n", true, broken(200, "abc"), false),
        ("GET", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\nx\r\n", false, broken(200, "a"), false),
        (
            "GET",
            "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 E\r\nA: b\r\n\r\nHTTP/1.1 404 N\r\nContent-Length: 0\r\n\r\n",
            false,
            whole(404, ""),
            true,
        ),
        ("GET", "", true, Err(Failure::Broken), false),
        ("GET", "HTTP/1.1 20", true, Err(Failure::Broken), false),
        ("GET", "", false, Err(Failure::Timeout), false),
        ("GET", "SSH-2.0-x\r\n\r\n", false, Err(Failure::Invalid), false),
        (
            "GET",
            "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
            false,
            Err(Failure::Invalid),
            false,
        ),
    ];
    for (method, text, ends, expected, again) in rows {
        for step in [1, 2, 5, 1000] {
            let seen = ours(method, text.as_bytes(), step, ends);
            assert_eq!(seen, (expected.clone(), again), "{method} {text:?} by {step}");
        }
    }
}

#[test]
fn bounds_of_heads() {
    let interim = "HTTP/1.1 100 Continue\r\n\r\n".repeat(40);
    assert_eq!(ours("GET", interim.as_bytes(), 1000, false).0, Err(Failure::Invalid));
    let endless = format!("HTTP/1.1 200 OK\r\nA: {}", "a".repeat(MAX_HEAD + READ));
    assert_eq!(ours("GET", endless.as_bytes(), 1000, false).0, Err(Failure::HeadTooLarge));
    let many = format!("HTTP/1.1 200 OK\r\n{}\r\n", "a: b\r\n".repeat(300));
    assert_eq!(ours("GET", many.as_bytes(), 1000, false).0, Err(Failure::Invalid));
}

/// What arrives of a request.
fn sent(request: Request<RequestBody>) -> String {
    block_on(async {
        let (near, mut far) = tokio::io::duplex(512);
        let connection = Connection::new(Stream::Pipe(near));
        let sending = spawn_local(async move { ask(&connection, request).await.map(drop) });
        let mut all = Vec::new();
        let reading = async { while far.read_buf(&mut all).await.is_ok_and(|read| read > 0) {} };
        let _ = tokio::time::timeout(Duration::from_secs(9), reading).await;
        sending.abort();
        String::from_utf8(all).unwrap()
    })
}

#[test]
fn requests() {
    let long = "x".repeat(20_000);
    let rows = [
        (
            request("GET", &[("host", "a"), ("x-y", "é")], body(&[], Some(0))),
            "GET /a?b=c HTTP/1.1\r\nhost: a\r\nx-y: é\r\n\r\n".to_owned(),
        ),
        (
            request("POST", &[("content-length", "5")], body(&["ab", "cde"], Some(5))),
            "POST /a?b=c HTTP/1.1\r\ncontent-length: 5\r\n\r\nabcde".to_owned(),
        ),
        (
            request("PUT", &[("content-length", "0")], body(&[], Some(0))),
            "PUT /a?b=c HTTP/1.1\r\ncontent-length: 0\r\n\r\n".to_owned(),
        ),
        (
            request("POST", &[("transfer-encoding", "chunked")], body(&["ab", "", "c"], None)),
            "POST /a?b=c HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\n\r\n".to_owned(),
        ),
        (
            request("POST", &[], body(&["ab"], Some(2))),
            "POST /a?b=c HTTP/1.1\r\ncontent-length: 2\r\n\r\nab".to_owned(),
        ),
        (
            request("POST", &[], body(&["ab"], None)),
            "POST /a?b=c HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n".to_owned(),
        ),
        (
            request("POST", &[("content-length", "20001")], body(&[&long, "y"], Some(20_001))),
            format!("POST /a?b=c HTTP/1.1\r\ncontent-length: 20001\r\n\r\n{long}y"),
        ),
        (
            request("POST", &[], body(&[&long, "y"], None)),
            format!("POST /a?b=c HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n4e20\r\n{long}\r\n1\r\ny\r\n0\r\n\r\n"),
        ),
    ];
    for (request, expected) in rows {
        let shown = format!("{request:?}");
        assert_eq!(sent(request), expected, "{shown}");
    }
}

/// A body that is not as long as its request says ends the connection: nothing may follow it there.
#[test]
fn bodies_of_another_length() {
    for (pieces, length) in [(&["abc"][..], "2"), (&["a"], "2")] {
        block_on(async {
            let (near, _far) = tokio::io::duplex(512);
            let connection = Connection::new(Stream::Pipe(near));
            let request = request("POST", &[("content-length", length)], body(pieces, None));
            assert_eq!(ask(&connection, request).await.map(drop), Err(Failure::Broken), "{pieces:?}");
            assert!(!connection.borrow_mut().is_idle());
        });
    }
}

/// An answer that begins before its request is whole does not stop the request; one that ends before does.
#[test]
fn early_answers() {
    block_on(async {
        let (near, mut far) = tokio::io::duplex(1024);
        let connection = Connection::new(Stream::Pipe(near));
        let long = "x".repeat(50_000);
        let request = request("POST", &[("content-length", "50000")], body(&[&long], Some(50_000)));
        far.write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n").await.unwrap();
        let mut response = ask(&connection, request).await.unwrap();
        assert_eq!(response.frame().await.unwrap().unwrap().into_data().unwrap(), "a");
        let mut space = vec![0; 50_000];
        far.read_exact(&mut space).await.unwrap();
        far.write_all(b"0\r\n\r\n").await.unwrap();
        assert!(response.frame().await.is_none());
        assert!(connection.borrow_mut().is_idle(), "both are whole");

        let (near, mut far) = tokio::io::duplex(1024);
        let connection = Connection::new(Stream::Pipe(near));
        far.write_all(b"HTTP/1.1 413 Too Large\r\nContent-Length: 1\r\n\r\na").await.unwrap();
        let request = self::request("POST", &[("content-length", "50000")], body(&[&long], Some(50_000)));
        assert_eq!(read(ask(&connection, request).await.unwrap()).await.0.status, 413);
        assert!(!connection.borrow_mut().is_idle(), "nothing may follow half a request");
    });
}

/// One that was used before serves again, and one that its peer has ended, or has spoken on unasked, does not.
#[test]
fn reuse() {
    block_on(async {
        let (near, mut far) = tokio::io::duplex(1024);
        let connection = Connection::new(Stream::Pipe(near));
        for _ in 0..3 {
            assert!(connection.borrow_mut().is_idle());
            far.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\na").await.unwrap();
            // It is read only once a request is under way.
            let response = {
                let request = request("GET", &[], body(&[], Some(0)));
                ask(&connection, request).await.unwrap()
            };
            assert_eq!(read(response).await.0.body, Ok(b"a".to_vec()));
        }
        far.write_all(b"H").await.unwrap();
        assert!(!connection.borrow_mut().is_idle());
        let (near, far) = tokio::io::duplex(1024);
        let connection = Connection::new(Stream::Pipe(near));
        drop(far);
        assert!(!connection.borrow_mut().is_idle());
    });
}

fn an_answer() -> impl Strategy<Value = Vec<u8>> {
    let line = prop_oneof![
        Just("HTTP/1.1 200 OK\r\n"),
        Just("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n"),
        Just("HTTP/1.0 200 OK\r\n"),
        Just("HTTP/1.1 404\r\n"),
        Just("HTTP/1.1 304 Not Modified\r\n"),
        Just("HTTP/1.1 200 OK\n"),
    ];
    let header = prop_oneof![
        Just("Content-Length: 4\r\n"),
        Just("Content-Length: 9\r\n"),
        Just("Transfer-Encoding: chunked\r\n"),
        Just("X: y\r\n"),
        Just("X : y\r\n"),
        Just("Connection: close\r\n"),
        Just("\tx\r\n"),
    ];
    let rest = prop_oneof![
        Just("4\r\nabcd\r\n0\r\n\r\n".to_owned()),
        Just("1\r\na\r\n2;x=y\r\nbc\r\n0\r\nT: u\r\n\r\n".to_owned()),
        "[0-9a-f\r\n]{0,12}",
    ];
    (line, proptest::collection::vec(header, 0..3), rest, any::<bool>()).prop_map(|(line, headers, rest, cut)| {
        let text = format!("{line}{}\r\n{rest}", headers.concat());
        let end = if cut { text.len() * 2 / 3 } else { text.len() };
        text.as_bytes()[..end].to_vec()
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    /// What we take for a whole answer hyper's client takes for the same one. We refuse more than it does.
    #[test]
    fn agrees_with_hyper(text in an_answer(), step in 1_usize..40, head in any::<bool>()) {
        let method = if head { "HEAD" } else { "GET" };
        let (ours, _) = ours(method, &text, step, true);
        let hypers = hypers(method, &text, step, true);
        match (&ours, &hypers) {
            (Ok(ours), Some(hypers)) => prop_assert_eq!(ours, hypers),
            (Ok(ours), None) => prop_assert!(ours.body.is_err(), "hyper refused {:?}", ours),
            (Err(_), _) => {}
        }
    }

    #[test]
    fn never_panics(text in proptest::collection::vec(any::<u8>(), 0..200), step in 1_usize..40) {
        let _ = ours("GET", &text, step, true);
        let _ = ours("GET", &[b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", &*text].concat(), step, true);
    }
}
