//! The programs of a cluster, built once for each state of their sources, into `target/testcluster`.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::LazyLock;
use std::time::Instant;

use sha1::{Digest, Sha1};

/// Of the Kubernetes that go.mod requires; the programs do not know it unless they are told when they are linked.
const MODULE: &str = "k8s.io/kubernetes v1";

/// Less memory than this, in KiB, and the compiler collects its garbage: it takes longer then.
const ENOUGH_MEMORY: u64 = 6 << 20;

/// Names a directory with etcd, kube-apiserver and kubectl, as controller-runtime's setup-envtest fills it.
const ASSETS: &str = "KUBEBUILDER_ASSETS";

/// Where the programs are.
#[derive(Debug)]
pub struct Programs {
    dir: PathBuf,
    /// Nothing but an API server: no controllers, Pods, front, helm.
    pub bare: bool,
}

impl Programs {
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }
}

/// Builds them, if nobody has, or says why that is impossible.
pub fn programs() -> Result<&'static Programs, String> {
    static PROGRAMS: LazyLock<Result<Programs, String>> =
        LazyLock::new(|| assets().map_or_else(build, Ok).map_err(|e| format!("Its programs cannot be built: {e}.")));
    PROGRAMS.as_ref().map_err(Clone::clone)
}

/// Programs that somebody else built, when there is no Go to build our own with.
fn assets() -> Option<Programs> {
    let go = Command::new("go").arg("version").stdout(Stdio::null()).stderr(Stdio::null()).status();
    let dir = PathBuf::from(std::env::var_os(ASSETS)?);
    let complete = ["etcd", "kube-apiserver", "kubectl"].iter().all(|name| dir.join(name).is_file());
    (go.is_err() && complete).then_some(Programs { dir, bare: true })
}

fn build() -> Result<Programs, String> {
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cluster");
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("testcluster");
    fs::create_dir_all(&target).map_err(|e| e.to_string())?;
    let digest = digest(&sources).map_err(|e| e.to_string())?;
    let programs = Programs { dir: target.join(&digest), bare: false };
    // Test processes run side by side; whoever comes second waits and finds it done.
    let lock = File::create(target.join("lock")).map_err(|e| e.to_string())?;
    lock.lock().map_err(|e| e.to_string())?;
    if !programs.dir.is_dir() {
        let begin = Instant::now();
        tell("building the test cluster's programs from Go modules; the first time takes minutes");
        let unfinished = target.join("unfinished");
        let _ = fs::remove_dir_all(&unfinished);
        compile(&sources, &unfinished)?;
        forget_others(&target, &digest);
        fs::rename(&unfinished, &programs.dir).map_err(|e| e.to_string())?;
        tell(&format!("built the test cluster's programs in {} s", begin.elapsed().as_secs()));
    }
    Ok(programs)
}

/// One `go build` for everything, so that packages are compiled once. Settings that change a package's code are the same
/// for all, or it would be compiled anew.
fn compile(sources: &Path, into: &Path) -> Result<(), String> {
    let module = fs::read_to_string(sources.join("go.mod")).map_err(|e| e.to_string())?;
    let version = module
        .lines()
        .find_map(|line| line.trim().strip_prefix(MODULE))
        .ok_or_else(|| format!("go.mod does not require {MODULE}"))?;
    let link = format!(
        "-s -w -X k8s.io/component-base/version.gitVersion=v1{version} \
         -X portcullis.dev/testcluster/supervise.Version=v1{version}"
    );
    let output = Command::new("go")
        .current_dir(sources)
        .args(["build", "-trimpath", "-gcflags=all=-dwarf=false", "-ldflags", &link, "-o"])
        // With a slash at its end it is a directory.
        .arg(into.join(""))
        .args(["./cmd/...", "k8s.io/kubernetes/cmd/kubectl", "helm.sh/helm/v4/cmd/helm"])
        .env("CGO_ENABLED", "0")
        .env("GOFLAGS", "-buildvcs=false")
        .env("GOGC", if memory() < ENOUGH_MEMORY { "100" } else { "off" })
        .stdin(Stdio::null())
        .output()
        .map_err(|e| format!("go: {e}"))?;
    if !output.status.success() {
        let text = String::from_utf8_lossy(&output.stderr);
        let end: Vec<&str> = text.lines().rev().take(20).collect();
        return Err(format!("go build: {}\n{}", output.status, end.into_iter().rev().collect::<Vec<_>>().join("\n")));
    }
    Ok(())
}

/// Of everything that is compiled, names included.
fn digest(sources: &Path) -> io::Result<String> {
    fn walk(dir: &Path, into: &mut Vec<PathBuf>) -> io::Result<()> {
        for entry in fs::read_dir(dir)? {
            let path = entry?.path();
            if path.is_dir() {
                walk(&path, into)?;
            } else if path.extension().is_some_and(|e| ["go", "args", "mod", "sum"].iter().any(|known| e == *known)) {
                into.push(path);
            }
        }
        Ok(())
    }
    let mut files = Vec::new();
    walk(sources, &mut files)?;
    files.sort();
    let mut hash = Sha1::new();
    for file in files {
        let text = fs::read(&file)?;
        hash.update(file.strip_prefix(sources).unwrap_or(&file).as_os_str().as_encoded_bytes());
        hash.update(text.len().to_le_bytes());
        hash.update(text);
    }
    Ok(hash.finalize().iter().take(8).map(|byte| format!("{byte:02x}")).collect())
}

/// What older sources gave is of no use: it is hundreds of megabytes.
fn forget_others(target: &Path, keep: &str) {
    for entry in fs::read_dir(target).into_iter().flatten().flatten() {
        if entry.path().is_dir() && entry.file_name() != keep && entry.file_name() != "unfinished" {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

/// Available memory in KiB; plenty, where it is not known.
fn memory() -> u64 {
    let text = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:"));
    line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok()).unwrap_or(u64::MAX)
}

/// Past the test runner, which keeps the output of tests that pass.
fn tell(text: &str) {
    let _ = writeln!(io::stderr(), "=== {text}");
}
