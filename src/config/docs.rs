//! docs/flags.md and the text of `--help`, rendered from the rows.

use std::fmt::Write;

use super::flags::ROWS;
use super::row::{Row, Support};

const GENERATED: &str = "<!-- Generated from the table in the source; PORTCULLIS_BLESS=1 cargo test rewrites it. -->";

/// docs/flags.md.
pub fn flags() -> String {
    let count = |wanted: fn(&Support) -> bool| ROWS.iter().filter(|row| wanted(&row.support)).count();
    let mut text = format!(
        "# Flags\n\n{GENERATED}\n\nThe flags of ingress-nginx and our own. They are written as Go's pflag reads them: \
         `--flag=value` or `--flag value`; switches as `--flag` or `--flag=false`. Of a repeated flag the last one \
         counts; repeated lists add up.\n\nEach can also be set by an environment variable, `--http-port` by \
         `PORTCULLIS_HTTP_PORT`, or in the file of `--config`, by its name without dashes. The argument comes first, \
         then the environment, then the file. `--print-config` shows who set what.\n\nIgnored flags are accepted, with \
         a warning.\n\n{} flags: {} full, {} partial, {} ignored.\n",
        ROWS.len(),
        count(|support| matches!(support, Support::Full)),
        count(|support| matches!(support, Support::Partial(_))),
        count(|support| matches!(support, Support::Ignored(_))),
    );
    for group in ROWS.chunk_by(|a, b| a.group == b.group) {
        let name = group.first().map_or("", |row| row.group);
        let _ = writeln!(text, "\n## {name}\n\n| Flag | What it does | Values | Default | Support |");
        let _ = writeln!(text, "| --- | --- | --- | --- | --- |");
        for row in group {
            let default = if row.default.is_empty() { String::new() } else { format!("`{}`", row.default) };
            let cells = [&format!("`--{}`", row.name), row.doc.trim(), row.shape, &default, &support(row)];
            let _ = writeln!(text, "| {} |", cells.map(|cell| cell.replace('|', "\\|")).join(" | "));
        }
    }
    text
}

/// The flags that have an effect, by group, for `--help`; of these, those that `wanted` picks.
pub fn help(wanted: impl Fn(&Row) -> bool) -> String {
    let mut text = String::new();
    let has_effect = |row: &&Row| !matches!(row.support, Support::Ignored(_)) && wanted(row);
    for group in ROWS.chunk_by(|a, b| a.group == b.group) {
        let rows: Vec<&Row> = group.iter().filter(has_effect).collect();
        let Some(first) = rows.first() else { continue };
        let _ = writeln!(text, "\n{}:", first.group);
        for row in rows {
            let _ = writeln!(text, "  --{}{}", row.name, value(row));
            let _ = writeln!(text, "      {}", row.doc.trim());
        }
    }
    text
}

/// `=VALUE (a port; default 80)`.
fn value(row: &Row) -> String {
    match (row.bare, row.default) {
        (Some(_), "" | "false") => String::new(),
        (Some(_), default) => format!("[=true|false]  (default {default})"),
        (None, "") => format!("=VALUE  ({})", row.shape),
        (None, default) => format!("=VALUE  ({}; default {default})", row.shape),
    }
}

fn support(row: &Row) -> String {
    match row.support {
        Support::Full => "full".to_owned(),
        Support::Partial(why) => format!("partial: {why}"),
        Support::Ignored(why) => format!("ignored: {why}"),
    }
}
