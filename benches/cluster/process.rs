//! The controller as a process: when it said what, when it was ready, what it takes of the machine.

use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Context as _;

use super::client::Client;
use super::objects::ADDRESS;

/// In a network namespace of its own every port is free.
pub const HTTP: &str = "127.0.0.1:8080";
pub const HTTPS: &str = "127.0.0.1:8443";
const HEALTH: &str = "127.0.0.1:10254";
/// For a start: a build that is not optimised has to read ten thousand objects, too.
const PATIENCE: Duration = Duration::from_secs(180);

/// Of /proc, on every architecture that Rust has.
const USER_HZ: f64 = 100.0;

/// Lines of the log, with the moment each came.
type Log = Arc<Mutex<Vec<(Instant, String)>>>;

/// A running controller; it is killed when dropped.
pub struct Process {
    child: Child,
    log: Log,
    pub started: Instant,
    /// `/readyz` said 200.
    pub ready: Instant,
}

/// What a process takes: resident bytes and their peak, seconds of processors.
#[derive(Clone, Copy, Debug)]
pub struct Usage {
    pub resident: u64,
    pub peak: u64,
    pub cpu: f64,
}

impl Process {
    pub fn start(kubeconfig: &Path) -> anyhow::Result<Self> {
        let started = Instant::now();
        let mut child = Command::new(env!("CARGO_BIN_EXE_portcullis"))
            .args(["run", "--kubeconfig"])
            .arg(kubeconfig)
            .args(["--http-address=127.0.0.1", "--https-address=127.0.0.1", "--healthz-host=127.0.0.1"])
            .args(["--http-port=8080", "--https-port=8443", "--healthz-port=10254"])
            .arg(format!("--publish-status-address={ADDRESS}"))
            .env("RUST_LOG", "info,portcullis::controller=debug,kube_client=off")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .context("the controller")?;
        let log = Log::default();
        if let Some(stderr) = child.stderr.take() {
            let log = Arc::clone(&log);
            std::thread::spawn(move || {
                for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                    log.lock().unwrap_or_else(PoisonError::into_inner).push((Instant::now(), line));
                }
            });
        }
        let mut process = Self { child, log, started, ready: started };
        process.wait()?;
        Ok(process)
    }

    fn wait(&mut self) -> anyhow::Result<()> {
        while self.started.elapsed() < PATIENCE {
            let answer = health().and_then(|mut client| client.get("localhost", "/readyz"));
            if answer.is_ok_and(|answer| answer.status == 200) {
                self.ready = Instant::now();
                return Ok(());
            }
            if let Some(status) = self.child.try_wait()? {
                anyhow::bail!("the controller ended with {status}\n{}", self.text());
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        anyhow::bail!("the controller is not ready after {PATIENCE:?}\n{}", self.text())
    }

    /// When the log first had that text.
    pub fn said(&self, text: &str) -> Option<Instant> {
        let log = self.log.lock().unwrap_or_else(PoisonError::into_inner);
        log.iter().find(|(_, line)| line.contains(text)).map(|(at, _)| *at)
    }

    fn text(&self) -> String {
        let log = self.log.lock().unwrap_or_else(PoisonError::into_inner);
        log.iter().map(|(_, line)| format!("{line}\n")).collect()
    }

    /// Lines of the log so far.
    pub fn log_length(&self) -> usize {
        self.log.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// The durations of that field in the log from a line on, as `field=1.5ms`.
    pub fn durations(&self, field: &str, from: usize) -> Vec<Duration> {
        let log = self.log.lock().unwrap_or_else(PoisonError::into_inner);
        let lines = log.iter().skip(from).map(|(_, line)| line);
        lines.filter_map(|line| duration(line.split(&format!(" {field}=")).nth(1)?.split(' ').next()?)).collect()
    }

    /// The mean of a histogram of `/metrics`, in its own unit, and how many there were.
    pub fn mean(&self, histogram: &str) -> anyhow::Result<(f64, f64)> {
        let text = health()?.get("localhost", "/metrics")?.body;
        let value = |suffix: &str| {
            let name = format!("{histogram}_{suffix}");
            let line = text.lines().find(|line| line.starts_with(&name));
            line.and_then(|line| line.rsplit(' ').next()).and_then(|value| value.parse::<f64>().ok())
        };
        let (sum, count) = value("sum").zip(value("count")).with_context(|| format!("there is no {histogram}"))?;
        Ok((sum / count, count))
    }

    pub fn usage(&self) -> anyhow::Result<Usage> {
        let pid = self.child.id();
        let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
        let bytes = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            let kib = line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<u64>().ok());
            kib.map(|kib| kib << 10).with_context(|| format!("/proc has no {name}"))
        };
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
        // After the name, which may hold anything: utime and stime are the fields 14 and 15 (proc_pid_stat(5)).
        let fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace().skip(11);
        let ticks: f64 = fields.take(2).filter_map(|ticks| ticks.parse::<f64>().ok()).sum();
        Ok(Usage { resident: bytes("VmRSS:")?, peak: bytes("VmHWM:")?, cpu: ticks / USER_HZ })
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn health() -> anyhow::Result<Client> {
    Client::connect(HEALTH.parse::<SocketAddr>()?)
}

/// As the standard library prints durations: `1.5s`, `20ms`, `3.25µs`.
fn duration(text: &str) -> Option<Duration> {
    let unit = text.trim_start_matches(|c: char| c.is_ascii_digit() || c == '.');
    let number: f64 = text.strip_suffix(unit)?.parse().ok()?;
    let seconds = match unit {
        "s" => 1.0,
        "ms" => 1e-3,
        "µs" => 1e-6,
        "ns" => 1e-9,
        _ => return None,
    };
    Some(Duration::from_secs_f64(number * seconds))
}
