//! What is generated from the tables is committed as it is generated.

use std::path::Path;

use portcullis::compile::annotations::docs;
use portcullis::config;

/// `PORTCULLIS_BLESS=1 cargo test --test docs` writes the files anew.
#[test]
fn the_committed_pages_are_the_generated_ones() {
    let pages = [
        ("annotations.md", docs::annotations()),
        ("annotations.schema.json", docs::annotations_schema()),
        ("configmap.md", docs::configmap()),
        ("flags.md", config::docs::flags()),
    ];
    for (name, expected) in pages {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs").join(name);
        if std::env::var_os("PORTCULLIS_BLESS").is_some() {
            std::fs::write(&path, &expected).unwrap();
        }
        let committed = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(committed == expected, "docs/{name} is out of date: run PORTCULLIS_BLESS=1 cargo test --test docs");
    }
}

/// The README's counts come from the same rows.
#[test]
fn the_readme_counts_are_true() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md");
    let counts = docs::counts_table();
    let (begin, end) = ("<!-- counts -->\n", "<!-- /counts -->");
    let readme = std::fs::read_to_string(&path).unwrap();
    let (before, rest) = readme.split_once(begin).expect("the README has the mark where counts begin");
    let (committed, after) = rest.split_once(end).expect("and where they end");
    if std::env::var_os("PORTCULLIS_BLESS").is_some() {
        std::fs::write(&path, format!("{before}{begin}{counts}{end}{after}")).unwrap();
    } else {
        assert!(
            committed == counts,
            "the README's counts are out of date: run PORTCULLIS_BLESS=1 cargo test --test docs"
        );
    }
}
