//! etcd and kube-apiserver alone, from `KUBEBUILDER_ASSETS`, with the arguments that the test cluster's own programs have.

use std::collections::HashMap;
use std::fs::{self, File};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::Instant;

use tempfile::TempDir;

use super::process::{PATIENCE, Ready};
use super::tools::Programs;
use crate::kit::{Authority, Identity, eventually};

const ETCD: &str = include_str!("../../cluster/args/etcd.args");
const API_SERVER: &str = include_str!("../../cluster/args/apiserver.args");

/// Without the controller that makes ServiceAccounts, admission would refuse every Pod.
const WITHOUT_CONTROLLERS: &str = "--disable-admission-plugins=ServiceAccount";

/// The two processes and their state directory.
pub struct Bare {
    children: Vec<Child>,
    _dir: TempDir,
}

impl Bare {
    /// Starts them, for the cluster of that number, and waits until the API server is ready.
    pub fn start(programs: &Programs, node_prefix: &str, number: usize) -> Result<(Self, Ready), String> {
        let begin = Instant::now();
        let dir = tempfile::Builder::new().prefix("testcluster-").tempdir().map_err(|e| e.to_string())?;
        let bind = format!("{node_prefix}.254");
        let service_prefix = format!("10.{}.0", 140 + number);
        let values = [
            ("dir", dir.path().display().to_string()),
            ("bind", bind.clone()),
            ("advertise", bind.clone()),
            ("port", "6443".to_owned()),
            ("etcd-port", (2379 + 2 * number).to_string()),
            ("etcd-peer-port", (2380 + 2 * number).to_string()),
            ("service-cidr", format!("{service_prefix}.0/16")),
        ];
        let ready = Self::certificates(dir.path(), &bind, &format!("{service_prefix}.1")).map_err(|e| e.to_string())?;
        fs::create_dir(dir.path().join("logs")).map_err(|e| e.to_string())?;
        let mut bare = Self { children: Vec::new(), _dir: dir };
        let mut pids = HashMap::new();
        for (name, list, more) in [("etcd", ETCD, None), ("kube-apiserver", API_SERVER, Some(WITHOUT_CONTROLLERS))] {
            let log = ready.dir.join(format!("logs/{}.log", name.trim_start_matches("kube-")));
            let child = spawn(programs.path(name), arguments(list, &values)?.chain(more.map(str::to_owned)), &log)?;
            pids.insert(name.trim_start_matches("kube-").to_owned(), child.id());
            bare.children.push(child);
        }
        bare.wait(programs, &ready)?;
        let version = Command::new(programs.path("kube-apiserver")).arg("--version").output();
        let version = version.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default();
        let version = version.trim().trim_start_matches("Kubernetes ").to_owned();
        let took = u64::try_from(begin.elapsed().as_millis()).unwrap_or(u64::MAX);
        Ok((bare, Ready { pids, version, ms: HashMap::from([("ready".to_owned(), took)]), ..ready }))
    }

    fn wait(&mut self, programs: &Programs, ready: &Ready) -> Result<(), String> {
        let asked = || {
            let mut command = Command::new(programs.path("kubectl"));
            command.args(["get", "--raw", "/readyz"]).env("KUBECONFIG", &ready.kubeconfig);
            command.stdin(Stdio::null()).output().is_ok_and(|output| output.status.success()).then_some(Ok(()))
        };
        let children = &mut self.children;
        let ended = |child: &mut Child| child.try_wait().ok().flatten();
        let outcome = eventually(PATIENCE, || match children.iter_mut().find_map(ended) {
            Some(status) => Some(Err(format!("it ended: {status}, signal {:?}", status.signal()))),
            None => asked(),
        });
        outcome.unwrap_or_else(|| Err("it takes too long".to_owned())).map_err(|why| {
            let log = fs::read_to_string(ready.dir.join("logs/apiserver.log")).unwrap_or_default();
            let end: Vec<&str> = log.lines().rev().take(20).collect();
            format!("{why}\n{}", end.into_iter().rev().collect::<Vec<_>>().join("\n"))
        })
    }

