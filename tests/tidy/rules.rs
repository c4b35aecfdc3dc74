//! The rules, each with its reason and a source that breaks it.

use super::scan::{Source, has_word};

/// One rule: what it finds in a file (nothing, when all is well), why it exists, and a file that breaks it.
pub struct Rule {
    pub check: fn(&Source) -> Vec<String>,
    pub reason: &'static str,
    pub bad: (&'static str, &'static str),
}

/// Which module may use which. A module that is not named here may use everything: main, cli, demo.
const MODULES: &[(&str, &[&str])] = &[
    ("base", &[]),
    ("policy", &["base"]),
    ("table", &["base", "policy"]),
    ("snapshot", &["base"]),
    ("compile", &["base", "policy", "table", "snapshot"]),
    ("source", &["base", "snapshot"]),
    ("telemetry", &["base"]),
    ("proxy", &["base", "policy", "table", "telemetry"]),
    ("admin", &["base", "telemetry", "proxy"]),
    ("config", &["base"]),
    (
        "controller",
        &["base", "policy", "table", "snapshot", "compile", "source", "proxy", "telemetry", "admin", "config"],
    ),
];

/// Modules that may use everything.
const FREE: &[&str] = &["lib", "main", "cli", "demo"];

/// What `base` may use: values only.
const BASE_CRATES: &[&str] = &[
    "std",
    "core",
    "alloc",
    "http",
    "bytes",
    "ipnet",
    "jiff",
    "regex_automata",
    "regex_syntax",
    "serde",
    "itoa",
    "thiserror",
];

/// Crates this package depends on, so that a path that begins with another word is not taken for one.
const CRATES: &[&str] = &[
    "anyhow",
    "arc_swap",
    "clap",
    "hickory_resolver",
    "http_body",
    "http_body_util",
    "hyper",
    "hyper_util",
    "kube",
    "k8s_openapi",
    "matchit",
    "notify",
    "prometheus",
    "rcgen",
    "rustls",
    "socket2",
    "serde_json",
    "serde_saphyr",
    "tikv_jemallocator",
    "tokio",
    "tokio_rustls",
    "tokio_util",
    "tracing",
    "tracing_subscriber",
    "x509_parser",
    "base64",
    "foldhash",
    "getrandom",
    "rand",
];

/// Files that may be longer than `LONGEST` lines, each with its reason.
const LONG: &[(&str, &str)] = &[
    ("snapshot.rs", "one list of object types, read as a table"),
    ("compile/annotations/table.rs", "one row per annotation"),
    ("compile/configmap/table.rs", "one row per ConfigMap key"),
    ("config/flags.rs", "one row per flag"),
];

const LONGEST: usize = 400;

/// A file one line too long.
const TOO_LONG: &str = match std::str::from_utf8(&[b'\n'; LONGEST + 1]) {
    Ok(text) => text,
    Err(_) => "",
};

