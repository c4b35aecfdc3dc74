//! From a request's method and path to its answer, in the words of Go's `net/http` and of Kubernetes' health checks,
//! which probes and people's scripts know.

use std::sync::Arc;

use bytes::Bytes;
use http::header::{ALLOW, CONTENT_TYPE, HeaderValue, X_CONTENT_TYPE_OPTIONS};
use http::{Method, Response, StatusCode};
use http_body_util::Full;

use super::Inspect;
use crate::telemetry::TEXT_FORMAT;

const PLAIN: &str = "text/plain; charset=utf-8";

/// What a path leads to.
#[derive(Clone, Copy)]
enum Page {
    Health,
    Ready,
    Live,
    Metrics,
    Table,
}

/// The answer to a request; to HEAD as to GET, the connection leaves the body out.
pub(super) async fn answer(
    method: &Method,
    path: &str,
    health_path: &str,
    inspect: &Arc<dyn Inspect>,
) -> Response<Full<Bytes>> {
    let page = match path {
        path if path == health_path => Page::Health,
        "/readyz" => Page::Ready,
        "/livez" => Page::Live,
        "/metrics" => Page::Metrics,
        "/debug/table" => Page::Table,
        _ => return plain(StatusCode::NOT_FOUND, "404 page not found\n"),
    };
    if method != Method::GET && method != Method::HEAD {
        let mut response = plain(StatusCode::METHOD_NOT_ALLOWED, "Method Not Allowed\n");
        response.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
        return response;
    }
    match page {
        Page::Health if inspect.shutting_down() => plain(StatusCode::INTERNAL_SERVER_ERROR, "shutting down\n"),
        Page::Health if inspect.starting() => plain(StatusCode::INTERNAL_SERVER_ERROR, "starting\n"),
        Page::Health | Page::Live => plain(StatusCode::OK, "ok"),
        Page::Ready => match inspect.ready() {
            Ok(()) => plain(StatusCode::OK, "ok"),
            Err(reason) => plain(StatusCode::SERVICE_UNAVAILABLE, format!("{reason}\n")),
        },
        Page::Metrics => blocking(inspect, TEXT_FORMAT, |inspect| inspect.metrics()).await,
        Page::Table => blocking(inspect, PLAIN, |inspect| inspect.table_text().into_bytes()).await,
    }
}

/// A body that takes a while, made where it stops nobody.
async fn blocking(
    inspect: &Arc<dyn Inspect>,
    content_type: &'static str,
    body: fn(&dyn Inspect) -> Vec<u8>,
) -> Response<Full<Bytes>> {
    let inspect = Arc::clone(inspect);
    match tokio::task::spawn_blocking(move || body(&*inspect)).await {
        Ok(body) => text(StatusCode::OK, content_type, body),
        Err(error) => {
            tracing::error!(%error, "the health port could not make its answer");
            plain(StatusCode::INTERNAL_SERVER_ERROR, "internal error\n")
        }
    }
}

fn plain(status: StatusCode, body: impl Into<Bytes>) -> Response<Full<Bytes>> {
    text(status, PLAIN, body)
}

fn text(status: StatusCode, content_type: &'static str, body: impl Into<Bytes>) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body.into()));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}
