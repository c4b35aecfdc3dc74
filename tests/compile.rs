//! Kubernetes objects to the text of their table: each file under tests/compile/cases has its expected text beside it.
//!
//! `PORTCULLIS_BLESS=1 cargo test --test compile` writes the texts anew; read what changed.

// Helpers of a test may end it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, clippy::string_slice)]

#[path = "compile/case.rs"]
mod case;
#[path = "compile/pki.rs"]
mod pki;
#[path = "compile/rows.rs"]
mod rows;

use std::path::{Path, PathBuf};

use case::Case;
use portcullis::compile::Memo;

/// Orders of the documents that are tried besides the written one.
const SEEDS: [u64; 4] = [1, 2, 3, 4];

fn cases() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/compile/cases");
    let files = std::fs::read_dir(root).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<_> = files.filter(|path| path.extension().is_some_and(|e| e == "yaml")).collect();
    files.sort();
    files
}

#[test]
fn every_case_gives_its_text() {
    let bless = std::env::var_os("PORTCULLIS_BLESS").is_some();
    let mut wrong = Vec::new();
    for path in cases() {
        let name = path.file_stem().unwrap().to_str().unwrap();
        let case = Case::read(&path);
        let text = case.compile(&case.snapshot(None), &mut Memo::default());
        let beside = path.with_extension("txt");
        if bless {
            std::fs::write(&beside, &text).unwrap();
        }
        let expected = std::fs::read_to_string(&beside).unwrap_or_default();
        if text != expected {
            wrong.push(format!("{name}: expected\n{expected}\n{name}: got\n{text}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_order_of_documents_does_not_matter() {
    for path in cases() {
        let case = Case::read(&path);
        let text = case.compile(&case.snapshot(None), &mut Memo::default());
        for seed in SEEDS {
            let shuffled = case.compile(&case.snapshot(Some(seed)), &mut Memo::default());
            assert_eq!(shuffled, text, "{} with seed {seed}", path.display());
        }
    }
}

#[test]
fn what_compile_remembers_does_not_matter() {
    let mut memo = Memo::default();
    for path in cases() {
        let case = Case::read(&path);
        let first = case.snapshot(None);
        let text = case.compile(&first, &mut memo);
        assert_eq!(case.compile(&first, &mut memo), text, "{} once more", path.display());
        assert_eq!(case.compile(&case.snapshot(Some(1)), &mut memo), text, "{} read again", path.display());
    }
}

#[test]
fn every_text_has_its_case() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/compile/cases");
    for entry in std::fs::read_dir(root).unwrap() {
        let path = entry.unwrap().path();
        assert!(path.with_extension("yaml").exists(), "{} belongs to no case", path.display());
    }
}
