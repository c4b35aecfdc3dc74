//! docs/annotations.md, docs/annotations.schema.json and docs/configmap.md, rendered from the rows.

use std::fmt::Write;

use serde_json::{Map, Value, json};

use super::row::{Row, Scope, Support};
use super::{DEFAULT_PREFIX, ROWS};
use crate::compile::configmap;

const GENERATED: &str = "<!-- Generated from the table in the source; PORTCULLIS_BLESS=1 cargo test rewrites it. -->";

/// docs/annotations.md.
pub fn annotations() -> String {
    let intro = format!(
        "# Annotations\n\n{GENERATED}\n\nThe annotations of ingress-nginx, with the prefix `{DEFAULT_PREFIX}/`. An \
         empty text is \"not set\".\n\nA value that cannot be used has one of three effects. *Reject*: the Ingress is \
         not accepted; its last good version stays. *Deny*: its paths answer 503. *Default*: as if it were not set.\n\n\
         Access control that this version refuses denies the paths of its Ingress, rather than leaving them open.\n"
    );
    render(intro, ROWS)
}

/// docs/configmap.md.
pub fn configmap() -> String {
    let intro = format!(
        "# ConfigMap\n\n{GENERATED}\n\nThe keys of the controller's ConfigMap. A value that cannot be used counts as \
         absent; so does an empty number or text, while an empty flag is false and an empty list is a list.\n"
    );
    render(intro, configmap::ROWS)
}

/// docs/annotations.schema.json: a JSON schema of the annotations of an Ingress; those of others pass.
pub fn annotations_schema() -> String {
    let property = |row: &Row, key: &str| {
        let mut description = format!("{} Values: {}.", row.doc.trim(), row.values);
        if !row.default.is_empty() {
            let _ = write!(description, " Default: {}.", row.default);
        }
        if key != row.key {
            let _ = write!(description, " Another spelling of {}.", row.key);
        }
        let _ = write!(description, " Support: {}.", support(row));
        let deprecated = matches!(row.support, Support::Ignored(_) | Support::Refused(_));
        (
            format!("{DEFAULT_PREFIX}/{key}"),
            json!({"type": "string", "description": description, "deprecated": deprecated}),
        )
    };
    let properties: Map<String, Value> =
        ROWS.iter().flat_map(|row| row.spellings().map(move |key| property(row, key))).collect();
    let known = properties.keys().cloned().collect::<Vec<_>>();
    let schema = json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Annotations of an Ingress",
        "type": "object",
        "properties": properties,
        "additionalProperties": {"type": "string"},
        "propertyNames": {
            "if": {"pattern": format!("^{}/", DEFAULT_PREFIX.replace('.', "\\."))},
            "then": {"enum": known},
        },
    });
    format!("{schema:#}\n")
}

fn render(intro: String, rows: &[Row]) -> String {
    let mut text = intro;
    let count = |wanted: fn(&Support) -> bool| rows.iter().filter(|row| wanted(&row.support)).count();
    let _ = writeln!(
        text,
        "\n{} settings: {} full, {} partial, {} ignored, {} refused.",
        rows.len(),
        count(|support| matches!(support, Support::Full)),
        count(|support| matches!(support, Support::Partial(_))),
        count(|support| matches!(support, Support::Ignored(_))),
        count(|support| matches!(support, Support::Refused(_))),
    );
    let has_scope = rows.iter().any(|row| row.scope != Scope::Controller);
    for group in rows.chunk_by(|a, b| a.group == b.group) {
        let name = group.first().map_or("", |row| row.group);
        let (title, rule) = if has_scope { (" | Scope | If broken", " | --- | ---") } else { ("", "") };
        let _ = writeln!(text, "\n## {name}\n\n| Key | What it does | Values | Default{title} | Support |");
        let _ = writeln!(text, "| --- | --- | --- | ---{rule} | --- |");
        for row in group {
            let keys: Vec<String> = row.spellings().map(|key| format!("`{key}`")).collect();
            let default = if row.default.is_empty() { String::new() } else { format!("`{}`", row.default) };
            let mut cells = vec![keys.join(", "), row.doc.trim().to_owned(), row.values.to_owned(), default];
            if has_scope {
                cells.push(format!("{:?}", row.scope).to_lowercase());
                cells.push(format!("{:?}", row.on_invalid).to_lowercase());
            }
            cells.push(support(row));
            let cells: Vec<String> = cells.iter().map(|cell| cell.replace('|', "\\|")).collect();
            let _ = writeln!(text, "| {} |", cells.join(" | "));
        }
    }
    text
}

fn support(row: &Row) -> String {
    match row.support {
        Support::Full => "full".to_owned(),
        Support::Partial(why) => format!("partial: {why}"),
        Support::Ignored(why) => format!("ignored: {why}"),
        Support::Refused(why) => format!("refused: {why}"),
    }
}

/// The README's table of what is acted on, of annotations and ConfigMap keys.
pub fn counts_table() -> String {
    let mut text =
        String::from("| | full | partial | ignored, with the reason | refused: access control fails closed |\n");
    text.push_str("| --- | --- | --- | --- | --- |\n");
    for (name, rows) in [("annotations", super::ROWS), ("ConfigMap keys", crate::compile::configmap::ROWS)] {
        let count = |is: fn(&Support) -> bool| rows.iter().filter(|row| is(&row.support)).count();
        let full = count(|s| matches!(s, Support::Full));
        let partial = count(|s| matches!(s, Support::Partial(_)));
        let ignored = count(|s| matches!(s, Support::Ignored(_)));
        let refused = count(|s| matches!(s, Support::Refused(_)));
        let _ = writeln!(text, "| {name} ({}) | {full} | {partial} | {ignored} | {refused} |", rows.len());
    }
    text
}
