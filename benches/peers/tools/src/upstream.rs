//! The upstream: HTTP/1.1 by hand, because its cost shares a core with the load. `/64`, `/1k` and `/100k` answer with that
//! many bytes, a POST is read to its end and answered with two, `/ws` echoes. Another port speaks gRPC.

use std::sync::Arc;

use anyhow::{Context as _, ensure};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::spawn_local;

use crate::{Options, grpc, websocket};

/// The longest head of a request.
const HEAD: usize = 64 * 1024;
/// Read at once; a body is read through the same buffer and dropped.
const BUFFER: usize = 64 * 1024;

/// Answers that are ready to be written, by path.
struct Answers(Vec<(&'static str, Vec<u8>)>);

impl Answers {
    fn new() -> Self {
        let answer = |size: usize| {
            let head =
                format!("HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\nContent-Length: {size}\r\n\r\n");
            [head.into_bytes(), vec![b'x'; size]].concat()
        };
        Self(vec![("/64", answer(64)), ("/1k", answer(1024)), ("/100k", answer(100 * 1024)), ("/", answer(2))])
    }

    fn of(&self, path: &str) -> &[u8] {
        let found = self.0.iter().find(|(known, _)| *known == path).or(self.0.last());
        found.map_or(&[], |(_, answer)| answer)
    }
}

pub async fn serve(options: Options) -> anyhow::Result<()> {
    let listener = bind(options.address("address")?)?;
    let grpc = bind(options.address("grpc")?)?;
    spawn_local(grpc::serve(grpc));
    spawn_local(accept(listener));
    println!("ready");
    let mut rest = [0; 64];
    while tokio::io::stdin().read(&mut rest).await? > 0 {}
    Ok(())
}

fn bind(address: std::net::SocketAddr) -> anyhow::Result<TcpListener> {
    let socket = tokio::net::TcpSocket::new_v4()?;
    socket.set_reuseaddr(true)?;
    socket.bind(address).with_context(|| format!("listening on {address}"))?;
    Ok(socket.listen(4096)?)
}

async fn accept(listener: TcpListener) {
    let answers = Arc::new(Answers::new());
    loop {
        let Ok((stream, _)) = listener.accept().await else { continue };
        let answers = answers.clone();
        spawn_local(async move {
            if let Err(error) = connection(stream, &answers).await {
                eprintln!("upstream: {error:#}");
            }
        });
    }
}

/// What a request's head says.
struct Head {
    length: usize,
    body: usize,
    path: String,
    post: bool,
    close: bool,
    chunked: bool,
    key: Option<String>,
}

fn head(bytes: &[u8]) -> anyhow::Result<Option<Head>> {
    let Some(at) = bytes.windows(4).position(|four| four == b"\r\n\r\n") else {
        ensure!(bytes.len() < HEAD, "a head of more than {HEAD} bytes");
        return Ok(None);
    };
    let text = std::str::from_utf8(&bytes[..at])?;
    let mut lines = text.split("\r\n");
    let mut line = lines.next().unwrap_or_default().split(' ');
    let (method, path) = (line.next().unwrap_or_default(), line.next().unwrap_or_default());
    let mut head = Head {
        length: at + 4,
        body: 0,
        path: path.to_owned(),
        post: method == "POST",
        close: false,
        chunked: false,
        key: None,
    };
    for line in lines {
        let Some((name, value)) = line.split_once(':') else { continue };
        let value = value.trim();
        if name.eq_ignore_ascii_case("content-length") {
            head.body = value.parse().context("content-length")?;
        } else if name.eq_ignore_ascii_case("connection") {
            head.close = value.eq_ignore_ascii_case("close");
        } else if name.eq_ignore_ascii_case("sec-websocket-key") {
            head.key = Some(value.to_owned());
        } else if name.eq_ignore_ascii_case("transfer-encoding") {
            head.chunked = true;
        }
    }
    Ok(Some(head))
}

async fn connection(mut stream: TcpStream, answers: &Answers) -> anyhow::Result<()> {
    stream.set_nodelay(true)?;
    let mut buffer = Vec::with_capacity(BUFFER);
    loop {
        let Some(head) = head(&buffer)? else {
            // Proxies end idle connections in any way they like.
            if !matches!(stream.read_buf(&mut buffer).await, Ok(1..)) {
                return Ok(());
            }
            continue;
        };
        if let Some(key) = head.key {
            buffer.drain(..head.length);
            let answer = format!(
                "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: {}\r\n\r\n",
                websocket::accept(&key)
            );
            stream.write_all(answer.as_bytes()).await?;
            return websocket::echo(stream, buffer).await;
        }
        // Pingora makes chunks of what came over HTTP/2 without a length, a GET's nothing included. No body of the
        // comparison looks like the end of one.
        while head.chunked && !buffer[head.length..].ends_with(b"0\r\n\r\n") {
            ensure!(stream.read_buf(&mut buffer).await? > 0, "ended within a chunk");
        }
        if head.chunked {
            buffer.truncate(head.length);
        }
        let mut missing = (head.length + head.body).saturating_sub(buffer.len());
        if missing == 0 {
            buffer.drain(..head.length + head.body);
        }
        if missing > 0 {
            buffer.clear();
        }
        while missing > 0 {
            let Ok(read @ 1..) = stream.read_buf(&mut buffer).await else {
                // A client that ends with its time cuts off what it had just begun.
                return Ok(());
            };
            ensure!(read <= missing, "more than one body");
            missing -= read;
            buffer.clear();
        }
        stream.write_all(answers.of(if head.post { "/" } else { &head.path })).await?;
        if head.close {
            return Ok(());
        }
    }
}
