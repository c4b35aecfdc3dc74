//! A Prometheus of the test's own.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

use crate::kit::{DEADLINE, Raw, Upstream, eventually};

/// One series, or one sample of a result: its labels.
pub type Labels = BTreeMap<String, String>;

/// It is killed when dropped.
pub struct Prometheus {
    child: Child,
    address: SocketAddr,
    directory: TempDir,
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The program on the path, else the one that the script unpacks.
fn program() -> Result<String, String> {
    if Command::new("prometheus").arg("--version").output().is_ok_and(|output| output.status.success()) {
        return Ok("prometheus".to_owned());
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let output = Command::new(root.join("tests/prometheus/install.sh"))
        .arg(Path::new(env!("CARGO_TARGET_TMPDIR")).join("prometheus"))
        .output()
        .map_err(|error| error.to_string())?;
    match output.status.success() {
        true => Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned()),
        false => Err(String::from_utf8_lossy(&output.stderr).into_owned()),
    }
}

impl Prometheus {
    /// One that scrapes `target` each second; `None`, after saying so, where there is no program for it.
    pub fn start(target: SocketAddr) -> Option<Self> {
        let program = match program() {
            Ok(program) => program,
            Err(reason) => {
                let text = format!("SKIPPED: there is no prometheus here, so nothing was proved: {reason}");
                assert!(std::env::var("CI").as_deref() != Ok("true"), "{text}");
                // Past what the test harness captures.
                let _ = writeln!(std::io::stderr(), "{text}");
                return None;
            }
        };
        let directory = tempfile::tempdir().unwrap();
        let port = target.port();
        // The target has a namespace of its own, as one that is found in a cluster; without honor_labels the metrics'
        // own becomes `exported_namespace`.
        let job = |name: &str, honor: bool| {
            format!(
                "- job_name: {name}\n  honor_labels: {honor}\n  static_configs:\n  - targets: ['127.0.0.1:{port}']\n    labels: {{namespace: ingress-nginx}}\n"
            )
        };
        let config = format!(
            "global: {{scrape_interval: 1s, scrape_timeout: 1s}}\nscrape_configs:\n{}{}",
            job("default", false),
            job("honor", true)
        );
        let file = directory.path().join("prometheus.yml");
        std::fs::write(&file, config).unwrap();
        let address = Upstream::free_port("127.0.0.1".parse().unwrap());
        let log = std::fs::File::create(directory.path().join("log")).unwrap();
        let child = Command::new(program)
            .arg(format!("--config.file={}", file.display()))
            .arg(format!("--storage.tsdb.path={}", directory.path().join("data").display()))
            .arg(format!("--web.listen-address={address}"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("prometheus starts");
        let this = Self { child, address, directory };
        let ready = eventually(DEADLINE, || {
            // Nothing listens at first, and that ends no test.
            std::net::TcpStream::connect(address).ok()?;
            (Raw::connect(address).get("prometheus", "/-/ready").status == 200).then_some(())
        });
        assert!(ready.is_some(), "prometheus is not ready: {}", this.log());
        Some(this)
    }

    pub fn log(&self) -> String {
        std::fs::read_to_string(self.directory.path().join("log")).unwrap_or_default()
    }

    /// The labels of an instant query's samples, but for those that are no number. An error ends the test.
    pub fn query(&self, query: &str) -> Vec<Labels> {
        let result = self.ask("query", "query", query);
        let samples = result["result"].as_array().cloned().unwrap_or_default();
        let is_number = |sample: &&serde_json::Value| sample["value"][1].as_str() != Some("NaN");
        samples.iter().filter(is_number).map(|sample| labels(&sample["metric"])).collect()
    }

    /// The series of a name, of the job without honor_labels.
    pub fn series(&self, name: &str) -> Vec<Labels> {
        let data = self.ask("series", "match[]", &format!("{name}{{job=\"default\"}}"));
        data.as_array().map(|list| list.iter().map(labels).collect()).unwrap_or_default()
    }

    /// Waits for two scrapes from now on.
    pub fn scraped_again(&self) -> bool {
        let scrapes = |this: &Self| {
            let result = this.ask("query", "query", "count_over_time(up{job=\"default\"}[10m])");
            result["result"][0]["value"][1].as_str().and_then(|n| n.parse::<u64>().ok()).unwrap_or_default()
        };
        let before = scrapes(self);
        eventually(DEADLINE, || (scrapes(self) >= before + 2).then_some(())).is_some()
    }

    fn ask(&self, what: &str, key: &str, value: &str) -> serde_json::Value {
        let escape = |text: &str| text.bytes().map(|byte| format!("%{byte:02X}")).collect::<String>();
        let target = format!("/api/v1/{what}?{}={}", escape(key), escape(value));
        let response = Raw::connect(self.address).get("prometheus", &target);
        let answer: serde_json::Value = serde_json::from_slice(&response.body).expect("JSON");
        assert_eq!(answer["status"], "success", "{value}: {answer}");
        answer["data"].clone()
    }
}

fn labels(metric: &serde_json::Value) -> Labels {
    let pairs = metric.as_object().cloned().unwrap_or_default();
    pairs.into_iter().map(|(name, value)| (name, value.as_str().unwrap_or_default().to_owned())).collect()
}
