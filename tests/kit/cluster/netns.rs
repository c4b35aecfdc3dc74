//! The network namespace of the test process: in it, every address of 10.0.0.0/8 is the machine's own, so that Pods, nodes
//! and Services have addresses that the API server takes (it refuses loopback ones in EndpointSlices).
//!
//! A thread that is made inside is inside, and so is a process. The runtime of the kit is made by whoever uses it first,
//! which is why every test of a binary with a cluster begins with [`enter`].

use std::cell::Cell;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::os::fd::AsFd;
use std::process::{Command, Stdio};
use std::sync::LazyLock;

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

/// With a local route any address of a range may be bound without being assigned first. The shell stays until its input
/// ends, which keeps the namespace until it is held open here.
const SETUP: &str = "ip link set lo up && ip route add local 10.0.0.0/8 dev lo && echo made && exec cat";

/// Takes the calling thread into the namespace; the error says why there is none.
pub fn enter() -> Result<(), String> {
    static NAMESPACE: LazyLock<Result<File, String>> = LazyLock::new(make);
    thread_local!(static INSIDE: Cell<bool> = const { Cell::new(false) });
    let namespace = NAMESPACE.as_ref().map_err(Clone::clone)?;
    if !INSIDE.get() {
        move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Network))
            .map_err(|e| format!("The network namespace cannot be entered: {e}."))?;
        INSIDE.set(true);
    }
    Ok(())
}

fn make() -> Result<File, String> {
    let mut child = Command::new("unshare")
        .args(["--net", "--", "sh", "-c", SETUP])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|e| format!("unshare cannot be run: {e}."))?;
    let mut line = String::new();
    if let Some(stdout) = child.stdout.take() {
        let _ = BufReader::new(stdout).read_line(&mut line);
    }
    let namespace = File::open(format!("/proc/{}/ns/net", child.id()));
    let output = child.wait_with_output().map_err(|e| e.to_string())?;
    if line.trim() != "made" {
        let why = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        return Err(format!("A network namespace cannot be made: {why}."));
    }
    namespace.map_err(|e| format!("The network namespace cannot be opened: {e}."))
}
