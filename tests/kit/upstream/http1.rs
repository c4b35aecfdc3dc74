//! The HTTP/1 side of the backend, by hand.

use std::fmt::Write;
use std::io;
use std::time::Duration;

use super::super::websocket;
use super::super::wire::{Framing, Io, Wire, framing};
use super::super::{Headers, header};
use super::behaviour::event;
use super::{Behaviour, Connection, Seen};

/// The size of the pieces that a chunked answer is sent in.
const CHUNK: usize = 700;

/// How long a connection with an unread body is drained after its answer.
const LINGER: Duration = Duration::from_millis(500);

pub(super) async fn serve(io: impl Io + 'static, connection: Connection) -> io::Result<()> {
    let mut wire = Wire::new(io);
    while let Some(line) = wire.line().await? {
        let mut seen = connection.next();
        (seen.method, seen.uri, seen.version) = request_line(&line);
        seen.headers = wire.fields().await?;
        let behaviour = connection.shared.behaviour(&seen.headers);
        let body = if behaviour.unread { Vec::new() } else { read_body(&mut wire, &mut seen).await? };
        connection.shared.record(&seen);
        if !seen.body_complete && !behaviour.unread {
            return Ok(());
        }
        if has_token(&seen.headers, "upgrade", "websocket") && has_token(&seen.headers, "connection", "upgrade") {
            wire.write(switching(&seen).as_bytes()).await?;
            return websocket::echo(&mut wire).await;
        }
        if !answer(&mut wire, &connection, &seen, &behaviour, &body).await? {
            let _ = wire.shutdown().await;
            if behaviour.unread {
                // Closing over unread bytes is a reset, which may overtake the answer.
                let _ = tokio::time::timeout(LINGER, wire.rest()).await;
            }
            return Ok(());
        }
    }
    Ok(())
}

/// Splits at the first and the last space, so that a target with spaces shows as it came.
fn request_line(line: &str) -> (String, String, String) {
    let (method, rest) = line.split_once(' ').unwrap_or((line, ""));
    let (uri, version) = rest.rsplit_once(' ').unwrap_or((rest, ""));
    (method.to_owned(), uri.to_owned(), version.to_owned())
}

async fn read_body(wire: &mut Wire, seen: &mut Seen) -> io::Result<Vec<u8>> {
    if has_token(&seen.headers, "expect", "100-continue") {
        wire.write(b"HTTP/1.1 100 Continue\r\n\r\n").await?;
    }
    let body = wire.body(framing(&seen.headers, Framing::None)).await;
    seen.set_body(&body.bytes, body.complete);
    seen.trailers = body.trailers;
    Ok(body.bytes)
}

/// Answers one request; false when the connection is to end.
async fn answer(
    wire: &mut Wire,
    connection: &Connection,
    seen: &Seen,
    behaviour: &Behaviour,
    request_body: &[u8],
) -> io::Result<bool> {
    tokio::time::sleep(behaviour.delay).await;
    if behaviour.reset {
        connection.linger_zero();
        return Err(io::ErrorKind::ConnectionReset.into());
    }
    if behaviour.close {
        return Ok(false);
    }
    if let Some(raw) = &behaviour.raw {
        wire.write(raw).await?;
        return Ok(false);
    }
    if let Some(status) = behaviour.early {
        wire.write(format!("HTTP/1.1 {status} Early\r\nLink: </style.css>; rel=preload\r\n\r\n").as_bytes()).await?;
    }
    if let Some(events) = behaviour.sse {
        return send_events(wire, seen, behaviour, events).await;
    }
    let echo = serde_json::to_vec(seen).map_err(io::Error::other)?;
    let (body, media_type) = behaviour.body(echo, request_body);
    let chunked = behaviour.chunked || !behaviour.trailers.is_empty();
    let closes = behaviour.close_after
        || behaviour.unread
        || behaviour.no_length
        || has_token(&seen.headers, "connection", "close")
        || seen.version == "HTTP/1.0" && !has_token(&seen.headers, "connection", "keep-alive");
    let mut head = head(behaviour, &seen.backend, media_type);
    let bodiless = matches!(behaviour.status, 204 | 304);
    if chunked {
        head.push_str("Transfer-Encoding: chunked\r\n");
    } else if !behaviour.no_length && !bodiless && header(&behaviour.headers, "content-length").is_none() {
        let _ = write!(head, "Content-Length: {}\r\n", body.len());
    }
    if closes {
        head.push_str("Connection: close\r\n");
    }
    head.push_str("\r\n");
    wire.write(head.as_bytes()).await?;
    tokio::time::sleep(behaviour.body_delay).await;
    if bodiless || seen.method == "HEAD" {
        return Ok(!closes);
    }
    let whole = behaviour.cut.is_none_or(|cut| cut >= body.len());
    let body = &body[..behaviour.cut.unwrap_or(body.len()).min(body.len())];
    if chunked {
        send_chunks(wire, body, whole.then_some(&behaviour.trailers)).await?;
    } else {
        wire.write(body).await?;
    }
    Ok(whole && !closes && !behaviour.drop_after)
}

/// The status line and the fields that do not depend on the framing.
fn head(behaviour: &Behaviour, backend: &str, media_type: &str) -> String {
    let reason = http::StatusCode::from_u16(behaviour.status).ok().and_then(|s| s.canonical_reason()).unwrap_or("");
    let mut head = format!("HTTP/1.1 {} {reason}\r\nX-Backend: {backend}\r\n", behaviour.status);
    if header(&behaviour.headers, "content-type").is_none() {
        let _ = write!(head, "Content-Type: {media_type}\r\n");
    }
    for (name, value) in &behaviour.headers {
        let _ = write!(head, "{name}: {value}\r\n");
    }
    head
}

/// Sends a chunked body; without trailers (`None`) it stays open-ended, as of a backend that died.
async fn send_chunks(wire: &mut Wire, body: &[u8], trailers: Option<&Headers>) -> io::Result<()> {
    for piece in body.chunks(CHUNK) {
        wire.write(format!("{:x}\r\n", piece.len()).as_bytes()).await?;
        wire.write(piece).await?;
        wire.write(b"\r\n").await?;
    }
    let Some(trailers) = trailers else { return Ok(()) };
    let fields: String = trailers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    wire.write(format!("0\r\n{fields}\r\n").as_bytes()).await
}

async fn send_events(wire: &mut Wire, seen: &Seen, behaviour: &Behaviour, events: usize) -> io::Result<bool> {
    let head = head(behaviour, &seen.backend, "text/event-stream");
    wire.write(format!("{head}Cache-Control: no-cache\r\nTransfer-Encoding: chunked\r\n\r\n").as_bytes()).await?;
    for n in 1..=events {
        let event = event(n);
        wire.write(format!("{:x}\r\n{event}\r\n", event.len()).as_bytes()).await?;
        if n < events {
            tokio::time::sleep(behaviour.interval).await;
        }
    }
    wire.write(b"0\r\n\r\n").await?;
    Ok(true)
}

fn switching(seen: &Seen) -> String {
    let accept = websocket::accept(seen.header("sec-websocket-key").unwrap_or_default());
    let backend = &seen.backend;
    format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nX-Backend: {backend}\r\n\
         Sec-WebSocket-Accept: {accept}\r\n\r\n"
    )
}

fn has_token(headers: &Headers, name: &str, token: &str) -> bool {
    let values = super::super::header_all(headers, name);
    values.iter().flat_map(|v| v.split(',')).any(|t| t.trim().eq_ignore_ascii_case(token))
}
