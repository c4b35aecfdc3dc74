//! `portcullis wait-shutdown`: a preStop hook in an image without a shell. It asks the proxy to end and waits until it
//! has, so that the container lives for as long as requests do (contract §19).

use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

/// Why there is nothing to wait for, or no waiting.
#[derive(Debug, thiserror::Error)]
pub enum WaitError {
    #[error("wait-shutdown: no other process of this container runs portcullis")]
    NotRunning,
    #[error("wait-shutdown: several processes run portcullis here ({0:?}): it is meant for a container of its own")]
    Several(Vec<i32>),
    #[error("wait-shutdown: {0}")]
    System(#[from] io::Error),
}

/// Ends the one other portcullis that sees the same files, which in a container is the proxy, and waits for its end.
pub fn wait_shutdown() -> Result<(), WaitError> {
    let found = others()?;
    let pid = match found.as_slice() {
        [] => return Err(WaitError::NotRunning),
        [pid] => *pid,
        several => return Err(WaitError::Several(several.iter().map(|pid| pid.as_raw_nonzero().get()).collect())),
    };
    let process = match pidfd_open(pid, PidfdFlags::empty()) {
        Ok(process) => process,
        // It has ended since it was found.
        Err(rustix::io::Errno::SRCH) => return Ok(()),
        Err(error) => return Err(io::Error::from(error).into()),
    };
    match pidfd_send_signal(&process, Signal::TERM) {
        Ok(()) | Err(rustix::io::Errno::SRCH) => {}
        Err(error) => return Err(io::Error::from(error).into()),
    }
    let mut ended = [PollFd::new(&process, PollFlags::IN)];
    loop {
        match poll(&mut ended, None) {
            Ok(_) => return Ok(()),
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(io::Error::from(error).into()),
        }
    }
}

/// Processes in this mount namespace, which is a container's own, that run this very file.
fn others() -> io::Result<Vec<Pid>> {
    let own = Path::new("/proc/self");
    let (file, namespace) = (identity(own)?, std::fs::read_link(own.join("ns/mnt"))?);
    let me = rustix::process::getpid();
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc")? {
        let entry = entry?.path();
        let Some(pid) = pid(&entry).filter(|pid| *pid != me) else { continue };
        // Processes of others cannot be looked into, and are none of ours.
        let same_file = identity(&entry).is_ok_and(|other| other == file);
        let same_place = || std::fs::read_link(entry.join("ns/mnt")).is_ok_and(|other| other == namespace);
        if same_file && same_place() && !is_waiting(&entry) {
            found.push(pid);
        }
    }
    Ok(found)
}

fn pid(entry: &Path) -> Option<Pid> {
    Pid::from_raw(entry.file_name()?.to_str()?.parse().ok()?)
}

/// The file that a process runs, whatever it is called.
fn identity(process: &Path) -> io::Result<(u64, u64)> {
    std::fs::metadata(process.join("exe")).map(|file| (file.dev(), file.ino()))
}

/// Another hook that waits.
fn is_waiting(process: &Path) -> bool {
    let line = std::fs::read(process.join("cmdline")).unwrap_or_default();
    let mut words = line.split(|byte| *byte == 0).map(|word| PathBuf::from(String::from_utf8_lossy(word).into_owned()));
    let is_hook = |word: PathBuf| word.file_name().is_some_and(|name| name == "wait-shutdown");
    words.next().is_some_and(is_hook) || words.next().is_some_and(is_hook)
}
