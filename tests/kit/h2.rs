//! An HTTP/2 client, by prior knowledge or over TLS, over hyper.

use std::io;
use std::net::SocketAddr;
use std::sync::mpsc;
use std::time::Duration;

use bytes::Bytes;
use http::Request;
use http_body::Frame;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http2::{SendRequest, handshake};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio_rustls::TlsConnector;

use super::raw::{Tls, client_config, dial};
use super::wire::Io;
use super::{DEADLINE, Headers, RUNTIME, header, run};

/// An answer over HTTP/2.
#[derive(Clone, Debug)]
pub struct H2Response {
    pub status: u16,
    pub headers: Headers,
    pub body: Vec<u8>,
    pub trailers: Headers,
}

impl H2Response {
    pub fn header(&self, name: &str) -> Option<&str> {
        header(&self.headers, name)
    }

    pub fn trailer(&self, name: &str) -> Option<&str> {
        header(&self.trailers, name)
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

/// One HTTP/2 connection; requests on it may run side by side.
pub struct H2 {
    sender: SendRequest<Full<Bytes>>,
    scheme: &'static str,
}

/// A request under way.
pub struct Pending(mpsc::Receiver<io::Result<H2Response>>);

impl Pending {
    pub fn wait(self) -> io::Result<H2Response> {
        self.0.recv().unwrap_or_else(|_| Err(io::Error::other("the request's task panicked")))
    }
}

impl H2 {
    /// Connects by prior knowledge, or ends the test.
    pub fn connect(addr: SocketAddr) -> Self {
        let sender = run(DEADLINE, async move { open(dial(addr, None).await?).await });
        Self { sender: sender.unwrap_or_else(|e| panic!("h2 to {addr}: {e}")), scheme: "http" }
    }

    /// Connects with TLS and ALPN `h2`, or ends the test. Takes any certificate.
    pub fn connect_tls(addr: SocketAddr, sni: &str) -> Self {
        Self::try_connect_tls(addr, Tls { sni, alpn: &["h2"], ..Tls::default() })
            .unwrap_or_else(|e| panic!("h2 over TLS to {addr} as {sni:?}: {e}"))
    }

    pub fn try_connect_tls(addr: SocketAddr, tls: Tls<'_>) -> io::Result<Self> {
        let (config, name) = client_config(addr, tls);
        let sender = run(DEADLINE, async move {
            let stream = TlsConnector::from(config).connect(name, dial(addr, None).await?).await?;
            match stream.get_ref().1.alpn_protocol() {
                Some(b"h2") => open(stream).await,
                other => Err(io::Error::other(format!("ALPN chose {other:?}"))),
            }
        })?;
        Ok(Self { sender, scheme: "https" })
    }

    pub fn get(&self, host: &str, target: &str) -> H2Response {
        self.request("GET", host, target, &[], b"")
    }

    /// Sends a request and reads its answer, or ends the test.
    pub fn request(&self, method: &str, host: &str, target: &str, fields: &[(&str, &str)], body: &[u8]) -> H2Response {
        self.start(method, host, target, fields, body).wait().unwrap_or_else(|e| panic!("{method} {host}{target}: {e}"))
    }

    /// Sends one gRPC message.
    pub fn grpc(&self, host: &str, target: &str, fields: &[(&str, &str)], message: &[u8]) -> H2Response {
        let fields = [&[("content-type", "application/grpc"), ("te", "trailers")], fields].concat();
        let mut body = vec![0];
        body.extend((message.len() as u32).to_be_bytes());
        body.extend(message);
        self.request("POST", host, target, &fields, &body)
    }

    /// Starts a request without waiting for its answer.
    pub fn start(&self, method: &str, host: &str, target: &str, fields: &[(&str, &str)], body: &[u8]) -> Pending {
        let mut request = Request::builder().method(method).uri(format!("{}://{host}{target}", self.scheme));
        for (name, value) in fields {
            request = request.header(*name, *value);
        }
        let request = request.body(Full::new(Bytes::copy_from_slice(body))).expect("a request");
        let (sender, receiver) = mpsc::sync_channel(1);
        let exchange = exchange(self.sender.clone(), request);
        RUNTIME.spawn(async move {
            let outcome = tokio::time::timeout(DEADLINE, exchange).await;
            let _ = sender.send(outcome.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into())));
        });
        Pending(receiver)
    }

    /// Whether the peer closes the connection within that time.
    pub fn closes_within(&self, within: Duration) -> bool {
        super::eventually(within, || self.sender.is_closed().then_some(())).is_some()
    }
}

async fn open(io: impl Io + 'static) -> io::Result<SendRequest<Full<Bytes>>> {
    let (sender, connection) = handshake(TokioExecutor::new(), TokioIo::new(io)).await.map_err(io::Error::other)?;
    tokio::spawn(connection);
    Ok(sender)
}

async fn exchange(mut sender: SendRequest<Full<Bytes>>, request: Request<Full<Bytes>>) -> io::Result<H2Response> {
    sender.ready().await.map_err(io::Error::other)?;
    let (head, mut incoming) = sender.send_request(request).await.map_err(io::Error::other)?.into_parts();
    let mut response = H2Response {
        status: head.status.as_u16(),
        headers: super::upstream::fields(&head.headers),
        body: Vec::new(),
        trailers: Headers::new(),
    };
    while let Some(frame) = incoming.frame().await {
        match frame.map_err(io::Error::other).map(Frame::into_data)? {
            Ok(data) => response.body.extend_from_slice(&data),
            Err(other) => {
                response.trailers = other.into_trailers().map(|t| super::upstream::fields(&t)).unwrap_or_default();
            }
        }
    }
    Ok(response)
}
