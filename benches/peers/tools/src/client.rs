//! A connection of a client: TCP or TLS, and one HTTP/1.1 request on it at a time.

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::{Context as _, bail, ensure};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{ClientConfig, Resumption};
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{DigitallySignedStruct, SignatureScheme};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// The longest head of a response.
const HEAD: usize = 16 * 1024;

pub trait Stream: AsyncRead + AsyncWrite + Unpin {}
impl<T: AsyncRead + AsyncWrite + Unpin> Stream for T {}

pub async fn tcp(to: SocketAddr) -> anyhow::Result<TcpStream> {
    let stream = TcpStream::connect(to).await.context("connect")?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

pub async fn tls(to: SocketAddr, host: &str, config: &Arc<ClientConfig>) -> anyhow::Result<TlsStream<TcpStream>> {
    let name = ServerName::try_from(host.to_owned())?;
    TlsConnector::from(config.clone()).connect(name, tcp(to).await?).await.context("handshake")
}

/// TCP, or TLS with a configuration.
pub async fn connect(
    to: SocketAddr,
    host: &str,
    config: Option<&Arc<ClientConfig>>,
) -> anyhow::Result<Box<dyn Stream>> {
    Ok(match config {
        Some(config) => Box::new(tls(to, host, config).await?),
        None => Box::new(tcp(to).await?),
    })
}

/// TLS 1.3 without a look at the certificate: its cost is the client's, which nobody measures.
pub fn config(resume: bool) -> anyhow::Result<Arc<ClientConfig>> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Anyone))
        .with_no_client_auth();
    config.resumption = if resume { Resumption::in_memory_sessions(256) } else { Resumption::disabled() };
    Ok(Arc::new(config))
}

/// A GET's bytes.
pub fn get(host: &str, path: &str, connection: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: {connection}\r\n\r\n").into_bytes()
}

/// Sends a request and reads a whole answer with a length or in chunks; anything but 200 is an error. Says whether the
/// connection may be used again.
pub async fn exchange(
    stream: &mut (impl Stream + ?Sized),
    request: &[u8],
    buffer: &mut Vec<u8>,
) -> anyhow::Result<bool> {
    stream.write_all(request).await?;
    stream.flush().await?;
    let end = head(stream, buffer).await?;
    let text = std::str::from_utf8(&buffer[..end])?.to_ascii_lowercase();
    ensure!(text.starts_with("http/1.1 200"), "answered {}", text.lines().next().unwrap_or_default());
    let length = text.lines().find_map(|line| line.strip_prefix("content-length:"));
    if let Some(length) = length {
        let whole = end + length.trim().parse::<usize>()?;
        while buffer.len() < whole {
            ensure!(stream.read_buf(buffer).await? > 0, "ended within a body");
        }
    } else if text.contains("transfer-encoding: chunked") {
        while !buffer.ends_with(b"0\r\n\r\n") {
            ensure!(stream.read_buf(buffer).await? > 0, "ended within a chunk");
        }
    } else {
        bail!("an answer without a length");
    }
    Ok(!text.contains("\r\nconnection: close"))
}

/// Reads until a head ends, and returns its length; what follows it stays in the buffer.
pub async fn head(stream: &mut (impl Stream + ?Sized), buffer: &mut Vec<u8>) -> anyhow::Result<usize> {
    buffer.clear();
    loop {
        if let Some(at) = buffer.windows(4).position(|four| four == b"\r\n\r\n") {
            return Ok(at + 4);
        }
        ensure!(buffer.len() < HEAD, "a head of more than {HEAD} bytes");
        ensure!(stream.read_buf(buffer).await? > 0, "ended within a head");
    }
}

#[derive(Debug)]
struct Anyone;

impl ServerCertVerifier for Anyone {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        aws_lc_rs::default_provider().signature_verification_algorithms.supported_schemes()
    }
}
