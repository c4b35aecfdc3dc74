//! The admission server (`--validating-webhook`): the API server asks it before an Ingress is written, so that what
//! would not be served is refused with the reason, at `kubectl apply`.

mod certificate;
mod check;
mod review;

use std::convert::Infallible;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::pin;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use kube::Client;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

pub use certificate::{Origin, Own};

use super::world::World;
use crate::admin;
use crate::compile::Options;
use crate::proxy;
use check::Known;

/// Bytes of a question: ingress-nginx's bound, well above what the API server lets an object be.
const MAX_BODY: usize = 9 << 20;
/// For the handshake, a head and a body each: the API server itself waits ten seconds by default.
const PATIENCE: Duration = Duration::from_secs(10);
/// A connection older than this ends after its request.
const MAX_AGE: Duration = Duration::from_secs(600);

/// How the admission server runs.
#[derive(Clone, Debug)]
pub struct Settings {
    /// `None` is every address.
    pub address: Option<IpAddr>,
    pub port: u16,
    pub origin: Origin,
    pub options: Options,
}

/// What all its connections share.
#[derive(Debug)]
struct Shared {
    known: RwLock<Known>,
    options: Options,
}

/// Listens, and answers until `ends`. The address it listens on is returned at once; an error is that of listening.
pub fn start(
    settings: Settings,
    client: Client,
    world: watch::Receiver<World>,
    leads: watch::Receiver<bool>,
    ends: CancellationToken,
) -> io::Result<Vec<SocketAddr>> {
    let addresses: Vec<IpAddr> = settings.address.into_iter().collect();
    let current = Arc::new(watch::Sender::new(None));
    let mut config =
        rustls::ServerConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(io::Error::other)?
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(Resolver(current.subscribe())));
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let tls = TlsAcceptor::from(Arc::new(config));
    let shared = Arc::new(Shared { known: RwLock::default(), options: settings.options });
    let mut bound = Vec::new();
    for socket in proxy::bind(&addresses, settings.port)? {
        bound.push(socket.local_addr()?);
        let listener = TcpListener::from_std(socket)?;
        let (tls, shared, ending) = (tls.clone(), Arc::clone(&shared), ends.clone());
        let connection = move |stream| connection(stream, tls.clone(), Arc::clone(&shared), ending.clone());
        tokio::spawn(admin::accept(listener, ends.clone(), connection));
    }
    tokio::spawn(certificate::keep(settings.origin, client, current, leads));
    tokio::spawn(follow(shared, world));
    tracing::info!(admission = ?bound, "the admission server listens");
    Ok(bound)
}

/// Keeps what is known in step with the world.
async fn follow(shared: Arc<Shared>, mut world: watch::Receiver<World>) {
    loop {
        let snapshot = Arc::clone(&world.borrow_and_update().snapshot);
        shared.known.write().unwrap_or_else(PoisonError::into_inner).update(snapshot);
        if world.changed().await.is_err() {
            return;
        }
    }
}

/// The certificate of the moment, whatever name is asked for.
#[derive(Debug)]
struct Resolver(watch::Receiver<Option<Arc<CertifiedKey>>>);

impl ResolvesServerCert for Resolver {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.0.borrow().clone()
    }
}

async fn connection(stream: TcpStream, tls: TlsAcceptor, shared: Arc<Shared>, ends: CancellationToken) {
    // How a client fails to shake hands is its own business.
    let Ok(Ok(stream)) = timeout(PATIENCE, tls.accept(stream)).await else { return };
    let service = service_fn(move |request| {
        let shared = Arc::clone(&shared);
        async move { Ok::<_, Infallible>(answer(request, &shared).await) }
    });
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(PATIENCE);
    builder.http2().timer(TokioTimer::new()).max_concurrent_streams(64);
    let connection = pin!(builder.serve_connection(TokioIo::new(stream), service));
    admin::run(connection, &ends, MAX_AGE, |connection| connection.graceful_shutdown()).await;
}

async fn answer(request: Request<Incoming>, shared: &Shared) -> Response<Full<Bytes>> {
    if request.method() != Method::POST {
        return plain(StatusCode::METHOD_NOT_ALLOWED, "an AdmissionReview comes by POST\n".to_owned());
    }
    let body = match timeout(PATIENCE, Limited::new(request.into_body(), MAX_BODY).collect()).await {
        Ok(Ok(body)) => body.to_bytes(),
        Ok(Err(error)) if error.is::<http_body_util::LengthLimitError>() => {
            return plain(StatusCode::PAYLOAD_TOO_LARGE, format!("a review has at most {MAX_BODY} bytes\n"));
        }
        Ok(Err(error)) => return plain(StatusCode::BAD_REQUEST, format!("{error}\n")),
        Err(_) => return plain(StatusCode::REQUEST_TIMEOUT, "the review did not come in time\n".to_owned()),
    };
    let check = |ingress| {
        let known = shared.known.read().unwrap_or_else(PoisonError::into_inner);
        known.check(ingress, &shared.options)
    };
    match review::answer(&body, check) {
        Ok(answer) => {
            let mut response = Response::new(Full::new(answer.to_string().into()));
            let json = http::HeaderValue::from_static("application/json");
            response.headers_mut().insert(http::header::CONTENT_TYPE, json);
            response
        }
        Err(error) => plain(StatusCode::BAD_REQUEST, format!("{error}\n")),
    }
}

fn plain(status: StatusCode, text: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(text.into()));
    *response.status_mut() = status;
    response
}
