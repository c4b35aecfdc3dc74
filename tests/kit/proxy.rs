//! The real binary over a directory of manifests.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde::Deserialize;
use tempfile::TempDir;

use super::{DEADLINE, H2, Raw, Response, eventually};

/// How many lines of each output are kept; the oldest go first.
const LINES: usize = 20_000;

/// What the ready file says: the addresses that are listened on.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct Ready {
    #[serde(default)]
    pub http: Vec<SocketAddr>,
    #[serde(default)]
    pub https: Vec<SocketAddr>,
    #[serde(default)]
    pub healthz: Vec<SocketAddr>,
}

/// A running proxy; it is killed when dropped.
pub struct Proxy {
    child: Child,
    ready: Ready,
    stdout: Lines,
    stderr: Lines,
    _scratch: TempDir,
}

impl Proxy {
    /// Starts over that directory and waits until it listens, or ends the test with what it wrote.
    pub fn start(manifests: impl AsRef<Path>, extra_args: &[&str]) -> Self {
        Self::try_start(manifests, extra_args, &[]).unwrap_or_else(|e| panic!("the proxy did not start: {e}"))
    }

    /// Starts with more environment; the error says how the process ended and what it wrote.
    pub fn try_start(manifests: impl AsRef<Path>, args: &[&str], env: &[(&str, &str)]) -> Result<Self, String> {
        Self::over("--manifests", manifests.as_ref(), args, env)
    }

    /// Starts over what `source`, a flag that takes a path, gives it to watch.
    pub fn over(source: &str, path: &Path, args: &[&str], env: &[(&str, &str)]) -> Result<Self, String> {
        let scratch = tempfile::tempdir().map_err(|e| e.to_string())?;
        let ready_file = scratch.path().join("ready.json");
        let loopback = ["--http-address=127.0.0.1", "--https-address=127.0.0.1"];
        let own = |flag: &'static str| flag.strip_suffix("127.0.0.1").unwrap_or(flag);
        let mut child = Command::new(env!("CARGO_BIN_EXE_portcullis"))
            .arg("run")
            .arg(source)
            .arg(path)
            .args(["--http-port", "0", "--https-port", "0", "--healthz-port", "0"])
            .args(loopback.iter().filter(|flag| !args.iter().any(|arg| arg.starts_with(own(flag)))))
            .arg("--ready-file")
            .arg(&ready_file)
            .args(args)
            .envs(env.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|e| e.to_string())?;
        let stdout = Lines::of(child.stdout.take());
        let stderr = Lines::of(child.stderr.take());
        // Owned from here on, so that a start that fails is killed like any other.
        let mut proxy = Self { child, ready: Ready::default(), stdout, stderr, _scratch: scratch };
        proxy.ready = proxy.wait_ready(&ready_file)?;
        Ok(proxy)
    }

