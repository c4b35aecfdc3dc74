//! `mirror-target`: a copy of each request for somebody who only listens.

use std::sync::Arc;

use super::question::Destination;
use super::template::Template;

/// Copies that one worker has under way at once; further requests are not copied.
pub const MAX_COPIES: usize = 256;
/// Bytes of bodies that all copies of one worker hold together.
pub const MAX_HELD: usize = 64 << 20;
/// Bytes of one body that its copy may lag behind; a slower listener loses the copy.
pub const MAX_LAG: usize = 1 << 20;

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Mirror {
    /// The URL as written, for people.
    pub url: Arc<str>,
    pub destination: Destination,
    /// `Host` of the copies.
    pub host: Template,
    /// Path and query of the copies; the request's own when the URL has none.
    pub target: Option<Template>,
    /// `mirror-request-body`.
    pub with_body: bool,
}
