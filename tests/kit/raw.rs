//! A client that sends exact bytes and shows an answer as it came: order, spelling, framing, interim answers.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ProtocolVersion};
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::{Mutex, OwnedMutexGuard};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::certs::{Identity, TakeAny, provider};
use super::wire::{Framing, Wire, framing};
use super::{DEADLINE, Headers, run, websocket};

/// An answer as it came. `complete` is false when the connection ended inside the body.
#[derive(Clone, Debug)]
pub struct Response {
    pub version: String,
    pub status: u16,
    pub reason: String,
    pub headers: Headers,
    pub body: Vec<u8>,
    pub trailers: Headers,
    pub framing: Framing,
    pub complete: bool,
    /// The 1xx answers that came first.
    pub informational: Vec<(u16, Headers)>,
}

impl Response {
    pub fn header(&self, name: &str) -> Option<&str> {
        super::header(&self.headers, name)
    }

    pub fn header_all(&self, name: &str) -> Vec<&str> {
        super::header_all(&self.headers, name)
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// What the upstream saw, when the body is its echo.
    pub fn seen(&self) -> super::Seen {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|e| panic!("no echo ({e}) in {}: {}", self.status, self.text()))
    }
}

/// How to begin TLS. An empty `sni` sends none.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tls<'a> {
    pub sni: &'a str,
    pub alpn: &'a [&'a str],
    pub identity: Option<&'a Identity>,
    pub only_tls12: bool,
}

/// What the TLS handshake told.
#[derive(Clone, Debug, Default)]
pub struct Peer {
    pub chain: Vec<CertificateDer<'static>>,
    pub alpn: Option<String>,
    pub version: Option<ProtocolVersion>,
}

/// One connection.
pub struct Raw {
    wire: Arc<Mutex<Wire>>,
    deadline: Duration,
    local: SocketAddr,
    peer: Peer,
}

impl Raw {
    /// Connects, or ends the test.
    pub fn connect(addr: SocketAddr) -> Self {
        Self::try_connect(addr).unwrap_or_else(|e| panic!("connecting to {addr}: {e}"))
    }

    pub fn try_connect(addr: SocketAddr) -> io::Result<Self> {
        Self::open(addr, None)
    }

    /// Connects from a loopback address of its own, to be another client than the others.
    pub fn connect_from(source: IpAddr, addr: SocketAddr) -> Self {
        Self::open(addr, Some(source)).unwrap_or_else(|e| panic!("connecting from {source} to {addr}: {e}"))
    }

    /// Connects with TLS, or ends the test. Takes any certificate; see [`Raw::peer`].
    pub fn connect_tls(addr: SocketAddr, sni: &str, alpn: &[&str]) -> Self {
        Self::try_connect_tls(addr, Tls { sni, alpn, ..Tls::default() })
            .unwrap_or_else(|e| panic!("TLS to {addr} as {sni:?}: {e}"))
    }

    pub fn try_connect_tls(addr: SocketAddr, tls: Tls<'_>) -> io::Result<Self> {
        Self::try_connect_tls_after(addr, b"", tls)
    }

    /// Sends `before` in clear first, for what precedes TLS: a PROXY protocol header.
    pub fn try_connect_tls_after(addr: SocketAddr, before: &[u8], tls: Tls<'_>) -> io::Result<Self> {
        let (config, name) = client_config(addr, tls);
        let before = before.to_vec();
        let (stream, local) = run(DEADLINE, async move {
            let mut tcp = dial(addr, None).await?;
            let local = tcp.local_addr()?;
            tokio::io::AsyncWriteExt::write_all(&mut tcp, &before).await?;
            Ok((TlsConnector::from(config).connect(name, tcp).await?, local))
        })?;
        let peer = peer(&stream);
        Ok(Self::over(Wire::new(stream), local, peer))
    }

    fn open(addr: SocketAddr, source: Option<IpAddr>) -> io::Result<Self> {
        let tcp = run(DEADLINE, dial(addr, source))?;
        let local = tcp.local_addr()?;
        Ok(Self::over(Wire::new(tcp), local, Peer::default()))
    }

    fn over(wire: Wire, local: SocketAddr, peer: Peer) -> Self {
        Self { wire: Arc::new(Mutex::new(wire)), deadline: DEADLINE, local, peer }
    }

    /// Sets how long each later call may take.
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    pub fn local_addr(&self) -> SocketAddr {
        self.local
    }

    pub fn peer(&self) -> &Peer {
        &self.peer
    }

