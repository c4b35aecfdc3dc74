//! The gRPC upstream: HTTP/2 with prior knowledge. A path that ends in `Stream` answers with a hundred messages, any other
//! with one; each is 64 bytes behind gRPC's prefix of five, and `grpc-status: 0` follows in the trailers.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{BufMut as _, Bytes, BytesMut};
use http::{HeaderMap, HeaderValue, Request, Response};
use http_body::{Body, Frame};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use hyper::rt::Executor;
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::task::spawn_local;

/// Messages of a streamed answer.
const STREAM: usize = 100;
const MESSAGE: usize = 64;

#[derive(Clone, Copy)]
struct OnThisThread;

impl<F: Future<Output: 'static> + 'static> Executor<F> for OnThisThread {
    fn execute(&self, future: F) {
        spawn_local(future);
    }
}

/// Messages, then trailers.
struct Messages(VecDeque<Frame<Bytes>>);

impl Body for Messages {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(self.0.pop_front().map(Ok))
    }
}

pub async fn serve(listener: TcpListener) {
    loop {
        let Ok((stream, _)) = listener.accept().await else { continue };
        stream.set_nodelay(true).ok();
        let serve = http2::Builder::new(OnThisThread)
            .max_concurrent_streams(1000)
            .serve_connection(TokioIo::new(stream), service_fn(answer));
        spawn_local(async move { serve.await.ok() });
    }
}

async fn answer(request: Request<Incoming>) -> Result<Response<Messages>, Infallible> {
    let count = if request.uri().path().ends_with("Stream") { STREAM } else { 1 };
    let mut body = request.into_body();
    while let Some(Ok(_)) = body.frame().await {}
    let mut message = BytesMut::with_capacity(MESSAGE + 5);
    message.put_u8(0);
    message.put_u32(MESSAGE as u32);
    message.put_bytes(b'x', MESSAGE);
    let message = message.freeze();
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", HeaderValue::from_static("0"));
    let mut frames: VecDeque<_> = (0..count).map(|_| Frame::data(message.clone())).collect();
    frames.push_back(Frame::trailers(trailers));
    let mut response = Response::new(Messages(frames));
    response.headers_mut().insert("content-type", HeaderValue::from_static("application/grpc"));
    Ok(response)
}
