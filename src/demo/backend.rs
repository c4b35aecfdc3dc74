//! A small backend for the demo. It speaks HTTP/1.1 and, by prior knowledge, HTTP/2, and tells who it is and what
//! reached it. It knows nothing of the proxy in front of it.

use std::convert::Infallible;
use std::fmt::Write;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONNECTION, CONTENT_TYPE, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, UPGRADE};
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode, Version};
use http_body::{Body, Frame};
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::upgrade::Upgraded;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use sha1::{Digest, Sha1};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::mpsc;

/// How long `/slow` takes.
const SLOW: Duration = Duration::from_secs(3);

/// How many events `/stream` sends, and how far apart.
const EVENTS: usize = 10;
const EVENT_INTERVAL: Duration = Duration::from_millis(500);

/// The largest request body that is read.
const MAX_BODY: usize = 4 << 20;

/// The largest WebSocket frame that is echoed.
const MAX_FRAME: u64 = 1 << 20;

/// Serves that listener until the task is dropped.
pub async fn serve(name: &'static str, listener: TcpListener) {
    loop {
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(_) => {
                // Out of descriptors, most likely: trying again at once would spin.
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            }
        };
        tokio::spawn(async move {
            let service = service_fn(move |request| answer(name, request));
            // How a demo connection ends interests nobody.
            let _ = auto::Builder::new(TokioExecutor::new())
                .serve_connection_with_upgrades(TokioIo::new(stream), service)
                .await;
        });
    }
}

/// The body of an answer: frames that a task sends, or that already wait.
struct Fed(mpsc::Receiver<Frame<Bytes>>);

impl Body for Fed {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.get_mut().0.poll_recv(cx).map(|frame| frame.map(Ok))
    }
}

impl Fed {
    fn whole(bytes: impl Into<Bytes>) -> Self {
        let (sender, receiver) = mpsc::channel(1);
        // A fresh channel of one place takes one frame.
        let _ = sender.try_send(Frame::data(bytes.into()));
        Self(receiver)
    }
}

async fn answer(name: &'static str, mut request: Request<Incoming>) -> Result<Response<Fed>, Infallible> {
    let grpc = request.headers().get(CONTENT_TYPE).is_some_and(|v| v.as_bytes().starts_with(b"application/grpc"));
    if grpc {
        return Ok(grpc_echo(name, request).await);
    }
    if request.headers().get(UPGRADE).is_some_and(|v| v.as_bytes().eq_ignore_ascii_case(b"websocket")) {
        return Ok(websocket(&mut request));
    }
    // A rewrite may leave a prefix in front, so the last segment decides.
    match request.uri().path().rsplit('/').next() {
        Some("slow") => tokio::time::sleep(SLOW).await,
        Some("stream") => return Ok(events(name)),
        _ => {}
    }
    Ok(text(describe(name, request).await))
}

fn text(body: String) -> Response<Fed> {
    with_type("text/plain; charset=utf-8", Fed::whole(body))
}

fn with_type(media_type: &'static str, body: Fed) -> Response<Fed> {
    let mut response = Response::new(body);
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
    response
}

/// What reached the backend, for a person to read.
async fn describe(name: &str, request: Request<Incoming>) -> String {
    let (head, body) = request.into_parts();
    let target = head.uri.path_and_query().map_or("*", |p| p.as_str());
    let mut out = format!("backend: {name}\n\n{} {target} {:?}\n", head.method, head.version);
    if let Some(authority) = head.uri.authority() {
        // Writing to a String cannot fail, here and below.
        let _ = writeln!(out, ":authority: {authority}");
    }
    for (key, value) in &head.headers {
        let _ = writeln!(out, "{key}: {}", String::from_utf8_lossy(value.as_bytes()));
    }
    match Limited::new(body, MAX_BODY).collect().await {
        Ok(body) => match body.to_bytes().len() {
            0 => {}
            length => drop(writeln!(out, "\n{length} bytes of body")),
        },
        Err(_) => out.push_str("\na body that is too large or broke off\n"),
    }
    out
}