    /// The files that the argument lists name, and the administrator's kubeconfig.
    fn certificates(dir: &Path, bind: &str, service: &str) -> std::io::Result<Ready> {
        let authority = Authority::new("testcluster");
        let front = Authority::new("testcluster-front-proxy");
        let names =
            ["kubernetes", "kubernetes.default", "kubernetes.default.svc", "localhost", "127.0.0.1", bind, service];
        let admin = authority.issue_member("test-admin", "system:masters");
        let pairs = [
            ("apiserver", &authority.issue("kubernetes", &names)),
            ("admin", &admin),
            ("front-proxy-client", &front.issue("front-proxy-client", &[])),
        ];
        for (name, Identity { cert_pem, key_pem }) in pairs {
            fs::write(dir.join(format!("{name}.crt")), cert_pem)?;
            fs::write(dir.join(format!("{name}.key")), key_pem)?;
        }
        fs::write(dir.join("ca.crt"), authority.pem())?;
        fs::write(dir.join("front-proxy-ca.crt"), front.pem())?;
        // The file is for signing and for verifying, which takes the public key from the certificate.
        let tokens = Identity::self_signed(&["serviceaccounts"]);
        fs::write(dir.join("sa.key"), tokens.cert_pem + &tokens.key_pem)?;
        let url = format!("https://{bind}:6443");
        let kubeconfig = dir.join("admin.kubeconfig");
        let config = serde_json::json!({
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "test",
            "clusters": [{"name": "test", "cluster": {"server": url, "certificate-authority": dir.join("ca.crt")}}],
            "contexts": [{"name": "test", "context": {"cluster": "test", "user": "admin", "namespace": "default"}}],
            "users": [{"name": "admin", "user": {
                "client-certificate": dir.join("admin.crt"), "client-key": dir.join("admin.key"),
            }}],
        });
        fs::write(&kubeconfig, config.to_string())?;
        Ok(Ready {
            front_url: url.clone(),
            url,
            front_kubeconfig: kubeconfig.clone(),
            kubeconfig,
            ca: dir.join("ca.crt"),
            dir: dir.to_owned(),
            pids: HashMap::new(),
            version: String::new(),
            ms: HashMap::new(),
        })
    }
}

impl Drop for Bare {
    fn drop(&mut self) {
        for child in &mut self.children {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// The lines of a list that are not comments, with values in the place of their names.
fn arguments(list: &str, values: &[(&str, String)]) -> Result<impl Iterator<Item = String> + use<>, String> {
    let mut text = list.to_owned();
    for (name, value) in values {
        text = text.replace(&format!("{{{name}}}"), value);
    }
    let lines: Vec<String> =
        text.lines().map(str::trim).filter(|l| !l.is_empty() && !l.starts_with('#')).map(str::to_owned).collect();
    match lines.iter().find(|line| line.contains('{')) {
        Some(line) => Err(format!("an argument list uses an unknown name: {line}")),
        None => Ok(lines.into_iter()),
    }
}

/// Starts a process that the kernel kills when this one ends. It does so when the thread that started it ends, and those
/// of tests do: hence one that stays.
fn spawn(program: PathBuf, args: impl Iterator<Item = String>, log: &Path) -> Result<Child, String> {
    let output = File::create(log).map_err(|e| e.to_string())?;
    let errors = output.try_clone().map_err(|e| e.to_string())?;
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL"]).arg(&program).args(args);
    command.stdin(Stdio::null()).stdout(output).stderr(errors);
    let (sender, receiver) = mpsc::sync_channel(1);
    std::thread::spawn(move || {
        let _ = sender.send(command.spawn());
        loop {
            std::thread::park();
        }
    });
    let spawned = receiver.recv().map_err(|e| e.to_string())?;
    spawned.map_err(|e| format!("setpriv {}: {e}", program.display()))
}
