//! Which manifest files a directory shows, by metadata alone, and which places a watcher must look at.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::fs::{self, FileType, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};

/// Symbolic links followed for one name, as Linux has it (path_resolution(7)).
const MAX_LINKS: usize = 40;
/// Folders inside folders.
const MAX_DEPTH: usize = 64;

/// What tells whether a file may have changed, of the file that symbolic links lead to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stamp {
    pub id: FileId,
    pub size: u64,
    /// Seconds and nanoseconds since the epoch.
    pub modified: (i64, i64),
    /// The inode's change time: it moves also when a tool sets `modified` back.
    changed: (i64, i64),
}

impl Stamp {
    pub fn of(metadata: &Metadata) -> Self {
        Self {
            id: FileId::of(metadata),
            size: metadata.size(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct FileId {
    device: u64,
    inode: u64,
}

impl FileId {
    pub fn of(metadata: &Metadata) -> Self {
        Self { device: metadata.dev(), inode: metadata.ino() }
    }
}

/// What a watcher needs: any change in one of `folders` counts, of what else it hears only a change of `links`.
#[derive(Clone, Debug, Default)]
pub(crate) struct Places {
    /// Canonical paths of the folders that were read.
    pub folders: BTreeMap<PathBuf, FileId>,
    /// Symbolic links and what they lead to, each as a canonical folder and a name.
    pub links: BTreeSet<PathBuf>,
}

/// What one walk found.
#[derive(Debug, Default)]
pub(super) struct Tree {
    /// Manifest files by their path below the root as it was given; `Err` for one that cannot be looked at.
    pub files: BTreeMap<PathBuf, io::Result<Stamp>>,
    /// Folders that cannot be read.
    pub unreadable: Vec<(PathBuf, io::Error)>,
    pub places: Places,
    /// Files and folders seen; each is read under one name, which also ends loops of links.
    seen: BTreeSet<FileId>,
}

/// Walks `root`. A folder that cannot be read, the root included, lands in [`Tree::unreadable`].
pub(super) fn walk(root: &Path) -> Tree {
    let mut tree = Tree::default();
    tree.follow(root);
    tree.folder(root, 0);
    tree
}

impl Tree {
    fn folder(&mut self, path: &Path, depth: usize) {
        if depth > MAX_DEPTH {
            let error = io::Error::other(format!("more than {MAX_DEPTH} folders inside each other"));
            return self.unreadable.push((path.to_owned(), error));
        }
        match self.entries(path, depth) {
            // Removed since the folder above was read.
            Err(error) if error.kind() == io::ErrorKind::NotFound && depth > 0 => {}
            Err(error) => self.unreadable.push((path.to_owned(), error)),
            Ok(()) => {}
        }
    }

    fn entries(&mut self, path: &Path, depth: usize) -> io::Result<()> {
        let id = FileId::of(&fs::metadata(path)?);
        if !self.seen.insert(id) {
            return Ok(());
        }
        // Known before it is read, so that a folder that becomes readable is noticed.
        self.places.folders.insert(fs::canonicalize(path)?, id);
        let mut entries = fs::read_dir(path)?.collect::<io::Result<Vec<_>>>()?;
        entries.sort_by_key(fs::DirEntry::file_name);
        for entry in entries {
            let name = entry.file_name();
            if !is_hidden(&name) {
                self.entry(&entry.path(), entry.file_type()?, depth);
            }
        }
        Ok(())
    }

    fn entry(&mut self, path: &Path, kind: FileType, depth: usize) {
        let is_link = kind.is_symlink();
        if kind.is_file() && !is_manifest(path) {
            return;
        }
        if is_link {
            self.follow(path);
        }
        match fs::metadata(path) {
            Ok(metadata) if metadata.is_dir() => self.folder(path, depth + 1),
            Ok(metadata) if metadata.is_file() && is_manifest(path) => {
                if self.seen.insert(FileId::of(&metadata)) {
                    self.files.insert(path.to_owned(), Ok(Stamp::of(&metadata)));
                }
            }
            // A pipe or socket would block its reader; nobody keeps manifests in one.
            Ok(_) => {}
            // Removed since the folder was read.
            Err(error) if error.kind() == io::ErrorKind::NotFound && !is_link => {}
            Err(error) if is_manifest(path) => {
                self.files.insert(path.to_owned(), Err(error));
            }
            Err(_) => {}
        }
    }

    /// Notes every link on the way from `path` to what it names, and that itself.
    fn follow(&mut self, path: &Path) {
        let mut todo: Vec<PathBuf> = components_reversed(path);
        let mut at = PathBuf::new();
        let mut links = 0;
        while let Some(part) = todo.pop() {
            let next = at.join(&part);
            let Ok(target) = fs::read_link(&next) else {
                at = next;
                continue;
            };
            links += 1;
            if links > MAX_LINKS {
                return;
            }
            self.note(&next);
            todo.extend(components_reversed(&target));
        }
        self.note(&at);
    }

    fn note(&mut self, path: &Path) {
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        if let (Ok(folder), Some(name)) = (fs::canonicalize(folder), path.file_name()) {
            self.places.links.insert(folder.join(name));
        }
    }
}

fn components_reversed(path: &Path) -> Vec<PathBuf> {
    path.components().rev().map(|part: Component<'_>| PathBuf::from(part.as_os_str())).collect()
}

/// Hidden files, among them editors' locks (`.#a.yaml`) and the kubelet's `..data`.
fn is_hidden(name: &OsStr) -> bool {
    name.as_encoded_bytes().starts_with(b".")
}

/// Editors' leftovers (`a.yaml~`, `a.yaml.swp`, `4913`) have other extensions, or none.
fn is_manifest(path: &Path) -> bool {
    matches!(path.extension().and_then(OsStr::to_str), Some("yaml" | "yml" | "json"))
}
