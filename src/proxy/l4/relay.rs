//! Bytes both ways between two connections: half-close, back-pressure, resets passed on, an end when nothing moves.
//!
//! A connection that waits has no buffer: bytes are read into the worker's scratch and written from it at once; only
//! what the other side does not take is kept, and nothing more is read before it is gone.

use std::cell::Cell;
use std::future::poll_fn;
use std::io;
use std::net::Shutdown;
use std::pin::pin;
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use socket2::SockRef;
use tokio::net::TcpStream;

use crate::proxy::timer::{Deadline, within};
use crate::proxy::worker::Worker;

/// How long the rest of a side is read and thrown away, so that closing does not reset what the other has been sent.
const LINGERING: Duration = Duration::from_secs(2);

/// How long a side gets to take what it was sent, before the reset that follows.
const FLUSHING: Duration = Duration::from_secs(30);

/// Bytes that were passed on.
#[derive(Debug, Default)]
pub struct Counts {
    /// To the upstream.
    pub up: Cell<u64>,
    /// To the client.
    pub down: Cell<u64>,
}

/// How one direction ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// The sender has finished, and the receiver was told.
    Finished,
    /// The sender is gone: what it had to say may lack its end.
    SenderLost,
    /// The receiver takes nothing more.
    ReceiverLost,
}

/// Carries bytes until both directions have ended, one side is lost, or nothing moves for `idle`. Closes both.
pub async fn relay(worker: &Rc<Worker>, client: TcpStream, upstream: TcpStream, idle: Duration, counts: &Counts) {
    let deadline = Deadline::after(&worker.timers, idle);
    let moved = |count: &Cell<u64>, bytes: usize| {
        count.set(count.get() + bytes as u64);
        deadline.reset(idle);
    };
    let ends = {
        let mut up = pin!(pump(worker, &client, &upstream, |bytes| moved(&counts.up, bytes)));
        let mut down = pin!(pump(worker, &upstream, &client, |bytes| moved(&counts.down, bytes)));
        let (mut up_end, mut down_end) = (None, None);
        poll_fn(|cx| {
            if up_end.is_none()
                && let Poll::Ready(end) = up.as_mut().poll(cx)
            {
                up_end = Some(end);
            }
            if down_end.is_none()
                && let Poll::Ready(end) = down.as_mut().poll(cx)
            {
                down_end = Some(end);
            }
            let lost = [up_end, down_end].contains(&Some(End::SenderLost));
            if lost || (up_end.is_some() && down_end.is_some()) || deadline.poll_expired(cx).is_ready() {
                return Poll::Ready((up_end, down_end));
            }
            Poll::Pending
        })
        .await
    };
    match ends {
        // A reset must not look like an end.
        (Some(End::SenderLost), _) => reset(worker, upstream).await,
        (_, Some(End::SenderLost)) => reset(worker, client).await,
        (Some(End::ReceiverLost), Some(End::Finished)) => linger(worker, &client).await,
        (Some(End::Finished), Some(End::ReceiverLost)) => linger(worker, &upstream).await,
        _ => {}
    }
}

/// One direction.
async fn pump(worker: &Worker, from: &TcpStream, to: &TcpStream, moved: impl Fn(usize)) -> End {
    loop {
        if from.readable().await.is_err() {
            return End::SenderLost;
        }
        let rest = {
            let mut scratch = worker.l4.scratch.borrow_mut();
            let read = match from.try_read(&mut scratch) {
                Ok(0) => {
                    let _ = SockRef::from(to).shutdown(Shutdown::Write);
                    return End::Finished;
                }
                Ok(read) => read,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => continue,
                Err(_) => return End::SenderLost,
            };
            let bytes = scratch.get(..read).unwrap_or_default();
            match to.try_write(bytes) {
                Ok(written) => {
                    moved(written);
                    bytes.get(written..).unwrap_or_default().to_vec()
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => bytes.to_vec(),
                Err(_) => return End::ReceiverLost,
            }
        };
        if write_all(to, &rest, &moved).await.is_err() {
            return End::ReceiverLost;
        }
        // Two sides that are always ready must not keep the others of this worker waiting.
        tokio::task::coop::consume_budget().await;
    }
}

/// Writes all of `bytes`, as fast as they are taken.
pub async fn write_all(to: &TcpStream, mut bytes: &[u8], moved: impl Fn(usize)) -> io::Result<()> {
    while !bytes.is_empty() {
        to.writable().await?;
        match to.try_write(bytes) {
            Ok(written) => {
                moved(written);
                bytes = bytes.get(written..).unwrap_or_default();
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Tells a side of an end that was none, after what it was sent before: a reset takes back what has not left yet.
async fn reset(worker: &Rc<Worker>, stream: TcpStream) {
    let flushing = async {
        tell_writable_when_empty(&stream)?;
        // The runtime has to ask anew.
        let stream = TcpStream::from_std(stream.into_std()?)?;
        let flushed = within(&worker.timers, FLUSHING, stream.writable()).await;
        SockRef::from(&stream).set_linger(Some(Duration::ZERO))?;
        flushed.unwrap_or(Ok(()))
    };
    // Whoever is gone needs to be told nothing.
    let _: io::Result<()> = flushing.await;
}

/// tcp(7), `TCP_NOTSENT_LOWAT`: a socket is writable when less than this waits to be sent.
#[cfg(target_os = "linux")]
fn tell_writable_when_empty(stream: &TcpStream) -> io::Result<()> {
    SockRef::from(stream).set_tcp_notsent_lowat(1)
}

/// Elsewhere what waits is lost.
#[cfg(not(target_os = "linux"))]
fn tell_writable_when_empty(_: &TcpStream) -> io::Result<()> {
    Ok(())
}

/// Throws away what still comes from a side that has been sent everything: closing with unread bytes would reset it.
async fn linger(worker: &Rc<Worker>, stream: &TcpStream) {
    let draining = async {
        while stream.readable().await.is_ok() {
            match stream.try_read(&mut worker.l4.scratch.borrow_mut()) {
                Ok(read) if read > 0 => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                _ => return,
            }
            tokio::task::coop::consume_budget().await;
        }
    };
    within(&worker.timers, LINGERING, draining).await;
}
