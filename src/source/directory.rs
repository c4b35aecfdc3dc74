//! A directory of manifests as a snapshot that is cheap to take again.
//!
//! Each file is a unit: it is read when its metadata says that it may have changed, it keeps its last good objects
//! while it is broken, and its objects keep their `Arc`s while they are equal, so that what is built from them can
//! be reused by pointer.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use crate::base::diagnostic::{Diagnostic, Origin, Reason, Severity};
use crate::snapshot::Snapshot;

use super::manifest::{self, Format, MAX_BYTES, Manifest, ManifestError};

mod assemble;
mod walk;

pub(crate) use walk::{FileId, Places};
use walk::{Stamp, Tree};

/// A write within this time of a file's metadata may leave them equal: file systems count in steps of up to 2 s.
const COARSEST_CLOCK: Duration = Duration::from_secs(2);
/// How long a file that was just emptied keeps its objects: a writer that truncates first writes soon after.
const EMPTY_GRACE: Duration = Duration::from_millis(60);

/// What one look at the files gave.
#[derive(Clone, Debug, Default)]
pub struct Scan {
    pub snapshot: Arc<Snapshot>,
    /// Everything that is wrong now, in path order, not only what is new.
    pub diagnostics: Vec<Diagnostic>,
    /// Snapshot or diagnostics differ from the scan before; the first scan differs.
    pub changed: bool,
    /// Files that cannot be read now, whose last good objects serve.
    pub broken_files: usize,
    /// Manifest files seen, broken ones included.
    pub files: usize,
    /// A file is being written: look again in some milliseconds.
    pub unsettled: bool,
}

/// Where manifests are read once.
#[derive(Clone, Copy, Debug)]
pub enum Input<'a> {
    /// A directory or a file of any name.
    Path(&'a Path),
    Stdin,
}

/// Reads once, for a check; what is wrong is in the scan's diagnostics.
pub fn load_once(input: Input<'_>) -> Scan {
    let (name, bytes, format) = match input {
        Input::Path(path) if path.is_dir() => return Directory::new(path.to_owned()).scan(),
        Input::Path(path) => {
            let format = path.extension().is_some().then(|| format_of(path));
            (path.display().to_string(), File::open(path).and_then(read_bounded), format)
        }
        Input::Stdin => ("-".to_owned(), read_bounded(io::stdin().lock()), None),
    };
    let name: Arc<str> = name.into();
    let result = bytes.map_err(|error| unreadable(&error)).and_then(|bytes| {
        let format = format.unwrap_or_else(|| Format::guess(&bytes));
        manifest::parse(&bytes, format, &name)
    });
    let mut tracked = Tracked::new(name);
    tracked.apply(result);
    assemble::assemble([&tracked].into_iter(), Vec::new())
}

/// A directory that is scanned again and again.
#[derive(Debug)]
pub struct Directory {
    root: PathBuf,
    files: BTreeMap<PathBuf, Tracked>,
    last: Option<Scan>,
    /// Folders that cannot be read.
    problems: Vec<Diagnostic>,
    places: Places,
}

/// A file as it was last seen.
#[derive(Debug)]
struct Tracked {
    /// As the user names it.
    name: Arc<str>,
    /// `None` while the next scan must read the file whatever its metadata says.
    stamp: Option<Stamp>,
    /// Hash of the bytes that `manifest` or `error` come from.
    hash: Option<u64>,
    /// The last good content.
    good: Manifest,
    /// Set while the file is broken.
    error: Option<ManifestError>,
}

impl Directory {
    /// A directory by the name that origins and messages use; nothing is read yet.
    pub fn new(root: PathBuf) -> Self {
        Self { root, files: BTreeMap::new(), last: None, problems: Vec::new(), places: Places::default() }
    }

    /// Looks at every file's metadata and reads those that may have changed.
    pub fn scan(&mut self) -> Scan {
        let Tree { files, unreadable, places, .. } = walk::walk(&self.root);
        let hidden = |path: &Path| unreadable.iter().any(|(folder, _)| path.starts_with(folder));
        let known = self.files.len();
        self.files.retain(|path, _| files.contains_key(path) || hidden(path));
        let mut touched = self.files.len() != known;
        let mut unsettled = false;
        for (path, stamp) in files {
            let name = || Tracked::new(path.display().to_string().into());
            let tracked = self.files.entry(path.clone()).or_insert_with(name);
            match tracked.refresh(&path, stamp) {
                Refresh::Same => {}
                Refresh::Changed => touched = true,
                Refresh::Unsettled => unsettled = true,
            }
        }
        self.places = places;
        let problems = unreadable.iter().map(|(folder, error)| folder_problem(folder, error)).collect();
        self.publish(touched, unsettled, problems)
    }

