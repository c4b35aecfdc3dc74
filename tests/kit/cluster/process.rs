//! A running cluster: its processes, what it says when it is ready, and the commands that make it fail.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;

use super::bare::Bare;
use super::tools::Programs;
use super::{Options, netns};
use crate::kit::{Proxy, eventually};

/// How long what a controller does may take: generous, since builds share the machine.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// The first line of `testcluster serve`.
#[derive(Clone, Debug, Deserialize)]
pub struct Ready {
    /// Of the API server, and of the front before it.
    pub url: String,
    pub front_url: String,
    pub kubeconfig: PathBuf,
    pub front_kubeconfig: PathBuf,
    /// The cluster's authority, PEM.
    pub ca: PathBuf,
    pub dir: PathBuf,
    /// By the name of the process, at the start.
    pub pids: HashMap<String, u32>,
    pub version: String,
    /// Milliseconds from the start to each stage.
    pub ms: HashMap<String, u64>,
}

/// A cluster. It ends when its standard input does: when this is dropped, or with the test process.
pub struct Cluster {
    pub(super) programs: &'static Programs,
    pub(super) ready: Ready,
    /// First two octets of Pod addresses, and three of nodes, load balancers and nodes from outside.
    pub pod_prefix: String,
    pub node_prefix: String,
    pub balancer_prefix: String,
    pub node_external_prefix: String,
    child: Mutex<Option<(Child, ChildStdin, BufReader<ChildStdout>)>>,
    bare: Option<Bare>,
    /// What the supervisor had to say.
    errors: File,
}

impl Cluster {
    /// Starts the cluster of that number, of which its addresses are made.
    pub(super) fn start(programs: &'static Programs, options: &Options, number: usize) -> Result<Self, String> {
        if number >= 40 {
            return Err("40 clusters a process are possible".to_owned());
        }
        let mut cluster = Self {
            programs,
            ready: serde_json::from_value(serde_json::json!({"url": "", "front_url": "", "kubeconfig": "",
                "front_kubeconfig": "", "ca": "", "dir": "", "pids": {}, "version": "", "ms": {}}))
            .map_err(|e| e.to_string())?,
            pod_prefix: format!("10.{}", 100 + number),
            node_prefix: format!("10.{}.0", 180 + number),
            balancer_prefix: format!("10.{}.1", 180 + number),
            node_external_prefix: format!("10.{}.2", 180 + number),
            child: Mutex::new(None),
            bare: None,
            errors: tempfile::tempfile().map_err(|e| e.to_string())?,
        };
        if programs.bare {
            let (bare, ready) = Bare::start(programs, &cluster.node_prefix, number)?;
            (cluster.bare, cluster.ready) = (Some(bare), ready);
            return Ok(cluster);
        }
        let mut command = cluster.serve(options, number);
        let errors = cluster.errors.try_clone().map_err(|e| e.to_string())?;
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(errors)
            .spawn()
            .map_err(|e| format!("{}: {e}", command.get_program().display()))?;
        let (Some(stdin), Some(stdout)) = (child.stdin.take(), child.stdout.take()) else {
            return Err("no pipes".to_owned());
        };
        let mut stdout = BufReader::new(stdout);
        let mut line = String::new();
        let read = stdout.read_line(&mut line);
        cluster.child = Mutex::new(Some((child, stdin, stdout)));
        read.map_err(|e| e.to_string())?;
        cluster.ready = serde_json::from_str(&line).map_err(|_| cluster.errors())?;
        Ok(cluster)
    }

