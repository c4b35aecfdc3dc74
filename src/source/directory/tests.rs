//! Real files in a temporary directory, changed as people and kubelets change them.

use std::fs;
use std::os::unix::fs::symlink;

use tempfile::TempDir;

use super::*;
use crate::snapshot::{ConfigMap, ObjectKey};

fn config_map(name: &str, value: &str) -> String {
    format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}}}\ndata: {{v: \"{value}\"}}\n")
}

/// A directory of manifests with a scanner.
struct World {
    dir: TempDir,
    directory: Directory,
}

impl World {
    fn new(files: &[(&str, &str)]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let directory = Directory::new(dir.path().join("m"));
        fs::create_dir(dir.path().join("m")).unwrap();
        let world = Self { dir, directory };
        files.iter().for_each(|(path, text)| world.write(path, text));
        world
    }

    fn path(&self, path: &str) -> PathBuf {
        self.dir.path().join("m").join(path)
    }

    fn write(&self, path: &str, text: &str) {
        let path = self.path(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    /// Saves as editors do: a new file over the old name.
    fn save(&self, path: &str, text: &str) {
        self.write("4913", "");
        self.write(".new", text);
        fs::rename(self.path(".new"), self.path(path)).unwrap();
    }

    /// Scans and checks `name=value` of the ConfigMaps, the diagnostics' text after the directory, and `changed`.
    #[track_caller]
    fn check(&mut self, maps: &str, diagnostics: &[&str], changed: bool) -> Scan {
        let scan = self.directory.scan();
        assert_eq!(outline(&scan), maps);
        let root = format!("{}/", self.dir.path().display());
        let said: Vec<_> = scan.diagnostics.iter().map(|d| d.to_string().replace(&root, "")).collect();
        assert_eq!(said, diagnostics);
        assert_eq!(scan.changed, changed, "changed");
        scan
    }
}

fn outline(scan: &Scan) -> String {
    let value = |map: &ConfigMap| map.data.get("v").cloned().unwrap_or_default();
    let maps = scan.snapshot.config_maps.values().map(|map| format!("{}={}", map.metadata.name, value(map)));
    maps.collect::<Vec<_>>().join(" ")
}

fn map(scan: &Scan, name: &str) -> Arc<ConfigMap> {
    scan.snapshot.config_maps[&ObjectKey::new("default", name)].clone()
}

#[test]
fn files_come_and_go() {
    let mut world = World::new(&[("a.yaml", &config_map("a", "1")), ("b.yml", &config_map("b", "1"))]);
    let first = world.check("a=1 b=1", &[], true);
    let origin = first.snapshot.config_maps.values().next().unwrap().metadata.origin.clone().unwrap();
    assert_eq!(origin.to_string(), format!("{}:1", world.path("a.yaml").display()));
    assert_eq!((first.files, first.broken_files), (2, 0));
    let same = world.check("a=1 b=1", &[], false);
    assert!(Arc::ptr_eq(&first.snapshot, &same.snapshot));

    world.save("a.yaml", &config_map("a", "2"));
    let second = world.check("a=2 b=1", &[], true);
    assert!(Arc::ptr_eq(&map(&first, "b"), &map(&second, "b")));
    // In place, of the same length, within one tick of the clock.
    world.write("a.yaml", &config_map("a", "3"));
    world.check("a=3 b=1", &[], true);
    world.write("sub/deeper/c.yaml", &config_map("c", "1"));
    world.write("x.yaml/d.yaml", &config_map("d", "1"));
    world.check("a=3 b=1 c=1 d=1", &[], true);
    fs::rename(world.path("b.yml"), world.path("e.yaml")).unwrap();
    world.check("a=3 b=1 c=1 d=1", &[], true);
    fs::remove_file(world.path("a.yaml")).unwrap();
    fs::remove_dir_all(world.path("sub")).unwrap();
    world.check("b=1 d=1", &[], true);
    world.check("b=1 d=1", &[], false);
}

#[test]
fn equal_content_changes_nothing_and_equal_objects_keep_their_arc() {
    let both = config_map("a", "1") + "---\n" + &config_map("b", "1");
    let mut world = World::new(&[("a.yaml", &both)]);
    let first = world.check("a=1 b=1", &[], true);
    world.save("a.yaml", &both);
    let same = world.check("a=1 b=1", &[], false);
    assert!(Arc::ptr_eq(&first.snapshot, &same.snapshot));
    world.save("a.yaml", &(config_map("a", "1") + "---\n" + &config_map("b", "2")));
    let changed = world.check("a=1 b=2", &[], true);
    assert!(Arc::ptr_eq(&map(&first, "a"), &map(&changed, "a")));
}

#[test]
fn a_broken_file_keeps_its_last_good_objects() {
    let mut world = World::new(&[("a.yaml", &config_map("a", "1")), ("b.yaml", "a: [")]);
    let never_good = world.directory.scan();
    assert_eq!((outline(&never_good), never_good.broken_files, never_good.files), ("a=1".into(), 1, 2));
    fs::remove_file(world.path("b.yaml")).unwrap();
    world.check("a=1", &[], true);
    world.write("a.yaml", &config_map("a", "2").replace("\"2\"", "2"));
    let said = "m/a.yaml:4: error: ConfigMap default/a: data.v: expected a string, found a number: put it in quotes [BrokenFile]";
    world.check("a=1", &[said], true);
    world.check("a=1", &[said], false);
    fs::write(world.path("a.yaml"), b"a: b\n\xff").unwrap();
    world.check("a=1", &["m/a.yaml:2: error: not UTF-8 [BrokenFile]"], true);
    world.write("a.yaml", &config_map("a", "3"));
    world.check("a=3", &[], true);
}

#[test]
fn a_file_just_emptied_keeps_its_objects_for_a_moment() {
    let mut world = World::new(&[("a.yaml", &config_map("a", "1"))]);
    world.check("a=1", &[], true);
    world.write("a.yaml", "");
    let file = File::options().append(true).open(world.path("a.yaml")).unwrap();
    // A machine that stalls for longer than the grace between these two lines would see the file settled.
    file.set_modified(SystemTime::now()).unwrap();
    let scan = world.check("a=1", &[], false);
    assert!(scan.unsettled);
    file.set_modified(SystemTime::now() - EMPTY_GRACE).unwrap();
    world.check("", &[], true);
}

#[test]
fn the_first_of_two_serves() {
    let mut world = World::new(&[("a.yaml", &config_map("a", "1")), ("b.yaml", &config_map("a", "2"))]);
    let root = world.dir.path().join("m").display().to_string();
    let scan = world.directory.scan();
    assert_eq!(outline(&scan), "a=1");
    let said = format!(
        "{root}/b.yaml:1: warning: ConfigMap default/a: is in {root}/a.yaml:1 and in {root}/b.yaml:1: the first one serves [Conflict]"
    );
    assert_eq!(scan.diagnostics.iter().map(ToString::to_string).collect::<Vec<_>>(), [said]);
    fs::remove_file(world.path("a.yaml")).unwrap();
    world.check("a=2", &[], true);
}

#[test]
fn a_config_map_volume_is_read_through_its_links() {
    let mut world = World::new(&[("..2026_1/a.yaml", &config_map("a", "1"))]);
    symlink("..2026_1", world.path("..data")).unwrap();
    symlink("..data/a.yaml", world.path("a.yaml")).unwrap();
    let scan = world.check("a=1", &[], true);
    assert_eq!(scan.files, 1);
    let links: Vec<_> = world.directory.places().links.iter().filter_map(|path| path.file_name()?.to_str()).collect();
    assert!(["a.yaml", "..data"].iter().all(|name| links.contains(name)), "{links:?}");
    world.write("..2026_2/a.yaml", &config_map("a", "2"));
    symlink("..2026_2", world.path("..data_tmp")).unwrap();
    fs::rename(world.path("..data_tmp"), world.path("..data")).unwrap();
    fs::remove_dir_all(world.path("..2026_1")).unwrap();
    world.check("a=2", &[], true);
}

#[test]
fn what_is_not_read() {
    let text = config_map("x", "1");
    let leftovers = ["a.yaml~", ".#a.yaml", ".a.yaml.swp", "a.yaml.swp", "4913", ".git/a.yaml", "README.md", ".a.yaml"];
    let mut world = World::new(&leftovers.map(|path| (path, text.as_str())));
    world.check("", &[], true);
    symlink(".", world.path("loop")).unwrap();
    symlink("self.yaml", world.path("other.txt")).unwrap();
    world.check("", &[], false);
    world.write("a.yaml", &text);
    symlink("a.yaml", world.path("b.yaml")).unwrap();
    assert_eq!(world.check("x=1", &[], true).files, 1);
    symlink("missing.yaml", world.path("dangling.yaml")).unwrap();
    let said = "m/dangling.yaml:1: error: cannot be read: No such file or directory (os error 2) [BrokenFile]";
    world.check("x=1", &[said], true);
}

#[test]
fn ignored_kinds_are_notes() {
    let mut world = World::new(&[("a.yaml", "apiVersion: apps/v1\nkind: Deployment\n")]);
    world.check("", &["m/a.yaml:1: note: kind Deployment (apps/v1) is not used: ignored [IgnoredKind]"], true);
}

#[test]
fn a_root_that_vanishes_keeps_what_it_had() {
    let mut world = World::new(&[("a.yaml", &config_map("a", "1"))]);
    world.check("a=1", &[], true);
    fs::rename(world.path(""), world.dir.path().join("away")).unwrap();
    let said = "m:1: error: folder cannot be read: No such file or directory (os error 2); what was read from it before stays in service [BrokenFile]";
    world.check("a=1", &[said], true);
    world.check("a=1", &[said], false);
    fs::rename(world.dir.path().join("away"), world.dir.path().join("m")).unwrap();
    world.check("a=1", &[], true);
}

#[test]
fn a_file_is_read_once() {
    let world = World::new(&[("a.txt", &config_map("a", "1")), ("a.json", "{")]);
    let scan = load_once(Input::Path(&world.path("a.txt")));
    assert_eq!((outline(&scan), scan.files, scan.changed), ("a=1".into(), 1, true));
    assert_eq!(load_once(Input::Path(&world.path("a.json"))).broken_files, 1);
    assert_eq!(load_once(Input::Path(&world.path("none.yaml"))).broken_files, 1);
    assert_eq!(outline(&load_once(Input::Path(&world.path("")))), "");
}
