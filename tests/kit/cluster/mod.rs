//! A Kubernetes cluster: a real API server, Kubernetes' own controllers, and Pods that are local processes. The programs
//! are built from the Go module in `tests/cluster`, whose README says what they do.
//!
//! - [`with_pods`]: the cluster that the tests of a binary share; [`shared`]: the same, for tests that do with less;
//!   [`own`]: one more, for tests that make it fail;
//! - [`tools`]: how the programs are built; [`netns`]: the network namespace in which all of it happens;
//! - [`process`]: the running cluster and its commands; [`kubectl`]: objects, charts, kubeconfigs;
//! - [`bare`]: without Go but with `KUBEBUILDER_ASSETS`, etcd and an API server alone. Nothing turns Deployments into Pods
//!   then, nor Services into EndpointSlices, and there is no front: [`Cluster::has_controllers`].
//!
//! Where a cluster cannot run, all of them give `None`, say on standard error what is missing, and end the test when the
//! environment has `CI`. A test is thus `let Some(cluster) = cluster::with_pods() else { return };`, and begins with it:
//! that call takes the test's thread into the network namespace, and whatever the test starts or connects to from then on
//! is inside.

pub mod bare;
pub mod kubectl;
pub mod netns;
pub mod process;
pub mod tools;

use std::io::{self, Write};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicUsize, Ordering};

pub use kubectl::{Output, Way};
pub use process::Cluster;
use tools::Programs;

/// What a cluster is started with.
#[derive(Clone, Debug)]
pub struct Options {
    pub nodes: usize,
    /// Programs that run for images: name, command. `kubectl` and `sh` are always there.
    pub images: Vec<(String, String)>,
    /// Their environment: name of the image, `KEY=VALUE`, in which `$(POD_IP)` is the Pod's address.
    pub image_env: Vec<(String, String)>,
    /// More arguments of `testcluster serve`.
    pub args: Vec<String>,
}

impl Default for Options {
    /// Two nodes, and this package's binary for images named `portcullis`. All Pods are on one machine, so each is told
    /// to listen on its own address only.
    fn default() -> Self {
        let image = |value: &str| ("portcullis".to_owned(), value.to_owned());
        Self {
            nodes: 2,
            images: vec![image(env!("CARGO_BIN_EXE_portcullis"))],
            image_env: ["HTTP_ADDRESS", "HTTPS_ADDRESS", "HEALTHZ_HOST"]
                .map(|name| image(&format!("PORTCULLIS_{name}=$(POD_IP)")))
                .to_vec(),
            args: Vec::new(),
        }
    }
}

/// The cluster that the tests of this binary share, complete; it ends with the process. Only for tests that leave it
/// working: the front and the processes of the cluster are everybody's.
pub fn with_pods() -> Option<&'static Cluster> {
    let cluster = shared()?;
    if cluster.has_controllers() { Some(cluster) } else { skip(ONLY_BARE.to_owned()) }
}

/// The same for tests that need no more than an API server, and make what controllers would make.
pub fn shared() -> Option<&'static Cluster> {
    static SHARED: LazyLock<Result<Cluster, String>> = LazyLock::new(|| start(&Options::default()));
    let cluster = SHARED.as_ref().map_err(Clone::clone);
    // The thread that made it is inside; this may be another one.
    cluster.and_then(|cluster| netns::enter().map(|()| cluster)).map_or_else(skip, Some)
}

const ONLY_BARE: &str = "Without Go there is an API server, but no controllers, no Pods and no front.";

/// A complete cluster of one's own, which ends when it is dropped.
pub fn own(options: &Options) -> Option<Cluster> {
    let complete =
        tools::programs().and_then(|programs| if programs.bare { Err(ONLY_BARE.to_owned()) } else { Ok(()) });
    complete.and_then(|()| start(options)).map_or_else(skip, Some)
}

fn start(options: &Options) -> Result<Cluster, String> {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    let programs: &Programs = tools::programs()?;
    netns::enter()?;
    // Beyond this point a failure is not the machine's, and ends the test.
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    Ok(Cluster::start(programs, options, number).unwrap_or_else(|e| panic!("the cluster did not start: {e}")))
}

/// Says why a test does not run; not by a macro, whose output the test runner keeps to itself. In CI the test fails.
pub fn skip<T>(reason: String) -> Option<T> {
    let test = std::thread::current().name().unwrap_or("a test").to_owned();
    let text = format!(
        "\n!!! NOT TESTED: {test} needs a Kubernetes cluster that cannot run here.\n!!! {reason}\n\
         !!! Wanted: Go 1.26 and its modules, iproute2, and root or `unshare -rn cargo test --test in_cluster`.\n"
    );
    assert!(!in_ci(), "{text}");
    let _ = io::stderr().write_all(text.as_bytes());
    None
}

fn in_ci() -> bool {
    std::env::var("CI").is_ok_and(|value| !matches!(value.as_str(), "" | "0" | "false"))
}
