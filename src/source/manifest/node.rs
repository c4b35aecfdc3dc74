//! A document as a tree whose nodes know their line, whichever syntax it was written in.
//!
//! It resolves scalars as kubectl does (`yes` and `0644` are no strings), so that the typed reading refuses what
//! the API server would refuse, and can name the line and the field.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_saphyr::{DuplicateKeyPolicy, Error as YamlError, NonFiniteFloatPolicy, Spanned};

use super::{Format, ManifestError};

/// Documents a file may hold.
const MAX_DOCUMENTS: usize = 100_000;
/// Values a file may hold once aliases are expanded: some five bytes of a file of [`super::MAX_BYTES`] each.
const MAX_NODES: usize = 6_000_000;
/// Parser events that aliases may add: a list of 10,000 items that share a block of 20 annotations fits.
const MAX_ALIASED_EVENTS: usize = 500_000;
/// Levels of lists and mappings; a Deployment has about 15.
const MAX_DEPTH: usize = 64;

/// A value and the line it starts on, counted from 1.
#[derive(Debug)]
pub(super) struct Node<'a> {
    pub line: u32,
    pub value: Value<'a>,
}

#[derive(Debug)]
pub(super) enum Value<'a> {
    Null,
    Bool(bool),
    Int(i64),
    Float(f64),
    String(Cow<'a, str>),
    Sequence(Vec<Node<'a>>),
    Mapping(Vec<(Cow<'a, str>, Node<'a>)>),
}

impl<'a> Node<'a> {
    /// The value of a key, of a mapping that has it.
    pub fn get(&self, key: &str) -> Option<&Node<'a>> {
        match &self.value {
            Value::Mapping(entries) => entries.iter().find(|(name, _)| name == key).map(|(_, node)| node),
            _ => None,
        }
    }

    /// The text of a string that is not empty.
    pub fn text(&self) -> Option<&str> {
        match &self.value {
            Value::String(text) if !text.is_empty() => Some(text),
            _ => None,
        }
    }
}

/// Reads every document of a file; empty documents are left out.
pub(super) fn documents(text: &str, format: Format) -> Result<Vec<Node<'_>>, ManifestError> {
    match format {
        Format::Yaml => yaml_documents(text),
        Format::Json => json_documents(text),
    }
}

fn yaml_documents(text: &str) -> Result<Vec<Node<'_>>, ManifestError> {
    let options = serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_documents: MAX_DOCUMENTS,
            max_nodes: MAX_NODES,
            max_events: MAX_NODES * 3,
            max_depth: MAX_DEPTH,
            max_buffered_comment_events: usize::MAX,
            // The limit on what aliases add says the same without refusing one anchor used in 10,000 documents.
            enforce_alias_anchor_ratio: false,
        },
        alias_limits: serde_saphyr::alias_limits! { max_total_replayed_events: MAX_ALIASED_EVENTS },
        duplicate_keys: DuplicateKeyPolicy::Error,
        emit_comments: false,
        // `0644` is a number to kubectl, hence no value for a ConfigMap.
        legacy_octal_numbers: true,
        non_finite_float_policy: NonFiniteFloatPolicy::AsString,
        // A snippet of the file may show a Secret.
        with_snippet: false,
    };
    serde_saphyr::from_str_multiple_with_options::<Spanned<Value<'_>>, Vec<_>>(text, options)
        .map(|documents| documents.into_iter().map(Node::from).collect())
        .map_err(|error| yaml_error(&error))
}

fn yaml_error(error: &YamlError) -> ManifestError {
    let line = error.location().map_or(1, |location| line_of(location.line()));
    let message = match error {
        YamlError::DuplicateMappingKey { key: Some(key), .. } => format!("duplicate key `{key}`"),
        // Raised for keys only: values of any type are read.
        YamlError::Unexpected { expected: "string scalar", .. } => {
            "a key must be a string; a template must be rendered first".into()
        }
        _ => {
            let text = error.to_string();
            let text = text.lines().next().unwrap_or_default();
            let text = text.strip_prefix("error: ").unwrap_or(text);
            // The library adds places to its sentence; the line is said once already.
            let text = text.split_once(" at line ").map_or(text, |(reason, _)| reason);
            text.split_once(": ")
                .filter(|(place, _)| place.starts_with("line "))
                .map_or(text, |(_, reason)| reason)
                .into()
        }
    };
    ManifestError::new(line, message)
}