    fn wait_ready(&mut self, file: &PathBuf) -> Result<Ready, String> {
        let end = Instant::now() + DEADLINE;
        loop {
            // A file that is still being written does not parse yet.
            if let Some(ready) = std::fs::read(file).ok().and_then(|text| serde_json::from_slice(&text).ok()) {
                return Ok(ready);
            }
            if let Some(status) = self.child.try_wait().map_err(|e| e.to_string())? {
                // The readers may still be at the last lines.
                std::thread::sleep(Duration::from_millis(50));
                return Err(format!("it ended with {status}\n{}", self.stderr().join("\n")));
            }
            if Instant::now() >= end {
                return Err(format!("it was not ready in {DEADLINE:?}\n{}", self.stderr().join("\n")));
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// The first plain address.
    pub fn http(&self) -> SocketAddr {
        *self.ready.http.first().expect("the proxy listens on HTTP")
    }

    /// The first TLS address.
    pub fn https(&self) -> SocketAddr {
        *self.ready.https.first().expect("the proxy listens on HTTPS")
    }

    /// The address of health, metrics and the admin pages.
    pub fn health(&self) -> SocketAddr {
        *self.ready.healthz.first().expect("the proxy listens for health checks")
    }

    pub fn ready(&self) -> &Ready {
        &self.ready
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// One plain GET on a connection of its own.
    pub fn get(&self, host: &str, target: &str) -> Response {
        Raw::connect(self.http()).get(host, target)
    }

    /// One plain GET with more fields, each `Name: value`.
    pub fn get_with(&self, host: &str, target: &str, fields: &[&str]) -> Response {
        Raw::connect(self.http()).get_with(host, target, fields)
    }

    /// One GET over TLS, with the host as server name.
    pub fn get_tls(&self, host: &str, target: &str) -> Response {
        Raw::connect_tls(self.https(), host, &["http/1.1"]).get(host, target)
    }

    /// One HTTP/2 connection by prior knowledge.
    pub fn h2(&self) -> H2 {
        H2::connect(self.http())
    }

    /// The text of the metrics page.
    pub fn metrics(&self) -> String {
        Raw::connect(self.health()).get("localhost", "/metrics").text()
    }

    /// The value of one series, named as the page prints it: `name{label="value"}`.
    pub fn metric(&self, series: &str) -> Option<f64> {
        let text = self.metrics();
        let line = text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' ').map(str::to_owned))?;
        line.split(' ').next()?.parse().ok()
    }

    /// Asks until the answer satisfies `good`: a change of manifests takes a moment. Ends the test with the last one.
    pub fn wait_until(&self, host: &str, target: &str, good: impl Fn(&Response) -> bool) -> Response {
        let mut last = None;
        eventually(DEADLINE, || {
            let response = self.get(host, target);
            let done = good(&response).then(|| response.clone());
            last = Some(response);
            done
        })
        .unwrap_or_else(|| panic!("{host}{target} stays {last:?}\n{}", self.stderr().join("\n")))
    }

    /// The lines of the access log so far.
    pub fn stdout(&self) -> Vec<String> {
        self.stdout.all()
    }

    pub fn stderr(&self) -> Vec<String> {
        self.stderr.all()
    }

    /// Waits for an access log line with that text.
    pub fn wait_for_stdout(&self, text: &str) -> Option<String> {
        self.stdout.wait_for(text)
    }

    pub fn wait_for_stderr(&self, text: &str) -> Option<String> {
        self.stderr.wait_for(text)
    }

    /// Sends SIGTERM, and does not wait.
    pub fn terminate(&self) {
        self.signal(Signal::TERM);
    }

    /// Sends any signal.
    pub fn signal(&self, signal: Signal) {
        let _ = kill_process(Pid::from_child(&self.child), signal);
    }

    /// Waits for the process to end.
    pub fn wait(&mut self, within: Duration) -> Option<ExitStatus> {
        eventually(within, || self.child.try_wait().ok().flatten())
    }

    /// Asks to end and waits; `None` when it did not end in time.
    pub fn stop(mut self) -> Option<ExitStatus> {
        self.terminate();
        self.wait(DEADLINE)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("--- the proxy's log ---\n{}", self.stderr().join("\n"));
        }
    }
}

/// The lines of one output, read by a thread that ends with the pipe.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<VecDeque<String>>>);

impl Lines {
    fn of(pipe: Option<impl Read + Send + 'static>) -> Self {
        let lines = Self::default();
        if let Some(pipe) = pipe {
            let lines = lines.clone();
            std::thread::spawn(move || {
                for line in BufReader::new(pipe).split(b'\n').map_while(Result::ok) {
                    lines.push(String::from_utf8_lossy(&line).into_owned());
                }
            });
        }
        lines
    }

    fn push(&self, line: String) {
        let mut lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if lines.len() == LINES {
            lines.pop_front();
        }
        lines.push_back(line);
    }

    fn all(&self) -> Vec<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }

    fn wait_for(&self, text: &str) -> Option<String> {
        eventually(DEADLINE, || self.all().into_iter().find(|line| line.contains(text)))
    }
}
