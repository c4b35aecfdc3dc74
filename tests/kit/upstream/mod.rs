//! A backend that echoes what it saw as JSON, and behaves as the request (or the test) asks; see [`Behaviour`].
//!
//! HTTP/1 is read by hand: a library would lose the order, the spelling and the mistakes of a request head, which are
//! what the tests of a proxy are about. HTTP/2 is hyper's. Both are served on the plain port (by prior knowledge) and
//! on the TLS port (by ALPN).

mod behaviour;
mod http1;
mod http2;

use std::collections::VecDeque;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rustls::ServerConfig;
use rustls::pki_types::CertificateDer;
use serde::{Deserialize, Serialize};
use sha1::{Digest, Sha1};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;
use tokio_rustls::TlsAcceptor;

use super::certs::{self, Identity, TakeAny, provider};
use super::{DEADLINE, Headers, eventually};

pub use behaviour::Behaviour;
pub(super) use http2::fields;

/// How many requests the log keeps; the oldest go first.
const LOG: usize = 10_000;

/// How much of a request body the log keeps as text.
const BODY_TEXT: usize = 1024;

/// One request as the backend saw it. HTTP/2's `:authority` comes first among the headers, under that name.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Seen {
    pub backend: String,
    pub method: String,
    /// The request target, byte for byte.
    pub uri: String,
    pub version: String,
    pub headers: Headers,
    pub body_len: usize,
    pub body_sha1: String,
    pub body_text: String,
    pub body_complete: bool,
    pub trailers: Headers,
    /// Counted from 1 per backend.
    pub connection: u64,
    /// Counted from 1 per connection.
    pub request_on_connection: u64,
    pub remote: String,
    pub tls: bool,
    pub sni: Option<String>,
    pub alpn: Option<String>,
    /// The subject of the client's certificate.
    pub client_cert: Option<String>,
}

impl Seen {
    pub fn header(&self, name: &str) -> Option<&str> {
        super::header(&self.headers, name)
    }

    pub fn header_all(&self, name: &str) -> Vec<&str> {
        super::header_all(&self.headers, name)
    }

    /// The authority asked for, in either protocol.
    pub fn host(&self) -> Option<&str> {
        self.header(":authority").or_else(|| self.header("host"))
    }

    fn set_body(&mut self, bytes: &[u8], complete: bool) {
        self.body_len = bytes.len();
        self.body_sha1 = sha1_hex(bytes);
        self.body_text = String::from_utf8_lossy(&bytes[..bytes.len().min(BODY_TEXT)]).into_owned();
        self.body_complete = complete;
    }
}

/// The digest that [`Seen::body_sha1`] holds.
pub fn sha1_hex(bytes: &[u8]) -> String {
    Sha1::digest(bytes).iter().map(|b| format!("{b:02x}")).collect()
}

/// A running backend; it stops, and cuts its connections, when dropped.
pub struct Upstream {
    shared: Arc<Shared>,
    addr: SocketAddr,
    tls_addr: SocketAddr,
    certificate: CertificateDer<'static>,
    runtime: Option<Runtime>,
}

impl Upstream {
    /// Starts on free ports of 127.0.0.1.
    pub fn start(name: &str) -> Self {
        Self::start_at(name, SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))
    }

    /// Starts on that address (and TLS on a free port of it), for a backend that comes back or has an address of its own.
    pub fn start_at(name: &str, addr: SocketAddr) -> Self {
        Self::start_with(name, addr, &Identity::self_signed(&[name, "localhost"]))
    }

    /// Starts with that certificate.
    pub fn start_with(name: &str, addr: SocketAddr, identity: &Identity) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let shared = Arc::new(Shared { name: name.to_owned(), ..Shared::default() });
        let plain = bind(&runtime, addr);
        let secure = bind(&runtime, SocketAddr::new(addr.ip(), 0));
        let (addr, tls_addr) = (plain.local_addr().unwrap(), secure.local_addr().unwrap());
        runtime.spawn(accept(plain, shared.clone(), None));
        runtime.spawn(accept(secure, shared.clone(), Some(acceptor(identity))));
        let certificate = identity.chain().remove(0);
        Self { shared, addr, tls_addr, certificate, runtime: Some(runtime) }
    }

    pub fn name(&self) -> &str {
        &self.shared.name
    }

    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    pub fn tls_addr(&self) -> SocketAddr {
        self.tls_addr
    }

    pub fn certificate(&self) -> &CertificateDer<'static> {
        &self.certificate
    }

    /// The requests seen so far, oldest first.
    pub fn seen(&self) -> Vec<Seen> {
        lock(&self.shared.seen).iter().cloned().collect()
    }

    /// The last request seen, or the end of the test.
    pub fn last(&self) -> Seen {
        lock(&self.shared.seen).back().cloned().unwrap_or_else(|| panic!("{} saw no request", self.shared.name))
    }

    /// How many requests came, those no longer in the log included.
    pub fn requests(&self) -> u64 {
        self.shared.requests.load(Ordering::SeqCst)
    }

    /// How many connections were ever accepted.
    pub fn connections(&self) -> u64 {
        self.shared.connections.load(Ordering::SeqCst)
    }

    /// How many connections are open now.
    pub fn open_connections(&self) -> u64 {
        self.shared.open.load(Ordering::SeqCst)
    }

    /// Waits until that many requests came; gives all of the log, or ends the test.
    pub fn wait_for(&self, requests: u64) -> Vec<Seen> {
        eventually(DEADLINE, || (self.requests() >= requests).then(|| self.seen()))
            .unwrap_or_else(|| panic!("{} saw {} requests, not {requests}", self.shared.name, self.requests()))
    }

    /// Empties the log and the request count.
    pub fn forget(&self) {
        lock(&self.shared.seen).clear();
        self.shared.requests.store(0, Ordering::SeqCst);
    }

    /// Makes every later request behave as if it had that control field: `set("x-test-status", "503")`. A request's
    /// own field of the same name wins.
    pub fn set(&self, name: &str, value: &str) -> &Self {
        lock(&self.shared.controls).push((name.to_owned(), value.to_owned()));
        self
    }

    /// Undoes every [`Upstream::set`].
    pub fn reset_behaviour(&self) {
        lock(&self.shared.controls).clear();
    }

    /// Stops at once: the ports close, the open connections are cut.
    pub fn stop(self) {
        drop(self);
    }

    /// An address on which nothing listens, so that connecting is refused.
    pub fn refused() -> SocketAddr {
        let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        listener.local_addr().unwrap()
    }

    /// A free port on a loopback address, likely to stay free for a moment.
    pub fn free_port(ip: IpAddr) -> SocketAddr {
        std::net::TcpListener::bind((ip, 0)).unwrap().local_addr().unwrap()
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            // Not a plain drop, which blocks and is refused inside a runtime.
            runtime.shutdown_background();
            // The tasks end with their runtime, soon but not at once; a test that stops a backend means now.
            let _ =
                eventually(Duration::from_secs(2), || std::net::TcpStream::connect(self.addr).is_err().then_some(()));
        }
    }
}

