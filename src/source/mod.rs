//! Where snapshots come from: a directory of Kubernetes YAML, or a cluster.
//!
//! It owns reading, watching and keeping the last good version of what cannot be read. It must not know what a snapshot
//! is used for: nothing here knows of annotations, routes or the proxy. It may use base, snapshot, notify, kube and
//! tokio.

pub mod cluster;
pub mod directory;
pub mod feed;
pub mod manifest;
pub mod update;
pub mod watch;

pub use cluster::Cluster;
pub use directory::{Directory, Input, Scan, load_once};
pub use feed::Feed;
pub use manifest::{Format, Manifest, ManifestError};
pub use update::{Change, Update};
pub use watch::{SourceError, WatchGuard, spawn};
