//! The controller in a real cluster: how long it takes to be ready, what it takes of the machine, and how long a change
//! takes from its write to the first request that is served by it.
//!
//! `cargo bench --bench cluster` measures at 1,000, 5,000 and 10,000 Ingresses; `-- 1000 --samples 50 --idle 5` says
//! otherwise; `-- --test` runs it once, small. It wants what the tests of the cluster want (`tests/cluster/README.md`).
//! `docs/benchmarks.md` has the figures.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "the figures are what a bench is for")]

#[path = "../tests/kit/mod.rs"]
mod kit;

#[path = "cluster/api.rs"]
mod api;
#[path = "cluster/client.rs"]
mod client;
#[path = "cluster/measure.rs"]
mod measure;
#[path = "cluster/objects.rs"]
mod objects;
#[path = "cluster/process.rs"]
mod process;
#[path = "cluster/report.rs"]
mod report;

use std::time::{Duration, Instant};

use anyhow::Context as _;
use tokio::runtime::Runtime;

use api::{Api, Write};
use kit::cluster::Cluster;
use kit::raw::Tls;
use kit::{Identity, Raw};
use measure::{Delays, Meanwhile, PROBE, PROBE_INGRESS};
use objects::NAMESPACES;
use process::Process;
use report::{Figure, Report, figure, mebibytes, quantiles, seconds};

/// What is measured.
#[derive(Clone, Debug)]
struct Plan {
    /// Ingresses, growing.
    sizes: Vec<usize>,
    /// Of EndpointSlice changes; half as many of Ingress changes.
    samples: usize,
    idle: Duration,
}

impl Plan {
    fn of(arguments: impl Iterator<Item = String>) -> anyhow::Result<Self> {
        let mut plan = Self { sizes: Vec::new(), samples: 200, idle: Duration::from_secs(60) };
        let mut arguments = arguments.peekable();
        let (mut is_bench, mut is_test) = (false, false);
        while let Some(argument) = arguments.next() {
            let mut value = || arguments.next().with_context(|| format!("{argument} wants a number"));
            match argument.as_str() {
                "--bench" => is_bench = true,
                "--test" => is_test = true,
                "--samples" => plan.samples = value()?.parse()?,
                "--idle" => plan.idle = Duration::from_secs(value()?.parse()?),
                size => plan.sizes.push(size.parse().with_context(|| format!("{size:?} is no number of Ingresses"))?),
            }
        }
        if is_test || !is_bench {
            return Ok(Self { sizes: vec![NAMESPACES + 20], samples: 4, idle: Duration::ZERO });
        }
        if plan.sizes.is_empty() {
            plan.sizes = vec![1_000, 5_000, 10_000];
        }
        plan.sizes.sort_unstable();
        anyhow::ensure!(plan.sizes.iter().all(|size| *size > NAMESPACES), "more than {NAMESPACES} Ingresses, please");
        Ok(plan)
    }
}

fn main() -> anyhow::Result<()> {
    let plan = Plan::of(std::env::args().skip(1))?;
    // Before there is any other thread: they are to be in the network namespace.
    let Some(cluster) = kit::cluster::shared() else { return Ok(()) };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(client::backends())?;
    let api = runtime.block_on(Api::new(cluster.kubeconfig()))?;
    let identity = objects::identity();
    runtime.block_on(prepare(&api, cluster))?;
    let mut report = Report::default();
    let mut written = 0;
    for &size in &plan.sizes {
        let began = Instant::now();
        runtime.block_on(grow(&api, written..size, &identity))?;
        eprintln!("=== {} Ingresses more in {:.1} s", size - written, began.elapsed().as_secs_f64());
        written = size;
        report.0.push((size, measure_all(&runtime, &api, cluster, &plan, size, &identity)?));
    }
    println!("\n{}\n\n{}", machine(cluster), report.table());
    Ok(())
}

/// Nothing but the API server is to have work.
async fn prepare(api: &Api, cluster: &Cluster) -> anyhow::Result<()> {
    for process in ["controllers", "agent"].into_iter().filter(|_| cluster.has_controllers()) {
        cluster.command(&format!("{process} stop"));
    }
    api.write_all(objects::namespaces().chain([objects::class()])).await?;
    let probe = objects::ingress(PROBE_INGRESS, "probe.example.test", PROBE);
    api.write(&Write::post(objects::ingresses(PROBE), probe)).await
}

/// All but the status first, which is a write of its own.
async fn grow(api: &Api, numbers: std::ops::Range<usize>, identity: &Identity) -> anyhow::Result<()> {
    api.write_all(numbers.clone().flat_map(|number| objects::application(number, identity))).await?;
    api.write_all(numbers.map(objects::status)).await
}

