//! The health port, asked over a real socket.

use super::*;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

#[derive(Default)]
struct Fake {
    ready: AtomicBool,
    starting: AtomicBool,
    ending: AtomicBool,
}

impl Inspect for Fake {
    fn ready(&self) -> Result<(), String> {
        if self.ready.load(Relaxed) { Ok(()) } else { Err("no table yet".into()) }
    }

    fn starting(&self) -> bool {
        self.starting.load(Relaxed)
    }

    fn shutting_down(&self) -> bool {
        self.ending.load(Relaxed)
    }

    fn metrics(&self) -> Vec<u8> {
        b"up 1\n".to_vec()
    }

    fn table_text(&self) -> String {
        "table\n".into()
    }
}

struct Server {
    port: u16,
    fake: Arc<Fake>,
    shutdown: CancellationToken,
    task: tokio::task::JoinHandle<()>,
}

async fn start(health_path: &str) -> Server {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let (fake, shutdown) = (Arc::new(Fake::default()), CancellationToken::new());
    let task = tokio::spawn(serve(listener, fake.clone(), health_path.into(), shutdown.clone()));
    Server { port, fake, shutdown, task }
}

impl Server {
    /// The answer as text, with the head's names in lower case and without `date`.
    async fn send(&self, request: &str) -> String {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).await.unwrap();
        let _ = stream.write_all(request.as_bytes()).await;
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer).await;
        let answer = String::from_utf8(answer).unwrap();
        answer.lines().filter(|line| !line.starts_with("date: ")).fold(String::new(), |all, line| all + line + "\n")
    }

    async fn ask(&self, method: &str, path: &str) -> String {
        self.send(&format!("{method} {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")).await
    }

    async fn check(&self, method: &str, path: &str, status: &str, body: &str) {
        let answer = self.ask(method, path).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}\n")), "{method} {path}: {answer}");
        assert!(answer.contains("\nx-content-type-options: nosniff\n"), "{answer}");
        assert_eq!(answer.split_once("\n\n").unwrap().1, body, "{method} {path}");
    }
}

#[tokio::test]
async fn health_is_exactly_what_probes_know() {
    let server = start("/healthz").await;
    let expected = "HTTP/1.1 200 OK\ncontent-type: text/plain; charset=utf-8\nx-content-type-options: nosniff\n\
                    connection: close\ncontent-length: 2\n\n";
    assert_eq!(server.ask("GET", "/healthz").await, format!("{expected}ok\n"));
    assert_eq!(server.ask("HEAD", "/healthz").await, expected);
}

#[tokio::test]
async fn pages() {
    let server = start("/healthz").await;
    server.check("GET", "/healthz?verbose", "200 OK", "ok\n").await;
    server.check("GET", "/livez", "200 OK", "ok\n").await;
    server.check("GET", "/metrics", "200 OK", "up 1\n").await;
    server.check("GET", "/debug/table", "200 OK", "table\n").await;
    server.check("GET", "/", "404 Not Found", "404 page not found\n").await;
    server.check("POST", "/healthz", "405 Method Not Allowed", "Method Not Allowed\n").await;
    server.check("GET", "/readyz", "503 Service Unavailable", "no table yet\n").await;
    server.fake.starting.store(true, Relaxed);
    server.check("GET", "/healthz", "500 Internal Server Error", "starting\n").await;
    server.fake.starting.store(false, Relaxed);
    server.fake.ready.store(true, Relaxed);
    server.check("GET", "/readyz", "200 OK", "ok\n").await;
    server.fake.ending.store(true, Relaxed);
    server.check("GET", "/healthz", "500 Internal Server Error", "shutting down\n").await;
    server.check("GET", "/livez", "200 OK", "ok\n").await;
    assert!(server.ask("GET", "/metrics").await.contains("content-type: text/plain; version=0.0.4; charset=utf-8\n"));
}

#[tokio::test]
async fn the_health_path_can_be_moved() {
    let server = start("/alive").await;
    server.check("GET", "/alive", "200 OK", "ok\n").await;
    server.check("GET", "/healthz", "404 Not Found", "404 page not found\n").await;
}

#[tokio::test]
async fn a_head_is_bounded() {
    let server = start("/healthz").await;
    let long = "a".repeat(20_000);
    let answer = server.send(&format!("GET /healthz HTTP/1.1\r\nhost: x\r\nx: {long}\r\n\r\n")).await;
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 431 "), "{answer}");
}

#[tokio::test]
async fn shutdown_ends_idle_connections_and_the_server() {
    let server = start("/healthz").await;
    let mut idle = TcpStream::connect(("127.0.0.1", server.port)).await.unwrap();
    idle.write_all(b"GET /livez HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    let mut first = [0; 12];
    idle.read_exact(&mut first).await.unwrap();
    assert_eq!(&first, b"HTTP/1.1 200");
    server.shutdown.cancel();
    let mut rest = Vec::new();
    idle.read_to_end(&mut rest).await.unwrap();
    server.task.await.unwrap();
    assert!(TcpStream::connect(("127.0.0.1", server.port)).await.is_err());
}
