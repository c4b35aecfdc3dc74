//! WebSocket (RFC 6455): frames, the upstream's echo, and a client that sends its next message when the last came back.

use std::rc::Rc;
use std::time::Instant;

use anyhow::{Context as _, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha1::{Digest as _, Sha1};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::spawn_local;

use crate::Options;
use crate::client;
use crate::outcome::Outcome;

/// The longest message: its length fits into 16 bits.
const LONGEST: usize = 65_535;

/// `Sec-WebSocket-Accept` for a key (RFC 6455 §4.2.2).
pub fn accept(key: &str) -> String {
    STANDARD.encode(Sha1::digest(format!("{key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11")))
}

/// A whole frame at the start of these bytes: its length, and where its payload starts. `None`: more bytes are needed.
fn frame(bytes: &[u8]) -> Option<(usize, usize)> {
    let second = *bytes.get(1)?;
    let (length, head) = match second & 0x7f {
        126 => (usize::from(u16::from_be_bytes([*bytes.get(2)?, *bytes.get(3)?])), 4),
        short => (usize::from(short), 2),
    };
    let start = head + if second & 0x80 == 0 { 0 } else { 4 };
    (bytes.len() >= start + length).then_some((start + length, start))
}

fn head(size: usize, masked: bool) -> Vec<u8> {
    let mask = if masked { 0x80 } else { 0 };
    match u8::try_from(size) {
        Ok(short) if short < 126 => vec![0x82, mask | short],
        _ => [&[0x82, mask | 126][..], &u16::try_from(size).unwrap_or(u16::MAX).to_be_bytes()].concat(),
    }
}

/// Sends back what comes, unmasked, until the client goes away.
pub async fn echo(mut stream: TcpStream, mut buffer: Vec<u8>) -> anyhow::Result<()> {
    let mut answer = Vec::with_capacity(LONGEST);
    loop {
        answer.clear();
        let mut done = 0;
        while let Some((length, start)) = frame(&buffer[done..]) {
            let bytes = &buffer[done..done + length];
            if bytes[0] & 0x0f == 8 {
                return Ok(());
            }
            let mask: [u8; 4] = bytes[start - 4..start].try_into()?;
            answer.extend(head(length - start, false));
            answer.extend(bytes[start..].iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask));
            done += length;
        }
        buffer.drain(..done);
        if !answer.is_empty() {
            stream.write_all(&answer).await?;
        }
        ensure!(buffer.len() <= 2 * LONGEST, "a frame that is too long");
        if stream.read_buf(&mut buffer).await? == 0 {
            return Ok(());
        }
    }
}

pub async fn run(options: Options) -> anyhow::Result<()> {
    let options = Rc::new(options);
    let started = Instant::now();
    let mut clients = Vec::new();
    for _ in 0..options.number("connections")? {
        clients.push(spawn_local(one(options.clone(), started)));
    }
    let mut all = Outcome::default();
    for client in clients {
        all.absorb(client.await??);
    }
    all.print(started);
    Ok(())
}

async fn one(options: Rc<Options>, started: Instant) -> anyhow::Result<Outcome> {
    let (host, path, limit) = (options.text("host")?, options.text("path")?, options.seconds()?);
    let size = options.number("size")?.min(LONGEST);
    let mut stream = client::tcp(options.address("to")?).await?;
    let key = "dGhlIHNhbXBsZSBub25jZQ==";
    let request = format!(
        "GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).await?;
    let mut buffer = Vec::with_capacity(4096);
    let end = client::head(&mut stream, &mut buffer).await.context("upgrade")?;
    let answer = String::from_utf8_lossy(&buffer[..end]).into_owned();
    ensure!(answer.starts_with("HTTP/1.1 101") && answer.contains(&accept(key)), "not upgraded: {answer}");
    buffer.drain(..end);
    // A mask of zeros is a mask.
    let message = [head(size, true), vec![0; 4], vec![b'x'; size]].concat();
    let mut outcome = Outcome::default();
    while started.elapsed() < limit {
        let begun = Instant::now();
        stream.write_all(&message).await?;
        let length = loop {
            if let Some((length, _)) = frame(&buffer) {
                break length;
            }
            ensure!(stream.read_buf(&mut buffer).await? > 0, "ended within a frame");
        };
        buffer.drain(..length);
        outcome.took(begun.elapsed());
    }
    Ok(outcome)
}