fn measure_all(
    runtime: &Runtime,
    api: &Api,
    cluster: &Cluster,
    plan: &Plan,
    size: usize,
    identity: &Identity,
) -> anyhow::Result<Vec<Figure>> {
    let process = Process::start(cluster.kubeconfig())?;
    let mut figures = start(&process, plan)?;
    check_certificate(size, identity)?;
    let requests = Meanwhile { requests: true, ..Meanwhile::default() };
    for (name, meanwhile) in [
        ("endpoints, quiet", Meanwhile::default()),
        ("endpoints, 300 requests/s and 20 changes/s", Meanwhile { endpoint_changes: 20, ..requests }),
    ] {
        runtime.block_on(api.watch(&objects::slices(PROBE)))?;
        let delays = measure::endpoints(runtime, api, size, plan.samples, meanwhile)?;
        figures.extend(delays_of(name, &delays, 10.0, meanwhile));
    }
    let quiet = process.log_length();
    for (turn, (name, meanwhile)) in [
        ("Ingress, quiet", Meanwhile::default()),
        ("Ingress, 300 requests/s and 5 changes/s", Meanwhile { ingress_changes: 5, ..requests }),
    ]
    .into_iter()
    .enumerate()
    {
        runtime.block_on(api.watch(&objects::ingresses(PROBE)))?;
        // Hosts that no size and no stage before had.
        let first = 10_000 * size + turn * plan.samples;
        let delays = measure::ingresses(runtime, api, size, plan.samples.div_ceil(2), meanwhile, first)?;
        figures.extend(delays_of(name, &delays, 150.0, meanwhile));
    }
    for (name, field) in [
        ("table: held back and compiled", "judged"),
        ("table: and installed", "installed"),
        ("table: and told", "told"),
    ] {
        let all: Vec<f64> = process.durations(field, quiet).iter().map(|took| took.as_secs_f64() * 1e3).collect();
        figures.push(quantiles(name, &all, None).without_count());
    }
    let (mean, count) = process.mean("portcullis_config_apply_seconds")?;
    figures.push(figure("portcullis_config_apply_seconds, mean", format!("{:.1} ms of {count}", mean * 1e3)));
    let end = process.usage()?;
    figures.push(mebibytes("resident at the end", end.resident, Some(200)));
    figures.push(mebibytes("resident at most", end.peak, None));
    Ok(figures)
}

fn start(process: &Process, plan: &Plan) -> anyhow::Result<Vec<Figure>> {
    let ready = process.usage()?;
    // Nothing happens meanwhile: that is what is measured.
    std::thread::sleep(plan.idle);
    let idle = process.usage()?;
    let listed = process.said("the cluster is listed").context("the log does not say when all was listed")?;
    let in_force = process.said("table in force").context("the log does not say when a table was in force")?;
    Ok(vec![
        seconds("process start to listed", listed - process.started, None),
        seconds("listed to the table in force", in_force - listed, None),
        seconds("listed to ready", process.ready.saturating_duration_since(listed), Some(5.0)),
        seconds("process start to ready", process.ready - process.started, None),
        figure("processor until ready", format!("{:.2} s", ready.cpu)),
        mebibytes("resident when ready", ready.resident, None),
        mebibytes(&format!("resident {} s later", plan.idle.as_secs()), idle.resident, Some(200)),
        figure("processor in that time", format!("{:.2} s", idle.cpu - ready.cpu)),
    ])
}

fn delays_of(name: &str, delays: &Delays, goal: f64, meanwhile: Meanwhile) -> Vec<Figure> {
    let mut figures = vec![
        quantiles(&format!("{name}: sent to served"), &delays.sent, Some(goal)),
        quantiles(&format!("{name}: answered to served"), &delays.answered, None).without_count(),
        quantiles(&format!("{name}: event to served"), &delays.seen, Some(goal)).without_count(),
    ];
    if meanwhile.requests {
        figures.push(figure(&format!("{name}: requests that failed"), delays.failed.to_string()));
    }
    figures
}

/// Hosts have the certificate of their Secrets, not the generated one.
fn check_certificate(size: usize, identity: &Identity) -> anyhow::Result<()> {
    let host = objects::host(size - 1);
    let tls = Tls { sni: &host, alpn: &["http/1.1"], ..Tls::default() };
    let mut raw = Raw::try_connect_tls(process::HTTPS.parse()?, tls)?;
    anyhow::ensure!(raw.peer().chain == identity.chain(), "{host} has another certificate");
    let status = raw.get(&host, "/").status;
    anyhow::ensure!(status == 200, "{host} answers {status}");
    Ok(())
}

fn machine(cluster: &Cluster) -> String {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let (cpu, memory) = (read("/proc/cpuinfo"), read("/proc/meminfo"));
    let model =
        cpu.lines().find_map(|line| line.strip_prefix("model name")).unwrap_or("").trim_start_matches([':', '\t', ' ']);
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let total = memory.lines().find_map(|line| line.strip_prefix("MemTotal:")).unwrap_or("").trim();
    let kernel = read("/proc/sys/kernel/osrelease");
    format!(
        "{cores} cores of {model}, {total}, shared with API server, etcd, backends and this bench; load {}; Linux {}; \
         Kubernetes {}; Portcullis {}{}",
        read("/proc/loadavg").split(' ').next().unwrap_or(""),
        kernel.trim(),
        cluster.ready().version,
        env!("CARGO_PKG_VERSION"),
        if cfg!(debug_assertions) { ", not optimised" } else { "" },
    )
}
