//! Every row of the contract has tests: a case of compile that is another table without it, and a request on a real socket.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use portcullis::compile::annotations::{self, Row, Support};
use portcullis::compile::configmap;
use portcullis::snapshot::Snapshot;

use crate::case::Case;

const PREFIX: &str = "nginx.ingress.kubernetes.io/";

/// Keys that decide what may be written, not what is served (`tests/in_cluster/policy.rs`, admission's own tests), and
/// those that are read when the process starts (`tests/proxy/identity.rs`).
const NO_TABLE: [&str; 4] = ["strict-validate-path-type", "bind-address", "disable-ipv6", "worker-processes"];

fn acted_on(rows: &'static [Row]) -> impl Iterator<Item = &'static Row> {
    let served = rows.iter().filter(|row| !NO_TABLE.contains(&row.key));
    served.filter(|row| matches!(row.support, Support::Full | Support::Partial(_)))
}

/// The snapshot without a setting; `None` if nothing has it.
fn without(snapshot: &Snapshot, row: &Row, is_annotation: bool) -> Option<Snapshot> {
    let (mut other, mut found) = (snapshot.clone(), false);
    for spelling in row.spellings() {
        if is_annotation {
            let key = format!("{PREFIX}{spelling}");
            for ingress in other.ingresses.values_mut().filter(|i| i.metadata.annotations.contains_key(&key)) {
                found |= Arc::make_mut(ingress).metadata.annotations.remove(&key).is_some();
            }
        } else {
            for map in other.config_maps.values_mut().filter(|map| map.data.contains_key(spelling)) {
                found |= Arc::make_mut(map).data.remove(spelling).is_some();
            }
        }
    }
    found.then_some(other)
}

fn lacking(rows: &'static [Row], is_annotation: bool) -> Vec<&'static str> {
    let cases: Vec<Case> = super::cases().iter().map(|path| Case::read(path)).collect();
    let table = |case: &Case, snapshot: &Snapshot| case.details(snapshot);
    let worlds: Vec<_> = cases.iter().map(|case| (case, case.snapshot(None))).collect();
    let tables: Vec<_> = worlds.iter().map(|(case, snapshot)| table(case, snapshot)).collect();
    let needs = |row: &Row| {
        worlds.iter().zip(&tables).any(|((case, snapshot), with)| {
            without(snapshot, row, is_annotation).is_some_and(|other| table(case, &other) != *with)
        })
    };
    acted_on(rows).filter(|row| !needs(row)).map(|row| row.key).collect()
}

#[test]
fn every_annotation_that_is_acted_on_has_a_case_that_is_another_table_without_it() {
    assert_eq!(lacking(annotations::ROWS, true), Vec::<&str>::new());
}

#[test]
fn every_key_that_is_acted_on_has_a_case_that_is_another_table_without_it() {
    assert_eq!(lacking(configmap::ROWS, false), Vec::<&str>::new());
}

/// The words of all tests that send requests.
fn words_of_request_tests() -> BTreeSet<String> {
    let mut words = BTreeSet::new();
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    for folder in ["proxy", "in_cluster"] {
        for file in walk(&root.join(folder)) {
            let text = std::fs::read_to_string(file).unwrap();
            let is_word = |c: char| c.is_ascii_alphanumeric() || c == '-';
            words.extend(text.split(|c| !is_word(c)).map(str::to_owned));
        }
    }
    words
}

fn walk(folder: &Path) -> Vec<std::path::PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { walk(&path) } else { vec![path] }).collect()
}

#[test]
fn every_row_that_is_acted_on_is_named_by_a_test_that_sends_requests() {
    let words = words_of_request_tests();
    let rows = acted_on(annotations::ROWS).chain(acted_on(configmap::ROWS));
    let lacking: BTreeSet<_> =
        rows.filter(|row| !row.spellings().any(|key| words.contains(key))).map(|row| row.key).collect();
    assert_eq!(lacking, BTreeSet::new());
}
