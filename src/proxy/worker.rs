//! One core's share of the proxy: a thread, a runtime, listeners, pools, counters, a log buffer.

use std::cell::{Cell, RefCell};
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, SystemTime};

use arc_swap::ArcSwap;
use arc_swap::cache::Cache;
use tokio::net::TcpListener;
use tokio::task::{LocalSet, spawn_local};

use super::accept::accept;
use super::access_log::WorkerLog;
use super::handle::Handle;
use super::l4;
use super::listener::Sockets;
use super::live::Live;
use super::login::Remembered;
use super::pieces::Ahead;
use super::question::Questions;
use super::timer::{TICK, Timers};
use super::upstream::load::Loads;
use super::upstream::pool::Pools;
use crate::base::clock::ClockText;
use crate::table::{Index, RoutingTable};
use crate::telemetry::{ConnectionCounters, WorkerMetrics};

/// Spawns on the worker's own thread: nothing of a connection ever moves to another.
#[derive(Clone, Copy, Debug)]
pub struct LocalExecutor;

impl<F: Future<Output = ()> + 'static> hyper::rt::Executor<F> for LocalExecutor {
    fn execute(&self, future: F) {
        spawn_local(future);
    }
}

/// A worker's view of the table in force, with what it counts beside it.
#[derive(Debug)]
pub struct LocalLive {
    live: Arc<Live>,
    /// Round-robin positions of the table's upstreams; unset ones start at random.
    cursors: Box<[Cell<u32>]>,
}

const UNSET: u32 = u32::MAX;

impl LocalLive {
    fn new(live: Arc<Live>) -> Self {
        let cursors = live.upstreams.iter().map(|_| Cell::new(UNSET)).collect();
        Self { live, cursors }
    }

    pub fn table(&self) -> &RoutingTable {
        &self.live.table
    }

    pub fn live(&self) -> &Live {
        &self.live
    }

    /// The next position of an upstream, the first one from `random`.
    pub fn next(&self, upstream: Index, random: impl FnOnce() -> u32) -> u32 {
        let Some(cursor) = self.cursors.get(upstream as usize) else { return 0 };
        let position = if cursor.get() == UNSET { random() >> 1 } else { cursor.get() };
        cursor.set((position + 1) & (UNSET >> 1));
        position
    }
}

#[derive(Debug)]
pub struct Worker {
    pub handle: Arc<Handle>,
    pub timers: Rc<Timers>,
    pub pools: Pools,
    pub loads: Loads,
    pub counters: Arc<ConnectionCounters>,
    pub metrics: WorkerMetrics,
    pub log: WorkerLog,
    pub clock: RefCell<ClockText>,
    pub(super) l4: l4::Local,
    pub(super) logins: Remembered,
    pub(super) questions: Questions,
    pub(super) ahead: Ahead,
    cache: RefCell<Cache<Arc<ArcSwap<Live>>, Arc<Live>>>,
    local: RefCell<Rc<LocalLive>>,
    draining: Cell<bool>,
    connections: Cell<usize>,
    random: Cell<u64>,
}

impl Worker {
    fn new(handle: Arc<Handle>) -> Rc<Self> {
        let timers = Rc::new(Timers::default());
        let mut cache = Cache::new(Arc::clone(&handle.live));
        let live = Arc::clone(cache.load());
        let seed = getrandom::u64().unwrap_or(0x9e37_79b9_7f4a_7c15);
        Rc::new(Self {
            pools: Pools::new(Rc::clone(&timers)),
            loads: Loads::default(),
            counters: handle.telemetry.process.worker(),
            metrics: handle.telemetry.requests.worker(),
            log: handle.access_log.worker(),
            clock: RefCell::new(ClockText::now()),
            l4: l4::Local::default(),
            logins: Remembered::default(),
            questions: Questions::default(),
            ahead: Ahead::default(),
            cache: RefCell::new(cache),
            local: RefCell::new(Rc::new(LocalLive::new(live))),
            draining: Cell::new(false),
            connections: Cell::new(0),
            random: Cell::new(seed | 1),
            timers,
            handle,
        })
    }

