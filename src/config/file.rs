//! The file of `--config`: a YAML or JSON mapping of flags' names to values. Pure but for [`read`].

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::Path;

use serde_json::Value;
use serde_saphyr::{DuplicateKeyPolicy, Error as YamlError};

use super::arguments::{find, unknown};
use super::error::{ConfigError, Origin};

/// Far more than every flag needs; a wrong path must not fill the memory.
const MAX_BYTES: u64 = 1 << 20;

/// Reads the file; the texts are as the flags would have them.
pub(super) fn read(path: &Path) -> Result<BTreeMap<&'static str, String>, ConfigError> {
    let failed = |reason: String| ConfigError::File { path: path.display().to_string(), reason };
    let mut text = String::new();
    let read = File::open(path).and_then(|file| file.take(MAX_BYTES + 1).read_to_string(&mut text));
    if read.map_err(|error| failed(error.to_string()))? as u64 > MAX_BYTES {
        return Err(failed(format!("more than {MAX_BYTES} bytes")));
    }
    parse(&text, path)
}

/// `path` is for the errors.
pub(super) fn parse(text: &str, path: &Path) -> Result<BTreeMap<&'static str, String>, ConfigError> {
    let failed = |reason: String| ConfigError::File { path: path.display().to_string(), reason };
    // A snippet of the file may show a key.
    let options = serde_saphyr::options! { duplicate_keys: DuplicateKeyPolicy::Error, with_snippet: false };
    // A file of comments only is an empty mapping.
    let map: Option<BTreeMap<String, Value>> =
        serde_saphyr::from_str_with_options(text, options).map_err(|error| failed(reason(&error)))?;
    let mut values = BTreeMap::new();
    for (name, value) in map.unwrap_or_default() {
        let origin = Origin::File(path.to_owned());
        let row = find(&name).ok_or_else(|| unknown(&name, origin.clone()))?;
        if row.only_argument {
            return Err(ConfigError::OnlyArgument { flag: row.name, file: path.to_owned() });
        }
        if row.name == "config" {
            return Err(ConfigError::NestedFile(path.to_owned()));
        }
        let text = match &value {
            Value::Null => continue,
            Value::Array(items) if row.adds_up => {
                let items: Option<Vec<String>> = items.iter().map(scalar).collect();
                items.map(|items| items.join(","))
            }
            value => scalar(value),
        };
        let text = text.ok_or_else(|| ConfigError::BadValue {
            flag: row.name,
            value: value.to_string(),
            shape: row.shape,
            origin,
        })?;
        values.insert(row.name, text);
    }
    Ok(values)
}

/// The library's sentence in one line, without its advice to programmers.
fn reason(error: &YamlError) -> String {
    if let (YamlError::DuplicateMappingKey { key: Some(key), .. }, Some(place)) = (error, error.location()) {
        return format!("line {}: {key} is there twice", place.line());
    }
    let text = error.to_string();
    let line = text.lines().next().unwrap_or_default();
    format!("not a mapping of flags to values: {}", line.strip_prefix("error: ").unwrap_or(line))
}

fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::Bool(on) => Some(on.to_string()),
        Value::Number(number) => Some(number.to_string()),
        Value::String(text) => Some(text.clone()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}
