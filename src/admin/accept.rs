//! Accepting connections of people and probes: a bounded number, each in a task of its own, until the end.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

/// Connections at once; the next one waits in the listener's backlog.
const MAX_CONNECTIONS: usize = 256;
/// For the request that runs when a connection is to end.
const END_WAIT: Duration = Duration::from_secs(10);
/// Before accepting again after an error, which is most likely a lack of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Accepts until `shutdown`, then waits a while for the connections, which have to know of it themselves.
pub async fn accept<F, C>(listener: TcpListener, shutdown: CancellationToken, connection: C)
where
    C: Fn(TcpStream) -> F,
    F: Future<Output = ()> + Send + 'static,
{
    let free = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let accept = async {
        loop {
            // The semaphore is never closed.
            let Ok(permit) = Arc::clone(&free).acquire_owned().await else { return };
            match listener.accept().await {
                Ok((stream, _)) => {
                    let connection = connection(stream);
                    tokio::spawn(async move {
                        connection.await;
                        drop(permit);
                    });
                }
                Err(error) => {
                    tracing::warn!(%error, "a connection could not be accepted");
                    sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    };
    let _ = shutdown.run_until_cancelled(accept).await;
    drop(listener);
    let all = u32::try_from(MAX_CONNECTIONS).unwrap_or(u32::MAX);
    let _ = timeout(END_WAIT, free.acquire_many(all)).await;
}

/// Lets a connection run until it ends. When `until` is over, or at `shutdown`, `ask` asks it to end after the request it
/// is at, which has a while for that.
pub async fn run<C: Future>(
    mut connection: Pin<&mut C>,
    shutdown: &CancellationToken,
    until: impl Future<Output = ()>,
    ask: impl FnOnce(Pin<&mut C>),
) {
    // How such a connection ends is no news: errors are the client's.
    tokio::select! {
        _ = connection.as_mut() => return,
        () = shutdown.cancelled() => {}
        () = until => {}
    }
    ask(connection.as_mut());
    let _ = timeout(END_WAIT, connection).await;
}
