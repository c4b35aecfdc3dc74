//! What the controller has to say about an object: one shape for files, compile, events and the log.

use std::fmt;
use std::sync::Arc;

/// Where in a file an object was read: `file` as the user named it, `line` counted from 1.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Origin {
    pub file: Arc<str>,
    pub line: u32,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.file, self.line)
    }
}

/// An object named as a person names it: `Ingress shop/web`. `namespace` is empty for cluster-wide kinds.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ObjectRef {
    pub kind: &'static str,
    pub namespace: Arc<str>,
    pub name: Arc<str>,
}

impl fmt::Display for ObjectRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.namespace.is_empty() {
            write!(f, "{} {}", self.kind, self.name)
        } else {
            write!(f, "{} {}/{}", self.kind, self.namespace, self.name)
        }
    }
}

/// How much a problem costs, mildest first so that the worst of several is their maximum.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Severity {
    /// Served as asked, or not asked of us; worth knowing.
    Note,
    /// Served, but not as written: a value fell back to its default, a rule lost a conflict.
    Warning,
    /// Not served: the object, a path or a host is refused, or its last good version stays.
    Error,
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Severity::Note => "note",
            Severity::Warning => "warning",
            Severity::Error => "error",
        })
    }
}

/// What a diagnostic is about; it becomes the event's reason and the metric's label, so the set is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Reason {
    /// A file or document that cannot be read as Kubernetes YAML.
    BrokenFile,
    /// An annotation whose value cannot be used.
    AnnotationParsingFailed,
    /// An annotation this version does not act on, with the reason.
    UnsupportedAnnotation,
    /// A ConfigMap key whose value cannot be used.
    ConfigMapParsingFailed,
    /// A host, path or alias that an older Ingress already has.
    Conflict,
    /// A Service, port or Secret that is named but not there.
    MissingReference,
    /// A Secret whose certificate or key cannot be used.
    BrokenCertificate,
    /// A host or path that cannot be served as written.
    InvalidRule,
    /// An Ingress of no class, or of one that is not there.
    UnknownClass,
    /// A document of a kind that is not read.
    IgnoredKind,
    /// A ready Service without endpoints.
    NoEndpoints,
    /// A canary, or a path of one, that takes no requests.
    UnusedCanary,
}

impl Reason {
    pub const fn as_str(self) -> &'static str {
        match self {
            Reason::BrokenFile => "BrokenFile",
            Reason::AnnotationParsingFailed => "AnnotationParsingFailed",
            Reason::UnsupportedAnnotation => "UnsupportedAnnotation",
            Reason::ConfigMapParsingFailed => "ConfigMapParsingFailed",
            Reason::Conflict => "Conflict",
            Reason::MissingReference => "MissingReference",
            Reason::BrokenCertificate => "BrokenCertificate",
            Reason::InvalidRule => "InvalidRule",
            Reason::UnknownClass => "UnknownClass",
            Reason::IgnoredKind => "IgnoredKind",
            Reason::NoEndpoints => "NoEndpoints",
            Reason::UnusedCanary => "UnusedCanary",
        }
    }
}

/// One thing to tell a person about one object: which, which key of it, why, and where it was read.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Diagnostic {
    pub severity: Severity,
    pub reason: Reason,
    /// Absent for a file that holds no readable object.
    pub object: Option<ObjectRef>,
    /// The annotation, ConfigMap key or field (`spec.rules[0].http.paths[1]`), when one is at fault.
    pub key: Option<String>,
    pub message: String,
    pub origin: Option<Arc<Origin>>,
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(origin) = &self.origin {
            write!(f, "{origin}: ")?;
        }
        write!(f, "{}: ", self.severity)?;
        if let Some(object) = &self.object {
            write!(f, "{object}: ")?;
        }
        if let Some(key) = &self.key {
            write!(f, "{key}: ")?;
        }
        write!(f, "{} [{}]", self.message, self.reason.as_str())
    }
}
