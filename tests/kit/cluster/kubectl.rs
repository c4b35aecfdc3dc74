//! Objects of a cluster, by kubectl and helm of its own version; namespaces and kubeconfigs for tests.

use std::ffi::OsStr;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::Value;

use super::{Cluster, netns};

/// What a program said. Most tests want [`Output::ok`].
#[derive(Clone, Debug)]
pub struct Output {
    pub command: String,
    pub status: ExitStatus,
    pub stdout: String,
    pub stderr: String,
}

impl Output {
    /// Standard output, or the end of the test with what the program said.
    #[track_caller]
    pub fn ok(self) -> String {
        assert!(self.status.success(), "{}: {}\n{}{}", self.command, self.status, self.stdout, self.stderr);
        self.stdout
    }
}

/// How a client reaches the API server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    Direct,
    /// Through the front, which can be made to fail.
    Front,
}

impl Cluster {
    /// Runs kubectl as the administrator, with that text as standard input.
    pub fn kubectl<A: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = A>, stdin: &str) -> Output {
        self.kubectl_as(self.kubeconfig(), args, stdin)
    }

    /// Runs kubectl with the access of that kubeconfig.
    pub fn kubectl_as<A: AsRef<OsStr>>(
        &self,
        kubeconfig: &Path,
        args: impl IntoIterator<Item = A>,
        stdin: &str,
    ) -> Output {
        let mut command = Command::new(self.programs.path("kubectl"));
        // One cache a cluster: what one serves, another may not.
        command.arg("--cache-dir").arg(self.ready.dir.join("kubectl-cache")).args(args);
        run(command, kubeconfig, stdin)
    }

    /// Runs helm as the administrator.
    pub fn helm<A: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = A>) -> Output {
        let mut command = Command::new(self.programs.path("helm"));
        let home = self.ready.dir.join("helm");
        for variable in ["HELM_CACHE_HOME", "HELM_CONFIG_HOME", "HELM_DATA_HOME"] {
            command.env(variable, &home);
        }
        command.args(args);
        run(command, self.kubeconfig(), "")
    }

    /// Applies manifests in that namespace, or ends the test with what the API server holds against them.
    #[track_caller]
    pub fn apply(&self, namespace: &str, manifests: &str) {
        self.kubectl(["apply", "--namespace", namespace, "--filename", "-"], manifests).ok();
    }

    /// An object, or a list of them, as `kubectl get` finds it; `None` when there is none.
    pub fn get(&self, namespace: &str, what: &[&str]) -> Option<Value> {
        let args = ["get", "--namespace", namespace, "--ignore-not-found", "--output", "json"];
        let text = self.kubectl(args.iter().chain(what), "").ok();
        (!text.is_empty()).then(|| serde_json::from_str(&text).unwrap_or_else(|e| panic!("{e}: {text}")))
    }

    /// A new namespace whose name begins so, once Pods can be made in it. It is never deleted: that takes long, and the
    /// cluster ends soon.
    pub fn namespace(&self, name: &str) -> String {
        static NEXT: AtomicUsize = AtomicUsize::new(1);
        let name = format!("{name}-{}", NEXT.fetch_add(1, Ordering::Relaxed));
        self.kubectl(["create", "namespace", &name], "").ok();
        if self.has_controllers() {
            self.wait_for("a namespace's ServiceAccount", || self.get(&name, &["serviceaccount", "default"]));
        }
        name
    }

    /// The ready addresses of a Service, sorted, from its EndpointSlices.
    pub fn endpoints(&self, namespace: &str, service: &str) -> Vec<String> {
        let selector = format!("kubernetes.io/service-name={service}");
        let slices = self.get(namespace, &["endpointslices", "--selector", &selector]).unwrap_or_default();
        let endpoints =
            slices["items"].as_array().into_iter().flatten().filter_map(|slice| slice["endpoints"].as_array());
        let ready = endpoints.flatten().filter(|endpoint| endpoint["conditions"]["ready"] == true);
        let mut addresses: Vec<String> =
            ready.filter_map(|endpoint| endpoint["addresses"][0].as_str().map(str::to_owned)).collect();
        addresses.sort();
        addresses
    }

    /// Waits until a Service has so many ready addresses, and gives them.
    pub fn wait_for_endpoints(&self, namespace: &str, service: &str, count: usize) -> Vec<String> {
        self.wait_for(&format!("{count} endpoints of {namespace}/{service}"), || {
            Some(self.endpoints(namespace, service)).filter(|addresses| addresses.len() == count)
        })
    }

    /// A kubeconfig with a token of that ServiceAccount, which is made if there is none. It may do what its roles allow.
    pub fn token_kubeconfig(&self, namespace: &str, service_account: &str, way: Way) -> PathBuf {
        if self.get(namespace, &["serviceaccount", service_account]).is_none() {
            self.kubectl(["create", "serviceaccount", "--namespace", namespace, service_account], "").ok();
        }
        let token = self.kubectl(["create", "token", "--namespace", namespace, service_account], "").ok();
        let server = if way == Way::Front { &self.ready.front_url } else { &self.ready.url };
        let config = serde_json::json!({
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "test",
            "clusters": [{"name": "test", "cluster": {"server": server, "certificate-authority": self.ready.ca}}],
            "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test", "namespace": namespace}}],
            "users": [{"name": "test", "user": {"token": token.trim()}}],
        });
        let path = self.ready.dir.join(format!("{namespace}_{service_account}_{way:?}.kubeconfig"));
        fs::write(&path, config.to_string()).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        path
    }
}

fn run(mut command: Command, kubeconfig: &Path, stdin: &str) -> Output {
    netns::enter().unwrap_or_else(|e| panic!("{e}"));
    // No proxy leads into the namespace.
    for variable in ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"] {
        command.env_remove(variable);
    }
    command.env("KUBECONFIG", kubeconfig).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let described = format!("{command:?}");
    let mut child = command.spawn().unwrap_or_else(|e| panic!("{described}: {e}"));
    if let Some(mut pipe) = child.stdin.take() {
        // It may end without having read everything.
        let text = stdin.to_owned();
        std::thread::spawn(move || pipe.write_all(text.as_bytes()));
    }
    let output = child.wait_with_output().unwrap_or_else(|e| panic!("{described}: {e}"));
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Output { command: described, status: output.status, stdout: text(&output.stdout), stderr: text(&output.stderr) }
}
