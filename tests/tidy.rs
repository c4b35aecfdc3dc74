//! Holds what a rule can hold: which module may use which, and the manners of the sources. The table of modules is the
//! Layout of ARCHITECTURE.md; every rule says its reason, and is shown to be able to fail.

// Helpers of a test may end it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, clippy::string_slice)]

#[path = "tidy/rules.rs"]
mod rules;
#[path = "tidy/scan.rs"]
mod scan;

use std::path::{Path, PathBuf};

use rules::{RULES, Rule};
use scan::Source;

/// Every file under src, parsed.
fn sources() -> Vec<Source> {
    fn walk(dir: &Path, into: &mut Vec<PathBuf>) {
        for entry in std::fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(&path, into);
            } else if path.extension().is_some_and(|e| e == "rs") {
                into.push(path);
            }
        }
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut paths = Vec::new();
    walk(&root, &mut paths);
    paths.sort();
    let read = |path: &PathBuf| {
        let name = path.strip_prefix(&root).unwrap().to_str().unwrap().replace('\\', "/");
        Source::parse(&name, &std::fs::read_to_string(path).unwrap())
    };
    paths.iter().map(read).collect()
}

#[test]
fn the_sources_are_tidy() {
    let sources = sources();
    let mut found = Vec::new();
    for Rule { check, reason, .. } in RULES {
        for source in &sources {
            found.extend(
                check(source).into_iter().map(|what| format!("src/{}: {what}\n    why: {reason}", source.name)),
            );
        }
    }
    assert!(found.is_empty(), "{} untidy places\n{}", found.len(), found.join("\n"));
}

#[test]
fn every_rule_can_fail() {
    for Rule { check, reason, bad: (name, text), .. } in RULES {
        assert!(!check(&Source::parse(name, text)).is_empty(), "nothing found in {name}: {text}\n    rule: {reason}");
    }
}

#[test]
fn no_rule_fails_on_what_is_allowed() {
    let good = [
        ("base/size.rs", "//! Doc.\nuse std::fmt;\nuse http::HeaderName;\nuse crate::base::duration;\n"),
        (
            "policy/cors.rs",
            "//! Doc: tokio, hyper.\nuse crate::base::{cidr, size};\nuse http::Method;\n// use tokio::net;\n",
        ),
        (
            "compile/endpoints.rs",
            "//! Doc.\nuse crate::{snapshot::Snapshot, table};\nuse std::net::IpAddr;\nuse super::refs;\n",
        ),
        ("compile/a/b.rs", "//! Doc.\nuse super::super::refs;\nfn f() { g(\"crate::proxy TODO unsafe\"); }\n"),
        ("compile/c.rs", "//! Doc.\nuse std::time::Duration;\nconst A: u8 = b'\"'; fn f<'a>(x: &'a str) {}\n"),
        ("proxy/mod.rs", "//! Doc.\nuse crate::telemetry;\nuse std::time::Instant;\n"),
        ("proxy/x.rs", "//! Doc.\n// A reason.\n#[allow(clippy::too_many_arguments)]\nfn f() {}\n"),
        ("policy/y.rs", "//! Doc.\nfn f() {}\n#[cfg(test)]\nmod tests {\n    use crate::compile::compile;\n}\n"),
        ("cli.rs", "//! Doc.\nfn f() { println!(\"{}\", 1); }\n"),
        ("controller/mod.rs", "//! Doc.\nuse crate::{compile, proxy::Handle, source};\n"),
        ("admin/z.rs", "//! Doc.\nuse crate::proxy::Handle;\nfn f() { eprintln(r#\"println!(\"x\")\"#); }\n"),
        ("lib.rs", "//! Doc.\n#![forbid(unsafe_code)]\npub mod base;\n"),
    ];
    for (name, text) in good {
        for Rule { check, reason, .. } in RULES {
            let found = check(&Source::parse(name, text));
            assert!(found.is_empty(), "{name}: {found:?}\n    rule: {reason}");
        }
    }
}
