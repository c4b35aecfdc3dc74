//! The health port's connections and their bounds.

use std::convert::Infallible;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

use super::accept::{accept, run};
use super::{Inspect, answer::answer};

/// From the connection's start, or the answer before, to the end of a request's head.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// Bytes of a request's head.
const MAX_HEAD: usize = 16 * 1024;
/// A connection older than this ends after its request, so that one whose client reads nothing cannot stay for ever.
const MAX_AGE: Duration = Duration::from_secs(300);

/// Answers on `listener` until `shutdown`, then ends the connections after the request they are at. `health_path` is
/// the value of `--health-check-path`.
pub async fn serve(listener: TcpListener, inspect: Arc<dyn Inspect>, health_path: String, shutdown: CancellationToken) {
    let health_path: Arc<str> = health_path.into();
    let ends = shutdown.clone();
    accept(listener, shutdown, move |stream| {
        connection(stream, Arc::clone(&inspect), Arc::clone(&health_path), ends.clone())
    })
    .await;
}

async fn connection(stream: TcpStream, inspect: Arc<dyn Inspect>, health_path: Arc<str>, shutdown: CancellationToken) {
    let service = service_fn(|request: Request<Incoming>| {
        let (inspect, health_path) = (Arc::clone(&inspect), Arc::clone(&health_path));
        async move { Ok::<_, Infallible>(answer(request.method(), request.uri().path(), &health_path, &inspect).await) }
    });
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(HEAD_TIMEOUT).max_buf_size(MAX_HEAD);
    let connection = pin!(builder.serve_connection(TokioIo::new(stream), service));
    run(connection, &shutdown, tokio::time::sleep(MAX_AGE), |connection| connection.graceful_shutdown()).await;
}