    /// Where changes since the last scan show.
    pub(crate) fn places(&self) -> &Places {
        &self.places
    }

    fn publish(&mut self, touched: bool, unsettled: bool, problems: Vec<Diagnostic>) -> Scan {
        let touched = touched || problems != self.problems;
        if let Some(last) = self.last.as_ref().filter(|_| !touched) {
            return Scan { changed: false, unsettled, ..last.clone() };
        }
        self.problems.clone_from(&problems);
        let mut scan = assemble::assemble(self.files.values(), problems);
        scan.unsettled = unsettled;
        if let Some(last) = &self.last {
            if scan.snapshot == last.snapshot {
                scan.snapshot = last.snapshot.clone();
            }
            scan.changed = !Arc::ptr_eq(&scan.snapshot, &last.snapshot) || scan.diagnostics != last.diagnostics;
        }
        self.last = Some(scan.clone());
        scan
    }
}

enum Refresh {
    Same,
    Changed,
    /// It is being written; the version before stays.
    Unsettled,
}

impl Tracked {
    fn new(name: Arc<str>) -> Self {
        Self { name, stamp: None, hash: None, good: Manifest::default(), error: None }
    }

    fn refresh(&mut self, path: &Path, seen: io::Result<Stamp>) -> Refresh {
        let read = match seen {
            Ok(stamp) if self.stamp == Some(stamp) => return Refresh::Same,
            Ok(_) => read_stable(path),
            Err(error) => Err(error),
        };
        let (bytes, stamp) = match read {
            Ok(read) => read,
            Err(error) => {
                (self.stamp, self.hash) = (None, None);
                return self.apply(Err(unreadable(&error)));
            }
        };
        let age = age(&stamp);
        let emptied = bytes.is_empty() && !self.good.objects.is_empty();
        if emptied && age.is_some_and(|age| age < EMPTY_GRACE) {
            return Refresh::Unsettled;
        }
        self.stamp = Some(stamp).filter(|_| age.is_none_or(|age| age > COARSEST_CLOCK));
        let hash = hash(&bytes);
        if self.hash.replace(hash) == Some(hash) {
            return Refresh::Same;
        }
        self.apply(manifest::parse(&bytes, format_of(path), &self.name))
    }

    /// Takes a new reading; objects equal to those before keep their `Arc`s.
    fn apply(&mut self, result: Result<Manifest, ManifestError>) -> Refresh {
        match result {
            Ok(mut manifest) => {
                assemble::reuse(&self.good.objects, &mut manifest.objects);
                self.good = manifest;
                self.error = None;
                Refresh::Changed
            }
            Err(error) if self.error.as_ref() == Some(&error) => Refresh::Same,
            Err(error) => {
                self.error = Some(error);
                Refresh::Changed
            }
        }
    }
}

/// Reads a file with the metadata that belong to these bytes.
fn read_stable(path: &Path) -> io::Result<(Vec<u8>, Stamp)> {
    let file = File::open(path)?;
    // Before the bytes: a write during the reading then shows as a newer stamp in the next scan.
    let stamp = Stamp::of(&file.metadata()?);
    Ok((read_bounded(file)?, stamp))
}

/// One byte more than a manifest may have is enough to refuse it.
fn read_bounded(reader: impl Read) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    reader.take(MAX_BYTES as u64 + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// How long ago the file was written; `None` when its clock is ahead of ours.
fn age(stamp: &Stamp) -> Option<Duration> {
    let (seconds, nanos) = stamp.modified;
    let since_epoch = Duration::new(u64::try_from(seconds).ok()?, u32::try_from(nanos).ok()?);
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).ok()?.checked_sub(since_epoch)
}

fn hash(bytes: &[u8]) -> u64 {
    use std::hash::BuildHasher as _;
    foldhash::quality::FixedState::with_seed(0).hash_one(bytes)
}

fn format_of(path: &Path) -> Format {
    if path.extension().is_some_and(|extension| extension == "json") { Format::Json } else { Format::Yaml }
}

fn unreadable(error: &io::Error) -> ManifestError {
    ManifestError { line: 1, object: None, field: None, message: format!("cannot be read: {error}") }
}

fn folder_problem(folder: &Path, error: &io::Error) -> Diagnostic {
    Diagnostic {
        severity: Severity::Error,
        reason: Reason::BrokenFile,
        object: None,
        key: None,
        message: format!("folder cannot be read: {error}; what was read from it before stays in service"),
        origin: Some(Arc::new(Origin { file: folder.display().to_string().into(), line: 1 })),
    }
}

#[cfg(test)]
mod tests;
