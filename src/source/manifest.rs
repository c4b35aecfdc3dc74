//! One file of Kubernetes YAML or JSON, as `kubectl apply -f` takes it, read into objects.
//!
//! It is pure: bytes in, objects or one error out. A file is read whole or not at all, because half a file is a
//! state that nobody wrote. What the API server would refuse for its types is refused here with the field and the
//! line; what it would refuse for its meaning (a host that is no host) is left to the compile step.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use crate::base::diagnostic::{ObjectRef, Origin};
use crate::snapshot::{ConfigMap, EndpointSlice, Ingress, IngressClass, Meta, Object, Secret, Service};

mod name;
mod node;
mod typed;

use node::{Node, Value};
use typed::TypeError;

/// Bytes a file may have.
pub const MAX_BYTES: usize = 32 * 1024 * 1024;
/// Lists inside lists; `kubectl get -o yaml` writes one level.
const MAX_LIST_DEPTH: usize = 8;
/// Where an object without a namespace lives, as with kubectl.
const DEFAULT_NAMESPACE: &str = "default";

/// How a file is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Documents separated by `---`.
    Yaml,
    /// One document, or several one after the other.
    Json,
}

impl Format {
    /// What text without a telling name is: kubectl takes text that begins with a brace for JSON.
    pub fn guess(bytes: &[u8]) -> Self {
        let text = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
        if text.trim_ascii_start().starts_with(b"{") { Format::Json } else { Format::Yaml }
    }
}

/// What one file holds.
#[derive(Clone, Debug, Default)]
pub struct Manifest {
    /// In the file's order, lists flattened.
    pub objects: Vec<Object>,
    /// The kinds in it that are not read, each once, sorted.
    pub ignored: Vec<Ignored>,
}

/// A kind that is not read, at the first line where the file has one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ignored {
    pub line: u32,
    pub kind: String,
    pub api_version: String,
}

impl fmt::Display for Ignored {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "kind {} ({}) is not used: ignored", self.kind, self.api_version)
    }
}

/// Why a file cannot be read: the line, counted from 1, and the reason; object and field once they are known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ManifestError {
    pub line: u32,
    pub object: Option<ObjectRef>,
    /// `spec.rules[0].http.paths[1]`
    pub field: Option<String>,
    pub message: String,
}

impl ManifestError {
    fn new(line: u32, message: impl Into<String>) -> Self {
        Self { line, object: None, field: None, message: message.into() }
    }
}

impl std::error::Error for ManifestError {}

impl fmt::Display for ManifestError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: ", self.line)?;
        if let Some(object) = &self.object {
            write!(f, "{object}: ")?;
        }
        if let Some(field) = &self.field {
            write!(f, "{field}: ")?;
        }
        f.write_str(&self.message)
    }
}

/// Reads a file's bytes; `file` goes into every object's origin.
///
/// An object's line is the one of its first key, for a list's item the item's. JSON tells the line of the document.
pub fn parse(bytes: &[u8], format: Format, file: &Arc<str>) -> Result<Manifest, ManifestError> {
    if bytes.len() > MAX_BYTES {
        return Err(ManifestError::new(1, format!("larger than {} MiB", MAX_BYTES / 1024 / 1024)));
    }
    let text = std::str::from_utf8(bytes).map_err(|error| {
        let valid = bytes.get(..error.valid_up_to()).unwrap_or_default();
        let line = 1 + valid.iter().filter(|byte| **byte == b'\n').count();
        ManifestError::new(u32::try_from(line).unwrap_or(u32::MAX), "not UTF-8")
    })?;
    let mut reader = Reader { file, objects: Vec::new(), ignored: BTreeMap::new() };
    for document in node::documents(text, format)? {
        reader.document(&document, None, 0)?;
    }
    let ignored = reader.ignored.into_iter().map(|((kind, api_version), line)| Ignored { line, kind, api_version });
    Ok(Manifest { objects: reader.objects, ignored: ignored.collect() })
}

/// A kind that is read.
struct Kind {
    name: &'static str,
    group: &'static str,
    version: &'static str,
    /// A group that it lived in before.
    former_group: Option<&'static str>,
    namespaced: bool,
    name_rule: name::Rule,
    read: fn(&Node<'_>, Place) -> Result<Object, TypeError>,
}

/// What an object's metadata gets from outside the document.
struct Place {
    namespace: Arc<str>,
    origin: Arc<Origin>,
}

impl Place {
    fn apply(self, meta: &mut Meta) {
        meta.namespace = self.namespace;
        meta.origin = Some(self.origin);
    }
}

macro_rules! kind {
    ($kind:ident in $group:literal $version:literal, $($former:literal)?, $namespaced:literal, $rule:ident) => {
        Kind {
            name: stringify!($kind),
            group: $group,
            version: $version,
            former_group: [$($former)?].first().copied(),
            namespaced: $namespaced,
            name_rule: name::Rule::$rule,
            read: |node, place| {
                let mut object: $kind = typed::read(node)?;
                place.apply(&mut object.metadata);
                Ok(Object::$kind(Arc::new(object)))
            },
        }
    };
}

const KINDS: [Kind; 6] = [
    kind!(Ingress in "networking.k8s.io" "v1", "extensions", true, Subdomain),
    kind!(IngressClass in "networking.k8s.io" "v1", , false, Subdomain),
    kind!(Service in "" "v1", , true, Label),
    kind!(EndpointSlice in "discovery.k8s.io" "v1", , true, Subdomain),
    kind!(Secret in "" "v1", , true, Subdomain),
    kind!(ConfigMap in "" "v1", , true, Subdomain),
];

/// `networking.k8s.io/v1` into group and version; the core group is the empty one.
fn group_version(api_version: &str) -> (&str, &str) {
    api_version.split_once('/').unwrap_or(("", api_version))
}

struct Reader<'f> {
    file: &'f Arc<str>,
    objects: Vec<Object>,
    /// The first line of each kind and version that is not read.
    ignored: BTreeMap<(String, String), u32>,
}