/// What the connections of a backend have in common.
#[derive(Default)]
struct Shared {
    name: String,
    seen: Mutex<VecDeque<Seen>>,
    requests: AtomicU64,
    connections: AtomicU64,
    open: AtomicU64,
    controls: Mutex<Headers>,
}

impl Shared {
    fn record(&self, seen: &Seen) {
        let mut log = lock(&self.seen);
        if log.len() == LOG {
            log.pop_front();
        }
        log.push_back(seen.clone());
        self.requests.fetch_add(1, Ordering::SeqCst);
    }

    fn behaviour(&self, request: &Headers) -> Behaviour {
        Behaviour::read(&self.name, request, &lock(&self.controls))
    }
}

/// One connection: what its requests have in common, and the socket beneath for a reset.
struct Connection {
    shared: Arc<Shared>,
    template: Seen,
    requests: AtomicU64,
    socket: socket2::Socket,
}

impl Connection {
    fn new(shared: Arc<Shared>, stream: &TcpStream, remote: SocketAddr) -> io::Result<Self> {
        let connection = shared.connections.fetch_add(1, Ordering::SeqCst) + 1;
        shared.open.fetch_add(1, Ordering::SeqCst);
        let template = Seen { backend: shared.name.clone(), connection, remote: remote.to_string(), ..Seen::default() };
        let socket = socket2::SockRef::from(stream).try_clone()?;
        Ok(Self { shared, template, requests: AtomicU64::new(0), socket })
    }

    /// The record of the next request, its head still to be filled in.
    fn next(&self) -> Seen {
        let n = self.requests.fetch_add(1, Ordering::SeqCst) + 1;
        Seen { request_on_connection: n, ..self.template.clone() }
    }

    /// Makes the coming close a reset.
    fn linger_zero(&self) {
        let _ = self.socket.set_linger(Some(Duration::ZERO));
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.shared.open.fetch_sub(1, Ordering::SeqCst);
    }
}

fn bind(runtime: &Runtime, addr: SocketAddr) -> TcpListener {
    let listener = socket2::Socket::new(socket2::Domain::for_address(addr), socket2::Type::STREAM, None).unwrap();
    // A backend that comes back finds its port among connections that are still closing.
    listener.set_reuse_address(true).unwrap();
    listener.bind(&addr.into()).unwrap_or_else(|e| panic!("binding {addr}: {e}"));
    listener.listen(1024).unwrap();
    listener.set_nonblocking(true).unwrap();
    let _in_runtime = runtime.enter();
    TcpListener::from_std(listener.into()).unwrap()
}

async fn accept(listener: TcpListener, shared: Arc<Shared>, tls: Option<TlsAcceptor>) {
    loop {
        let Ok((stream, remote)) = listener.accept().await else { continue };
        let _ = stream.set_nodelay(true);
        let (shared, tls) = (shared.clone(), tls.clone());
        tokio::spawn(async move {
            // A connection that ends in an error has told its peer by ending.
            let _ = serve(stream, remote, shared, tls).await;
        });
    }
}

async fn serve(stream: TcpStream, remote: SocketAddr, shared: Arc<Shared>, tls: Option<TlsAcceptor>) -> io::Result<()> {
    let mut connection = Connection::new(shared, &stream, remote)?;
    let Some(acceptor) = tls else {
        let mut start = [0; 3];
        let n = stream.peek(&mut start).await?;
        // A first segment shorter than this preface comes from no HTTP/2 client in use.
        return match &start[..n] {
            b"PRI" => http2::serve(stream, connection).await,
            _ => http1::serve(stream, connection).await,
        };
    };
    let stream = acceptor.accept(stream).await?;
    let (_, session) = stream.get_ref();
    connection.template.tls = true;
    connection.template.sni = session.server_name().map(str::to_owned);
    connection.template.alpn = session.alpn_protocol().map(|p| String::from_utf8_lossy(p).into_owned());
    connection.template.client_cert = session.peer_certificates().and_then(|c| c.first()).and_then(certs::subject);
    match session.alpn_protocol() {
        Some(b"h2") => http2::serve(stream, connection).await,
        _ => http1::serve(stream, connection).await,
    }
}

fn acceptor(identity: &Identity) -> TlsAcceptor {
    let mut config = ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_client_cert_verifier(Arc::new(TakeAny(provider())))
        .with_single_cert(identity.chain(), identity.key())
        .unwrap();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    TlsAcceptor::from(Arc::new(config))
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
