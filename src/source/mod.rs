//! Where snapshots come from: a directory of Kubernetes YAML, read again whenever its files change.
//!
//! It owns reading, watching and keeping the last good version of each file. It must not know what a snapshot is
//! used for: nothing here knows of annotations, routes or the proxy. It may use base, snapshot, notify and tokio.

pub mod directory;
pub mod manifest;
pub mod watch;

pub use directory::{Directory, Input, Scan, load_once};
pub use manifest::{Format, Manifest, ManifestError};
pub use watch::{SourceError, WatchGuard, spawn};
