//! A kept HTTP/1.1 connection that asks without pause, and the backends, which answer with their name.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::Context as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::objects::{BACKEND_PORT, BACKENDS};

const ANSWER: Duration = Duration::from_secs(30);
const LONGEST: usize = 64 << 20;

pub struct Client {
    address: SocketAddr,
    stream: TcpStream,
    buffer: Vec<u8>,
}

pub struct Answer {
    pub status: u16,
    pub body: String,
    /// Nothing more is to be asked on this connection: `keep-alive-requests` ends it.
    is_last: bool,
}

impl Client {
    pub fn connect(address: SocketAddr) -> anyhow::Result<Self> {
        Ok(Self { address, stream: connect(address)?, buffer: Vec::new() })
    }

    /// Asks and waits. Only answers with `Content-Length` are understood.
    pub fn get(&mut self, host: &str, path: &str) -> anyhow::Result<Answer> {
        self.stream.write_all(format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n").as_bytes())?;
        self.buffer.clear();
        loop {
            if let Some(answer) = answer(&self.buffer) {
                if answer.is_last {
                    self.stream = connect(self.address)?;
                }
                return Ok(answer);
            }
            let mut part = [0; 16 << 10];
            let length = self.stream.read(&mut part)?;
            anyhow::ensure!(length > 0 && self.buffer.len() < LONGEST, "the connection ended inside an answer");
            self.buffer.extend(part.iter().take(length));
        }
    }
}

fn connect(address: SocketAddr) -> anyhow::Result<TcpStream> {
    let stream = TcpStream::connect(address)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(ANSWER))?;
    Ok(stream)
}

fn answer(bytes: &[u8]) -> Option<Answer> {
    let end = bytes.windows(4).position(|four| four == b"\r\n\r\n")?;
    let (head, body) = bytes.split_at_checked(end + 4)?;
    let head = String::from_utf8_lossy(head).to_ascii_lowercase();
    let status = head.split(' ').nth(1)?.parse().ok()?;
    let length: usize = head.lines().find_map(|line| line.strip_prefix("content-length: "))?.trim().parse().ok()?;
    let is_last = head.contains("\r\nconnection: close");
    (body.len() >= length).then(|| Answer { status, body: String::from_utf8_lossy(body).into_owned(), is_last })
}

/// Starts the backends; each answers anything with its address.
pub async fn backends() -> anyhow::Result<()> {
    for address in BACKENDS {
        let listener = TcpListener::bind((address, BACKEND_PORT)).await.context("a backend")?;
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let _ = stream.set_nodelay(true);
                tokio::spawn(async move {
                    let mut request = Vec::new();
                    let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{address}", address.len());
                    while stream.read_buf(&mut request).await.is_ok_and(|length| length > 0) {
                        if request.ends_with(b"\r\n\r\n") {
                            request.clear();
                            if stream.write_all(answer.as_bytes()).await.is_err() {
                                return;
                            }
                        }
                    }
                });
            }
        });
    }
    Ok(())
}
