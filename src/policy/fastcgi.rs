//! `backend-protocol: FCGI`: what a FastCGI responder is told besides the usual.

use std::sync::Arc;

use super::template::Template;

/// The settings of one location.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct FastCgi {
    /// Follows a path that ends in a slash (`fastcgi-index`).
    pub index: Option<Arc<str>>,
    /// Parameters of `fastcgi-params-configmap`, by name; they replace the usual ones.
    pub params: Vec<(Arc<str>, Template)>,
}