pub const RULES: &[Rule] = &[
    Rule {
        check: module_directions,
        reason: "modules depend in one direction (ARCHITECTURE.md, Layout), so that each can be read and tested alone",
        bad: ("policy/a.rs", "//! D\nuse crate::{base::size, table::Route};"),
    },
    Rule {
        check: module_directions,
        reason: "a path in the middle of code is as much of a dependency as a use",
        bad: ("proxy/a.rs", "//! D\nfn f() { crate::compile::compile() }"),
    },
    Rule {
        check: module_directions,
        reason: "super:: is no way around the directions",
        bad: ("proxy/l4/a.rs", "//! D\nuse super::super::super::source::Store;"),
    },
    Rule {
        check: modules_are_known,
        reason: "a new top-level module gets its directions in tests/tidy/rules.rs first",
        bad: ("helpers/a.rs", "//! D"),
    },
    Rule {
        check: policy_is_pure,
        reason: "policy decides without I/O: it never sees tokio, hyper or kube",
        bad: ("policy/a.rs", "//! D\nuse tokio::time::sleep;"),
    },
    Rule {
        check: compile_is_pure,
        reason: "equal input gives equal output: compile has no I/O, clock, randomness or runtime",
        bad: ("compile/a.rs", "//! D\nuse std::{fmt, time::{Duration, SystemTime}};"),
    },
    Rule {
        check: compile_is_pure,
        reason: "equal input gives equal output: reading a clock by another name is reading it too",
        bad: ("compile/a.rs", "//! D\nfn f() { jiff::Timestamp::now(); }"),
    },
    Rule {
        check: proxy_knows_no_kubernetes,
        reason: "the data plane knows no word of Kubernetes",
        bad: ("proxy/a.rs", "//! D\nuse kube::Client;"),
    },
    Rule {
        check: base_is_values,
        reason: "base is values without a domain: everything may use it, so it may use next to nothing",
        bad: ("base/a.rs", "//! D\nuse tracing::info;"),
    },
    Rule { check: opens_with_a_doc, reason: "a file says first what it owns", bad: ("base/a.rs", "use std::fmt;") },
    Rule {
        check: is_short,
        reason: "files of 100 to 300 lines can be read; past 400 there is a seam to cut at",
        bad: ("base/a.rs", TOO_LONG),
    },
    Rule {
        check: no_unsafe,
        reason: "memory safety is what the project promises",
        bad: ("proxy/a.rs", "//! D\nfn f() { unsafe { g() } }"),
    },
    Rule {
        check: no_markers,
        reason: "what is left to do belongs in the tracker, where it can be closed",
        bad: ("base/a.rs", "//! D\n// TODO: later"),
    },
    Rule {
        check: allows_have_reasons,
        reason: "an exception to a lint is understood by its reason",
        bad: ("base/a.rs", "//! D\n\n#[allow(dead_code)]\nfn f() {}"),
    },
    Rule {
        check: no_prints,
        reason: "standard output is the access log's; everything else goes through tracing",
        bad: ("proxy/a.rs", "//! D\nfn f() { println!(\"x\"); }"),
    },
    Rule {
        check: forbids_unsafe,
        reason: "the compiler holds it better than this test",
        bad: ("lib.rs", "//! D\npub mod base;"),
    },
];

fn module_directions(source: &Source) -> Vec<String> {
    let Some((own, allowed)) = MODULES.iter().find(|(module, _)| *module == source.module()) else { return Vec::new() };
    if source.is_test() {
        return Vec::new();
    }
    let used = source.paths.iter().filter(|path| path[0] == "crate").filter_map(|path| path.get(1));
    let known = used.filter(|used| MODULES.iter().any(|(m, _)| m == used) || FREE.contains(&used.as_str()));
    known
        .filter(|used| used != own && !allowed.contains(&used.as_str()))
        .map(|used| format!("{own} may not use {used}"))
        .collect()
}

fn modules_are_known(source: &Source) -> Vec<String> {
    let module = source.module();
    let known = FREE.contains(&module) || MODULES.iter().any(|(m, _)| *m == module);
    if known { Vec::new() } else { vec![format!("{module} has no directions")] }
}

fn policy_is_pure(source: &Source) -> Vec<String> {
    uses(
        source,
        "policy",
        &["tokio", "tokio_util", "tokio_rustls", "hyper", "hyper_util", "kube", "std::net::TcpStream"],
    )
}

fn compile_is_pure(source: &Source) -> Vec<String> {
    let forbidden = [
        "tokio",
        "tokio_util",
        "tokio_rustls",
        "hyper",
        "hyper_util",
        "kube",
        "std::fs",
        "std::env",
        "std::process",
        "std::thread",
        "std::net::TcpStream",
        "std::net::TcpListener",
        "std::net::UdpSocket",
        "std::net::ToSocketAddrs",
        "std::time::SystemTime",
        "std::time::Instant",
        "time::SystemTime",
        "time::Instant",
        "SystemTime::now",
        "Instant::now",
        "jiff::Timestamp::now",
        "jiff::Zoned::now",
        "Timestamp::now",
        "Zoned::now",
        "getrandom",
        "rand",
        "std::collections::hash_map::RandomState",
        "foldhash::fast::RandomState",
    ];
    uses(source, "compile", &forbidden)
}

