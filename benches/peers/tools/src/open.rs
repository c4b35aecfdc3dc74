//! Open-loop load: requests leave at fixed moments whatever the answers do, and a latency counts from the moment at
//! which its request was due. So a proxy that stalls pays for everything that waits meanwhile (no coordinated omission).

use std::cell::RefCell;
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::ensure;
use rustls::client::ClientConfig;
use tokio::sync::Notify;
use tokio::task::spawn_local;

use crate::Options;
use crate::client::{self, Stream};
use crate::outcome::Outcome;

/// How long answers may take when the last request is due; what is missing then went unanswered.
const GRACE: Duration = Duration::from_secs(2);

/// Requests that are due and wait for a connection. Bounded by what the run can ask for in its time.
#[derive(Default)]
struct Due {
    queue: Mutex<VecDeque<Instant>>,
    ended: AtomicBool,
    news: Notify,
}

impl Due {
    fn queue(&self) -> MutexGuard<'_, VecDeque<Instant>> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct Target {
    to: SocketAddr,
    host: String,
    tls: Option<Arc<ClientConfig>>,
    request: Vec<u8>,
}

impl Target {
    async fn connect(&self) -> anyhow::Result<Box<dyn Stream>> {
        client::connect(self.to, &self.host, self.tls.as_ref()).await
    }
}

pub async fn run(options: Options) -> anyhow::Result<()> {
    let host = options.text("host")?.to_owned();
    let target = Rc::new(Target {
        to: options.address("to")?,
        tls: if options.flag("tls") { Some(client::config(false)?) } else { None },
        request: client::get(&host, options.text("path")?, "keep-alive"),
        host,
    });
    let due = Arc::new(Due::default());
    let all = Rc::new(RefCell::new(Outcome::default()));
    let mut clients = Vec::new();
    for _ in 0..options.number("connections")? {
        let stream = target.connect().await?;
        clients.push(spawn_local(one(target.clone(), due.clone(), all.clone(), Some(stream))));
    }
    let (rate, limit) = (options.number("rate")?, options.seconds()?);
    ensure!(rate > 0, "--rate is 0");
    let started = Instant::now();
    let pacer = due.clone();
    tokio::task::spawn_blocking(move || pace(&pacer, rate, limit)).await?;
    // Who waits now waits for nothing; who will wait sees the end first.
    due.news.notify_waiters();
    let answered = async {
        for client in &mut clients {
            client.await.ok();
        }
    };
    let late = tokio::time::timeout(GRACE, answered).await.is_err();
    // The process ends with what is still under way.
    let mut outcome = all.take();
    if late {
        let waiting = clients.iter().filter(|client| !client.is_finished()).count() + due.queue().len();
        outcome.unanswered = waiting as u64;
    }
    outcome.print(started);
    Ok(())
}

/// Puts `rate` requests a second into the queue, evenly. On a thread of its own, because the runtime's timers tick in
/// milliseconds.
fn pace(due: &Due, rate: usize, limit: Duration) {
    let step = Duration::from_secs_f64(1.0 / rate as f64);
    let started = Instant::now();
    let mut next = started;
    while next.duration_since(started) < limit {
        std::thread::sleep(next.saturating_duration_since(Instant::now()));
        let now = Instant::now();
        while next <= now {
            due.queue().push_back(next);
            due.news.notify_one();
            next += step;
        }
    }
    due.ended.store(true, Ordering::Release);
}

/// A client's connections, one after the other: a new one where the last failed or the answer said that it ends.
async fn one(target: Rc<Target>, due: Arc<Due>, all: Rc<RefCell<Outcome>>, mut stream: Option<Box<dyn Stream>>) {
    let mut buffer = Vec::with_capacity(4096);
    loop {
        let next = due.queue().pop_front();
        let Some(moment) = next else {
            if due.ended.load(Ordering::Acquire) {
                return;
            }
            due.news.notified().await;
            continue;
        };
        let done = async {
            let mut stream = match stream.take() {
                Some(stream) => stream,
                None => target.connect().await?,
            };
            let again = client::exchange(&mut *stream, &target.request, &mut buffer).await?;
            anyhow::Ok(again.then_some(stream))
        };
        match done.await {
            Ok(rest) => {
                all.borrow_mut().took(moment.elapsed());
                stream = rest;
            }
            Err(_) => all.borrow_mut().errors += 1,
        }
    }
}
