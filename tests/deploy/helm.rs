//! The chart, rendered by a real helm.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;

use serde_json::Value;

use crate::kit::cluster::{self, tools};

/// The version that capabilities are taken from; a helm without a release's build flags would claim an old one.
const KUBERNETES: &str = "1.33.0";
/// Release and namespace of every rendering.
pub const RELEASE: &str = "portcullis";
pub const NAMESPACE: &str = "edge";

pub fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

pub fn chart() -> PathBuf {
    root().join("deploy/helm/portcullis")
}

pub fn read(path: impl AsRef<Path>) -> String {
    let path = root().join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The helm binary: `HELM`, or the one that is built from the Go module in tests/cluster.
pub fn helm() -> Option<PathBuf> {
    std::env::var_os("HELM").map(PathBuf::from).or_else(|| tool("helm"))
}

/// A program that is built from the Go module in tests/cluster. Without it there is nothing to test with: loudly nothing
/// on a developer's machine, a failure where `CI` is set.
pub fn tool(name: &str) -> Option<PathBuf> {
    let built = tools::programs().and_then(|programs| match programs.path(name) {
        program if program.is_file() => Ok(program),
        _ => Err("only etcd and an API server are there".to_owned()),
    });
    built.map_or_else(|reason| cluster::skip(format!("{name}: {reason}")), Some)
}

/// The documents of a YAML text, those that hold nothing left out.
pub fn documents(text: &str) -> Vec<Value> {
    let all: Vec<Value> = serde_saphyr::from_multiple(text).unwrap_or_else(|error| panic!("{error}\n{text}"));
    all.into_iter().filter(|v| !v.is_null()).collect()
}

/// The chart with one template more: helm shows NOTES.txt after an installation alone, so it is rendered as an object.
fn with_notes() -> &'static Path {
    static COPY: OnceLock<tempfile::TempDir> = OnceLock::new();
    let copy = COPY.get_or_init(|| {
        let copy = tempfile::tempdir().unwrap();
        copy_tree(&chart(), copy.path());
        let notes = read(chart().join("templates/NOTES.txt"));
        let object = "kind: Notes\nmetadata: {name: notes}\ntext: |\n  {{- include \"notes\" . | nindent 2 }}\n";
        let template = format!("{{{{- define \"notes\" -}}}}\n{notes}{{{{- end -}}}}\napiVersion: v1\n{object}");
        std::fs::write(copy.path().join("templates/notes.yaml"), template).unwrap();
        copy
    });
    copy.path()
}

fn copy_tree(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy_tree(&path, &target);
        } else {
            std::fs::copy(&path, &target).unwrap();
        }
    }
}

/// Runs `helm COMMAND` on the chart with these values.
fn run(helm: &Path, before: &[&str], chart: &Path, values: &Value) -> Output {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), values.to_string()).unwrap();
    let mut command = Command::new(helm);
    command.args(before).arg(chart).args(["--namespace", NAMESPACE, "--kube-version", KUBERNETES, "--values"]);
    command.arg(file.path()).output().unwrap()
}

/// What the chart makes of the values: its objects, the notes among them, or what helm says against it.
pub fn template(helm: &Path, values: &Value) -> Result<Vec<Value>, String> {
    let output = run(helm, &["template", RELEASE], with_notes(), values);
    if output.status.success() {
        Ok(documents(&String::from_utf8(output.stdout).unwrap()))
    } else {
        Err(String::from_utf8_lossy(&output.stderr).into_owned())
    }
}

/// What `helm lint --strict` says; empty when it is content.
pub fn lint(helm: &Path, values: &Value) -> String {
    let output = run(helm, &["lint", "--strict"], &chart(), values);
    let said = [output.stdout, output.stderr].concat();
    if output.status.success() { String::new() } else { String::from_utf8_lossy(&said).into_owned() }
}