fn proxy_knows_no_kubernetes(source: &Source) -> Vec<String> {
    uses(
        source,
        "proxy",
        &["kube", "k8s_openapi", "crate::compile", "crate::snapshot", "crate::source", "crate::controller"],
    )
}

fn base_is_values(source: &Source) -> Vec<String> {
    if source.module() != "base" || source.is_test() {
        return Vec::new();
    }
    let firsts = source.paths.iter().map(|path| path[0].as_str());
    let other = firsts.filter(|first| CRATES.contains(first) && !BASE_CRATES.contains(first));
    other.map(|first| format!("base may not use {first}")).collect()
}

fn opens_with_a_doc(source: &Source) -> Vec<String> {
    let opens = source.text.starts_with("//!");
    // A binary of one line says nothing that its library does not.
    let exempt = source.name == "main.rs" && source.text.lines().count() < 3;
    if opens || exempt { Vec::new() } else { vec!["it does not open with //!".to_owned()] }
}

fn is_short(source: &Source) -> Vec<String> {
    let lines = source.text.lines().count();
    let exempt = source.is_test() || LONG.iter().any(|(name, _)| *name == source.name);
    if lines <= LONGEST || exempt { Vec::new() } else { vec![format!("{lines} lines, more than {LONGEST}")] }
}

fn no_unsafe(source: &Source) -> Vec<String> {
    source.lines_with("unsafe").into_iter().map(|line| format!("unsafe in line {line}")).collect()
}

/// Reads the comments too: that is where markers stand.
fn no_markers(source: &Source) -> Vec<String> {
    let comment =
        |line: &str| line.split_once("//").is_some_and(|(_, comment)| MARKERS.iter().any(|m| has_word(comment, m)));
    let lines = source.text.lines().enumerate().filter(|(_, line)| comment(line) || has_word(line, "todo!"));
    lines.map(|(n, _)| format!("a marker in line {}", n + 1)).collect()
}

const MARKERS: &[&str] = &["TODO", "FIXME", "XXX"];

/// The reason is a comment in the line above or behind, or the attribute's own `reason`.
fn allows_have_reasons(source: &Source) -> Vec<String> {
    let lines: Vec<&str> = source.text.lines().collect();
    let code: Vec<&str> = source.code.lines().collect();
    let allows = (0..code.len()).filter(|n| code[*n].contains("#[allow(") || code[*n].contains("#![allow("));
    allows
        .filter(|n| {
            let above =
                n.checked_sub(1).is_some_and(|n| lines[n].trim_start().starts_with("//") && !lines[n].contains("//!"));
            !above && !lines[*n].contains("//") && !lines[*n].contains("reason =")
        })
        .map(|n| format!("an allow without a reason in line {}", n + 1))
        .collect()
}

fn no_prints(source: &Source) -> Vec<String> {
    if matches!(source.module(), "cli" | "main" | "demo") || source.is_test() {
        return Vec::new();
    }
    let words = ["println!", "print!", "eprintln!", "eprint!", "dbg!"];
    let found = words.iter().flat_map(|word| source.lines_with(word).into_iter().map(move |line| (word, line)));
    found.map(|(word, line)| format!("{word} in line {line}")).collect()
}

fn forbids_unsafe(source: &Source) -> Vec<String> {
    let missing = source.name == "lib.rs" && !source.code.contains("#![forbid(unsafe_code)]");
    if missing { vec!["#![forbid(unsafe_code)] is missing".to_owned()] } else { Vec::new() }
}

/// The uses of forbidden paths in a module; each is matched segment by segment from its beginning.
fn uses(source: &Source, module: &str, forbidden: &[&str]) -> Vec<String> {
    if source.module() != module || source.is_test() {
        return Vec::new();
    }
    let mut found = Vec::new();
    for path in &source.paths {
        for name in forbidden {
            let segments: Vec<&str> = name.split("::").collect();
            if path.len() >= segments.len() && segments.iter().zip(path).all(|(a, b)| a == b) {
                found.push(format!("{module} may not use {name}"));
            }
        }
    }
    found
}
