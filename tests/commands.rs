//! The commands beside `run`, as a person types them.

#![allow(clippy::expect_used, clippy::unwrap_used, reason = "a test's helpers may end it, too")]

mod kit;

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use kit::{Ingress, Manifests, Raw, Upstream};

fn portcullis(arguments: &[&str], input: Option<&str>) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_portcullis"));
    command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(input.unwrap_or_default().as_bytes()).unwrap();
    drop(stdin);
    child.wait_with_output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn validate_names_file_line_and_reason() {
    let upstream = Upstream::start("one");
    let manifests = Manifests::new();
    manifests.upstream(&upstream).ingress(&Ingress::new("web").rule("a.test", "/", "one"));
    let directory = manifests.path().to_str().unwrap().to_owned();
    let good = portcullis(&["validate", &directory], None);
    assert_eq!(good.status.code(), Some(0), "{}", text(&good.stdout));
    assert!(text(&good.stdout).ends_with("0 errors, 0 warnings\n"));

    manifests.write("odd.yaml", &Ingress::new("odd").rule("b.test", "/", "one").nginx("ssl-redirct", "true").yaml());
    let odd = portcullis(&["validate", &directory], None);
    assert_eq!(odd.status.code(), Some(1));
    let said = text(&odd.stdout);
    assert!(said.contains("odd.yaml:1: warning: Ingress default/odd: ") && said.contains("ssl-redirect"), "{said}");

    manifests.write("bad.yaml", "apiVersion: v1\nkind: Service\nmetadata:\n  name: [x\n");
    let bad = portcullis(&["validate", &directory], None);
    assert_eq!(bad.status.code(), Some(2));
    assert!(text(&bad.stdout).contains("bad.yaml:4: error: "), "{}", text(&bad.stdout));
}

#[test]
fn validate_reads_standard_input_and_single_files() {
    let yaml = Ingress::new("web").rule("a.test", "/", "gone").yaml();
    let piped = portcullis(&["validate", "-"], Some(&yaml));
    assert_eq!(piped.status.code(), Some(1), "{}", text(&piped.stdout));
    assert!(text(&piped.stdout).contains("the Service does not exist"), "{}", text(&piped.stdout));
    let demo = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/demo");
    let all = portcullis(&["validate", demo.to_str().unwrap()], None);
    assert_eq!(all.status.code(), Some(0), "the demo's manifests are without fault: {}", text(&all.stdout));
    let one = portcullis(&["validate", demo.join("20-shop.yaml").to_str().unwrap()], None);
    assert_eq!(one.status.code(), Some(1), "{}", text(&one.stdout));
}

#[test]
fn mistakes_are_named() {
    let rows = [
        (&["run", "--http-prot=80"][..], "did you mean --http-port?"),
        (&["run", "--http-port=eighty"], "--http-port"),
        (&["run"], "--manifests"),
        (&["run", "--manifests", "/nowhere/at/all"], "/nowhere/at/all"),
        (&["fly"], "unknown command"),
        (&["run", "--manifests=m", "--watch-namespace-selector=a=b"], "exclude each other"),
    ];
    for (arguments, expected) in rows {
        let output = portcullis(arguments, None);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(text(&output.stderr).contains(expected), "{arguments:?}: {}", text(&output.stderr));
    }
}

#[test]
fn help_version_and_the_effective_config() {
    assert!(text(&portcullis(&["--version"], None).stdout).starts_with("portcullis "));
    assert!(text(&portcullis(&["help"], None).stdout).contains("validate"));
    assert!(text(&portcullis(&["run", "--help"], None).stdout).contains("--default-ssl-certificate"));
    let config = text(&portcullis(&["run", "--http-port=81", "--print-config"], None).stdout);
    assert!(config.contains("http-port: 81"), "{config}");
}

/// `cargo run --release -- demo` is the README's first command: it starts with nothing but the binary.
#[test]
fn the_demo_serves_what_it_invites_to() {
    let directory = tempfile::tempdir().unwrap();
    let ready = directory.path().join("ready.json");
    let arguments = ["demo", "--http-port=0", "--https-port=0", "--healthz-port=0", "--http-address=127.0.0.1"];
    let mut command = Command::new(env!("CARGO_BIN_EXE_portcullis"));
    command.args(arguments).arg("--https-address=127.0.0.1").arg("--ready-file").arg(&ready);
    // Away from the source tree, so that the manifests compiled in are the ones that are served.
    let mut child = command.current_dir(directory.path()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let started = kit::eventually(Duration::from_secs(20), || std::fs::read_to_string(&ready).ok());
    let outcome = std::panic::catch_unwind(|| {
        let addresses: serde_json::Value = serde_json::from_str(&started.expect("the demo's ports are free")).unwrap();
        let at = |which: &str| addresses[which][0].as_str().unwrap().parse().unwrap();
        let get = |host: &str, target: &str| Raw::connect(at("http")).get(host, target);
        assert!(get("api.demo.localhost", "/v1/orders").text().contains("backend: api"));
        assert!(get("api.demo.localhost", "/v1/status").text().contains("backend: shop"));
        assert!(get("blog.demo.localhost", "/posts/2026/hello").text().contains("GET /2026/hello "));
        assert!(get("search.demo.localhost", "/ITEMS/42").text().contains("backend: api"));
        assert_eq!(get("shop.demo.localhost", "/basket").status, 308);
        assert_eq!(get("x.apps.demo.localhost", "/").status, 308);
        assert_eq!(get("nobody.demo.localhost", "/").status, 404);
        let tls =
            Raw::connect_tls(at("https"), "shop.demo.localhost", &["http/1.1"]).get("shop.demo.localhost", "/basket");
        assert!(tls.text().contains("backend: shop") && tls.header("strict-transport-security").is_some());
    });
    child.kill().unwrap();
    child.wait().unwrap();
    if let Err(failure) = outcome {
        std::panic::resume_unwind(failure);
    }
}
