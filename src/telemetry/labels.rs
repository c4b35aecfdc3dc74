//! The label values that a request chooses, each from a closed set: whoever sends requests must not make series.

use http::Method;

/// A method label by its index in [`METHODS`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct MethodLabel(u8);

/// RFC 9110 and RFC 5789, then the ones nginx knows from WebDAV (RFC 4918).
const METHODS: [&str; 17] = [
    "GET",
    "HEAD",
    "POST",
    "PUT",
    "DELETE",
    "CONNECT",
    "OPTIONS",
    "TRACE",
    "PATCH",
    "PROPFIND",
    "MKCOL",
    "COPY",
    "MOVE",
    "LOCK",
    "UNLOCK",
    "PROPPATCH",
    OTHER,
];
const OTHER: &str = "OTHER";

impl MethodLabel {
    pub fn of(method: &Method) -> Self {
        let known = METHODS.iter().position(|name| *name == method.as_str());
        Self(known.unwrap_or(METHODS.len() - 1) as u8)
    }

    pub fn as_str(self) -> &'static str {
        METHODS.get(usize::from(self.0)).copied().unwrap_or(OTHER)
    }
}

/// A status label: a code of 100..=599, or the class 1..=5 alone. Any other code counts as 500, which is what a proxy
/// that would send it has to be called.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct StatusLabel(u16);

impl StatusLabel {
    pub fn of(status: u16, class: bool) -> Self {
        let bounded = if (100..=599).contains(&status) { status } else { 500 };
        Self(if class { bounded / 100 } else { bounded })
    }

    pub fn text(self) -> String {
        if self.0 < 100 { format!("{}xx", self.0) } else { self.0.to_string() }
    }
}