    /// The table in force, loaded once by each request. Counting its users touches nothing that another worker does.
    pub fn live(&self) -> Rc<LocalLive> {
        let mut cache = self.cache.borrow_mut();
        let live = cache.load();
        let mut local = self.local.borrow_mut();
        if !Arc::ptr_eq(&local.live, live) {
            *local = Rc::new(LocalLive::new(Arc::clone(live)));
        }
        Rc::clone(&local)
    }

    /// xorshift64*: for round-robin starts and request ids, which need to differ and not to be secret.
    pub fn random(&self) -> u64 {
        let mut x = self.random.get();
        x ^= x >> 12;
        x ^= x << 25;
        x ^= x >> 27;
        self.random.set(x);
        x.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    pub fn is_draining(&self) -> bool {
        self.draining.get()
    }

    pub fn track(self: &Rc<Self>) -> Tracked {
        self.connections.set(self.connections.get() + 1);
        Tracked(Rc::clone(self))
    }

    /// Serves a connection in a task of its own.
    pub fn serve(self: &Rc<Self>, serving: impl Future<Output = ()> + 'static) {
        // Counted from now, so that a drain waits for a connection that has not been polled yet.
        let tracked = self.track();
        spawn_local(async move {
            serving.await;
            drop(tracked);
        });
    }
}

/// Before accepting again after an error, which is a lack of descriptors or memory: what is open goes on, new ones wait
/// until something was closed.
pub const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Something that the end of a drain waits for: a connection or a tunnel.
#[derive(Debug)]
pub struct Tracked(Rc<Worker>);

impl Drop for Tracked {
    fn drop(&mut self) {
        self.0.connections.set(self.0.connections.get().saturating_sub(1));
    }
}

/// Starts a worker's thread. It ends when it is told to drain and its connections have ended, or the drain's time is up.
pub(super) fn start(handle: Arc<Handle>, sockets: Sockets, number: usize) -> io::Result<thread::JoinHandle<()>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    thread::Builder::new().name(format!("worker-{number}")).spawn(move || {
        let set = LocalSet::new();
        set.block_on(&runtime, run(handle, sockets));
    })
}

async fn run(handle: Arc<Handle>, sockets: Sockets) {
    let mut draining = handle.draining.subscribe();
    let worker = Worker::new(handle);
    let mut accepting = Vec::new();
    for (list, tls) in [(sockets.plain, false), (sockets.tls, true)] {
        for socket in list {
            match TcpListener::from_std(socket) {
                Ok(listener) => accepting.push(spawn_local(accept(Rc::clone(&worker), listener, tls))),
                Err(error) => tracing::error!(%error, "a listener cannot be used"),
            }
        }
    }
    let streams = spawn_local(l4::follow(Rc::clone(&worker)));
    let ticking = spawn_local(tick(Rc::clone(&worker)));
    // The sender lives as long as the handle, which the worker holds.
    let _ = draining.wait_for(|draining| *draining).await;
    // What closes a port looks at it.
    worker.draining.set(true);
    accepting.iter().chain([&streams]).for_each(tokio::task::JoinHandle::abort);
    worker.timers.wake_all();
    let limit = worker.live().table().global.shutdown_timeout;
    let until = tokio::time::Instant::now() + limit;
    while worker.connections.get() > 0 && tokio::time::Instant::now() < until {
        worker.timers.wake_all();
        tokio::time::sleep(TICK).await;
    }
    ticking.abort();
    worker.l4.close();
    worker.log.flush();
}

/// Ticks between looks at the pools.
const POOL_TICKS: u64 = 10;

/// Time passes for a worker here: deadlines, the clock's text, the log.
async fn tick(worker: Rc<Worker>) {
    let mut interval = tokio::time::interval(TICK);
    interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
    for number in 0_u64.. {
        interval.tick().await;
        worker.timers.tick();
        worker.clock.borrow_mut().set(SystemTime::now());
        if number % POOL_TICKS == 0 {
            worker.pools.expire();
            worker.loads.expire(worker.timers.now());
        }
        worker.log.flush();
    }
}
