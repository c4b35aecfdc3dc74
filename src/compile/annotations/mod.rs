//! The annotations of ingress-nginx, raw: what each key holds, and what is wrong with it. Nothing is looked up here,
//! no default is filled in and no key is weighed against another; that is the resolving stage's.

pub mod docs;
pub mod row;
mod table;
mod text;
pub mod value;
pub mod values_access;
pub mod values_balance;
pub mod values_headers;
pub mod values_identity;
pub mod values_question;
pub mod values_tls;

use std::collections::BTreeMap;

pub use row::{Effect, OnInvalid, Risk, Row, Scope, SettingProblem as AnnotationProblem, Support};
pub use table::{Annotations, ROWS};

/// The prefix of the annotations unless `--annotations-prefix` says otherwise; a `/` follows it.
pub const DEFAULT_PREFIX: &str = "nginx.ingress.kubernetes.io";

/// How annotations are read: the flags `--annotations-prefix` and `--enable-annotation-validation`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParseOptions {
    /// Without the `/`.
    pub prefix: String,
    /// Off: any text passes, and what still cannot be read falls back to its default instead of rejecting.
    pub validate: bool,
}

impl Default for ParseOptions {
    fn default() -> Self {
        Self { prefix: DEFAULT_PREFIX.to_owned(), validate: true }
    }
}

impl Annotations {
    /// The row of a key as an Ingress spells it, prefix included.
    pub fn row(key: &str, options: &ParseOptions) -> Option<&'static Row> {
        let key = key.strip_prefix(options.prefix.as_str())?.strip_prefix('/')?;
        <Self as row::Settings>::table().find(key)
    }

    /// Reads the annotations of one Ingress; those with other prefixes are left alone. An empty text is "not set".
    pub fn parse(meta: &BTreeMap<String, String>, options: &ParseOptions) -> (Self, Vec<AnnotationProblem>) {
        let prefix = format!("{}/", options.prefix);
        row::read(meta, row::Reading { prefix: &prefix, validate: options.validate, empty_is_value: false })
    }
}

#[cfg(test)]
pub(crate) mod tests;
