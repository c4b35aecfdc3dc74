//! Values without a domain: what any other module may use, and what knows none of them.

pub mod diagnostic;
pub mod parse;
