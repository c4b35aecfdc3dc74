//! A namespace with a class of its own, controllers of that class, and load on them.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::kit::cluster::{Cluster, Way, netns};
use crate::kit::{Proxy, Raw};

pub struct Site<'c> {
    pub cluster: &'c Cluster,
    pub namespace: String,
    /// `--controller-class`; the IngressClass is called as the namespace.
    controller_class: String,
}

impl<'c> Site<'c> {
    pub fn new(cluster: &'c Cluster, name: &str) -> Self {
        let namespace = cluster.namespace(name);
        let controller_class = format!("portcullis.test/{namespace}");
        let class = format!(
            "{{apiVersion: networking.k8s.io/v1, kind: IngressClass, metadata: {{name: {namespace}}}, \
             spec: {{controller: {controller_class}}}}}"
        );
        cluster.apply(&namespace, &class);
        Self { cluster, namespace, controller_class }
    }

    /// A controller of the class, as the administrator.
    pub fn controller(&self, way: Way, args: &[&str]) -> Proxy {
        self.replica(way, "", args)
    }

    /// One that believes to be the Pod of that name, and so takes part in the election.
    pub fn replica(&self, way: Way, pod: &str, args: &[&str]) -> Proxy {
        netns::enter().unwrap();
        let kubeconfig = match way {
            Way::Direct => self.cluster.kubeconfig().to_owned(),
            Way::Front => self.cluster.token_kubeconfig(&self.namespace, "controller", Way::Front),
        };
        if way == Way::Front {
            let account = format!("--serviceaccount={}:controller", self.namespace);
            let binding = ["create", "clusterrolebinding", &self.namespace, "--clusterrole=cluster-admin", &account];
            // A second replica finds it there.
            self.cluster.kubectl(binding, "");
        }
        let env = [("POD_NAME", pod), ("POD_NAMESPACE", self.namespace.as_str())];
        let env = if pod.is_empty() { &[][..] } else { &env };
        let class = format!("--controller-class={}", self.controller_class);
        let args: Vec<&str> = [class.as_str()].iter().chain(args).copied().collect();
        Proxy::over("--kubeconfig", &kubeconfig, &args, env).unwrap_or_else(|e| panic!("no controller: {e}"))
    }

    /// An Ingress for all paths of a host, with more lines under its metadata and spec.
    pub fn ingress(&self, name: &str, host: &str, service: &str, annotations: &str, spec: &str) -> String {
        format!(
            "apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {{name: {name}, annotations: {{{annotations}}}}}
spec:
  ingressClassName: {}
  rules: [{{host: {host}, http: {{paths: [{{path: /, pathType: Prefix, backend: {{service: {{name: {service}, port: {{number: 80}}}}}}}}]}}}}]
{spec}
",
            self.namespace
        )
    }

    pub fn apply(&self, manifests: &str) {
        self.cluster.apply(&self.namespace, manifests);
    }

    pub fn kubectl(&self, args: &[&str]) -> String {
        self.cluster.kubectl(["--namespace", &self.namespace].iter().chain(args), "").ok()
    }

    /// `status.loadBalancer.ingress` of an Ingress, as text; empty for none.
    pub fn status(&self, ingress: &str) -> String {
        self.kubectl(&["get", "ingress", ingress, "--output", "jsonpath={.status.loadBalancer.ingress}"])
    }

    /// Waits until the status of an Ingress contains that text.
    pub fn wait_for_status(&self, ingress: &str, text: &str) -> Duration {
        let begin = Instant::now();
        self.cluster.wait_for(&format!("the status of {ingress} to have {text}"), || {
            let status = self.status(ingress);
            (if text.is_empty() { status.is_empty() } else { status.contains(text) }).then_some(())
        });
        begin.elapsed()
    }

    /// Waits until the events that kubectl describes of an Ingress contain that text.
    pub fn wait_for_event(&self, ingress: &str, text: &str) {
        self.cluster.wait_for(&format!("an event of {ingress} with {text:?}"), || {
            self.kubectl(&["describe", "ingress", ingress]).contains(text).then_some(())
        });
    }
}

/// Requests at an even pace over kept connections, each of which must be answered with 200.
pub struct Load {
    ends: Arc<AtomicBool>,
    threads: Vec<JoinHandle<Counted>>,
}

/// What became of the requests.
#[derive(Debug, Default)]
pub struct Counted {
    pub answered: usize,
    pub failures: Vec<String>,
    pub slowest: Duration,
}

const CONNECTIONS: u32 = 4;

impl Load {
    /// So many requests a second for `/` of the host.
    pub fn start(proxy: SocketAddr, host: &str, per_second: u32) -> Self {
        let ends = Arc::new(AtomicBool::new(false));
        let threads = (0..CONNECTIONS).map(|_| {
            let (ends, host) = (Arc::clone(&ends), host.to_owned());
            let every = Duration::from_secs(1) * CONNECTIONS / per_second;
            std::thread::spawn(move || ask(proxy, &host, every, &ends))
        });
        let threads = threads.collect();
        Self { ends, threads }
    }

    pub fn stop(self) -> Counted {
        self.ends.store(true, Ordering::Relaxed);
        let mut all = Counted::default();
        for thread in self.threads {
            let counted = thread.join().unwrap();
            all.answered += counted.answered;
            all.failures.extend(counted.failures);
            all.slowest = all.slowest.max(counted.slowest);
        }
        all
    }
}

fn ask(proxy: SocketAddr, host: &str, every: Duration, ends: &AtomicBool) -> Counted {
    netns::enter().unwrap();
    let request = format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n");
    let mut counted = Counted::default();
    let mut connection: Option<Raw> = None;
    let mut next = Instant::now();
    while !ends.load(Ordering::Relaxed) {
        next += every;
        let begin = Instant::now();
        let mut raw = match connection.take().map_or_else(|| Raw::try_connect(proxy), Ok) {
            Ok(raw) => raw,
            Err(error) => {
                counted.failures.push(format!("no connection: {error}"));
                std::thread::sleep(every);
                continue;
            }
        };
        match raw.try_send(&request).and_then(|()| raw.try_response("GET")) {
            Ok(response) if response.status == 200 => {
                counted.answered += 1;
                let closes = response.header("connection").is_some_and(|value| value.eq_ignore_ascii_case("close"));
                connection = (!closes).then_some(raw);
            }
            Ok(response) => counted.failures.push(format!("{} {}", response.status, response.text())),
            Err(error) => counted.failures.push(error.to_string()),
        }
        counted.slowest = counted.slowest.max(begin.elapsed());
        std::thread::sleep(next.saturating_duration_since(Instant::now()));
    }
    counted
}
