//! One stream of updates, whatever they come from.

use std::path::PathBuf;
use std::sync::Arc;

use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use super::{Change, Cluster, Scan, SourceError, Update, WatchGuard};

/// Where updates come from.
#[derive(Debug)]
pub enum Feed {
    Directory(Follow),
    Cluster(Box<Cluster>),
}

/// A directory that is followed.
#[derive(Debug)]
pub struct Follow {
    scans: watch::Receiver<Arc<Scan>>,
    /// What was handed on last.
    last: Option<Arc<Scan>>,
    _guard: WatchGuard,
}

impl Feed {
    /// Follows a directory. Blocks for its first scan.
    pub fn directory(root: PathBuf) -> Result<Self, SourceError> {
        let (scans, guard) = super::spawn(root)?;
        Ok(Self::Directory(Follow { scans, last: None, _guard: guard }))
    }

    /// The first update as soon as everything is known, then whenever something changed; `None` when the source has
    /// ended. Changes of routes are not handed on before `routes_from`. Dropping the future loses nothing.
    pub async fn next(&mut self, routes_from: Option<Instant>) -> Option<Update> {
        match self {
            Self::Directory(follow) => {
                if let Some(at) = routes_from {
                    sleep_until(at).await;
                }
                follow.next().await
            }
            Self::Cluster(cluster) => cluster.next(routes_from).await,
        }
    }
}

impl Follow {
    async fn next(&mut self) -> Option<Update> {
        if self.last.is_some() {
            self.scans.changed().await.ok()?;
        }
        let scan = Arc::clone(&self.scans.borrow_and_update());
        let mut update = Update::from(Scan::clone(&scan));
        if let Some(last) = self.last.replace(scan) {
            update.change = Change::between(&last.snapshot, &update.snapshot);
            update.change.routes |= last.diagnostics != update.diagnostics;
        }
        Some(update)
    }
}