    /// Sends exactly these bytes, or ends the test.
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) -> &mut Self {
        self.try_send(bytes).unwrap_or_else(|e| panic!("sending: {e}"));
        self
    }

    pub fn try_send(&mut self, bytes: impl AsRef<[u8]>) -> io::Result<()> {
        let bytes = bytes.as_ref().to_vec();
        self.with(|mut wire| async move { wire.write(&bytes).await })
    }

    /// Ends our side of the connection, reading on.
    pub fn finish(&mut self) -> &mut Self {
        let _ = self.with(|mut wire| async move { wire.shutdown().await });
        self
    }

    /// Reads one answer, or ends the test.
    pub fn response(&mut self) -> Response {
        self.try_response("GET").unwrap_or_else(|e| panic!("no answer: {e}"))
    }

    /// Reads the answer to a request of that method: one to HEAD has no body.
    pub fn try_response(&mut self, method: &str) -> io::Result<Response> {
        let head = method == "HEAD";
        self.with(move |mut wire| async move { response(&mut wire, head).await })
    }

    /// Sends a request's bytes and reads its answer.
    pub fn request(&mut self, bytes: impl AsRef<[u8]>) -> Response {
        let head = bytes.as_ref().starts_with(b"HEAD ");
        self.send(bytes).try_response(if head { "HEAD" } else { "GET" }).unwrap_or_else(|e| panic!("no answer: {e}"))
    }

    /// A GET on this connection, which stays open.
    pub fn get(&mut self, host: &str, target: &str) -> Response {
        self.request(format!("GET {target} HTTP/1.1\r\nHost: {host}\r\n\r\n"))
    }

    /// A GET with more fields, each `Name: value`.
    pub fn get_with(&mut self, host: &str, target: &str, fields: &[&str]) -> Response {
        let fields: String = fields.iter().map(|f| format!("{f}\r\n")).collect();
        self.request(format!("GET {target} HTTP/1.1\r\nHost: {host}\r\n{fields}\r\n"))
    }

    /// The next bytes, whatever they are; empty when the peer closed.
    pub fn read_some(&mut self) -> io::Result<Vec<u8>> {
        self.with(|mut wire| async move { wire.some().await })
    }

    /// All bytes until the peer closes.
    pub fn read_to_end(&mut self) -> io::Result<Vec<u8>> {
        self.with(|mut wire| async move { Ok(wire.rest().await) })
    }

    /// Whether the peer closes within that time without another byte.
    pub fn closes_within(&mut self, within: Duration) -> bool {
        let deadline = std::mem::replace(&mut self.deadline, within);
        let closed = match self.read_some() {
            Ok(bytes) => bytes.is_empty(),
            Err(error) => error.kind() != io::ErrorKind::TimedOut,
        };
        self.deadline = deadline;
        closed
    }

    /// Asks for a WebSocket; the connection speaks frames after an answer of 101.
    pub fn websocket(&mut self, host: &str, target: &str) -> Response {
        let fields = [
            "Connection: Upgrade",
            "Upgrade: websocket",
            "Sec-WebSocket-Version: 13",
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
        ];
        self.get_with(host, target, &fields)
    }

    /// Sends one masked frame.
    pub fn send_frame(&mut self, opcode: u8, payload: &[u8]) -> &mut Self {
        self.send(websocket::frame(opcode, payload, Some([7, 11, 13, 17])))
    }

    /// Reads one frame: opcode and payload.
    pub fn read_frame(&mut self) -> io::Result<(u8, Vec<u8>)> {
        self.with(|mut wire| async move { websocket::read(&mut wire).await })
    }

    fn with<T: Send + 'static, F>(
        &self,
        work: impl FnOnce(OwnedMutexGuard<Wire>) -> F + Send + 'static,
    ) -> io::Result<T>
    where
        F: Future<Output = io::Result<T>> + Send + 'static,
    {
        let wire = self.wire.clone();
        run(self.deadline, async move { work(wire.lock_owned().await).await })
    }
}

async fn response(wire: &mut Wire, to_head: bool) -> io::Result<Response> {
    let mut informational = Vec::new();
    loop {
        let line = wire.line().await?.ok_or_else(|| io::Error::other("closed without an answer"))?;
        let (version, rest) = line.split_once(' ').ok_or_else(|| io::Error::other(format!("not HTTP: {line:?}")))?;
        let (status, reason) = rest.split_once(' ').unwrap_or((rest, ""));
        let status: u16 = status.parse().map_err(|_| io::Error::other(format!("no status: {line:?}")))?;
        let headers = wire.fields().await?;
        if (100..200).contains(&status) && status != 101 {
            informational.push((status, headers));
            continue;
        }
        let bodiless = to_head || matches!(status, 101 | 204 | 304);
        let framing = if bodiless { Framing::None } else { framing(&headers, Framing::Close) };
        let body = wire.body(framing).await;
        return Ok(Response {
            version: version.to_owned(),
            status,
            reason: reason.to_owned(),
            headers,
            body: body.bytes,
            trailers: body.trailers,
            framing,
            complete: body.complete,
            informational,
        });
    }
}

pub(super) async fn dial(addr: SocketAddr, source: Option<IpAddr>) -> io::Result<TcpStream> {
    let socket = if addr.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    if let Some(source) = source {
        socket.bind(SocketAddr::new(source, 0))?;
    }
    let stream = socket.connect(addr).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

pub(super) fn client_config(addr: SocketAddr, tls: Tls<'_>) -> (Arc<ClientConfig>, ServerName<'static>) {
    let versions: &[_] =
        if tls.only_tls12 { &[&rustls::version::TLS12] } else { &[&rustls::version::TLS13, &rustls::version::TLS12] };
    let builder = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(versions)
        .expect("the provider has both versions")
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(TakeAny(provider())));
    let mut config = match tls.identity {
        Some(identity) => builder.with_client_auth_cert(identity.chain(), identity.key()).expect("a client's identity"),
        None => builder.with_no_client_auth(),
    };
    config.alpn_protocols = tls.alpn.iter().map(|p| p.as_bytes().to_vec()).collect();
    // An address is never sent as a server name (RFC 6066, 3).
    let name = match tls.sni {
        "" => ServerName::from(addr.ip()),
        sni => ServerName::try_from(sni.to_owned()).expect("a server name"),
    };
    (Arc::new(config), name)
}

fn peer(stream: &TlsStream<TcpStream>) -> Peer {
    let (_, session) = stream.get_ref();
    Peer {
        chain: session
            .peer_certificates()
            .map(|chain| chain.iter().map(|c| c.clone().into_owned()).collect())
            .unwrap_or_default(),
        alpn: session.alpn_protocol().map(|p| String::from_utf8_lossy(p).into_owned()),
        version: session.protocol_version(),
    }
}
