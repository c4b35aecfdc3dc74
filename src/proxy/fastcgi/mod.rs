//! A FastCGI responder as an upstream: each request has a connection of its own, bodies stream both ways.
//!
//! The rest of the proxy speaks HTTP/1.1 with it: an in-memory pipe stands between, at whose other end requests become
//! records. So retries, timeouts and bounds are those of every upstream.

mod answer;
mod params;
mod record;

use std::cell::Cell;
use std::rc::Rc;

use bytes::{Bytes, BytesMut};
use futures_util::stream::{self, LocalBoxStream, StreamExt as _};
use http::{Request, Response};
use http_body::Frame;
use http_body_util::{BodyExt as _, StreamBody};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncWriteExt as _, DuplexStream};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::task::spawn_local;

use self::record::Reader;
pub use params::Params;

/// Bytes on their way through the pipe, each way.
const PIPE: usize = 64 * 1024;

/// Why there is no answer, or not all of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    #[error("the connection broke off")]
    Broken,
    #[error("what came is no FastCGI record")]
    Record,
    #[error("the responder did not take the request")]
    Refused,
    #[error("the answer has no proper head")]
    Head,
    #[error("the connection had its request")]
    Used,
}

type Output = StreamBody<LocalBoxStream<'static, Result<Frame<Bytes>, Fault>>>;

/// The HTTP/1.1 end of a connection to a responder, for one request.
pub fn http(connection: TcpStream, params: Rc<Params>) -> DuplexStream {
    let (ours, theirs) = tokio::io::duplex(PIPE);
    spawn_local(async move {
        let connection = Cell::new(Some(connection));
        let service = service_fn(|request| {
            let (connection, params) = (connection.take(), Rc::clone(&params));
            async move { respond(connection.ok_or(Fault::Used)?, &params, request).await }
        });
        let mut builder = http1::Builder::new();
        builder.keep_alive(false).auto_date_header(false).max_headers(256);
        // A fault closes the pipe, which is how the other end learns of it.
        let _ = builder.serve_connection(TokioIo::new(theirs), service).await;
    });
    ours
}

async fn respond(
    connection: TcpStream,
    params: &Params,
    request: Request<Incoming>,
) -> Result<Response<Output>, Fault> {
    let (read, write) = connection.into_split();
    let (head, body) = request.into_parts();
    let all = params.with_headers(&head.headers);
    let begun = record::begin(all.iter().map(|(name, value)| (&**name, &**value)));
    spawn_local(send(write, begun, body));
    let mut reader = Reader::new(read);
    let (response, rest) = read_head(&mut reader).await?;
    let first = stream::iter(Some(rest).filter(|rest| !rest.is_empty()).map(|rest| Ok(Frame::data(rest))));
    let others = stream::unfold(Some(reader), |reader| async {
        let mut reader = reader?;
        match reader.stdout().await {
            Ok(Some(piece)) => Some((Ok(Frame::data(piece)), Some(reader))),
            Ok(None) => None,
            Err(fault) => Some((Err(fault), None)),
        }
    });
    Ok(response.map(|()| StreamBody::new(first.chain(others).boxed_local())))
}

async fn send(mut write: OwnedWriteHalf, begun: Bytes, mut body: Incoming) {
    let sending = async {
        write.write_all(&begun).await.ok()?;
        while let Some(frame) = body.frame().await {
            if let Ok(data) = frame.ok()?.into_data() {
                write.write_all(&record::stdin(&data)).await.ok()?;
            }
        }
        write.write_all(&record::stdin(b"")).await.ok()
    };
    if sending.await.is_some() {
        // A half-closed connection is an abort to some responders.
        write.forget();
    }
}

/// The answer's head, and what came of its body with it.
async fn read_head(reader: &mut Reader<OwnedReadHalf>) -> Result<(Response<()>, Bytes), Fault> {
    let mut bytes = BytesMut::new();
    while let Some(piece) = reader.stdout().await? {
        bytes.extend_from_slice(&piece);
        if let Some((head, body)) = answer::end_of_head(&bytes) {
            let rest = bytes.split_off(body);
            return Ok((answer::parse(bytes.get(..head).unwrap_or_default())?, rest.freeze()));
        }
        if bytes.len() > answer::MAX_HEAD {
            break;
        }
    }
    Err(Fault::Head)
}
