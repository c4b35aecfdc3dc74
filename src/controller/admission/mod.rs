//! The admission server (`--validating-webhook`): the API server asks it before an Ingress is written, so that what
//! would not be served is refused with the reason, at `kubectl apply`.

mod certificate;
mod check;
mod review;

use std::convert::Infallible;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use bytes::{Bytes, BytesMut};
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use kube::Client;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, SemaphorePermit, watch};
use tokio::time::{Instant, sleep_until, timeout};
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
/// Of all bodies together: what an object of the usual size takes a thousand times.
const MAX_BYTES: usize = 64 << 20;
/// Reviews answered at once. Each may take a core for a while; the rest of the control plane needs one, too.
const MAX_REVIEWS: usize = 2;
/// Requests at once on one connection.
const MAX_STREAMS: u32 = 16;
/// How long a connection may have no request.
const IDLE: Duration = Duration::from_secs(30);

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
    known: ArcSwap<Known>,
    options: Options,
    /// Bytes of bodies that are being read, and reviews that are being answered.
    bytes: Semaphore,
    reviews: Arc<Semaphore>,
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
    let shared = Arc::new(Shared {
        known: ArcSwap::default(),
        options: settings.options,
        bytes: Semaphore::new(MAX_BYTES),
        reviews: Arc::new(Semaphore::new(MAX_REVIEWS)),
    });
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
        let known = shared.known.load();
        // What is said of the objects changes without them.
        if !known.is_of(&snapshot) {
            let mut known = Known::clone(&known);
            known.update(snapshot);
            shared.known.store(Arc::new(known));
        }
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
    let asked = watch::Sender::new(Instant::now());
    let mut last = asked.subscribe();
    let service = service_fn(move |request| {
        asked.send_replace(Instant::now());
        let shared = Arc::clone(&shared);
        async move { Ok::<_, Infallible>(answer(request, shared).await) }
    });
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(PATIENCE);
    builder.http2().timer(TokioTimer::new()).max_concurrent_streams(MAX_STREAMS);
    let connection = pin!(builder.serve_connection(TokioIo::new(stream), service));
    let idle = async move {
        loop {
            let until = *last.borrow_and_update() + IDLE;
            tokio::select! {
                Ok(()) = last.changed() => {}
                () = sleep_until(until) => return,
            }
        }
    };
    admin::run(connection, &ends, idle, |connection| connection.graceful_shutdown()).await;
}

async fn answer(request: Request<Incoming>, shared: Arc<Shared>) -> Response<Full<Bytes>> {
    if request.method() != Method::POST {
        return plain(StatusCode::METHOD_NOT_ALLOWED, "an AdmissionReview comes by POST\n".to_owned());
    }
    let read = timeout(PATIENCE, read(request.into_body(), &shared.bytes)).await;
    let (body, _held) = match read {
        Ok(Ok(read)) => read,
        Ok(Err((status, why))) => return plain(status, why),
        Err(_) => return plain(StatusCode::REQUEST_TIMEOUT, "the review did not come in time\n".to_owned()),
    };
    let busy = || plain(StatusCode::SERVICE_UNAVAILABLE, "too many reviews at once\n".to_owned());
    let turn = Arc::clone(&shared.reviews).acquire_owned();
    let Ok(Ok(turn)) = timeout(PATIENCE, turn).await else { return busy() };
    let judged = Arc::clone(&shared);
    // Not on the runtime's own threads: it may take long, and whoever asks chooses how long.
    let judged = tokio::task::spawn_blocking(move || {
        // It ends when the answer is there, not when nobody waits for it any more.
        let _turn = turn;
        let known = judged.known.load_full();
        review::answer(&body, |ingress| known.check(ingress, &judged.options))
    });
    match judged.await {
        Ok(Ok(answer)) => {
            let mut response = Response::new(Full::new(answer.to_string().into()));
            let json = http::HeaderValue::from_static("application/json");
            response.headers_mut().insert(http::header::CONTENT_TYPE, json);
            response
        }
        Ok(Err(error)) => plain(StatusCode::BAD_REQUEST, format!("{error}\n")),
        Err(_) => plain(StatusCode::INTERNAL_SERVER_ERROR, "internal error\n".to_owned()),
    }
}

/// A body within its own bound and that of all bodies, with its share of the latter; or the answer to one that is not.
async fn read(
    mut body: Incoming,
    all: &Semaphore,
) -> Result<(Bytes, Option<SemaphorePermit<'_>>), (StatusCode, String)> {
    let mut held: Option<SemaphorePermit<'_>> = None;
    let mut bytes = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| (StatusCode::BAD_REQUEST, format!("{error}\n")))?;
        let Ok(data) = frame.into_data() else { continue };
        if bytes.len() + data.len() > MAX_BODY {
            return Err((StatusCode::PAYLOAD_TOO_LARGE, format!("a review has at most {MAX_BODY} bytes\n")));
        }
        let size = u32::try_from(data.len()).unwrap_or(u32::MAX);
        let share = all.try_acquire_many(size);
        let share = share.map_err(|_| (StatusCode::SERVICE_UNAVAILABLE, "too many reviews at once\n".to_owned()))?;
        match &mut held {
            Some(held) => held.merge(share),
            None => held = Some(share),
        }
        bytes.extend_from_slice(&data);
    }
    Ok((bytes.freeze(), held))
}

fn plain(status: StatusCode, text: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(text.into()));
    *response.status_mut() = status;
    response
}
