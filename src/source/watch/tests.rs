//! Changes arrive by themselves.

use std::os::unix::fs::symlink;

use tempfile::TempDir;

use super::*;

/// Far above the goal of 150 ms, and below [`FALLBACK`], so that only an event can have brought the scan in time.
const LIMIT: Duration = Duration::from_millis(1_500);

fn config_map(name: &str, value: &str) -> String {
    format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}}}\ndata: {{v: \"{value}\"}}\n")
}

struct World {
    dir: TempDir,
    scans: watch::Receiver<Arc<Scan>>,
    _guard: WatchGuard,
}

impl World {
    /// Follows `m` below a new directory, prepared by `prepare`.
    fn new(prepare: impl FnOnce(&Path)) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("m");
        fs::create_dir(&root).unwrap();
        prepare(&root);
        let (scans, guard) = spawn(root).unwrap();
        Self { dir, scans, _guard: guard }
    }

    fn path(&self, path: &str) -> PathBuf {
        self.dir.path().join("m").join(path)
    }

    /// Waits for the scan in which ConfigMap `name` has `value` (`None`: is not there); gives the time it took.
    async fn wait(&mut self, name: &str, value: Option<&str>) -> Duration {
        let start = Instant::now();
        let has = |scan: &Arc<Scan>| {
            let map = scan.snapshot.config_maps.values().find(|map| &*map.metadata.name == name);
            map.map(|map| map.data["v"].as_str()) == value
        };
        let seen = tokio::time::timeout(LIMIT, self.scans.wait_for(has)).await;
        seen.unwrap_or_else(|_| panic!("{name} is not {value:?} after {LIMIT:?}")).unwrap();
        start.elapsed()
    }
}

#[tokio::test]
async fn saves_are_delivered() {
    let mut world = World::new(|root| {
        (0..100).for_each(|i| fs::write(root.join(format!("{i}.yaml")), config_map(&format!("m{i}"), "1")).unwrap());
    });
    let mut times = Vec::new();
    times.push(world.wait("m99", Some("1")).await);
    for round in 2..6 {
        let value = round.to_string();
        fs::write(world.path("7.yaml"), config_map("m7", &value)).unwrap();
        times.push(world.wait("m7", Some(&value)).await);
        fs::write(world.path(".8.new"), config_map("m8", &value)).unwrap();
        fs::rename(world.path(".8.new"), world.path("8.yaml")).unwrap();
        times.push(world.wait("m8", Some(&value)).await);
    }
    fs::write(world.path("new.yaml"), config_map("new", "1")).unwrap();
    times.push(world.wait("new", Some("1")).await);
    fs::remove_file(world.path("9.yaml")).unwrap();
    times.push(world.wait("m9", None).await);
    println!("{times:?}");
}

#[tokio::test]
async fn new_folders_are_followed() {
    let mut world = World::new(|_| {});
    fs::create_dir_all(world.path("sub/deep")).unwrap();
    fs::write(world.path("sub/deep/a.yaml"), config_map("a", "1")).unwrap();
    world.wait("a", Some("1")).await;
    fs::write(world.path("sub/deep/a.yaml"), config_map("a", "2")).unwrap();
    world.wait("a", Some("2")).await;
    fs::rename(world.path("sub"), world.path("other")).unwrap();
    fs::write(world.path("other/deep/a.yaml"), config_map("a", "3")).unwrap();
    world.wait("a", Some("3")).await;
    fs::remove_dir_all(world.path("other")).unwrap();
    world.wait("a", None).await;
}

#[tokio::test]
async fn links_are_followed_to_where_they_lead() {
    let mut world = World::new(|root| {
        fs::create_dir(root.join("..1")).unwrap();
        fs::write(root.join("..1/a.yaml"), config_map("a", "1")).unwrap();
        symlink("..1", root.join("..data")).unwrap();
        symlink("..data/a.yaml", root.join("a.yaml")).unwrap();
        fs::create_dir(root.with_file_name("outside")).unwrap();
        fs::write(root.with_file_name("outside").join("b.yaml"), config_map("b", "1")).unwrap();
        symlink("../outside/b.yaml", root.join("b.yaml")).unwrap();
    });
    world.wait("b", Some("1")).await;
    fs::write(world.dir.path().join("outside/b.yaml"), config_map("b", "2")).unwrap();
    world.wait("b", Some("2")).await;
    fs::create_dir(world.path("..2")).unwrap();
    fs::write(world.path("..2/a.yaml"), config_map("a", "2")).unwrap();
    symlink("..2", world.path("..data_tmp")).unwrap();
    fs::rename(world.path("..data_tmp"), world.path("..data")).unwrap();
    world.wait("a", Some("2")).await;
    fs::write(world.path("..2/a.yaml"), config_map("a", "3")).unwrap();
    world.wait("a", Some("3")).await;
}

#[tokio::test]
async fn a_root_that_comes_back_is_followed() {
    let mut world = World::new(|root| fs::write(root.join("a.yaml"), config_map("a", "1")).unwrap());
    // At once: a removal file by file may be seen halfway, and then the object is rightly gone.
    fs::rename(world.path(""), world.dir.path().join("away")).unwrap();
    let broken = world.scans.wait_for(|scan| !scan.diagnostics.is_empty());
    let scan = tokio::time::timeout(LIMIT, broken).await.unwrap().unwrap().clone();
    assert_eq!(scan.snapshot.config_maps.len(), 1, "the last good one stays");
    fs::create_dir(world.path("")).unwrap();
    fs::write(world.path("b.yaml"), config_map("b", "1")).unwrap();
    world.wait("b", Some("1")).await;
    world.wait("a", None).await;
}

#[test]
fn a_missing_root_is_an_error() {
    let error = spawn("/nowhere/at/all".into()).unwrap_err();
    assert!(error.to_string().starts_with("/nowhere/at/all: "), "{error}");
}

#[tokio::test]
async fn dropping_the_guard_ends_it() {
    let World { mut scans, _guard, dir } = World::new(|_| {});
    drop(_guard);
    assert!(tokio::time::timeout(LIMIT, async { while scans.changed().await.is_ok() {} }).await.is_ok());
    drop(dir);
}