fn json_documents(text: &str) -> Result<Vec<Node<'_>>, ManifestError> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut stream = serde_json::Deserializer::from_str(text).into_iter::<Value<'_>>();
    let mut documents = Vec::new();
    let (mut line, mut counted) = (1, 0);
    loop {
        let start = stream.byte_offset();
        let value = match stream.next() {
            None => return Ok(documents),
            Some(value) => value.map_err(|error| json_error(&error))?,
        };
        let rest = text.get(start..).unwrap_or_default();
        let first = start + (rest.len() - rest.trim_start().len());
        line += text.get(counted..first).unwrap_or_default().matches('\n').count();
        counted = first;
        if documents.len() == MAX_DOCUMENTS {
            return Err(ManifestError::new(line_of(line as u64), format!("more than {MAX_DOCUMENTS} documents")));
        }
        if !matches!(value, Value::Null) {
            let mut node = Node { line: 0, value };
            node.set_line(line_of(line as u64));
            documents.push(node);
        }
    }
}

fn json_error(error: &serde_json::Error) -> ManifestError {
    let text = error.to_string();
    let place = format!(" at line {} column {}", error.line(), error.column());
    ManifestError::new(line_of(error.line() as u64), text.strip_suffix(&place).unwrap_or(&text).to_owned())
}

fn line_of(line: u64) -> u32 {
    u32::try_from(line).unwrap_or(u32::MAX).max(1)
}

impl Node<'_> {
    /// JSON's parser tells no lines inside a document: all of it carries the document's.
    fn set_line(&mut self, line: u32) {
        self.line = line;
        match &mut self.value {
            Value::Sequence(items) => items.iter_mut().for_each(|item| item.set_line(line)),
            Value::Mapping(entries) => entries.iter_mut().for_each(|(_, node)| node.set_line(line)),
            _ => {}
        }
    }
}

impl<'a> From<Spanned<Value<'a>>> for Node<'a> {
    fn from(spanned: Spanned<Value<'a>>) -> Self {
        Self { line: u32::try_from(spanned.referenced.line()).unwrap_or(u32::MAX), value: spanned.value }
    }
}

impl<'de> Deserialize<'de> for Node<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Spanned::<Value<'de>>::deserialize(deserializer).map(Node::from)
    }
}

impl<'de> Deserialize<'de> for Value<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ValueVisitor)
    }
}

struct ValueVisitor;

impl<'de> Visitor<'de> for ValueVisitor {
    type Value = Value<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<Value<'de>, E> {
        Ok(Value::Null)
    }

    fn visit_none<E>(self) -> Result<Value<'de>, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value<'de>, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Value<'de>, E> {
        Ok(Value::Int(number))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Value<'de>, E> {
        Ok(i64::try_from(number).map_or(Value::Float(number as f64), Value::Int))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Value<'de>, E> {
        Ok(Value::Float(number))
    }

    fn visit_str<E>(self, text: &str) -> Result<Value<'de>, E> {
        Ok(Value::String(Cow::Owned(text.to_owned())))
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Value<'de>, E> {
        Ok(Value::String(Cow::Borrowed(text)))
    }

    fn visit_string<E>(self, text: String) -> Result<Value<'de>, E> {
        Ok(Value::String(Cow::Owned(text)))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value<'de>, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = seq.next_element()? {
            items.push(item);
        }
        Ok(Value::Sequence(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value<'de>, A::Error> {
        let mut entries: Vec<(Cow<'de, str>, Node<'de>)> = Vec::new();
        while let Some(Key(key)) = map.next_key()? {
            entries.push((key, map.next_value()?));
        }
        match duplicate(&entries) {
            Some(key) => Err(A::Error::custom(format!("duplicate key `{key}`"))),
            None => Ok(Value::Mapping(entries)),
        }
    }
}

/// A key that appears twice; YAML's parser has refused it before, JSON's has not.
fn duplicate<'e>(entries: &'e [(Cow<'_, str>, Node<'_>)]) -> Option<&'e str> {
    let mut keys: Vec<&str> = entries.iter().map(|(key, _)| key.as_ref()).collect();
    keys.sort_unstable();
    keys.array_windows().find(|[a, b]| a == b).map(|[key, _]| *key)
}

/// A key as it is spelled: `9000:` in a ConfigMap is the key "9000".
struct Key<'a>(Cow<'a, str>);

impl<'de> Deserialize<'de> for Key<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct KeyVisitor;
        impl<'de> Visitor<'de> for KeyVisitor {
            type Value = Key<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a key that is a string")
            }

            fn visit_str<E>(self, text: &str) -> Result<Key<'de>, E> {
                Ok(Key(Cow::Owned(text.to_owned())))
            }

            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Key<'de>, E> {
                Ok(Key(Cow::Borrowed(text)))
            }
        }
        deserializer.deserialize_str(KeyVisitor)
    }
}
