//! A directory followed: a thread that looks again whenever something changed, and sends each scan that differs.
//!
//! The kernel's events only say "look again"; what changed is always found by a scan. So an event too many costs a
//! look at the metadata, and one too few a delay of [`FALLBACK`].

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};
use std::{fs, io, thread};

use notify::event::{AccessKind, AccessMode, ModifyKind};
use notify::{EventKind, RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::watch;

use super::directory::{Directory, FileId, Places, Scan};

/// How long events must pause before a look, so that one save is one look.
const QUIET: Duration = Duration::from_millis(10);
/// The longest that a stream of events delays a look.
const PATIENCE: Duration = Duration::from_millis(100);
/// How often to look without events: network file systems have none, and a full queue loses some.
const FALLBACK: Duration = Duration::from_secs(2);
/// How often to look when the kernel grants no watches.
const POLL: Duration = Duration::from_millis(250);
/// How soon to look again at a file that is being written.
const UNSETTLED: Duration = Duration::from_millis(20);
/// Rounds of "a new folder may have filled before it was watched" before the next event or fallback takes over.
const CATCH_UP: usize = 8;

/// Why a directory cannot be followed at all.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    #[error("{}: {error}", path.display())]
    Root { path: PathBuf, error: io::Error },
    #[error("cannot start the thread that follows the manifests: {0}")]
    Thread(io::Error),
}

/// Following ends when this is dropped.
#[derive(Debug)]
pub struct WatchGuard {
    signals: Sender<Signal>,
}

impl Drop for WatchGuard {
    fn drop(&mut self) {
        // An error says that the thread has ended already.
        let _ = self.signals.send(Signal::Stop);
    }
}

#[derive(Debug)]
enum Signal {
    /// `None` when events were lost.
    Event(Option<notify::Event>),
    Stop,
}

/// Follows the directory `root` on a thread of its own. The receiver holds the first scan, then each that differs
/// from the one before it; a slow reader finds the newest.
///
/// It blocks until the first scan is done: call it outside the runtime or in `spawn_blocking`. A root that cannot be
/// read now is an error; one that vanishes later is a diagnostic.
pub fn spawn(root: PathBuf) -> Result<(watch::Receiver<Arc<Scan>>, WatchGuard), SourceError> {
    if let Err(error) = fs::read_dir(&root) {
        return Err(SourceError::Root { path: root, error });
    }
    let (signals, events) = channel();
    let mut follower = Follower::new(root, &signals);
    let (scans, receiver) = watch::channel(Arc::new(follower.directory.scan()));
    let guard = WatchGuard { signals };
    let follow = move || {
        follower.look(&scans);
        follower.run(&events, &scans);
    };
    thread::Builder::new().name("manifests".into()).spawn(follow).map_err(SourceError::Thread)?;
    Ok((receiver, guard))
}

struct Follower {
    directory: Directory,
    watches: Watches,
    unsettled: bool,
}

impl Follower {
    fn new(root: PathBuf, signals: &Sender<Signal>) -> Self {
        Self { directory: Directory::new(root), watches: Watches::new(signals.clone()), unsettled: false }
    }

    fn run(&mut self, events: &Receiver<Signal>, scans: &watch::Sender<Arc<Scan>>) {
        while self.wait(events) && !scans.is_closed() {
            self.look(scans);
        }
    }

    /// Waits until it is time to look; `false` to end.
    fn wait(&mut self, events: &Receiver<Signal>) -> bool {
        let idle = match () {
            () if self.unsettled => UNSETTLED,
            () if self.watches.complete => FALLBACK,
            () => POLL,
        };
        let mut until = Instant::now() + idle;
        let mut first = None;
        loop {
            match events.recv_timeout(until.saturating_duration_since(Instant::now())) {
                Ok(Signal::Event(event)) if self.watches.matter(event.as_ref()) => {
                    let now = Instant::now();
                    until = (now + QUIET).min(*first.get_or_insert(now) + PATIENCE);
                }
                Ok(Signal::Event(_)) => {}
                Err(RecvTimeoutError::Timeout) => return true,
                Ok(Signal::Stop) | Err(RecvTimeoutError::Disconnected) => return false,
            }
        }
    }