/// Server-sent events, one at a time.
fn events(name: &'static str) -> Response<Fed> {
    let (sender, receiver) = mpsc::channel(1);
    tokio::spawn(async move {
        for n in 1..=EVENTS {
            let event = format!("id: {n}\ndata: event {n} of {EVENTS} from {name}\n\n");
            if sender.send(Frame::data(event.into())).await.is_err() {
                return;
            }
            tokio::time::sleep(EVENT_INTERVAL).await;
        }
    });
    let mut response = with_type("text/event-stream", Fed(receiver));
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    response
}

/// Sends the messages of a gRPC call back as they came, without reading them.
async fn grpc_echo(name: &'static str, request: Request<Incoming>) -> Response<Fed> {
    let body = Limited::new(request.into_body(), MAX_BODY).collect().await;
    let (sender, receiver) = mpsc::channel(2);
    let status = match body {
        Ok(body) => {
            let _ = sender.try_send(Frame::data(body.to_bytes()));
            "0"
        }
        // RESOURCE_EXHAUSTED
        Err(_) => "8",
    };
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", HeaderValue::from_static(status));
    trailers.insert("x-backend", HeaderValue::from_static(name));
    let _ = sender.try_send(Frame::trailers(trailers));
    with_type("application/grpc", Fed(receiver))
}

/// Accepts a WebSocket and echoes its frames.
fn websocket(request: &mut Request<Incoming>) -> Response<Fed> {
    let key = request.headers().get(SEC_WEBSOCKET_KEY).map(|key| key.as_bytes().to_vec());
    let (Some(key), Version::HTTP_11) = (key, request.version()) else {
        let mut response = text("not a WebSocket handshake\n".to_owned());
        *response.status_mut() = StatusCode::BAD_REQUEST;
        return response;
    };
    let digest = Sha1::new().chain_update(key).chain_update(b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").finalize();
    let upgrade = hyper::upgrade::on(request);
    tokio::spawn(async move {
        if let Ok(upgraded) = upgrade.await {
            // It ends when the peer leaves, in whatever way.
            let _ = echo_frames(TokioIo::new(upgraded)).await;
        }
    });
    let mut response = Response::new(Fed(mpsc::channel(1).1));
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = response.headers_mut();
    headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    if let Ok(accept) = HeaderValue::from_str(&STANDARD.encode(digest)) {
        headers.insert(SEC_WEBSOCKET_ACCEPT, accept);
    }
    response
}

/// Echoes frames until a close (RFC 6455, section 5): pings become pongs, everything else goes back as it came.
async fn echo_frames(mut io: TokioIo<Upgraded>) -> std::io::Result<()> {
    const CLOSE: u8 = 8;
    const PING: u8 = 9;
    const PONG: u8 = 10;
    loop {
        let first = io.read_u8().await?;
        let second = io.read_u8().await?;
        let length = match second & 0x7f {
            126 => u64::from(io.read_u16().await?),
            127 => io.read_u64().await?,
            short => u64::from(short),
        };
        let length = usize::try_from(length.min(MAX_FRAME + 1)).unwrap_or(usize::MAX);
        if length as u64 > MAX_FRAME {
            return Err(std::io::Error::other("frame too large"));
        }
        let mut mask = [0; 4];
        if second & 0x80 != 0 {
            io.read_exact(&mut mask).await?;
        }
        let mut frame = vec![0; length];
        io.read_exact(&mut frame).await?;
        frame.iter_mut().zip(mask.iter().cycle()).for_each(|(byte, mask)| *byte ^= mask);

        let opcode = first & 0x0f;
        let answer = if opcode == PING { PONG } else { opcode };
        io.write_u8(first & 0xf0 | answer).await?;
        match length {
            0..126 => io.write_u8(length as u8).await?,
            126..65536 => {
                io.write_u8(126).await?;
                io.write_u16(length as u16).await?;
            }
            _ => {
                io.write_u8(127).await?;
                io.write_u64(length as u64).await?;
            }
        }
        io.write_all(&frame).await?;
        io.flush().await?;
        if opcode == CLOSE {
            return io.shutdown().await;
        }
    }
}