    fn serve(&self, options: &Options, number: usize) -> Command {
        let mut command = Command::new(self.programs.path("testcluster"));
        // Its state is in a directory of its own making, which it removes at its end, however this process ends.
        command.arg("serve");
        for (flag, value) in [
            ("-pod-prefix", &self.pod_prefix),
            ("-node-prefix", &self.node_prefix),
            ("-balancer-prefix", &self.balancer_prefix),
            ("-node-external-prefix", &self.node_external_prefix),
            ("-service-cidr", &format!("10.{}.0.0/16", 140 + number)),
            ("-etcd-port", &(2379 + 2 * number).to_string()),
            ("-nodes", &options.nodes.to_string()),
        ] {
            command.args([flag, value]);
        }
        let kubectl = self.programs.path("kubectl");
        command.arg("-image").arg(format!("kubectl={}", kubectl.display())).args(["-image", "sh=/bin/sh"]);
        for (flag, pairs) in [("-image", &options.images), ("-image-env", &options.image_env)] {
            command.args(pairs.iter().flat_map(|(name, value)| [flag.to_owned(), format!("{name}={value}")]));
        }
        command.args(&options.args);
        command
    }

    /// Whether there are controllers, Pods and a front, or only an API server.
    pub fn has_controllers(&self) -> bool {
        self.bare.is_none()
    }

    pub fn ready(&self) -> &Ready {
        &self.ready
    }

    /// Of the administrator, to the API server itself.
    pub fn kubeconfig(&self) -> &Path {
        &self.ready.kubeconfig
    }

    /// Of the administrator, through the front.
    pub fn front_kubeconfig(&self) -> &Path {
        &self.ready.front_kubeconfig
    }

    /// Sends a command, such as `apiserver kill` or `front cut`, and gives the answer, or ends the test with the error.
    pub fn command(&self, line: &str) -> Value {
        self.try_command(line).unwrap_or_else(|e| panic!("{line}: {e}"))
    }

    /// Sends a command and gives the answer or the error.
    pub fn try_command(&self, line: &str) -> Result<Value, String> {
        let mut child = self.child.lock().unwrap_or_else(PoisonError::into_inner);
        let (_, stdin, stdout) = child.as_mut().ok_or("this cluster takes no commands")?;
        writeln!(stdin, "{line}").and_then(|()| stdin.flush()).map_err(|e| e.to_string())?;
        let mut answer = String::new();
        stdout.read_line(&mut answer).map_err(|e| e.to_string())?;
        let answer: Value = serde_json::from_str(&answer).map_err(|e| format!("{e}: {answer}{}", self.errors()))?;
        match answer["error"].as_str() {
            Some(error) => Err(error.to_owned()),
            None => Ok(answer),
        }
    }

    fn errors(&self) -> String {
        let mut text = vec![0; 64 << 10];
        let length = self.errors.read_at(&mut text, 0).unwrap_or(0);
        String::from_utf8_lossy(&text[..length]).into_owned()
    }

    /// The log of `etcd`, `apiserver`, `controllers`, `agent` or `front-requests` so far.
    pub fn log(&self, process: &str) -> String {
        fs::read_to_string(self.ready.dir.join(format!("logs/{process}.log"))).unwrap_or_default()
    }

    /// What the containers of a Pod wrote so far.
    pub fn pod_log(&self, namespace: &str, pod: &str) -> String {
        fs::read_to_string(self.ready.dir.join(format!("pods/{namespace}_{pod}.log"))).unwrap_or_default()
    }

    /// Calls `check` until it gives a value, or ends the test: what is waited for did not come.
    pub fn wait_for<T>(&self, what: &str, check: impl FnMut() -> Option<T>) -> T {
        eventually(PATIENCE, check).unwrap_or_else(|| panic!("waited {PATIENCE:?} for {what}"))
    }

    /// This package's binary as a controller of the cluster, outside of it, with the access of that kubeconfig; the
    /// error says how the process ended and what it wrote.
    pub fn controller(&self, kubeconfig: &Path, args: &[&str]) -> Result<Proxy, String> {
        netns::enter()?;
        Proxy::over("--kubeconfig", kubeconfig, args, &[])
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        let mut child = self.child.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((mut child, stdin, _)) = child.take() {
            drop(stdin);
            if eventually(PATIENCE, || child.try_wait().ok().flatten()).is_none() {
                let _ = child.kill();
                let _ = child.wait();
            }
        }
    }
}