    /// Looks, sends what differs, and looks once more when there are new folders: they may have filled unwatched.
    fn look(&mut self, scans: &watch::Sender<Arc<Scan>>) {
        for _ in 0..CATCH_UP {
            let scan = self.directory.scan();
            self.unsettled = scan.unsettled;
            if scan.changed {
                scans.send_replace(Arc::new(scan));
            }
            if !self.watches.update(self.directory.places()) {
                return;
            }
        }
    }
}

/// The kernel's watches, one for each folder that matters.
struct Watches {
    /// Absent when the kernel grants no instance.
    watcher: Option<RecommendedWatcher>,
    /// Canonical folders; the identity tells a folder from its successor of the same name.
    watched: BTreeMap<PathBuf, FileId>,
    places: Places,
    /// Every folder has its watch.
    complete: bool,
}

impl Watches {
    fn new(signals: Sender<Signal>) -> Self {
        let handler = move |event: notify::Result<notify::Event>| {
            // An error says that the thread has ended.
            let _ = signals.send(Signal::Event(event.ok().filter(|event| !event.need_rescan())));
        };
        let watcher = notify::recommended_watcher(handler).inspect_err(warn_polling).ok();
        let complete = watcher.is_some();
        Self { watcher, watched: BTreeMap::new(), places: Places::default(), complete }
    }

    /// Whether an event may be about a manifest. A watch that it ends is forgotten, to be set anew.
    fn matter(&mut self, event: Option<&notify::Event>) -> bool {
        let Some(event) = event else { return true };
        match event.kind {
            // Reading makes events too, ours among them.
            EventKind::Access(AccessKind::Close(AccessMode::Write)) => {}
            EventKind::Access(_) => return false,
            EventKind::Remove(_) | EventKind::Modify(ModifyKind::Name(_)) => {
                self.watched.retain(|folder, _| !event.paths.contains(folder));
            }
            _ => {}
        }
        let Places { folders, links } = &self.places;
        let in_folder = |path: &Path| path.parent().is_some_and(|folder| folders.contains_key(folder));
        event.paths.iter().any(|path| links.contains(path) || folders.contains_key(path) || in_folder(path))
    }

    /// Sets and removes watches so that `places` are covered; `true` when one was set.
    fn update(&mut self, places: &Places) -> bool {
        self.places = places.clone();
        let Some(watcher) = &mut self.watcher else { return false };
        let wanted = wanted(places);
        self.watched.retain(|folder, _| {
            // A watch of a folder that is gone is gone with it, hence no error to report.
            let keep = wanted.contains_key(folder);
            if !keep {
                let _ = watcher.unwatch(folder);
            }
            keep
        });
        let was_complete = std::mem::replace(&mut self.complete, true);
        let mut added = false;
        for (folder, id) in wanted {
            if self.watched.get(&folder) == Some(&id) {
                continue;
            }
            if self.watched.remove(&folder).is_some() {
                let _ = watcher.unwatch(&folder);
            }
            match watcher.watch(&folder, RecursiveMode::NonRecursive) {
                Ok(()) => {
                    self.watched.insert(folder, id);
                    added = true;
                }
                // Removed since the scan; its parent's event follows.
                Err(error) if is_gone(&error) => {}
                Err(error) => {
                    if was_complete {
                        warn_polling(&error);
                    }
                    self.complete = false;
                    break;
                }
            }
        }
        added
    }
}

/// Folders to watch: those that were read, and those that hold a link or what a link leads to.
fn wanted(places: &Places) -> BTreeMap<PathBuf, FileId> {
    let holders: BTreeSet<&Path> = places.links.iter().filter_map(|link| link.parent()).collect();
    let holders = holders.into_iter().filter(|folder| !places.folders.contains_key(*folder));
    let holders = holders.filter_map(|folder| Some((folder.to_owned(), FileId::of(&fs::metadata(folder).ok()?))));
    places.folders.clone().into_iter().chain(holders).collect()
}

fn is_gone(error: &notify::Error) -> bool {
    match &error.kind {
        notify::ErrorKind::PathNotFound => true,
        notify::ErrorKind::Io(error) => error.kind() == io::ErrorKind::NotFound,
        _ => false,
    }
}

fn warn_polling(error: &notify::Error) {
    tracing::warn!(%error, interval = ?POLL, "no file events for the manifests (see fs.inotify limits): polling");
}

#[cfg(test)]
mod tests;
