//! The HTTP/2 side of the backend, by hyper: the same echo, and gRPC's framing when asked in gRPC.

use std::convert::Infallible;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response};
use http_body::{Body, Frame};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::sync::{Notify, mpsc};

use super::super::Headers;
use super::super::wire::Io;
use super::behaviour::event;
use super::{Behaviour, Connection, Seen};

/// A body that another task feeds.
pub(super) struct Fed(mpsc::Receiver<Frame<Bytes>>);

impl Body for Fed {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.get_mut().0.poll_recv(cx).map(|frame| frame.map(Ok))
    }
}

pub(super) async fn serve(io: impl Io + 'static, connection: Connection) -> io::Result<()> {
    let connection = Arc::new(connection);
    let cut = Arc::new(Notify::new());
    let service = service_fn({
        let (connection, cut) = (connection.clone(), cut.clone());
        move |request| answer(connection.clone(), cut.clone(), request)
    });
    let served = hyper::server::conn::http2::Builder::new(TokioExecutor::new())
        .enable_connect_protocol()
        .serve_connection(TokioIo::new(io), service);
    tokio::select! {
        served = served => served.map_err(io::Error::other),
        () = cut.notified() => Ok(()),
    }
}

async fn answer(
    connection: Arc<Connection>,
    cut: Arc<Notify>,
    request: Request<Incoming>,
) -> Result<Response<Fed>, io::Error> {
    let (seen, body) = observe(&connection, request).await;
    connection.shared.record(&seen);
    let behaviour = connection.shared.behaviour(&seen.headers);
    tokio::time::sleep(behaviour.delay).await;
    if behaviour.close {
        cut.notify_one();
        std::future::pending::<()>().await;
    }
    if behaviour.reset {
        return Err(io::Error::other("reset on request"));
    }
    let grpc = seen.header("content-type").is_some_and(|v| v.starts_with("application/grpc"));
    let (feed, fed) = mpsc::channel(8);
    let mut response = Response::new(Fed(fed));
    *response.status_mut() = http::StatusCode::from_u16(behaviour.status).map_err(io::Error::other)?;
    let headers = response.headers_mut();
    insert(headers, "x-backend", &seen.backend);
    let echo = serde_json::to_vec(&seen).map_err(io::Error::other)?;
    let (body, media_type) = behaviour.body(echo, &body);
    insert(
        headers,
        "content-type",
        match (grpc, behaviour.sse) {
            (true, _) => "application/grpc",
            (_, Some(_)) => "text/event-stream",
            _ => media_type,
        },
    );
    for (name, value) in &behaviour.headers {
        append(headers, name, value);
    }
    if !grpc && behaviour.sse.is_none() && behaviour.trailers.is_empty() {
        insert(headers, "content-length", &body.len().to_string());
    }
    if seen.method != "HEAD" && !matches!(behaviour.status, 204 | 304) {
        tokio::spawn(feed_body(feed, behaviour, body, grpc));
    }
    Ok(response)
}

/// Feeds the answer's body. The receiver is gone when the peer gave up, which ends this too.
async fn feed_body(feed: mpsc::Sender<Frame<Bytes>>, behaviour: Behaviour, body: Vec<u8>, grpc: bool) {
    tokio::time::sleep(behaviour.body_delay).await;
    if let Some(events) = behaviour.sse {
        for n in 1..=events {
            if feed.send(Frame::data(Bytes::from(event(n)))).await.is_err() {
                return;
            }
            tokio::time::sleep(behaviour.interval).await;
        }
        return;
    }
    let body = if grpc { grpc_message(&body) } else { body };
    let _ = feed.send(Frame::data(Bytes::from(body))).await;
    let mut trailers = HeaderMap::new();
    if grpc {
        insert(&mut trailers, "grpc-status", &behaviour.grpc_status.to_string());
        insert(&mut trailers, "grpc-message", "from the kit");
    }
    for (name, value) in &behaviour.trailers {
        append(&mut trailers, name, value);
    }
    if !trailers.is_empty() {
        let _ = feed.send(Frame::trailers(trailers)).await;
    }
}

/// One length-prefixed, uncompressed gRPC message.
pub fn grpc_message(payload: &[u8]) -> Vec<u8> {
    let mut message = vec![0];
    message.extend((payload.len() as u32).to_be_bytes());
    message.extend(payload);
    message
}

async fn observe(connection: &Connection, request: Request<Incoming>) -> (Seen, Vec<u8>) {
    let mut seen = connection.next();
    let (head, mut incoming) = request.into_parts();
    seen.method = head.method.to_string();
    seen.uri = head.uri.path_and_query().map_or("*", |p| p.as_str()).to_owned();
    seen.version = format!("{:?}", head.version);
    if let Some(authority) = head.uri.authority() {
        seen.headers.push((":authority".to_owned(), authority.to_string()));
    }
    if let Some(scheme) = head.uri.scheme_str() {
        seen.headers.push((":scheme".to_owned(), scheme.to_owned()));
    }
    seen.headers.extend(fields(&head.headers));
    let (mut body, mut complete) = (Vec::new(), true);
    while let Some(frame) = incoming.frame().await {
        match frame.map(Frame::into_data) {
            Ok(Ok(data)) => body.extend_from_slice(&data),
            Ok(Err(other)) => seen.trailers = other.into_trailers().map(|t| fields(&t)).unwrap_or_default(),
            Err(_) => {
                complete = false;
                break;
            }
        }
    }
    seen.set_body(&body, complete);
    (seen, body)
}

/// A header map as ordered fields.
pub(in super::super) fn fields(headers: &HeaderMap) -> Headers {
    headers.iter().map(|(k, v)| (k.to_string(), String::from_utf8_lossy(v.as_bytes()).into_owned())).collect()
}

fn insert(headers: &mut HeaderMap, name: &'static str, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(name, value);
    }
}

fn append(headers: &mut HeaderMap, name: &str, value: &str) {
    if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::from_str(value)) {
        headers.append(name, value);
    }
}
