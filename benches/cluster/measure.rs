//! The measurements: from a change's write to the first request that is served by it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{JoinHandle, sleep};
use std::time::{Duration, Instant};

use tokio::runtime::Runtime;

use super::api::{Api, Write, Written};
use super::client::{Answer, Client};
use super::objects::{BACKENDS, NAMESPACES, host, move_endpoints, move_ingress, new_host, touch_ingress};
use super::process::HTTP;

/// For one change to be served; it does not come at all after that.
const PATIENCE: Duration = Duration::from_secs(20);
/// Connections that carry the load, and requests a second of each.
const CONNECTIONS: usize = 4;
const RATE: usize = 75;

/// What the samples are about: Ingresses, Services, slices of these numbers are changed by nobody else.
pub const PROBE: usize = 0;
pub const PROBE_INGRESS: &str = "probe";

/// What else goes on meanwhile; the numbers are a second's.
#[derive(Clone, Copy, Debug, Default)]
pub struct Meanwhile {
    pub requests: bool,
    pub endpoint_changes: usize,
    pub ingress_changes: usize,
}

/// Milliseconds from three moments of a change until a request was served by it, sample by sample.
#[derive(Clone, Debug, Default)]
pub struct Delays {
    pub sent: Vec<f64>,
    pub answered: Vec<f64>,
    pub seen: Vec<f64>,
    /// Answers of the load that were not 200.
    pub failed: usize,
}

impl Delays {
    fn add(&mut self, written: Written, served: Instant) {
        // A request may be served before the API server has answered the write.
        let since = |from: Instant| match served.checked_duration_since(from) {
            Some(after) => after.as_secs_f64() * 1e3,
            None => -from.duration_since(served).as_secs_f64() * 1e3,
        };
        self.sent.push(since(written.sent));
        self.answered.push(since(written.answered));
        self.seen.push(since(written.seen));
    }
}

/// EndpointSlice changes: the probe's Service moves from one backend to the other and back.
pub fn endpoints(runtime: &Runtime, api: &Api, size: usize, samples: usize, meanwhile: Meanwhile) -> Result {
    run(runtime, api, size, samples, meanwhile, Duration::from_millis(30), |turn| {
        let [one, two, _] = BACKENDS;
        let to = if turn % 2 == 0 { two } else { one };
        let is_served = move |answer: &Answer| answer.body == to;
        (move_endpoints(PROBE, &[to]), host(PROBE), Box::new(is_served))
    })
}

/// Ingress changes: the probe's Ingress moves to a host that was not there before.
pub fn ingresses(
    runtime: &Runtime,
    api: &Api,
    size: usize,
    samples: usize,
    meanwhile: Meanwhile,
    first: usize,
) -> Result {
    // Longer than routes wait after they were compiled: each change is a lone one, but for the stream's.
    run(runtime, api, size, samples, meanwhile, Duration::from_millis(250), |turn| {
        let host = new_host(first + turn);
        let is_served = |answer: &Answer| answer.status == 200;
        (move_ingress(PROBE_INGRESS, &host, PROBE), host, Box::new(is_served))
    })
}

type Result = anyhow::Result<Delays>;
type Sample = (Write, String, Box<dyn Fn(&Answer) -> bool>);

fn run(
    runtime: &Runtime,
    api: &Api,
    size: usize,
    samples: usize,
    meanwhile: Meanwhile,
    between: Duration,
    sample: impl Fn(usize) -> Sample,
) -> Result {
    let background = Background::start(runtime, api, size, meanwhile);
    let mut client = Client::connect(HTTP.parse()?)?;
    let mut delays = Delays::default();
    for turn in 0..samples {
        let (write, host, is_served) = sample(turn);
        let api = api.clone();
        let begin = Instant::now();
        let written = runtime.spawn(async move { api.write_watched(&write).await });
        while !is_served(&client.get(&host, "/")?) {
            anyhow::ensure!(begin.elapsed() < PATIENCE, "{host}: the change is not served after {PATIENCE:?}");
        }
        let served = Instant::now();
        delays.add(runtime.block_on(written)??, served);
        // Not in step with the streams.
        sleep(between + Duration::from_millis((turn * 37 % 50) as u64));
    }
    delays.failed = background.stop()?;
    Ok(delays)
}

/// Requests and unrelated changes until [`Self::stop`].
struct Background {
    ends: Arc<AtomicBool>,
    failed: Arc<AtomicUsize>,
    threads: Vec<JoinHandle<anyhow::Result<()>>>,
}

impl Background {
    fn start(runtime: &Runtime, api: &Api, size: usize, meanwhile: Meanwhile) -> Self {
        let (ends, failed) = (Arc::<AtomicBool>::default(), Arc::<AtomicUsize>::default());
        let mut threads = Vec::new();
        let Meanwhile { requests, endpoint_changes, ingress_changes } = meanwhile;
        for connection in 0..if requests { CONNECTIONS } else { 0 } {
            let failed = Arc::clone(&failed);
            let mut client = None;
            threads.push(every(&ends, RATE, move |turn| {
                let client = match &mut client {
                    Some(client) => client,
                    None => client.insert(Client::connect(HTTP.parse::<SocketAddr>()?)?),
                };
                let status = client.get(&host(1 + (connection + turn * 7919) % (size - 1)), "/")?.status;
                failed.fetch_add(usize::from(status != 200), Ordering::Relaxed);
                Ok(())
            }));
        }
        let mut stream = |rate: usize, change: fn(usize, usize) -> Write| {
            let (api, runtime) = (api.clone(), runtime.handle().clone());
            threads.push(every(&ends, rate, move |turn| {
                let number = 1 + turn * 7919 % (size - 1);
                // The watch that samples are timed with is not to be told of these.
                let number = if number % NAMESPACES == PROBE { number - 1 } else { number };
                runtime.block_on(api.write(&change(number.max(1), turn)))
            }));
        };
        if endpoint_changes > 0 {
            stream(endpoint_changes, |number, turn| {
                let [one, _, three] = BACKENDS;
                let both = [one, three];
                move_endpoints(number, if turn % 2 == 0 { &both } else { both.split_at(1).0 })
            });
        }
        if ingress_changes > 0 {
            stream(ingress_changes, touch_ingress);
        }
        Self { ends, failed, threads }
    }

    /// Requests that failed, or why a stream ended before.
    fn stop(self) -> anyhow::Result<usize> {
        self.ends.store(true, Ordering::Relaxed);
        for thread in self.threads {
            thread.join().map_err(|_| anyhow::anyhow!("a stream panicked"))??;
        }
        Ok(self.failed.load(Ordering::Relaxed))
    }
}

/// Does something so many times a second, on a thread of its own.
fn every(
    ends: &Arc<AtomicBool>,
    rate: usize,
    mut act: impl FnMut(usize) -> anyhow::Result<()> + Send + 'static,
) -> JoinHandle<anyhow::Result<()>> {
    let ends = Arc::clone(ends);
    std::thread::spawn(move || {
        let begin = Instant::now();
        for turn in 0.. {
            if ends.load(Ordering::Relaxed) {
                break;
            }
            act(turn)?;
            let due = begin + Duration::from_secs_f64((turn + 1) as f64 / rate as f64);
            sleep(due.saturating_duration_since(Instant::now()));
        }
        Ok(())
    })
}