impl Reader<'_> {
    /// Reads a document or a list's item; `typed_list` is kind and version for an item that states neither, as the
    /// items of an `IngressList` may.
    fn document(
        &mut self,
        node: &Node<'_>,
        typed_list: Option<(&str, &str)>,
        depth: usize,
    ) -> Result<(), ManifestError> {
        if !matches!(node.value, Value::Mapping(_)) {
            return Err(ManifestError::new(node.line, "not a Kubernetes object: expected a mapping"));
        }
        let stated = (node.get("kind").and_then(Node::text), node.get("apiVersion").and_then(Node::text));
        let (kind, api_version) = match (stated, typed_list) {
            ((Some(kind), Some(api_version)), _) | ((None, None), Some((kind, api_version))) => (kind, api_version),
            ((None, _), _) => return Err(ManifestError::new(node.line, "not a Kubernetes object: `kind` is not set")),
            ((_, None), _) => return Err(ManifestError::new(node.line, "`apiVersion` is not set")),
        };
        match (kind.strip_suffix("List"), node.get("items")) {
            (Some(item_kind), Some(items)) => self.list(items, (item_kind, api_version), depth),
            _ => self.object(node, kind, api_version),
        }
    }

    fn list(
        &mut self,
        items: &Node<'_>,
        (item_kind, api_version): (&str, &str),
        depth: usize,
    ) -> Result<(), ManifestError> {
        if depth == MAX_LIST_DEPTH {
            return Err(ManifestError::new(items.line, format!("more than {MAX_LIST_DEPTH} lists inside each other")));
        }
        let typed_list = (!item_kind.is_empty()).then_some((item_kind, api_version));
        match &items.value {
            Value::Null => Ok(()),
            Value::Sequence(items) => items.iter().try_for_each(|item| self.document(item, typed_list, depth + 1)),
            _ => {
                Err(ManifestError { field: Some("items".into()), ..ManifestError::new(items.line, "expected a list") })
            }
        }
    }

    fn object(&mut self, node: &Node<'_>, kind: &str, api_version: &str) -> Result<(), ManifestError> {
        let (group, version) = group_version(api_version);
        let known = KINDS.iter().find(|known| known.name == kind);
        match known {
            Some(known) if known.group == group && known.version == version => {
                let object = self.known(node, known)?;
                self.objects.push(object);
                Ok(())
            }
            Some(known) if known.group == group || known.former_group == Some(group) => {
                let wanted = format!("{}/{}", known.group, known.version);
                let message = format!("{kind} of {api_version} is not served: use {}", wanted.trim_start_matches('/'));
                Err(ManifestError { object: reference(node, known), ..ManifestError::new(node.line, message) })
            }
            _ => {
                self.ignored.entry((kind.to_owned(), api_version.to_owned())).or_insert(node.line);
                Ok(())
            }
        }
    }

    fn known(&self, node: &Node<'_>, kind: &Kind) -> Result<Object, ManifestError> {
        let reference = reference(node, kind);
        let namespace = reference.as_ref().map_or_else(|| namespace_of(node, kind), |known| known.namespace.clone());
        let origin = Arc::new(Origin { file: self.file.clone(), line: node.line });
        let object = (kind.read)(node, Place { namespace, origin }).map_err(|error| ManifestError {
            line: error.line.unwrap_or(node.line),
            object: reference.clone(),
            field: Some(error.path()).filter(|path| !path.is_empty()),
            message: error.message,
        })?;
        let meta = object.meta();
        let checks = [
            ("metadata.name", kind.name_rule.check(&meta.name)),
            ("metadata.namespace", if kind.namespaced { name::Rule::Label.check(&meta.namespace) } else { Ok(()) }),
        ];
        for (field, outcome) in checks {
            outcome.map_err(|message| ManifestError {
                line: line_of(node, field),
                object: reference.clone(),
                field: Some(field.into()),
                message,
            })?;
        }
        Ok(object)
    }
}

/// The object's name for a person, once it has one.
fn reference(node: &Node<'_>, kind: &Kind) -> Option<ObjectRef> {
    let name = node.get("metadata")?.get("name")?.text()?;
    Some(ObjectRef { kind: kind.name, namespace: namespace_of(node, kind), name: name.into() })
}

fn namespace_of(node: &Node<'_>, kind: &Kind) -> Arc<str> {
    match kind.namespaced {
        true => node.get("metadata").and_then(|meta| meta.get("namespace")?.text()).unwrap_or(DEFAULT_NAMESPACE).into(),
        false => "".into(),
    }
}

/// The line of the deepest part of `field` that is there.
fn line_of(node: &Node<'_>, field: &str) -> u32 {
    let mut at = node;
    for key in field.split('.') {
        match at.get(key) {
            Some(next) => at = next,
            None => break,
        }
    }
    at.line
}

#[cfg(test)]
mod tests;
